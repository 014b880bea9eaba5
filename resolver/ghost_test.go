package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

const haunted = `
	zone .               server a.root.test @1
	zone test            server ns.nic.test @2
	zone ghost.test      server ns.ghost.test @3 ttl=300
`

// ghost answers everything under ghost.test, repeats in each reply who its servers are, for a week, and delegates each name below to itself.
func ghost(tree *dnstest.Tree) dnstest.Hook {
	return func(q dnstest.Query, m *dns.Msg) *dns.Msg {
		zone := "ghost.test."
		if name := strings.ToLower(q.Name); strings.HasSuffix(name, ".below.ghost.test.") {
			zone = "below.ghost.test."
		}
		record := func(format string, args ...any) dns.RR {
			rr, err := dns.NewRR(fmt.Sprintf(format, args...))
			if err != nil {
				panic(err)
			}
			return rr
		}
		at := tree.Addr("@3").Addr()
		m.Rcode, m.Authoritative, m.Answer = 0, true, []dns.RR{record("%s 1 A 192.0.2.66", q.Name)}
		m.Ns = []dns.RR{record("%s 604800 NS ns.%s", zone, zone)}
		m.Extra = append(m.Extra, record("ns.%s 604800 A %s", zone, at))
		if strings.EqualFold(q.Name, "below.ghost.test.") {
			m.Authoritative, m.Answer, m.Ns = false, nil, []dns.RR{record("below.ghost.test. 604800 NS ns.below.ghost.test.")}
			m.Extra[len(m.Extra)-1] = record("ns.below.ghost.test. 604800 A %s", at)
		}
		return m
	}
}

// A name that was taken away ends with the TTL of its delegation, whatever its servers say, and so do the zones that it delegates to itself
// (CVE-2022-30698, CVE-2022-30699, phoenix domains).
func TestGhostDomainsEnd(t *testing.T) {
	clock := newClock()
	r := startRooted(t, haunted, func(c *resolver.Config) { c.Now = clock.now })
	r.tree.Hook("@3", ghost(r.tree))
	for _, name := range []string{"www.ghost.test", "www.below.ghost.test"} {
		if got := r.ask(t, name, "A"); !strings.Contains(got, "192.0.2.66") {
			t.Fatalf("%s: got %s", name, got)
		}
	}
	gone, _, _ := strings.Cut(haunted, "zone ghost.test")
	if err := r.tree.Update(gone + "zone fake.test server ns.fake.test @3"); err != nil {
		t.Fatal(err)
	}
	for step := range 10 { // its servers are asked all the while
		clock.advance(29 * time.Second)
		for _, name := range []string{"a%d.ghost.test", "a%d.below.ghost.test"} {
			r.ask(t, fmt.Sprintf(name, step), "A")
		}
		r.ask(t, "ghost.test", "NS")
		r.ask(t, "ns.ghost.test", "A")
		r.ask(t, "ns.below.ghost.test", "A")
	}
	clock.advance(11 * time.Second)
	before := len(r.tree.Queries("@3"))
	for _, name := range []string{"www.ghost.test", "new.ghost.test", "ghost.test", "www.below.ghost.test", "new.below.ghost.test", "below.ghost.test"} {
		if got := r.ask(t, name, "A"); !strings.HasPrefix(got, "NXDOMAIN\ntest.") {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if n := len(r.tree.Queries("@3")) - before; n > 0 {
		t.Errorf("the servers of what is no more were asked %d times", n)
	}
}
