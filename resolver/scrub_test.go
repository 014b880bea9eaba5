package resolver_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"cenote/resolver"
	"cenote/rrcache"
	"cenote/wire"

	"github.com/miekg/dns"
)

// replyOf makes a reply in wire form. Records are in presentation format; those after "--" belong to the next section. A word of capital
// letters first is the rcode.
func replyOf(t testing.TB, name string, qtype uint16, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.Response, m.RecursionAvailable, m.Compress = true, true, true
	sections := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if rcode, ok := dns.StringToRcode[line]; ok {
			m.Rcode = rcode
		} else if line == "--" {
			sections = sections[1:]
		} else if line != "" {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			*sections[0] = append(*sections[0], rr)
		}
	}
	return m
}

const (
	soaLine  = "example. 60 IN SOA ns.example. host.example. 1 2 3 4 5"
	sigOf    = " 60 IN RRSIG %s 8 2 60 20300101000000 20200101000000 1 example. AAAA"
	nsecLine = "a.example. 60 IN NSEC c.example. A RRSIG NSEC"
)

func TestScrub(t *testing.T) {
	sig := func(owner, covered string) string { return owner + fmt.Sprintf(sigOf, covered) }
	chain := func(n int) string {
		lines := make([]string, n)
		for i := range lines {
			lines[i] = fmt.Sprintf("n%d.example. 60 IN CNAME n%d.example.", i, i+1)
		}
		return strings.Join(lines, "\n")
	}
	for _, tc := range []struct {
		name  string
		asked string
		qtype uint16
		do    bool
		reply string
		want  string // sections and records, in the words of replyOf; owner case aside
		err   error
	}{
		{"plain", "www.example", dns.TypeA, false, "www.example. 60 IN A 192.0.2.1", "www.example. 60 IN A 192.0.2.1", nil},
		{"unrelated record", "www.example", dns.TypeA, false, "www.example. 60 IN A 192.0.2.1\nbank.example. 60 IN A 198.51.100.66", "www.example. 60 IN A 192.0.2.1", nil},
		{"unrelated records alone", "www.example", dns.TypeA, false, "bank.example. 60 IN A 198.51.100.66", "", resolver.ErrUnrelated},
		{"another type", "www.example", dns.TypeA, false, "www.example. 60 IN A 192.0.2.1\nwww.example. 60 IN TXT \"x\"", "www.example. 60 IN A 192.0.2.1", nil},
		{"alias", "www.example", dns.TypeA, false, "www.example. 60 IN CNAME A.example.\na.example. 60 IN A 192.0.2.1", "www.example. 60 IN CNAME A.example.\na.example. 60 IN A 192.0.2.1", nil},
		{"alias out of order", "www.example", dns.TypeA, false, "a.example. 60 IN A 192.0.2.1\nwww.example. 60 IN CNAME a.example.", "www.example. 60 IN CNAME a.example.\na.example. 60 IN A 192.0.2.1", nil},
		{"alias asked for", "www.example", dns.TypeCNAME, false, "www.example. 60 IN CNAME a.example.\na.example. 60 IN A 192.0.2.1", "www.example. 60 IN CNAME a.example.", nil},
		{"record behind the chain", "www.example", dns.TypeA, false, "www.example. 60 IN CNAME a.example.\na.example. 60 IN A 192.0.2.1\nb.example. 60 IN A 192.0.2.2", "www.example. 60 IN CNAME a.example.\na.example. 60 IN A 192.0.2.1", nil},
		{"eleven aliases", "n0.example", dns.TypeA, false, chain(11) + "\nn11.example. 60 IN A 192.0.2.1", chain(11) + "\nn11.example. 60 IN A 192.0.2.1", nil},
		{"twelve aliases", "n0.example", dns.TypeA, false, chain(12) + "\nn12.example. 60 IN A 192.0.2.1", "", resolver.ErrChain},
		{"aliases in a circle", "n0.example", dns.TypeA, false, chain(1) + "\nn1.example. 60 IN CNAME n0.example.", "", resolver.ErrChain},
		{"everything", "www.example", dns.TypeANY, false, "www.example. 60 IN A 192.0.2.1\nwww.example. 60 IN MX 5 m.example.\nm.example. 60 IN A 192.0.2.2", "www.example. 60 IN A 192.0.2.1\nwww.example. 60 IN MX 5 m.example.", nil},
		{"made by DNAME", "www.old.example", dns.TypeA, false, "old.example. 60 IN DNAME new.example.\nwww.old.example. 60 IN CNAME www.new.example.\nwww.new.example. 60 IN A 192.0.2.1", "old.example. 60 IN DNAME new.example.\nwww.old.example. 60 IN CNAME www.new.example.\nwww.new.example. 60 IN A 192.0.2.1", nil},
		{"DNAME that makes something else", "www.old.example", dns.TypeA, false, "old.example. 60 IN DNAME evil.example.\nwww.old.example. 60 IN CNAME www.new.example.\nwww.new.example. 60 IN A 192.0.2.1", "www.old.example. 60 IN CNAME www.new.example.\nwww.new.example. 60 IN A 192.0.2.1", nil},
		{"authority and additional of an answer", "www.example", dns.TypeA, false, "www.example. 60 IN A 192.0.2.1\n--\nexample. 60 IN NS ns.evil.example.\n--\nns.evil.example. 60 IN A 198.51.100.66", "www.example. 60 IN A 192.0.2.1", nil},
		{"SOA beside an answer", "www.example", dns.TypeA, false, "www.example. 60 IN A 192.0.2.1\n--\n" + soaLine, "www.example. 60 IN A 192.0.2.1", nil},
		{"NXDOMAIN", "www.example", dns.TypeA, false, "NXDOMAIN\n--\n" + soaLine + "\nexample. 60 IN NS ns.example.", "NXDOMAIN\n--\n" + soaLine, nil},
		{"NXDOMAIN behind an alias", "www.other", dns.TypeA, false, "NXDOMAIN\nwww.other. 60 IN CNAME x.example.\n--\n" + soaLine, "NXDOMAIN\nwww.other. 60 IN CNAME x.example.\n--\n" + soaLine, nil},
		{"SOA of another zone", "www.other", dns.TypeA, false, "NXDOMAIN\n--\n" + soaLine, "NXDOMAIN", nil},
		{"NXDOMAIN with an answer", "www.example", dns.TypeA, false, "NXDOMAIN\nwww.example. 60 IN A 192.0.2.1", "", resolver.ErrUnrelated},
		{"NODATA", "www.example", dns.TypeA, false, "--\n" + soaLine, "--\n" + soaLine, nil},
		{"NODATA without SOA", "www.example", dns.TypeA, false, "", "", nil},
		{"referral", "www.example", dns.TypeA, false, "--\nexample. 60 IN NS ns.example.", "", resolver.ErrReferral},
		{"signed", "www.example", dns.TypeA, true, "www.example. 60 IN A 192.0.2.1\n" + sig("www.example.", "A") + "\n" + sig("www.example.", "MX"), "www.example. 60 IN A 192.0.2.1\n" + sig("www.example.", "A"), nil},
		{"signatures nobody asked for", "www.example", dns.TypeA, false, "www.example. 60 IN A 192.0.2.1\n" + sig("www.example.", "A"), "www.example. 60 IN A 192.0.2.1", nil},
		{"signed alias", "www.example", dns.TypeA, true, "www.example. 60 IN CNAME a.example.\n" + sig("www.example.", "CNAME") + "\na.example. 60 IN A 192.0.2.1\n" + sig("a.example.", "A"), "www.example. 60 IN CNAME a.example.\n" + sig("www.example.", "CNAME") + "\na.example. 60 IN A 192.0.2.1\n" + sig("a.example.", "A"), nil},
		{"signed denial", "b.example", dns.TypeA, true, "NXDOMAIN\n--\n" + nsecLine + "\n" + sig("a.example.", "NSEC") + "\n" + soaLine + "\n" + sig("example.", "SOA") + "\nexample. 60 IN NS ns.example.", "NXDOMAIN\n--\n" + soaLine + "\n" + nsecLine + "\n" + sig("a.example.", "NSEC") + "\n" + sig("example.", "SOA"), nil},
		{"wildcard with its proof", "b.example", dns.TypeA, true, "b.example. 60 IN A 192.0.2.1\n--\n" + nsecLine, "b.example. 60 IN A 192.0.2.1\n--\n" + nsecLine, nil},
		{"TTL with its highest bit", "www.example", dns.TypeA, false, "www.example. 4294967295 IN A 192.0.2.1", "www.example. 0 IN A 192.0.2.1", nil},
		{"another class", "www.example", dns.TypeA, false, "www.example. 60 CH A 192.0.2.1", "", resolver.ErrUnrelated},
		{"REFUSED", "www.example", dns.TypeA, false, "REFUSED", "", resolver.ErrRcode},
		{"types with names in them", "www.example", dns.TypeANY, false, everyType, everyType, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := keyOf(tc.asked, tc.qtype)
			k.DO = tc.do
			msg, _, err := resolver.Scrub(k, packed(t, replyOf(t, tc.asked, tc.qtype, tc.reply)), false)
			if !errors.Is(err, tc.err) || (err != nil) != (tc.err != nil) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			if err != nil {
				return
			}
			got := new(dns.Msg)
			if err := got.Unpack(msg); err != nil {
				t.Fatalf("result does not parse: %v (%x)", err, msg)
			}
			want := replyOf(t, tc.asked, tc.qtype, tc.want)
			want.Id, want.RecursionDesired = 0, false
			if got.String() != want.String() {
				t.Errorf("got\n%v\nwant\n%v", got, want)
			}
			if limit := len(packed(t, want)) + 8; len(msg) > limit {
				t.Errorf("result has %d octets, want at most %d: it is not compressed well", len(msg), limit)
			}
		})
	}
}

