package zone

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What is taken from primaries and signed here has a journal of its own, in the directory "received", for what came: the other one has what was made of it. Its
// time of change is when a primary confirmed the zone last.

// receives reports whether a zone comes by transfer, and is signed here.
func (z *kept) receives() bool { return z.source.Path == "" && z.source.Sign != nil }

// openReceived opens the journal of what came, and returns the state that it has; nil if there is none.
func (k *Keeper) openReceived(z *kept) *Zone {
	if k.dir == "" || z.received != nil {
		return nil
	}
	dir := filepath.Dir(k.receivedPath(z))
	if err := os.MkdirAll(dir, 0o750); err != nil {
		k.journalFault(z, err)
		return nil
	}
	j, had, err := openJournal(k.receivedPath(z), z.source.Name)
	if err != nil {
		k.journalFault(z, err)
		return nil
	}
	k.noteTrimmed(z, j)
	z.received = j
	return had.zone
}

// recordReceived writes down what came, after what came before.
func (k *Keeper) recordReceived(z *kept, before, next *Zone) {
	if !z.receives() || before == next && z.received != nil && z.received.size > 0 {
		return
	}
	k.openReceived(z)
	if z.received == nil {
		return
	}
	var err error
	behind(int64(len(next.data)), func() {
		var step *Step
		if before != nil && before != next && z.received.size > 0 {
			d := Compare(before, next)
			step = newStep(&d, next)
		}
		err = z.received.record(step, nil, next, true)
	})
	if err != nil {
		k.journalFault(z, err)
	}
}

// dropReceived forgets what came of a zone that is served as it comes.
func (k *Keeper) dropReceived(z *kept) {
	if z.received == nil {
		return
	}
	if err := z.received.remove(); err != nil {
		k.journalFault(z, err)
	}
	z.received = nil
}

// restoreReceived serves a zone that is signed here as it came before the server was started. It reports whether there was anything.
func (k *Keeper) restoreReceived(z *kept) bool {
	came := k.openReceived(z)
	z.plain = came   // it is written down, at a time that has to stay
	if came == nil { // it may be that it was not signed here then
		if k.openJournal(z); z.had.zone == nil || z.had.zone.signed {
			return false
		}
		came = z.had.zone
	}
	err := k.take(z, came)
	k.note(z, 0, err)
	if z.zone != nil {
		k.log.Info("zone restored", "zone", z.source.Name.String(), "serial", z.zone.serial, "records", z.zone.records)
	}
	return z.zone != nil
}

// confirmedBy is the file whose time of change is when a primary confirmed the zone last; "" if there is none.
func (z *kept) confirmedBy() string {
	switch {
	case z.receives() && z.received != nil:
		return z.received.path
	case !z.receives() && z.journal != nil:
		return z.journal.path
	}
	return ""
}

// confirmed notes that a primary has the version that is there. It lasts over a restart; without it the zone is as old as its last change after one.
func (z *kept) confirmed(now time.Time) {
	if path := z.confirmedBy(); path != "" {
		_ = os.Chtimes(path, now, now)
	}
}

// lastConfirmed is when a primary confirmed the zone last.
func (z *kept) lastConfirmed() (time.Time, error) {
	path := z.confirmedBy()
	if path == "" {
		return time.Time{}, fmt.Errorf("the zone has no journal")
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// receivedPath is where the journal of what came lies.
func (k *Keeper) receivedPath(z *kept) string {
	own := k.journalOf(&z.source)
	return filepath.Join(filepath.Dir(own), "received", filepath.Base(own))
}
