package resolver_test

import (
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestFlushForgetsWhatZonesAboveDenied: a name that is new is found once it is flushed, though the zone has proved before that it is not there.
func TestFlushForgetsWhatZonesAboveDenied(t *testing.T) {
	const text = `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    alpha            A     192.0.2.1
	`
	r := trusting(t, text)
	r.ask(t, "beta.example.test", "A")
	if err := r.tree.Update(text + "    beta A 192.0.2.2\n"); err != nil {
		t.Fatal(err)
	}
	r.Flush(dnsname.MustParse("beta.example.test"), false)
	if got := r.ask(t, "beta.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Error(got)
	}
}

// TestAnswersAreCheckedOnceAnchorsAreThere: what was believed without validation, or by other anchors, is looked at again.
func TestAnswersAreCheckedOnceAnchorsAreThere(t *testing.T) {
	r := startRooted(t, signedInternet)
	if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "NOERROR\n") {
		t.Fatal(got)
	}
	config := r.config
	config.Recursion.Anchors, _ = dnssec.ParseAnchors("anchors", []byte(r.tree.Anchors()))
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "www.bad.test", "A"); !strings.HasPrefix(got, "error") {
		t.Errorf("validated now: %s", got)
	}
}

// TestNewUpstreamsAnswerForThemselves: what the upstreams before said is not served as the word of those that are asked now, be it fresh, stale or on its way. Their order, and what says
// nothing of whom is asked, change nothing.
func TestNewUpstreamsAnswerForThemselves(t *testing.T) {
	first, second := dnstest.Start(t, internet), dnstest.Start(t, strings.ReplaceAll(internet, "192.0.2.1", "198.51.100.1"))
	third := dnstest.Start(t, strings.ReplaceAll(internet, "192.0.2.1", "203.0.113.1"))
	f := start(t, nil, first.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.update(func(c *resolver.Config) { c.Bounds.Tries, c.PlainCase = 3, true }, first.Addr())
	if f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1"); f.cache.Stats().Entries != 1 {
		t.Error("a change of how it is asked has the answers forgotten")
	}
	f.update(nil, second.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:198.51.100.1")
	f.update(nil, second.Addr(), third.Addr())
	if n := f.cache.Stats().Entries; n != 0 {
		t.Errorf("with an upstream more %d answers are kept that not all of them gave", n)
	}
	f.want("www.example", dns.TypeAAAA, "NOERROR AAAA:2001:db8::1")
	f.update(nil, third.Addr(), second.Addr())
	if n := f.cache.Stats().Entries; n != 1 {
		t.Errorf("in another order %d answers are kept, want 1", n)
	}
	f.update(func(c *resolver.Config) { c.Upstreams[0].Trusted = true }, third.Addr(), second.Addr())
	if n := f.cache.Stats().Entries; n != 0 {
		t.Errorf("with an upstream that is trusted now %d answers are kept", n)
	}
}

// TestAnswerOfFormerUpstreamsIsNotKept that was on its way when others were named; whoever waits for it gets it.
func TestAnswerOfFormerUpstreamsIsNotKept(t *testing.T) {
	first, second := dnstest.Start(t, internet), dnstest.Start(t, strings.ReplaceAll(internet, "192.0.2.1", "198.51.100.1"))
	answer, got := make(chan struct{}), make(chan string, 1)
	first.Break("*", dnstest.Fault{Hold: answer})
	f := start(t, nil, first.Addr())
	go func() {
		text, _ := f.resolve(keyOf("www.example", dns.TypeA))
		got <- text
	}()
	eventually(t, "the question is asked", func() bool { return first.Total() > 0 })
	f.update(nil, second.Addr())
	close(answer)
	if text := <-got; text != "NOERROR A:192.0.2.1" {
		t.Errorf("who waited got %q", text)
	}
	f.want("www.example", dns.TypeA, "NOERROR A:198.51.100.1")
}
