package resolver_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestRootWithoutAddressesIsNotBelieved: where what a server says about the root leads nowhere, the hints go on to serve.
func TestRootWithoutAddressesIsNotBelieved(t *testing.T) {
	r := startRooted(t, smallInternet)
	r.tree.Hook("@1", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		if q.Name == "." && q.Type == dns.TypeNS {
			right.Answer = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 86400}, Ns: "portal.test."}}
			right.Extra = nil
		}
		return right
	})
	for _, name := range []string{"www.example.test", "www.other.test"} {
		if got := r.ask(t, name, "A"); !strings.Contains(got, "192.0.2.") {
			t.Error(got)
		}
	}
}

// TestRootIsAskedForAnew: a root whose servers do not answer is given up for the hints, long before its TTL ends.
func TestRootIsAskedForAnew(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	r := startRooted(t, smallInternet, func(c *resolver.Config) { c.Now = now })
	var portal atomic.Bool
	portal.Store(true)
	r.tree.Hook("@1", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		if portal.Load() && q.Name == "." && q.Type == dns.TypeNS {
			right.Answer = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 86400}, Ns: "portal."}}
			right.Extra = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "portal.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 86400}, A: net.IPv4(127, 0, 0, 253)}}
		}
		return right
	})
	if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "error") {
		t.Fatal(got)
	}
	portal.Store(false)
	offset.Store(int64(time.Minute))
	if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "192.0.2.") {
		t.Error(got)
	}
}
