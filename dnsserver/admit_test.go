package dnsserver_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"cenote/dnsserver"

	"github.com/miekg/dns"
)

var wwwAnswers = map[string]string{"www.example A": "www.example. 60 A 192.0.2.1"}

func TestForm(t *testing.T) {
	plain := func(name string, qtype uint16) *dns.Msg { m := new(dns.Msg); return m.SetQuestion(name, qtype) }
	with := func(change func(*dns.Msg)) *dns.Msg { m := query("www.example", dns.TypeA); change(m); return m }
	for _, tc := range []struct {
		name string
		msg  *dns.Msg
		want string
	}{
		{"a question", query("www.example", dns.TypeA), "NOERROR\nwww.example. 60 IN A 192.0.2.1"},
		{"without EDNS", plain("www.example.", dns.TypeA), "NOERROR\nwww.example. 60 IN A 192.0.2.1"},
		{"a zone transfer", query("example", dns.TypeAXFR), "REFUSED EDE21"},
		{"an incremental one", with(func(m *dns.Msg) {
			opt := m.Extra
			m.SetIxfr("example.", 1, "ns.example.", "host.example.")
			m.Extra = opt
		}), "REFUSED EDE21"},
		{"type TKEY", query("example", dns.TypeTKEY), "REFUSED EDE21"},
		{"type MAILB", query("example", dns.TypeMAILB), "NOTIMP EDE21"},
		{"type OPT", query("example", dns.TypeOPT), "FORMERR EDE30"},
		{"type TSIG", query("example", dns.TypeTSIG), "FORMERR EDE30"},
		{"type NXNAME", query("example", dns.TypeNXNAME), "FORMERR EDE30"},
		{"type 0", query("example", dns.TypeNone), "FORMERR EDE30"},
		{"ANY gets one word", query("www.example", dns.TypeANY), "NOERROR\nwww.example. 3600 IN HINFO \"RFC8482\" \"\""},
		{"class HS", with(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassHESIOD }), "REFUSED EDE21"},
		{"class ANY", with(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }), "REFUSED EDE21"},
		{"an EDNS version to come", with(func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }), "BADVERS"},
		{"an option nobody knows", with(func(m *dns.Msg) {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")})
		}), "NOERROR\nwww.example. 60 IN A 192.0.2.1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: wwwAnswers})
			expect(t, b.ask(tc.msg), tc.want)
		})
	}
}

// header makes a message of a header with the given flags and counts, and what follows.
func header(flags uint16, counts [4]uint16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, 0x1234)
	b = binary.BigEndian.AppendUint16(b, flags)
	for _, n := range counts {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return append(b, body...)
}

func TestMalformed(t *testing.T) {
	www := []byte("\x03www\x07example\x00\x00\x01\x00\x01")
	for _, tc := range []struct {
		name     string
		in       []byte
		rcode    int // -1: no reply
		question bool
	}{
		{"shorter than a header", []byte{1, 2, 3}, -1, false},
		{"nothing at all", nil, -1, false},
		{"a response", header(0x8180, [4]uint16{1}, www...), -1, false},
		{"a header that promises a question", header(0x0100, [4]uint16{1}), dns.RcodeFormatError, false},
		{"a question that is cut", header(0x0100, [4]uint16{1}, www[:9]...), dns.RcodeFormatError, false},
		{"no question", header(0x0100, [4]uint16{}), dns.RcodeFormatError, false},
		{"two questions", header(0x0100, [4]uint16{2}, append(www, www...)...), dns.RcodeFormatError, false},
		{"an answer in a question", header(0x0100, [4]uint16{1, 1}, www...), dns.RcodeFormatError, false},
		{"octets after the end", header(0x0100, [4]uint16{1}, append(www, 0)...), dns.RcodeFormatError, true},
		{"records that are not there", header(0x0100, [4]uint16{1, 0, 0, 1}, www...), dns.RcodeFormatError, true},
		{"a compressed question", header(0x0100, [4]uint16{1}, 0xc0, 12, 0, 1, 0, 1), dns.RcodeFormatError, false},
		{"an update", header(0x2800, [4]uint16{1}, www...), dns.RcodeNotImplemented, false},
		{"a notify", header(0x2000, [4]uint16{1}, www...), dns.RcodeNotImplemented, false},
		{"an opcode nobody has", header(0x7800, [4]uint16{1}, www...), dns.RcodeNotImplemented, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: wwwAnswers})
			reply := b.send(append([]byte{}, tc.in...))
			if (reply == nil) != (tc.rcode < 0) {
				t.Fatalf("reply = %x, want one: %v", reply, tc.rcode >= 0)
			}
			if reply == nil {
				return
			}
			var r dns.Msg
			must(t, r.Unpack(reply))
			if r.Rcode != tc.rcode || r.Id != 0x1234 || (len(r.Question) == 1) != tc.question || r.Opcode != int(tc.in[2]>>3&15) {
				t.Errorf("reply = %v, want %s, question copied: %v", &r.MsgHdr, dns.RcodeToString[tc.rcode], tc.question)
			}
		})
	}
}

