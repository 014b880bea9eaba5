package sighting

import (
	"encoding/binary"
	"math/bits"

	"cenote/hugepage"
	"cenote/prefetch"
)

// table counts events by (client, indicator, hour) in open addressing. It holds no pointers but those of its three arrays, so
// that millions of pairs cost the garbage collector nothing. It is not safe for concurrent use.
type table struct {
	seed    uint64
	slots   []uint64 // tag (upper half of the hash, which gives the place) above 1 + index into entries; 0 is free
	entries []entry
	arena   []byte // samples; offset 0 is not used
}

// entry is one pair in one hour. Its samples are a list in the arena, by time.
type entry struct {
	client    [16]byte
	indicator uint32
	hour      uint32
	tally
	last     uint32 // microseconds in the hour
	tailAt   uint32 // time of the last sample
	head     uint32 // offset of the first sample
	tail     uint32 // offset of the last
	lastPort uint16
	kept     uint8
}

const tableSlotsMin = 1 << 10

func newTable(seed uint64) *table {
	return &table{seed: seed, slots: make([]uint64, tableSlotsMin), arena: make([]byte, 1, 1<<12)}
}

// reset empties t and keeps its memory.
func (t *table) reset() {
	clear(t.slots)
	t.entries, t.arena = t.entries[:0], t.arena[:1]
}

// size is what t holds, in octets.
func (t *table) size() int { return len(t.entries)*64 + len(t.arena) + len(t.slots)*8 }

// upsert returns the entry of a pair; fresh says that it was made by this call. The pointer is valid until the next call.
func (t *table) upsert(client *[16]byte, indicator, hour uint32) (e *entry, fresh bool) {
	tag := pairHash(t.seed, client, indicator, hour) >> 32
	mask := uint64(len(t.slots) - 1)
	for i := tag & mask; ; i = (i + 1) & mask {
		slot := t.slots[i]
		if slot == 0 {
			return t.insert(tag, i, client, indicator, hour), true
		}
		if slot>>32 != tag {
			continue
		}
		e = &t.entries[uint32(slot)-1]
		if e.indicator == indicator && e.hour == hour && e.client == *client {
			return e, false
		}
	}
}

// find returns the index of the entry of a pair, or -1.
func (t *table) find(client *[16]byte, indicator, hour uint32) int {
	tag := pairHash(t.seed, client, indicator, hour) >> 32
	mask := uint64(len(t.slots) - 1)
	for i := tag & mask; t.slots[i] != 0; i = (i + 1) & mask {
		if t.slots[i]>>32 != tag {
			continue
		}
		e := &t.entries[uint32(t.slots[i])-1]
		if e.indicator == indicator && e.hour == hour && e.client == *client {
			return int(uint32(t.slots[i]) - 1)
		}
	}
	return -1
}

// warm fetches where the pairs of another table are, or would be, in this one.
func (t *table) warm(pairs []entry) {
	mask := uint64(len(t.slots) - 1)
	for i := range pairs {
		e := &pairs[i]
		prefetch.Line(&t.slots[pairHash(t.seed, &e.client, e.indicator, e.hour)>>32&mask])
	}
	for i := range pairs {
		e := &pairs[i]
		if n := uint32(t.slots[pairHash(t.seed, &e.client, e.indicator, e.hour)>>32&mask]); n != 0 {
			prefetch.Line(&t.entries[n-1])
		}
	}
}

func (t *table) insert(tag, slot uint64, client *[16]byte, indicator, hour uint32) *entry {
	t.entries = append(hugepage.Grow(t.entries), entry{client: *client, indicator: indicator, hour: hour})
	t.slots[slot] = tag<<32 | uint64(len(t.entries))
	if 4*len(t.entries) > 3*len(t.slots) {
		t.slots = regrow(t.slots, 2*len(t.slots))
	}
	return &t.entries[len(t.entries)-1]
}

// regrow copies slots of (tag, number) into an array of n. The tag alone gives the place, so that no key is hashed again: a
// large table grows in milliseconds, within what a ring can hold.
func regrow(slots []uint64, n int) []uint64 {
	grown, mask := hugepage.Make[uint64](n), uint64(n-1)
	for _, slot := range slots {
		if slot == 0 {
			continue
		}
		i := slot >> 32 & mask
		for grown[i] != 0 {
			i = (i + 1) & mask
		}
		grown[i] = slot
	}
	return grown
}

// pairHash is keyed, since clients choose their addresses when they forge them.
func pairHash(seed uint64, client *[16]byte, indicator, hour uint32) uint64 {
	a, b := binary.LittleEndian.Uint64(client[:8]), binary.LittleEndian.Uint64(client[8:])
	hi, lo := bits.Mul64(a^seed, b^0x9e3779b97f4a7c15)
	hi, lo = bits.Mul64(hi^lo^seed, (uint64(indicator)<<32|uint64(hour))^0xd6e8feb86659fd93)
	return hi ^ lo
}

