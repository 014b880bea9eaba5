package rrcache

const (
	// secondChancesMax bounds how many records one Put moves on instead of dropping them, and so how long it holds the lock.
	secondChancesMax = 32
	// reclaimMax bounds the records of no use that one record from the small ring may push out of the main one.
	reclaimMax = 8
	// promoteFrequency is how often a record must have been hit in the small ring to be moved to the main one. One hit is not enough:
	// a client that repeats its query looks the same.
	promoteFrequency = 2
)

// turn is one writer's turn in a shard, whose lock it holds.
type turn struct {
	*shard
	now      int64
	staleMax int64  // in ns
	spare    []byte // holds a record while the ring closes over it
	chances  int    // second chances left
}

// add stores rec, which is whole but for its version, under its tag. state is what the slot begins with.
func (t *turn) add(rec record, inMain bool, state uint64) {
	for t.live >= t.liveMax { // where answers are very short, the slots are full before the rings are
		if t.small.used() > t.small.size/2 {
			t.evictSmall()
		} else {
			t.evictMain()
		}
	}
	off := t.room(inMain, rec.size())
	copy(t.arena[off:], rec)
	t.insert(rec.tag(), off, state)
}

// room frees n octets in a ring and returns their place.
func (t *turn) room(inMain bool, n uint32) uint32 {
	if inMain {
		for !t.main.fits(n) {
			t.evictMain()
		}
		return t.main.take(t.arena, n)
	}
	for !t.small.fits(n) {
		t.evictSmall()
	}
	return t.small.take(t.arena, n)
}

// evictSmall takes the oldest record out of the small ring: into the main one if it was asked for again or nothing has to go for it
// there, else away, with its tag noted.
func (t *turn) evictSmall() {
	off := t.small.at(t.small.tail)
	r := t.record(off)
	t.small.tail += uint64(r.size())
	if r.dead() {
		return
	}
	i := t.slotAt(r.tag(), off)
	state := t.slots[i].state.Load()
	popular := state&stateFrequency >= promoteFrequency && t.chances > 0
	worth := t.useful(r) && (popular || t.mainIsFree(r.size()))
	t.remove(i)
	if !worth {
		*t.ghost(r.tag()) = r.tag()
		t.counts.evictions.Add(1)
		return
	}
	t.chances = max(t.chances-1, 0)
	// The record still lies in the small ring, which nothing is put into meanwhile.
	to := t.room(true, r.size())
	copy(t.arena[to:], r)
	t.revive(to, state&^stateFrequency) // what was asked for in the small ring alone has to prove itself
}

// mainIsFree reports whether there is room for one more record of n octets in the main ring, or is once a few of no use have gone.
func (t *turn) mainIsFree(n uint32) bool {
	if t.live >= t.liveMax {
		return false
	}
	for range reclaimMax {
		if t.main.fits(n) {
			return true
		}
		if r := t.record(t.main.at(t.main.tail)); !r.dead() && t.useful(r) {
			return false
		}
		t.dropMain()
	}
	return false
}

// evictMain takes the oldest record out of the main ring, or moves it to the young end if it was asked for since it was last seen here.
func (t *turn) evictMain() {
	off := t.main.at(t.main.tail)
	r := t.record(off)
	if r.dead() {
		t.main.tail += uint64(r.size())
		return
	}
	i := t.slotAt(r.tag(), off)
	state := t.slots[i].state.Load()
	if state&stateFrequency == 0 || t.chances == 0 || !t.useful(r) {
		t.dropMain()
		return
	}
	t.chances--
	n := r.size()
	saved := append(t.spare[:0], r...)
	t.spare = saved
	t.remove(i)
	t.main.tail += uint64(n)
	for !t.main.fits(n) { // only where the ring begins a new round
		t.dropMain()
	}
	to := t.main.take(t.arena, n)
	copy(t.arena[to:], saved)
	t.revive(to, state-frequencyOne)
}

// revive makes the copy of a removed record at off live again.
func (t *turn) revive(off uint32, state uint64) {
	r := t.record(off)
	r[4] &^= flagDead
	t.insert(r.tag(), off, state)
}

// dropMain takes the oldest record out of the main ring whatever it is.
func (t *turn) dropMain() {
	off := t.main.at(t.main.tail)
	r := t.record(off)
	t.main.tail += uint64(r.size())
	if r.dead() {
		return
	}
	t.remove(t.slotAt(r.tag(), off))
	t.counts.evictions.Add(1)
}

// useful reports whether a record could still be given to anybody.
func (t *turn) useful(r record) bool { return r.age(t.now) < r.usable(t.staleMax) }
