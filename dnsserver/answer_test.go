package dnsserver_test

import (
	"fmt"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

func TestNetworkThenCache(t *testing.T) {
	b := newBench(t, options{answers: map[string]string{"www.example A": "www.example. 60 CNAME web.example.\nweb.example. 60 A 192.0.2.1"}})
	for _, from := range []string{"network", "cache"} {
		t.Log("from the", from)
		expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN CNAME web.example.", "web.example. 60 IN A 192.0.2.1")
	}
	if got := b.world.asked.Load(); got != 1 {
		t.Errorf("the network was asked %d times, want once", got)
	}
}

func TestNetworkFails(t *testing.T) {
	b := newBench(t, options{})
	b.world.fail = errUnreachable
	expect(t, b.ask(query("www.example", dns.TypeA)), "SERVFAIL EDE22")
	b.world.fail = fmt.Errorf("asking: %w", coded(23))
	expect(t, b.ask(query("www.example", dns.TypeA)), "SERVFAIL EDE23")
}

type coded uint16

func (coded) Error() string { return "network error" }
func (c coded) EDE() uint16 { return uint16(c) }

// What a resolver hands over is checked before offsets in it are believed.
func TestForeignAnswerIsRefused(t *testing.T) {
	for name, raw := range map[string][]byte{
		"empty":            {},
		"header only":      header(0x8180, [4]uint16{1}),
		"another question": header(0x8180, [4]uint16{1}, []byte("\x05other\x07example\x00\x00\x01\x00\x01")...),
		"two questions":    header(0x8180, [4]uint16{2}, []byte("\x03www\x07example\x00\x00\x01\x00\x01\x00\x00\x01\x00\x01")...),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, options{})
			b.world.raw = append([]byte{}, raw...)
			expect(t, b.ask(query("www.example", dns.TypeA)), "SERVFAIL EDE0")
		})
	}
}

func TestStaleAnswers(t *testing.T) {
	t.Run("from the resolver", func(t *testing.T) {
		b := newBench(t, options{answers: wwwAnswers})
		b.world.stale = true
		expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR EDE3", "www.example. 60 IN A 192.0.2.1")
		expect(t, b.ask(query("none.example", dns.TypeA)), "NXDOMAIN EDE19", "auth example. 60 IN SOA ns.example. host.example. 1 3600 600 86400 60")
	})
	t.Run("when shed", func(t *testing.T) {
		b := newBench(t, options{answers: wwwAnswers})
		b.ask(query("www.example", dns.TypeA))
		b.now = b.now.Add(2 * time.Minute)
		b.fill(must1(query("www.example", dns.TypeA).Pack()))
		if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.NeedNetwork {
			t.Fatalf("verdict = %v for a stale answer, want NeedNetwork first", v)
		}
		if v := dnsserver.Shed(b.worker, &b.q); v != dnsserver.Replied {
			t.Fatalf("verdict = %v, want Replied", v)
		}
		var r dns.Msg
		must(t, r.Unpack(b.q.Reply))
		if code, _ := edeOf(&r); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 || code != 3 {
			t.Errorf("reply = %v, want the stale answer with EDE 3", &r)
		}
	})
}

// While the network is known not to answer, a stale answer is given at once.
func TestHeldStaleAnswer(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	b.ask(query("www.example", dns.TypeA))
	b.now = b.now.Add(2 * time.Minute)
	key := rrcache.Key{Name: []byte("\x03www\x07example\x00"), Type: dns.TypeA, Class: dns.ClassINET}
	b.cache.Put(&key, header(0x8182, [4]uint16{1}, []byte("\x03www\x07example\x00\x00\x01\x00\x01")...), b.now.UnixNano())
	expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR EDE3", "www.example. 30 IN A 192.0.2.1")
	if got := b.world.asked.Load(); got != 1 {
		t.Errorf("the network was asked %d times, want once, before", got)
	}
}

