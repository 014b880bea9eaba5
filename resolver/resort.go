package resolver

import (
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"
)

// resort looks for servers of a zone beside those that its delegation leads to, where none of these helps, and reports whether there are
// more of them than before. They are: those that the zone names itself, the addresses that the parent has for a server within the zone without having given them,
// and those that the delegation of a server's own zone has. None of it is believed for longer than the delegation.
func (it *iteration) resort(z *cut) bool {
	if z.recurse {
		return false
	}
	extra := []nameServer{}
	for _, s := range it.r.cuts.own(z) {
		if !slices.ContainsFunc(z.servers, func(known nameServer) bool { return known.name == s.name }) {
			extra = append(extra, s)
		}
	}
	for _, s := range slices.Concat(z.servers, extra) {
		if s.at != nil || len(s.glue) > 0 {
			continue
		}
		addrs := it.r.cuts.glue(it.s.cutSource(s.name), s.name, it.r.now())
		if len(addrs) == 0 && atOrBelow(s.name, z.zone) {
			addrs = it.glueless(z, s.name)
		}
		if len(addrs) > 0 {
			extra = append(extra, nameServer{name: s.name, glue: addrs})
		}
	}
	before := len(it.extra[z.zone])
	it.extra[z.zone] = extra
	return len(extra) > before
}

// gluelessMax is how many servers within their own zone have their addresses asked of the parent, for one question.
const gluelessMax = 2

// glueless asks the servers of the parent of a zone for the addresses of a server within it.
func (it *iteration) glueless(z *cut, server dnsname.Name) []netip.Addr {
	parent := it.r.cuts.at(z.source, z.parent, it.r.now())
	if parent == nil || parent.zone == z.zone || it.asked == gluelessMax {
		return nil
	}
	it.asked++
	var addrs []netip.Addr
	for _, rtype := range it.s.config.Recursion.families() {
		if it.b.target() != nil {
			break
		}
		if got := it.put(parent, server, rtype); got.err == nil {
			addrs = append(addrs, got.found.glueFor(server, rtype)...)
		}
	}
	if addrs = addrs[:min(len(addrs), glueMax)]; len(addrs) > 0 {
		it.r.cuts.addGlue(z, server, addrs)
	}
	return addrs
}

// glueFor returns the addresses of one family that a reply has for a name server, be it as its answer or beside the delegation of the server's zone.
func (f *finding) glueFor(server dnsname.Name, rtype uint16) (addrs []netip.Addr) {
	switch f.kind {
	case kindAnswer:
		for _, s := range f.answer {
			addrs = append(addrs, addressesOf(s)...)
		}
	case kindReferral:
		for _, s := range f.child.servers {
			if s.name == server {
				addrs = append(addrs, s.glue...)
			}
		}
	case kindLame, kindAlias, kindNoData, kindNXDomain:
	}
	return slices.DeleteFunc(addrs, func(a netip.Addr) bool { return a.Is4() != (rtype == wire.TypeA) })
}

// servers are the servers of a zone: those of its delegation, and what resort found.
func (it *iteration) servers(z *cut) []nameServer {
	if extra := it.extra[z.zone]; len(extra) > 0 {
		return slices.Concat(z.servers, extra)
	}
	return z.servers
}

// knownMissing reports whether it is known that a name server has no address: asking again would be in vain, and costs nothing of the budget.
func (it *iteration) knownMissing(name dnsname.Name) bool {
	var buf [udpBuffer]byte
	for _, rtype := range it.s.config.Recursion.families() {
		q := it.addressQuestion(name, rtype)
		a := it.r.cache.Peek(q.key(), it.r.now().UnixNano(), buf[:])
		if a.State != rrcache.Fresh || wire.Rcode(buf[:a.Len]) == wire.RcodeServFail || len(addressesIn(buf[:a.Len], rtype)) > 0 {
			return false
		}
	}
	return true
}

// noteOwn remembers which servers a zone names itself, if others than its delegation does.
func (it *iteration) noteOwn(z *cut, got *outcome) {
	if got.err != nil || z.recurse || !got.said.aa {
		return
	}
	for _, section := range []int{wire.SectionAnswer, wire.SectionAuthority} {
		if ns := got.said.find(section, z.zone, wire.TypeNS); ns != nil {
			it.r.cuts.setOwn(z, got.said.delegation(ns, z.zone).servers)
			return
		}
	}
}
