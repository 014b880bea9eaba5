package resolver_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"
	"cenote/wire"

	"github.com/prometheus/client_golang/prometheus"
)

// flat writes the steps of a trace and of its inner ones, one a line.
func flat(t *resolver.Trace) string {
	var b strings.Builder
	for _, s := range t.Steps {
		fmt.Fprintf(&b, "%v %v %s zone=%v min=%v result=%s next=%v ttl=%v ds=%d keys=%d verdict=%v proof=%s attempts=%d\n", s.Kind, s.Name, wire.TypeText(s.Type), s.Zone, s.Minimised,
			s.Result, s.Next, s.TTL > 0, len(s.DS), len(s.Keys), s.Verdict.Status, s.Proof, len(s.Attempts))
		if s.Inner != nil {
			b.WriteString(flat(s.Inner))
		}
	}
	return b.String()
}

// TestTraceTellsAllThatWasDone: referrals with their DS records, parts of names, keys, the proof of the answer and what all of it cost.
func TestTraceTellsAllThatWasDone(t *testing.T) {
	r := trusting(t, signedInternet)
	_, trace, err := r.Trace(t.Context(), keyOf("www.example.test", wire.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	got := flat(trace)
	for _, want := range []string{
		"asked test A zone=. min=true result=referral next=test ttl=true ds=1",
		"asked example.test A zone=test min=true result=referral next=example.test ttl=true ds=1",
		"asked www.example.test A zone=example.test min=false result=answer",
		"question example.test DNSKEY",
		"trust example.test", "keys=2 verdict=secure",
		"verdict www.example.test A", "proof=www.example.test A, signed by example.test key ",
		"algorithm 15", "attempts=1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the trace lacks %q:\n%s", want, got)
		}
	}
	if s := trace.Spent; !s.Bounded || s.Packets < 5 || s.PacketsLeft != 100-s.Packets || s.SignaturesLeft >= 30 || s.SignaturesLeft < 10 {
		t.Errorf("spent %+v", s)
	}
	_, trace, err = r.Trace(t.Context(), keyOf("www.bad.test", wire.TypeA))
	if got := flat(trace); err == nil || !strings.Contains(got, "verdict=bogus") {
		t.Errorf("%v, a bogus answer:\n%s", err, got)
	}
	_, trace, err = r.Trace(t.Context(), keyOf("none.other.test", wire.TypeA))
	if got := flat(trace); err != nil || !strings.Contains(got, "denial by ") || !strings.Contains(got, "NSEC3, signed by other.test key") {
		t.Errorf("%v, a name that is not there:\n%s", err, got)
	}
}

// TestTraceTellsWhichUpstreamWasAsked where names are forwarded.
func TestTraceTellsWhichUpstreamWasAsked(t *testing.T) {
	up := dnstest.Start(t, "www.example. 60 IN A 192.0.2.1\n")
	cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
	if err != nil {
		t.Fatal(err)
	}
	r, err := resolver.New(resolver.Config{Cache: cache, Timeouts: slowMachine, Upstreams: []resolver.Upstream{{Addr: up.Addr()}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	result, trace, err := r.Trace(t.Context(), keyOf("www.example", wire.TypeA))
	if err != nil || wire.Count(result.Msg, 1) != 1 {
		t.Fatalf("%v, %x", err, result.Msg)
	}
	if len(trace.Steps) != 1 || trace.Steps[0].Kind != resolver.StepForwarded || trace.Steps[0].Server != up.Addr() || trace.Spent.Packets != 1 {
		t.Errorf("got %s, spent %+v", flat(trace), trace.Spent)
	}
	if a := trace.Steps[0].Attempts; len(a) != 1 || a[0].Result != "NOERROR" || !a[0].EDNS || a[0].TCP || a[0].Size == 0 {
		t.Errorf("attempts %+v", a)
	}
}

// counted are the metrics of the resolver with their labels, those that are not 0.
func counted(t *testing.T, r *resolver.Resolver) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(r.Collector())
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "cenote_resolver_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue(); v != 0 {
				out[name] = v
			}
		}
	}
	return out
}

// TestQuestionsAreCountedByOutcome: each that a client asks once, whatever it needs to be known first.
func TestQuestionsAreCountedByOutcome(t *testing.T) {
	r := trusting(t, signedInternet)
	for _, name := range []string{"www.example.test", "away.example.test", "www.plain.test", "www.bad.test"} {
		r.ask(t, name, "A")
	}
	r.ask(t, "ok.bad.test", "A", "cd")
	got := counted(t, r.Resolver)
	for name, want := range map[string]float64{"questions_total none secure": 2, "questions_total none insecure": 1, "questions_total 7 bogus": 1, "questions_total none unchecked": 1} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v; all: %v", name, got[name], want, got)
		}
	}
	for _, name := range []string{"packets_total answer udp", "packets_total minimised udp", "packets_total keys udp", "referrals_total", "signatures_total", "hashes_total", "delegations", "servers", "trusts"} {
		if got[name] == 0 {
			t.Errorf("%s is 0; all: %v", name, got)
		}
	}
}

