package dnstest_test

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

const troubled = `
	zone .             server a.root.test @1
	zone test          server ns.nic.test @2
	zone example.test  server ns1.example.test @3, ns2.example.test @4 sign
		www     A 192.0.2.1
		*       A 192.0.2.2
		x.ent   A 192.0.2.3
`

// TestTreeFaults has each fault of a text do what it says, at its server and name alone.
func TestTreeFaults(t *testing.T) {
	const sound = "NOERROR aa | www.example.test. A 192.0.2.1 | |"
	for _, tc := range []struct{ fault, qname, want string }{
		{"", "www.example.test.", sound},
		{"! @3 www.example.test lame", "www.example.test.", "REFUSED | | |"},
		{"! ns1.example.test www.example.test lame", "www.example.test.", "REFUSED | | |"},
		{"! @4 www.example.test lame", "www.example.test.", sound},
		{"! @4,@3 www.example.test lame", "www.example.test.", "REFUSED | | |"},
		{"! * www.example.test rcode=SERVFAIL", "www.example.test.", "SERVFAIL | | |"},
		{"! * other.example.test rcode=SERVFAIL", "www.example.test.", sound},
		{"! * *.example.test rcode=SERVFAIL", "www.example.test.", "SERVFAIL | | |"},
		{"! * *.example.test rcode=SERVFAIL", "example.test.", "NOERROR aa | | example.test. SOA 60 |"},
		{"! * * rcode=SERVFAIL", "example.test.", "SERVFAIL | | |"},
		{"! * * rcode=SERVFAIL\n! * www.example.test noaa", "www.example.test.", "NOERROR | www.example.test. A 192.0.2.1 | |"},
		{"! * * type=AAAA lame", "www.example.test.", sound},
		{"! * * type=AAAA lame\n! * * type=A noaa", "www.example.test.", "NOERROR | www.example.test. A 192.0.2.1 | |"},
		{"! * * type=A lame", "www.example.test.", "REFUSED | | |"},
		{"! * www.example.test noaa", "www.example.test.", "NOERROR | www.example.test. A 192.0.2.1 | |"},
		{"! * www.example.test refer=.", "www.example.test.", "NOERROR | | . NS a.root.test. | a.root.test. A @1"},
		{"! * www.example.test refer=example.test", "www.example.test.",
			"NOERROR | | example.test. NS ns1.example.test., example.test. NS ns2.example.test. | ns1.example.test. A @3, ns2.example.test. A @4"},
		{"! * www.example.test empty", "www.example.test.", "NOERROR aa | | |"},
		{"! * example.test nosoa", "example.test.", "NOERROR aa | | |"},
		{"! * www.example.test refer=example.test noglue", "www.example.test.",
			"NOERROR | | example.test. NS ns1.example.test., example.test. NS ns2.example.test. |"},
		{"! * www.example.test chatty", "www.example.test.", "NOERROR aa | www.example.test. A 192.0.2.1 | " +
			"example.test. NS ns1.example.test., example.test. NS ns2.example.test. | ns1.example.test. A @3, ns2.example.test. A @4"},
		{"! * * truncate", "www.example.test.", "NOERROR tc | | |"},
		{"! * * noedns", "www.example.test.", "FORMERR | | |"},
		{"+ * www.example.test answer www.example.test. A 192.0.2.66", "www.example.test.",
			"NOERROR aa | www.example.test. A 192.0.2.1, www.example.test. A 192.0.2.66 | |"},
		{"+ @3 * authority test NS ns.evil.test.", "www.example.test.", "NOERROR aa | www.example.test. A 192.0.2.1 | test. NS ns.evil.test. |"},
		{"+ @3 *.example.test additional www.bank.test A @66", "www.example.test.",
			"NOERROR aa | www.example.test. A 192.0.2.1 | | www.bank.test. A @66"},
		{"+ @4 * authority test NS ns.evil.test.", "www.example.test.", sound},
	} {
		t.Run(tc.fault, func(t *testing.T) {
			tree := dnstest.StartTree(t, troubled+tc.fault)
			r, err := exchange(t, tree, "udp", "@3", tc.qname, dns.TypeA, 1232, false)
			if err != nil {
				t.Fatal(err)
			}
			if got := outline(tree, r); got != tc.want {
				t.Errorf(" got %s\nwant %s", got, tc.want)
			}
			if err := tree.Mend(); err != nil {
				t.Fatal(err)
			}
			r, err = exchange(t, tree, "tcp", "@3", "www.example.test.", dns.TypeA, 1232, false)
			if err != nil || r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
				t.Errorf("afterwards: got %v, %v", r, err)
			}
		})
	}
}

