package blocklist

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// sieve tells quickly of most keys that a large table does not have them: it fits into a processor's cache where the table does not. A key that it lets
// through is looked for in the table.
type sieve struct {
	bits []uint64
	mask uint64
}

// newSieve makes room for n keys, at 16 to 32 bits each.
func newSieve(n int) sieve {
	size := uint64(64) << bits.Len64(uint64(n)>>2)
	return sieve{make([]uint64, size/64), size - 1}
}

// places are two bits for a key.
func (s *sieve) places(key []byte) (a, b uint64) {
	h := xxh3.Hash(key)
	return h & s.mask, h >> 32 & s.mask
}

func (s *sieve) add(key []byte) {
	a, b := s.places(key)
	s.bits[a/64] |= 1 << (a % 64)
	s.bits[b/64] |= 1 << (b % 64)
}

// may reports whether the key may be one that was added. A sieve that was not made has none.
func (s *sieve) may(key []byte) bool {
	if s.bits == nil {
		return false
	}
	a, b := s.places(key)
	return s.bits[a/64]>>(a%64)&1 != 0 && s.bits[b/64]>>(b%64)&1 != 0
}
