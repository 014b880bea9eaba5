package sighting

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"cenote/prefetch"

	"github.com/zeebo/xxh3"
)

func appendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// dictionary numbers the indicators that events name, so that tables hold four octets for one. An indicator here is one
// (generation, set, member, zone, name, action, trigger): cheap to look up, and resolved only once. The same indicator
// in another generation has another number; canon brings them together when they are written.
//
// Numbers run on over all dictionaries of a Store: base is the number of record 0. A dictionary that has grown large
// is replaced by an empty one, and is garbage when the tables that were filled beside it have been written.
//
// It is guarded by Store.mu, except that records below resolved, their names and places never change, so that a snapshot
// taken under the lock may be read without it.
type dictionary struct {
	base     uint32
	seed     uint64
	secrets  [4]uint64
	slots    places[termSlot]
	records  chunks[record]
	names    chunks[byte]
	places   chunks[byte]
	resolved int // records below have their place
	rules    map[memberKey]uint32
	canon    canon // owned by the writer
}

// termSlot is a place in the dictionary's hash table. Terms are told apart by 96 bits of a keyed hash, so that a look costs the wait for one
// cache line and not for three: two of millions are taken for one once in some 10^16 dictionaries, and nobody can provoke it
// without the key, which is drawn anew for each.
type termSlot struct {
	key    termKey
	record uint32 // 1 + index into records; 0 is free
}

// termKey stands for a term; see termSlot.
type termKey struct{ a, b, c uint32 }

// record is one indicator. It holds no pointers.
type record struct {
	memberKey
	rule     uint32 // number in the ruleBook
	name     uint32 // offset in names
	place    uint32 // offset in places
	family   uint32 // number of the record that counts by family in this one's stead; 0 if there is none yet
	defined  uint32 // number of the journal segment that last defined it
	placeLen uint16
	nameLen  uint8
	labels   uint8 // of the name
	action   uint8
	trigger  uint8
	byFamily bool
}

// memberKey is a member of a set as events name it.
type memberKey struct {
	generation uint64
	set        uint32
	member     uint16
	zone       uint16
}

func newDictionary(base uint32) *dictionary {
	secrets := [4]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()}
	return &dictionary{
		base: base, seed: rand.Uint64(), secrets: secrets, slots: newPlaces[termSlot](), rules: map[memberKey]uint32{},
		records: newChunks[record](recordBits), names: newChunks[byte](nameBits), places: newChunks[byte](nameBits),
	}
}

func (d *dictionary) at(number uint32) *record { return d.records.at(number - d.base) }

func (d *dictionary) nameOf(r *record) []byte {
	return octetsAt(&d.names, r.name, int(r.nameLen))
}

func (d *dictionary) placeOf(r *record) []byte {
	return octetsAt(&d.places, r.place, int(r.placeLen))
}

// next is the number that the next record will have.
func (d *dictionary) next() uint32 { return d.base + uint32(d.records.len()) }

// size is what d holds, in octets.
func (d *dictionary) size() int {
	return d.records.len()*56 + d.slots.size()*16 + d.names.len() + d.places.len()
}

// term is an indicator as an event names it; name is the listed name in wire form, empty for a count by family.
type term struct {
	memberKey
	labels, action, trigger uint8
	name                    []byte
}

func termOf(e *Event, listed int) term {
	return term{
		memberKey: memberKey{generation: e.Generation, set: e.Set, member: e.Member, zone: e.Zone},
		labels:    e.Labels, action: e.Action, trigger: e.Trigger,
		name: e.Name[listed:e.NameLen],
	}
}

// listedAt is the offset in e.Name of the listed name, its last e.Labels labels.
func listedAt(e *Event) int {
	name := e.Name[:e.NameLen]
	skip := -int(e.Labels)
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		skip++
	}
	i := 0
	for ; skip > 0 && i < len(name); skip-- {
		i += 1 + int(name[i])
	}
	return min(i, len(name))
}

// key returns the key of t in d: the name's hash and the other fields, multiplied with secrets.
func (d *dictionary) key(t *term) termKey {
	sum := xxh3.Hash128Seed(t.name, d.seed)
	member := uint64(t.set)<<32 | uint64(t.member)<<16 | uint64(t.zone)
	rest := t.generation<<24 ^ uint64(t.labels)<<16 ^ uint64(t.action)<<8 ^ uint64(t.trigger)
	lo := folded(sum.Lo^member^d.secrets[0], rest^d.secrets[1])
	hi := folded(sum.Hi^rest^d.secrets[2], member^sum.Lo^d.secrets[3])
	return termKey{uint32(lo >> 32), uint32(lo), uint32(hi)}
}

