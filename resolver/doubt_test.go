package resolver_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestRepliesThatAreDoubted: what servers say that cannot be meant so. ns1 says it, and ns2, of which only the name is known, knows better where it is
// asked.
func TestRepliesThatAreDoubted(t *testing.T) {
	const internet = `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone net             server ns.nic.net @5
		zone example.test    server ns1.example.test @3, ns2.other.net @4
		    www              A     192.0.2.1
		zone other.net       server ns.other.net @6
	`
	address := func(text string) *dns.A {
		return &dns.A{Hdr: dns.RR_Header{Name: "www.example.test.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.ParseIP(text)}
	}
	upwards := &dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 300}, Ns: "a.root.test."}
	for _, c := range []struct {
		name, want string
		say        func(m *dns.Msg)
	}{
		{"an answer with recursion and not for the zone", "192.0.2.1", func(m *dns.Msg) {
			m.Authoritative, m.RecursionAvailable, m.Answer, m.Ns = false, true, []dns.RR{address("192.0.2.66")}, nil
		}},
		{"no data, and servers of the root", "192.0.2.1", func(m *dns.Msg) { m.Answer, m.Ns = nil, []dns.RR{upwards} }},
		{"no data without a SOA", "192.0.2.1", func(m *dns.Msg) { m.Answer, m.Ns = nil, nil }},
		{"an address with YXDOMAIN", "error", func(m *dns.Msg) { m.Rcode, m.Answer = dns.RcodeYXDomain, []dns.RR{address("192.0.2.66")} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRooted(t, internet)
			r.tree.Hook("@3", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
				if strings.EqualFold(q.Name, "www.example.test.") {
					c.say(right)
				}
				return right
			})
			got := r.ask(t, "www.example.test", "A")
			if c.want == "error" { // both are wrong: nobody is left
				r.tree.Hook("@4", func(_ dnstest.Query, right *dns.Msg) *dns.Msg { right.Rcode = dns.RcodeYXDomain; return right })
				r.Flush(dnsname.MustParse("test"), true)
				got = r.ask(t, "www.example.test", "A")
			}
			if !strings.Contains(got, c.want) || strings.Contains(got, "192.0.2.66") {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestDoubtfulAnswerIsBetterThanNone: where no other server is, what a lame one says is given.
func TestDoubtfulAnswerIsBetterThanNone(t *testing.T) {
	r := startRooted(t, smallInternet)
	for _, server := range []string{"@3", "@4"} {
		r.tree.Hook(server, func(_ dnstest.Query, right *dns.Msg) *dns.Msg {
			right.Authoritative, right.RecursionAvailable = false, true
			return right
		})
	}
	if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "192.0.2.1") {
		t.Errorf("got %s, want the address", got)
	}
}

// TestSignedProofCountsMoreThanTheCode: a name that exists only because others lie below it is not denied by a server that says NXDOMAIN and proves
// that it has no data.
func TestSignedProofCountsMoreThanTheCode(t *testing.T) {
	r := trusting(t, signedInternet)
	for _, server := range []string{"@3", "@4"} {
		r.tree.Hook(server, func(q dnstest.Query, right *dns.Msg) *dns.Msg {
			if len(right.Answer) == 0 && q.Type == dns.TypeA {
				right.Rcode = dns.RcodeNameError
			}
			return right
		})
	}
	for name, want := range map[string]string{"er.name.example.test": "NOERROR AD", "none.example.test": "NXDOMAIN AD"} {
		if got := r.ask(t, name, "A"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestNoDataOfAResolverMayNameServers: the answer of a resolver that there is no data may have the servers of the zone beside its SOA (RFC 2308
// section 2.2.1), and is no referral.
func TestNoDataOfAResolverMayNameServers(t *testing.T) {
	r := startRooted(t, smallInternet)
	r.tree.Hook("@3", func(_ dnstest.Query, right *dns.Msg) *dns.Msg {
		right.Authoritative, right.RecursionAvailable = false, true
		right.Ns = append(right.Ns, &dns.NS{Hdr: dns.RR_Header{Name: "example.test.", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 300}, Ns: "ns1.example.test."})
		return right
	})
	zone := resolver.Forward{Zone: dnsname.MustParse("example.test").Canonical(), Upstreams: []resolver.Upstream{{Addr: r.tree.Addr("@3")}}}
	config := resolver.Config{Timeouts: slowMachine, Recursion: &resolver.Recursion{Hints: r.hints, Port: r.tree.Port(), Never: []netip.Prefix{}, Forwards: []resolver.Forward{zone}}}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "www.example.test", "TXT"); !strings.HasPrefix(got, "NOERROR\nexample.test. ") {
		t.Errorf("got %s, want no data", got)
	}
}

// TestSentinelTellsWhichKeysAreTrusted: RFC 8509. The names are not there, which the root proves.
func TestSentinelTellsWhichKeysAreTrusted(t *testing.T) {
	r := trusting(t, signedInternet)
	anchors, err := dnssec.ParseAnchors("anchors", []byte(r.tree.Anchors()))
	if err != nil {
		t.Fatal(err)
	}
	data := anchors[0].RData
	trusted := uint16(data[0])<<8 | uint16(data[1])
	if anchors[0].Type == dns.TypeDNSKEY {
		trusted = dnssec.KeyTag(data)
	}
	for _, c := range []struct {
		name, rtype, want string
		tag               uint16
		flags             []string
	}{
		{"root-key-sentinel-is-ta-%05d", "A", "NXDOMAIN AD", trusted, nil},
		{"root-key-sentinel-is-ta-%05d", "AAAA", "error", trusted + 1, nil},
		{"root-key-sentinel-not-ta-%05d", "A", "error", trusted, nil},
		{"root-key-sentinel-not-ta-%05d", "AAAA", "NXDOMAIN AD", trusted + 1, nil},
		{"root-key-sentinel-not-ta-%05d", "TXT", "NXDOMAIN AD", trusted, nil},
		{"root-key-sentinel-not-ta-%05d", "A", "NXDOMAIN", trusted, []string{"cd"}},
		{"root-key-sentinel-not-ta-x%05d", "A", "NXDOMAIN AD", trusted, nil},
	} {
		name := fmt.Sprintf(c.name, c.tag)
		if got := r.ask(t, name, c.rtype, c.flags...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s %v: got %s, want %s", name, c.rtype, c.flags, got, c.want)
		}
	}
}

// TestKnownMissingServersCostNothing: name servers of which it is known that they have no address are not counted again as looked for in vain.
func TestKnownMissingServersCostNothing(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		    example          NS    gone1.other.net.
		    example          NS    gone2.other.net.
		    example          NS    gone3.other.net.
		    example          NS    there.other.net.
		zone net             server ns.nic.net @4
		zone example.test    server there.other.net @3
		    www              A     192.0.2.1
		zone other.net       server ns.other.net @5
	`, func(c *resolver.Config) { c.Recursion.Bounds.TargetFailures = 1 })
	for _, name := range []string{"gone1", "gone2", "gone3"} {
		if got := r.ask(t, name+".other.net", "A", "cd"); !strings.HasPrefix(got, "NXDOMAIN") {
			t.Fatalf("%s: got %s", name, got)
		}
	}
	if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "192.0.2.1") {
		t.Errorf("got %s, want the address", got)
	}
}
