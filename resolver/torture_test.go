package resolver_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/resolver"
)

const tortured = `
	zone .               server a.root.test @1
	zone test            server ns.nic.test @2
	zone dead.test       server ns1.dead.test @3, ns2.dead.test @4
	zone dead2.test      server ns1.dead.test @3, ns2.dead.test @4
	zone good.test       server ns.good.test @5
	    *                A     192.0.2.1
	! @3,@4 * drop
`

// A flood of names under a zone whose servers are dead holds a bounded number of questions, and soon none: then it is known at once that nobody answers,
// for other zones of the same servers too. Names of other zones are answered all the while, and the dead zone is as soon as its servers are back.
func TestWaterTorture(t *testing.T) {
	clock := newClock() // stands still, so that a silent server is asked once alone
	r := startRooted(t, tortured, func(c *resolver.Config) {
		c.Now, c.Timeouts.Attempt, c.Recursion.Bounds.PerZone = clock.now, 50*time.Millisecond, 20
	})
	r.ask(t, "www.good.test", "A")
	var asking sync.WaitGroup
	for i := range 200 {
		asking.Go(func() { r.ask(t, fmt.Sprintf("r%d.dead.test", i), "A") })
	}
	for i := range 50 {
		if got := r.ask(t, fmt.Sprintf("n%d.good.test", i), "A"); !strings.HasPrefix(got, "NOERROR") {
			t.Errorf("beside the flood: got %s", got)
		}
	}
	asking.Wait()
	flood, sent := len(r.tree.Queries("@3,@4")), r.Stats().Sent
	if s := r.Stats(); s.ZonesShed == 0 || flood > 20*4*2 {
		t.Errorf("%d packets, %d questions turned away", flood, s.ZonesShed)
	}
	begun := time.Now()
	for i := range 100 {
		r.ask(t, fmt.Sprintf("s%d.dead.test", i), "A")
		r.ask(t, fmt.Sprintf("s%d.dead2.test", i), "A")
	}
	after := r.Stats().Sent - sent // what has come there may be of the flood still
	t.Logf("%d packets for 200 names, then %d for 200 more in %v", flood, after, time.Since(begun))
	if s := r.Stats(); after > 8 || s.SilentShed == 0 {
		t.Errorf("%d packets to servers that are silent, %d attempts turned away", after, s.SilentShed)
	}
	r.tree.Mend()
	clock.advance(time.Second)
	for _, name := range []string{"a.dead.test", "b.dead.test", "a.dead2.test", "b.dead2.test"} {
		if got := r.ask(t, name, "A"); !strings.HasPrefix(got, "NXDOMAIN") {
			t.Errorf("once the servers are back, %s: got %s", name, got)
		}
	}
}

// TestRegistryIsNotCrowded: many questions may wait for the servers of a registry, whose zone is everybody's, as for those of a top-level domain.
func TestRegistryIsNotCrowded(t *testing.T) {
	const text = `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone co.test         server ns.co.test @3
		    *                A     192.0.2.1
		! @3 * delay=100ms
	`
	for _, registry := range []bool{true, false} {
		r := startRooted(t, text, func(c *resolver.Config) {
			c.Recursion.Bounds.PerZone = 4
			c.Owner = func(zone dnsname.Name) (dnsname.Name, bool) {
				return zone, !registry || zone.Labels() > 2
			}
		})
		r.ask(t, "first.co.test", "A")
		var asking sync.WaitGroup
		var answered atomic.Int64
		for i := range 40 {
			asking.Go(func() {
				if strings.HasPrefix(r.ask(t, fmt.Sprintf("r%d.co.test", i), "A"), "NOERROR") {
					answered.Add(1)
				}
			})
		}
		asking.Wait()
		if shed := r.Stats().ZonesShed; registry != (shed == 0) || registry && answered.Load() != 40 {
			t.Errorf("a registry: %v; %d questions turned away, %d of 40 answered", registry, shed, answered.Load())
		}
	}
}

