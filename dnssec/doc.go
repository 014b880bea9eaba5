// Package dnssec proves: RRsets, keys and a time go in; Secure, Insecure, Bogus or Indeterminate (RFC 4033 section 5) comes out.
//
// It owns signatures (RFC 4034, RFC 4035, RFC 6840), the chain from a DS record or trust anchor to the keys of a zone, proofs that there is
// nothing (NSEC, RFC 4035 section 5.4; NSEC3, RFC 5155 section 8), what may be concluded from such proofs for other names (RFC 8198), trust
// anchors and their roll-over (RFC 5011), and the digest of a zone (RFC 8976). It leaves to others to fetch records, to keep what was
// proved, to know where zones are cut, and what a client is told.
//
// It is pure: the caller brings bytes and the time. A Zone never changes and may be used by any number of goroutines; a Work, a Denial, a Ranges
// and an Anchors belong to one at a time. What comes from the network may be anything: nothing panics, and a Work bounds what one query costs
// (CVE-2023-50387, CVE-2023-50868), so that a hostile zone harms itself alone.
//
// A check never says Secure unless it is. Where it cannot know, as with algorithms that nobody here can verify, it says Insecure only if a parent
// or the zone itself has signed that this is so.
//
// A validating resolver goes from the trust anchor down: Trust (or Anchors.Check) makes the DNSKEY set of a zone a Zone; Zone.Check judges every set
// that the zone signed, among them the DS set of the next zone, or the records from which a Denial proves that there is none
// (Denial.Unsigned). An answer made from a wildcard is Secure only together with Denial.Expanded, whatever its type.
//
// Start reading at Trust, then Zone.Check and Denial.
package dnssec
