package zone

import (
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
)

// Denial is how a zone that is signed here proves what it does not have.
type Denial string

// The ways of denial.
const (
	DenialNSEC  Denial = "nsec"  // by names: whoever asks often enough learns all of them
	DenialNSEC3 Denial = "nsec3" // by hashes, without iterations and salt (RFC 9276)
	// DenialCompact makes a record for the name alone that is asked for (RFC 9824). The zone has the chain of DenialNSEC besides, for its secondaries, which
	// cannot sign, and for when more is asked than can be signed.
	DenialCompact Denial = "compact"
)

// Signing is how a zone is signed here. The zero value of a field is its default.
type Signing struct {
	// Algorithm is dnssec.ECDSAP256 or dnssec.Ed25519. Default ECDSAP256.
	Algorithm uint8
	// Split has one key sign the zone's keys (KSK) and another one the rest (ZSK), in place of one for both (CSK).
	Split bool
	// Denial is how it is proved what is not there. Default DenialNSEC.
	Denial Denial
	// OptOut leaves delegations that are not signed out of the chain of DenialNSEC3 (RFC 5155 section 6), so that the zone cannot prove that there is none.
	OptOut bool
	// Validity is how long signatures hold. Default 14 days.
	Validity time.Duration
	// Refresh is how long a signature still holds when a new one takes its place, at the least. Default half of Validity.
	Refresh time.Duration
	// Lifetime is how long a KSK or CSK is used before it is rolled, ZSKLifetime how long a ZSK. 0: until somebody says so.
	Lifetime, ZSKLifetime time.Duration
	// Propagation is how long it takes until all servers of the zone have a change. Default 1 hour.
	Propagation time.Duration
	// ParentTTL is for how long others keep the DS records of the zone above. Default 1 day.
	ParentTTL time.Duration
	// Withdraw asks the parent to remove the DS records, by CDS and CDNSKEY (RFC 8078 section 4), so that signing can end.
	Withdraw bool
}

// Defaults and bounds of signing.
const (
	validityDefault    = 14 * 24 * time.Hour
	propagationDefault = time.Hour
	parentTTLDefault   = 24 * time.Hour

	// ValidityMin is the shortest life of signatures, ValidityMax the longest.
	ValidityMin = 24 * time.Hour
	ValidityMax = 366 * 24 * time.Hour

	signingStep = time.Hour // signatures are renewed in slices, one a step
	clockSkew   = time.Hour // by how much the clock of whoever validates may be behind
	keyTTL      = 3600      // of DNSKEY, CDS and CDNSKEY records, in seconds
)

// ErrSigning is that a zone could not be signed.
var ErrSigning = errors.New("the zone is not signed")

// Complete fills in the defaults, and says what is wrong with the rest.
func (s Signing) Complete() (Signing, error) {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	if s.Algorithm == 0 {
		s.Algorithm = dnssec.ECDSAP256
	}
	if s.Denial == "" {
		s.Denial = DenialNSEC
	}
	orDefault(&s.Validity, validityDefault)
	orDefault(&s.Refresh, s.Validity/2)
	orDefault(&s.Propagation, propagationDefault)
	orDefault(&s.ParentTTL, parentTTLDefault)
	switch {
	case !dnssec.SigningSupported(s.Algorithm):
		return s, fmt.Errorf("zones are not signed with algorithm %d", s.Algorithm)
	case s.Denial != DenialNSEC && s.Denial != DenialNSEC3 && s.Denial != DenialCompact:
		return s, fmt.Errorf("denial is %q; it can be %q, %q or %q", s.Denial, DenialNSEC, DenialNSEC3, DenialCompact)
	case s.OptOut && s.Denial != DenialNSEC3:
		return s, fmt.Errorf("opt-out is for denial by %q alone", DenialNSEC3)
	case s.Validity < ValidityMin || s.Validity > ValidityMax:
		return s, fmt.Errorf("signatures that hold for %v; at least %v and at most %v can be had", s.Validity, ValidityMin, ValidityMax)
	case s.Refresh < signingStep || s.Refresh > s.Validity-2*signingStep:
		return s, fmt.Errorf("signatures that hold for %v are renewed when they hold for %v more; that must be at least %v and leave %v", s.Validity, s.Refresh, signingStep, 2*signingStep)
	case s.Lifetime < 0 || s.ZSKLifetime < 0 || s.Propagation < 0 || s.ParentTTL < 0:
		return s, errors.New("a time of signing is negative")
	}
	return s, nil
}

// period is how long a signature is used before the next one is made.
func (s *Signing) period() time.Duration { return (s.Validity - s.Refresh).Truncate(signingStep) }

// slot is the time from which on the present signature of a set is used. Each set has its own place in the period, by its name and type, so that in each step
// about as many are renewed. All that a signature depends on follows from it and from the clock: a restart makes the same ones again.
func (s *Signing) slot(owner dnsname.Name, rtype uint16, now time.Time) time.Time {
	at := stepOf(now)
	since := (at - s.turn(owner, rtype)) % s.steps()
	return time.Unix((at-since)*int64(signingStep/time.Second), 0)
}

// turn is the step within the period from which on the next signature of a set is used.
func (s *Signing) turn(owner dnsname.Name, rtype uint16) int64 {
	h := fnv.New32a()
	h.Write([]byte{byte(rtype >> 8), byte(rtype)})
	h.Write([]byte(owner))
	return int64(h.Sum32()) % s.steps()
}

// steps are those of a period.
func (s *Signing) steps() int64 { return int64(s.period() / signingStep) }

// stepOf is the number of a step since 1970.
func stepOf(now time.Time) int64 { return now.Unix() / int64(signingStep/time.Second) }

// times are when the signature of a slot begins and ends to hold.
func (s *Signing) times(slot time.Time) (inception, expiration time.Time) {
	return slot.Add(-clockSkew), slot.Add(s.Validity)
}

// signingName is how keys and tools name an algorithm that zones are signed with.
func signingName(algorithm uint8) string {
	switch algorithm {
	case dnssec.ECDSAP256:
		return "ECDSAP256SHA256"
	case dnssec.Ed25519:
		return "ED25519"
	}
	return fmt.Sprint(algorithm)
}
