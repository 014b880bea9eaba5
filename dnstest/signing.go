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

// signing says how a zone is signed.
type signing struct {
	algorithms []uint8  // numbers that nobody knows make keys and signatures of random octets
	roles      []string // of the keys, for each algorithm
	digests    []uint8  // of the DS records in the parent
	island     bool     // no DS records in the parent

	nsec3      bool
	iterations uint16
	salt       string
	optOut     bool
	compact    bool // a record for each name that is not there

	inception, expiration time.Duration // relative to the clock
}

// readSigning reads what follows the word sign.
func readSigning(words []string) (*signing, error) {
	s := &signing{algorithms: []uint8{13}, roles: []string{"ksk", "zsk"}, digests: []uint8{2}, inception: -time.Hour, expiration: 14 * 24 * time.Hour}
	for _, word := range words {
		if err := s.set(word); err != nil {
			return nil, fmt.Errorf("%q: %w", word, err)
		}
	}
	if !s.hasRole("ksk", "csk") || !s.hasRole("zsk", "csk") {
		return nil, fmt.Errorf("keys need a ksk and a zsk, or a csk")
	}
	return s, nil
}

func (s *signing) hasRole(either, or string) bool {
	return slices.Contains(s.roles, either) || slices.Contains(s.roles, or)
}

func (s *signing) set(word string) (err error) {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "alg":
		s.algorithms, err = numbers(value)
	case "digest":
		s.digests, err = numbers(value)
	case "keys":
		s.roles = strings.Split(value, ",")
		for _, role := range s.roles {
			if _, ok := roles()[role]; !ok {
				err = fmt.Errorf("unknown role %q", role)
			}
		}
	case "island":
		s.island = true
	case "nsec3":
		s.nsec3 = true
	case "optout":
		s.nsec3, s.optOut = true, true
	case "compact":
		s.compact = true
	case "iterations":
		var n uint64
		n, err = strconv.ParseUint(value, 10, 16)
		s.nsec3, s.iterations = true, uint16(n)
	case "salt":
		s.nsec3, s.salt = true, strings.TrimPrefix(value, "-")
	case "inception":
		s.inception, err = time.ParseDuration(value)
	case "expiration":
		s.expiration, err = time.ParseDuration(value)
	default:
		err = fmt.Errorf("unknown word")
	}
	return err
}

// numbers reads a list of octets with commas.
func numbers(list string) (out []uint8, err error) {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseUint(word, 10, 8)
		if err != nil {
			return nil, err
		}
		out = append(out, uint8(n))
	}
	return out, nil
}

// sigKey names the signatures of one RRset at one time.
type sigKey struct {
	owner dnsname.Name
	rtype uint16
	hour  int64
}

// sign returns the signatures of an RRset, none if the zone is not signed. They are made once an hour of the tree's clock.
func (z *authZone) sign(rrset []dns.RR) []dns.RR {
	if z.signing == nil || len(rrset) == 0 {
		return nil
	}
	owner, err := parseName(rrset[0].Header().Name)
	if err != nil {
		return nil
	}
	at := z.now().Truncate(time.Hour)
	k := sigKey{owner, rrset[0].Header().Rrtype, at.Unix()}
	z.mu.Lock()
	defer z.mu.Unlock()
	if sigs, ok := z.sigs[k]; ok {
		return sigs
	}
	z.sigs[k] = z.makeSigs(rrset, owner, at)
	return z.sigs[k]
}

// makeSigs signs with every key that is for it, as far as the faults let it be right.
func (z *authZone) makeSigs(rrset []dns.RR, owner dnsname.Name, at time.Time) (sigs []dns.RR) {
	t := rrset[0].Header().Rrtype
	for _, k := range z.keys {
		if !k.signs(t) {
			continue
		}
		spec := &sigSpec{key: k, signer: fqdn(z.apex), labels: -1, inception: at.Add(z.signing.inception), expiration: at.Add(z.signing.expiration)}
		for _, f := range z.faultsAt(owner, t) {
			f.alter(spec, z)
		}
		if !spec.none {
			sigs = append(sigs, spec.make(rrset, owner)...)
		}
	}
	return sigs
}

// sigSpec says how a signature is made. Faults change it.
type sigSpec struct {
	key                   *key
	signer                string
	inception, expiration time.Time
	none                  bool
	flip                  bool // one bit of the signature is wrong
	tagShift              uint16
	labels                int // -1 for the right number
	origTTL               uint32
	junk                  int // signatures of the same key that are random octets come before the right one
}

func (spec *sigSpec) make(rrset []dns.RR, owner dnsname.Name) (sigs []dns.RR) {
	sig := &dns.RRSIG{KeyTag: spec.key.KeyTag(), SignerName: spec.signer, Algorithm: spec.key.Algorithm, OrigTtl: spec.origTTL,
		Inception: uint32(spec.inception.Unix()), Expiration: uint32(spec.expiration.Unix())}
	sig.Hdr.Ttl = rrset[0].Header().Ttl
	signed := rrset
	if spec.labels >= 0 && spec.labels < owner.Labels() {
		if star, err := owner.Suffix(spec.labels).Child("*"); err == nil {
			signed = renamed(rrset, fqdn(star))
		}
	}
	spec.key.sign(sig, signed)
	sig.Hdr.Name = rrset[0].Header().Name
	if spec.labels >= 0 {
		sig.Labels = uint8(spec.labels)
	}
	sig.KeyTag += spec.tagShift
	if spec.flip {
		sig.Signature = flipped(sig.Signature)
	}
	for n := range spec.junk {
		junk := dns.Copy(sig).(*dns.RRSIG)
		junk.Signature = junkLike(sig.Signature, n)
		sigs = append(sigs, junk)
	}
	return append(sigs, sig)
}