// 1,500 random names a second under a zone whose servers do not answer, beside names that are cached and fresh names of another zone: for a second, and
// with CENOTE_LONG for ten.
func TestWaterTortureAtRate(t *testing.T) {
	rounds := 100
	if os.Getenv("CENOTE_LONG") != "" {
		rounds = 1000
	}
	r := startRooted(t, tortured, func(c *resolver.Config) { c.Timeouts = resolver.Timeouts{} }) // those of a server
	r.ask(t, "www.good.test", "A")
	stop := make(chan struct{})
	var asking sync.WaitGroup
	var n, waiting, most atomic.Int64
	asking.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for range 15 {
				asking.Go(func() {
					most.Store(max(most.Load(), waiting.Add(1)))
					defer waiting.Add(-1)
					r.ask(t, fmt.Sprintf("r%d.dead.test", n.Add(1)), "A")
				})
			}
		}
	})
	var cached, fresh []time.Duration
	answered := 0
	for i := range rounds {
		begun := time.Now()
		r.ask(t, "www.good.test", "A")
		cached = append(cached, time.Since(begun))
		begun = time.Now()
		if got := r.ask(t, fmt.Sprintf("n%d.good.test", i), "A"); strings.HasPrefix(got, "NOERROR") {
			answered++
		}
		fresh = append(fresh, time.Since(begun))
		time.Sleep(5 * time.Millisecond)
	}
	close(stop)
	asking.Wait()
	slices.Sort(cached)
	slices.Sort(fresh)
	s := r.Stats()
	t.Logf("%d names of the dead zone, %d packets to its servers, at most %d waited; turned away: %d by the zone, %d by silent servers", n.Load(), len(r.tree.Queries("@3,@4")), most.Load(), s.ZonesShed, s.SilentShed)
	t.Logf("99 of 100 cached names within %v, fresh ones within %v, %d of %d answered", cached[rounds*99/100], fresh[rounds*99/100], answered, rounds)
	if answered < rounds*99/100 {
		t.Errorf("%d of %d fresh names were answered", answered, rounds)
	}
}

// Many zones are delegated to one server that is dead.
func TestDeadServerOfManyZones(t *testing.T) {
	text := "zone . server a.root.test @1\nzone test server ns.nic.test @2\n"
	for i := range 50 {
		text += fmt.Sprintf("zone z%d.test server ns.nowhere.test @3\n", i)
	}
	clock := newClock() // stands still, so that the server is asked once alone when it is known to be silent
	r := startRooted(t, text+"zone nowhere.test server ns.nowhere.test @3\n! @3 * drop", func(c *resolver.Config) {
		c.Now, c.Timeouts.Attempt, c.Bounds.Tries = clock.now, 600*time.Millisecond, 1
	})
	r.ask(t, "test", "NS")
	var asking sync.WaitGroup
	for i := range 500 {
		asking.Go(func() { r.ask(t, fmt.Sprintf("r%d.z%d.test", i, i%50), "A") })
	}
	asking.Wait()
	// A slow machine asks for some names when the first attempts have ended already: 16 without a word are enough.
	if n := len(r.tree.Queries("@3")); n > 256+1 || n < 16 {
		t.Errorf("%d packets to the server, want 16 to 257", n)
	}
}

// TestOthersDoNotWaitForTheOwnerOfACrowdedZone: while it is found out whose a crowded zone is, which may take the reading of a list, names of other zones are asked for.
func TestOthersDoNotWaitForTheOwnerOfACrowdedZone(t *testing.T) {
	c := resolver.NewCrowds()
	asked, answer := make(chan struct{}), make(chan struct{})
	owned := func(dnsname.Name) bool {
		close(asked)
		<-answer
		return true
	}
	if err := c.Enter("crowded.test", 1, owned); err != nil {
		t.Fatal(err)
	}
	crowded := make(chan error, 1)
	go func() { crowded <- c.Enter("crowded.test", 1, owned) }()
	<-asked
	other := make(chan error, 1)
	go func() {
		err := c.Enter("other.test", 1, owned)
		c.Leave("other.test")
		other <- err
	}()
	select {
	case err := <-other:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("another zone waits")
	}
	close(answer)
	if err := <-crowded; err == nil {
		t.Error("there is a place that somebody has")
	}
	c.Leave("crowded.test")
	if n := c.Len(); n != 0 {
		t.Errorf("%d zones are remembered when all have left", n)
	}
}
