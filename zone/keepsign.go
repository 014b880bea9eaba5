package zone

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/pace"
)

const (
	signRetry   = time.Minute      // until a zone that could not be signed is tried again
	parentPoll  = 10 * time.Minute // between two questions to a parent while keys wait for it
	parentLimit = 30 * time.Second // for one of them
)

// ErrNotSigned is that a zone is not one that is signed here, or has no such key.
var ErrNotSigned = errors.New("there is no such key")

// ParentDS asks for the DS records (RDATA) that the zone above has for an apex, proved or from a source that is trusted. An error says that nothing is known.
type ParentDS func(ctx context.Context, apex dnsname.Name) ([][]byte, error)

// signError is why a zone cannot be signed.
type signError struct{ error }

func (e signError) Unwrap() error { return e.error }

// take makes a state of a zone's source the one that is served: signed, if it is to be. One that cannot be signed changes nothing; but if the zone has no state
// at all it is served without signatures, since those who do not validate are served by that, and the others lose nothing.
func (k *Keeper) take(z *kept, plain *Zone) error {
	if z.source.Sign == nil {
		if z.plain != nil && z.zone != nil && isBefore(plain.serial, z.zone.serial) {
			k.log.Warn("zone is no longer signed, and its serial goes back; raise it, or secondaries will not see the change",
				"zone", z.source.Name.String(), "serial", plain.serial, "was", z.zone.serial)
		}
		if z.zone == nil || z.plain != nil || z.sourceless {
			k.leaveSigning(z)
		}
		z.plain, z.signing, z.unsigned, z.wanted, z.sourceless = nil, nil, false, nil, false
		k.install(z, plain, nil)
		k.dropReceived(z)
		return nil
	}
	if z.zone == nil && k.serveLast(z, plain) {
		k.recordReceived(z, plain)
		return nil
	}
	if z.sourceless {
		z.signing = nil // how it is signed may have changed
	}
	next, d, err := k.sign(z, plain)
	if err == nil || z.zone == nil || z.unsigned {
		k.recordReceived(z, plain)
	}
	switch {
	case err == nil:
		z.plain, z.wanted, z.unsigned, z.sourceless = plain, nil, false, false
	case z.zone == nil || z.unsigned:
		next, z.plain, z.wanted, z.unsigned = plain, plain, nil, true
	default:
		z.wanted = plain
		return signError{err}
	}
	if z.zone == nil || z.zone.serial != next.serial || z.unsigned {
		k.install(z, next, d)
	}
	if err != nil {
		return signError{err}
	}
	return nil
}

// leaveSigning notes that a zone is served without signatures which was signed here, so that its serials count on from those when it is signed again.
func (k *Keeper) leaveSigning(z *kept) {
	if k.keys == "" {
		return
	}
	if err := newKeyStore(k.keys, z.source.Name).leave(); err != nil {
		k.log.Error("it cannot be noted that a zone is not signed any more; raise its serial when it is signed again", "zone", z.source.Name.String(), "err", err)
	}
}

// serveLast serves a zone as it was signed before the server was started, so that a start waits for no signatures. renew makes the version of now of it. Without plain, that
// is not known, and the version stays as it is. It returns false if there is none whose signatures hold, or if none of the keys is there by which they were made.
func (k *Keeper) serveLast(z *kept, plain *Zone) bool {
	k.openJournal(z)
	last, now := z.had.zone, k.now()
	if last == nil || !last.signed || !last.signedUntil().After(now) {
		return false
	}
	signing, err := newSignedZone(z.source.Name, k.keys, *z.source.Sign, k.online)
	switch {
	case err != nil:
		k.log.Error("zone is served as it was signed last", "zone", z.source.Name.String(), "err", err)
	case len(signing.ring.keys) == 0 || isBefore(signing.state.Serial, last.serial) || signing.state.Content == "":
		return false
	default:
		if z.signing = signing; signing.online != nil {
			signing.online.update(&signing.ring, now)
		}
	}
	had := k.open(z)
	z.zone, z.history, z.plain, z.wanted, z.sourceless = last, newHistory(had.steps, k.bounds), plain, plain, plain == nil
	k.isNews(z)
	return true
}

