package zone_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// oracle is a zone as RFC 1034 section 4.3.2 speaks of it: records, looked through from end to end for every question.
type oracle struct {
	apex    string
	records []dns.RR
}

func newOracle(t testing.TB, text string) *oracle {
	o := &oracle{apex: "example."}
	p := dns.NewZoneParser(strings.NewReader(text), o.apex, "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		o.records = append(o.records, rr)
	}
	if p.Err() != nil {
		t.Fatal(p.Err())
	}
	return o
}

func (o *oracle) at(name string, qtype uint16) (out []dns.RR) {
	for _, rr := range o.records {
		if strings.EqualFold(rr.Header().Name, name) && (qtype == dns.TypeANY || rr.Header().Rrtype == qtype) {
			out = append(out, rr)
		}
	}
	return out
}

// exists reports whether there is a record at or below name.
func (o *oracle) exists(name string) bool {
	return slices.ContainsFunc(o.records, func(rr dns.RR) bool { return dns.IsSubDomain(name, rr.Header().Name) })
}

// ancestors are the names from below the apex down to name.
func (o *oracle) ancestors(name string) (out []string) {
	for ; name != o.apex; name = name[strings.IndexByte(name, '.')+1:] {
		out = append(out, name)
	}
	slices.Reverse(out)
	return out
}

func (o *oracle) answer(m *dns.Msg, name string, qtype uint16, seen []string) {
	if slices.Contains(seen, name) || len(seen) >= 16 || !dns.IsSubDomain(o.apex, name) {
		return
	}
	seen = append(seen, name)
	for _, n := range o.ancestors(name) {
		if servers := o.at(n, dns.TypeNS); len(servers) > 0 && (n != name || qtype != dns.TypeDS) { // 3b
			m.Ns = append(m.Ns, servers...)
			o.glue(m, servers)
			return
		}
		m.Authoritative = m.Authoritative || n == name
		if d := o.at(n, dns.TypeDNAME); len(d) > 0 && n != name { // RFC 6672
			m.Authoritative = true
			target := strings.TrimSuffix(name, n) + d[0].(*dns.DNAME).Target
			m.Answer = append(m.Answer, d[0], &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: 1, Ttl: d[0].Header().Ttl}, Target: target})
			if qtype != dns.TypeCNAME {
				o.answer(m, target, qtype, seen)
			}
			return
		}
	}
	m.Authoritative = true
	source := name
	if !o.exists(name) { // 3c
		encloser := name
		for !o.exists(encloser) {
			encloser = encloser[strings.IndexByte(encloser, '.')+1:]
		}
		if source = "*." + encloser; !o.exists(source) {
			m.Rcode = dns.RcodeNameError
			o.soa(m)
			return
		}
	}
	o.data(m, name, source, qtype, seen)
}

// data is 3a, with the records of source for name.
func (o *oracle) data(m *dns.Msg, name, source string, qtype uint16, seen []string) {
	for _, t := range []uint16{qtype, dns.TypeCNAME} {
		found := o.at(source, t)
		for _, rr := range found {
			rr = dns.Copy(rr)
			rr.Header().Name = name
			m.Answer = append(m.Answer, rr)
		}
		if len(found) == 0 {
			continue
		}
		if t == dns.TypeCNAME && qtype != dns.TypeCNAME {
			o.answer(m, found[0].(*dns.CNAME).Target, qtype, seen)
		}
		if t == dns.TypeNS && name == o.apex {
			o.glue(m, found)
		}
		return
	}
	o.soa(m)
}

