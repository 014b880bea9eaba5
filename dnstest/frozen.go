package dnstest

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// Frozen is a zone of a tree as it is at one moment, to be served by somebody else.
type Frozen struct {
	Zone    string       // as in the text of a tree
	File    string       // a master file: all records, the chain of NSEC or NSEC3, and all signatures
	Servers []netip.Addr // where the tree has it served
}

// Freeze returns all zones of the tree. Faults of signing are in them but for those that change single proofs; faults of servers are not. Of a zone that stands in the
// text several times it is the first.
func (t *Tree) Freeze() (out []Frozen) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := map[dnsname.Name]bool{}
	for i, z := range t.zones {
		if seen[z.apex] {
			continue
		}
		seen[z.apex] = true
		f := Frozen{Zone: cmp.Or(strings.TrimSuffix(fqdn(z.apex), "."), "."), File: z.masterFile()}
		for _, server := range t.plan.zones[i].servers {
			f.Servers = append(f.Servers, t.plan.names[server]...)
		}
		out = append(out, f)
	}
	return out
}

// masterFile writes the zone down.
func (z *authZone) masterFile() string {
	var b strings.Builder
	put := func(rrs []dns.RR) {
		for _, rr := range rrs {
			b.WriteString(rr.String() + "\n")
		}
	}
	put(z.nodes[z.apex][dns.TypeSOA])
	for _, name := range slices.SortedFunc(maps.Keys(z.nodes), dnsname.Compare) {
		for _, t := range slices.Sorted(maps.Keys(z.nodes[name])) {
			rrs := z.nodes[name][t]
			if t != dns.TypeSOA {
				put(rrs)
			}
			if cut, below := z.cutAbove(name); !below || cut == name && t == dns.TypeDS {
				put(z.sign(rrs))
			}
		}
	}
	if z.signing != nil {
		for _, rr := range z.chain().all() {
			put([]dns.RR{rr})
			put(z.sign([]dns.RR{rr}))
		}
	}
	return b.String()
}
