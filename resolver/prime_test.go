package resolver_test

import (
	"strings"
	"testing"

	"cenote/dnstest"

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
