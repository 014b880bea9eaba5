package wire_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/wire"

	"github.com/miekg/dns"
)

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ask(name string, qtype uint16, edit func(*dns.Msg)) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	if edit != nil {
		edit(m)
	}
	return m
}

func TestQueryParse(t *testing.T) {
	good := pack(t, ask("WwW.example.", dns.TypeAAAA, func(m *dns.Msg) { m.SetEdns0(4096, true) }))
	with := func(edit func([]byte) []byte) []byte { return edit(bytes.Clone(good)) }
	for _, tc := range []struct {
		name string
		msg  []byte
		want wire.Fault
	}{
		{"good", good, wire.FaultNone},
		{"empty", nil, wire.FaultDrop},
		{"eleven octets", good[:11], wire.FaultDrop},
		{"a response", with(func(b []byte) []byte { b[2] |= 0x80; return b }), wire.FaultDrop},
		{"notify", with(func(b []byte) []byte { b[2] |= 4 << 3; return b }), wire.FaultOpcode},
		{"header alone that claims a question", append(bytes.Clone(good[:4]), 0, 1, 0, 0, 0, 0, 0, 0), wire.FaultFormat},
		{"no question", append(bytes.Clone(good[:4]), 0, 0, 0, 0, 0, 0, 0, 0), wire.FaultFormat},
		{"two questions", with(func(b []byte) []byte { b[5] = 2; return b }), wire.FaultFormat},
		{"cut question", good[:20], wire.FaultFormat},
		{"an answer in a query", with(func(b []byte) []byte { b[7] = 1; return b }), wire.FaultFormat},
		{"more records claimed than sent", with(func(b []byte) []byte { b[11] = 2; return b }), wire.FaultFormat},
		{"trailing octets", append(bytes.Clone(good), 0), wire.FaultFormat},
		{"compressed question", append(append(bytes.Clone(good[:12]), 0xc0, 0x0c), 0, 1, 0, 1), wire.FaultFormat},
		{"EDNS version 1", pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) })), wire.FaultVersion},
		{"EDNS version 1 with data in a form to come", pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().SetVersion(1)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Cookie: "00112233445566"}}
		})), wire.FaultVersion},
		{"TSIG behind OPT", signed(t, true), wire.FaultNone},
		{"TSIG before OPT", signed(t, false), wire.FaultFormat},
		{"two TSIG records", pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) { m.Extra = []dns.RR{tsig(), tsig()} })), wire.FaultFormat},
		{"TSIG among the authorities", pack(t, ask("example.", dns.TypeIXFR, func(m *dns.Msg) { m.Ns = []dns.RR{tsig()} })), wire.FaultFormat},
		{"no question, and a cookie", pack(t, cookies("0011223344556677")), wire.FaultNoQuestion},
		{"no question, and a malformed cookie", pack(t, cookies("00112233445566")), wire.FaultFormat},
		{"no question, and EDNS without a cookie", pack(t, cookies()), wire.FaultFormat},
		{"no question, a cookie and octets after the end", append(pack(t, cookies("0011223344556677")), 0), wire.FaultFormat},
		{"a malformed cookie behind a good one", pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) { m.Extra = cookies("0011223344556677", "00").Extra })), wire.FaultNone},
		{"two OPT records", pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false); m.Extra = append(m.Extra, m.Extra[0]) })), wire.FaultFormat},
		{"a malformed cookie and EDNS version 1", pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) {
			m.Extra = cookies("00").Extra
			m.IsEdns0().SetVersion(1)
		})), wire.FaultVersion},
		{"a malformed cookie and octets after the end", append(pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) { m.Extra = cookies("00").Extra })), 0), wire.FaultFormat},
		{"cookie of 7 octets", pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Cookie: "00112233445566"})
		})), wire.FaultCookie},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var q wire.Query
			if got := q.Parse(tc.msg); got != tc.want {
				t.Errorf("Parse = %v, want %v", got, tc.want)
			}
		})
	}
	var q wire.Query
	q.Parse(good)
	if string(q.Name) != string(dnsname.MustParse("WwW.example")) || q.Labels != 2 || q.Type != wire.TypeAAAA || !q.OPT.DO || q.OPT.UDPSize != 4096 {
		t.Errorf("Parse read %+v", q)
	}
}

