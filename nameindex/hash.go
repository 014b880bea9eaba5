package nameindex

import (
	"encoding/binary"
	"math/bits"
)

const seedLen = 16

// keys are the secret of one file's hash. They are drawn anew for each file, so that nobody who may add names to a feed can choose
// names that share a bucket. A match never rests on the hash, so 64 bits are plenty.
type keys struct {
	a, root uint64 // root is also the hash of the root name
	mask    uint64 // the bits of a hash that are used
}

func newKeys(seed [seedLen]byte, hashBits uint8) keys {
	return keys{
		a:    binary.LittleEndian.Uint64(seed[:8]),
		root: binary.LittleEndian.Uint64(seed[8:]),
		mask: ^uint64(0) << (64 - hashBits),
	}
}

// child returns the hash of label + parent from the hash of parent. label has its length octet, so that a name's labels cannot be
// divided in another way and still hash alike.
func (k *keys) child(parent uint64, label []byte) uint64 {
	n := len(label)
	switch {
	case n > 16:
		for i := 0; i < n-16; i += 16 {
			parent = fold(binary.LittleEndian.Uint64(label[i:])^k.a, binary.LittleEndian.Uint64(label[i+8:])^parent)
		}
		return fold(binary.LittleEndian.Uint64(label[n-16:])^k.a, binary.LittleEndian.Uint64(label[n-8:])^parent)
	case n >= 8:
		return fold(binary.LittleEndian.Uint64(label)^k.a, binary.LittleEndian.Uint64(label[n-8:])^parent)
	case n >= 4:
		return fold(uint64(binary.LittleEndian.Uint32(label))^k.a, uint64(binary.LittleEndian.Uint32(label[n-4:]))^parent)
	default:
		short := uint64(label[0]) | uint64(label[n>>1])<<8 | uint64(label[n-1])<<16
		return fold(short^k.a, parent)
	}
}

// name returns the hash of a whole name, given where its labels begin.
func (k *keys) name(name []byte, starts []uint8) uint64 {
	h, end := k.root, len(name)-1
	for i := len(starts) - 1; i >= 0; i-- {
		start := int(starts[i])
		h = k.child(h, name[start:end])
		end = start
	}
	return h
}

// place returns the bucket of the hash h, one of n, and its fingerprint there. Buckets ascend with hashes.
func (k *keys) place(h, n uint64) (bucket uint64, fingerprint uint8) {
	h &= k.mask
	bucket, _ = bits.Mul64(h, n)
	return bucket, max(uint8(h), 1) // 0 marks an empty place in the directory
}

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
