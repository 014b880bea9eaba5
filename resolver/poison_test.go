package resolver_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// poisoned is a tree with a bank, a server that plays the bank (@6), and a zone whose server says what a payload makes it say.
const poisoned = `
	zone .               server a.root.test @1
	zone test            server ns.nic.test @2
	zone bank.test       server ns.bank.test @3
	    www              A     192.0.2.1
	    login            A     192.0.2.1
	zone evil.test       server ns.evil.test @4
	    www              A     192.0.2.9
	    old              DNAME new.evil.test.
	    x.new            A     192.0.2.9
	zone deep.evil.test  server ns.deep.evil.test @5
	    www              A     192.0.2.9
	zone fake.test       server ns.fake.test @6
`

// payload is what the server of evil.test does to its replies. FAKE stands for the server that plays the bank.
type payload struct {
	name               string
	answer, ns, extra  []string
	instead            bool // of what is right
	referral           bool // of the name that is asked for, which is evil.test's to give
	change             func(m *dns.Msg)
	noAuthority, alias bool
}

var payloads = []payload{
	{name: "servers of the bank in the authority section", ns: []string{"bank.test. 300 NS FAKE"}},
	{name: "the same with addresses", ns: []string{"bank.test. 300 NS ns.bank.test."}, extra: []string{"ns.bank.test. 300 A ADDR"}},
	{name: "servers of the parent", ns: []string{"test. 300 NS FAKE"}},
	{name: "servers of the parent with addresses", ns: []string{"test. 300 NS ns.nic.test."}, extra: []string{"ns.nic.test. 300 A ADDR"}},
	{name: "servers of the root", ns: []string{". 300 NS FAKE"}, extra: []string{"a.root.test. 300 A ADDR"}},
	{name: "own servers that lie elsewhere", ns: []string{"evil.test. 300 NS www.bank.test."}, extra: []string{"www.bank.test. 300 A ADDR"}},
	{name: "address of another name", extra: []string{"www.bank.test. 300 A ADDR", "www.bank.test. 300 AAAA ::1"}},
	{name: "answer for another name", answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "answer for another name alone", instead: true, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "alias with the record at its end", instead: true, alias: true, answer: []string{"QNAME 300 CNAME www.bank.test.", "www.bank.test. 300 A ADDR"}},
	{name: "alias to another alias of the bank", instead: true, alias: true, answer: []string{"QNAME 300 CNAME login.bank.test.", "login.bank.test. 300 CNAME www.fake.test.", "www.fake.test. 300 A ADDR"}},
	{name: "DNAME above the zone", instead: true, answer: []string{"test. 300 DNAME fake.test.", "QNAME 300 CNAME www.fake.test."}},
	{name: "DNAME of the root", instead: true, answer: []string{". 300 DNAME fake.test."}},
	{name: "DNAME of the bank", answer: []string{"bank.test. 300 DNAME fake.test."}},
	{name: "SOA of the parent", instead: true, ns: []string{"test. 300 SOA ns.nic.test. h.test. 1 2 3 4 300"}},
	{name: "SOA of the bank and no such name", instead: true, ns: []string{"bank.test. 300 SOA ns.bank.test. h.test. 1 2 3 4 300"}, change: func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }},
	{name: "no such name, said of the parent", instead: true, ns: []string{"test. 300 SOA ns.nic.test. h.test. 1 2 3 4 300"}, change: func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }},
	{name: "no such name, with NSEC of everything", instead: true, change: func(m *dns.Msg) { m.Rcode = dns.RcodeNameError },
		ns: []string{"evil.test. 300 SOA ns.evil.test. h.test. 1 2 3 4 300", "a.test. 300 NSEC zz.test. A"}},
	{name: "referral to the root", instead: true, noAuthority: true, ns: []string{". 300 NS FAKE"}},
	{name: "referral upwards", instead: true, noAuthority: true, ns: []string{"test. 300 NS FAKE"}},
	{name: "referral upwards with glue", instead: true, noAuthority: true, ns: []string{"test. 300 NS ns.nic.test."}, extra: []string{"ns.nic.test. 300 A ADDR"}},
	{name: "referral to the zone itself", instead: true, noAuthority: true, ns: []string{"evil.test. 300 NS ns.bank.test."}, extra: []string{"ns.bank.test. 300 A ADDR"}},
	{name: "referral sideways", instead: true, noAuthority: true, ns: []string{"bank.test. 300 NS FAKE"}},
	{name: "referral with glue for the bank", referral: true, ns: []string{"QNAME 300 NS ns.bank.test."}, extra: []string{"ns.bank.test. 300 A ADDR"}},
	{name: "referral with glue for what is no server", referral: true, ns: []string{"QNAME 300 NS ns.evil.test."}, extra: []string{"ns.evil.test. 300 A ADDR", "www.bank.test. 300 A ADDR"}},
	{name: "referral to this host", referral: true, ns: []string{"QNAME 300 NS a.evil.test.", "QNAME 300 NS b.evil.test."},
		extra: []string{"a.evil.test. 300 A 0.0.0.0", "b.evil.test. 300 A 127.0.0.1", "a.evil.test. 300 AAAA ::", "b.evil.test. 300 AAAA ::1", "b.evil.test. 300 AAAA ::ffff:127.0.0.1"}},
	{name: "referral and servers of the bank", referral: true, ns: []string{"QNAME 300 NS ns.evil.test.", "bank.test. 300 NS ns.evil.test."}},
	{name: "DS records of the bank", referral: true, ns: []string{"QNAME 300 NS ns.evil.test.", "bank.test. 300 DS 1 8 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"}},
	{name: "another class", answer: []string{"www.bank.test. 300 CH A ADDR"}, ns: []string{"bank.test. 300 CH NS FAKE"}},
	{name: "signatures of nothing", answer: []string{"www.bank.test. 300 RRSIG A 8 3 300 20300101000000 20200101000000 1 bank.test. AAAA"}},
	{name: "times to live without end", ns: []string{"bank.test. 2147483647 NS FAKE"}, extra: []string{"ns.bank.test. 4294967295 A ADDR"}},
	{name: "times to live of nothing", ns: []string{"bank.test. 0 NS FAKE"}, extra: []string{"www.bank.test. 0 A ADDR"}},
	{name: "upper case", answer: []string{"WWW.BANK.TEST. 300 A ADDR"}, ns: []string{"BANK.TEST. 300 NS FAKE"}, extra: []string{"NS.BANK.TEST. 300 A ADDR"}},
	{name: "labels with dots", answer: []string{`www\.bank.test. 300 A ADDR`, `www.bank\.test. 300 A ADDR`}, ns: []string{`bank\.test. 300 NS FAKE`}},
	{name: "labels with zeros", answer: []string{`www.bank.test\000. 300 A ADDR`, `www.bank.test\000.evil.test. 300 A ADDR`}, extra: []string{`ns.bank.test\000. 300 A ADDR`}},
	{name: "a name that ends like the bank's", answer: []string{"www.notbank.test. 300 A ADDR"}, ns: []string{"notbank.test. 300 NS FAKE"}},
	{name: "an OPT record with everything", extra: []string{}, change: func(m *dns.Msg) {
		m.Extra = append(m.Extra, &dns.OPT{Hdr: dns.RR_Header{Name: "bank.test.", Rrtype: dns.TypeOPT, Class: 65535, Ttl: 0xffffffff}})
	}},
	{name: "two OPT records", change: func(m *dns.Msg) { m.SetEdns0(512, true); m.SetEdns0(512, true) }},
	{name: "a query instead of a reply", change: func(m *dns.Msg) { m.Response = false }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "an update", change: func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, ns: []string{"www.bank.test. 300 A ADDR"}},
	{name: "another id", change: func(m *dns.Msg) { m.Id++ }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "another question", change: func(m *dns.Msg) { m.Question[0].Name = "www.bank.test." }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "another type in the question", change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "another class in the question", change: func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "two questions", change: func(m *dns.Msg) {
		m.Question = append(m.Question, dns.Question{Name: "www.bank.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET})
	}, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "no question", change: func(m *dns.Msg) { m.Question = nil }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "recursion available", change: func(m *dns.Msg) { m.RecursionAvailable, m.AuthenticatedData = true, true }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "an error with an answer", change: func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, answer: []string{"www.bank.test. 300 A ADDR"}},
	{name: "servers in the answer section", answer: []string{"bank.test. 300 NS FAKE", "evil.test. 300 NS ns.bank.test."}, extra: []string{"ns.bank.test. 300 A ADDR"}},
	{name: "mail servers with addresses", answer: []string{"evil.test. 300 MX 1 www.bank.test."}, extra: []string{"www.bank.test. 300 A ADDR"}},
}

// apply makes the reply of a payload.
func (p *payload) apply(tree *dnstest.Tree, q dnstest.Query, m *dns.Msg) *dns.Msg {
	if p.instead || p.referral {
		m.Rcode, m.Answer, m.Ns = 0, nil, nil
		m.Extra = m.Extra[:0]
		m.SetEdns0(1232, q.DO)
	}
	if p.referral || p.noAuthority {
		m.Authoritative = false
	}
	words := strings.NewReplacer("FAKE", "ns.fake.test.", "ADDR", tree.Addr("@6").Addr().String(), "QNAME", q.Name)
	for _, part := range []struct {
		from []string
		to   *[]dns.RR
	}{{p.answer, &m.Answer}, {p.ns, &m.Ns}, {p.extra, &m.Extra}} {
		for _, line := range part.from {
			rr, err := dns.NewRR(words.Replace(line))
			if err != nil {
				panic(err)
			}
			*part.to = append(*part.to, rr)
		}
	}
	if p.change != nil {
		p.change(m)
	}
	return m
}

// evilNames are asked so that a payload comes in answers, denials, referrals, and where names are made known label by label.
var evilNames = []struct{ name, rtype string }{
	{"www.evil.test", "A"}, {"www.evil.test", "AAAA"}, {"none.evil.test", "A"}, {"evil.test", "NS"}, {"evil.test", "MX"}, {"www.deep.evil.test", "A"},
	{"x.old.evil.test", "A"}, {"a.b.c.d.evil.test", "TXT"}, {"evil.test", "ANY"}, {"ns.evil.test", "A"}, {"evil.test", "SOA"},
}

// fakeBank answers everything with its own address.
func fakeBank(q dnstest.Query, m *dns.Msg) *dns.Msg {
	rr, _ := dns.NewRR(q.Name + " 300 A 192.0.2.66")
	m.Rcode, m.Authoritative, m.Ns, m.Answer = 0, true, nil, []dns.RR{rr}
	return m
}

func TestPayloadsPoisonNothing(t *testing.T) {
	if len(payloads) < 30 {
		t.Fatalf("%d payloads", len(payloads))
	}
	for _, p := range payloads {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			clock := newClock()
			r := startRooted(t, poisoned, hurried, func(c *resolver.Config) {
				c.Now, c.Timeouts.Attempt, c.Bounds.Tries = clock.now, 30*time.Millisecond, 2
				for _, never := range []string{"0.0.0.0/8", "127.0.0.1/32", "::/128", "::1/128"} {
					c.Recursion.Never = append(c.Recursion.Never, netip.MustParsePrefix(never))
				}
			})
			r.tree.Hook("@4", func(q dnstest.Query, m *dns.Msg) *dns.Msg { return p.apply(r.tree, q, m) })
			r.tree.Hook("@6", fakeBank)
			names := evilNames
			if p.change != nil { // most of these leave the server without a voice
				names = names[:4]
			}
			for _, ask := range names {
				r.mustNotLie(t, ask.name, r.ask(t, ask.name, ask.rtype))
			}
			r.wantBank(t) // who knew nothing before
			for _, ask := range evilNames[:3] {
				r.mustNotLie(t, ask.name, r.ask(t, "again-"+ask.name, ask.rtype))
			}
			r.wantBank(t) // from the cache
			clock.advance(301 * time.Second)
			r.wantBank(t) // and once all that was true is over
			if n := r.tree.Asked("www.bank.test", dns.TypeA); n < 2 {
				t.Error("nobody asked the bank: the test shows nothing")
			}
		})
	}
}

