package zone

import (
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
	// What there is of the last version that was signed, from which the next one follows.
	signed *Zone
	by     Signing // how
	view   string  // by which keys
	step   int64   // when
	sum    content // of all but the SOA record
	turns  turns   // nil before they are asked for
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

// sign makes the signed version of a zone as it came at a time. before is the one that is served now, or nil. Where it was signed here, and nothing but the
// time has changed, the difference is known, and returned.
func (s *signedZone) sign(plain, before *Zone, now time.Time, look func()) (next *Zone, d *Diff, err error) {
	if err := s.advance(plain, now); err != nil {
		return nil, nil, err
	}
	if s.continues(plain, before, now) {
		next, d, err = s.slice(before, now, look)
	}
	if next == nil && err == nil {
		next, err = s.whole(plain, before, now, look)
	}
	if err != nil {
		s.signed = nil // what is known of it may be half of another
		return nil, nil, err
	}
	s.plain, s.signed, s.by, s.view, s.step = plain, next, s.ring.policy, s.ring.view(now), stepOf(now)
	if s.online != nil {
		s.online.update(&s.ring, now)
	}
	return next, d, nil
}

// whole makes the signed version of all of a zone. It is the one before itself if they are the same.
func (s *signedZone) whole(plain, before *Zone, now time.Time, look func()) (*Zone, error) {
	work := signing{plain: plain, ring: &s.ring, now: now, before: before, look: look}
	out, err := work.run(func(sum, mark content) (uint32, error) {
		s.sum, s.turns = sum, nil
		sum.addSum(mark)
		return s.serial(plain.serial, before, sum)
	})
	if err == nil && before != nil && out.serial == before.serial && sumOf(out) == sumOf(before) {
		return before, nil
	}
	return out, err
}

// continues reports whether the last version can be made the next one by signatures whose turn has come.
func (s *signedZone) continues(plain, before *Zone, now time.Time) bool {
	return before != nil && before == s.signed && plain == s.plain && s.by == s.ring.policy && s.view == s.ring.view(now) && s.step <= stepOf(now)
}

// advance brings the keys to now.
func (s *signedZone) advance(plain *Zone, now time.Time) error {
	if plain != s.plain {
		s.ring.maxTTL = plain.longestTTL()
	}
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
// content. The first one, and the first after a time without signatures, is not that of the zone as it came, which others may have without them. It is on disk before anybody sees it.
func (s *signedZone) serial(file uint32, served *Zone, c content) (uint32, error) {
	last, sum := s.state, c.String()
	if last.Content == sum && last.FileSerial == file {
		return last.Serial, nil
	}
	next := file
	if last.Content == "" {
		next = file + 1
	}
	if begun := last.Content != "" || last.Serial != 0; begun && !isBefore(last.Serial, next) {
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

// due reports whether the zone has to be signed again.
func (s *signedZone) due(now time.Time) bool {
	if s.plain == nil {
		return false
	}
	if s.step != stepOf(now) || s.view != s.ring.view(now) {
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