func TestShed(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	b.fill(must1(query("www.example", dns.TypeA).Pack()))
	dnsserver.Answer(b.worker, &b.q)
	if v := dnsserver.Shed(b.worker, &b.q); v != dnsserver.Replied {
		t.Fatalf("verdict = %v, want Replied", v)
	}
	var r dns.Msg
	must(t, r.Unpack(b.q.Reply))
	expect(t, &r, "SERVFAIL EDE0")
	if got := dnsserver.ShedCount(b.worker); got != 1 {
		t.Errorf("shed = %d, want 1", got)
	}
	expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1") // the Query is good for the next packet
}

func TestWithoutRecursionDesired(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	m := query("www.example", dns.TypeA)
	m.RecursionDesired = false
	expect(t, b.ask(m), "REFUSED EDE20")
	b.ask(query("www.example", dns.TypeA))
	expect(t, b.ask(m), "NOERROR", "www.example. 60 IN A 192.0.2.1")
	if got := b.world.asked.Load(); got != 1 {
		t.Errorf("the network was asked %d times, want once, by the other query", got)
	}
}

// TestReferredWithoutRecursionDesired: who wants nobody to be asked, and whose answer is not there, is told who knows more. A rule goes first.
func TestReferredWithoutRecursionDesired(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers, referral: func(k *rrcache.Key) []byte {
		if string(k.Name) == wire("none.example") {
			return nil
		}
		m := new(dns.Msg)
		m.SetQuestion("www.example.", k.Type)
		m.Response, m.Ns = true, []dns.RR{mustRR("example. 60 NS ns.example.")}
		return must1(m.Pack())
	}, policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})})
	for name, want := range map[string][]string{
		"www.example":  {"NOERROR", "auth example. 60 IN NS ns.example."},
		"none.example": {"REFUSED EDE20"},
		"bad.example":  {"NOERROR EDE15", "bad.example. 10 IN A 192.0.2.53"},
	} {
		m := query(name, dns.TypeA)
		m.RecursionDesired = false
		expect(t, b.ask(m), want...)
	}
	if got := b.world.asked.Load(); got != 0 {
		t.Errorf("the network was asked %d times", got)
	}
}

// TestReferralsAreJudged: a referral leads to the servers of a zone, so that rules on them have their say; one that lists an address keeps it from
// standing there. What was asked for counts as nothing found, so no answer that comes into the cache later passes for clean.
func TestReferralsAreJudged(t *testing.T) {
	refer := func(k *rrcache.Key) []byte {
		m := new(dns.Msg)
		m.SetQuestion(dns.Fqdn(dnsname.Name(k.Name).String()), k.Type)
		m.Response, m.Ns = true, []dns.RR{mustRR("example. 60 NS ns.bad.example.")}
		m.Extra = []dns.RR{mustRR("ns.bad.example. 60 A 192.0.2.66"), mustRR("ns.bad.example. 60 AAAA 2001:db8::66")}
		return must1(m.Pack())
	}
	zones := []policy.Zone{sink("sink", policy.ActionNXDOMAIN)}
	plain := query("www.example", dns.TypeA)
	plain.RecursionDesired = false
	for _, tc := range []struct {
		name   string
		row    listed
		server string
		want   string
	}{
		{"a server by name", listed{name: "ns.bad.example", zone: "sink", server: true}, "ns.bad.example", "NXDOMAIN ra: | www.example SOA"},
		{"another server", listed{name: "ns.bad.example", zone: "sink", server: true}, "ns.good.example", "NOERROR ra: | example NS | ns.bad.example A, ns.bad.example AAAA"},
		{"an address", listed{prefix: "192.0.2.66/32", zone: "sink"}, "ns.bad.example", "NOERROR ra: | example NS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := &finder{server: tc.server, whole: true}
			of := newPolicy(t, 1, zones, tc.row)
			p, err := policy.New(policy.Config{Zones: of.Zones(), Index: of.Index(), AnswerEarly: true, Paths: policy.PathWants{WaitNames: true, WaitAddresses: true}})
			must(t, err)
			b := newBench(t, options{answers: map[string]string{"www.example A": "www.example. 60 A 192.0.2.66"}, referral: refer, paths: f, policy: p})
			for range 2 {
				if got := outline(b.ask(plain)); got != tc.want {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			}
			for _, w := range f.wants {
				if w.WaitNames || w.WaitAddresses {
					t.Errorf("the network is waited for, for one who wants no recursion: %+v", w)
				}
			}
			if tc.row.prefix != "" {
				expect(t, b.ask(query("www.example", dns.TypeA)), "NXDOMAIN EDE15", soaBy("www.example."))
			}
		})
	}
}

