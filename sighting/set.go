package sighting

import "cenote/prefetch"

// fingerprints is a set of keyed 64-bit hashes with a number each, in segments, so that growth never takes longer than a
// ring can hold: a set of millions grows a few thousand places at a time. Two keys with one hash are taken for one; the
// hash is keyed and 64 bits wide, so that this is a matter of one in 10^12 and nobody can provoke it.
//
// It is not safe for concurrent use.
type fingerprints struct {
	segments [256]fingerprintSegment
	used     int
	max      int
}

type fingerprintSegment struct {
	keys   []uint64 // 0 is free
	values []uint32
	used   int
}

const fingerprintSegmentMin = 16

func newFingerprints(max int) *fingerprints { return &fingerprints{max: max} }

// get returns the place of the number of a hash; fresh says that it was made by this call. It returns nil if the set is full.
func (f *fingerprints) get(hash uint64) (value *uint32, fresh bool) {
	hash |= 1 // 0 marks a free place
	s := &f.segments[hash>>56]
	if 4*(s.used+1) > 3*len(s.keys) {
		s.grow()
	}
	i := s.probe(hash)
	if s.keys[i] == hash {
		return &s.values[i], false
	}
	if f.used >= f.max {
		return nil, false
	}
	s.keys[i] = hash
	s.used++
	f.used++
	return &s.values[i], true
}

// touch fetches where a hash is, or would be.
func (f *fingerprints) touch(hash uint64) {
	hash |= 1
	s := &f.segments[hash>>56]
	if len(s.keys) > 0 {
		i := hash >> 1 & uint64(len(s.keys)-1)
		prefetch.Line(&s.keys[i])
		prefetch.Line(&s.values[i])
	}
}

func (s *fingerprintSegment) probe(hash uint64) uint64 {
	mask := uint64(len(s.keys) - 1)
	i := hash >> 1 & mask
	for s.keys[i] != 0 && s.keys[i] != hash {
		i = (i + 1) & mask
	}
	return i
}

func (s *fingerprintSegment) grow() {
	keys, values := s.keys, s.values
	n := max(fingerprintSegmentMin, 2*len(keys))
	s.keys, s.values = make([]uint64, n), make([]uint32, n)
	for i, k := range keys {
		if k != 0 {
			at := s.probe(k)
			s.keys[at], s.values[at] = k, values[i]
		}
	}
}
