package resolver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/resolver"
)

// TestCostlyZoneWaitsForItself: those who wait to be checked when their zone turns out to be costly go to wait for each other, and whoever comes after them for another zone need not
// wait for them.
func TestCostlyZoneWaitsForItself(t *testing.T) {
	g := resolver.NewGate()
	now, done := time.Unix(1, 0), make(chan struct{})
	var held []func()
	for range g.Places() {
		held = append(held, g.Enter("trap.test", now, done))
	}
	const many = 50
	waiting := make(chan func(), many)
	for range many {
		go func() { waiting <- g.Enter("trap.test", now, done) }()
	}
	eventually(t, "all wait", func() bool { return g.Waiting() == many })
	g.Mark("trap.test", now)
	for _, leave := range held {
		leave()
	}
	first := <-waiting // it has the one place of costly zones and does not give it back
	if leave := g.Enter("good.test", now, done); leave == nil {
		t.Error("a good zone got no place")
	} else {
		leave()
	}
	select {
	case <-waiting:
		t.Error("two of a costly zone have a place")
	default:
	}
	first()
	for range many - 1 {
		(<-waiting)()
	}
}

// TestCostlyZoneLeavesPlacesToOthers: of one costly zone a bounded number wait, further ones are turned away at once, and another costly zone has its turn.
func TestCostlyZoneLeavesPlacesToOthers(t *testing.T) {
	g := resolver.NewGate()
	now, done := time.Unix(1, 0), make(chan struct{})
	g.Mark("trap.test", now)
	g.Mark("other.test", now)
	first := g.Enter("trap.test", now, done)
	const more = 10
	waiting := make(chan func())
	for range resolver.CostlyEach + more {
		go func() { waiting <- g.Enter("trap.test", now, done) }()
	}
	for range more {
		if leave := <-waiting; leave != nil {
			t.Fatal("two of a costly zone have a place")
		}
	}
	other := make(chan bool, 1)
	go func() { // its turn may come before that of some who wait
		leave := g.Enter("other.test", now, done)
		if leave != nil {
			leave()
		}
		other <- leave != nil
	}()
	first()
	for range resolver.CostlyEach {
		(<-waiting)()
	}
	if !<-other {
		t.Error("another costly zone got no place")
	}
}

// TestCostlyZonesTakeTurns: where the costly zones of many owners have all the room to wait, one more owner finds some, and its turn comes as soon as that of each other has come once. Who has
// thousands of zones below one name has one turn among the others.
func TestCostlyZonesTakeTurns(t *testing.T) {
	g := resolver.NewGate()
	now, done := time.Unix(1, 0), make(chan struct{})
	first := g.Enter(costly(g, "first.test", now), now, done)
	enter, order, waiting := entering(g, now, done, 2*resolver.GateWaiting)
	const owners = resolver.GateWaiting / resolver.CostlyEach
	for i := range owners * (resolver.CostlyEach + 10) {
		enter(fmt.Sprintf("z%d.owner%d.test", i/owners, i%owners))
	}
	eventually(t, "all room is taken", func() bool { return g.CostlyWaiting() == resolver.GateWaiting })
	for range owners * 10 {
		if got := <-order; got != "turned away" {
			t.Fatalf("%s got the place that somebody has", got)
		}
	}
	enter("good.test")
	if got := <-order; got != "turned away" {
		t.Fatalf("%s got the place that somebody has", got)
	}
	first()
	for i := range owners + 2 {
		if got := <-order; got == "good.test" {
			break
		} else if i > owners {
			t.Errorf("good.test had no turn after those of %d others; %s was the last", i, got)
		}
	}
	waiting.Wait()
	if n := g.CostlyWaiting(); n != 0 {
		t.Errorf("%d wait when all have left", n)
	}
}

