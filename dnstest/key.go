package dnstest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"

	"github.com/miekg/dns"
)

// key is a key of a zone. The same text makes the same keys in every run.
type key struct {
	*dns.DNSKEY
	role   role
	signer crypto.Signer // nil for algorithms that nobody knows
}

// signs reports whether the key signs RRsets of a type.
func (k *key) signs(t uint16) bool {
	switch t {
	case dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
		return k.role.signsKeys
	default:
		return k.role.signsData
	}
}

// role is what a key is for.
type role struct {
	flags                       uint16
	signsKeys, signsData, hasDS bool
}

func roles() map[string]role {
	return map[string]role{
		"ksk":     {dns.ZONE | dns.SEP, true, false, true},
		"zsk":     {dns.ZONE, false, true, false},
		"csk":     {dns.ZONE | dns.SEP, true, true, true},
		"spare":   {dns.ZONE, false, false, false},                       // published only
		"standby": {dns.ZONE | dns.SEP, false, false, true},              // published, with a DS record, and signs nothing
		"revoked": {dns.ZONE | dns.SEP | dns.REVOKE, true, false, false}, // RFC 5011
	}
}

// makeKeys makes the keys of a zone, and remembers the faults that are about it.
func (z *authZone) makeKeys(zp *zonePlan, all []*signFault) error {
	for _, f := range all {
		if z.holds(f.name) {
			z.faults = append(z.faults, f)
		}
	}
	if z.signing == nil {
		return nil
	}
	for _, alg := range z.signing.algorithms {
		for i, name := range z.signing.roles {
			k, err := z.makeKey(alg, roles()[name], fmt.Sprint(name, i), zp.ttl)
			if err != nil {
				return err
			}
			z.keys = append(z.keys, k)
		}
	}
	return z.addFaultyKeys(zp)
}

// addFaultyKeys adds the keys that faults are about.
func (z *authZone) addFaultyKeys(zp *zonePlan) error {
	if _, ok := z.fault(kindExtraAlgo); ok {
		alg := uint8(dns.ED25519)
		if z.signing.algorithms[0] == alg {
			alg = dns.ECDSAP256SHA256
		}
		k, err := z.makeKey(alg, roles()["standby"], "extra", zp.ttl)
		z.keys = append(z.keys, k)
		return err
	}
	if f, ok := z.fault(kindCollidingKeys); ok {
		tag := z.keys[len(z.keys)-1].KeyTag()
		for n, tried := 0, 0; n < f.number; tried++ {
			k, err := z.makeKey(z.signing.algorithms[0], roles()["spare"], fmt.Sprint("colliding", tried), zp.ttl)
			if err != nil {
				return err
			}
			if k.collide(tag) {
				z.keys = append([]*key{k}, z.keys...)
				n++
			}
		}
	}
	return nil
}

// collide sets those flags of a key that mean nothing so that it gets a tag, and reports whether it could.
func (k *key) collide(tag uint16) bool {
	const free = ^uint16(dns.ZONE | dns.SEP | dns.REVOKE)
	plain := k.Flags
	for _, add := range []uint16{tag - k.KeyTag(), tag - k.KeyTag() - 1} { // a carry may make a difference of 1
		if k.Flags = plain | add&free; k.KeyTag() == tag {
			return true
		}
	}
	return false
}

func (z *authZone) makeKey(alg uint8, r role, label string, ttl uint32) (*key, error) {
	k := &key{role: r, DNSKEY: &dns.DNSKEY{Flags: r.flags, Protocol: 3, Algorithm: alg,
		Hdr: dns.RR_Header{Name: fqdn(z.apex), Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: ttl}}}
	if _, ok := z.fault(kindBadProtocol); ok {
		k.Protocol = 4
	}
	if _, ok := z.fault(kindNoZoneFlag); ok {
		k.Flags &^= dns.ZONE
	}
	return k, k.fill(seed(fmt.Sprint(fqdn(z.apex), " ", alg, " ", label)))
}

// fill makes the two halves of the key from a seed.
func (k *key) fill(s seed) error {
	var public []byte
	var err error
	switch k.Algorithm {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512:
		private := s.rsa()
		public = append([]byte{3, 1, 0, 1}, private.N.Bytes()...)
		k.signer = private
	case dns.ECDSAP256SHA256:
		k.signer, public, err = s.ecdsa(elliptic.P256(), 32)
	case dns.ECDSAP384SHA384:
		k.signer, public, err = s.ecdsa(elliptic.P384(), 48)
	case dns.ED25519:
		private := ed25519.NewKeyFromSeed(s.octets(ed25519.SeedSize, 0))
		k.signer, public = private, private.Public().(ed25519.PublicKey)
	default:
		public = s.octets(32, 0)
	}
	k.PublicKey = base64.StdEncoding.EncodeToString(public)
	return err
}

