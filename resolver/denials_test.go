package resolver_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/resolver"
)

// TestDenialsOfAllZonesAreBounded: however many zones prove however much, the records that are kept of that are bounded together.
func TestDenialsOfAllZonesAreBounded(t *testing.T) {
	text := "zone . server a.root.test @1 sign\n"
	for i := range 6 {
		text += fmt.Sprintf("zone z%d server ns.z%d @2 sign\n    k A 192.0.2.1\n    p A 192.0.2.2\n", i, i)
	}
	r := trusting(t, text)
	r.BoundDenials(8)
	for i := range 6 {
		for _, name := range []string{"a", "l", "z"} {
			r.ask(t, fmt.Sprintf("%s.z%d", name, i), "A")
		}
	}
	if zones, records := r.Denials(); records > 8 || zones == 0 {
		t.Errorf("%d records of %d zones, want 8 records at most", records, zones)
	}
	r.Flush("\x00", true)
	if zones, records := r.Denials(); zones != 0 || records != 0 {
		t.Errorf("after a flush: %d records of %d zones", records, zones)
	}
}

// TestNoRoomToInferAsksNobody: where too many wait to be checked, a name that is denied already does not make its zone be asked.
func TestNoRoomToInferAsksNobody(t *testing.T) {
	clock := newClock()
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    www              A     192.0.2.1
	`, func(c *resolver.Config) { c.Now = clock.now })
	r.tree.SetClock(clock.now)
	r.ask(t, "b.example.test", "A")
	g, done := r.Gate(), make(chan struct{})
	g.Mark("example.test", clock.now())
	first := g.Enter("example.test", clock.now(), done)
	var waiting sync.WaitGroup
	for range resolver.CostlyEach {
		waiting.Go(func() {
			if leave := g.Enter("example.test", clock.now(), done); leave != nil {
				leave()
			}
		})
	}
	eventually(t, "there is no room", func() bool { return g.CostlyWaiting() == resolver.CostlyEach })
	before := r.tree.Total()
	got := r.ask(t, "c.example.test", "A")
	if n := r.tree.Total() - before; n > 0 || !strings.HasPrefix(got, "error") {
		t.Errorf("%d queries, and %s", n, got)
	}
	first()
	waiting.Wait()
	clock.advance(5 * time.Second) // no failure is remembered for longer
	if got := r.ask(t, "c.example.test", "A"); !strings.HasPrefix(got, "NXDOMAIN AD") {
		t.Errorf("once there is room: %s", got)
	}
	if n := r.tree.Total() - before; n > 0 {
		t.Errorf("%d queries for what was denied", n)
	}
}

// TestCostlyInferenceHoldsUpNobody: while many hashes of a name of one zone wait to be computed, names of others are inferred, and what other zones prove is learnt.
func TestCostlyInferenceHoldsUpNobody(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone fifty.test      server ns.fifty.test @3 sign nsec3 iterations=50
		    www              A     192.0.2.1
		zone good.test       server ns.good.test @4 sign
		    www              A     192.0.2.1
	`)
	r.ask(t, "x.fifty.test", "A")
	r.ask(t, "a.good.test", "A")
	g, done := r.Gate(), make(chan struct{})
	g.Mark("other.test", time.Now())
	leave := g.Enter("other.test", time.Now(), done)
	answered := make(chan string, 1)
	go func() { answered <- r.ask(t, strings.Repeat("a.b.", 50)+"fifty.test", "A") }()
	eventually(t, "a costly inference waits", func() bool { return g.CostlyWaiting() == 1 })
	others := make(chan string, 2)
	go func() {
		others <- r.ask(t, "b.good.test", "A")   // by what is known
		others <- r.ask(t, "zzz.good.test", "A") // which is learnt
	}()
	for range 2 {
		select {
		case got := <-others:
			if !strings.HasPrefix(got, "NXDOMAIN AD") {
				t.Error(got)
			}
		case got := <-answered:
			t.Fatalf("others wait for the costly one: %s", got)
		}
	}
	leave()
	if got := <-answered; !strings.HasPrefix(got, "NXDOMAIN AD") {
		t.Errorf("the costly one: %s", got)
	}
}

// TestWildcardsStandForOtherNames: once a wildcard of a signed zone was seen, with proof that it stands for a name, names that the same proof is about are answered without a query:
// with signatures that hold, AD, and the TTL that is left. Names that exist are asked for, and so is everything where there is no proof.
func TestWildcardsStandForOtherNames(t *testing.T) {
	for words, inferred := range map[string]bool{"sign": true, "sign nsec3": true, "sign optout": false, "": false} {
		t.Run(words, func(t *testing.T) {
			clock := newClock()
			r := trusting(t, `
				zone .               server a.root.test @1 sign
				zone test            server ns.nic.test @2 sign
				zone wild.test       server ns.wild.test @3 `+words+`
				    *.in             100 A    192.0.2.1
				    *.in             100 TXT  "wild"
				    real.in          100 A    192.0.2.2
				    *.alias          100 CNAME real.in
			`, func(c *resolver.Config) { c.Now = clock.now })
			r.tree.SetClock(clock.now)
			for i := range 8 { // enough for all of a chain of few hashes
				r.ask(t, fmt.Sprintf("first%d.in.wild.test", i), "A", "do")
			}
			clock.advance(40 * time.Second)
			before := len(r.tree.Queries("@3"))
			got := r.ask(t, "prior.in.wild.test", "A", "do")
			if !strings.Contains(got, "192.0.2.1") || strings.HasPrefix(got, "NOERROR AD") != inferred {
				t.Error(got)
			}
			if n := len(r.tree.Queries("@3")) - before; (n == 0) != inferred {
				t.Errorf("%d queries for a name that the wildcard stands for", n)
			}
			if inferred && (!strings.Contains(got, "prior.in.wild.test. 60 IN A 192.0.2.1") || !strings.Contains(got, "RRSIG A") || !strings.Contains(got, " NSEC")) {
				t.Errorf("the proof is not whole: %s", got)
			}
			if got := r.ask(t, "real.in.wild.test", "A"); !strings.Contains(got, "192.0.2.2") {
				t.Errorf("a name that is there: %s", got)
			}
			if got := r.ask(t, "prior.in.wild.test", "TXT"); !strings.Contains(got, "wild") {
				t.Errorf("another type: %s", got)
			}
			for i := range 2 {
				if got := r.ask(t, fmt.Sprintf("a%d.alias.wild.test", i), "A"); !strings.Contains(got, "192.0.2.2") {
					t.Errorf("an alias: %s", got)
				}
			}
			clock.advance(61 * time.Second)
			before = len(r.tree.Queries("@3"))
			if r.ask(t, "third.in.wild.test", "A"); len(r.tree.Queries("@3")) == before {
				t.Error("the wildcard answers past its TTL")
			}
		})
	}
}