// wantBank asks for the names of the bank, and of those above it.
func (r *rooted) wantBank(t *testing.T) {
	t.Helper()
	for _, c := range []struct{ name, rtype, want string }{
		{"www.bank.test", "A", "192.0.2.1"}, {"login.bank.test", "A", "192.0.2.1"}, {"ns.bank.test", "A", r.tree.Addr("@3").Addr().String()},
		{"bank.test", "NS", "NS ns.bank.test."}, {"test", "NS", "NS ns.nic.test."}, {".", "NS", "NS a.root.test."}, {"www.bank.test", "DNAME", "bank.test. 60 IN SOA"},
	} {
		got := r.ask(t, c.name, c.rtype)
		if lines := strings.Split(got, "\n"); len(lines) != 2 || !strings.Contains(lines[1], c.want) {
			t.Errorf("%s %s: got %s, want %s", c.name, c.rtype, got, c.want)
		}
	}
}

// mustNotLie looks for what is forged of the bank in an answer to somebody else.
func (r *rooted) mustNotLie(t *testing.T, name, got string) {
	t.Helper()
	for _, line := range strings.Split(got, "\n")[1:] {
		owner := strings.ToLower(strings.Fields(line)[0])
		if atBank := owner == "bank.test." || strings.HasSuffix(owner, ".bank.test."); atBank && !strings.Contains(line, "192.0.2.1") && !strings.Contains(line, "SOA ns.bank.test.") {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// A resolver that is asked for one zone is not believed about another, be it at the end of an alias.
func TestForwarderIsBelievedAboutItsZoneAlone(t *testing.T) {
	r := startRooted(t, poisoned)
	config := r.config
	config.Recursion.Forwards = []resolver.Forward{{Zone: dnsname.MustParse("corp.test").Canonical(), Upstreams: []resolver.Upstream{{Addr: r.tree.Addr("@6")}}}}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	r.tree.Hook("@6", func(q dnstest.Query, m *dns.Msg) *dns.Msg {
		m.Rcode, m.RecursionAvailable, m.Ns, m.Answer = 0, true, nil, nil
		for _, line := range []string{q.Name + " 300 CNAME own.corp.test.", "own.corp.test. 300 CNAME www.bank.test.", "www.bank.test. 300 A 192.0.2.66"} {
			rr, _ := dns.NewRR(line)
			m.Answer = append(m.Answer, rr)
		}
		return m
	})
	got := r.ask(t, "alias.corp.test", "A")
	want := "NOERROR\nalias.corp.test. 300 IN CNAME own.corp.test.\nown.corp.test. 300 IN CNAME www.bank.test.\nwww.bank.test. 300 IN A 192.0.2.1"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.wantBank(t)
}
