package zone

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"cenote/dnsname"
	"cenote/wire"
)

// UpdateRequest is an UPDATE message that came, with a signature that is right.
type UpdateRequest struct {
	Zone dnsname.Name // canonical
	Msg  []byte       // whole, with its signature
	Key  dnsname.Name // canonical: of whoever signed
	// Signed stands for what was signed (tsig.Signature.Sum). Another message with the same is this one again.
	Signed [sha256.Size]byte
	Client netip.Addr // where it came from
}

// updatesAtOnce is how many zones are updated at a time, each of which takes memory for another version of it.
const updatesAtOnce = 4

// updateCounters count what became of updates that were signed by somebody who may send some.
type updateCounters struct {
	changed, unchanged, unmet, refused, malformed, failed, again atomic.Uint64
}

// count counts an update by its RCODE.
func (c *updateCounters) count(rcode int, changed bool) {
	n := &c.failed
	switch rcode {
	case wire.RcodeSuccess:
		if n = &c.unchanged; changed {
			n = &c.changed
		}
	case wire.RcodeNXDomain, wire.RcodeYXDomain, wire.RcodeNXRRSet, wire.RcodeYXRRSet:
		n = &c.unmet
	case wire.RcodeRefused, wire.RcodeNotAuth:
		n = &c.refused
	case wire.RcodeFormErr, wire.RcodeNotZone:
		n = &c.malformed
	}
	n.Add(1)
}

// ApplyUpdate makes the changes that an UPDATE message asks for, whole or not at all, and returns the RCODE of the reply. After NOERROR they are on the disk and
// are served. It may wait for the disk, and for others that change the zone.
func (k *Keeper) ApplyUpdate(r *UpdateRequest) int {
	rcode, made := k.answerUpdate(r)
	if made == nil {
		return rcode
	}
	if err := k.updated.keep(*made); err != nil {
		k.journalFaults.Add(1)
		k.log.Error("an update cannot be written down as made; after a restart it could be made again", "zone", r.Zone.String(), "err", err)
	}
	return rcode
}

// answerUpdate makes the changes of an update, and returns what is to be written down of it; nil where that is nothing.
func (k *Keeper) answerUpdate(r *UpdateRequest) (rcode int, made *memory) {
	k.updated.lookAgain(k.now())
	k.mu.Lock()
	defer k.mu.Unlock()
	z, rcode, known := k.forUpdate(r)
	if known {
		return rcode, nil
	}
	before := z.present()
	diff, rcode, err := k.work(z, r)
	changed := z.present() != before
	if k.updates.count(rcode, changed); rcode != wire.RcodeServFail {
		m := newMemory(r, rcode, k.now())
		k.updated.put(m)
		made = &m
	}
	k.logUpdate(z, r, &diff, rcode, changed, err)
	return rcode, made
}

// forUpdate is the zone that an update is of, once no other one works on it; or known, and how the update is answered. mu is held, and given up while it waits.
func (k *Keeper) forUpdate(r *UpdateRequest) (z *kept, rcode int, known bool) {
	for {
		if rcode, known := k.updated.find(&r.Signed, k.now()); known {
			k.updates.again.Add(1)
			return nil, rcode, true
		}
		z := k.named(r.Zone)
		if z == nil {
			k.updates.count(wire.RcodeNotAuth, false)
			return nil, wire.RcodeNotAuth, true
		}
		if tells, err := k.updated.room(r.Key, k.now()); err != nil {
			k.updates.count(wire.RcodeServFail, false)
			if tells {
				k.log.Error("no updates are made for now", "zone", r.Zone.String(), "key", r.Key.String(), "client", r.Client.String(), "err", err)
			}
			return nil, wire.RcodeServFail, true
		}
		if !z.busy && k.updating < updatesAtOnce {
			return z, 0, false
		}
		k.idle.Wait()
	}
}

// work makes an update of a zone on a copy of it. mu is held before and after that.
func (k *Keeper) work(z *kept, r *UpdateRequest) (d Diff, rcode int, err error) {
	had, served := z.present(), z.zone
	k.updating++
	k.apart(z, func(next *kept) { d, rcode, err = k.update(next, r) })
	k.updating--
	if z.present() == had && z.zone == served {
		return d, rcode, err
	}
	k.state.Lock()
	z.status.Updated = k.now()
	k.state.Unlock()
	k.publishOnly(z)
	return d, rcode, err
}

