package dnsserver_test

import (
	"context"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"

	"github.com/miekg/dns"
)

// finder gives every name the same name server.
type finder struct {
	server string
	whole  bool
	asked  func(name string)
	wants  []policy.PathWants // that it was told
}

func (f *finder) Path(_ context.Context, name []byte, wants policy.PathWants) (policy.Path, bool) {
	f.wants = append(f.wants, wants)
	if f.asked != nil {
		f.asked(dnsname.Name(name).String())
	}
	return policy.Path{Servers: []policy.Server{{Name: []byte(dnsname.MustParse(f.server))}}}, f.whole
}

func serverPolicy(t *testing.T) *policy.Policy {
	return newPolicy(t, 2, []policy.Zone{sink("sink", policy.ActionNXDOMAIN)}, listed{name: "ns.bad.example", zone: "sink", server: true})
}

// TestShedQueryGetsPastNoServerRule: a query that finds no room while its name servers are asked for gets an error, and leaves no sign that the answer is
// clean.
func TestShedQueryGetsPastNoServerRule(t *testing.T) {
	f := &finder{server: "ns.bad.example", whole: true}
	b := newBench(t, options{answers: wwwAnswers, paths: f})
	b.ask(query("www.example", dns.TypeA)) // into the cache
	b.policy.Store(serverPolicy(t))
	b.fill(must1(query("www.example", dns.TypeA).Pack()))
	if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.NeedNetwork {
		t.Fatalf("verdict = %v, want NeedNetwork", v)
	}
	if v := dnsserver.Shed(b.worker, &b.q); v != dnsserver.Replied {
		t.Fatalf("verdict = %v, want Replied", v)
	}
	var r dns.Msg
	must(t, r.Unpack(b.q.Reply))
	expect(t, &r, "SERVFAIL EDE0")
	expect(t, b.ask(query("www.example", dns.TypeA)), "NXDOMAIN EDE15", soaBy("www.example."))
}

// TestPathsStayWithTheirAnswer: what comes into the cache while name servers are asked for is not judged by the servers of what was there.
func TestPathsStayWithTheirAnswer(t *testing.T) {
	f := &finder{server: "ns.good.example", whole: true}
	b := newBench(t, options{answers: map[string]string{"www.example A": "www.example. 60 A 192.0.2.1"}, paths: f})
	b.ask(query("www.example", dns.TypeA))
	b.policy.Store(serverPolicy(t))
	f.asked = func(string) {
		b.world.answers["www.example A"] = "www.example. 60 A 192.0.2.99"
		b.cache.FlushAll()
		f.asked = nil
	}
	expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
}

// TestPartialPaths: where not all name servers can be found out, rules look at those that are known, or the query fails, as the operator wants it; the
// answer is looked at again the next time.
func TestPartialPaths(t *testing.T) {
	looks := 0
	f := &finder{server: "ns.good.example", asked: func(string) { looks++ }}
	required := false
	b := newBench(t, options{answers: wwwAnswers, paths: f, policy: serverPolicy(t), settings: func(s *dnsserver.Settings) { s.RequirePaths = required }})
	for range 2 {
		expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
	}
	if looks != 2 {
		t.Errorf("the way was looked for %d times, want twice", looks)
	}
	f.whole = true
	for range 2 {
		b.ask(query("www.example", dns.TypeA))
	}
	if looks != 3 {
		t.Errorf("the way was looked for %d times, want three: the answer was found clean", looks)
	}
	f.whole, required = false, true
	b = newBench(t, options{answers: wwwAnswers, paths: f, policy: serverPolicy(t), settings: func(s *dnsserver.Settings) { s.RequirePaths = required }})
	expect(t, b.ask(query("www.example", dns.TypeA)), "SERVFAIL EDE0")
	f.server = "ns.bad.example"
	expect(t, b.ask(query("www.example", dns.TypeA)), "NXDOMAIN EDE15", soaBy("www.example."))
}

// TestPathsAreWantedByThePolicyThatJudges: a policy that comes into force while a query is under way has no say in what is looked for.
func TestPathsAreWantedByThePolicyThatJudges(t *testing.T) {
	f := &finder{server: "ns.good.example", whole: true}
	zones := []policy.Zone{sink("sink", policy.ActionNXDOMAIN)}
	deep, flat := serverPolicyWith(t, 2, zones, policy.PathWants{MinDots: 3}), serverPolicyWith(t, 3, zones, policy.PathWants{WaitNames: true})
	answers := map[string]string{"www.example A": "www.example. 60 CNAME far.example.\nfar.example. 60 A 192.0.2.1"}
	b := newBench(t, options{answers: answers, paths: f, policy: deep})
	f.asked = func(string) { b.policy.Store(flat) }
	for range 2 {
		b.ask(query("www.example", dns.TypeA))
	}
	want := []policy.PathWants{{MinDots: 3}, {MinDots: 3}, {WaitNames: true}, {WaitNames: true}}
	if !slices.Equal(f.wants, want) {
		t.Errorf("wanted %+v, want %+v: of both names by the first policy, then of both by the second, which has not found the answer clean", f.wants, want)
	}
}

func serverPolicyWith(t *testing.T, generation uint64, zones []policy.Zone, wants policy.PathWants) *policy.Policy {
	t.Helper()
	of := newPolicy(t, generation, zones, listed{name: "ns.bad.example", zone: "sink", server: true})
	p, err := policy.New(policy.Config{Generation: generation, Zones: of.Zones(), Index: of.Index(), Paths: wants})
	must(t, err)
	return p
}

// TestServersDecideWithoutAnAnswer: a name whose servers are listed, and do not answer, is answered by rule. What does not stand up to validation stays an
// error.
func TestServersDecideWithoutAnAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		server string
		fail   coded
		want   []string
	}{
		{"listed servers that do not answer", "ns.bad.example", 22, []string{"NXDOMAIN EDE15", soaBy("www.example.")}},
		{"other servers that do not answer", "ns.good.example", 22, []string{"SERVFAIL EDE22"}},
		{"listed servers that sign wrongly", "ns.bad.example", 6, []string{"SERVFAIL EDE6"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, options{answers: wwwAnswers, paths: &finder{server: c.server, whole: true}, policy: serverPolicy(t)})
			b.world.fail = c.fail
			expect(t, b.ask(query("www.example", dns.TypeA)), c.want...)
		})
	}
}