// signedUntil is when the first of the zone's signatures ends.
func (z *Zone) signedUntil() time.Time {
	first := int64(math.MaxInt64)
	w := setWalk{}
	for n := node(0); int(n) < len(z.data); n = node(w.at) {
		for w = z.sets(n); w.next(); {
			rest := w.set.signatures()
			for range w.set.sigs {
				var sig []byte
				if sig, rest = cutRecord(rest); len(sig) >= rrsigFixed {
					first = min(first, int64(binary.BigEndian.Uint32(sig[8:])))
				}
			}
		}
	}
	return time.Unix(first, 0)
}

// rrsigFixed are the octets of a signature before the name of its zone (RFC 4034 section 3.1).
const rrsigFixed = 18

// sign makes the signed version of a state, with the difference to the present one where it is known.
func (k *Keeper) sign(z *kept, plain *Zone) (next *Zone, d *Diff, err error) {
	now := k.now()
	z.signAfter = now.Add(signRetry)
	if z.signing == nil {
		if z.signing, err = newSignedZone(z.source.Name, k.keys, *z.source.Sign, k.online); err != nil {
			z.signing = nil
			return nil, nil, err
		}
	}
	before := z.zone
	if before == nil {
		before = z.had.zone // whose serial others may have
	}
	behind(int64(len(plain.data)), func() {
		var p pace.Pace
		next, d, err = z.signing.sign(plain, before, now, p.Look)
	})
	if err == nil {
		z.signAfter = time.Time{}
	}
	return next, d, err
}

// online is what denies on line what the zone does not have, nil if the zone does that alone.
func (z *kept) online() *Online {
	if z.signing == nil || z.unsigned {
		return nil
	}
	return z.signing.online
}

// present is the state of a zone's source; nil if there is none, or it is not known.
func (z *kept) present() *Zone {
	if z.plain != nil || z.sourceless {
		return z.plain
	}
	return z.zone
}

// renew signs the zones again whose keys or signatures have to change, and publishes them; see inTurn. mu is held, and given up meanwhile.
func (k *Keeper) renew() {
	k.each(func(z *kept) {
		if !z.busy && z.mustSign(k.now()) {
			k.inTurn(z, int64(len(z.plain.data)), k.renewOne)
		}
	})
}

// renewOne signs a zone again, a copy.
func (k *Keeper) renewOne(z *kept) {
	before, plain := z.zone, z.plain
	if z.wanted != nil {
		plain = z.wanted
	}
	k.noteSigned(z, k.take(z, plain))
	if z.zone != before {
		k.log.Debug("zone signed again", "zone", z.source.Name.String(), "serial", z.zone.serial)
	}
}

// mustSign reports whether a zone has to be signed again, or for the first time.
func (z *kept) mustSign(now time.Time) bool {
	switch {
	case z.source.Sign == nil || z.plain == nil || z.expired || now.Before(z.signAfter):
		return false
	case z.signing == nil || z.unsigned || z.wanted != nil:
		return true
	}
	return z.signing.due(now)
}

// resign takes a change of how a zone is signed.
func (k *Keeper) resign(z *kept) {
	if z.sourceless {
		return // until it is known of what
	}
	z.signing = nil
	if plain := z.present(); plain != nil {
		k.noteSigned(z, k.take(z, plain))
	}
}

// noteSigned keeps what came of signing a zone, a copy, until that is taken over. If it could be signed, no other fault that it has is mended by that.
func (k *Keeper) noteSigned(z *kept, err error) {
	z.noted = &noted{warnings: z.status.Warnings, err: err, signed: err == nil}
}

// sameSigning reports whether two zones are signed alike.
func sameSigning(a, b *Signing) bool { return a == b || a != nil && b != nil && *a == *b }

// askParents asks for the DS records of zones whose keys wait for them, until ctx ends.
func (k *Keeper) askParents(ctx context.Context) {
	if k.parent == nil {
		return
	}
	tick := time.NewTicker(parentPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, apex := range k.waiting() {
				k.AskParent(ctx, apex)
			}
		}
	}
}

// waiting are the zones with keys that wait for their parent.
func (k *Keeper) waiting() (out []dnsname.Name) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, z := range k.zones {
		if !z.busy && z.signing != nil && z.signing.ring.waits(k.now()) {
			out = append(out, z.source.Name)
		}
	}
	return out
}

