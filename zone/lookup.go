package zone

import (
	"cenote/dnsname"
	"cenote/wire"
)

// search is one look-up in one zone.
type search struct {
	z        *Zone
	zone     uint8 // its number in the message
	m        *message
	name     []byte // canonical
	qtype    uint16
	recurses bool // referrals are not wanted
	compacts bool // what is not there is denied by records that are made on line
	wish     wish
	wild     bool // the answer comes from an asterisk, and is signed as though it did not
	offsets  [dnsname.LabelsMax + 1]uint8
	at       int  // the label of name at which the walk is; 0: all of it was found
	node     node // the last that was found: where at is not 0, the closest encloser
	rcode    int
	flags    uint16
}

// outcome is what became of a search.
type outcome uint8

const (
	outcomeData     outcome = iota // answered: data, or that there are none
	outcomeReferral                // it is for the servers of a zone below
	outcomeAlias                   // it goes on at target
)

// lookup is step 3 of RFC 1034 section 4.3.2, as RFC 4592 and RFC 6672 have changed it: it walks down from the apex, label by label, until the name is
// found, or a cut, a DNAME, or the end of what exists.
func (s *search) lookup() outcome {
	z := s.z
	labels := dnsname.Offsets(s.name, &s.offsets)
	s.node, s.wild = 0, false
	for s.at = labels - z.labels; s.at > 0; s.at-- {
		if z.flags(s.node)&flagDNAME != 0 {
			return s.substitute()
		}
		next := z.find(s.name[s.offsets[s.at-1]:])
		if next == noNode {
			return s.missing()
		}
		s.node = next
		if z.flags(next)&flagCut != 0 && (s.at > 1 || s.qtype != wire.TypeDS) {
			return s.refer()
		}
	}
	return s.found()
}

// found answers from the node of the name itself.
func (s *search) found() outcome {
	s.flags |= wire.FlagAA
	if done, ok := s.answer(s.node); ok {
		return done
	}
	s.noData()
	return outcomeData
}

// answer writes what a node, which may be an asterisk, has for the name and type.
func (s *search) answer(n node) (outcome, bool) {
	z := s.z
	if s.qtype == wire.TypeANY || s.qtype == wire.TypeRRSIG {
		return outcomeData, s.any(n)
	}
	if s.qtype == wire.TypeNSEC && s.compact(wire.SectionAnswer, s.name, s.types(n)) {
		return outcomeData, true
	}
	if set, ok := z.set(n, s.qtype); ok {
		s.put(&set, false)
		if n == 0 && s.qtype == wire.TypeNS {
			s.glue(&set, nil) // whoever asks for the servers wants to ask them
		}
		return outcomeData, true
	}
	if set, ok := z.set(n, wire.TypeCNAME); ok && s.qtype != wire.TypeNSEC { // an alias has NSEC records of its own
		s.put(&set, false)
		s.m.keep(set.first())
		return outcomeAlias, true
	}
	return outcomeData, false
}

// any answers ANY with one set (RFC 8482 section 4.1), and RRSIG with the signatures of one.
func (s *search) any(n node) bool {
	for w := s.z.sets(n); w.next(); {
		switch {
		case w.set.count == 0, s.compacts && w.set.rtype == wire.TypeNSEC: // that is what compact denial keeps to itself
		case s.qtype == wire.TypeANY, w.set.sigs > 0:
			s.put(&w.set, s.qtype == wire.TypeRRSIG)
			return true
		}
	}
	return false
}

// noData says that the name exists and has no such record (RFC 2308 section 2.2).
func (s *search) noData() {
	s.soa()
	if !s.m.do || !s.z.signed {
		return
	}
	p := proof{search: s}
	switch {
	case s.compact(wire.SectionAuthority, s.name, s.types(s.node)):
	case s.z.nsec3.inUse():
		p.noData3()
	case !p.at(s.node):
		p.cover(s.name) // an empty non-terminal lies between two names
	}
}

// missing answers for a name that does not exist: by the asterisk at its closest encloser, or with NXDOMAIN.
func (s *search) missing() outcome {
	s.flags |= wire.FlagAA
	z := s.z
	if z.flags(s.node)&flagWild != 0 {
		var buf [dnsname.WireMax]byte
		if wild := z.find(s.asterisk(&buf)); wild != noNode {
			return s.expand(wild)
		}
	}
	if s.qtype == wire.TypeNSEC && s.m.do && s.compact(wire.SectionAnswer, s.name, noName) {
		return outcomeData // compact denial has such a record of every name
	}
	s.rcode = wire.RcodeNXDomain
	s.soa()
	switch p := (proof{search: s}); {
	case !s.m.do || !z.signed:
	case !s.compact(wire.SectionAuthority, s.name, noName):
		p.noName()
	case !s.m.co: // whoever does not know such answers takes the name for one without data (RFC 9824 section 5)
		s.rcode = wire.RcodeSuccess
	}
	return outcomeData
}

