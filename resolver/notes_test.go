package resolver_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestNotes: servers are told what the operator has for the smallest network that they are in, once, and others nothing.
func TestNotes(t *testing.T) {
	told := make(chan string, 8)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		var options []string
		for _, o := range q.IsEdns0().Option {
			options = append(options, o.String())
		}
		select {
		case told <- strings.Join(options, " "):
		default:
		}
		m := new(dns.Msg)
		m.SetReply(q)
		m.SetEdns0(1232, false)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		_ = w.WriteMsg(m)
	})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: handler}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	note := func(net, text string) resolver.Note {
		return resolver.Note{Servers: netip.MustParsePrefix(net), Code: 65001, Data: []byte(text)}
	}
	for name, tc := range map[string]struct {
		notes []resolver.Note
		want  string
	}{
		"none":     {nil, ""},
		"others":   {[]resolver.Note{note("192.0.2.0/24", "far")}, ""},
		"smallest": {[]resolver.Note{note("127.0.0.0/8", "wide"), note("127.0.0.1/32", "one"), note("127.0.0.0/16", "mid")}, "65001:0x6f6e65"},
	} {
		f := start(t, func(c *resolver.Config) { c.Notes = tc.notes }, conn.LocalAddr().(*net.UDPAddr).AddrPort())
		if _, err := f.resolve(keyOf("www.example", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-told:
			if got != tc.want {
				t.Errorf("%s: the server was told %q, want %q", name, got, tc.want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no query came")
		}
	}
	long := resolver.Config{Cache: start(t, nil).cache, Notes: []resolver.Note{note("192.0.2.0/24", strings.Repeat("x", resolver.NoteMax+1))}}
	if _, err := resolver.New(long); err == nil {
		t.Error("a note that is too long is taken")
	}
}

// TestTooManySignatures: of many signatures of one set the first count and are passed on; the others are neither looked at nor given to anybody.
func TestTooManySignatures(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		    www              A     192.0.2.1
	`)
	r.tree.Hook("@2", func(_ dnstest.Query, right *dns.Msg) *dns.Msg {
		for i := range 40 {
			sig := &dns.RRSIG{Hdr: dns.RR_Header{Name: "www.test.", Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: 60}, TypeCovered: dns.TypeA, Algorithm: 8, Labels: 2,
				OrigTtl: 60, Expiration: 2_000_000_000, Inception: 1_000_000_000, KeyTag: uint16(i), SignerName: "test.", Signature: "MQ=="}
			if len(right.Answer) > 0 {
				right.Answer = append(right.Answer, sig)
			}
		}
		return right
	})
	if got := r.ask(t, "www.test", "A", "do"); strings.Count(got, "RRSIG") != 8 {
		t.Errorf("%d signatures are passed on, want 8:\n%s", strings.Count(got, "RRSIG"), got)
	}
}

// TestAnswerWithoutSignaturesIsBetterThanNone: who asks for signatures gets an answer that lives and has none, if there is no other.
func TestAnswerWithoutSignaturesIsBetterThanNone(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		    www              A     192.0.2.1
	`)
	plain := r.ask(t, "www.test", "A")
	r.tree.Break("@2", "www.test", dnstest.Fault{Rcode: dns.RcodeServerFailure})
	if got := r.ask(t, "www.test", "A", "do"); got != plain {
		t.Errorf("got %s, want %s", got, plain)
	}
	if got := r.ask(t, "none.www.test", "A", "do"); !strings.HasPrefix(got, "NXDOMAIN") {
		t.Errorf("another name: %s", got)
	}
}
