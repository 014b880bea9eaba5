package resolver_test

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestSecureIsEveryPart: AD is not set where a part of the answer is not signed.
func TestSecureIsEveryPart(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone arpa            server ns.arpa @2 sign
		zone 192.in-addr.arpa server ns.192.in-addr.arpa @3 sign
		    1.2.0            PTR   www.test.
		zone test            server ns.nic.test @4 sign
		    www              A     192.0.2.1
	`, func(c *resolver.Config) { c.Recursion.DNS64 = netip.MustParsePrefix("64:ff9b::/96") })
	r.tree.Hook("@4", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		var kept []dns.RR
		for _, rr := range right.Ns {
			if sig, ok := rr.(*dns.RRSIG); !ok || sig.TypeCovered != dns.TypeSOA {
				kept = append(kept, rr)
			}
		}
		right.Ns = kept
		return right
	})
	made, _ := dns.ReverseAddr("64:ff9b::c000:201")
	if got := r.ask(t, made, "PTR"); !strings.HasPrefix(got, "NOERROR\n") || !strings.Contains(got, "www.test.") {
		t.Errorf("by an alias of ours: %s", got)
	}
	if got := r.ask(t, "1.2.0.192.in-addr.arpa", "PTR"); !strings.HasPrefix(got, "NOERROR AD\n") {
		t.Errorf("without it: %s", got)
	}
	if got := r.ask(t, "none.test", "A"); !strings.HasPrefix(got, "error") {
		t.Errorf("with an SOA that is not signed: %s", got)
	}
}

// TestKeysEndWithTheirSignature: keys are not trusted for longer than their signature is valid.
func TestKeysEndWithTheirSignature(t *testing.T) {
	var offset atomic.Int64
	// A signature of 135 minutes is good for 13 more by the skew of clocks: until 28:30 past the next hour.
	begin := time.Now().Truncate(time.Hour).Add(30 * time.Minute) // the tree counts from the hour
	now := func() time.Time { return begin.Add(time.Duration(offset.Load())) }
	r := startRooted(t, `
		zone .               server a.root.test @1 ttl=7200 sign
		zone test            server ns.nic.test @2 ttl=7200 sign expiration=75m
		    a                A     192.0.2.1
		    b                A     192.0.2.2
	`, func(c *resolver.Config) { c.Now = now })
	r.tree.SetClock(now)
	config := r.config
	config.Recursion.Anchors, _ = dnssec.ParseAnchors("anchors", []byte(r.tree.Anchors()))
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "a.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Fatal(got)
	}
	offset.Store(int64(59 * time.Minute))
	r.tree.Break("@2", "test", dnstest.Fault{Type: dns.TypeDNSKEY, Rcode: dns.RcodeRefused})
	if got := r.ask(t, "b.test", "A"); !strings.HasPrefix(got, "error") {
		t.Error(got)
	}
}

// TestSignaturesAreJudgedAtTheTimeThatIsSet: by another time than now, what is well signed has expired, or is not valid yet.
func TestSignaturesAreJudgedAtTheTimeThatIsSet(t *testing.T) {
	for _, c := range []struct {
		at   time.Duration
		want string
	}{{0, "NOERROR AD"}, {10 * 365 * 24 * time.Hour, "error"}, {-10 * 365 * 24 * time.Hour, "error"}} {
		r := trusting(t, signedInternet, func(config *resolver.Config) {
			config.Recursion.ValidationTime = func() time.Time { return time.Now().Add(c.at) }
		})
		if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, c.want) {
			t.Errorf("judged %v from now: got %s, want %s", c.at, got, c.want)
		}
	}
}