// sign fills in the signature and what the RRset says. Where nobody knows the algorithm it is random octets.
func (k *key) sign(sig *dns.RRSIG, rrset []dns.RR) {
	if k.signer == nil {
		k.signJunk(sig, rrset)
		return
	}
	if err := sig.Sign(k.signer, rrset); err != nil {
		panic(fmt.Sprintf("dnstest: signing %s: %v", rrset[0], err)) // the text was checked
	}
}

func (k *key) signJunk(sig *dns.RRSIG, rrset []dns.RR) {
	sig.Algorithm = dns.ED25519
	sig.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), rrset)
	sig.Algorithm, sig.Signature = k.Algorithm, junkLike(sig.Signature, 0)
}

// addKeys adds what a signed zone has at its apex.
func (z *authZone) addKeys(header func(uint16) dns.RR_Header) {
	if _, ok := z.fault(kindNoDNSKEY); !ok {
		for _, k := range z.keys {
			z.add(k.DNSKEY)
		}
	}
	if z.signing.nsec3 {
		z.add(&dns.NSEC3PARAM{Hdr: header(dns.TypeNSEC3PARAM), Hash: dns.SHA1, Iterations: z.signing.iterations,
			SaltLength: uint8(len(z.signing.salt) / 2), Salt: z.signing.salt})
	}
}

// delegationSigners are the DS records that the zone's parent has.
func (z *authZone) delegationSigners() []*dns.DS {
	if _, ok := z.fault(kindNoDS); ok || z.signing == nil || z.signing.island {
		return nil
	}
	return z.signers()
}

// signers are the DS records of the zone.
func (z *authZone) signers() (out []*dns.DS) {
	for _, k := range z.keys {
		if k.role.hasDS {
			for _, digest := range z.signing.digests {
				out = append(out, z.delegationSigner(k, digest))
			}
		}
	}
	return out
}

func (z *authZone) delegationSigner(k *key, digest uint8) *dns.DS {
	ds := k.ToDS(digest)
	if ds == nil { // a digest that nobody knows
		ds = k.ToDS(dns.SHA256)
		ds.DigestType = digest
	}
	if _, ok := z.fault(kindBadDS); ok {
		last := len(ds.Digest) - 2
		ds.Digest = ds.Digest[:last] + map[bool]string{true: "01", false: "00"}[ds.Digest[last:] == "00"]
	}
	return ds
}

// seed is where a key comes from.
type seed string

// octets are n octets that nobody would guess, always the same; the turn gives others.
func (s seed) octets(n, turn int) (out []byte) {
	for i := 0; len(out) < n; i++ {
		block := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte(s), uint64(turn)), uint64(i))
		sum := sha256.Sum256(block)
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func (s seed) ecdsa(curve elliptic.Curve, size int) (*ecdsa.PrivateKey, []byte, error) {
	for turn := range 100 { // a number above the order of the curve is no key
		if private, err := ecdsa.ParseRawPrivateKey(curve, s.octets(size, turn)); err == nil {
			public, err := private.PublicKey.Bytes()
			return private, public[1:], err
		}
	}
	return nil, nil, fmt.Errorf("no key of %s", curve.Params().Name)
}

// rsaBits is the size of RSA keys: as small as everybody still takes, for they are made in tests.
const rsaBits = 1280

func (s seed) rsa() *rsa.PrivateKey {
	e := big.NewInt(65537)
	for turn := 0; ; turn++ {
		p, q := s.prime(2*turn), s.prime(2*turn+1)
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		private := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
		private.Precompute()
		return private
	}
}

// prime is the next prime after a number that begins with two set bits, so that the product of two has all its bits.
func (s seed) prime(turn int) *big.Int {
	b := s.octets(rsaBits/16, turn)
	b[0] |= 0xC0
	b[len(b)-1] |= 1
	p := new(big.Int).SetBytes(b)
	for !p.ProbablyPrime(10) {
		p.Add(p, big.NewInt(2))
	}
	return p
}

// flipped is a signature with one wrong bit.
func flipped(signature string) string {
	b, _ := base64.StdEncoding.DecodeString(signature)
	if len(b) > 0 {
		b[len(b)/2] ^= 1
	}
	return base64.StdEncoding.EncodeToString(b)
}

// junkLike is a wrong signature as long as a right one.
func junkLike(signature string, n int) string {
	b, _ := base64.StdEncoding.DecodeString(signature)
	return base64.StdEncoding.EncodeToString(seed(strings.ToUpper(signature)).octets(len(b), n))
}