// TestNoticeParse: a notice is read with what it carries as hints, and nothing else is one.
func TestNoticeParse(t *testing.T) {
	soa := &dns.SOA{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.example.", Mbox: "host.example.", Serial: 7}
	notice := func(edit func(*dns.Msg)) []byte {
		m := new(dns.Msg).SetNotify("example.")
		if edit != nil {
			edit(m)
		}
		return pack(t, m)
	}
	for _, tc := range []struct {
		name string
		msg  []byte
		want wire.Fault
	}{
		{"alone", notice(nil), wire.FaultNone},
		{"with a hint", notice(func(m *dns.Msg) { m.Answer = []dns.RR{soa} }), wire.FaultNone},
		{"with a hint, EDNS and a signature", notice(func(m *dns.Msg) { m.Answer = []dns.RR{soa}; m.SetEdns0(1232, false); m.Extra = append(m.Extra, tsig()) }), wire.FaultNone},
		{"a query", pack(t, ask("example.", dns.TypeSOA, nil)), wire.FaultOpcode},
		{"a reply", notice(func(m *dns.Msg) { m.Response = true }), wire.FaultDrop},
		{"a header", notice(nil)[:12], wire.FaultFormat},
		{"less than a header", notice(nil)[:11], wire.FaultDrop},
		{"no question", notice(func(m *dns.Msg) { m.Question = nil }), wire.FaultFormat},
		{"a cut hint", notice(func(m *dns.Msg) { m.Answer = []dns.RR{soa} })[:40], wire.FaultFormat},
		{"octets after the end", append(notice(nil), 0), wire.FaultFormat},
		{"a signature among the answers", notice(func(m *dns.Msg) { m.Answer = []dns.RR{tsig()} }), wire.FaultFormat},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var q wire.Query
			if got := q.ParseAbout(tc.msg); got != tc.want {
				t.Errorf("ParseAbout = %v, want %v", got, tc.want)
			}
			if tc.want == wire.FaultNone && (string(q.Name) != "\x07example\x00" || q.Type != dns.TypeSOA) {
				t.Errorf("it read %+v", q)
			}
		})
	}
}

func tsig() dns.RR {
	return &dns.TSIG{Hdr: dns.RR_Header{Name: "key.example.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: dns.HmacSHA256}
}

// signed is a query with a TSIG record behind its OPT record, or before it.
func signed(t *testing.T, last bool) []byte {
	return pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) {
		m.SetEdns0(1232, false)
		m.Extra = append(m.Extra, tsig())
		if !last {
			slices.Reverse(m.Extra)
		}
	}))
}

// cookies asks for nothing but sends cookies (RFC 7873 section 5.4).
func cookies(all ...string) *dns.Msg {
	m := new(dns.Msg).SetEdns0(1232, false)
	for _, c := range all {
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: c})
	}
	return m
}

// Of several cookies the first counts (RFC 7873 section 5.2).
func TestFirstCookieCounts(t *testing.T) {
	msg := pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) { m.Extra = cookies("0011223344556677", "8899aabbccddeeff").Extra }))
	var q wire.Query
	if got := q.Parse(msg); got != wire.FaultNone || !bytes.Equal(q.OPT.Cookie, []byte("\x00\x11\x22\x33\x44\x55\x66\x77")) {
		t.Errorf("Parse = %v with cookie %x, want none with the first", got, q.OPT.Cookie)
	}
}

func TestUnknownOptionsArePassedOver(t *testing.T) {
	msg := pack(t, ask("example.", dns.TypeA, func(m *dns.Msg) {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}, &dns.EDNS0_COOKIE{Cookie: "0011223344556677"}}
	}))
	var q wire.Query
	if got := q.Parse(msg); got != wire.FaultNone || len(q.OPT.Cookie) != 8 {
		t.Errorf("Parse = %v with cookie %x, want none with 8 octets", got, q.OPT.Cookie)
	}
}

func TestWalkMatchesTheLibrary(t *testing.T) {
	m := ask("www.example.", dns.TypeA, nil)
	m.Compress = true
	for _, s := range []string{"www.example. 300 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.1"} {
		rr, _ := dns.NewRR(s)
		m.Answer = append(m.Answer, rr)
	}
	rr, _ := dns.NewRR("example. 5 IN SOA ns.example. root.example. 1 2 3 4 5")
	m.Ns = append(m.Ns, rr)
	m.SetEdns0(1232, false)
	msg := pack(t, m)
	w, err := wire.Records(msg)
	if err != nil {
		t.Fatal(err)
	}
	var got []uint16
	for w.Next() {
		got = append(got, w.Type)
		if w.Type == wire.TypeCNAME {
			target, _, err := wire.AppendName(nil, msg, w.DataOff)
			if err != nil || string(target) != string(dnsname.MustParse("a.example")) {
				t.Errorf("CNAME target = %x, %v", target, err)
			}
		}
	}
	if want := []uint16{wire.TypeCNAME, wire.TypeA, wire.TypeSOA, wire.TypeOPT}; w.Err != nil || len(got) != len(want) || w.Offset() != len(msg) {
		t.Errorf("walk saw %v (%v), want %v", got, w.Err, want)
	}
}

