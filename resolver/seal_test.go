package resolver_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// TestSealed holds which zones that came from elsewhere are taken for what they say they are.
func TestSealed(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone signed.test     server ns.signed.test @3 sign
		zone plain.test      server ns.plain.test @4
		zone away.test       server ns.away.test @5 sign
	`)
	set := func(zone, name string, rtype uint16) *dnssec.Set {
		t.Helper()
		m := new(dns.Msg)
		m.SetQuestion(dns.Fqdn(name), rtype)
		m.SetEdns0(4096, true)
		reply, err := dnstest.Ask(m, r.tree.Addr(zone).String())
		if err != nil {
			t.Fatal(err)
		}
		s := &dnssec.Set{Name: []byte(dnsname.MustParse(name)), Type: rtype, Class: dns.ClassINET}
		for _, rr := range reply.Answer {
			s.TTL = rr.Header().Ttl
			buf := make([]byte, 4096)
			n, err := dns.PackRR(rr, buf, 0, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			if data := buf[len(s.Name)+10 : n]; rr.Header().Rrtype == dns.TypeRRSIG {
				s.Sigs = append(s.Sigs, data)
			} else {
				s.RData = append(s.RData, data)
			}
		}
		return s
	}
	keys, soa := set("@3", "signed.test", dns.TypeDNSKEY), set("@3", "signed.test", dns.TypeSOA)
	forged := *soa
	forged.RData = [][]byte{append([]byte(nil), soa.RData[0]...)}
	forged.RData[0][len(forged.RData[0])-1] ^= 1
	others := set("@5", "away.test", dns.TypeDNSKEY)
	others.Name = keys.Name
	for name, tc := range map[string]struct {
		zone      string
		keys, soa *dnssec.Set
		known, ok bool
	}{
		"signed as its parent says":                      {"signed.test", keys, soa, true, true},
		"another SOA":                                    {"signed.test", keys, &forged, true, false},
		"without keys":                                   {"signed.test", nil, soa, true, false},
		"the keys of another zone":                       {"signed.test", others, soa, true, false},
		"not signed, as its parent says":                 {"plain.test", nil, nil, true, true},
		"a trust anchor of its own":                      {".", set("@1", ".", dns.TypeDNSKEY), set("@1", ".", dns.TypeSOA), true, true},
		"a trust anchor of its own, and no keys":         {".", nil, nil, true, false},
		"not signed, below a zone that is not delegated": {"none.plain.test", nil, nil, true, true},
	} {
		known, err := r.Sealed(context.Background(), dnsname.MustParse(tc.zone), tc.keys, tc.soa)
		if known != tc.known || (err == nil) != tc.ok || err != nil && !errors.Is(err, resolver.ErrUnsealed) {
			t.Errorf("%s: known %v, %v; want known %v, good %v", name, known, err, tc.known, tc.ok)
		}
	}
	r.Flush(dnsname.Root, true)
	r.tree.Kill("@2")
	if known, err := r.Sealed(context.Background(), dnsname.MustParse("signed.test"), keys, soa); known || err != nil {
		t.Errorf("with a parent that says nothing: known %v, %v", known, err)
	}
}

// TestReferral: who does not want recursion is told whom to ask, without anybody being asked.
func TestReferral(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone example.test    server ns.example.test @3, ns.plain.test @4
		    www              A     192.0.2.1
	`, func(c *resolver.Config) {
		c.Recursion.Stubs = []resolver.Stub{{Zone: dnsname.MustParse("lab.test"), Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:53")}}}
	})
	refer := func(name string) string {
		msg := r.Referral(&rrcache.Key{Name: []byte(dnsname.MustParse(name)), Type: dns.TypeA, Class: dns.ClassINET})
		if msg == nil {
			return "none"
		}
		var m dns.Msg
		if err := m.Unpack(msg); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, rr := range append(m.Ns, m.Extra...) {
			out = append(out, rr.Header().Name+" "+strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		return strings.Join(out, "\n")
	}
	if got := refer("www.example.test"); got != ". a.root.test." {
		t.Errorf("before anything was asked: %s, want the root", got)
	}
	r.ask(t, "www.example.test", "A")
	asked := r.tree.Total()
	at := r.tree.Addr("@3").Addr().String()
	if got, want := refer("other.example.test"), "example.test. ns.example.test.\nexample.test. ns.plain.test.\nns.example.test. "+at; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := refer("www.lab.test"); got != "none" {
		t.Errorf("below a stub: %s", got)
	}
	if n := r.tree.Total(); n != asked {
		t.Errorf("%d queries were sent", n-asked)
	}
}