// TestKeepAliveHasNoTime: a client has no time to give (RFC 7828 section 3.2.1); over UDP the option is passed over.
func TestKeepAliveHasNoTime(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		for _, given := range []uint16{0, 5} {
			b := newBench(t, options{answers: wwwAnswers})
			b.tcp = tcp
			m := query("www.example", dns.TypeA)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE, Timeout: given})
			if want := tcp && given > 0; (b.ask(m).Rcode == dns.RcodeFormatError) != want {
				t.Errorf("TCP %v, time %d: want FORMERR %v", tcp, given, want)
			}
		}
	}
}

// TestPastWithoutRecursionDesired: who wants nobody to be asked gets what the cache has past its time, be it without the signatures that are wanted.
func TestPastWithoutRecursionDesired(t *testing.T) {
	for _, do := range []bool{false, true} {
		b := newBench(t, options{answers: wwwAnswers})
		b.ask(query("www.example", dns.TypeA))
		b.now = b.now.Add(61 * time.Second)
		m := query("www.example", dns.TypeA)
		m.RecursionDesired = false
		if do {
			m.IsEdns0().SetDo()
		}
		expect(t, b.ask(m), "NOERROR EDE3", "www.example. 30 IN A 192.0.2.1")
		if got := b.world.asked.Load(); got != 1 {
			t.Errorf("the network was asked %d times, want once, by the other query", got)
		}
		if got := b.world.prefetched.Load(); got != 1 {
			t.Errorf("prefetched %d times, want once", got)
		}
	}
}

func TestPrefetch(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	for range 5 { // often enough to be worth it
		b.ask(query("www.example", dns.TypeA))
	}
	b.now = b.now.Add(58 * time.Second)
	b.ask(query("www.example", dns.TypeA))
	if got := b.world.prefetched.Load(); got != 1 {
		t.Errorf("prefetched %d times, want once", got)
	}
}

// A query that waits has nothing in common with the one it was copied from, which is used for the next packets meanwhile.
func TestWaitingQueryIsOnItsOwn(t *testing.T) {
	b := newBench(t, options{answers: map[string]string{"www.example A": "www.example. 60 CNAME bad.example."},
		policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"}, listed{name: "a.much.longer.name.example", zone: "sink"})})
	in := must1(query("wWw.example", dns.TypeA).Pack())
	b.fill(in)
	if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.NeedNetwork {
		t.Fatalf("verdict = %v, want NeedNetwork", v)
	}
	dnsserver.CopyTo(&b.q, &b.late)
	b.late.Out = make([]byte, 512)
	copy(in, must1(query("a.much.longer.name.example", dns.TypeA).Pack()))
	for range 2 {
		b.ask(query("a.much.longer.name.example", dns.TypeA))
	}
	dnsserver.Resolve(t.Context(), b.worker, &b.late)
	if v := dnsserver.Answer(b.worker, &b.late); v != dnsserver.Replied {
		t.Fatalf("verdict = %v, want Replied", v)
	}
	var r dns.Msg
	must(t, r.Unpack(b.late.Reply))
	expect(t, &r, "NOERROR EDE15", "wWw.example. 10 IN CNAME bad.example.", "bad.example. 10 IN A 192.0.2.53")
}

// Invariant 1: one policy snapshot serves a whole query, also when another is published while it waits.
func TestOnePolicyServesAQuery(t *testing.T) {
	chained := map[string]string{"www.example A": "www.example. 60 CNAME bad.example.\nbad.example. 60 A 198.51.100.9"}
	b := newBench(t, options{answers: chained, policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})})
	b.fill(must1(query("www.example", dns.TypeA).Pack()))
	if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.NeedNetwork {
		t.Fatalf("verdict = %v, want NeedNetwork", v)
	}
	b.policy.Store(newPolicy(t, 2, nil))
	dnsserver.CopyTo(&b.q, &b.late)
	b.late.Out = b.out
	dnsserver.Resolve(t.Context(), b.worker, &b.late)
	if v := dnsserver.Answer(b.worker, &b.late); v != dnsserver.Replied {
		t.Fatalf("verdict = %v, want Replied", v)
	}
	var r dns.Msg
	must(t, r.Unpack(b.late.Reply))
	if got := r.Answer[len(r.Answer)-1].String(); got != "bad.example.\t10\tIN\tA\t192.0.2.53" {
		t.Errorf("answer ends in %s, want the first policy's sinkhole", got)
	}
	if got := b.policyN.Load(); got != 1 {
		t.Errorf("the policy was taken %d times, want once", got)
	}
}

