package zone

import (
	"bytes"
	"slices"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// checkNSEC looks at the chain of NSEC records as dnssec-verify does: each name has one, which leads to the next name and has the types that are there (RFC
// 4034 section 4.1, RFC 4035 section 2.3).
func (c *checker) checkNSEC(z *Zone, records []Record) {
	var first, last node = noNode, noNode
	for n := node(0); int(n) < len(z.data); n = z.after(n) {
		if z.sets(n).left == 0 || z.flags(n)&flagBelow != 0 || z.isHash(n) {
			continue
		}
		if last != noNode {
			c.checkLink(z, records, last, n)
		}
		if last = n; first == noNode {
			first = n
		}
	}
	if last != noNode {
		c.checkLink(z, records, last, first)
	}
}

// checkLink looks at the NSEC record of one name, which should lead to next.
func (c *checker) checkLink(z *Zone, records []Record, n, next node) {
	owner := dnsname.Name(z.appendOwner(nil, n))
	set, ok := z.set(n, wire.TypeNSEC)
	if !ok {
		c.fault(lineAt(records, owner, 0), SeverityWarning, "%s: the zone has a chain of NSEC records, and this name has none", owner)
		return
	}
	line := lineAt(records, owner, wire.TypeNSEC)
	data := set.first()
	size, _, err := dnsname.Check(data)
	switch want := z.appendOwner(nil, next); {
	case set.count > 1:
		c.fault(line, SeverityWarning, "%s has %d NSEC records; a name has one", owner, set.count)
	case err != nil:
		c.fault(line, SeverityWarning, "%s NSEC: the next name cannot be read", owner)
	case dnsname.Name(data[:size]).Canonical() != dnsname.Name(want):
		c.fault(line, SeverityWarning, "%s NSEC leads to %s, and the next name is %s", owner, dnsname.Name(data[:size]), dnsname.Name(want))
	case !bytes.Equal(data[size:], dnssec.AppendTypes(nil, append(typesAt(z, n), wire.TypeRRSIG))):
		c.fault(line, SeverityWarning, "%s NSEC: its types are not those that the name has", owner)
	}
}

// checkHashes looks at the chain of NSEC3 records: each leads to the next hash, stands for a name, and has its types; and each name has one, but for those
// that opt-out leaves out (RFC 5155 section 7.1).
func (c *checker) checkHashes(z *Zone, records []Record) {
	chain := &z.nsec3
	used := make([]bool, len(chain.hashes))
	for n := node(0); int(n) < len(z.data); n = z.after(n) {
		if z.flags(n)&flagBelow == 0 && !z.isHash(n) {
			c.checkHash(z, records, n, used)
		}
	}
	for i, n := range chain.nodes {
		owner := dnsname.Name(z.appendOwner(nil, n))
		set, _ := z.set(n, wire.TypeNSEC3)
		next, _ := chain.parse(set.first())
		switch line := func() int { return lineAt(records, owner, wire.TypeNSEC3) }; {
		case !bytes.Equal(next, chain.hashes[(i+1)%len(chain.hashes)][:]):
			c.fault(line(), SeverityWarning, "%s NSEC3 does not lead to the next hash of the zone", owner)
		case !used[i]:
			c.fault(line(), SeverityWarning, "%s NSEC3 stands for no name of the zone", owner)
		}
	}
}

// checkHash looks at the NSEC3 record of one name.
func (c *checker) checkHash(z *Zone, records []Record, n node, used []bool) {
	name := z.appendOwner(nil, n)
	at, matches := z.nsec3.at(name)
	set, _ := z.set(at, wire.TypeNSEC3)
	_, bitmap := z.nsec3.parse(set.first())
	types := typesAt(z, n)
	unsigned := z.flags(n)&flagCut != 0 && !slices.Contains(types, wire.TypeDS)
	if len(types) > 0 && !unsigned {
		types = append(types, wire.TypeRRSIG)
	}
	switch {
	case matches:
		i, _ := slices.BinarySearchFunc(z.nsec3.hashes, z.nsec3.hash(name), func(a, b [hashLen]byte) int { return bytes.Compare(a[:], b[:]) })
		used[i] = true
		if !bytes.Equal(bitmap, dnssec.AppendTypes(nil, types)) {
			c.fault(lineAt(records, dnsname.Name(z.appendOwner(nil, at)), wire.TypeNSEC3), SeverityWarning, "the NSEC3 record of %s: its types are not those that the name has", dnsname.Name(name))
		}
	case set.first()[1]&1 != 0 && (unsigned || len(types) == 0): // opt-out
	default:
		c.fault(lineAt(records, dnsname.Name(name), 0), SeverityWarning, "%s: the zone has a chain of NSEC3 records, and none is for this name", dnsname.Name(name))
	}
}

// parse splits what stands behind the salt of an NSEC3 record of the chain: the next hash, and the types.
func (c *nsec3Chain) parse(data []byte) (next, types []byte) {
	rest := data[min(5+len(c.salt), len(data)):]
	if len(rest) < 1+hashLen || rest[0] != hashLen {
		return nil, nil
	}
	return rest[1 : 1+hashLen], rest[1+hashLen:]
}

// typesAt are the types that a chain tells of a name: at a cut those of the zone above alone.
func typesAt(z *Zone, n node) (out []uint16) {
	cut := z.flags(n)&flagCut != 0
	for w := z.sets(n); w.next(); {
		if t := w.set.rtype; w.set.count > 0 && (!cut || t == wire.TypeNS || t == wire.TypeDS || t == wire.TypeNSEC) {
			out = append(out, t)
		}
	}
	return out
}

// lineAt is the line of a name's first record of a type, or of any for 0. The records are sorted.
func lineAt(records []Record, owner dnsname.Name, rtype uint16) int {
	at, _ := slices.BinarySearchFunc(records, owner, func(r Record, o dnsname.Name) int { return dnsname.Compare(r.Owner, o) })
	for ; at < len(records) && records[at].Owner == owner; at++ {
		if rtype == 0 || records[at].Type == rtype {
			return records[at].Line
		}
	}
	return 0
}
