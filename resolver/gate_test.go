package resolver_test

import (
	"testing"
	"time"

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
