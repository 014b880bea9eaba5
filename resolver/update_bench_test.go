package resolver_test

import (
	"fmt"
	"net/netip"
	"testing"

	"cenote/dnsname"
	"cenote/resolver"
	"cenote/rrcache"
)

// manySources is a configuration with as many stubs, and negative anchors, and a twentieth of that of forwarded zones. salt changes one stub.
func manySources(cache *rrcache.Cache, n, salt int) resolver.Config {
	c := &resolver.Recursion{Never: []netip.Prefix{}}
	at := netip.MustParseAddrPort("192.0.2.53:53")
	zone := func(format string, i int) dnsname.Name { return dnsname.MustParse(fmt.Sprintf(format, i)).Canonical() }
	for i := range n {
		c.Stubs = append(c.Stubs, resolver.Stub{Zone: zone("s%d.stub.test", i), Servers: []netip.AddrPort{at}})
		c.Negative = append(c.Negative, resolver.NegativeAnchor{Name: zone("n%d.broken.test", i)})
	}
	for i := range n / 20 {
		c.Forwards = append(c.Forwards, resolver.Forward{Zone: zone("f%d.forward.test", i), Upstreams: []resolver.Upstream{{Addr: at}}})
	}
	c.Stubs[n/2].Zone = zone("changed%d.stub.test", salt)
	return resolver.Config{Cache: cache, Recursion: c}
}

// BenchmarkUpdate is a reload of the configuration with 4,000 stubs and negative anchors and 200 forwarded zones, of which one has changed.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{500, 4000} {
		b.Run(fmt.Sprintf("stubs=%d", n), func(b *testing.B) {
			cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
			if err != nil {
				b.Fatal(err)
			}
			r, err := resolver.New(manySources(cache, n, 0))
			if err != nil {
				b.Fatal(err)
			}
			configs := []resolver.Config{manySources(cache, n, 1), manySources(cache, n, 0)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := r.Update(configs[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDelegation finds whom to ask for a name beside 4,000 stubs and 200 forwarded zones, none of which is its own, as each question does several times.
func BenchmarkDelegation(b *testing.B) {
	cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
	if err != nil {
		b.Fatal(err)
	}
	r, err := resolver.New(manySources(cache, 4000, 0))
	if err != nil {
		b.Fatal(err)
	}
	name := dnsname.MustParse("www.example.com")
	b.ReportAllocs()
	for b.Loop() {
		r.Delegation(name)
	}
}
