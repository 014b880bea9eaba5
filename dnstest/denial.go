package dnstest

import (
	"encoding/hex"
	"slices"
	"strings"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// denials prove what a signed zone does not have: NSEC (RFC 4035 section 3.1.3) or NSEC3 (RFC 5155 section 7.2).
type denials interface {
	noName(name, encloser dnsname.Name) []dns.RR
	noType(name, at dnsname.Name) []dns.RR
	wildcard(name, encloser dnsname.Name) []dns.RR
	others(proof []dns.RR) []dns.RR // as many records of the zone that prove something else
	all() []dns.RR
}

// proveNoName proves that neither a name nor a wildcard for it exists.
func (z *authZone) proveNoName(name, encloser dnsname.Name) []dns.RR {
	if z.signing == nil {
		return nil
	}
	return z.spoilProof(name, z.chain().noName(name, encloser))
}

// proveNoType proves that a name has no records of the type; at is the wildcard if the name itself does not exist.
func (z *authZone) proveNoType(name, at dnsname.Name) []dns.RR {
	if z.signing == nil {
		return nil
	}
	return z.spoilProof(name, z.chain().noType(name, at))
}

// proveWildcard proves that a name does not exist, so that the wildcard below the encloser stands for it.
func (z *authZone) proveWildcard(name, encloser dnsname.Name) []dns.RR {
	if z.signing == nil {
		return nil
	}
	return z.spoilProof(name, z.chain().wildcard(name, encloser))
}

// nsecAt is the NSEC record of a name, if the zone has one.
func (z *authZone) nsecAt(name dnsname.Name) []dns.RR {
	if z.signing == nil {
		return nil
	}
	c, ok := z.chain().(*nsecChain)
	if !ok {
		return nil
	}
	if i := c.index(name); c.names[i] == name {
		return []dns.RR{c.record(i)}
	}
	return nil
}

func (z *authZone) makeChain() denials {
	var names []dnsname.Name
	for name, node := range z.nodes {
		cut, below := z.cutAbove(name)
		if len(node) > 0 && (!below || cut == name) {
			names = append(names, name)
		}
	}
	if z.signing.nsec3 {
		return makeNSEC3(z, names)
	}
	slices.SortFunc(names, dnsname.Compare)
	chain := &nsecChain{z, names}
	if z.signing.compact {
		return &compactDenials{chain}
	}
	return chain
}

// typesAt are the types that a zone has at a name: above a cut only those of the parent's side.
func (z *authZone) typesAt(name dnsname.Name) (types []uint16) {
	_, isCut := z.cutAbove(name)
	for t := range z.nodes[name] {
		if !isCut || t == dns.TypeNS || t == dns.TypeDS {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return types
}

// nsecChain is the names of a zone that have NSEC records, in canonical order.
type nsecChain struct {
	z     *authZone
	names []dnsname.Name
}

// index finds the record that matches a name or covers it.
func (c *nsecChain) index(name dnsname.Name) int {
	i, found := slices.BinarySearchFunc(c.names, name, dnsname.Compare)
	if !found {
		i--
	}
	return i
}

func (c *nsecChain) record(i int) dns.RR {
	types := append(c.z.typesAt(c.names[i]), dns.TypeRRSIG, dns.TypeNSEC)
	slices.Sort(types)
	return &dns.NSEC{Hdr: dns.RR_Header{Name: fqdn(c.names[i]), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: c.z.ttlNegative()},
		NextDomain: fqdn(c.names[(i+1)%len(c.names)]), TypeBitMap: types}
}

func (c *nsecChain) noName(name, encloser dnsname.Name) []dns.RR {
	proof := []dns.RR{c.record(c.index(name))}
	if star, err := encloser.Child("*"); err == nil {
		proof = append(proof, c.record(c.index(star)))
	}
	return proof
}

func (c *nsecChain) noType(name, at dnsname.Name) []dns.RR {
	proof := []dns.RR{c.record(c.index(at))}
	if at != name {
		proof = append(proof, c.record(c.index(name)))
	}
	return proof
}

func (c *nsecChain) wildcard(name, _ dnsname.Name) []dns.RR {
	return []dns.RR{c.record(c.index(name))}
}

func (c *nsecChain) others(proof []dns.RR) (out []dns.RR) {
	for i := range c.names {
		out = appendOther(out, proof, c.record(i))
	}
	return out
}

func (c *nsecChain) all() (out []dns.RR) {
	for i := range c.names {
		out = append(out, c.record(i))
	}
	return out
}

// compactDenials prove of each name that is asked for what is not there, as if it were: the next name is the first below it (RFC 9824 section 3).
type compactDenials struct{ *nsecChain }

// typeNXNAME stands in the record of a name that is not there (RFC 9824 section 2).
const typeNXNAME = 128

func (c *compactDenials) at(name dnsname.Name, types ...uint16) []dns.RR {
	return []dns.RR{&dns.NSEC{Hdr: dns.RR_Header{Name: fqdn(name), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: c.z.ttlNegative()},
		NextDomain: `\000.` + fqdn(name), TypeBitMap: append(types, dns.TypeRRSIG, dns.TypeNSEC)}}
}

func (c *compactDenials) noName(name, _ dnsname.Name) []dns.RR {
	rr := c.at(name)[0].(*dns.NSEC)
	rr.TypeBitMap = append(rr.TypeBitMap, typeNXNAME)
	return []dns.RR{rr}
}

func (c *compactDenials) noType(name, at dnsname.Name) []dns.RR {
	return c.at(name, c.z.typesAt(at)...)
}

// appendOther adds a record of the zone if it is not in the proof, until there are as many.
func appendOther(out, proof []dns.RR, rr dns.RR) []dns.RR {
	same := func(have dns.RR) bool { return dns.IsDuplicate(have, rr) }
	if len(out) < len(proof) && !slices.ContainsFunc(proof, same) {
		out = append(out, rr)
	}
	return out
}

// nsec3Chain is the hashes of a zone's names, in order.
type nsec3Chain struct {
	z      *authZone
	hashes []string
	names  map[string]dnsname.Name
}

// makeNSEC3 hashes the names and the empty non-terminals above them; with opt-out, delegations without DS and what stands above them alone
// are left out (RFC 5155 section 7.1).
func makeNSEC3(z *authZone, names []dnsname.Name) *nsec3Chain {
	c := &nsec3Chain{z: z, names: map[string]dnsname.Name{}}
	for _, name := range names {
		if _, isCut := z.cutAbove(name); isCut && z.signing.optOut && !z.has(name, dns.TypeDS) {
			continue
		}
		for ; name != z.apex; name = name.Parent() {
			c.names[c.hash(name)] = name
		}
		c.names[c.hash(name)] = name
	}
	for hash := range c.names {
		c.hashes = append(c.hashes, hash)
	}
	slices.Sort(c.hashes)
	return c
}

func (c *nsec3Chain) hash(name dnsname.Name) string {
	return dns.HashName(fqdn(name), dns.SHA1, c.z.signing.iterations, c.z.signing.salt)
}

func (c *nsec3Chain) record(i int) dns.RR {
	s := c.z.signing
	name := c.names[c.hashes[i]]
	types := c.z.typesAt(name)
	if _, isCut := c.z.cutAbove(name); len(types) > 0 && (!isCut || c.z.has(name, dns.TypeDS)) {
		types = append(types, dns.TypeRRSIG)
		slices.Sort(types)
	}
	rr := &dns.NSEC3{Hash: dns.SHA1, Iterations: s.iterations, SaltLength: uint8(hex.DecodedLen(len(s.salt))), Salt: s.salt,
		HashLength: 20, NextDomain: c.hashes[(i+1)%len(c.hashes)], TypeBitMap: types}
	owner := strings.ToLower(c.hashes[i]) + "." + strings.TrimPrefix(fqdn(c.z.apex), ".")
	rr.Hdr = dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: c.z.ttlNegative()}
	if s.optOut {
		rr.Flags = 1
	}
	return rr
}

// match is the record of a name, none if it has none.
func (c *nsec3Chain) match(name dnsname.Name) []dns.RR {
	if i, found := slices.BinarySearch(c.hashes, c.hash(name)); found {
		return []dns.RR{c.record(i)}
	}
	return nil
}

// cover is the record that proves that a name has none.
func (c *nsec3Chain) cover(name dnsname.Name) []dns.RR {
	i, _ := slices.BinarySearch(c.hashes, c.hash(name))
	return []dns.RR{c.record((i - 1 + len(c.hashes)) % len(c.hashes))}
}

// closest proves the closest encloser that has a record (RFC 5155 section 7.2.1).
func (c *nsec3Chain) closest(name dnsname.Name) (proof []dns.RR, encloser dnsname.Name) {
	next := name
	for encloser = name.Parent(); len(c.match(encloser)) == 0; encloser = encloser.Parent() {
		next = encloser
	}
	return append(c.match(encloser), c.cover(next)...), encloser
}

func (c *nsec3Chain) noName(name, _ dnsname.Name) []dns.RR {
	proof, encloser := c.closest(name)
	if star, err := encloser.Child("*"); err == nil {
		proof = append(proof, c.cover(star)...)
	}
	return proof
}

func (c *nsec3Chain) noType(name, at dnsname.Name) []dns.RR {
	if at != name {
		proof, _ := c.closest(name)
		return append(proof, c.match(at)...)
	}
	if proof := c.match(name); len(proof) > 0 {
		return proof
	}
	proof, _ := c.closest(name)
	return proof
}

func (c *nsec3Chain) wildcard(name, encloser dnsname.Name) []dns.RR {
	return c.cover(name.Suffix(encloser.Labels() + 1))
}

func (c *nsec3Chain) others(proof []dns.RR) (out []dns.RR) {
	for i := range c.hashes {
		out = appendOther(out, proof, c.record(i))
	}
	return out
}

func (c *nsec3Chain) all() (out []dns.RR) {
	for i := range c.hashes {
		out = append(out, c.record(i))
	}
	return out
}
