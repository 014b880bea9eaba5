package zone

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"

	"cenote/dnsname"
	"cenote/pace"
)

// Errors of changes that are asked for.
var (
	ErrUnknown = errors.New("there is no such zone")
	ErrFrozen  = errors.New("the zone is frozen; thaw it with `cenote zones thaw`")
)

// behindSize is how many octets of a file or a zone are worked on beside the queries; less takes less than a millisecond or two.
const behindSize = 1 << 18

// behind does work on so many octets, so that queries do not wait for it.
func behind(size int64, work func()) {
	if size < behindSize {
		work()
		return
	}
	_ = pace.Behind(func() error { work(); return nil })
}

// releaseSize is how many octets of a file or a transfer are read before memory is given back that this took: several times as many, which nothing else
// would ask the collector for.
const releaseSize = 1 << 24

// release gives back what reading so many octets took. It belongs into behind.
func release(size int64) {
	if size >= releaseSize {
		debug.FreeOSMemory()
	}
}

// Install publishes the next version of a zone, whatever its source, if its digest is as it has to be.
func (k *Keeper) Install(next *Zone) error {
	source, _ := k.doubts(next.apex)
	seal, err := k.proveOne(context.Background(), source, next)
	if err != nil {
		return err
	}
	if err := k.Edit(next.apex, func(*Zone) (*Zone, error) { return next, nil }); err != nil {
		return err
	}
	k.doubt(next.apex, seal)
	return nil
}

// Edit publishes the version that change makes of the present one, which is nil if there is none. It waits for others that change the zone; an error of change
// is returned, and leaves all as it is. The version that is there already changes nothing.
func (k *Keeper) Edit(apex dnsname.Name, change func(present *Zone) (*Zone, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.claim(apex)
	switch {
	case z == nil:
		return fmt.Errorf("%w: %s", ErrUnknown, apex)
	case z.status.Frozen:
		return ErrFrozen
	}
	var err error
	taken := false
	k.apart(z, func(next *kept) {
		taken, err = k.edit(next, change)
		next.taken = taken
	})
	if taken {
		k.publishOnly(z)
	}
	return err
}

// edit is Edit on a copy of a zone. It reports whether there is another version.
func (k *Keeper) edit(z *kept, change func(present *Zone) (*Zone, error)) (taken bool, err error) {
	next, err := change(z.present())
	if err != nil || next == z.present() {
		return false, err
	}
	if err = k.take(z, next); err != nil && !z.unsigned {
		z.wanted = nil // whoever asked for the change is told that there is none
		return false, err
	}
	k.note(z, 0, err)
	return true, nil
}

// LeftOut notes what has no place in a zone, for its status.
func (k *Keeper) LeftOut(apex dnsname.Name, left []LeftOut) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if z := k.claim(apex); z != nil {
		k.state.Lock()
		defer k.state.Unlock()
		z.status.LeftOut = left
	}
}

// State is the present version of a zone: as its source and updates have it, or as it is served, signed here.
func (k *Keeper) State(apex dnsname.Name, signed bool) (*Zone, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.named(apex)
	switch {
	case z == nil:
		return nil, fmt.Errorf("%w: %s", ErrUnknown, apex)
	case z.zone == nil:
		return nil, fmt.Errorf("%s could not be loaded; see `cenote zones`", apex)
	case signed:
		return z.zone, nil
	case z.sourceless:
		return nil, fmt.Errorf("of %s it is not known what came, but how it was signed; see `cenote zones`", apex)
	}
	return z.present(), nil
}

// install makes next the zone's state, and its history that which leads there. It is the one way for every source; publish follows. d is the difference to the
// present state, nil if it is not known. The zone is a copy, or nobody else knows of it.
func (k *Keeper) install(z *kept, next *Zone, d *Diff) {
	before := z.zone
	if before == nil {
		k.begin(z, next)
	} else {
		k.advance(z, next, d)
	}
	if z.zone = next; before == nil || before.serial != next.serial {
		k.isNews(z)
	}
}

// isNews notes that the serial of a zone is another. mu is held, or the zone is a copy.
func (k *Keeper) isNews(z *kept) {
	if z.apart {
		z.news = true
		return
	}
	k.news = append(k.news, z)
}

// begin takes the history of the journal up, if it leads to the zone's first state.
func (k *Keeper) begin(z *kept, next *Zone) {
	had := k.open(z)
	n := len(had.steps)
	if n > 0 && had.steps[n-1].To == next.serial && had.steps[n-1].sum == sumOf(next) {
		if z.history = newHistory(had.steps, k.bounds); z.isDurable() && had.zone == nil {
			k.record(z, nil, next)
		}
		return
	}
	z.history = nil
	if n > 0 || z.isDurable() {
		k.record(z, nil, next)
	}
}

// advance makes the step from the present state to the next one.
func (k *Keeper) advance(z *kept, next *Zone, d *Diff) {
	before := z.zone
	if before.serial == next.serial {
		if sumOf(before) != sumOf(next) {
			k.log.Warn("zone has changed, and its serial has not: secondaries will not see it", "zone", z.status.Name, "serial", next.serial)
			z.history = nil
			k.record(z, nil, next)
		}
		return
	}
	var step *Step
	behind(int64(len(before.data)), func() {
		if d != nil && len(d.Removed)+len(d.Added) <= historyRecordsMax && !isBefore(next.serial, before.serial) {
			step = newStep(d, next)
			return
		}
		var p pace.Pace
		step = stepBetween(before, next, p.Look)
	})
	if step == nil {
		z.history = nil
	} else if z.history = z.history.with(step, k.bounds); len(z.history.steps) == 0 {
		step = nil // too large to be kept
	}
	k.record(z, step, next)
}

