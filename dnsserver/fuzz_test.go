package dnsserver_test

import (
	"bytes"
	"net/netip"
	"testing"

	"cenote/dnsserver"
	"cenote/policy"
	"cenote/zone"

	"github.com/miekg/dns"
)

// FuzzAnswer takes arbitrary messages through the whole path. Whatever comes, nothing panics, and what goes out is a DNS message that
// others can read, with the id and the question of the query, within the client's limit.
func FuzzAnswer(f *testing.F) {
	for _, tc := range inline {
		f.Add(must1(query(tc.qname, tc.qtype).Pack()), uint16(1232), false)
	}
	signed := query("www.example", dns.TypeA)
	signed.SetTsig("key.example.", dns.HmacSHA256, 300, 1_700_000_000)
	f.Add(must1(signed.Pack()), uint16(1232), false)
	f.Add(must1(cookieQuery("sly.example", "0102030405060708").Pack()), uint16(512), true)
	f.Add(must1(query("garden.example", dns.TypeMX).Pack()), uint16(600), true)
	f.Add(header(0x0100, [4]uint16{1}), uint16(0), false)
	f.Add(header(0x2000, [4]uint16{1}, []byte("\x03www\x07example\x00\x00\x06\x00\x01")...), uint16(40), false)
	f.Add(must1(new(dns.Msg).SetNotify("near.test.").Pack()), uint16(512), false)
	b := newFuzzBench(f)
	f.Fuzz(func(t *testing.T, in []byte, room uint16, tcp bool) {
		b.t, b.tcp, b.out = t, tcp, make([]byte, room)
		sent := bytes.Clone(in)
		checkReply(t, sent, b.send(in), int(room), tcp)
		if dnsserver.Bugs(b.worker) != 0 {
			t.Fatal("a fault was caught on the path")
		}
	})
}

func newFuzzBench(f testing.TB) *bench {
	sinks := sink("sink", policy.ActionSinkhole)
	sinks.EDEText = true
	p := newPolicy(f, 1, []policy.Zone{sinks}, listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree},
		listed{name: "garden.example", zone: "sink", kind: policy.KindSubtree, data: &policy.LocalData{RRsets: []policy.RRset{rrset(dns.TypeCNAME, 9, wire("*.alias.example"))}}})
	set := hearing(f)
	b := newBench(f, options{policy: p, zones: func() *zone.Set { return set }, settings: func(s *dnsserver.Settings) {
		s.Rates.Enabled = false
		s.Identity.Version = "cenote"
	}, answers: map[string]string{
		"www.example A":                   "www.example. 300 A 198.51.100.1",
		"sly.example A":                   "sly.example. 300 CNAME www.bad.example.\nwww.bad.example. 300 A 198.51.100.1",
		"garden.example.alias.example MX": "garden.example.alias.example. 300 MX 10 mail.example.",
	}})
	b.peer = netip.MustParseAddrPort("127.0.0.1:5353")
	return b
}

func checkReply(t *testing.T, in, reply []byte, room int, tcp bool) {
	t.Helper()
	if reply == nil {
		return
	}
	if len(reply) > room || !tcp && len(reply) > 1232 {
		t.Fatalf("%d octets for a room of %d, tcp %v", len(reply), room, tcp)
	}
	var r, q dns.Msg
	if err := r.Unpack(reply); err != nil {
		t.Fatalf("reply %x to %x does not unpack: %v", reply, in, err)
	}
	if !r.Response || r.Id != uint16(in[0])<<8|uint16(in[1]) {
		t.Fatalf("reply %v to %x: not a response, or not to this id", r.MsgHdr, in)
	}
	if r.Rcode == dns.RcodeFormatError || r.Rcode == dns.RcodeNotImplemented {
		return
	}
	if err := q.Unpack(in); err != nil || len(q.Question) != 1 {
		return
	}
	if len(r.Question) != 1 || r.Question[0] != q.Question[0] {
		t.Fatalf("question = %v, want %v", r.Question, q.Question)
	}
	if opt := q.IsEdns0(); opt == nil && !tcp && len(reply) > 512 || opt != nil && !tcp && len(reply) > max(512, int(opt.UDPSize())) {
		t.Fatalf("%d octets, more than the client takes", len(reply))
	}
	if r.Truncated && len(r.Answer)+len(r.Ns) != 0 {
		t.Fatalf("truncated reply with records: %v", &r)
	}
}
