package resolver_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// TestIslandsAreNotTakenForTheSea: what lies below a trust anchor of its own is checked by that, though a zone above is not signed, whoever the signatures
// say that they are of.
func TestIslandsAreNotTakenForTheSea(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone plain.test      server ns.plain.test @3
		    www              A     192.0.2.5
		zone isle.plain.test server ns.isle.plain.test @4 sign island
		    www              A     192.0.2.1
		    sea              A     192.0.2.2
		    bare             A     192.0.2.3
		zone in.isle.plain.test server ns.in.isle.plain.test @5 sign
		    www              A     192.0.2.4
		! sign sea.isle.plain.test wrong-signer=plain.test
		! sign bare.isle.plain.test no-sigs
		! sign www.in.isle.plain.test no-sigs
	`)
	text := r.tree.Anchors()
	for _, ds := range r.tree.DS("isle.plain.test") {
		text += ds.String() + "\n"
	}
	anchors, err := dnssec.ParseAnchors("anchors", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	config := r.config
	config.Recursion.Anchors = anchors
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	r.tree.Hook("@4", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		for _, rr := range right.Ns { // the DS set of in.isle is called one of plain
			if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == dns.TypeDS {
				sig.SignerName = "plain.test."
			}
			if sig, ok := rr.(*dns.RRSIG); ok && strings.HasPrefix(strings.ToLower(q.Name), "none") {
				sig.SignerName = "plain.test."
			}
		}
		for _, rr := range right.Answer {
			if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == dns.TypeDS {
				sig.SignerName = "plain.test."
			}
		}
		return right
	})
	for _, c := range []struct{ name, want string }{
		{"www.plain.test", "NOERROR\n"},
		{"www.isle.plain.test", "NOERROR AD"},
		{"sea.isle.plain.test", "error"},
		{"bare.isle.plain.test", "error"},
		{"none.isle.plain.test", "error"},
		{"www.in.isle.plain.test", "error"},
	} {
		if got := r.ask(t, c.name, "A"); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	config.Recursion.Negative = []resolver.NegativeAnchor{{Name: dnsname.MustParse("plain.test")}}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "www.isle.plain.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Errorf("below a negative anchor: %s", got)
	}
}

// TestDenialsOfZonesAboveSayNothingOfOthers: that a public zone has proved that it has no such names says nothing of a zone that others are asked for.
func TestDenialsOfZonesAboveSayNothingOfOthers(t *testing.T) {
	inside := dnstest.StartTree(t, `
		zone .               server a.root.test @1
		zone intern.test     server ns.intern.test @9 sign
		    www              A     192.0.2.9
	`)
	forwarder := dnstest.Start(t, "lab.test. 300 SOA ns.lab.test. h.lab.test. 1 3600 600 86400 60\nwww.lab.test. 300 A 192.0.2.10")
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		    alpha            A     192.0.2.1
	`)
	anchor := r.tree.Anchors()
	for _, ds := range inside.DS("intern.test") {
		anchor += ds.String() + "\n"
	}
	config := r.config
	config.Recursion.Anchors, _ = dnssec.ParseAnchors("anchors", []byte(anchor))
	config.Recursion.Stubs = []resolver.Stub{{Zone: dnsname.MustParse("intern.test"), Servers: []netip.AddrPort{inside.Addr("@9")}}}
	config.Recursion.Forwards = []resolver.Forward{{Zone: dnsname.MustParse("lab.test"), Upstreams: []resolver.Upstream{{Addr: forwarder.Addr()}}}}
	config.Recursion.Negative = []resolver.NegativeAnchor{{Name: dnsname.MustParse("lab.test")}}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	r.ask(t, "beta.test", "A")
	for name, want := range map[string]string{"www.intern.test": "NOERROR AD\nwww", "www.lab.test": "NOERROR\nwww", "gamma.test": "NXDOMAIN AD"} {
		if got := r.ask(t, name, "A"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestNegativeAnchorEnds: a zone that is broken is answered while its negative anchor holds, or one above it, as one that is not signed, and is checked again once that has ended, without a
// reload.
func TestNegativeAnchorEnds(t *testing.T) {
	clock := newClock()
	r := trusting(t, signedInternet, func(c *resolver.Config) {
		c.Now = clock.now
		c.Recursion.Negative = []resolver.NegativeAnchor{
			{Name: dnsname.MustParse("bad.test"), Until: clock.now().Add(10 * time.Minute)},
			{Name: dnsname.MustParse("www.bad.test"), Until: clock.now().Add(time.Minute)}, {Name: dnsname.MustParse("bad.test"), Until: clock.now()},
		}
	})
	for range 2 {
		if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "NOERROR\n") {
			t.Errorf("while it holds: got %s", got)
		}
		clock.advance(9 * time.Minute)
	}
	if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "error") {
		t.Errorf("when it has ended: got %s", got)
	}
}

// TestNothingIsKeptPastANegativeAnchor: what was answered under it without a check is asked for again when it has ended, though its TTL has not, whether that is seen by itself or at an update;
// and what leads there by an alias is too.
func TestNothingIsKeptPastANegativeAnchor(t *testing.T) {
	for _, how := range []string{"by itself", "by an update"} {
		clock := newClock()
		begin := clock.now()
		change := func(c *resolver.Config) {
			c.Now = clock.now
			c.Recursion.Negative = []resolver.NegativeAnchor{{Name: dnsname.MustParse("bad.test"), Until: begin.Add(time.Minute)}}
		}
		r := trusting(t, signedInternet, change)
		if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "NOERROR\n") {
			t.Fatalf("while it holds: got %s", got)
		}
		if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD\n") {
			t.Fatalf("beside it: got %s", got)
		}
		clock.advance(time.Minute)
		asked := len(r.tree.Queries("*"))
		if how == "by itself" {
			r.EndNegative()
		} else {
			config := r.config
			config.Slow = time.Hour
			if err := r.Update(config); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD\n") || len(r.tree.Queries("*")) != asked {
			t.Errorf("%s: beside it: got %s with %d queries, want what was known", how, got, len(r.tree.Queries("*"))-asked)
		}
		if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "error") {
			t.Errorf("%s: when it has ended: got %s", how, got)
		}
	}
}

// TestNothingIsLoadedPastANegativeAnchor: answers that were dumped while it held are not taken when it has ended, and are while it holds.
func TestNothingIsLoadedPastANegativeAnchor(t *testing.T) {
	for after, others := range map[time.Duration]bool{time.Second: false, time.Minute: true} {
		clock := newClock()
		begin := clock.now()
		change := func(c *resolver.Config) {
			c.Now = clock.now
			c.Recursion.Negative = []resolver.NegativeAnchor{{Name: dnsname.MustParse("bad.test"), Until: begin.Add(time.Minute)}}
		}
		r := trusting(t, signedInternet, change)
		r.ask(t, "www.bad.test", "A")
		r.ask(t, "www.example.test", "A")
		var dump bytes.Buffer
		if _, err := r.cache.Dump(&dump, clock.now().UnixNano(), func() {}); err != nil {
			t.Fatal(err)
		}
		clock.advance(after)
		cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
		if err != nil {
			t.Fatal(err)
		}
		config := r.config
		config.Cache, config.Now = cache, clock.now
		if _, err := resolver.New(config); err != nil {
			t.Fatal(err)
		}
		got, err := cache.Load(&dump, clock.now().UnixNano(), func() {})
		if err != nil || got.Kept == 0 || (got.Others > 0) != others {
			t.Errorf("%v later: %+v, %v; want some left out: %v", after, got, err, others)
		}
	}
}
