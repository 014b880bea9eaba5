package rrcache

import (
	"encoding/binary"
	"math"
	"time"

	"cenote/wire"
)

// record is an answer as it lies in a ring:
//
//	 0  size     uint32   of the record with its padding, a multiple of 8
//	 4  flags    uint8    flagDead, flagFailure
//	 5  key      uint8    keyDO, keyCD, and the high bits of the group
//	 6  group    uint8    its low bits
//	 7  name     uint8    length of the name in the question
//	 8  tag      uint32   the part of the hash that its slot holds
//	12  version  uint32   counts the writes of the shard; see Key.version
//	16  stored   int64    when it was put, in ns since 1970
//	24  ttl      uint32   how long it is fresh, in s: the smallest TTL of its records
//	28  held     uint32   how long after stored it is to be given stale without a new try, in s
//	32  length   uint16   of the message
//	34  ttls     uint16   how many TTLs the message has
//	36  where each TTL lies in the message, uint16 each, then the message
//
// The name, type and class of its key are those of the message's question. Integers are little-endian; the message is as on the wire.
// A filler at the end of a ring has the first eight octets alone.
type record []byte

const (
	recordHeader = 36
	recordAlign  = 8 // also the size of the smallest filler
)

// Flags of a record.
const (
	flagDead    = 1 << iota // replaced, flushed or a filler: its octets are free once the tail of the ring gets there
	flagFailure             // RFC 9520: never given stale
)

func (r record) size() uint32    { return binary.LittleEndian.Uint32(r) }
func (r record) dead() bool      { return r[4]&flagDead != 0 }
func (r record) failure() bool   { return r[4]&flagFailure != 0 }
func (r record) kill()           { r[4] |= flagDead }
func (r record) nameLen() int    { return int(r[7]) }
func (r record) tag() uint32     { return binary.LittleEndian.Uint32(r[8:]) }
func (r record) version() uint32 { return binary.LittleEndian.Uint32(r[12:]) }
func (r record) stored() int64   { return int64(binary.LittleEndian.Uint64(r[16:])) }
func (r record) ttl() uint32     { return binary.LittleEndian.Uint32(r[24:]) }
func (r record) length() int     { return int(binary.LittleEndian.Uint16(r[32:])) }
func (r record) ttls() int       { return int(binary.LittleEndian.Uint16(r[34:])) }

func (r record) setSize(n uint32)    { binary.LittleEndian.PutUint32(r, n) }
func (r record) setVersion(v uint32) { binary.LittleEndian.PutUint32(r[12:], v) }

// ttlOffset returns where the i-th TTL lies in the message.
func (r record) ttlOffset(i int) int {
	return int(binary.LittleEndian.Uint16(r[recordHeader+2*i:]))
}

// message returns the response as it was kept: id 0, TTLs as they were at stored.
func (r record) message() []byte {
	start := recordHeader + 2*r.ttls()
	return r[start : start+r.length()]
}

// name returns the canonical name of the question.
func (r record) name() []byte {
	return r.message()[wire.HeaderLen : wire.HeaderLen+r.nameLen()]
}

// key returns the key that the record answers. Its name is that of the record.
func (r record) key() *Key {
	question := r.message()[wire.HeaderLen+r.nameLen():]
	return &Key{
		Name: r.name(), Type: binary.BigEndian.Uint16(question), Class: binary.BigEndian.Uint16(question[2:]),
		DO: r[5]&keyDO != 0, CD: r[5]&keyCD != 0, Group: r.group(),
	}
}

// is reports whether k is the record's key.
func (r record) is(k *Key) bool {
	if r[5] != k.flags() || r[6] != uint8(k.Group) || r.nameLen() != len(k.Name) {
		return false
	}
	question := r.message()[wire.HeaderLen:]
	n := len(k.Name)
	return string(question[:n]) == string(k.Name) &&
		binary.BigEndian.Uint16(question[n:]) == k.Type && binary.BigEndian.Uint16(question[n+2:]) == k.Class
}

// skewMax is how far the clocks of two callers may be apart. A record from further ahead was stored before the clock was set back.
const skewMax = int64(time.Minute)

// age returns for how many ns the record has been there. A clock that was set back makes it new within skewMax; from then on nobody can
// tell how old it is, and it counts as too old for everything.
func (r record) age(now int64) int64 {
	age := now - r.stored()
	if age < -skewMax {
		return math.MaxInt64
	}
	return max(0, age)
}

// lifetime returns for how many ns the record is fresh.
func (r record) lifetime() int64 { return int64(r.ttl()) * int64(time.Second) }

// usable returns for how many ns the record may be given, fresh or stale.
func (r record) usable(staleMax int64) int64 {
	if r.failure() {
		return r.lifetime()
	}
	return r.lifetime() + staleMax
}

// hold notes that a try to refresh the record failed at now, so that it is given stale without another one for a while.
func (r record) hold(now int64, forNS int64) {
	seconds := (r.age(now) + forNS) / int64(time.Second)
	binary.LittleEndian.PutUint32(r[28:], uint32(min(seconds, 1<<32-1)))
}

func (r record) held(now int64) bool {
	return r.age(now) < int64(binary.LittleEndian.Uint32(r[28:]))*int64(time.Second)
}

// copyTo writes the message to dst with its TTLs less by seconds.
func (r record) copyTo(dst []byte, seconds uint32) {
	copy(dst, r.message())
	for i := range r.ttls() {
		field := dst[r.ttlOffset(i):]
		binary.BigEndian.PutUint32(field, binary.BigEndian.Uint32(field)-seconds)
	}
}

// copyStale writes the message to dst with every TTL set to ttl.
func (r record) copyStale(dst []byte, ttl uint32) {
	copy(dst, r.message())
	for i := range r.ttls() {
		binary.BigEndian.PutUint32(dst[r.ttlOffset(i):], ttl)
	}
}
