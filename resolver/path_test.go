package resolver_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

const delegations = `
	.                  3600 SOA a.root.example. host.example. 1 3600 600 86400 60
	example.           3600 SOA ns.example. host.example. 1 3600 600 86400 60
	example.           3600 NS  a.nic.example.
	a.nic.example.     3600 A   192.0.2.1
	shop.example.       300 NS  NS1.host.example.
	shop.example.       300 NS  ns2.host.example.
	www.shop.example.   300 A   192.0.2.9
	ns1.host.example.   300 A   192.0.2.2
	ns1.host.example.   300 AAAA 2001:db8::2
	ns2.host.example.   300 CNAME ns1.host.example.
	sub.shop.example.   300 NS  ns.sub.shop.example.
	ns.sub.shop.example. 300 A  192.0.2.3
	! dead.example rcode=SERVFAIL
`

func pathText(p resolver.Path) string {
	var words []string
	for _, s := range p.Servers {
		slices.SortFunc(s.Addrs, netip.Addr.Compare)
		words = append(words, fmt.Sprint(dnsname.Name(s.Name), s.Addrs))
	}
	slices.Sort(words)
	return fmt.Sprintf("%s whole=%t", strings.Join(words, " "), p.Whole)
}

func TestPath(t *testing.T) {
	up := dnstest.Start(t, delegations)
	f := start(t, nil, up.Addr())
	path := func(name string, o resolver.PathOptions) string {
		return pathText(f.Path(context.Background(), []byte(dnsname.MustParse(name)), o))
	}
	wait := resolver.PathOptions{MinDots: 1, Addresses: true, WaitNames: true, WaitAddresses: true}
	for name, want := range map[string]string{
		"www.shop.example":     "ns1.host.example[192.0.2.2 2001:db8::2] ns2.host.example[192.0.2.2 2001:db8::2] whole=true",
		"x.y.sub.shop.example": "ns.sub.shop.example[192.0.2.3] ns1.host.example[192.0.2.2 2001:db8::2] ns2.host.example[192.0.2.2 2001:db8::2] whole=true",
		"example":              " whole=true",
		"www.dead.example":     " whole=false",
	} {
		if got := path(name, wait); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	top := wait
	top.MinDots, top.Addresses = 0, false
	if got, want := path("example", top), "a.nic.example[] whole=true"; got != want {
		t.Errorf("with top-level domains: %s, want %s", got, want)
	}
	if n := up.Asked("shop.example", dns.TypeNS); n != 1 {
		t.Errorf("shop.example was asked for %d times, want once: the answers are cached", n)
	}
}

// TestPathFromTheCache: who does not wait gets what is cached, and the rest is asked for meanwhile.
func TestPathFromTheCache(t *testing.T) {
	up := dnstest.Start(t, delegations)
	f := start(t, nil, up.Addr())
	name := []byte(dnsname.MustParse("www.shop.example"))
	o := resolver.PathOptions{MinDots: 1, Addresses: true}
	if got := pathText(f.Path(context.Background(), name, o)); got != " whole=false" {
		t.Errorf("at first: %s, want nothing", got)
	}
	want := "ns1.host.example[192.0.2.2 2001:db8::2] ns2.host.example[192.0.2.2 2001:db8::2] whole=true"
	var got string
	eventually(t, "the path is cached", func() bool {
		got = pathText(f.Path(context.Background(), name, o))
		return got == want
	})
}

// TestPathIsBounded: a name with very many labels, and a zone with very many servers, cost no more than the bounds say.
func TestPathIsBounded(t *testing.T) {
	records := "example. 3600 SOA ns.example. host.example. 1 3600 600 86400 60\n"
	for i := range 60 {
		records += fmt.Sprintf("many.example. 300 NS ns%d.example.\n", i)
	}
	f := start(t, nil, dnstest.Start(t, records).Addr())
	o := resolver.PathOptions{MinDots: 1, WaitNames: true}
	p := f.Path(context.Background(), []byte(dnsname.MustParse("many.example")), o)
	if len(p.Servers) != resolver.PathServersMax || p.Whole {
		t.Errorf("%d servers, whole %t, want %d and not", len(p.Servers), p.Whole, resolver.PathServersMax)
	}
	before := f.Stats().Asked
	if p := f.Path(context.Background(), []byte(dnsname.MustParse(strings.Repeat("a.", 60)+"example")), o); p.Whole {
		t.Error("a path of 60 zones is called whole")
	}
	if n := f.Stats().Asked - before; n != resolver.PathZonesMax {
		t.Errorf("%d questions, want %d", n, resolver.PathZonesMax)
	}
}
