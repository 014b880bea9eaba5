package zone

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cenote/dnsname"
)

// What is taken from primaries and signed here has a journal of its own, in the directory "received", for what came: the other one has what was made of it. Its
// time of change is when a primary confirmed the zone last.

// receives reports whether a zone comes by transfer, and is signed here.
func (z *kept) receives() bool { return z.source.Path == "" && z.source.Sign != nil }

// openReceived opens the journal of what came, and returns the state that it has; nil if there is none. An error is that it cannot be read.
func (k *Keeper) openReceived(z *kept) (*Zone, error) {
	if k.dir == "" || z.received != nil && !z.received.unread {
		return nil, nil
	}
	if err := os.MkdirAll(filepath.Dir(k.receivedPath(z)), 0o750); err != nil {
		k.journalFault(z, err)
		return nil, err
	}
	j, had, err := openJournal(k.receivedPath(z), z.source.Name)
	if z.received, z.came = j, nil; err != nil {
		k.journalFault(z, err)
		return nil, err
	}
	k.noteTrimmed(z, j)
	z.came = had.zone
	return had.zone, nil
}

// recordReceived writes down what came: as a step from what the journal has, or all of it where that is another version, as after a fault of the disk.
func (k *Keeper) recordReceived(z *kept, next *Zone) {
	if !z.receives() || z.came == next {
		return
	}
	if z.received == nil {
		_, _ = k.openReceived(z) // it is logged
	}
	if z.received == nil {
		return
	}
	has := z.came
	z.came = nil
	var err error
	behind(int64(len(next.data)), func() {
		var step *Step
		if has != nil {
			d := Compare(has, next)
			step = newStep(&d, next)
		}
		err = z.received.record(step, nil, next, true)
	})
	if err != nil {
		k.journalFault(z, err)
		return
	}
	z.came = next
}

// dropReceived forgets what came of a zone that is served as it comes.
func (k *Keeper) dropReceived(z *kept) {
	if z.received == nil {
		return
	}
	if err := z.received.remove(); err != nil {
		k.journalFault(z, err)
	}
	z.received, z.came = nil, nil
}

// restoreReceived serves a zone that is signed here as it came before the server was started. It reports whether there was anything.
func (k *Keeper) restoreReceived(z *kept) bool {
	came, unread := k.openReceived(z)
	if unread != nil && k.serveLast(z, nil) {
		k.note(z, 0, fmt.Errorf("what came of the zone cannot be read, and it is served as it was signed last, until a primary has it: %w", unread))
		k.log.Info("zone restored", "zone", z.source.Name.String(), "serial", z.zone.serial, "records", z.zone.records)
		return true
	}
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
	case z.sourceless && z.journal != nil: // it was signed while it could be served
		return z.journal.path
	case !z.receives() && z.journal != nil:
		return z.journal.path
	}
	return ""
}

// recordConfirmed writes down that a primary has the version that is there, so that it lasts over a restart; without it the zone is as old as its last change after
// one. It may wait for the disk, with no lock held.
func (k *Keeper) recordConfirmed(apex dnsname.Name, now time.Time) {
	k.mu.Lock()
	path := ""
	if z := k.named(apex); z != nil && z.zone != nil {
		path = z.confirmedBy()
	}
	k.mu.Unlock()
	if path != "" {
		_ = os.Chtimes(path, now, now)
	}
}

// receivedPath is where the journal of what came lies.
func (k *Keeper) receivedPath(z *kept) string {
	own := k.journalOf(&z.source)
	return filepath.Join(filepath.Dir(own), "received", filepath.Base(own))
}
