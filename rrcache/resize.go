package rrcache

import (
	"fmt"
	"runtime"
)

// carryStep is how many records a Resize carries over before it lets others have the shard.
const carryStep = 16

// garbageShare is which part of the memory of before a Resize leaves to the garbage collector at most before it has it collected.
const garbageShare = 8

// origin is where a shard that is being filled finds what has not reached it yet. A key is in the shard or in its origin, never in both.
type origin struct {
	shards []*shard // all retired
	before uint64   // how many shards there were
	after  uint64   // and will be
}

// of returns the shard that had a key of this hash.
func (o *origin) of(sum uint64) *shard { return o.shards[sum>>56&(o.before-1)/o.after] }

// Resize changes Config.Bytes while the cache is used. Answers are carried over, those that were asked for lately where there is no room for all. now is the
// time, and rest is called after each small piece of work. Until Resize returns, the cache may take as much as the larger of both sizes and one
// shard of the smaller. On an error nothing has changed.
func (c *Cache) Resize(bytes, now int64, rest func()) error {
	if bytes < BytesMin || bytes > BytesMax {
		return fmt.Errorf("cache of %d octets: want %d to %d", bytes, BytesMin, int64(BytesMax))
	}
	c.walking.Lock()
	defer c.walking.Unlock()
	was := c.config.Load().Bytes
	if was == bytes {
		return nil
	}
	before, after := shardCount(was), shardCount(bytes)
	freed := int64(0)
	for group := range min(before, after) {
		m := move{cache: c, now: now, rest: rest}
		for i := group; i < before; i += min(before, after) {
			m.old = append(m.old, c.places[i].Load())
			freed += was / int64(before)
		}
		for i := group; i < after; i += min(before, after) {
			m.new = append(m.new, newShard(i, bytes/int64(after), &c.tallies[i]))
		}
		m.run(uint64(before), uint64(after))
		if freed >= was/garbageShare {
			freed = 0
			runtime.GC()
		}
	}
	c.settle(func(config *Config) { config.Bytes = bytes })
	return nil
}

// move puts new shards in the place of old ones that had the same keys: one of many, many of one, or one of one.
type move struct {
	cache    *Cache
	old, new []*shard
	now      int64
	rest     func()
}

func (m *move) run(before, after uint64) {
	from := &origin{shards: m.old, before: before, after: after}
	m.publish(from)
	for i := len(m.new) - 1; i >= 0; i-- { // the first one counts what is left in the old shards, see Stats
		s := m.new[i]
		for _, old := range m.old {
			m.carryAll(s, old, &old.main)
			m.carryAll(s, old, &old.small)
		}
		s.mu.Lock()
		s.origin = nil
		s.mu.Unlock()
	}
}

// publish gives the places of the old shards to the new ones. From then on nothing is added to the old ones.
func (m *move) publish(from *origin) {
	version := uint32(0)
	for _, old := range m.old {
		old.mu.Lock()
		defer old.mu.Unlock()
		old.retired = true
		version = max(version, old.version)
	}
	for _, s := range m.new {
		s.origin, s.version = from, version // so that a Stamp cannot take what comes for what was
		for i := s.place; i < shardsMax; i += int(from.after) {
			m.cache.places[i].Store(s)
		}
	}
}

// carryAll carries what is in one ring of old, and belongs to s, over, oldest first.
func (m *move) carryAll(s, old *shard, q *queue) {
	pos, spare := q.tail, []byte(nil)
	for pos < q.head { // neither end moves any more
		pos, spare = m.carrySome(s, old, q, pos, spare)
		m.rest()
	}
}

func (m *move) carrySome(s, old *shard, q *queue, pos uint64, spare []byte) (uint64, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old.mu.Lock()
	defer old.mu.Unlock()
	t := turn{shard: s, now: m.now, staleMax: int64(m.cache.config.Load().StaleMax), spare: spare, chances: secondChancesMax}
	for n := 0; n < carryStep && pos < q.head; n++ {
		off := q.at(pos)
		r := old.record(off)
		pos += uint64(r.size())
		if !r.dead() && int(m.cache.hash.sum(r.key())>>56&(s.origin.after-1)) == s.place {
			t.carry(old, old.slotAt(r.tag(), off))
		}
	}
	return pos, t.spare
}

// carry moves the record of slot i of old, whose lock is held too, to the same ring of t's shard, with all that is known about it. One that
// nobody asked for lately pushes no other out.
func (t *turn) carry(old *shard, i int) {
	r, state, inMain := old.record(old.slots[i].off()), old.slots[i].state.Load(), old.slots[i].off() >= old.main.base
	switch {
	case !t.useful(r):
	case state&stateFrequency == 0 && !t.hasRoom(r.size(), inMain):
		t.counts.evictions.Add(1)
	default:
		t.add(r, inMain, state)
	}
	old.remove(i)
}

// hasRoom reports whether n more octets push nobody out.
func (t *turn) hasRoom(n uint32, inMain bool) bool {
	return t.live < t.liveMax && (t.main.fits(n) || !inMain && t.small.fits(n))
}

// fetch carries the record of a key over if it has not come yet.
func (t *turn) fetch(sum uint64, k *Key) {
	if t.origin == nil {
		return
	}
	old := t.origin.of(sum)
	old.mu.Lock()
	defer old.mu.Unlock()
	if i, _ := old.find(uint32(sum), k); i >= 0 {
		t.carry(old, i)
	}
}