func TestPortZeroGetsNoReply(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	b.peer = netip.MustParseAddrPort("192.168.1.2:0")
	expect(t, b.ask(query("www.example", dns.TypeA)), "dropped")
}

func TestAccess(t *testing.T) {
	set := func(a dnsserver.Access) func(*dnsserver.Settings) {
		return func(s *dnsserver.Settings) { s.Access = a }
	}
	allow := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	deny := []netip.Prefix{netip.MustParsePrefix("198.51.100.128/25")}
	const answer, refused = "NOERROR\nwww.example. 60 IN A 192.0.2.1", "REFUSED EDE18"
	for _, tc := range []struct {
		name     string
		peer     string
		settings func(*dnsserver.Settings)
		want     string
	}{
		{"default: loopback", "127.0.0.1:9", nil, answer},
		{"default: loopback over IPv6", "[::1]:9", nil, answer},
		{"default: private", "10.1.2.3:9", nil, answer},
		{"default: unique local", "[fd00::1]:9", nil, answer},
		{"default: link local with its zone", "[fe80::1%eth0]:9", nil, answer},
		{"default: the world", "198.51.100.1:9", nil, refused},
		{"default: the world over IPv6", "[2001:db8::1]:9", nil, refused},
		{"allowed", "198.51.100.1:9", set(dnsserver.Access{Allow: allow}), answer},
		{"allowed over IPv6", "[2001:db8::1]:9", set(dnsserver.Access{Allow: allow}), answer},
		{"denied within", "198.51.100.129:9", set(dnsserver.Access{Allow: allow, Deny: deny}), refused},
		{"outside", "127.0.0.1:9", set(dnsserver.Access{Allow: allow}), refused},
		{"outside, silently", "127.0.0.1:9", set(dnsserver.Access{Allow: allow, Drop: true}), "dropped"},
		{"nobody", "127.0.0.1:9", set(dnsserver.Access{}), refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: wwwAnswers, settings: tc.settings})
			b.peer = netip.MustParseAddrPort(tc.peer)
			r := b.ask(query("www.example", dns.TypeA))
			expect(t, r, tc.want)
			if r != nil && r.RecursionAvailable != (r.Rcode == dns.RcodeSuccess) {
				t.Errorf("RA = %v in %s", r.RecursionAvailable, dns.RcodeToString[r.Rcode])
			}
			if tc.want != answer && b.policyN.Load() != 0 {
				t.Error("policy was asked for a client outside the access list")
			}
		})
	}
}

func TestChaos(t *testing.T) {
	named := func(s *dnsserver.Settings) {
		s.Identity = dnsserver.Identity{Version: "cenote 1", Hostname: "resolver-1"}
	}
	ask := func(b *bench, name string, qtype uint16) *dns.Msg {
		m := query(name, qtype)
		m.Question[0].Qclass = dns.ClassCHAOS
		return b.ask(m)
	}
	t.Run("hidden by default", func(t *testing.T) {
		b := newBench(t, options{})
		for _, name := range []string{"version.bind", "version.server", "hostname.bind", "id.server", "authors.bind", "."} {
			expect(t, ask(b, name, dns.TypeTXT), "REFUSED EDE21")
		}
	})
	t.Run("told if the operator says so", func(t *testing.T) {
		b := newBench(t, options{settings: named})
		expect(t, ask(b, "Version.Bind", dns.TypeTXT), "NOERROR AA", `Version.Bind. 0 CH TXT "cenote 1"`)
		expect(t, ask(b, "id.server", dns.TypeTXT), "NOERROR AA", `id.server. 0 CH TXT "resolver-1"`)
		expect(t, ask(b, "version.bind", dns.TypeA), "REFUSED EDE21")
		expect(t, ask(b, "authors.bind", dns.TypeTXT), "REFUSED EDE21")
	})
}