// logUpdate tells of an update that changed something, or that came from somebody who may send some and was not made.
func (k *Keeper) logUpdate(z *kept, r *UpdateRequest, d *Diff, rcode int, changed bool, err error) {
	facts := []any{"zone", z.source.Name.String(), "key", r.Key.String(), "client", r.Client.String()}
	switch {
	case rcode == wire.RcodeServFail:
		k.log.Error("zone could not be updated", append(facts, "err", err)...)
	case rcode == wire.RcodeRefused:
		k.log.Warn("update refused", append(facts, "err", err)...)
	case changed:
		k.log.Info("zone updated", append(facts, "serial", z.zone.serial, "removed", len(d.Removed)-1, "added", len(d.Added)-1)...)
	default:
		k.log.Debug("update changed nothing", append(facts, "rcode", wire.RcodeText(rcode))...)
	}
}

// Reasons why an update is refused.
var (
	errNotGranted  = errors.New("its key has no grant for what it would change")
	errManyChanges = fmt.Errorf("it would change more than %d records; send it in parts", changesMax)
	errLargeSet    = fmt.Errorf("it would leave a set with more than %d records", setRecordsMax)
	errNoServers   = errors.New("it would leave the zone without a server that can be found: without NS records, or without the address of one")
	errSigned      = errors.New("the zone comes with signatures or a digest (ZONEMD), which an update would leave wrong; take them out of its file, and have it signed here with `sign`")
)

// CanBeUpdated fails for a zone that comes signed, or with a digest.
func (z *Zone) CanBeUpdated() error {
	if z.signed || z.has(0, typeZONEMD) {
		return errSigned
	}
	return nil
}

// update makes the changes of one message, of a zone that is its own. err says why there are none, where that is not the sender's business alone.
func (k *Keeper) update(z *kept, r *UpdateRequest) (d Diff, rcode int, err error) {
	before, rules := z.present(), z.source.Updates
	switch {
	case rules == nil || !rules.has(r.Key): // the configuration has changed since it was admitted
		return d, wire.RcodeRefused, errNotGranted
	case z.status.Frozen:
		return d, wire.RcodeRefused, ErrFrozen
	case before == nil:
		return d, wire.RcodeServFail, errors.New("the zone could not be loaded")
	}
	if err := before.CanBeUpdated(); err != nil {
		return d, wire.RcodeRefused, err
	}
	asked, err := ReadUpdate(r.Msg)
	if err != nil {
		return d, wire.RcodeFormErr, err
	}
	var next *Zone
	behind(int64(len(before.data)), func() {
		next, d, rcode, err = asked.apply(before, func(owner dnsname.Name, t uint16) bool { return rules.grants(r.Key, owner, t) })
	})
	switch {
	case rcode == wire.RcodeRefused:
		return d, rcode, err
	case rcode != wire.RcodeSuccess || next == before:
		return d, rcode, nil
	case z.source.Sign != nil:
		if err := next.CanBeSigned(); err != nil {
			return d, wire.RcodeRefused, err
		}
	}
	if err := k.installUpdate(z, &d, next); err != nil {
		return d, wire.RcodeServFail, err
	}
	return d, wire.RcodeSuccess, nil
}

// installUpdate writes an update down, and then makes it the state of the zone.
func (k *Keeper) installUpdate(z *kept, d *Diff, next *Zone) error {
	if err := k.recordUpdate(z, d, next); err != nil {
		k.journalFaults.Add(1)
		return fmt.Errorf("writing it down: %w", err)
	}
	if err := k.take(z, next); err != nil && !z.unsigned {
		z.wanted = nil // whoever asked for it is told that there is none
		return errors.Join(err, k.recordUpdate(z, nil, z.updated))
	}
	z.updated = next
	return nil
}

