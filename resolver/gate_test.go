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
