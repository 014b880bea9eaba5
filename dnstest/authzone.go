package dnstest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// authZone is the data of one zone, whole: with its SOA, its delegations and their glue, and its keys. It is not changed once it is built,
// but for the signatures, which are made as they are asked for.
type authZone struct {
	apex    dnsname.Name
	nodes   map[dnsname.Name]rrsets // owners and the empty non-terminals above them
	signing *signing                // nil if the zone is not signed
	keys    []*key
	faults  []*signFault
	now     func() time.Time

	chain func() denials // NSEC or NSEC3, made once
	mu    sync.Mutex     // guards sigs
	sigs  map[sigKey][]dns.RR
}

// rrsets are the records at a name, by type.
type rrsets map[uint16][]dns.RR

// build makes all zones of a plan.
func build(p *plan, now func() time.Time) ([]*authZone, error) {
	var zones []*authZone
	for _, zp := range p.zones {
		z := &authZone{apex: zp.apex, nodes: map[dnsname.Name]rrsets{}, signing: zp.signing, now: now, sigs: map[sigKey][]dns.RR{}}
		for _, rr := range zp.records {
			z.add(rr)
		}
		zones = append(zones, z)
	}
	for i, zp := range p.zones {
		if err := zones[i].makeKeys(zp, p.signing); err != nil {
			return nil, fmt.Errorf("zone %s: %w", zp.apex, err)
		}
	}
	for i, zp := range p.zones {
		zones[i].addApex(zp, p)
	}
	for i, zp := range p.zones {
		p.delegate(zp, zones[i], zones)
	}
	p.addAddresses(zones)
	for _, z := range zones {
		z.chain = sync.OnceValue(z.makeChain)
	}
	return zones, nil
}

// add puts a record in its place.
func (z *authZone) add(rr dns.RR) {
	name, err := parseName(rr.Header().Name)
	if err != nil {
		panic(err) // the text was checked
	}
	for n := name; n != z.apex && z.nodes[n] == nil; n = n.Parent() {
		z.nodes[n] = rrsets{}
	}
	if z.nodes[name] == nil {
		z.nodes[name] = rrsets{}
	}
	t := rr.Header().Rrtype
	z.nodes[name][t] = append(z.nodes[name][t], rr)
}

// has reports whether there is an RRset.
func (z *authZone) has(name dnsname.Name, t uint16) bool { return len(z.nodes[name][t]) > 0 }

// addApex adds the SOA, NS and keys that the text does not give.
func (z *authZone) addApex(zp *zonePlan, p *plan) {
	h := func(t uint16) dns.RR_Header {
		return dns.RR_Header{Name: fqdn(z.apex), Rrtype: t, Class: dns.ClassINET, Ttl: zp.ttl}
	}
	if !z.has(z.apex, dns.TypeSOA) {
		z.add(&dns.SOA{Hdr: h(dns.TypeSOA), Ns: fqdn(zp.servers[0]), Mbox: "hostmaster." + strings.TrimPrefix(fqdn(z.apex), "."), Serial: 1,
			Refresh: 7200, Retry: 900, Expire: 1209600, Minttl: 60})
	}
	if !z.has(z.apex, dns.TypeNS) {
		for _, server := range p.serversOf(z.apex) {
			z.add(&dns.NS{Hdr: h(dns.TypeNS), Ns: fqdn(server)})
		}
	}
	if z.signing != nil {
		z.addKeys(h)
	}
}

// serversOf are the names of all servers of a zone, which may stand in the text several times.
func (p *plan) serversOf(apex dnsname.Name) (out []dnsname.Name) {
	for _, zp := range p.zones {
		if zp.apex == apex {
			for _, server := range zp.servers {
				out = addNew(out, server)
			}
		}
	}
	return out
}

// delegate adds the NS, glue and DS records of a zone to the zones that its parent has in the text.
func (p *plan) delegate(zp *zonePlan, child *authZone, zones []*authZone) {
	for _, parent := range zones {
		if parent.apex != parentOf(child.apex, zones) || child.apex.IsRoot() {
			continue
		}
		ttl := zp.ttl
		if !parent.has(child.apex, dns.TypeNS) {
			for _, server := range p.serversOf(child.apex) {
				parent.add(&dns.NS{Hdr: dns.RR_Header{Name: fqdn(child.apex), Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: ttl}, Ns: fqdn(server)})
			}
		}
		if !parent.has(child.apex, dns.TypeDS) {
			for _, ds := range child.delegationSigners() {
				parent.add(ds)
			}
		}
	}
}

// parentOf is the apex of the closest zone above a zone; the root's is the root.
func parentOf(apex dnsname.Name, zones []*authZone) dnsname.Name {
	for n := apex.Parent(); !n.IsRoot(); n = n.Parent() {
		if slices.ContainsFunc(zones, func(z *authZone) bool { return z.apex == n }) {
			return n
		}
	}
	return dnsname.Root
}

// addAddresses adds the addresses of servers where the text does not: to the zone that a server's name lies in, and to those above it, where they
// are glue.
func (p *plan) addAddresses(zones []*authZone) {
	for name, addrs := range p.names {
		for _, z := range zones {
			if z.holds(name) {
				z.addAddress(name, addrs)
			}
		}
	}
}

func (z *authZone) addAddress(name dnsname.Name, addrs []netip.Addr) {
	if z.has(name, dns.TypeA) || z.has(name, dns.TypeAAAA) || z.has(name, dns.TypeCNAME) {
		return
	}
	ttl := z.nodes[z.apex][dns.TypeSOA][0].Header().Ttl
	for _, addr := range addrs {
		h := dns.RR_Header{Name: fqdn(name), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
		if addr.Is4() {
			z.add(&dns.A{Hdr: h, A: addr.AsSlice()})
			continue
		}
		h.Rrtype = dns.TypeAAAA
		z.add(&dns.AAAA{Hdr: h, AAAA: addr.AsSlice()})
	}
}

// cutAbove returns the delegation that a name lies at or below, if there is one.
func (z *authZone) cutAbove(name dnsname.Name) (cut dnsname.Name, ok bool) {
	for labels := z.apex.Labels() + 1; labels <= name.Labels(); labels++ {
		if n := name.Suffix(labels); z.has(n, dns.TypeNS) {
			return n, true
		}
	}
	return "", false
}

// dnameAbove returns the highest owner of a DNAME record strictly above a name, if there is one.
func (z *authZone) dnameAbove(name dnsname.Name) (owner dnsname.Name, ok bool) {
	for labels := z.apex.Labels(); labels < name.Labels(); labels++ {
		if n := name.Suffix(labels); z.has(n, dns.TypeDNAME) {
			return n, true
		}
	}
	return "", false
}

// encloser is the closest encloser of a name that does not exist (RFC 4592 section 3.3.1).
func (z *authZone) encloser(name dnsname.Name) dnsname.Name {
	for z.nodes[name] == nil {
		name = name.Parent()
	}
	return name
}

// holds reports whether a name lies in the zone or below it.
func (z *authZone) holds(name dnsname.Name) bool { return name == z.apex || name.IsBelow(z.apex) }

// soa is the SOA record.
func (z *authZone) soa() *dns.SOA { return z.nodes[z.apex][dns.TypeSOA][0].(*dns.SOA) }

// ttlNegative is how long a negative answer of the zone holds (RFC 2308 section 5, RFC 9077).
func (z *authZone) ttlNegative() uint32 { return min(z.soa().Hdr.Ttl, z.soa().Minttl) }
