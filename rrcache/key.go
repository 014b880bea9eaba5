package rrcache

import (
	"crypto/rand"
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"cenote/dnsname"
)

// Key names an answer. Two keys that differ in any exported field have answers of their own.
type Key struct {
	Name  []byte // canonical wire form with its root byte, at most 255 octets
	Type  uint16
	Class uint16
	DO    bool // signatures were asked for
	CD    bool // what failed validation may be in the answer
	// Group is where the answer comes from, at most GroupMax: 0 is the default, others are those of Sources. What one of them said is never given as what another said.
	Group uint16

	// version is the record that Get or Peek last found by this key, so that Stamp cannot mark one that came after it. 0 is none.
	version uint32
}

// Reset makes k forget which record it found, so that Stamp does nothing until the next Get or Peek. It is for answers that come from
// somewhere else than the cache.
func (k *Key) Reset() { k.version = 0 }

// Bits of the octet of a record that holds the flags of its key.
const (
	keyDO = 1 << iota
	keyCD

	keyGroupShift = 2 // above are the high bits of the Group
	keyGroup      = 0xff &^ (keyDO | keyCD)
)

func (k *Key) flags() (f uint8) {
	if k.DO {
		f |= keyDO
	}
	if k.CD {
		f |= keyCD
	}
	return f | uint8(k.Group>>8)<<keyGroupShift
}

// valid reports whether the key can be one of a message: callers bring names of their own making, but a slip must not damage a record.
func (k *Key) valid() bool {
	return len(k.Name) > 0 && len(k.Name) <= dnsname.WireMax && k.Group <= GroupMax
}

// hasher turns keys into hashes that nobody outside the process can foresee, so that no set of names can be chosen to collide.
type hasher struct {
	seed    maphash.Seed
	secrets [2]uint64
}

func newHasher() hasher {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return hasher{
		seed:    maphash.MakeSeed(),
		secrets: [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])},
	}
}

func (h *hasher) sum(k *Key) uint64 {
	fields := uint64(k.Type)<<32 | uint64(k.Class)<<16 | uint64(uint8(k.Group))<<8 | uint64(k.flags())
	hi, lo := bits.Mul64(maphash.Bytes(h.seed, k.Name)^h.secrets[0], fields^h.secrets[1])
	return hi ^ lo
}
