package sighting

import (
	"encoding/binary"
	"math/bits"

	"cenote/prefetch"
)

// table counts events by (client, indicator, hour) in open addressing. It holds no pointers but those to its arrays, so
// that millions of pairs cost the garbage collector nothing. It is not safe for concurrent use.
type table struct {
	seed    uint64
	slots   places[uint64] // tag (upper half of the hash, which gives the place) above 1 + index into entries; 0 is free
	entries chunks[entry]
	arena   chunks[byte] // samples; offset 0 is not used
}

// entry is one pair in one hour. Its samples are a list in the arena, the latest first: each that comes, as time does, in order
// is put in front, and none is touched again.
type entry struct {
	client    [16]byte
	indicator uint32
	hour      uint32
	tally
	last     uint32 // microseconds in the hour
	sample   uint32 // offset of the latest sample
	sampleAt uint32 // its time
	lastPort uint16
	kept     uint8
}

const (
	entryBits = 12 // of an index within a part: 230 KB, which are made in tenths of a millisecond
	arenaBits = 18
)

func newTable(seed uint64) *table {
	t := &table{seed: seed, slots: newPlaces[uint64](), entries: newChunks[entry](entryBits), arena: newChunks[byte](arenaBits)}
	t.arena.room(1)
	return t
}

// reset empties t and keeps its memory.
func (t *table) reset() {
	for _, part := range t.slots.parts {
		clear(part[:])
	}
	t.entries.reset()
	t.arena.reset()
	t.arena.room(1)
}

// size is what t takes, in octets.
func (t *table) size() int { return t.content() + t.slots.size()*8 }

// content is how many octets of that are pairs and their samples.
func (t *table) content() int { return t.entries.len()*56 + t.arena.len() }

// pairs is how many pairs t holds.
func (t *table) pairs() int { return t.entries.len() }

// tag is what a pair is found by.
func (t *table) tag(client *[16]byte, indicator, hour uint32) uint64 {
	return pairHash(t.seed, client, indicator, hour) >> 32
}

// touch fetches where the pair of a tag is looked for first.
func (t *table) touch(tag uint64) { prefetch.Line(&t.slots.of(uint32(tag))[first(uint32(tag))]) }

// touchEntry fetches the entry that is found there, if there is one.
func (t *table) touchEntry(tag uint64) {
	if n := uint32(t.slots.of(uint32(tag))[first(uint32(tag))]); n != 0 {
		prefetch.Line(t.entries.at(n - 1))
	}
}

// upsert returns the entry of a pair; fresh says that it was made by this call. The pointer is valid until the next call.
func (t *table) upsert(tag uint64, client *[16]byte, indicator, hour uint32) (e *entry, fresh bool) {
	part := t.slots.of(uint32(tag))
	for i := first(uint32(tag)); ; i = next(i) {
		slot := part[i]
		if slot == 0 {
			return t.insert(tag, &part[i], client, indicator, hour), true
		}
		if slot>>32 != tag {
			continue
		}
		e = t.entries.at(uint32(slot) - 1)
		if e.indicator == indicator && e.hour == hour && e.client == *client {
			return e, false
		}
	}
}

// find returns the index of the entry of a pair, or -1.
func (t *table) find(tag uint64, client *[16]byte, indicator, hour uint32) int {
	part := t.slots.of(uint32(tag))
	for i := first(uint32(tag)); part[i] != 0; i = next(i) {
		if part[i]>>32 != tag {
			continue
		}
		e := t.entries.at(uint32(part[i]) - 1)
		if e.indicator == indicator && e.hour == hour && e.client == *client {
			return int(uint32(part[i]) - 1)
		}
	}
	return -1
}

func (t *table) insert(tag uint64, slot *uint64, client *[16]byte, indicator, hour uint32) *entry {
	e := t.entries.append(entry{client: *client, indicator: indicator, hour: hour})
	n := t.entries.len()
	*slot = tag<<32 | uint64(n)
	if t.slots.crowded(n) {
		t.slots.split(tagOf)
	}
	return e
}

// tagOf is the tag in a slot, which alone gives the place, so that no key is hashed again.
func tagOf(slot *uint64) (tag uint32, used bool) { return uint32(*slot >> 32), *slot != 0 }

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
	var samples [samplesMax]sample
	for i := range from.samples(o, &samples) {
		t.keep(e, &samples[i])
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
	r.last, r.lastPort, r.kept = e.last, e.lastPort, t.samples(e, &r.samples)
}

// samples reads the samples of e, the earliest first, and returns how many there are. The prefixes are slices of the arena.
func (t *table) samples(e *entry, to *[samplesMax]sample) int {
	off := e.sample
	for i := int(e.kept) - 1; i >= 0; i-- {
		off = t.read(off, &to[i])
	}
	return int(e.kept)
}

// first reads the earliest sample of e.
func (t *table) first(e *entry, s *sample) {
	for off := e.sample; off != 0; {
		off = t.read(off, s)
	}
}

// sampleHeader is what a sample takes in the arena in front of its prefix.
const sampleHeader = 16

// keep puts s among the samples of e if it is one of the earliest samplesMax.
func (t *table) keep(e *entry, s *sample) {
	if e.kept == samplesMax && s.at >= e.sampleAt {
		return
	}
	off := t.putSample(s)
	if e.kept == 0 || s.at >= e.sampleAt {
		t.link(off, e.sample)
		e.sample, e.sampleAt = off, s.at
	} else {
		t.sortIn(e, off, s.at)
	}
	if e.kept++; e.kept > samplesMax {
		e.sample = t.next(e.sample)
		e.sampleAt, e.kept = t.timeAt(e.sample), samplesMax
	}
}

func (t *table) putSample(s *sample) uint32 {
	off, h := t.arena.room(sampleHeader + len(s.prefix))
	copy(h[sampleHeader:], s.prefix)
	h = h[:sampleHeader]
	binary.LittleEndian.PutUint32(h[4:], s.at)
	binary.LittleEndian.PutUint16(h[8:], s.port)
	binary.LittleEndian.PutUint16(h[10:], s.qtype)
	h[12], h[13], h[14], h[15] = s.transport, s.stage, byte(s.flags), byte(len(s.prefix))
	return off
}

// read reads the sample at off and returns the offset of the one before it in time, 0 for none.
func (t *table) read(off uint32, s *sample) (next uint32) {
	h := t.arena.from(off)
	s.prefix = h[sampleHeader:][:h[15]:h[15]]
	h = h[:sampleHeader]
	s.at = binary.LittleEndian.Uint32(h[4:])
	s.port = binary.LittleEndian.Uint16(h[8:])
	s.qtype = binary.LittleEndian.Uint16(h[10:])
	s.transport, s.stage, s.flags = h[12], h[13], EventFlags(h[14])
	return binary.LittleEndian.Uint32(h)
}

func (t *table) next(off uint32) uint32   { return binary.LittleEndian.Uint32(t.arena.from(off)) }
func (t *table) timeAt(off uint32) uint32 { return binary.LittleEndian.Uint32(t.arena.from(off)[4:]) }
func (t *table) link(off, next uint32)    { binary.LittleEndian.PutUint32(t.arena.from(off), next) }

// sortIn links the sample at off, which is earlier than the latest one, into its place: behind those that are not later.
func (t *table) sortIn(e *entry, off, at uint32) {
	after := e.sample
	for next := t.next(after); next != 0 && t.timeAt(next) > at; next = t.next(after) {
		after = next
	}
	t.link(off, t.next(after))
	t.link(after, off)
}
