package resolver_test

import (
	"testing"

	"cenote/resolver"
)

// turns is a lock that others have whenever it is free.
type turns struct {
	held   bool
	others func()
}

// Lock implements sync.Locker.
func (l *turns) Lock() { l.held = true }

// Unlock implements sync.Locker.
func (l *turns) Unlock() {
	l.held = false
	l.others()
}

// TestWalkLetsOthersHaveTheMap: after each few entries others may change the map, and each entry that was there all the time is looked at once, under the lock.
func TestWalkLetsOthersHaveTheMap(t *testing.T) {
	const entries = 100_000
	all, seen, sinceTurn, next := map[int]int{}, map[int]int{}, 0, entries
	for i := range entries {
		all[i] = i
	}
	lock := &turns{others: func() {
		sinceTurn = 0
		for range 50 { // so that the map grows
			all[next] = next
			next++
		}
	}}
	resolver.Walk(lock, all, func(key, value int) {
		if sinceTurn++; sinceTurn > resolver.WalkStep || !lock.held {
			t.Fatalf("%d entries without a pause; the lock is held: %v", sinceTurn, lock.held)
		}
		if seen[key]++; key != value {
			t.Fatalf("%d for %d", value, key)
		}
		if key%2 == 0 {
			delete(all, key)
		}
	})
	for i := range entries {
		if _, there := all[i]; seen[i] != 1 || there != (i%2 == 1) {
			t.Fatalf("%d was looked at %d times, and is there: %v", i, seen[i], there)
		}
	}
	if lock.held {
		t.Error("the lock is still held")
	}
}
