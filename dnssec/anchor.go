package dnssec

import (
	"bytes"
	"slices"

	"cenote/dnsname"
)

// anchors are what is trusted before the keys of a zone are seen.
type anchors interface {
	// match reports whether a key is trusted.
	match(k *key) bool
	// unsupported reports whether all that is trusted are keys of a size that nobody here verifies. One that might be another is enough to
	// deny it: whoever leaves keys out of a set must not make the zone insecure.
	unsupported(keys []key) bool
}

// keyAnchors are the RDATA of DNSKEY records.
type keyAnchors [][]byte

func (a keyAnchors) match(k *key) bool {
	return slices.ContainsFunc(a, func(rdata []byte) bool { return bytes.Equal(rdata, k.rdata) })
}

func (a keyAnchors) unsupported([]key) bool {
	return !slices.ContainsFunc(a, func(rdata []byte) bool {
		k, ok := parseKey(rdata)
		return !ok || k.fitness != unsupported
	})
}

// dsAnchors are DS records.
type dsAnchors struct {
	zone    dnsname.Name
	ds      []delegation
	digests int // that were computed, which are bounded too
}

func (a *dsAnchors) match(k *key) bool {
	return slices.ContainsFunc(a.ds, func(d delegation) bool { return a.standsFor(&d, k) })
}

// standsFor reports whether a DS record is that of a key (RFC 4034 section 5.1.4).
func (a *dsAnchors) standsFor(d *delegation, k *key) bool {
	if d.tag != k.tag || d.algorithm != k.algorithm || a.digests == digestsMax {
		return false
	}
	a.digests++
	return bytes.Equal(d.digest, DSDigest(d.kind, []byte(a.zone), k.rdata))
}

func (a *dsAnchors) unsupported(keys []key) bool {
	for i := range a.ds {
		stands := func(k key) bool { return k.fitness == unsupported && a.standsFor(&a.ds[i], &k) }
		if !slices.ContainsFunc(keys, stands) {
			return false
		}
	}
	return true
}
