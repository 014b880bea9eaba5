package zone_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
	"cenote/zone"

	"github.com/miekg/dns"
)

// compactly is the sample, signed for compact denial, as it is served.
func compactly(t testing.TB) (zone.Signed, *zone.Zone, *zone.Set) {
	t.Helper()
	s := beginSigning(t, "example", t.TempDir(), zone.Signing{Denial: zone.DenialCompact})
	signed, _ := sign(t, s, load(t, "example", forSigning), nil, now)
	return s, signed, signedSet(t, s, signed)
}

// signedSet serves a zone that is signed here.
func signedSet(t testing.TB, s zone.Signed, signed *zone.Zone) *zone.Set {
	t.Helper()
	set, err := zone.NewSet(zone.Served{Zone: signed, Online: s.Online()})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestCompactDenial holds RFC 9824 section 3: what is denied has one record of its own name, which says what there is.
func TestCompactDenial(t *testing.T) {
	_, _, set := compactly(t)
	for _, tc := range []struct{ name, qname, qtype, ways, want string }{
		{"no name", "nothing.example", "A", "do", "NOERROR | SOA, nothing.example. NSEC \\000.nothing.example. RRSIG NSEC NXNAME"},
		{"no name, and it is known", "nothing.example", "A", "do co", "NXDOMAIN | SOA, nothing.example. NSEC \\000.nothing.example. RRSIG NSEC NXNAME"},
		{"no name, without signatures", "nothing.example", "A", "", "NXDOMAIN | SOA"},
		{"no name, known, without signatures", "nothing.example", "A", "co", "NXDOMAIN | SOA"},
		{"below a name", "x.www.example", "A", "do", "NOERROR | SOA, x.www.example. NSEC \\000.x.www.example. RRSIG NSEC NXNAME"},
		{"no data", "www.example", "AAAA", "do", "NOERROR | SOA, www.example. NSEC \\000.www.example. A RRSIG NSEC"},
		{"no data, and it is known", "www.example", "AAAA", "do co", "NOERROR | SOA, www.example. NSEC \\000.www.example. A RRSIG NSEC"},
		{"an empty non-terminal", "b.c.example", "TXT", "do co", "NOERROR | SOA, b.c.example. NSEC \\000.b.c.example. RRSIG NSEC"},
		{"an asterisk", "any.wild.example", "TXT", "do", "NOERROR any.wild.example. TXT |"},
		{"an alias of an asterisk", "any.aliases.example", "A", "do", "NOERROR any.aliases.example. CNAME, www.example. A, www.example. A |"},
		{"no data at an asterisk", "any.wild.example", "A", "do co", "NOERROR | SOA, any.wild.example. NSEC \\000.any.wild.example. MX TXT RRSIG NSEC"},
		{"an alias to no name", "gone.example", "A", "do", "NOERROR gone.example. CNAME | SOA, nothing.here.example. NSEC \\000.nothing.here.example. RRSIG NSEC NXNAME"},
		{"an alias to no name, and it is known", "gone.example", "A", "do co", "NXDOMAIN gone.example. CNAME | SOA, nothing.here.example. NSEC \\000.nothing.here.example. RRSIG NSEC NXNAME"},
		{"a delegation that is not signed", "x.sub.example", "A", "do", "NOERROR | sub.example. NS, sub.example. NS, sub.example. NS, sub.example. NSEC \\000.sub.example. NS RRSIG NSEC"},
		{"its DS records", "sub.example", "DS", "do co", "NOERROR | SOA, sub.example. NSEC \\000.sub.example. NS RRSIG NSEC"},
		{"a delegation that is signed", "x.signed.example", "A", "do", "NOERROR | signed.example. DS, signed.example. NS"},
		{"the record itself", "www.example", "NSEC", "do", "NOERROR www.example. NSEC \\000.www.example. A RRSIG NSEC |"},
		{"that of no name", "nothing.example", "NSEC", "do", "NOERROR nothing.example. NSEC \\000.nothing.example. RRSIG NSEC NXNAME |"},
		{"without signatures", "www.example", "NSEC", "", "NOERROR www.example. NSEC \\000.www.example. A RRSIG NSEC |"},
		{"that of the apex", "example", "NSEC", "do", "NOERROR example. NSEC \\000.example. NS SOA MX RRSIG NSEC DNSKEY |"},
		{"signatures", "any.wild.example", "RRSIG", "do", "NOERROR |"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := zone.Question{Name: []byte(dnsname.MustParse(tc.qname)), Type: dns.StringToType[tc.qtype], Limit: 65535, DO: strings.Contains(tc.ways, "do"), CO: strings.Contains(tc.ways, "co")}
			if got := brief(askWith(t, set, q)); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// brief is an answer in a line: answers and authorities, without signatures, and NSEC records with all that they say.
func brief(m *dns.Msg) string {
	section := func(rrs []dns.RR) string {
		var out []string
		for _, rr := range rrs {
			switch rr := rr.(type) {
			case *dns.RRSIG:
			case *dns.SOA:
				out = append(out, "SOA")
			case *dns.NSEC:
				types := make([]string, 0, len(rr.TypeBitMap))
				for _, rtype := range rr.TypeBitMap {
					types = append(types, strings.Replace(dns.Type(rtype).String(), "TYPE128", "NXNAME", 1))
				}
				out = append(out, fmt.Sprintf("%s NSEC %s %s", rr.Hdr.Name, rr.NextDomain, strings.Join(types, " ")))
			default:
				out = append(out, rr.Header().Name+" "+dns.Type(rr.Header().Rrtype).String())
			}
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	return strings.Join(strings.Fields(dns.RcodeToString[m.Rcode]+" "+section(m.Answer)+" | "+section(m.Ns)), " ")
}

// TestCompactDenialKeepsNames asks for much, and looks whether an answer names a name that was not asked for.
func TestCompactDenialKeepsNames(t *testing.T) {
	_, _, set := compactly(t)
	for _, qname := range []string{"example", "www.example", "nothing.example", "b.c.example", "any.wild.example", "sub.example", "alias.example", "*.wild.example"} {
		for _, qtype := range []uint16{dns.TypeANY, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeAAAA, dns.TypeDS, dns.TypeHINFO} {
			for _, do := range []bool{false, true} {
				m := ask(t, set, qname, qtype, do)
				for _, rr := range append(m.Answer, m.Ns...) {
					if nsec, ok := rr.(*dns.NSEC); ok && nsec.NextDomain != "\\000."+nsec.Hdr.Name {
						t.Errorf("%s %s: %v", qname, dns.Type(qtype), nsec)
					}
				}
			}
		}
	}
}

// TestCompactDenialIsBounded asks for more names than can be signed: those above the bound have the proof of the zone, and each answer is proved. No time passes
// meanwhile, in which others could be signed.
func TestCompactDenialIsBounded(t *testing.T) { synctest.Test(t, testCompactDenialIsBounded) }

func testCompactDenialIsBounded(t *testing.T) {
	_, signed, set := compactly(t)
	v := newView(t, signed, now)
	buf, room, names := make([]byte, 0, 4096), new([dnsname.WireMax]byte), map[int]int{}
	for i := range 20 * zone.OnlineBurst {
		name := fmt.Sprintf("n%d.example", i)
		names[wire.Rcode(set.Answer(buf, &zone.Question{Name: []byte(dnsname.MustParse(name)), Type: dns.TypeA, DO: true, Limit: 4096, Admitted: true, Room: room}).Msg)]++
		if i%100 == 0 {
			q := dns.Question{Name: name, Qtype: dns.TypeA}
			v.judge(t, ask(t, set, name, dns.TypeA, true), q)
		}
	}
	if names[dns.RcodeSuccess] != zone.OnlineBurst || names[dns.RcodeNameError] != 19*zone.OnlineBurst {
		t.Errorf("RCODES %v of a flood of names", names)
	}
	for _, q := range []dns.Question{{Name: "sub.example", Qtype: dns.TypeDS}, {Name: "www.example", Qtype: dns.TypeHINFO}, {Name: "many.wild.example", Qtype: dns.TypeTXT}, {Name: "more.wild.example", Qtype: dns.TypeA}} {
		v.judge(t, ask(t, set, q.Name, q.Qtype, true), q)
	}
}

// TestCompactDenialIsKept asks twice: the second time nothing is signed and nothing is allocated.
func TestCompactDenialIsKept(t *testing.T) {
	_, _, set := compactly(t)
	room, buf := new([dnsname.WireMax]byte), make([]byte, 0, 4096)
	for _, qname := range []string{"www.example", "nothing.example", "any.wild.example", "b.c.example", "x.sub.example", "gone.example"} {
		q := zone.Question{Name: []byte(dnsname.MustParse(qname)), Type: dns.TypeTXT, DO: true, Limit: 4096, Admitted: true, Room: room}
		first := slices.Clone(set.Answer(buf, &q).Msg)
		if n := testing.AllocsPerRun(100, func() {
			if !slices.Equal(set.Answer(buf, &q).Msg, first) {
				t.Fatal("another answer")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", qname, n)
		}
	}
}

// TestCompactDenialOfLongNames denies the longest names, of which no record could name the next one, as the zone would.
func TestCompactDenialOfLongNames(t *testing.T) {
	_, signed, set := compactly(t)
	v := newView(t, signed, now)
	for _, last := range []int{50, 51, 52, 53} {
		label := strings.Repeat("a", 63)
		q := dns.Question{Name: strings.Join([]string{strings.Repeat("b", last), label, label, label, "example"}, "."), Qtype: dns.TypeA}
		v.judge(t, ask(t, set, q.Name, q.Qtype, true), q)
	}
}

// TestCompactDenialFollowsTheKeys rolls the key, and lets weeks go by: what is signed on line is signed by the keys of the zone, and never near its end.
func TestCompactDenialFollowsTheKeys(t *testing.T) {
	s, signed, _ := compactly(t)
	plain := load(t, "example", forSigning)
	var tags []uint16
	for at := now; at.Before(now.Add(40 * 24 * time.Hour)); at = at.Add(7 * time.Hour) {
		if at == now.Add(70*time.Hour) {
			if err := s.Roll(at, zone.RoleCSK); err != nil {
				t.Fatal(err)
			}
		}
		signed, _ = sign(t, s, plain, signed, at)
		set, v := signedSet(t, s, signed), newView(t, signed, at)
		for _, q := range []dns.Question{{Name: "nothing.example", Qtype: dns.TypeA}, {Name: "x.wild.example", Qtype: dns.TypeTXT}} {
			m := ask(t, set, q.Name, q.Qtype, true)
			v.judge(t, m, q)
			for _, rr := range append(m.Answer, m.Ns...) {
				sig, ok := rr.(*dns.RRSIG)
				if !ok {
					continue
				}
				if left := time.Unix(int64(sig.Expiration), 0).Sub(at); left < 7*24*time.Hour-time.Hour {
					t.Fatalf("%v: %v holds for %v more", at, sig, left)
				}
				if !slices.Contains(tags, sig.KeyTag) {
					tags = append(tags, sig.KeyTag)
				}
			}
		}
		if ds := s.Keys(at); len(ds) == 2 && !ds[1].Submit.IsZero() && !at.Before(ds[1].Submit) {
			s.Observe([][]byte{dsOf(t, signed, ds[1].Tag)}, at)
		}
	}
	if len(tags) != 2 {
		t.Errorf("signed by keys %v, want one and its successor", tags)
	}
}

// TestCompactDenialAtOnce asks from many sides at once, while the zone is signed again.
func TestCompactDenialAtOnce(t *testing.T) {
	s, signed, set := compactly(t)
	v := newView(t, signed, now)
	var all sync.WaitGroup
	for side := range 4 {
		all.Go(func() {
			for i := range 200 {
				q := dns.Question{Name: fmt.Sprintf("n%d.example", (i+side)%100), Qtype: dns.TypeA}
				v.judge(t, ask(t, set, q.Name, q.Qtype, true), q)
			}
		})
	}
	for i := range 5 {
		sign(t, s, load(t, "example", forSigning), signed, now.Add(time.Duration(i)*time.Minute))
	}
	all.Wait()
}

// BenchmarkCompactDenial measures a denial that is kept, and one that has to be signed.
func BenchmarkCompactDenial(b *testing.B) {
	for _, algorithm := range []uint8{dnssec.ECDSAP256, dnssec.Ed25519} {
		s := beginSigning(b, "example", b.TempDir(), zone.Signing{Denial: zone.DenialCompact, Algorithm: algorithm})
		signed, _ := sign(b, s, load(b, "example", forSigning), nil, now)
		set := signedSet(b, s, signed)
		room, buf := new([dnsname.WireMax]byte), make([]byte, 0, 4096)
		q := zone.Question{Name: []byte(dnsname.MustParse("nothing.example")), Type: dns.TypeA, DO: true, Limit: 4096, Admitted: true, Room: room}
		b.Run(fmt.Sprintf("algorithm=%d/kept", algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				set.Answer(buf, &q)
			}
		})
		b.Run(fmt.Sprintf("algorithm=%d/signed", algorithm), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.SignOnline(dnsname.MustParse("nothing.example"))
			}
		})
	}
}