// recordUpdate writes a step to next down, or, without a difference that goes on from what is there, all of next. None stands for the state of the file.
func (k *Keeper) recordUpdate(z *kept, d *Diff, next *Zone) (err error) {
	switch {
	case k.dir == "":
		return nil
	case z.updates == nil:
		return errors.New("the journal could not be opened; see the log of the start")
	case next == nil:
		return z.updates.remove()
	}
	var step *Step
	if d != nil && z.updated != nil && z.updated == z.present() {
		step = newStep(d, next)
	}
	behind(int64(len(next.data)), func() { err = z.updates.record(step, nil, next, true) })
	return err
}

// remove takes the file away: what comes next is written into a new one.
func (j *journal) remove() error {
	j.size = 0
	if err := j.putAside(); err != nil {
		return err
	}
	if err := os.Remove(j.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(j.path))
}

// updatesDir is where the journals of updates lie, below the directory of journals.
const updatesDir = "updates"

// openUpdates finds what updates made of a zone before the server was started.
func (k *Keeper) openUpdates(z *kept) {
	if z.source.Updates == nil || k.dir == "" || z.updates != nil {
		return
	}
	dir := filepath.Join(k.dir, updatesDir)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		if _, none := os.Lstat(dir); !errors.Is(none, os.ErrNotExist) {
			z.unknown = err // what lies there may be of this zone
		}
		k.journalFault(z, err)
		return
	}
	if err := k.updated.open(dir, k.now()); err != nil {
		k.journalFault(z, err)
	}
	j, had, err := openJournal(journalPath(dir, z.source.Name), z.source.Name)
	if z.unknown = err; err != nil {
		k.journalFault(z, err)
		return
	}
	k.noteTrimmed(z, j)
	if z.updates = j; z.zone == nil {
		z.updated = had.zone
	}
}

// knowUpdates fails where updates have changed a zone and what they made of it cannot be read: its file alone would take all of that back. By force it counts, and
// what cannot be read is put aside once the file is served, so that it counts after a restart too.
func (k *Keeper) knowUpdates(z *kept, force bool) error {
	if z.unknown == nil {
		return nil
	}
	if k.openUpdates(z); z.unknown == nil {
		return nil
	}
	if !force {
		return fmt.Errorf("what updates have made of the zone: %w; mend that, and run `cenote reload`, or serve the file without them by `cenote reload --force %s`", z.unknown, z.source.Name)
	}
	k.log.Warn("the file of a zone is served without what updates made of it, which is put aside", "zone", z.source.Name.String(), "err", z.unknown)
	z.unknown, z.updates = nil, &journal{path: journalPath(filepath.Join(k.dir, updatesDir), z.source.Name), unread: true}
	return nil
}

// choose decides between a file that was read and what updates made of the zone: the file counts where its serial is later, or by force. Without updates its
// serial must not go back.
func (k *Keeper) choose(z *kept, file *Zone, force bool) (*Zone, error) {
	had, first := z.present(), z.present() == nil
	if first {
		had = z.updated
	}
	defer func() { z.unread = z.unread && z.file == sum{} }()
	switch {
	case had == nil || force:
	case z.updated == nil:
		if isBefore(file.serial, had.serial) {
			return nil, fmt.Errorf("%w: the file has %d, and %d is served; raise it, or take it with `cenote reload --force %s`", ErrSerial, file.serial, had.serial, z.source.Name)
		}
	case isBefore(had.serial, file.serial):
		k.log.Warn("the file of a zone takes the place of what updates made of it", "zone", z.source.Name.String(), "serial", file.serial, "was", had.serial)
	case first || z.unread || sumOf(file) == z.file:
		z.file = sumOf(file)
		return had, nil
	default:
		return nil, fmt.Errorf("%w: the file has changed and has %d, and updates have led to %d; raise it beyond, or take it with `cenote reload --force %s`", ErrSerial, file.serial, had.serial, z.source.Name)
	}
	z.file = sumOf(file)
	return file, nil
}

// dropUpdates forgets what updates made of a zone, whose file has taken their place.
func (k *Keeper) dropUpdates(z *kept) {
	if z.updated = nil; z.updates == nil {
		return
	}
	if err := z.updates.remove(); err != nil {
		k.journalFault(z, err)
	}
}