// Invariant 6: a fault of our own costs one SERVFAIL and nothing else.
func TestFaultInTheServer(t *testing.T) {
	broken := true
	b := newBench(t, options{answers: wwwAnswers, policyFn: func() *policy.Policy {
		if broken {
			panic("a fault")
		}
		return nil
	}})
	m := query("wWw.example", dns.TypeA)
	reply := b.send(must1(m.Pack()))
	var r dns.Msg
	must(t, r.Unpack(reply))
	if r.Rcode != dns.RcodeServerFailure || r.Id != m.Id || r.Question[0] != m.Question[0] {
		t.Errorf("reply = %v, want SERVFAIL to the question", &r)
	}
	if got := dnsserver.Bugs(b.worker); got != 1 {
		t.Errorf("bugs = %d, want 1", got)
	}
	broken = false
	expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
}

func TestFaultInTheResolver(t *testing.T) {
	b := newBench(t, options{})
	b.world.answers = map[string]string{"www.example A": "this is no record"} // NewRR's error becomes a panic in the fake
	expect(t, b.ask(query("www.example", dns.TypeA)), "SERVFAIL EDE0")
}

// The cache keeps the truth: a change of policy shows at once, for fresh answers, and the clean mark of the old one counts for nothing.
func TestPolicyChangesUnderTheCache(t *testing.T) {
	answers := map[string]string{"www.example A": "www.example. 60 CNAME bad.example.\nbad.example. 60 A 198.51.100.9"}
	zones := []policy.Zone{sink("sink", policy.ActionSinkhole)}
	b := newBench(t, options{answers: answers, policy: newPolicy(t, 1, zones)})
	truth := []string{"NOERROR", "www.example. 60 IN CNAME bad.example.", "bad.example. 60 IN A 198.51.100.9"}
	for range 3 {
		expect(t, b.ask(query("www.example", dns.TypeA)), truth...)
	}
	key := rrcache.Key{Name: []byte("\x03www\x07example\x00"), Type: dns.TypeA, Class: dns.ClassINET}
	if got := b.cache.Get(&key, b.now.UnixNano(), make([]byte, 512)).Stamp; got != 1 {
		t.Errorf("the answer is marked clean at generation %d, want 1", got)
	}
	b.policy.Store(newPolicy(t, 2, zones, listed{name: "bad.example", zone: "sink"}))
	for range 2 {
		expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR EDE15", "www.example. 10 IN CNAME bad.example.", "bad.example. 10 IN A 192.0.2.53")
	}
	b.policy.Store(newPolicy(t, 3, zones))
	expect(t, b.ask(query("www.example", dns.TypeA)), truth...)
}
