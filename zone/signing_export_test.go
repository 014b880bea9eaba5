package zone

import (
	"time"

	"cenote/dnsname"
)

// Signed is the signing of a zone over time, for tests.
type Signed struct{ *signedZone }

// NewSigned begins the signing of a zone.
func NewSigned(apex dnsname.Name, dir string, policy Signing) (Signed, error) {
	s, err := newSignedZone(apex, dir, policy)
	return Signed{s}, err
}

// Sign is the signed version of a zone, and how many signatures had to be made.
func (s Signed) Sign(plain, before *Zone, now time.Time) (*Zone, int, error) {
	made := 0
	z, err := s.sign(plain, before, now, func() { made++ })
	return z, made, err
}

// Due reports whether the zone has to be signed again.
func (s Signed) Due(now time.Time) bool { return s.due(now) }

// Waits reports whether the parent's DS records matter.
func (s Signed) Waits(now time.Time) bool { return s.ring.waits(now) }

// Observe takes the DS records of the parent.
func (s Signed) Observe(ds [][]byte, now time.Time) bool { return s.ring.observe(ds, now) }

// Roll rolls the keys of some roles.
func (s Signed) Roll(now time.Time, roles ...Role) error { return s.ring.roll(roles, now) }

// SetPolicy changes how the zone is signed.
func (s Signed) SetPolicy(p Signing) (err error) {
	s.ring.policy, err = p.Complete()
	return err
}

// Keys tells of all keys.
func (s Signed) Keys(now time.Time) []KeyStatus { return s.keys(now) }
