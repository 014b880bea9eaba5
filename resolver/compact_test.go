package resolver_test

import (
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

const compactly = `
	zone .               server a.root.test @1 sign
	zone test            server ns.nic.test @2 sign
	zone example.test    server ns.example.test @3 sign
	    www              A     192.0.2.1
	    a.ent            A     192.0.2.2
	    alias            CNAME no
`

// deniesCompactly has the server @3 deny as zones do that sign a record for each question (RFC 9824 section 3): of each name that it is there with nothing of the type at it, and of those
// that are not, that in the record.
func deniesCompactly(r *rooted, rcode int) {
	exists := map[string][]uint16{"example.test.": {dns.TypeNS, dns.TypeSOA, dns.TypeDNSKEY}, "www.example.test.": {dns.TypeA}, "ent.example.test.": {}, "ns.example.test.": {dns.TypeA}}
	r.tree.Hook("@3", func(q dnstest.Query, m *dns.Msg) *dns.Msg {
		name := dns.CanonicalName(q.Name)
		last := name // of the aliases
		for _, rr := range m.Answer {
			if alias, ok := rr.(*dns.CNAME); ok {
				last = alias.Target
			} else if _, ok := rr.(*dns.RRSIG); !ok {
				return m
			}
		}
		var soa []dns.RR
		for _, rr := range m.Ns {
			if rr.Header().Rrtype == dns.TypeSOA {
				soa = append(soa, rr)
			}
		}
		if len(soa) == 0 {
			return m
		}
		types, there := exists[last]
		nsec := &dns.NSEC{Hdr: dns.RR_Header{Name: last, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 60}, NextDomain: `\000.` + last, TypeBitMap: append([]uint16{}, types...)}
		if m.Rcode = dns.RcodeSuccess; !there {
			m.Rcode = rcode
		}
		nsec.TypeBitMap = append(nsec.TypeBitMap, dns.TypeRRSIG, dns.TypeNSEC)
		if !there {
			nsec.TypeBitMap = append(nsec.TypeBitMap, 128)
		}
		m.Ns = append(append([]dns.RR{}, soa...), r.tree.Sign("example.test", soa)...)
		m.Ns = append(append(m.Ns, nsec), r.tree.Sign("example.test", []dns.RR{nsec})...)
		return m
	})
}

// TestCompactDenialIsToldAsNoSuchName: who asks without wanting signatures is told that a name is not there, be it by the zone or by what it has proved before; who wants them gets the proof
// with the code that belongs to it, whatever the server's was; and a name that only has others below it is there for both.
func TestCompactDenialIsToldAsNoSuchName(t *testing.T) {
	for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError} {
		r := trusting(t, compactly)
		deniesCompactly(r, rcode)
		for _, c := range []struct{ name, rtype, flag, want string }{
			{"no.example.test", "A", "", "NXDOMAIN AD"}, {"no.example.test", "MX", "", "NXDOMAIN AD"}, // the second by the first
			{"no.example.test", "A", "do", "NOERROR AD"}, {"no.example.test", "TXT", "do", "NOERROR AD"},
			{"no.example.test", "TXT", "", "NXDOMAIN AD"},
			{"www.example.test", "TXT", "", "NOERROR AD"}, {"ent.example.test", "A", "", "NOERROR AD"}, {"ent.example.test", "A", "do", "NOERROR AD"},
			{"alias.example.test", "A", "", "NXDOMAIN AD"}, {"alias.example.test", "A", "do", "NOERROR AD"},
			{"www.example.test", "A", "", "NOERROR AD"},
		} {
			got := r.ask(t, c.name, c.rtype, c.flag)
			if head, _, _ := strings.Cut(got, "\n"); head != c.want {
				t.Errorf("the server says %s; %s %s %s: got %s, want %s", dns.RcodeToString[rcode], c.name, c.rtype, c.flag, got, c.want)
			}
		}
		if n := len(r.tree.Queries("@3")); n == 0 {
			t.Error("the zone was never asked")
		}
	}
}

// TestForgedCompactDenialIsNothing: without a signature that holds no record says that there is no such name.
func TestForgedCompactDenialIsNothing(t *testing.T) {
	r := trusting(t, compactly)
	deniesCompactly(r, dns.RcodeSuccess)
	if err := r.tree.BreakSigning("example.test bad-sig type=NSEC"); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "no.example.test", "A"); !strings.HasPrefix(got, "error") {
		t.Errorf("got %s, want an error", got)
	}
}