func folded(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// touch fetches where the table holds k, or would hold it first.
func (d *dictionary) touch(k termKey) { prefetch.Line(&d.slots.of(k.a)[first(k.a)]) }

// intern returns the number of a term whose key is given; fresh says that the record was made by this call and has no rule yet.
func (d *dictionary) intern(t *term, k termKey) (number uint32, fresh bool) {
	part := d.slots.of(k.a)
	for i := first(k.a); ; i = next(i) {
		switch s := &part[i]; {
		case s.record == 0:
			return d.insert(k, s, t), true
		case s.key == k:
			return d.base + s.record - 1, false
		}
	}
}

func (d *dictionary) insert(k termKey, slot *termSlot, t *term) uint32 {
	n := uint32(d.records.len())
	d.records.append(record{
		memberKey: t.memberKey, name: addOctets(&d.names, t.name), nameLen: uint8(len(t.name)),
		labels: t.labels, action: t.action, trigger: t.trigger, byFamily: len(t.name) == 0,
	})
	*slot = termSlot{k, n + 1}
	if d.slots.crowded(d.records.len()) {
		d.slots.split(func(s *termSlot) (uint32, bool) { return s.key.a, s.record != 0 })
	}
	return d.base + n
}

func (d *dictionary) term(r *record) term {
	return term{memberKey: r.memberKey, labels: r.labels, action: r.action, trigger: r.trigger, name: d.nameOf(r)}
}

// setPlace gives the record that is next to be resolved its place.
func (d *dictionary) setPlace(p []byte) {
	r := d.records.at(uint32(d.resolved))
	r.place, r.placeLen = addOctets(&d.places, p), uint16(len(p))
	d.resolved++
}

// addOctets appends b and returns its offset, and octetsAt returns the n octets at an offset. Nothing has an offset, too.
func addOctets(to *chunks[byte], b []byte) uint32 {
	if len(b) == 0 {
		return 0
	}
	off, room := to.room(len(b))
	copy(room, b)
	return off
}

func octetsAt(from *chunks[byte], off uint32, n int) []byte {
	if n == 0 {
		return nil
	}
	return from.from(off)[:n:n]
}

// What indexes of records, and offsets in names and places, are cut into by parts: some hundred kilobytes, which are made in tenths of a millisecond.
const (
	recordBits = 12
	nameBits   = 18
)

// canon finds for each record the first one that stands for the same indicator at the same place with the same action:
// what generations tell apart and the ledger does not. It is used by the writer alone, on a copy of the dictionary.
type canon struct {
	first []uint32 // by index of record
	slots []uint32 // 1 + index of record
	used  int
}

// extend brings c up to the first n records of d.
func (c *canon) extend(d *dictionary, n int) {
	for i := len(c.first); i < n; i++ {
		if 2*c.used >= len(c.slots) {
			c.grow(d)
		}
		at := c.probe(d, uint32(i))
		if c.slots[at] == 0 {
			c.slots[at] = uint32(i + 1)
			c.used++
		}
		c.first = append(c.first, c.slots[at]-1)
	}
}

// probe returns the slot that holds an equal of record i, or a free one.
func (c *canon) probe(d *dictionary, i uint32) uint64 {
	r := d.records.at(i)
	mask := uint64(len(c.slots) - 1)
	at := contentHash(d, r) & mask
	for c.slots[at] != 0 && !sameContent(d, r, d.records.at(c.slots[at]-1)) {
		at = (at + 1) & mask
	}
	return at
}

func (c *canon) grow(d *dictionary) {
	c.slots = make([]uint32, max(1<<10, 4*len(c.slots)))
	for i, first := range c.first {
		if uint32(i) == first {
			c.slots[c.probe(d, first)] = first + 1
		}
	}
}

func contentHash(d *dictionary, r *record) uint64 {
	h := xxh3.HashSeed(d.placeOf(r), d.seed^uint64(r.rule)<<16^uint64(r.action)<<8^uint64(r.trigger))
	return xxh3.HashSeed(d.nameOf(r), h)
}

func sameContent(d *dictionary, a, b *record) bool {
	return a.rule == b.rule && a.action == b.action && a.trigger == b.trigger &&
		string(d.nameOf(a)) == string(d.nameOf(b)) && string(d.placeOf(a)) == string(d.placeOf(b))
}