const everyType = `www.example. 60 IN NS ns.www.example.
	www.example. 60 IN SOA ns.www.example. host.www.example. 1 2 3 4 5
	www.example. 60 IN PTR ptr.example.
	www.example. 60 IN MINFO a.example. b.example.
	www.example. 60 IN MX 5 mx.example.
	www.example. 60 IN TXT "text" "more"
	www.example. 60 IN RP a.example. b.example.
	www.example. 60 IN AFSDB 1 a.example.
	www.example. 60 IN RT 1 a.example.
	www.example. 60 IN PX 1 a.example. b.example.
	www.example. 60 IN KX 1 a.example.
	www.example. 60 IN SRV 1 2 3 srv.example.
	www.example. 60 IN NAPTR 1 2 "S" "SIP+D2U" "" replace.example.
	www.example. 60 IN DNAME d.example.
	www.example. 60 IN SVCB 1 svc.example. alpn="h2"
	www.example. 60 IN HTTPS 0 h.example.
	www.example. 60 IN CAA 0 issue "ca.example"
	www.example. 60 IN TYPE65534 \# 4 c00c0001`

func TestScrubRefusesMalformedReplies(t *testing.T) {
	k := keyOf("www.example", dns.TypeANY)
	record := func(rtype uint16, data ...byte) []byte {
		m := packed(t, replyOf(t, "www.example", dns.TypeANY, ""))
		wire.SetCount(m, 1, 1)
		return wire.AppendRecord(m, []byte{0xc0, 12}, rtype, wire.ClassIN, 60, data)
	}
	for name, packet := range map[string][]byte{
		"short address":           record(wire.TypeA, 192, 0, 2),
		"long address":            record(wire.TypeAAAA, make([]byte, 17)...),
		"alias to nowhere":        record(wire.TypeCNAME),
		"alias that points ahead": record(wire.TypeCNAME, 0xc0, 0xff),
		"alias past its end":      record(wire.TypeCNAME, 3, 'a'),
		"octets behind an alias":  record(wire.TypeCNAME, 0xc0, 12, 0),
		"SOA without numbers":     record(wire.TypeSOA, 0, 0),
		"MX without name":         record(wire.TypeMX, 0),
		"NAPTR without name":      record(35, 0, 1, 0, 1, 0, 0, 0),
		"NAPTR with long string":  record(35, 0, 1, 0, 1, 200, 0, 0),
		"cut":                     record(wire.TypeA, 192, 0, 2, 1)[:40],
	} {
		if msg, _, err := resolver.Scrub(k, packet, false); !errors.Is(err, resolver.ErrMalformed) {
			t.Errorf("%s: got %x, %v, want %v", name, msg, err, resolver.ErrMalformed)
		}
	}
	many := replyOf(t, "www.example", dns.TypeANY, "")
	for i := range 1100 {
		many.Answer = append(many.Answer, &dns.A{Hdr: dns.RR_Header{Name: "www.example.", Rrtype: dns.TypeA, Class: 1, Ttl: 60}, A: net.IPv4(192, 0, byte(i>>8), byte(i))})
	}
	if _, _, err := resolver.Scrub(k, packed(t, many), false); !errors.Is(err, resolver.ErrTooMany) {
		t.Errorf("1100 records: %v, want %v", err, resolver.ErrTooMany)
	}
}

