package config

import (
	"fmt"
	"time"
)

// ZoneSign says how a zone is signed (DNSSEC).
type ZoneSign struct {
	// Enabled signs the zone. The keys are made by the server, and lie in `keys` in the state directory, which belongs into your backups: without them the
	// zone above has to change over by hand. `cenote keys` shows them with the DS records for the zone above, which CDS and CDNSKEY records ask for too. The
	// zone must have no signatures, keys or NSEC records of its own as it comes. It is served with serials of its own, which follow those of its file or its primary.
	Enabled bool `yaml:"enabled" default:"false"`
	// Algorithm is that of the keys. A change rolls them: signatures of both are there until the zone above has changed over.
	Algorithm SignAlgorithm `yaml:"algorithm" default:"ecdsap256sha256"`
	// SplitKeys has one key sign the keys (KSK) and another one the rest (ZSK), in place of one for both (CSK).
	SplitKeys bool `yaml:"split_keys" default:"false"`
	// Denial is how it is proved that a name is not there: `nsec` by names, from which whoever asks often enough learns all of them; `nsec3` by hashes of them,
	// without iterations and salt (RFC 9276), which only slows that down; or `compact` by a record that is made and signed for the name that is asked for (RFC
	// 9824), which tells of no other. Secondaries get such a zone with the records of `nsec`. See docs/signing.md.
	Denial SignDenial `yaml:"denial" default:"nsec"`
	// OptOut leaves delegations that are not signed out of the records of `nsec3` (RFC 5155 section 6): for zones with very many of them, which are signed sooner and
	// take less memory. Then nothing proves that there is no such delegation, and names that are not there are not proved to be missing (no AD).
	OptOut bool `yaml:"opt_out" default:"false"`
	// Validity is how long a signature holds.
	Validity time.Duration `yaml:"validity" default:"2w" min:"1d" max:"52w"`
	// Refresh is how long a signature still holds when another one takes its place, at the least. Until then a secondary that gets nothing new serves a good zone;
	// so it should be longer than the SOA record's `expire`, or than any outage. Renewal is spread over the rest of `validity`.
	Refresh time.Duration `yaml:"refresh" default:"1w" min:"1h" max:"51w"`
	// KeyLifetime is the age at which the CSK or KSK is rolled; 0s leaves that to `cenote keys roll`. A roll ends when the zone above has another DS record.
	KeyLifetime time.Duration `yaml:"key_lifetime" default:"0s" min:"0s" example:"52w"`
	// ZSKLifetime is the age at which the ZSK is rolled; 0s leaves that to `cenote keys roll`.
	ZSKLifetime time.Duration `yaml:"zsk_lifetime" default:"0s" min:"0s" example:"13w"`
	// Propagation is how long it takes until every secondary of the zone has a change.
	Propagation time.Duration `yaml:"propagation" default:"1h" min:"0s" max:"4w"`
	// ParentTTL is the TTL that the zone above gives to DS records.
	ParentTTL time.Duration `yaml:"parent_ttl" default:"1d" min:"0s" max:"4w"`
	// Withdraw asks the zone above to remove the DS records (RFC 8078), as long as it stands here. When they are gone, and `parent_ttl` is over, `enabled` can be
	// taken away.
	Withdraw bool `yaml:"withdraw" default:"false"`
}

// SignAlgorithm is an algorithm that zones are signed with.
type SignAlgorithm string

// The algorithms.
const (
	SignECDSA   SignAlgorithm = "ecdsap256sha256"
	SignEd25519 SignAlgorithm = "ed25519"
)

// String is the word in the file.
func (a SignAlgorithm) String() string { return string(a) }

func (SignAlgorithm) values() []string { return words(SignECDSA, SignEd25519) }

// SignDenial is how a signed zone proves what is not there.
type SignDenial string

// The ways of denial.
const (
	SignNSEC    SignDenial = "nsec"
	SignNSEC3   SignDenial = "nsec3"
	SignCompact SignDenial = "compact"
)

// String is the word in the file.
func (d SignDenial) String() string { return string(d) }

func (SignDenial) values() []string { return words(SignNSEC, SignNSEC3, SignCompact) }

// signStep is the least time in which signatures are renewed one after the other.
const signStep = 2 * time.Hour

// check wants times that leave room for each other.
func (s *ZoneSign) check(r *reader, key string) {
	if s.OptOut && s.Denial != SignNSEC3 && !r.lost(key+".denial") {
		r.fault(r.at(key+".opt_out"), "only records of nsec3 can leave anything out", "set denial: nsec3, or leave out opt_out")
	}
	if !s.Enabled || r.lost(key+".validity") || r.lost(key+".refresh") {
		return
	}
	if s.Refresh > s.Validity-signStep {
		r.fault(r.at(key+".refresh"), fmt.Sprintf("signatures hold for %s, which leaves no time to renew them one after the other", FormatDuration(s.Validity)), "make refresh smaller, by 2h at least, or validity larger")
	}
	if !s.SplitKeys && s.ZSKLifetime > 0 {
		r.warn(r.at(key+".zsk_lifetime"), "the zone has one key for all, and no ZSK", "set key_lifetime, or split_keys: true")
	}
}
