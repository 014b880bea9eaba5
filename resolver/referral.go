package resolver

import (
	"net/netip"
	"time"

	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"
)

// Referral tells who does not want recursion, and whose question the cache cannot answer, whom to ask: the servers of the deepest zone above the name that
// are known, or of the root as the hints have them (RFC 1034 section 4.3.2 step 4). It asks nobody. It returns nil where names are not looked for from the
// root, and below a stub, whose servers have no names.
func (r *Resolver) Referral(k *rrcache.Key) []byte {
	s, now := r.state.Load(), r.now()
	if s.config.Recursion == nil || k.Class != wire.ClassIN {
		return nil
	}
	name := parentSide(dnsname.Name(k.Name), k.Type)
	z := r.cuts.closest(s.cutSource(name), name, now)
	if stub, _ := s.stubAt(name); stub != nil && (z == nil || atOrBelow(stub.Zone, z.zone)) {
		return nil
	}
	if z == nil {
		z = s.config.Recursion.hintCut(now)
	}
	q := questionOf(k)
	return z.referral(&q, uint32(max(z.expires.Sub(now)/time.Second, 1)))
}

// referral writes the servers of a zone, and the addresses of those that lie in it, which nobody finds otherwise.
func (z *cut) referral(q *question, ttl uint32) []byte {
	m := assembly{q: q}
	servers := &rrset{name: z.zone, rtype: wire.TypeNS, ttl: ttl}
	for _, s := range z.servers {
		servers.rdata = append(servers.rdata, []byte(s.name))
	}
	if len(servers.rdata) == 0 {
		return nil
	}
	m.sets[wire.SectionAuthority] = []*rrset{servers}
	if _, err := m.write(); err != nil {
		return nil
	}
	glue := 0
	for _, s := range z.servers {
		if z.zone.IsRoot() || !atOrBelow(s.name, z.zone) {
			continue
		}
		for _, a := range s.glue {
			if m.address(s.name, a, ttl) == nil {
				glue++
			}
		}
	}
	wire.SetCount(m.out, 1+wire.SectionAdditional, glue)
	return m.out
}

// address writes an address record.
func (m *assembly) address(name dnsname.Name, a netip.Addr, ttl uint32) error {
	rtype := uint16(wire.TypeA)
	if a.Is6() {
		rtype = wire.TypeAAAA
	}
	return m.record(name, rtype, ttl, a.AsSlice())
}
