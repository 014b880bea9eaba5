package resolver_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

const rebinding = `
	zone .               server a.root.test @1 sign
	zone test            server ns.nic.test @2 sign
	zone evil.test       server ns.evil.test @3 sign
	    public           A     192.0.2.1
	    ten              A     10.1.2.3
	    carrier          A     100.64.0.1
	    loop             A     127.0.0.1
	    link             A     169.254.1.1
	    office           A     172.16.1.1
	    home             A     192.168.1.1
	    nothing          A     0.0.0.0
	    unique           AAAA  fd00::1
	    mapped           AAAA  ::ffff:192.168.1.1
	    linklocal        AAAA  fe80::1
	    loop6            AAAA  ::1
	    both             A     192.0.2.1
	    both             A     10.1.2.3
	    *.wild           A     10.1.2.3
	    alias            CNAME ten
	    away             CNAME host.corp.test.
	    hint             HTTPS 1 . alpn=h2 ipv4hint=10.1.2.3
	    goodhint         HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1
	zone corp.test       server ns.corp.test @4 sign
	    host             A     10.9.9.9
	zone stub.test       server ns.stub.test @5
	    host             A     10.8.8.8
	zone sub.stub.test   server ns.sub.stub.test @5
	    host             A     10.8.8.9
`

func TestPrivateAddressesOfTheWorld(t *testing.T) {
	r := trusting(t, rebinding, func(c *resolver.Config) {
		var addresses []netip.Prefix
		for _, p := range resolver.PrivateAddresses() {
			if p.String() == "127.0.0.0/8" { // where the servers of the tree are
				p = netip.MustParsePrefix("127.0.0.1/32")
			}
			addresses = append(addresses, p)
		}
		c.Recursion.Private = &resolver.Private{Addresses: addresses, Allow: []dnsname.Name{dnsname.MustParse("corp.test").Canonical()}}
	})
	config := r.config
	config.Recursion.Stubs = []resolver.Stub{{Zone: dnsname.MustParse("stub.test").Canonical(), Servers: []netip.AddrPort{r.tree.Addr("@5")}}}
	config.Recursion.Negative = []resolver.NegativeAnchor{{Name: dnsname.MustParse("stub.test").Canonical()}}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	const none = "NOERROR\nevil.test. 60 IN SOA"
	for _, c := range []struct{ name, rtype, want string }{
		{"public.evil.test", "A", "NOERROR AD\npublic.evil.test. 300 IN A 192.0.2.1"},
		{"carrier.evil.test", "A", "NOERROR AD\ncarrier"},
		{"ten.evil.test", "A", none}, {"loop.evil.test", "A", none}, {"link.evil.test", "A", none}, {"office.evil.test", "A", none},
		{"home.evil.test", "A", none}, {"nothing.evil.test", "A", none}, {"unique.evil.test", "AAAA", none}, {"mapped.evil.test", "AAAA", none},
		{"linklocal.evil.test", "AAAA", none}, {"loop6.evil.test", "AAAA", none}, {"x.wild.evil.test", "A", none}, {"hint.evil.test", "HTTPS", none},
		{"both.evil.test", "A", "NOERROR\nboth.evil.test. 300 IN A 192.0.2.1"},
		{"alias.evil.test", "A", "NOERROR\nalias.evil.test. 300 IN CNAME ten.evil.test.\nevil.test. 60 IN SOA"},
		{"away.evil.test", "A", "NOERROR AD\naway.evil.test. 300 IN CNAME host.corp.test.\nhost.corp.test. 300 IN A 10.9.9.9"},
		{"goodhint.evil.test", "HTTPS", "NOERROR AD\ngoodhint"},
		{"host.corp.test", "A", "NOERROR AD\nhost.corp.test. 300 IN A 10.9.9.9"},
		{"host.stub.test", "A", "NOERROR\nhost.stub.test. 300 IN A 10.8.8.8"},
		{"host.sub.stub.test", "A", "NOERROR\nhost.sub.stub.test. 300 IN A 10.8.8.9"},
	} {
		for _, from := range []string{"the world", "the cache"} {
			if got := r.ask(t, c.name, c.rtype); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s %s from %s: got %s, want %s", c.name, c.rtype, from, got, c.want)
			}
		}
		if got := r.ask(t, c.name, c.rtype, "do", "cd"); c.want == none && strings.Count(got, "\n") != 1 {
			t.Errorf("%s %s for who validates himself: got %s", c.name, c.rtype, got)
		}
	}
	got, err := r.Resolve(context.Background(), &rrcache.Key{Name: []byte(dnsname.MustParse("y.wild.evil.test").Canonical()), Type: dns.TypeA, Class: dns.ClassINET}, nil)
	if err != nil || got.EDE != dns.ExtendedErrorCodeBlocked {
		t.Errorf("extended error %d (%v), want %d", got.EDE, err, dns.ExtendedErrorCodeBlocked)
	}
	if n := r.Stats().Private; n == 0 {
		t.Error("nothing was counted")
	}
}
