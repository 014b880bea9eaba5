package resolver_test

import (
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestTargetsThatDoNotStandUpAreAskedFor: what a reply with an alias adds about its target is left aside where it does not stand up, and the target is asked for.
func TestTargetsThatDoNotStandUpAreAskedFor(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    alias            CNAME www
		    www              A     192.0.2.1
	`)
	r.tree.Hook("@3", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		if !strings.EqualFold(q.Name, "alias.example.test.") {
			return right
		}
		var kept []dns.RR
		for _, rr := range right.Answer { // the target without its signature
			if sig, ok := rr.(*dns.RRSIG); !ok || sig.TypeCovered != dns.TypeA {
				kept = append(kept, rr)
			}
		}
		right.Answer = kept
		return right
	})
	if got := r.ask(t, "alias.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Error(got)
	}
}

// TestTargetsElsewhereAreNotTakenFromHere: the target of an alias that lies in a zone of other resolvers, or of servers of its own, is not taken from who has
// the alias; nor is one from a resolver that is asked for another zone alone.
func TestTargetsElsewhereAreNotTakenFromHere(t *testing.T) {
	inside := dnstest.Start(t, "lab.example.test. 300 SOA ns.lab.example.test. h.lab.example.test. 1 3600 600 86400 60\n"+
		"www.lab.example.test. 300 A 192.0.2.10\nout.lab.example.test. 300 CNAME www.other.test.\nwww.other.test. 300 A 192.0.2.66")
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone example.test    server ns.example.test @3
		    alias            CNAME www.lab
		    www.lab          A     192.0.2.66
		zone other.test      server ns.other.test @4
		    www              A     192.0.2.7
	`, func(c *resolver.Config) {
		c.Recursion.Forwards = []resolver.Forward{{Zone: dnsname.MustParse("lab.example.test"), Upstreams: []resolver.Upstream{{Addr: inside.Addr()}}}}
	})
	for name, want := range map[string]string{"alias.example.test": "192.0.2.10", "out.lab.example.test": "192.0.2.7"} {
		if got := r.ask(t, name, "A"); !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