// isDurable reports whether the state of a zone has to be kept: no file has it, or not its signatures.
func (z *kept) isDurable() bool { return z.source.Path == "" || z.source.Sign != nil }

// open opens the journal of a zone, and returns what it says, but once.
func (k *Keeper) open(z *kept) (had recorded) {
	k.openJournal(z)
	had, z.had = z.had, recorded{}
	return had
}

// openJournal opens the journal of a zone. One that could not be read is tried again where the zone has no state yet.
func (k *Keeper) openJournal(z *kept) {
	if k.dir == "" || z.journal != nil && (z.zone != nil || !z.journal.unread) {
		return
	}
	j, had, err := openJournal(k.journalOf(&z.source), z.source.Name)
	if z.journal, z.had = j, had; err != nil {
		k.journalFault(z, err)
	}
	k.noteTrimmed(z, j)
}

// noteTrimmed tells that a journal was found damaged.
func (k *Keeper) noteTrimmed(z *kept, j *journal) {
	if j.trimmed > 0 {
		k.journalCut.Add(uint64(j.trimmed))
		k.log.Warn("the journal of a zone was damaged; it ends there", "zone", z.source.Name.String(), "file", j.path, "octets", j.trimmed)
	}
}

// record writes down what leads to next: a step, or nil to begin anew.
func (k *Keeper) record(z *kept, step *Step, next *Zone) {
	if z.journal == nil {
		return
	}
	size := int64(0)
	if z.isDurable() {
		size = int64(len(next.data))
	}
	var err error
	if behind(size, func() { err = z.journal.record(step, z.history, next, z.isDurable()) }); err != nil {
		k.journalFault(z, err)
	}
}

// journalFault tells that a history will not outlive the server, or that what a former run kept cannot be read.
func (k *Keeper) journalFault(z *kept, err error) {
	k.journalFaults.Add(1)
	if errors.Is(err, errReading) {
		k.log.Error("the journal of a zone cannot be read; its file is not changed, and put aside with the ending "+unreadSuffix+" when another one takes its place", "zone", z.source.Name.String(), "err", err)
		return
	}
	k.log.Error("the journal of a zone cannot be kept; its history ends with this server", "zone", z.source.Name.String(), "err", err)
}

// restore serves a zone without a file, a copy, as it was before the server was started. One that never had a state waits for its source.
func (k *Keeper) restore(z *kept) {
	if z.receives() && k.restoreReceived(z) {
		return
	}
	had := k.open(z)
	if had.zone == nil || z.receives() { // what was made of it is not what came
		if z.status.Fault == "" {
			z.status.State, z.status.Fault, z.status.Since = StateFailed, "it has no state yet", k.now()
		}
		return
	}
	z.zone, z.history = had.zone, newHistory(had.steps, k.bounds)
	k.isNews(z)
	k.note(z, 0, nil)
	k.log.Info("zone restored", "zone", z.source.Name.String(), "serial", z.zone.serial, "records", z.zone.records)
}

// historySlack is of how many parts of their bound histories lose one more, once they are above it, so that all zones are not looked at for each step that comes.
const historySlack = 16

// boundHistories keeps all histories together within their bound, of which those of some zones have changed, or of all: the largest lose their oldest steps. It returns the
// zones that have lost some. mu is held.
func (k *Keeper) boundHistories(changed []*kept) (shorter []*kept) {
	if len(changed) == len(k.zones) {
		k.histories = 0 // that of zones that are there no more, too
		for _, z := range changed {
			z.counted = 0
		}
	}
	for _, z := range changed {
		k.count(z)
	}
	if k.histories <= k.bounds.Bytes {
		return nil
	}
	level := levelOf(k.zones, k.bounds.Bytes-k.bounds.Bytes/historySlack)
	for _, z := range k.zones {
		if z.history.Bytes() > level {
			z.history = z.history.within(level)
			k.count(z)
			shorter = append(shorter, z)
		}
	}
	return shorter
}

// levelOf is how large the history of a zone may be for all together to take so many octets.
func levelOf(zones []*kept, total int) int {
	sizes := make([]int, 0, len(zones))
	for _, z := range zones {
		if n := z.history.Bytes(); n > 0 {
			sizes = append(sizes, n)
		}
	}
	slices.Sort(sizes)
	for i, n := range sizes { // those before i stay as they are
		if left := len(sizes) - i; n*left > total {
			return total / left
		}
		total -= n
	}
	return math.MaxInt
}

// count notes how much memory the history of a zone takes.
func (k *Keeper) count(z *kept) {
	k.histories += z.history.Bytes() - z.counted
	z.counted = z.history.Bytes()
}

// historyBytes is how much memory the histories that are published take.
func (k *Keeper) historyBytes() (n int) {
	for _, s := range k.Set().All() {
		n += s.History.Bytes()
	}
	return n
}
