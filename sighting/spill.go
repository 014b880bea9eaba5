package sighting

import (
	"sync"
	"sync/atomic"
	"time"
)

// The bounds of a spill table: how many (client prefix, zone, rule) it tells apart, and how many places one may take.
const (
	spillSlots  = 256
	spillProbes = 8
)

// The prefixes under which spilled events are counted: coarse enough that one table holds many clients, fine enough
// that an operator sees which part of the network is concerned.
const (
	spillBits4 = 24
	spillBits6 = 48
)

// spill holds what a full ring turned away until the collector fetches it. add is called by one producer (or several,
// for the shared queue), take by the collector. Neither waits for the other: when the lock is taken, add counts only.
type spill struct {
	mu      sync.Mutex
	active  *spillTable // guarded by mu
	spare   *spillTable // the collector's, between takes
	blind   atomic.Uint64
	turned  atomic.Uint64 // events in all, ever
	counted uint64        // of them, by the collector
}

// spillTable counts by client prefix, zone and rule. beyond are the events that found no place.
type spillTable struct {
	slots       [spillSlots]spillSlot
	used        int
	beyond      uint64
	first, last int64 // of beyond, nanoseconds since the epoch
}

type spillSlot struct {
	count       uint64
	first, last int64 // nanoseconds since the epoch
	event       Event // the first one, from which the collector finds zone, feed and family
}

func newSpill() *spill { return &spill{active: new(spillTable), spare: new(spillTable)} }

func (s *spill) add(e *Event) {
	s.turned.Add(1)
	if !s.mu.TryLock() {
		s.blind.Add(1)
		return
	}
	defer s.mu.Unlock()
	s.active.add(e)
}

// take returns what has come since the last call, valid until the next, and the events that were only counted.
func (s *spill) take() (t *spillTable, blind uint64) {
	s.spare.reset()
	s.mu.Lock()
	s.active, s.spare = s.spare, s.active
	s.mu.Unlock()
	return s.spare, s.blind.Swap(0)
}

func (t *spillTable) reset() {
	if t.used == 0 && t.beyond == 0 {
		return
	}
	for i := range t.slots {
		t.slots[i].count = 0
	}
	t.used, t.beyond, t.first, t.last = 0, 0, 0, 0
}

func (t *spillTable) add(e *Event) {
	h := spillHash(e)
	for i := range uint64(spillProbes) {
		slot := &t.slots[(h+i)%spillSlots]
		if slot.count == 0 {
			t.used++
			*slot = spillSlot{count: 1, first: e.Time, last: e.Time, event: *e}
			return
		}
		if sameSpill(&slot.event, e) {
			slot.count++
			slot.first, slot.last = min(slot.first, e.Time), max(slot.last, e.Time)
			return
		}
	}
	if t.beyond == 0 || e.Time < t.first {
		t.first = e.Time
	}
	t.beyond++
	t.last = max(t.last, e.Time)
}

func sameSpill(a, b *Event) bool {
	n := spillOctets(a)
	return a.Set == b.Set && a.Zone == b.Zone && a.Member == b.Member && a.Generation == b.Generation &&
		n == spillOctets(b) && a.Client == mixed(a.Client, b.Client, n)
}

// mixed returns the first n octets of b followed by the rest of a, so that one comparison tells whether a and b share n octets.
func mixed(a, b [16]byte, n int) [16]byte {
	copy(a[:n], b[:n])
	return a
}

func spillOctets(e *Event) int {
	if is4In6(&e.Client) {
		return 12 + spillBits4/8
	}
	return spillBits6 / 8
}

func spillHash(e *Event) uint64 {
	h := uint64(e.Set)<<32 | uint64(e.Zone)<<16 | uint64(e.Member)
	for _, c := range e.Client[:spillOctets(e)] {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return h ^ h>>32
}

// is4In6 reports whether c is an IPv4 address in its IPv4-mapped form (RFC 4291 section 2.5.5.2).
func is4In6(c *[16]byte) bool {
	return [12]byte(c[:12]) == [12]byte{10: 0xff, 11: 0xff}
}

func unixTime(ns int64) time.Time { return time.Unix(0, ns).UTC() }
