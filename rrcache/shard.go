package rrcache

import (
	"sync"
	"sync/atomic"
)

// shard is a part of the cache with its own lock. Readers may share it: what a hit changes is in the atomic state of its slot.
type shard struct {
	mu        sync.RWMutex // guards everything but place, the counters and, with RLock, the states of the slots
	slots     []slot       // open addressing, linear probing
	arena     []byte
	small     queue    // what is new: the first octets of arena
	main      queue    // what was asked for again: the rest
	ghosts    []uint32 // tags of what left the small ring unasked, so that it comes back into the main one
	live      int
	liveMax   int
	liveBytes int64
	version   uint32
	retired   bool    // a Resize has given its places to others
	origin    *origin // while a Resize fills it: where the rest is
	place     int     // the first of its places
	*tally
	_ [64]byte // keeps what is next to it in memory off its cache lines
}

// slot points to a record.
type slot struct {
	ref   uint64        // tag<<32 | place in the arena | slotUsed; 0 is empty
	state atomic.Uint64 // changes while the shard is only read-locked
}

// slotUsed is free in a place, since records are aligned to eight octets.
const slotUsed = 1

// The state of a slot: the clean stamp, and what is known of how often its record is asked for.
const (
	stateFrequency = 3 << 0 // counts up to 3; the ring takes one off when it gives a second chance
	stateHits      = 3 << 2 // hits since the record was put, up to 3
	stateClaimed   = 1 << 4 // a caller was told to prefetch it
	stateBits      = 5

	frequencyOne = 1 << 0
	hitsOne      = 1 << 2
	hitsPrefetch = 2 << 2 // how often it must have been hit to be worth a prefetch
)

func refOf(tag, off uint32) uint64 { return uint64(tag)<<32 | uint64(off) | slotUsed }

func (sl *slot) tag() uint32 { return uint32(sl.ref >> 32) }
func (sl *slot) off() uint32 { return uint32(sl.ref) &^ slotUsed }

// touch counts a hit. A count that is lost to another hit at the same moment does not matter.
func (sl *slot) touch() {
	old := sl.state.Load()
	next := old
	if next&stateFrequency != stateFrequency {
		next += frequencyOne
	}
	if next&stateHits != stateHits {
		next += hitsOne
	}
	if next != old {
		sl.state.CompareAndSwap(old, next)
	}
}

// claim reports whether this caller is the one who is to prefetch the record.
func (sl *slot) claim() bool {
	for {
		old := sl.state.Load()
		if old&stateClaimed != 0 || old&stateHits < hitsPrefetch {
			return false
		}
		if sl.state.CompareAndSwap(old, old|stateClaimed) {
			return true
		}
	}
}

// disclaim lets another caller prefetch the record.
func (sl *slot) disclaim() {
	for {
		old := sl.state.Load()
		if sl.state.CompareAndSwap(old, old&^stateClaimed) {
			return
		}
	}
}

// stamp sets the generation at which the record was found clean.
func (sl *slot) stamp(generation uint64) {
	for {
		old := sl.state.Load()
		if sl.state.CompareAndSwap(old, generation<<stateBits|old&(1<<stateBits-1)) {
			return
		}
	}
}

func (s *shard) record(off uint32) record {
	r := record(s.arena[off:])
	return r[:r.size()]
}

// home returns where the probing for a tag begins. It depends on the tag alone, so that slots can be moved without a look at records.
func (s *shard) home(tag uint32) int {
	return int(uint64(tag) * uint64(len(s.slots)) >> 32)
}

func (s *shard) next(i int) int {
	if i++; i < len(s.slots) {
		return i
	}
	return 0
}

// find returns the slot and the record of a key, or a negative number.
func (s *shard) find(tag uint32, k *Key) (int, record) {
	for i := s.home(tag); s.slots[i].ref != 0; i = s.next(i) {
		if s.slots[i].tag() == tag {
			if r := s.record(s.slots[i].off()); r.is(k) {
				return i, r
			}
		}
	}
	return -1, nil
}

// slotAt returns the slot of the live record at off.
func (s *shard) slotAt(tag, off uint32) int {
	i := s.home(tag)
	for ref := refOf(tag, off); s.slots[i].ref != ref; {
		i = s.next(i)
	}
	return i
}

// insert adds a slot. There is room, since live < liveMax < len(slots).
func (s *shard) insert(tag, off uint32, state uint64) {
	i := s.home(tag)
	for s.slots[i].ref != 0 {
		i = s.next(i)
	}
	s.slots[i].ref = refOf(tag, off)
	s.slots[i].state.Store(state)
	s.live++
	s.liveBytes += int64(s.record(off).size())
}

// remove empties slot i, kills its record and closes the gap, so that no search ends too early.
func (s *shard) remove(i int) {
	r := s.record(s.slots[i].off())
	r.kill()
	s.live--
	s.liveBytes -= int64(r.size())
	n := len(s.slots)
	for j := s.next(i); s.slots[j].ref != 0; j = s.next(j) {
		if (j-s.home(s.slots[j].tag())+n)%n >= (j-i+n)%n {
			s.slots[i].ref = s.slots[j].ref
			s.slots[i].state.Store(s.slots[j].state.Load())
			i = j
		}
	}
	s.slots[i].ref = 0
	s.slots[i].state.Store(0)
}

// ghost returns where the tag of a record that left is noted.
func (s *shard) ghost(tag uint32) *uint32 {
	return &s.ghosts[uint64(tag)*uint64(len(s.ghosts))>>32]
}
