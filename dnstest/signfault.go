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
	expired     = "expired"
	future      = "future"
	noSigs      = "no-sigs"
	wrongKey    = "wrong-key"
	badSig      = "bad-sig"
	wrongSigner = "wrong-signer"
	wrongTag    = "wrong-tag"
	labels      = "labels"
	origTTL     = "origttl"
	junkSigs    = "junk-sigs"

	missingNSEC = "missing-nsec"
	wrongNSEC   = "wrong-nsec"
	halfNSEC    = "half-nsec"

	badDS         = "bad-ds"
	noDS          = "no-ds"
	noDNSKEY      = "no-dnskey"
	extraAlgo     = "extra-algo"
	badProtocol   = "bad-protocol"
	noZoneFlag    = "no-zone-flag"
	collidingKeys = "colliding-keys"
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
	case labels, origTTL, junkSigs, collidingKeys:
		f.number, err = strconv.Atoi(value)
	case wrongSigner:
		f.signer = value
	case expired, future, noSigs, wrongKey, badSig, wrongTag, missingNSEC, wrongNSEC, halfNSEC, badDS, noDS, noDNSKEY, extraAlgo, badProtocol, noZoneFlag:
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
	return slices.Contains([]string{badDS, noDS, noDNSKEY, extraAlgo, badProtocol, noZoneFlag, collidingKeys}, f.kind)
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
	case expired:
		spec.inception, spec.expiration = now.Add(-10*farOff), now.Add(-farOff)
	case future:
		spec.inception, spec.expiration = now.Add(farOff), now.Add(10*farOff)
	case noSigs:
		spec.none = true
	case wrongKey:
		if k, err := z.makeKey(spec.key.Algorithm, spec.key.role, "wrong", 0); err == nil {
			spec.key = k
		}
	case badSig:
		spec.flip = true
	case wrongSigner:
		spec.signer = f.signerOf(z)
	case wrongTag:
		spec.tagShift = 1
	case labels:
		spec.labels = f.number
	case origTTL:
		spec.origTTL = uint32(f.number)
	case junkSigs:
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
		case missingNSEC:
			proof = nil
		case noDS:
			if f.name != z.apex { // in the parent
				proof = nil
			}
		case halfNSEC:
			proof = proof[:min(len(proof), 1)]
		case wrongNSEC:
			proof = z.chain().others(proof)
		}
	}
	return proof
}
