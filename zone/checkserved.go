package zone

import (
	"encoding/binary"
	"slices"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// kept are the records that are served: signatures of what is not there are left out.
func (c *checker) kept(records []Record) []Record {
	return withoutOrphans(slices.Clone(records))
}

// checkServed looks at what records say of others, by looking those up as a query does.
func (c *checker) checkServed(z *Zone, records []Record) {
	for i := range records {
		r := &records[i]
		n := z.find([]byte(r.Owner))
		if n == noNode || z.flags(n)&flagBelow != 0 {
			c.checkHidden(z, r)
			continue
		}
		switch r.Type {
		case wire.TypeNS:
			c.checkServer(z, r, []byte(r.Owner))
		case wire.TypeMX, wire.TypeSRV:
			c.checkTarget(z, r)
		}
	}
	if z.signed {
		c.checkSigned(z, records)
	}
}

// checkHidden tells of records that nobody finds because a DNAME record stands above them.
func (c *checker) checkHidden(z *Zone, r *Record) {
	for n := r.Owner.Parent(); n != c.apex && len(n) > 1; n = n.Parent() {
		if at := z.find([]byte(n)); at != noNode && z.flags(at)&flagDNAME != 0 {
			c.fault(r.Line, c.mendable(), "%s lies below the DNAME record of %s, which stands for all that is there", r.Owner, n)
			return
		}
	}
}

// checkServer looks at the target of an NS record of a cut or of the apex.
func (c *checker) checkServer(z *Zone, r *Record, cut []byte) {
	target, n, found := c.follow(z, r.Data)
	switch {
	case !isWithin(target, []byte(c.apex)):
	case found && z.has(n, wire.TypeCNAME):
		c.fault(r.Line, c.mendable(), "%s NS %s: that name is an alias (CNAME), which a name server must not be (RFC 2181 section 10.3)", r.Owner, dnsname.Name(target))
	case found && (z.has(n, wire.TypeA) || z.has(n, wire.TypeAAAA)):
	case c.elsewhere(z, target, cut):
	case isWithin(target, cut) && string(cut) != string(c.apex):
		c.fault(r.Line, SeverityWarning, "%s NS %s: glue is missing: the name lies below the cut and has no address record here", r.Owner, dnsname.Name(target))
	default:
		c.fault(r.Line, c.mendable(), "%s NS %s: the name has no address record (A or AAAA)", r.Owner, dnsname.Name(target))
	}
}

// checkTarget looks at the target of an MX or SRV record, which other zones may complete.
func (c *checker) checkTarget(z *Zone, r *Record) {
	data := hostTarget(r)
	if len(data) < 2 {
		return // "." says that there is no such service (RFC 7505, RFC 2782)
	}
	target, n, found := c.follow(z, data)
	switch {
	case !isWithin(target, []byte(c.apex)):
	case found && z.has(n, wire.TypeCNAME):
		c.fault(r.Line, SeverityWarning, "%s %s %s: that name is an alias (CNAME), which it should not be (RFC 2181 section 10.3)", r.Owner, typeName(r.Type), dnsname.Name(target))
	case found && (z.has(n, wire.TypeA) || z.has(n, wire.TypeAAAA)):
	case c.elsewhere(z, target, nil):
	default:
		c.fault(r.Line, SeverityWarning, "%s %s %s: the name has no address record (A or AAAA)", r.Owner, typeName(r.Type), dnsname.Name(target))
	}
}

// follow finds the name that a record leads to, or the asterisk that stands for it.
func (c *checker) follow(z *Zone, data []byte) (target []byte, n node, found bool) {
	target = make([]byte, len(data))
	dnsname.Lower(target, data)
	if !isWithin(target, []byte(c.apex)) {
		return target, noNode, false
	}
	if n = z.find(target); n != noNode {
		return target, n, true
	}
	for parent := dnsname.Name(target).Parent(); parent == c.apex || parent.IsBelow(c.apex); parent = parent.Parent() {
		if z.find([]byte(parent)) == noNode {
			continue
		}
		n = z.find(append([]byte{1, '*'}, parent...))
		return target, n, n != noNode
	}
	return target, noNode, false
}

// elsewhere reports whether a name lies below another cut than the given one, or a DNAME record: then this zone need not know it.
func (c *checker) elsewhere(z *Zone, target, cut []byte) bool {
	for name := dnsname.Name(target); name != c.apex && len(name) > 1; name = name.Parent() {
		n := z.find([]byte(name))
		if n != noNode && z.flags(n)&(flagCut|flagDNAME) != 0 && string(name) != string(cut) {
			return true
		}
	}
	return false
}

// checkSigned looks at the signatures of a signed zone. None of it keeps the zone from being served: a signature that is missing harms one set, a zone that
// is missing harms all.
func (c *checker) checkSigned(z *Zone, records []Record) {
	tags := c.keyTags(z)
	for i := range records {
		r := &records[i]
		n := z.find([]byte(r.Owner))
		if n == noNode && r.Type == wire.TypeNSEC3 {
			continue
		}
		if r.Type == wire.TypeRRSIG {
			c.checkSignature(r, tags)
			continue
		}
		if i > 0 && records[i-1].Owner == r.Owner && covered(&records[i-1]) == r.Type || n == noNode || !signedHere(z, n, r.Type) {
			continue
		}
		if set, _ := z.set(n, r.Type); set.sigs == 0 {
			c.fault(r.Line, SeverityWarning, "%s %s: the zone is signed, and this set is not", r.Owner, typeName(r.Type))
		}
	}
	c.checkDenial(z, records)
}

// checkDenial looks at how the zone proves what it does not have.
func (c *checker) checkDenial(z *Zone, records []Record) {
	par, hashed := z.set(0, typeNSEC3PAR)
	switch {
	case hashed:
		c.checkNSEC3(z, par.first(), lineOf(records, typeNSEC3PAR))
		if z.nsec3.inUse() {
			c.checkHashes(z, records)
		}
	case len(z.nsecs) > 0:
		c.checkNSEC(z, records)
	default:
		c.fault(0, SeverityWarning, "%s is signed, and has neither NSEC nor NSEC3 records: nothing that is not there can be proved", c.apex)
	}
}

// signedHere reports whether the zone signs a set: what is at a cut belongs to the zone below, but for DS and NSEC.
func signedHere(z *Zone, n node, rtype uint16) bool {
	flags := z.flags(n)
	return flags&flagBelow == 0 && (flags&flagCut == 0 || rtype == wire.TypeDS || rtype == wire.TypeNSEC)
}

func (c *checker) keyTags(z *Zone) map[uint16]bool {
	tags := map[uint16]bool{}
	keys, _ := z.set(0, wire.TypeDNSKEY)
	rest := keys.records
	for range keys.count {
		var key []byte
		key, rest = cutRecord(rest)
		tags[dnssec.KeyTag(key)] = true
	}
	return tags
}

// checkSignature looks at the times and the key of a signature (RFC 4034 section 3.1.5: times are serial numbers).
func (c *checker) checkSignature(r *Record, tags map[uint16]bool) {
	now := uint32(c.now.Unix())
	expires, begins := binary.BigEndian.Uint32(r.Data[8:]), binary.BigEndian.Uint32(r.Data[12:])
	what := typeName(covered(r))
	switch {
	case int32(expires-now) < 0:
		c.fault(r.Line, SeverityWarning, "%s %s: the signature has expired; sign the zone again", r.Owner, what)
	case int32(now-begins) < 0:
		c.fault(r.Line, SeverityWarning, "%s %s: the signature does not hold yet", r.Owner, what)
	case !tags[binary.BigEndian.Uint16(r.Data[16:])]:
		c.fault(r.Line, SeverityWarning, "%s %s: the signature is of a key (tag %d) that is not in the zone", r.Owner, what, binary.BigEndian.Uint16(r.Data[16:]))
	}
}

func (c *checker) checkNSEC3(z *Zone, parameters []byte, line int) {
	switch iterations := binary.BigEndian.Uint16(parameters[2:]); {
	case iterations > iterationsMax:
		c.fault(line, SeverityError, "%s: NSEC3 with %d iterations; more than %d are not served, and validators take them for insecure", c.apex, iterations, iterationsMax)
	case !z.nsec3.inUse():
		c.fault(line, SeverityError, "%s: NSEC3PARAM names a chain of NSEC3 records that is not there", c.apex)
	case iterations > 0:
		c.fault(line, SeverityWarning, "%s: NSEC3 with %d iterations; RFC 9276 says 0", c.apex, iterations)
	}
}
