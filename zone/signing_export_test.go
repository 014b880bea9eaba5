package zone

import (
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
)

// Signed is the signing of a zone over time, for tests.
type Signed struct{ *signedZone }

// NewSigned begins the signing of a zone.
func NewSigned(apex dnsname.Name, dir string, policy Signing) (Signed, error) {
	s, err := newSignedZone(apex, dir, policy, newOnlineWork())
	return Signed{s}, err
}

// Sign is the signed version of a zone, and how many signatures had to be made.
func (s Signed) Sign(plain, before *Zone, now time.Time) (*Zone, int, error) {
	made := 0
	z, _, err := s.sign(plain, before, now, func() { made++ })
	return z, made, err
}

// SignSlice is Sign with the difference, nil if the version is not made of the one before by the time alone.
func (s Signed) SignSlice(plain, before *Zone, now time.Time) (*Zone, *Diff, error) {
	return s.sign(plain, before, now, func() {})
}

// Online is what denies on line what the zone does not have.
func (s Signed) Online() *Online { return s.online }

// OnlineBurst is how many sets are signed on line at once.
const OnlineBurst = onlineBurst

// SignOnline signs the record of a name that is not there.
func (s Signed) SignOnline(name dnsname.Name) {
	record := append([]byte(nil), 0, byte(2+len(name)+len(noName)), 1, 0)
	s.online.state.Load().sign([]byte(name), 47, 300, append(append(record, name...), noName...))
}

// ReadKeys reads the state of signing with one file for all keys, and does with them what a zone's signing does at a time.
func ReadKeys(state, private []byte, apex dnsname.Name, at time.Time) (keys int, err error) {
	s, err := parseState(state)
	if err != nil {
		return 0, err
	}
	policy, _ := Signing{}.Complete()
	r := ring{apex: apex, policy: policy, keys: s.Keys, generate: func(Role, uint8) (*zoneKey, error) { return nil, ErrSigning }}
	for _, k := range s.Keys {
		if err := k.take(private); err != nil {
			return 0, err
		}
		keyStore{apex: apex}.status(k, at)
	}
	slot := policy.slot(apex, 1, at)
	for _, k := range r.dataSigners(slot, at) {
		inception, expiration := policy.times(slot)
		if _, err := k.signer.Sign(apex, &dnssec.Set{Name: []byte(apex), Type: 1, Class: 1, RData: [][]byte{{192, 0, 2, 1}}}, inception, expiration); err != nil {
			return 0, err
		}
	}
	r.forParent(at)
	r.observe(nil, at)
	_, _ = r.advance(at)
	return len(s.Keys), nil
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