// TestCustomersOfARegistryAreApart: who has all room of costly zones below a suffix of a registry leaves room and a turn to another customer of it, and a zone of the registry is never
// costly.
func TestCustomersOfARegistryAreApart(t *testing.T) {
	g := resolver.NewGateOf(func(zone dnsname.Name) (dnsname.Name, bool) {
		return zone.Suffix(min(zone.Labels(), 3)), zone.Labels() >= 3 // every name of two labels is a registry's
	})
	now, done := time.Unix(1, 0), make(chan struct{})
	first := g.Enter(costly(g, "trap.co.test", now), now, done)
	enter, order, waiting := entering(g, now, done, 2*resolver.CostlyEach)
	for i := range resolver.CostlyEach {
		enter(fmt.Sprintf("z%d.trap.co.test", i))
	}
	eventually(t, "they wait", func() bool { return g.CostlyWaiting() == resolver.CostlyEach })
	enter("good.co.test")
	eventually(t, "the other waits", func() bool { return g.CostlyWaiting() == resolver.CostlyEach+1 })
	if leave := g.Enter(costly(g, "co.test", now), now, done); leave == nil {
		t.Error("the registry's own zone waits with those that are costly")
	} else {
		leave()
	}
	first()
	for i := range 2 {
		if got := <-order; got == "good.co.test" {
			break
		} else if i == 1 {
			t.Errorf("good.co.test had no turn after that of the other customer; %s was the last", got)
		}
	}
	waiting.Wait()
}

// TestCostlyZonesGiveUp: who waits for the place of costly zones no longer than his time leaves it to the others.
func TestCostlyZonesGiveUp(t *testing.T) {
	g := resolver.NewGate()
	now, done, never := time.Unix(1, 0), make(chan struct{}), make(chan struct{})
	first := g.Enter(costly(g, "first.test", now), now, never)
	costly(g, "hurried.test", now)
	costly(g, "patient.test", now)
	hurried, patient := make(chan func(), 1), make(chan func(), 1)
	go func() { hurried <- g.Enter("hurried.test", now, done) }()
	eventually(t, "one waits", func() bool { return g.CostlyWaiting() == 1 })
	go func() { patient <- g.Enter("patient.test", now, never) }()
	eventually(t, "two wait", func() bool { return g.CostlyWaiting() == 2 })
	close(done)
	if leave := <-hurried; leave != nil {
		t.Error("there was a place that somebody has")
	}
	first()
	(<-patient)()
	if leave := g.Enter("hurried.test", now, never); leave == nil {
		t.Error("the place is lost")
	}
}

// entering returns what has a costly zone wait for its place, leaves it at once, and tells in which order the places were had; at most so many are told.
func entering(g resolver.Gate, now time.Time, done <-chan struct{}, most int) (enter func(zone string), order chan string, waiting *sync.WaitGroup) {
	order, waiting = make(chan string, most), new(sync.WaitGroup)
	return func(zone string) {
		costly(g, zone, now)
		waiting.Go(func() {
			leave := g.Enter(zone, now, done)
			if leave == nil {
				order <- "turned away"
				return
			}
			order <- zone
			leave()
		})
	}, order, waiting
}

// costly marks a zone, and returns it.
func costly(g resolver.Gate, zone string, now time.Time) string {
	g.Mark(zone, now)
	return zone
}

// TestAnchorsAreReadWhileKeysAreChecked: who verifies the keys of a trust anchor's zone, and gives way meanwhile, holds up nobody who has to know which zones have one.
func TestAnchorsAreReadWhileKeysAreChecked(t *testing.T) {
	r := trusting(t, "zone . server a.root.test @1 sign\n")
	work, looked := dnssec.NewWork(), 0
	work.GiveWay = func() bool {
		looked += len(r.Anchors())
		return true
	}
	checked := make(chan dnssec.Verdict, 1)
	go func() {
		v, err := r.CheckAnchor(context.Background(), ".", time.Now(), work)
		if err != nil {
			t.Error(err)
		}
		checked <- v
	}()
	select {
	case v := <-checked:
		if v.Status != dnssec.Secure || looked == 0 {
			t.Errorf("got %v after %d looks", v, looked)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the anchors cannot be read while keys are checked")
	}
}