// encloser is the name of the closest encloser, and nextCloser the name one label longer.
func (s *search) encloser() []byte   { return s.name[s.offsets[s.at-1]+1+s.name[s.offsets[s.at-1]]:] }
func (s *search) nextCloser() []byte { return s.name[s.offsets[s.at-1]:] }

// asterisk is the name of the source of synthesis (RFC 4592 section 3.3.1). The encloser is shorter than a name that exists or is asked for, so that
// two octets more are no longer than a name may be.
func (s *search) asterisk(buf *[dnsname.WireMax]byte) []byte {
	buf[0], buf[1] = 1, '*'
	return buf[:2+copy(buf[2:], s.encloser())]
}

// expand answers from an asterisk (RFC 4592 section 3.3), with the proof that there is no closer match (RFC 4035 section 3.1.3.3).
func (s *search) expand(wild node) outcome {
	s.wild = s.compacts && s.m.do
	done, ok := s.answer(wild)
	if !ok {
		s.soa()
	}
	switch p := (proof{search: s}); {
	case !s.m.do || !s.z.signed, ok && s.wild:
	case ok:
		p.noCloser()
	case !s.compact(wire.SectionAuthority, s.name, s.types(wild)):
		p.noDataWild(wild)
	}
	return done
}

// soa writes the SOA record at the TTL of negative answers (RFC 2308 section 3).
func (s *search) soa() {
	s.m.set(wire.SectionAuthority, []byte(s.z.apex), &s.z.soa, s.z.minimum)
}

// refer answers with the servers of the zone below, whether it is signed, and their addresses.
func (s *search) refer() outcome {
	if s.recurses {
		return outcomeReferral
	}
	z := s.z
	cut := s.name[s.offsets[s.at-1]:]
	servers, _ := z.set(s.node, wire.TypeNS)
	do := s.m.do
	s.m.do = false // the servers of a cut are not ours to sign
	s.m.set(wire.SectionAuthority, cut, &servers, servers.ttl)
	s.m.do = do
	if do && z.signed {
		s.delegation(cut)
	}
	s.m.flush()
	s.m.nlate = 0
	s.glue(&servers, cut)
	return outcomeReferral
}

// delegation writes the DS records of a cut, or the proof that there are none (RFC 4035 section 3.1.4).
func (s *search) delegation(cut []byte) {
	if ds, ok := s.z.set(s.node, wire.TypeDS); ok {
		s.m.set(wire.SectionAuthority, cut, &ds, ds.ttl)
		return
	}
	p := proof{search: s}
	switch {
	case s.compact(wire.SectionAuthority, cut, s.types(s.node)):
	case s.z.nsec3.inUse():
		p.noDelegation3(cut)
	default:
		p.at(s.node)
	}
}

// glue writes the addresses of servers that this zone knows: first those below the cut, without which nobody gets there and a reply is not whole
// (RFC 9471 section 3.1), then the others as far as they fit.
func (s *search) glue(servers *set, cut []byte) {
	var lower [dnsname.WireMax]byte
	for _, required := range [...]bool{true, false} {
		rest := servers.records
		for range servers.count {
			var data []byte
			data, rest = cutRecord(rest)
			target := lower[:len(data)]
			dnsname.Lower(target, data)
			if (cut != nil && isWithin(target, cut)) == required && isWithin(target, []byte(s.z.apex)) {
				s.addresses(target, required)
			}
		}
	}
}

func (s *search) addresses(target []byte, required bool) {
	n := s.z.find(target)
	if n == noNode {
		return
	}
	for _, rtype := range [...]uint16{wire.TypeA, wire.TypeAAAA} {
		set, ok := s.z.set(n, rtype)
		switch {
		case !ok:
		case required:
			s.m.set(wire.SectionAdditional, target, &set, set.ttl)
		default:
			s.m.optional(target, &set)
		}
	}
}

// isWithin reports whether name equals or lies below parent; both are canonical.
func isWithin(name, parent []byte) bool {
	skip := len(name) - len(parent)
	at := 0
	for at < skip {
		at += 1 + int(name[at])
	}
	return at == skip && string(name[at:]) == string(parent)
}

// substitute answers by the DNAME record of an ancestor, with the CNAME record that old clients need (RFC 6672 section 3.2).
func (s *search) substitute() outcome {
	s.flags |= wire.FlagAA
	set, _ := s.z.set(s.node, wire.TypeDNAME)
	owner := s.encloser()
	if s.m.isNew(s.zone, s.node, wire.TypeDNAME) {
		s.m.set(wire.SectionAnswer, owner, &set, set.ttl)
	}
	data := set.first()
	kept := len(s.name) - len(owner)
	if kept+len(data) > dnsname.WireMax {
		s.rcode = wire.RcodeYXDomain
		return outcomeData
	}
	var buf [dnsname.WireMax]byte
	target := append(append(buf[:0], s.name[:kept]...), data...)
	s.m.record(wire.SectionAnswer, s.name, wire.TypeCNAME, set.ttl, target)
	if s.qtype == wire.TypeCNAME {
		return outcomeData // the record that was made is what was asked for
	}
	s.m.keep(target)
	return outcomeAlias
}