func TestLikeness(t *testing.T) {
	k := keyOf(longName, dns.TypeA)
	query := resolver.Query(k, true)
	with := func(edit func([]byte) []byte) []byte {
		b := append([]byte(nil), query...)
		b[2] |= 0x80
		return edit(b)
	}
	for name, tc := range map[string]struct {
		packet []byte
		want   string
	}{
		"reply":             {with(func(b []byte) []byte { return b }), "reply"},
		"the query itself":  {query, "stranger"},
		"empty":             {nil, "stranger"},
		"another id":        {with(func(b []byte) []byte { b[1]++; return b }), "stranger"},
		"another opcode":    {with(func(b []byte) []byte { b[2] |= 4 << 3; return b }), "stranger"},
		"another name":      {with(func(b []byte) []byte { b[14] = 'z'; return b }), "stranger"},
		"another type":      {with(func(b []byte) []byte { b[12+len(k.Name)+1] = 28; return b }), "stranger"},
		"another class":     {with(func(b []byte) []byte { b[12+len(k.Name)+3] = 3; return b }), "stranger"},
		"cut question":      {with(func(b []byte) []byte { return b[:20] }), "stranger"},
		"no question":       {with(func(b []byte) []byte { b[5] = 0; return b[:12] }), "stranger"},
		"bare FORMERR":      {with(func(b []byte) []byte { b[5] = 0; b[3] = 1; return b[:12] }), "bare"},
		"another case":      {with(func(b []byte) []byte { b[13] ^= 0x20; return b }), "case"},
		"two questions":     {with(func(b []byte) []byte { b[5] = 2; return b }), "stranger"},
		"bare FORMERR, id?": {with(func(b []byte) []byte { b[5] = 0; b[3] = 1; b[0]++; return b[:12] }), "stranger"},
	} {
		if got := resolver.Likeness(k, query, tc.packet); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestQueriesCannotBeForeseen(t *testing.T) {
	k, ids, cases := keyOf(longName, dns.TypeA), map[uint16]bool{}, map[string]bool{}
	for range 200 {
		q := resolver.Query(k, true)
		ids[wire.ID(q)], cases[string(q[12:12+len(k.Name)])] = true, true
	}
	if len(ids) < 190 || len(cases) < 199 {
		t.Errorf("%d ids and %d spellings in 200 queries", len(ids), len(cases))
	}
}

// FuzzScrub scrubs arbitrary replies: no panic; what comes out parses, keeps to the question, can be cached, and scrubs to itself.
func FuzzScrub(f *testing.F) {
	for _, text := range []string{everyType, "www.example. 60 IN CNAME a.example.\na.example. 60 IN A 192.0.2.1", "NXDOMAIN\n--\n" + soaLine + "\n" + nsecLine} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeANY} {
			f.Add(packed(f, replyOf(f, "www.example", qtype, text)), qtype, true)
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, qtype uint16, do bool) {
		k := keyOf("www.example", qtype)
		k.DO = do
		head := packed(t, replyOf(t, "www.example", qtype, ""))
		if len(packet) < wire.HeaderLen {
			return
		}
		if !strings.Contains(string(packet), string(head[12:])) { // arbitrary records behind a right question
			packet = append(append(append([]byte(nil), packet[:wire.HeaderLen]...), head[12:]...), packet[wire.HeaderLen:]...)
			wire.SetCount(packet, 0, 1)
		}
		msg, _, err := resolver.Scrub(k, packet, false)
		if err != nil {
			return
		}
		checkScrubbed(t, k, msg)
		again, _, err := resolver.Scrub(k, msg, false)
		if err != nil || string(again) != string(msg) {
			t.Fatalf("scrubbed again: %v\n%x\n%x", err, msg, again)
		}
		cache, err := rrcache.New(rrcache.Config{Bytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		cache.Put(k, msg, 1)
		if n := cache.Stats().Refused[rrcache.RefusedMalformed] + cache.Stats().Refused[rrcache.RefusedQuestion]; n != 0 {
			t.Fatalf("the cache cannot read %x", msg)
		}
	})
}

// checkScrubbed looks at the promises of scrub.
func checkScrubbed(t *testing.T, k *rrcache.Key, msg []byte) {
	w, err := wire.Records(msg)
	if err != nil {
		t.Fatal(err)
	}
	owner := string(k.Name)
	for w.Next() {
		name, _, err := wire.AppendName(nil, msg, w.NameOff)
		if err != nil || w.Section == wire.SectionAdditional || w.TTL > 1<<31-1 {
			t.Fatalf("owner %x (%v) in section %d with TTL %d", name, err, w.Section, w.TTL)
		}
		if w.Section != wire.SectionAnswer {
			continue
		}
		if w.Type != wire.TypeDNAME && w.Type != wire.TypeRRSIG && string(name) != owner {
			t.Fatalf("%x follows %x", name, owner)
		}
		if w.Type == wire.TypeCNAME && k.Type != wire.TypeCNAME && k.Type != wire.TypeANY {
			target, _, err := wire.AppendName(nil, msg, w.DataOff)
			if err != nil {
				t.Fatal(err)
			}
			owner = strings.ToLower(string(target))
		}
	}
	if w.Err != nil || w.Offset() != len(msg) || len(msg) > wire.MessageMax {
		t.Fatalf("%v; %d of %d octets are records", w.Err, w.Offset(), len(msg))
	}
}

func BenchmarkScrub(b *testing.B) {
	k := keyOf("www.example", dns.TypeA)
	packet := packed(b, replyOf(b, "www.example", dns.TypeA, "www.example. 60 IN CNAME a.cdn.example.\na.cdn.example. 60 IN A 192.0.2.1\na.cdn.example. 60 IN A 192.0.2.2"))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := resolver.Scrub(k, packet, false); err != nil {
			b.Fatal(err)
		}
	}
}
