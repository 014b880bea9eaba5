package resolver

import (
	"math"
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// kind is what a reply of a zone's server means.
type kind uint8

const (
	kindLame     kind = iota // it knows nothing of the zone
	kindAnswer               // the records that were asked for
	kindAlias                // a CNAME, or a DNAME above the name
	kindNoData               // the name is there, the type is not
	kindNXDomain             // the name is not there
	kindReferral             // servers of a zone below know
)

// found is what of a reply answers a question put to the servers of a zone. Nothing of it lies outside the zone (RFC 2181 section 5.4.1, RFC 5452
// section 6).
type finding struct {
	kind    kind
	answer  []*rrset     // the sets asked for, or the CNAME, with the DNAME that it was made from before it
	target  dnsname.Name // of an alias
	soa     *rrset       // of a negative answer
	proofs  []*rrset     // NSEC and NSEC3 sets of the authority section
	child   *cut         // of a referral
	sure    bool         // the server speaks for the zone (AA)
	tooLong bool         // a DNAME makes a name out of it that is too long (RFC 6672 section 2.2)
}

// classify tells what a reply of zone's servers means for a question. name is at or below zone.
func (r *response) classify(zone, name dnsname.Name, qtype uint16) (*finding, error) {
	switch r.rcode {
	case wire.RcodeSuccess, wire.RcodeNXDomain, wire.RcodeYXDomain:
	default:
		return nil, rcodeError(r.rcode)
	}
	f := &finding{sure: r.aa}
	r.proofs(f, zone)
	switch {
	case r.redirect(f, zone, name, qtype), r.rcode != wire.RcodeYXDomain && r.direct(f, name, qtype), r.alias(f, name, qtype):
		return f, nil
	case r.rcode == wire.RcodeYXDomain:
		return nil, rcodeError(r.rcode)
	case r.rcode == wire.RcodeNXDomain:
		f.kind, f.soa = kindNXDomain, r.soa(zone, name)
	case r.referral(f, zone, name, qtype):
	default:
		if f.soa = r.soa(zone, name); f.soa != nil || r.aa && !r.pointsAway(zone) || r.saysNothing() {
			f.kind = kindNoData
			f.sure = f.sure && f.soa != nil // without its SOA (RFC 2308 section 2.2) another server may know more
		}
	}
	return f, nil
}

// saysNothing reports whether there is no record at all: that is how some servers say that a name has no such records (RFC 2308 section 2.2, type
// 3). One that offers recursion means that it is the wrong one to ask.
func (r *response) saysNothing() bool { return len(r.sets) == 0 && !r.ra }

// pointsAway reports whether a reply names servers of a zone that the one that was asked for is not in: an upward referral, by a server that knows nothing.
func (r *response) pointsAway(zone dnsname.Name) bool {
	return slices.ContainsFunc(r.sets, func(s *rrset) bool {
		return s.section == wire.SectionAuthority && s.rtype == wire.TypeNS && !atOrBelow(s.name, zone)
	})
}

// direct takes the records that were asked for.
func (r *response) direct(f *finding, name dnsname.Name, qtype uint16) bool {
	if r.aliasFirst(name, qtype) {
		return false
	}
	for _, s := range r.sets {
		if s.section == wire.SectionAnswer && s.name == name && (s.rtype == qtype || qtype == wire.TypeANY) {
			f.answer = append(f.answer, s)
		}
	}
	if qtype == wire.TypeRRSIG {
		f.answer = r.signatures(name)
	}
	if len(f.answer) > 0 {
		f.kind = kindAnswer
	}
	return len(f.answer) > 0
}

// aliasFirst reports whether a name has an alias, and behind it in the answer what was asked for, which is a fault of the zone (RFC 2181 section 10.1): what
// the server gives first counts, and for an alias that is all that there is (RFC 1034 section 4.3.2).
func (r *response) aliasFirst(name dnsname.Name, qtype uint16) bool {
	if qtype == wire.TypeANY || qtype == wire.TypeRRSIG || isDenial(qtype) {
		return false
	}
	for _, s := range r.sets {
		if s.section == wire.SectionAnswer && s.name == name && (s.rtype == qtype || s.rtype == wire.TypeCNAME) {
			return s.rtype != qtype
		}
	}
	return false
}

// signatures takes the RRSIG records of a name as an answer. Nobody signs them (RFC 4035 section 2.2).
func (r *response) signatures(name dnsname.Name) []*rrset {
	all := &rrset{name: name, rtype: wire.TypeRRSIG, section: wire.SectionAnswer, ttl: math.MaxInt32}
	for _, s := range append(slices.Clone(r.loose), r.sets...) {
		if s.section == wire.SectionAnswer && s.name == name && len(s.sigs) > 0 {
			all.rdata, all.ttl = append(all.rdata, s.sigs...), min(all.ttl, s.sigTTL)
		}
	}
	if len(all.rdata) == 0 {
		return nil
	}
	return []*rrset{all}
}

// redirect takes the DNAME above name, below which there is nothing of its own (RFC 6672 section 2.4), and makes of it the CNAME at name. Who asks
// for that has his answer; and so has who asks for a name of which it makes one that is too long: the DNAME.
func (r *response) redirect(f *finding, zone, name dnsname.Name, qtype uint16) bool {
	dname := r.dname(zone, name)
	if dname == nil {
		return false
	}
	to, ok := targetName(dname.rdata[0])
	if !ok {
		return false
	}
	prefix := name[:len(name)-len(dname.name)]
	if f.tooLong = len(prefix)+len(to) > dnsname.WireMax; f.tooLong {
		f.kind, f.answer = kindAnswer, []*rrset{dname}
		return true
	}
	if f.kind, f.target = kindAlias, prefix+to; qtype == wire.TypeCNAME || qtype == wire.TypeANY {
		f.kind = kindAnswer
	}
	made := &rrset{name: name, rtype: wire.TypeCNAME, section: wire.SectionAnswer, ttl: dname.ttl, rdata: [][]byte{[]byte(f.target)}, made: true}
	f.answer = []*rrset{dname, made}
	return true
}

// alias takes the CNAME at name.
func (r *response) alias(f *finding, name dnsname.Name, qtype uint16) bool {
	if qtype == wire.TypeCNAME || qtype == wire.TypeANY {
		return false
	}
	s := r.find(wire.SectionAnswer, name, wire.TypeCNAME)
	if s == nil {
		return false
	}
	to, ok := targetName(s.rdata[0])
	if !ok {
		return false
	}
	s.rdata = s.rdata[:1] // more than one is a fault of the zone (RFC 2181 section 10.1)
	f.kind, f.target, f.answer = kindAlias, to, []*rrset{s}
	return true
}

// dname returns the DNAME of a name strictly above name within the zone.
func (r *response) dname(zone, name dnsname.Name) *rrset {
	for _, s := range r.sets {
		if s.section == wire.SectionAnswer && s.rtype == wire.TypeDNAME && name.IsBelow(s.name) && atOrBelow(s.name, zone) {
			return s
		}
	}
	return nil
}

// soa returns the SOA that a negative answer is kept by: of a zone at or above name, and not above the zone that was asked.
func (r *response) soa(zone, name dnsname.Name) *rrset {
	for _, s := range r.sets {
		if s.section == wire.SectionAuthority && s.rtype == wire.TypeSOA && atOrBelow(name, s.name) && atOrBelow(s.name, zone) {
			return s
		}
	}
	return nil
}

// proofs takes what denies something.
func (r *response) proofs(f *finding, zone dnsname.Name) {
	for _, s := range r.sets {
		if s.section == wire.SectionAuthority && isDenial(s.rtype) && atOrBelow(s.name, zone) && len(f.proofs) < proofsMax {
			f.proofs = append(f.proofs, s)
		}
	}
}

// referral takes the name servers of the zone below on the way to name, with the addresses that the zone may give for them. What a zone
// above or beside it says is not believed, nor is an address of a name that is no server of it.
func (r *response) referral(f *finding, zone, name dnsname.Name, qtype uint16) bool {
	if r.soa(zone, name) != nil { // RFC 2308 section 2.2: no data, with the name servers beside the SOA
		return false
	}
	for _, s := range r.sets {
		if s.section != wire.SectionAuthority || s.rtype != wire.TypeNS || !s.name.IsBelow(zone) || !atOrBelow(name, s.name) {
			continue
		}
		if qtype == wire.TypeDS && s.name == name {
			f.kind = kindNoData // a parent that knows nothing of DNSSEC
			return true
		}
		f.kind, f.child = kindReferral, r.delegation(s, zone)
		f.child.proofs = r.delegationProofs(f, s.name)
		return true
	}
	return false
}

// delegation reads a cut from its NS set.
func (r *response) delegation(ns *rrset, zone dnsname.Name) *cut {
	z := &cut{zone: ns.name, parent: zone, ttl: ns.ttl}
	for _, data := range ns.rdata {
		server, ok := targetName(data)
		if !ok || len(z.servers) == serversMax {
			continue
		}
		z.servers = append(z.servers, nameServer{name: server, glue: r.glue(z, server, zone)})
	}
	return z
}

// glue returns the addresses in the additional section for a server whose name the zone holds.
func (r *response) glue(z *cut, server, zone dnsname.Name) []netip.Addr {
	if !atOrBelow(server, zone) {
		return nil
	}
	var addrs []netip.Addr
	for _, rtype := range []uint16{wire.TypeA, wire.TypeAAAA} {
		if s := r.find(wire.SectionAdditional, server, rtype); s != nil {
			addrs = append(addrs, addressesOf(s)...)
			z.ttl = min(z.ttl, s.ttl)
		}
	}
	return addrs[:min(len(addrs), glueMax)]
}

// delegationProofs returns what a referral says about DS at the cut.
func (r *response) delegationProofs(f *finding, child dnsname.Name) []*rrset {
	if ds := r.find(wire.SectionAuthority, child, wire.TypeDS); ds != nil {
		return []*rrset{ds}
	}
	return f.proofs
}