func TestPointerLoopsEnd(t *testing.T) {
	for name, msg := range map[string][]byte{
		"itself":            append(make([]byte, 12), 0xc0, 12),
		"forward":           append(make([]byte, 12), 0xc0, 14, 0xc0, 12),
		"label then itself": append(make([]byte, 12), 1, 'a', 0xc0, 12),
	} {
		if _, _, err := wire.AppendName(nil, msg, 12); !errors.Is(err, wire.ErrPointer) {
			t.Errorf("%s: AppendName error = %v, want %v", name, err, wire.ErrPointer)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	msg := pack(t, ask("www.example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) }))
	var q wire.Query
	if n := testing.AllocsPerRun(1000, func() { q.Parse(msg) }); n != 0 {
		t.Errorf("Parse allocates %v times a query, want 0", n)
	}
}

// FuzzQuery holds the parser against the library: what we accept, it accepts and reads the same.
func FuzzQuery(f *testing.F) {
	f.Add(pack(f, ask("www.example.", dns.TypeA, nil)))
	f.Add(pack(f, ask("www.example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) })))
	f.Add(append(make([]byte, 5), 1, 0, 0, 0, 0, 0, 0))
	f.Add(pack(f, new(dns.Msg).SetNotify("example.")))
	f.Add(pack(f, new(dns.Msg).SetUpdate("example.")))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var q wire.Query
		if q.ParseAbout(msg) == wire.FaultNone {
			var m dns.Msg
			if err := m.Unpack(msg); err == nil && (m.Opcode != dns.OpcodeNotify && m.Opcode != dns.OpcodeUpdate || m.Response || len(m.Question) != 1 || m.Question[0].Qtype != q.Type) {
				t.Fatalf("read %+v, library %v", q, &m)
			}
			return
		}
		if q.Parse(msg) != wire.FaultNone {
			return
		}
		var m dns.Msg
		if err := m.Unpack(msg); err != nil {
			if !q.OPT.Present && !q.TSIG && wire.Count(msg, 3) == 0 {
				t.Fatalf("accepted what the library refuses: %v", err)
			}
			return
		}
		if len(m.Question) != 1 || m.Question[0].Qtype != q.Type || m.Question[0].Qclass != q.Class || m.Id != q.ID {
			t.Fatalf("read %+v, library %+v", q, m.Question)
		}
		if opt := m.IsEdns0(); (opt != nil) != q.OPT.Present || opt != nil && (opt.Do() != q.OPT.DO) {
			t.Fatalf("read OPT %+v, library %v", q.OPT, opt)
		}
	})
}

// FuzzRecords walks arbitrary octets: no panic, and no name longer than a name.
func FuzzRecords(f *testing.F) {
	f.Add(append(make([]byte, 12), 0xc0, 12))
	f.Add(pack(f, ask("www.example.", dns.TypeA, func(m *dns.Msg) {
		m.Response, m.Compress = true, true
		for _, line := range []string{"www.example. 60 CNAME host.www.example.", "host.www.example. 60 A 192.0.2.1", "example. 60 NS ns.www.example."} {
			rr, err := dns.NewRR(line)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		m.SetEdns0(1232, true)
	})))
	f.Fuzz(func(t *testing.T, msg []byte) {
		w, err := wire.Records(msg)
		if err != nil {
			return
		}
		for w.Next() {
			if name, _, err := wire.AppendName(nil, msg, w.NameOff); err == nil {
				if n, _, err := dnsname.Check(name); err != nil || n != len(name) {
					t.Fatalf("AppendName gave %x: %v", name, err)
				}
			}
			_ = w.RData()
		}
	})
}

func BenchmarkQueryParse(b *testing.B) {
	msg := pack(b, ask("www.some-name.example.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) }))
	var q wire.Query
	b.ReportAllocs()
	for b.Loop() {
		if q.Parse(msg) != wire.FaultNone {
			b.Fatal("refused")
		}
	}
}