// TestOldServers are those that know no EDNS, or no DNSSEC.
func TestOldServers(t *testing.T) {
	for fault, want := range map[string]struct {
		records int
		opt     bool
	}{"": {2, true}, "! * * noopt": {1, false}, "! * * nodnssec": {1, true}} {
		tree := dnstest.StartTree(t, troubled+fault)
		r, err := exchange(t, tree, "udp", "@3", "www.example.test.", dns.TypeA, 1232, true)
		if err != nil || len(r.Answer) != want.records || (r.IsEdns0() != nil) != want.opt {
			t.Errorf("%s: got %v, %v, want %+v", fault, r, err, want)
		}
	}
}

func TestDeadServers(t *testing.T) {
	refused := func(tree *dnstest.Tree, network, server string) bool {
		_, err := exchange(t, tree, network, server, "www.example.test.", dns.TypeA, 1232, false)
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	tree := dnstest.StartTree(t, troubled+"! @3 * dead\n! @4 * notcp")
	if !refused(tree, "udp", "@3") || !refused(tree, "tcp", "@3") {
		t.Error("a dead server listens")
	}
	if refused(tree, "udp", "@4") || !refused(tree, "tcp", "@4") {
		t.Error("a server without TCP has no UDP, or has TCP")
	}
	if err := tree.Mend(); err != nil {
		t.Fatal(err)
	}
	for _, server := range []string{"@3", "@4"} {
		for _, network := range []string{"udp", "tcp"} {
			if refused(tree, network, server) {
				t.Errorf("%s does not listen by %s after Mend", server, network)
			}
		}
	}
	tree.Kill("ns2.example.test")
	if refused(tree, "udp", "@3") || !refused(tree, "udp", "@4") {
		t.Error("Kill closed another server, or none")
	}
}

func TestBreakAndBreakSigning(t *testing.T) {
	tree := dnstest.StartTree(t, troubled)
	tree.Break("@3", "www.example.test", dnstest.Fault{NoAA: true})
	if err := tree.BreakSigning("www.example.test no-sigs"); err != nil {
		t.Fatal(err)
	}
	if r, err := exchange(t, tree, "udp", "@3", "www.example.test.", dns.TypeA, 1232, true); err != nil || kinds(r) != "NOERROR | A | |" {
		t.Errorf("broken: got %v, %v", r, err)
	}
	if err := tree.Mend(); err != nil {
		t.Fatal(err)
	}
	if r, err := exchange(t, tree, "udp", "@3", "www.example.test.", dns.TypeA, 1232, true); err != nil || kinds(r) != "NOERROR aa | A sig(A) | |" {
		t.Errorf("mended: got %v, %v", r, err)
	}
	if tree.BreakSigning("www.example.test no-such-fault") == nil {
		t.Error("a fault that there is not is taken")
	}
}

func TestUpdate(t *testing.T) {
	tree := dnstest.StartTree(t, troubled)
	before := tree.Addr("@3")
	if err := tree.Update(`
		zone example.test server ns1.example.test @3 sign
			www A 192.0.2.9
		zone new.test     server ns.new.test @7
			www A 192.0.2.10
	`); err != nil {
		t.Fatal(err)
	}
	for server, want := range map[string]string{
		"@3": "NOERROR aa | www.example.test. A 192.0.2.9 | |", "@7": "NOERROR aa | www.new.test. A 192.0.2.10 | |",
	} {
		_, name, _ := strings.Cut(want, "| ")
		name, _, _ = strings.Cut(name, " ")
		r, err := exchange(t, tree, "udp", server, name, dns.TypeA, 1232, false)
		if err != nil || outline(tree, r) != want {
			t.Errorf("got %v, %v, want %s", r, err, want)
		}
	}
	if tree.Addr("@3") != before {
		t.Error("the server moved")
	}
	if _, err := exchange(t, tree, "udp", "@4", "www.example.test.", dns.TypeA, 1232, false); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a server that the text has no more answers: %v", err)
	}
	if err := tree.Update("zone"); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a bad text gives %v", err)
	}
	if r, err := exchange(t, tree, "udp", "@7", "www.new.test.", dns.TypeA, 1232, false); err != nil || len(r.Answer) != 1 {
		t.Errorf("after a bad text: got %v, %v", r, err)
	}
}