// TestBoundsAreCounted: a question that sends too many queries is given up once, and counted once.
func TestBoundsAreCounted(t *testing.T) {
	r := startRooted(t, smallInternet, func(c *resolver.Config) { c.Recursion.Bounds.Packets = 2 })
	if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "error") {
		t.Fatal(got)
	}
	if got := counted(t, r.Resolver); got["shed_total packets"] != 1 || got["questions_total 0 failed"] != 1 {
		t.Errorf("got %v", got)
	}
}

// TestSlowQuestionsAreLogged, so many a second.
func TestSlowQuestionsAreLogged(t *testing.T) {
	var text bytes.Buffer
	r := startRooted(t, smallInternet, func(c *resolver.Config) {
		c.Slow, c.Log = time.Nanosecond, slog.New(slog.NewTextHandler(&text, nil))
	})
	for i := range 40 {
		r.ask(t, fmt.Sprintf("n%d.example.test", i), "A")
	}
	lines := strings.Count(text.String(), "a question was slow")
	if lines < 10 || lines == 40 {
		t.Errorf("%d of 40 are logged, want 10 a second", lines)
	}
	if line, _, _ := strings.Cut(text.String(), "\n"); !strings.Contains(line, "name=n0.example.test type=A") || !strings.Contains(line, "packets=") ||
		!strings.Contains(line, "last_server=127.") || !strings.Contains(line, "reason=answered") {
		t.Errorf("the first line is %s", line)
	}
	if got := counted(t, r.Resolver)["slow_questions_total"]; got != 40 {
		t.Errorf("%v are counted, want 40", got)
	}
}

// TestDelegationAndServersAreTold: what is known after a question, and what is not after a flush.
func TestDelegationAndServersAreTold(t *testing.T) {
	r := trusting(t, signedInternet)
	name := dnsname.MustParse("www.example.test")
	if _, ok := r.Delegation(name); ok {
		t.Error("a delegation is known before anything was asked")
	}
	r.ask(t, "www.example.test", "A")
	d, ok := r.Delegation(name)
	if !ok || d.Zone != dnsname.MustParse("example.test") || d.Parent != dnsname.MustParse("test") || !d.Signed || d.TTL == 0 || len(d.Servers) != 2 || len(d.Servers[0].Places) != 1 {
		t.Fatalf("got %+v, %v", d, ok)
	}
	asked := 0
	for _, s := range d.Servers {
		if p := s.Places[0]; p.Known && p.Counts.Queries > 0 && p.RTT > 0 {
			asked++
		}
	}
	if all := r.Servers(2, resolver.Busiest); asked == 0 || len(all) != 2 || all[0].Counts.Queries < all[1].Counts.Queries {
		t.Errorf("%d servers of the zone were asked; the busiest are %+v", asked, all)
	}
	if got := r.ForgetZones(dnsname.MustParse("example.test")); got.Delegations != 1 || got.Trusts == 0 {
		t.Errorf("flushed %+v", got)
	}
	if d, ok := r.Delegation(name); !ok || d.Zone != dnsname.MustParse("test") {
		t.Errorf("after a flush: %+v", d)
	}
}

// TestAnchorsAreTold with the state of each key.
func TestAnchorsAreTold(t *testing.T) {
	r := trusting(t, signedInternet, func(c *resolver.Config) {
		c.Recursion.Follow = true
		c.Recursion.Negative = []resolver.NegativeAnchor{{Name: dnsname.MustParse("bad.test"), Until: time.Now().Add(time.Hour)}, {Name: dnsname.MustParse("old.test"), Until: time.Unix(1, 0)}}
	})
	r.ask(t, "www.example.test", "A")
	anchors, negative := r.AnchorStates()
	if len(anchors) != 1 || !anchors[0].Zone.IsRoot() || len(anchors[0].DS)+len(anchors[0].Keys) == 0 || anchors[0].Next.IsZero() {
		t.Errorf("anchors %+v", anchors)
	}
	if len(negative) != 1 || negative[0].Name != dnsname.MustParse("bad.test") {
		t.Errorf("negative anchors %+v", negative)
	}
}

// TestTraceTellsOfSilence: a server that says nothing is in the trace, with how long it was waited for.
func TestTraceTellsOfSilence(t *testing.T) {
	r := startRooted(t, smallInternet+"\n! @3 * drop\n! @4 * drop\n", func(c *resolver.Config) {
		c.Timeouts.Attempt, c.Timeouts.Total = 300*time.Millisecond, 3*time.Second
	})
	_, trace, err := r.Trace(t.Context(), keyOf("www.example.test", wire.TypeA))
	if err == nil {
		t.Fatal("silent servers answer")
	}
	silent := 0
	for _, s := range trace.Steps {
		for _, a := range s.Attempts {
			if s.Zone == dnsname.MustParse("example.test") && strings.HasPrefix(a.Result, "no reply") && a.Took > 0 {
				silent++
			}
		}
	}
	if silent < 2 {
		t.Errorf("%d silent attempts are told of:\n%s", silent, flat(trace))
	}
}
