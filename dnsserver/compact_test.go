package dnsserver_test

import (
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// flagCO is the EDNS flag of those who know compact denial (RFC 9824 section 5.1).
const flagCO = 0x4000

// TestCompactDenialIsToldWhoKnowsIt: who asks with DO and CO is told NXDOMAIN, with the proof and CO, where it is proved that a name is not there, be it at the end of aliases; and nobody else is, nor is any
// other answer changed. What the network said and what the cache has are told alike.
func TestCompactDenialIsToldWhoKnowsIt(t *testing.T) {
	const soa, alias = "example. 60 SOA ns.example. host.example. 1 3600 600 86400 60", "www.example. 60 CNAME No.example."
	for _, c := range []struct {
		name, answer, proof, flags, ways string
		rcode                            int
		co                               bool
	}{
		{"known", "", `www.example. 60 NSEC \000.www.example. RRSIG NSEC NXNAME`, "ad", "do co", dns.RcodeNameError, true},
		{"that alone", "", `www.example. 60 NSEC \000.www.example. NXNAME`, "ad", "do co", dns.RcodeNameError, true},
		{"by an alias", alias, `no.example. 60 NSEC \000.no.example. RRSIG NSEC NXNAME`, "ad", "do co", dns.RcodeNameError, true},
		{"not known", "", `www.example. 60 NSEC \000.www.example. RRSIG NSEC NXNAME`, "ad", "do", dns.RcodeSuccess, false},
		{"without signatures", "", `www.example. 60 NSEC \000.www.example. RRSIG NSEC NXNAME`, "ad", "co", dns.RcodeSuccess, false},
		{"not proved", "", `www.example. 60 NSEC \000.www.example. RRSIG NSEC NXNAME`, "", "do co", dns.RcodeSuccess, false},
		{"no data", "", `www.example. 60 NSEC \000.www.example. RRSIG NSEC`, "ad", "do co", dns.RcodeSuccess, false},
		{"another type beside it", "", `www.example. 60 NSEC \000.www.example. A RRSIG NSEC NXNAME`, "ad", "do co", dns.RcodeSuccess, false},
		{"another name", "", `other.example. 60 NSEC \000.other.example. RRSIG NSEC NXNAME`, "ad", "do co", dns.RcodeSuccess, false},
		{"that of the alias", alias, `www.example. 60 NSEC \000.www.example. RRSIG NSEC NXNAME`, "ad", "do co", dns.RcodeSuccess, false},
		{"with data", "www.example. 60 A 192.0.2.1", `www.example. 60 NSEC \000.www.example. RRSIG NSEC NXNAME`, "ad", "do co", dns.RcodeSuccess, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, options{})
			m := new(dns.Msg)
			m.SetQuestion("www.example.", dns.TypeA)
			m.Response, m.Compress, m.AuthenticatedData = true, true, c.flags == "ad"
			if c.answer != "" {
				m.Answer = append(m.Answer, mustRR(c.answer))
			}
			m.Ns = append(m.Ns, mustRR(soa), mustRR(c.proof))
			said, err := m.Pack()
			must(t, err)
			b.world.raw = said
			key := rrcache.Key{Name: []byte(dnsname.MustParse("www.example")), Type: dns.TypeA, Class: dns.ClassINET, DO: strings.Contains(c.ways, "do")}
			for _, from := range []string{"the network", "the cache"} {
				ask := new(dns.Msg)
				ask.SetQuestion("www.example.", dns.TypeA)
				ask.SetEdns0(4096, key.DO)
				if strings.Contains(c.ways, "co") {
					ask.IsEdns0().Hdr.Ttl |= flagCO
				}
				in, err := ask.Pack()
				must(t, err)
				var got dns.Msg
				must(t, got.Unpack(b.send(in)))
				if co := got.IsEdns0().Hdr.Ttl&flagCO != 0; got.Rcode != c.rcode || co != c.co || len(got.Ns) != 2 {
					t.Errorf("%s: got %s, CO %v and %d proofs; want %s, %v and 2", from, dns.RcodeToString[got.Rcode], co, len(got.Ns), dns.RcodeToString[c.rcode], c.co)
				}
				if !b.cache.Put(&key, said, b.now.UnixNano()) {
					t.Fatal("the answer is not kept")
				}
			}
			if n := b.world.asked.Load(); n != 1 {
				t.Errorf("the network was asked %d times, want once", n)
			}
		})
	}
}