// TestKeyTrap has keys and signatures that cost much to try (CVE-2023-50387): each signature may be by each key, and only the last one is right.
func TestKeyTrap(t *testing.T) {
	tree := dnstest.StartTree(t, troubled+"! sign example.test colliding-keys=5\n! sign www.example.test junk-sigs=4 type=A")
	r, err := exchange(t, tree, "tcp", "@3", "example.test.", dns.TypeDNSKEY, 1232, true)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[uint16]int{}
	for _, rr := range r.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok {
			tags[key.KeyTag()]++
		}
	}
	r, err = exchange(t, tree, "tcp", "@3", "www.example.test.", dns.TypeA, 1232, true)
	if err != nil || len(r.Answer) != 6 || tags[r.Answer[1].(*dns.RRSIG).KeyTag] != 6 {
		t.Errorf("got %v, %v with keys %v, want 5 signatures by 6 keys of one tag", r, err, tags)
	}
	verify(t, tree, "@3", "example.test.", &dns.Msg{Answer: []dns.RR{r.Answer[0], r.Answer[5]}})
}

// TestHook makes what no text can say.
func TestHook(t *testing.T) {
	tree := dnstest.StartTree(t, troubled)
	tree.Hook("@3", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		switch q.Type {
		case dns.TypeTXT:
			return nil
		case dns.TypeDNSKEY:
			return right
		}
		more := dns.Copy(right.Answer[0]).(*dns.A)
		more.A = net.IPv4(192, 0, 2, 99)
		right.Answer = []dns.RR{right.Answer[0], more}
		right.Answer = append(right.Answer, tree.Sign("example.test", right.Answer)...)
		return right
	})
	r, err := exchange(t, tree, "tcp", "@3", "x.example.test.", dns.TypeA, 1232, true)
	if err != nil || kinds(r) != "NOERROR aa | A A sig(A) | NSEC sig(NSEC) |" {
		t.Errorf("got %v, %v", r, err)
	}
	verify(t, tree, "@3", "example.test.", r)
	q := new(dns.Msg).SetQuestion("x.example.test.", dns.TypeTXT)
	if _, _, err := (&dns.Client{Timeout: 100 * time.Millisecond}).Exchange(q, tree.Addr("@3").String()); err == nil {
		t.Error("a hook that wants no reply has one")
	}
	if r, err := exchange(t, tree, "udp", "@4", "x.example.test.", dns.TypeA, 1232, false); err != nil || len(r.Answer) != 1 {
		t.Errorf("another server: got %v, %v", r, err)
	}
	tree.Hook("@3", nil)
	if r, err := exchange(t, tree, "udp", "@3", "x.example.test.", dns.TypeTXT, 1232, false); err != nil || r.Rcode != dns.RcodeSuccess {
		t.Errorf("without the hook: got %v, %v", r, err)
	}
}

// TestHooksHaveTheirOwnRecords holds that what a hook does to a reply is not done to the zone.
func TestHooksHaveTheirOwnRecords(t *testing.T) {
	tree := dnstest.StartTree(t, troubled)
	tree.Hook("@1", func(_ dnstest.Query, right *dns.Msg) *dns.Msg {
		right.Ns[0].Header().Ttl = 7
		return right
	})
	for _, want := range []uint32{7, 300} {
		r, err := exchange(t, tree, "udp", "@1", "www.example.test.", dns.TypeA, 1232, false)
		if err != nil || r.Ns[0].Header().Ttl != want {
			t.Errorf("got %v, %v, want NS for %d s", r, err, want)
		}
		tree.Hook("@1", nil)
	}
}

func TestIPv6(t *testing.T) {
	if conn, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		t.Skip("there is no ::1 here")
	} else {
		conn.Close()
	}
	tree := dnstest.StartTree(t, "zone . server a.root.test ::1 @1\n")
	r, err := exchange(t, tree, "udp", "::1", ".", dns.TypeNS, 1232, false)
	if err != nil || outline(tree, r) != "NOERROR aa | . NS a.root.test. | | a.root.test. A @1, a.root.test. AAAA ::1" {
		t.Errorf("got %v, %v", r, err)
	}
	if !strings.Contains(tree.RootHints(), "AAAA ::1") || len(tree.Queries("a.root.test")) != 1 {
		t.Errorf("hints %q, asked %v", tree.RootHints(), tree.Queries("a.root.test"))
	}
}