func (o *oracle) soa(m *dns.Msg) {
	soa := dns.Copy(o.at(o.apex, dns.TypeSOA)[0]).(*dns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	m.Ns = append(m.Ns, soa)
}

func (o *oracle) glue(m *dns.Msg, servers []dns.RR) {
	for _, rr := range servers {
		target := rr.(*dns.NS).Ns
		m.Extra = append(append(m.Extra, o.at(target, dns.TypeA)...), o.at(target, dns.TypeAAAA)...)
	}
}

// compareWithOracle asks us and the oracle the same of a random zone.
func compareWithOracle(t *testing.T, seed uint64, names, questions int) {
	r := rand.New(rand.NewPCG(seed, 7))
	text := randomZone(r, names)
	o, s := newOracle(t, text), setOf(t, load(t, "example", text))
	for range questions {
		qname, qtype := askedName(r), askedTypes[r.IntN(len(askedTypes))]
		if qtype == dns.TypeNSEC {
			continue // the one type that an alias has beside itself
		}
		want := new(dns.Msg)
		o.answer(want, qname+".", qtype, nil)
		got := ask(t, s, qname, qtype, false)
		for _, m := range []*dns.Msg{got, want} {
			m.Answer, m.Ns, m.Extra = once(m.Answer), once(m.Ns), once(m.Extra)
		}
		if a, b := shown(got), shown(want); a != b {
			t.Fatalf("seed %d: %s %s:\ngot\n%s\nwant\n%s\nzone:\n%s", seed, qname, dns.TypeToString[qtype], a, b, text)
		}
	}
}

func TestAnswerIsThatOfTheRFC(t *testing.T) {
	for seed := range uint64(cases(60)) {
		compareWithOracle(t, seed, 1+int(seed%50), 60)
	}
}

func FuzzAnswer(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, uint8(10*seed))
	}
	f.Fuzz(func(t *testing.T, seed uint64, names uint8) { compareWithOracle(t, seed, int(names), 40) })
}

// FuzzRead holds that whatever a file holds, it is read or refused, and what is read can be answered from.
func FuzzRead(f *testing.F) {
	f.Add(sample)
	for _, tc := range broken {
		f.Add(tc.text)
	}
	f.Add("$TTL 1\n$ORIGIN a.\n( ; \n) \"\n\\")
	f.Fuzz(func(t *testing.T, text string) {
		z, faults, err := zone.Read(dnsname.MustParse("example"), strings.NewReader(text), "z", now)
		if err == nil != (z != nil) {
			t.Fatalf("zone %v beside error %v", z, err)
		}
		if z == nil {
			if len(faults) == 0 {
				t.Fatalf("refused without a fault: %v", err)
			}
			return
		}
		s := setOf(t, z)
		for _, qname := range []string{"example", "x.example", "a.b.c.example", "*.example"} {
			for _, qtype := range askedTypes {
				ask(t, s, qname, qtype, true)
			}
		}
	})
}

// large is a zone of n names, each with an address, as a zone of many customers has them.
func large(n int) string {
	var b strings.Builder
	b.WriteString("$TTL 3600\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\n")
	for i := range n {
		fmt.Fprintf(&b, "customer-%d A 198.51.%d.%d\n", i, i>>8&255, i&255)
	}
	return b.String()
}

// BenchmarkMemory states what a record costs in memory.
func BenchmarkMemory(b *testing.B) {
	text := large(100_000)
	for b.Loop() {
		z := load(b, "example", text)
		b.ReportMetric(float64(z.Bytes())/float64(z.Records()), "B/record")
	}
}

func BenchmarkLookup100k(b *testing.B) {
	s := setOf(b, load(b, "example", large(100_000)+"alias CNAME customer-7\n*.wild A 192.0.2.7\nsub NS ns.sub\nns.sub A 192.0.2.8\n"))
	room, buf := new([dnsname.WireMax]byte), make([]byte, 0, 4096)
	for _, tc := range []struct{ name, format string }{
		{"data", "customer-%d.example"}, {"nxdomain", "nobody-%d.example"}, {"wildcard", "x%d.wild.example"}, {"referral", "x%d.sub.example"}, {"alias", "alias.example"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			var names [][]byte
			for i := range 1 << 12 {
				text := tc.format
				if strings.Contains(text, "%d") {
					text = fmt.Sprintf(text, i*24)
				}
				names = append(names, []byte(dnsname.MustParse(text)))
			}
			q := zone.Question{Type: dns.TypeA, Limit: 1232, Admitted: true, Room: room}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				q.Name = names[i&(1<<12-1)]
				s.Answer(buf, &q)
			}
		})
	}
}
