package sighting

import "cenote/prefetch"

// fingerprints is a set of keyed 64-bit hashes with a number each. Two keys with one hash are taken for one; the
// hash is keyed and 64 bits wide, so that this is a matter of one in 10^12 and nobody can provoke it.
//
// It is not safe for concurrent use.
type fingerprints struct {
	slots places[fingerprint]
	used  int
	freed int // by forget since the last shrink: parts that it was not called for are as full as if these were there
	max   int
}

// fingerprint is a hash and its number. A half of the hash is never 0 but in a free slot.
type fingerprint struct{ high, low, value uint32 }

func newFingerprints(max int) *fingerprints {
	return &fingerprints{slots: newPlaces[fingerprint](), max: max}
}

// halves cuts a hash in two. The high half gives the place.
func halves(hash uint64) (high, low uint32) { return uint32(hash >> 32), uint32(hash) | 1 }

// place is the high half of the hash in a slot.
func (s *fingerprint) place() (high uint32, used bool) { return s.high, s.low != 0 }

// get returns the place of the number of a hash, good until the next call; fresh says that it was made by this call. It returns nil if the set is full.
func (f *fingerprints) get(hash uint64) (value *uint32, fresh bool) {
	if f.slots.crowded(f.used + f.freed + 1) {
		f.slots.split((*fingerprint).place)
	}
	high, low := halves(hash)
	part := f.slots.of(high)
	i := first(high)
	for ; part[i].low != 0; i = next(i) {
		if s := &part[i]; s.high == high && s.low == low {
			return &s.value, false
		}
	}
	if f.used >= f.max {
		return nil, false
	}
	f.used++
	part[i] = fingerprint{high: high, low: low}
	return &part[i].value, true
}

// touch fetches where a hash is, or would be.
func (f *fingerprints) touch(hash uint64) {
	high, _ := halves(hash)
	prefetch.Line(&f.slots.of(high)[first(high)])
}

// parts is how many parts the set has: forget is called for one at a time, shrink when it was for all.
func (f *fingerprints) parts() int { return len(f.slots.parts) }

// forget frees the hashes of one part whose number is below least.
func (f *fingerprints) forget(part int, least uint32) {
	slots, before := f.slots.parts[part], f.used
	for i := range slots {
		if s := &slots[i]; s.low != 0 && s.value < least {
			*s = fingerprint{}
			f.used--
		}
	}
	if f.used < before {
		f.freed += before - f.used
		f.slots.tidy(part, (*fingerprint).place)
	}
}

// shrink gives back the memory of one part, if that many are not needed. It reports whether it did.
func (f *fingerprints) shrink() bool {
	f.freed = 0
	if !f.slots.sparse(f.used) {
		return false
	}
	f.slots.join((*fingerprint).place)
	return true
}
