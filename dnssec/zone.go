package dnssec

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Zone is a zone whose keys are trusted. It does not change.
type Zone struct {
	name dnsname.Name
	keys []key
	ttl  uint32
	tag  uint16
}

// Name returns the zone's name in canonical wire form.
func (z *Zone) Name() []byte { return []byte(z.name) }

// TTL is for how many seconds the keys may be trusted, from the moment at which they were checked: neither longer than their set may be kept, nor
// longer than its signature is valid. What the DS set allows is for the caller to know.
func (z *Zone) TTL() uint32 { return z.ttl }

// SignedBy returns the tag of the key that signed the zone's keys, for traces.
func (z *Zone) SignedBy() uint16 { return z.tag }

// Digests of DS records that are computed (RFC 8624 section 3.3). SHA-1 counts only where the set has nothing better (RFC 4509 section 3).
const (
	DigestSHA1   = 1
	DigestSHA256 = 2
	DigestSHA384 = 4
)

// DigestSupported reports whether digests of a type can be computed.
func DigestSupported(digest uint8) bool {
	return digest == DigestSHA1 || digest == DigestSHA256 || digest == DigestSHA384
}

// Trust checks the DNSKEY set of a zone against DS records (their RDATA) of its parent, which the caller has checked, or of a trust anchor. Secure
// comes with the Zone. It is Insecure if no DS record has both an algorithm and a digest that are supported, and if the keys that the DS
// records stand for, or all that sign the zone's data, are RSA keys of a size that is not.
func Trust(name []byte, ds [][]byte, keys *Set, now time.Time, w *Work) (*Zone, Verdict) {
	if len(ds) == 0 {
		return nil, Verdict{Indeterminate, CodeIndeterminate, "there is no DS record to check keys against"}
	}
	usable, v := usableDS(ds)
	if v.Status != Secure {
		return nil, v
	}
	z, _, v := trust(name, keys, now, w, &dsAnchors{zone: dnsname.Name(name), ds: usable})
	return z, v
}

// TrustKeys is Trust for anchors that are DNSKEY records.
func TrustKeys(name []byte, anchors [][]byte, keys *Set, now time.Time, w *Work) (*Zone, Verdict) {
	if len(anchors) == 0 {
		return nil, Verdict{Indeterminate, CodeIndeterminate, "there is no trust anchor to check keys against"}
	}
	known := false
	for _, a := range anchors {
		known = known || len(a) > dnskeyFixed && AlgorithmSupported(a[3])
	}
	if !known {
		return nil, insecure(CodeAlgorithm, "no trust anchor has an algorithm that is supported")
	}
	z, _, v := trust(name, keys, now, w, keyAnchors(anchors))
	return z, v
}

// trust looks for a key that is an anchor and has signed the set of all keys. The verifier knows the signature.
func trust(name []byte, set *Set, now time.Time, w *Work, a anchors) (*Zone, *verifier, Verdict) {
	if !wellFormed(name) || !bytes.Equal(name, set.Name) || set.Type != wire.TypeDNSKEY {
		return nil, nil, bogus(CodeBogus, "the set is not the DNSKEY set of the zone")
	}
	zone := dnsname.Name(name)
	keys := parseKeys(set.RData)
	entries, v := entryKeys(zone, keys, a)
	if v.Status != Secure {
		return nil, nil, v
	}
	check := newVerifier(zone, entries, set, now, w)
	if !check.run() {
		return nil, nil, check.fault
	}
	if weak(keys) {
		return nil, nil, insecure(CodeAlgorithm, "all keys that sign the data of %s have a size that is not supported", zone)
	}
	return &Zone{name: zone, keys: keys, ttl: check.ttl(), tag: check.key.tag}, check, secure()
}

// entryKeys returns the keys that are anchors and fit, at most DSMax of them, or why there is none.
func entryKeys(zone dnsname.Name, keys []key, a anchors) ([]key, Verdict) {
	var entries []key
	fault := bogus(CodeNoKey, "none of the keys of %s is one that is trusted", zone)
	for i := range keys {
		k := &keys[i]
		if len(entries) == DSMax {
			break
		}
		if !a.match(k) {
			continue
		}
		switch k.fitness {
		case fit:
			entries = append(entries, *k)
		case noZoneKey:
			fault = bogus(CodeNoZoneKey, "key %d of %s is not a zone key", k.tag, zone)
		case unsupported:
			fault = bogus(CodeAlgorithm, "key %d of %s has a size that is not supported, and others that are trusted are missing", k.tag, zone)
		case revoked, otherProtocol, malformed:
			fault = bogus(CodeBogus, "key %d of %s is revoked, malformed or for another protocol", k.tag, zone)
		}
	}
	switch {
	case len(entries) > 0:
		return entries, secure()
	case a.unsupported(keys):
		return nil, insecure(CodeAlgorithm, "the trusted keys of %s have a size that is not supported", zone)
	}
	return nil, fault
}

// weak reports whether a zone, whose keys are proved to be its own, signs its data with keys that are not supported: it has such, and none of
// those that are supported is for anything but signing keys. A key that is merely published beside others changes nothing, or else
// everybody could make the zone insecure.
func weak(keys []key) bool {
	bad := false
	for i := range keys {
		switch k := &keys[i]; {
		case k.flags&FlagSEP != 0:
		case k.fitness == fit:
			return false
		case k.fitness == unsupported && AlgorithmSupported(k.algorithm):
			bad = true
		}
	}
	return bad
}

// a delegation is a DS record.
type delegation struct {
	tag       uint16
	algorithm uint8
	kind      uint8
	digest    []byte
}

const dsFixed = 4 // octets of DS RDATA before the digest

// usableDS returns the DS records that count, at most DSMax; if there is none, why the zone is insecure or bogus.
func usableDS(ds [][]byte) ([]delegation, Verdict) {
	var all []delegation
	read, algorithm, strong := false, false, false
	for _, r := range ds {
		if len(r) <= dsFixed {
			continue
		}
		d := delegation{binary.BigEndian.Uint16(r), r[2], r[3], r[dsFixed:]}
		read, algorithm = true, algorithm || AlgorithmSupported(d.algorithm)
		if AlgorithmSupported(d.algorithm) && DigestSupported(d.kind) {
			all, strong = append(all, d), strong || d.kind != DigestSHA1
		}
	}
	switch {
	case !read:
		return nil, bogus(CodeBogus, "all DS records are malformed")
	case !algorithm:
		return nil, insecure(CodeAlgorithm, "no DS record has an algorithm that is supported")
	case len(all) == 0:
		return nil, insecure(CodeDigest, "no DS record has a digest that is supported")
	}
	return strongest(all, strong), secure()
}

// strongest leaves SHA-1 out if there is better.
func strongest(all []delegation, strong bool) []delegation {
	var out []delegation
	for _, d := range all {
		if (d.kind != DigestSHA1 || !strong) && len(out) < DSMax {
			out = append(out, d)
		}
	}
	return out
}

// DSDigest returns the digest of a key as a DS record has it, nil if the type of digest is not supported. name is canonical.
func DSDigest(kind uint8, name, dnskey []byte) []byte {
	data := append(bytes.Clone(name), dnskey...)
	switch kind {
	case DigestSHA1:
		sum := sha1.Sum(data)
		return sum[:]
	case DigestSHA256:
		sum := sha256.Sum256(data)
		return sum[:]
	case DigestSHA384:
		sum := sha512.Sum384(data)
		return sum[:]
	}
	return nil
}