// AskParent asks for the DS records of a zone, and lets its keys go on by what there is.
func (k *Keeper) AskParent(ctx context.Context, apex dnsname.Name) {
	ctx, cancel := context.WithTimeout(ctx, parentLimit)
	ds, err := k.parent(ctx, apex)
	cancel()
	if err != nil {
		k.log.Info("the DS records of a zone's parent are not known", "zone", apex.String(), "err", err)
		return
	}
	err = k.withKeys(apex, func(s *signedZone) error {
		if !s.ring.observe(ds, k.now()) {
			return nil
		}
		k.log.Info("the DS records of a zone's parent have changed", "zone", apex.String(), "records", len(ds))
		return s.save()
	})
	if err != nil {
		k.log.Error("what the parent of a zone has could not be kept", "zone", apex.String(), "err", err)
	}
}

// withKeys does something with the keys of a zone, and signs it again if that is due.
func (k *Keeper) withKeys(apex dnsname.Name, do func(*signedZone) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	z := k.claim(apex)
	if z == nil || z.signing == nil {
		return fmt.Errorf("%w: %s is not signed here", ErrNotSigned, apex)
	}
	var err error
	k.apart(z, func(next *kept) {
		if err = do(next.signing); err == nil && next.mustSign(k.now()) {
			k.renewOne(next)
		}
	})
	k.publishOnly(z)
	return err
}

// ZoneKeys are the keys of a zone.
type ZoneKeys struct {
	Zone string      `json:"zone"`
	Keys []KeyStatus `json:"keys"`
	// Withdraws says that the parent is asked to remove the DS records.
	Withdraws bool `json:"withdraws,omitempty"`
}

// Keys tells of the keys of all zones that are signed here.
func (k *Keeper) Keys() (out []ZoneKeys) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.each(func(z *kept) {
		if k.settled(z) && z.signing != nil {
			out = append(out, ZoneKeys{z.source.Name.String(), z.signing.keys(k.now()), z.signing.ring.policy.Withdraw})
		}
	})
	return out
}

// RollKeys begins to roll the keys of a role, or of all roles if that is empty.
func (k *Keeper) RollKeys(apex dnsname.Name, role Role) error {
	return k.withKeys(apex, func(s *signedZone) error { return s.roll(role, k.now()) })
}

// roll begins to roll keys because somebody says so.
func (s *signedZone) roll(role Role, now time.Time) error {
	var roles []Role
	for _, r := range s.ring.roles() {
		if role == "" || r == role {
			roles = append(roles, r)
		}
	}
	if len(roles) == 0 {
		return fmt.Errorf("%w: %s has no key with the role %q", ErrNotSigned, s.ring.apex, role)
	}
	for _, r := range roles {
		if !s.ring.mayRoll(r) {
			return fmt.Errorf("the %s of %s is being rolled already; see `cenote keys`", r, s.ring.apex)
		}
	}
	if err := s.ring.roll(roles, now); err != nil {
		return err
	}
	return s.save()
}

// MarkDS notes what somebody knows of the parent: that it has the DS record of a key, or has it no more.
func (k *Keeper) MarkDS(apex dnsname.Name, tag uint16, seen bool) error {
	return k.withKeys(apex, func(s *signedZone) error { return s.mark(tag, seen, k.now()) })
}

func (s *signedZone) mark(tag uint16, seen bool, now time.Time) error {
	for _, key := range s.ring.keys {
		if key.Tag != tag || !key.Role.signsKeys() {
			continue
		}
		switch {
		case seen && !key.submitted(now):
			return fmt.Errorf("key %d of %s is not for the parent at this time", tag, s.ring.apex)
		case seen && key.Seen.IsZero():
			key.Seen = now
		case !seen && !reached(key.Retire, now):
			return fmt.Errorf("key %d of %s has no successor in use yet: without its DS record nobody could validate the zone; roll it first, or set withdraw", tag, s.ring.apex)
		case !seen && key.Gone.IsZero():
			key.Gone = now
		}
		return s.save()
	}
	return fmt.Errorf("%w: %s has no key %d that is for the parent", ErrNotSigned, s.ring.apex, tag)
}

// runParents asks parents in the background; the function that it returns waits for its end.
func (k *Keeper) runParents(ctx context.Context) (wait func()) {
	var all sync.WaitGroup
	all.Go(func() { k.askParents(ctx) })
	return all.Wait
}