// note adds one event to e.
func (t *table) note(e *entry, s *sample) {
	e.count++
	if s.flags&EventEnforced != 0 {
		e.enforced++
	}
	if s.flags&EventVerified != 0 {
		e.verified++
	}
	if s.flags&EventStale != 0 {
		e.stale++
	}
	if s.at > e.last || e.count == 1 || s.at == e.last && s.port > e.lastPort {
		e.last, e.lastPort = s.at, s.port
	}
	t.keep(e, s)
}

// merge adds an entry of another table to e.
func (t *table) merge(e *entry, from *table, o *entry) {
	if o.last > e.last || e.count == 0 || o.last == e.last && o.lastPort > e.lastPort {
		e.last, e.lastPort = o.last, o.lastPort
	}
	e.tally.add(o.tally)
	var s sample
	for off := o.head; off != 0; {
		off = from.sampleAt(off, &s)
		t.keep(e, &s)
	}
}

// mergeRow adds a row to e.
func (t *table) mergeRow(e *entry, r *row) {
	if r.last > e.last || e.count == 0 || r.last == e.last && r.lastPort > e.lastPort {
		e.last, e.lastPort = r.last, r.lastPort
	}
	e.tally.add(r.tally)
	for i := range r.kept {
		t.keep(e, &r.samples[i])
	}
}

// row copies e into r. The prefixes are slices of the arena.
func (t *table) row(e *entry, r *row) {
	r.client, r.hour, r.indicator, r.tally = e.client, e.hour, e.indicator, e.tally
	r.last, r.lastPort, r.kept = e.last, e.lastPort, 0
	for off := e.head; off != 0; r.kept++ {
		off = t.sampleAt(off, &r.samples[r.kept])
	}
}

// sampleHeader is what a sample takes in the arena in front of its prefix.
const sampleHeader = 16

// keep puts s among the samples of e if it is one of the earliest samplesMax.
func (t *table) keep(e *entry, s *sample) {
	if e.kept == samplesMax && s.at >= e.tailAt {
		return
	}
	off := t.putSample(s)
	switch {
	case e.kept == 0:
		e.head, e.tail, e.tailAt = off, off, s.at
	case s.at >= e.tailAt:
		t.link(e.tail, off)
		e.tail, e.tailAt = off, s.at
	default:
		t.sortIn(e, off, s.at)
	}
	if e.kept++; e.kept > samplesMax {
		t.dropTail(e)
	}
}

func (t *table) putSample(s *sample) uint32 {
	off := uint32(len(t.arena))
	var h [sampleHeader]byte
	binary.LittleEndian.PutUint32(h[4:], s.at)
	binary.LittleEndian.PutUint16(h[8:], s.port)
	binary.LittleEndian.PutUint16(h[10:], s.qtype)
	h[12], h[13], h[14], h[15] = s.transport, s.stage, byte(s.flags), byte(len(s.prefix))
	t.arena = append(append(t.arena, h[:]...), s.prefix...)
	return off
}

// sampleAt reads the sample at off and returns the offset of the next, 0 for none.
func (t *table) sampleAt(off uint32, s *sample) (next uint32) {
	h := t.arena[off:][:sampleHeader:sampleHeader]
	s.at = binary.LittleEndian.Uint32(h[4:])
	s.port = binary.LittleEndian.Uint16(h[8:])
	s.qtype = binary.LittleEndian.Uint16(h[10:])
	s.transport, s.stage, s.flags = h[12], h[13], EventFlags(h[14])
	from, to := off+sampleHeader, off+sampleHeader+uint32(h[15])
	s.prefix = t.arena[from:to:to]
	return binary.LittleEndian.Uint32(h)
}

func (t *table) next(off uint32) uint32   { return binary.LittleEndian.Uint32(t.arena[off:]) }
func (t *table) timeAt(off uint32) uint32 { return binary.LittleEndian.Uint32(t.arena[off+4:]) }
func (t *table) link(off, next uint32)    { binary.LittleEndian.PutUint32(t.arena[off:], next) }

// sortIn links the sample at off, which is earlier than the last one, into its place.
func (t *table) sortIn(e *entry, off, at uint32) {
	if t.timeAt(e.head) > at {
		t.link(off, e.head)
		e.head = off
		return
	}
	before := e.head
	for t.timeAt(t.next(before)) <= at {
		before = t.next(before)
	}
	t.link(off, t.next(before))
	t.link(before, off)
}

func (t *table) dropTail(e *entry) {
	off := e.head
	for range samplesMax - 1 {
		off = t.next(off)
	}
	t.link(off, 0)
	e.tail, e.tailAt, e.kept = off, t.timeAt(off), samplesMax
}
