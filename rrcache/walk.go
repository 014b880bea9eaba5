package rrcache

import (
	"bytes"

	"cenote/dnsname"
)

// walk calls visit for every answer that is there, a little of a shard at a time, and rest in between. visit has the slot's state, and whether
// the answer is in the main ring; the record is its own until it returns. An answer that moves meanwhile may come twice, and a
// Resize that begins while rest is called may leave some out: whoever rests for long, since what it writes to is slow, holds nobody up.
func (c *Cache) walk(visit func(r record, state uint64, inMain bool), rest func()) {
	for i := range c.places {
		c.walking.Lock()
		s := c.places[i].Load()
		c.walking.Unlock()
		if s.place != i {
			continue // it was met before
		}
		c.visit(s, &s.small, visit, rest)
		c.visit(s, &s.main, visit, rest)
	}
}

// visit walks one ring, oldest first, up to where the youngest was when it began.
func (c *Cache) visit(s *shard, q *queue, visit func(record, uint64, bool), rest func()) {
	s.mu.RLock()
	pos, end := q.tail, q.head
	s.mu.RUnlock()
	for more := true; more; rest() {
		c.walking.Lock()
		pos, more = s.visitSome(q, pos, end, visit)
		c.walking.Unlock()
	}
}

func (s *shard) visitSome(q *queue, pos, end uint64, visit func(record, uint64, bool)) (next uint64, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.retired {
		return pos, false
	}
	pos = max(pos, q.tail)
	for range scanStep {
		if pos >= min(q.head, end) {
			return pos, false
		}
		off := q.at(pos)
		r := s.record(off)
		pos += uint64(r.size())
		if !r.dead() {
			visit(r, s.slots[s.slotAt(r.tag(), off)].state.Load(), q == &s.main)
		}
	}
	return pos, true
}

// Kept is an answer as it lies in the cache.
type Kept struct {
	Key
	Msg     []byte // as Get gives it, of a copy
	State   State
	TTL     uint32 // that it would be given with, in s
	Stored  int64  // when it was put, in ns since 1970
	Expires int64  // until when it is fresh
	Gone    int64  // until when it could be given at all, fresh or stale
	Held    bool   // a try to refresh it failed a moment ago
	Failure bool   // it says that there was no answer
	Popular bool   // it was asked for again since it came
}

// KeptMax bounds what Kept returns.
const KeptMax = 256

// Kept returns all answers for a name, of one type or, for 0, of all types, at most KeptMax: with and without signatures, checked or not, of all
// sources. Those of no use any more are left out. It walks the whole cache.
func (c *Cache) Kept(name dnsname.Name, rtype uint16, now int64) []Kept {
	name = name.Canonical()
	var out []Kept
	staleMax := int64(c.config.Load().StaleMax)
	staleTTL := seconds(c.config.Load().StaleTTL)
	c.walk(func(r record, state uint64, _ bool) {
		if len(out) == KeptMax || string(r.name()) != string(name) || r.age(now) >= r.usable(staleMax) {
			return
		}
		k := Kept{Key: *r.key(), State: Fresh, Stored: r.stored(), Held: r.held(now), Failure: r.failure(), Popular: state&stateFrequency != 0}
		if rtype != 0 && k.Type != rtype {
			return
		}
		k.Name, k.Msg = bytes.Clone(k.Name), make([]byte, r.length())
		k.Expires, k.Gone = r.stored()+r.lifetime(), r.stored()+r.usable(staleMax)
		if age := r.age(now); age >= r.lifetime() {
			k.State, k.TTL = Stale, staleTTL
			r.copyStale(k.Msg, staleTTL)
		} else {
			gone := uint32(age / 1e9)
			k.TTL = r.ttl() - gone
			r.copyTo(k.Msg, gone)
		}
		out = append(out, k)
	}, func() {})
	return out
}
