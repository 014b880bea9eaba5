package zone

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"cenote/dnsname"
)

// signedZone is the signing of one zone over time. It belongs to one goroutine at a time.
type signedZone struct {
	store keyStore
	state *signingState
	ring  ring
	plain *Zone // as it came
	view  string
	// online denies what the zone does not have; nil if the zone does it alone.
	online *Online
}

// newSignedZone reads the keys of a zone, if there are any yet.
func newSignedZone(apex dnsname.Name, dir string, policy Signing, work *onlineWork) (*signedZone, error) {
	policy, err := policy.Complete()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigning, err)
	}
	s := &signedZone{store: newKeyStore(dir, apex), ring: ring{apex: apex, policy: policy}}
	if s.state, err = s.store.load(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSigning, err)
	}
	s.ring.keys = s.state.Keys
	if policy.Denial == DenialCompact {
		s.online = &Online{apex: apex, work: work}
	}
	return s, nil
}

// sign makes the signed version of a zone as it came at a time. before is the one that is served now, or nil.
func (s *signedZone) sign(plain, before *Zone, now time.Time, look func()) (*Zone, error) {
	if err := s.advance(plain, now); err != nil {
		return nil, err
	}
	work := signing{plain: plain, ring: &s.ring, now: now, before: before, look: look}
	out, err := work.run(func(c content) (uint32, error) { return s.serial(plain.serial, before, c) })
	if err != nil {
		return nil, err
	}
	s.signedAt(plain, now)
	return out, nil
}

// signedAt notes that a zone is signed as it is to be at a time.
func (s *signedZone) signedAt(plain *Zone, now time.Time) {
	if s.plain, s.view = plain, s.viewAt(now); s.online != nil {
		s.online.update(&s.ring, now)
	}
}

// advance brings the keys to now.
func (s *signedZone) advance(plain *Zone, now time.Time) error {
	s.ring.maxTTL = plain.longestTTL()
	s.ring.generate = func(role Role, algorithm uint8) (*zoneKey, error) {
		return s.store.generate(role, algorithm, s.ring.keys, now)
	}
	changed, err := s.ring.advance(now)
	if err == nil && changed {
		err = s.save()
	}
	if err != nil {
		return fmt.Errorf("%w: its keys: %w", ErrSigning, err)
	}
	return nil
}

func (s *signedZone) save() error {
	s.state.Keys = s.ring.keys
	return s.store.save(s.state)
}

// serial is that of a signed version: the serial of the zone as it came where that is news, or else one more than the last, and the last one for the same
// content. The first one is not that of the zone as it came, which others may have without signatures. It is on disk before anybody sees it.
func (s *signedZone) serial(file uint32, served *Zone, c content) (uint32, error) {
	last, sum := s.state, hex.EncodeToString(c[:])
	if last.Content == sum && last.FileSerial == file {
		return last.Serial, nil
	}
	next := file
	switch {
	case last.Content == "":
		next = file + 1
	case !isBefore(last.Serial, file):
		next = last.Serial + 1
	}
	if served != nil && !isBefore(served.serial, next) {
		next = served.serial + 1
	}
	last.FileSerial, last.Serial, last.Content = file, next, sum
	if err := s.save(); err != nil {
		return 0, fmt.Errorf("%w: keeping its serial: %w", ErrSigning, err)
	}
	return next, nil
}

// viewAt says by which keys and in which slice of renewal a zone is signed at a time: while it stays the same, there is nothing to do.
func (s *signedZone) viewAt(now time.Time) string {
	return fmt.Sprint(now.Unix()/int64(signingStep/time.Second)) + s.ring.view(now)
}

// due reports whether the zone has to be signed again.
func (s *signedZone) due(now time.Time) bool {
	if s.plain == nil {
		return false
	}
	if s.view != s.viewAt(now) {
		return true
	}
	return len(s.ring.due(now)) > 0 || slices.ContainsFunc(s.ring.keys, func(k *zoneKey) bool { return reached(k.End, now) || !k.Gone.IsZero() && k.Remove.IsZero() })
}

// keys tells of all keys.
func (s *signedZone) keys(now time.Time) []KeyStatus {
	out := make([]KeyStatus, 0, len(s.ring.keys))
	for _, k := range s.ring.keys {
		out = append(out, s.store.status(k, now))
	}
	return out
}
