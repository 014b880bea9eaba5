package dnstest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// signFault is a way in which a zone is signed wrongly. It holds for the RRsets of one name, or for a whole zone if it is named.
type signFault struct {
	name   dnsname.Name
	kind   string
	rtype  uint16 // 0 for all types
	number int
	signer string
}

// The kinds of faults. Those of the first group are about signatures, those of the second about proofs of absence, and those of the third about
// a zone, which must be named.
const (
	kindExpired     = "expired"
	kindFuture      = "future"
	kindNoSigs      = "no-sigs"
	kindWrongKey    = "wrong-key"
	kindBadSig      = "bad-sig"
	kindWrongSigner = "wrong-signer"
	kindWrongTag    = "wrong-tag"
	kindLabels      = "labels"
	kindOrigTTL     = "origttl"
	kindJunkSigs    = "junk-sigs"

	kindMissingNSEC = "missing-nsec"
	kindWrongNSEC   = "wrong-nsec"
	kindHalfNSEC    = "half-nsec"

	kindBadDS         = "bad-ds"
	kindNoDS          = "no-ds"
	kindNoDNSKEY      = "no-dnskey"
	kindExtraAlgo     = "extra-algo"
	kindBadProtocol   = "bad-protocol"
	kindNoZoneFlag    = "no-zone-flag"
	kindCollidingKeys = "colliding-keys"
)

// readSignFault reads "NAME KIND[=VALUE] [type=TYPE]".
func readSignFault(words []string) (*signFault, error) {
	name, err := parseName(words[0])
	if err != nil {
		return nil, err
	}
	f := &signFault{name: name}
	f.kind, _, _ = strings.Cut(words[1], "=")
	_, value, hasValue := strings.Cut(words[1], "=")
	switch f.kind {
	case kindLabels, kindOrigTTL, kindJunkSigs, kindCollidingKeys:
		if f.number, err = strconv.Atoi(value); err == nil && f.number < 1 {
			err = fmt.Errorf("%s is at least 1", f.kind)
		}
	case kindWrongSigner:
		f.signer = value
	case kindExpired, kindFuture, kindNoSigs, kindWrongKey, kindBadSig, kindWrongTag, kindMissingNSEC, kindWrongNSEC, kindHalfNSEC,
		kindBadDS, kindNoDS, kindNoDNSKEY, kindExtraAlgo, kindBadProtocol, kindNoZoneFlag:
		if hasValue {
			err = fmt.Errorf("%s has no value", f.kind)
		}
	default:
		err = fmt.Errorf("unknown fault of signing %q", f.kind)
	}
	for _, word := range words[2:] {
		t, ok := strings.CutPrefix(word, "type=")
		if f.rtype = dns.StringToType[strings.ToUpper(t)]; !ok || f.rtype == 0 {
			return nil, fmt.Errorf("unknown word %q", word)
		}
	}
	return f, err
}

// ofZone reports whether the fault is about a whole zone.
func (f *signFault) ofZone() bool {
	return slices.Contains([]string{kindBadDS, kindNoDS, kindNoDNSKEY, kindExtraAlgo, kindBadProtocol, kindNoZoneFlag, kindCollidingKeys}, f.kind)
}

// faultsAt are the faults that hold for an RRset.
func (z *authZone) faultsAt(owner dnsname.Name, t uint16) (out []*signFault) {
	cut, below := z.cutAbove(owner)
	for _, f := range z.faults {
		whole, here := f.name == z.apex, f.name == owner
		if here && !whole && below && cut == owner && f.rtype == 0 {
			continue // what holds for the zone below the cut
		}
		if (whole || here) && (f.rtype == 0 || f.rtype == t) {
			out = append(out, f)
		}
	}
	return out
}

// fault returns the fault of a kind that holds for the zone itself.
func (z *authZone) fault(kind string) (*signFault, bool) {
	for _, f := range z.faults {
		if f.kind == kind && f.name == z.apex {
			return f, true
		}
	}
	return nil, false
}

// farOff is how far wrong times are from the clock: further than validators forgive for clocks that differ.
const farOff = 3 * 24 * time.Hour

// alter does to a signature what the fault says.
func (f *signFault) alter(spec *sigSpec, z *authZone) {
	now := z.now()
	switch f.kind {
	case kindExpired:
		spec.inception, spec.expiration = now.Add(-10*farOff), now.Add(-farOff)
	case kindFuture:
		spec.inception, spec.expiration = now.Add(farOff), now.Add(10*farOff)
	case kindNoSigs:
		spec.none = true
	case kindWrongKey:
		if k, err := z.makeKey(spec.key.Algorithm, spec.key.role, "wrong", 0); err == nil {
			spec.key = k
		}
	case kindBadSig:
		spec.flip = true
	case kindWrongSigner:
		spec.signer = f.signerOf(z)
	case kindWrongTag:
		spec.tagShift = 1
	case kindLabels:
		spec.labels = f.number
	case kindOrigTTL:
		spec.origTTL = uint32(f.number)
	case kindJunkSigs:
		spec.junk = f.number
	}
}

// signerOf is the signer that a fault names, or the parent.
func (f *signFault) signerOf(z *authZone) string {
	switch {
	case f.signer != "":
		return dns.Fqdn(f.signer)
	case z.apex.IsRoot():
		return "wrong."
	default:
		return fqdn(z.apex.Parent())
	}
}

// spoilProof does to a proof of absence what the faults for a name say.
func (z *authZone) spoilProof(name dnsname.Name, proof []dns.RR) []dns.RR {
	for _, f := range z.faults {
		if f.name != name && f.name != z.apex {
			continue
		}
		switch f.kind {
		case kindMissingNSEC:
			proof = nil
		case kindNoDS:
			if f.name != z.apex { // in the parent
				proof = nil
			}
		case kindHalfNSEC:
			proof = proof[:min(len(proof), 1)]
		case kindWrongNSEC:
			proof = z.chain().others(proof)
		}
	}
	return proof
}
