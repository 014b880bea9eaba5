package sighting

import "cenote/prefetch"

// fingerprints is a set of keyed 64-bit hashes with a number each, in segments, so that growth never takes longer than a
// ring can hold: a set of millions grows a few thousand places at a time. Two keys with one hash are taken for one; the
// hash is keyed and 64 bits wide, so that this is a matter of one in 10^12 and nobody can provoke it.
//
// It is not safe for concurrent use.
type fingerprints struct {
	segments [fingerprintSegments]fingerprintSegment
	used     int
	max      int
}

type fingerprintSegment struct {
	keys   []uint64 // 0 is free
	values []uint32
	used   int
}

const (
	fingerprintSegments   = 256
	fingerprintSegmentMin = 16
)

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

// forget frees the hashes of one segment whose number is below least, and the memory that is not needed without them.
func (f *fingerprints) forget(segment int, least uint32) {
	s := &f.segments[segment]
	stays := 0
	for i, k := range s.keys {
		if k != 0 && s.values[i] >= least {
			stays++
		}
	}
	if stays == s.used {
		return
	}
	f.used -= s.used - stays
	places := fingerprintSegmentMin
	for 4*(stays+1) > 3*places {
		places *= 2
	}
	s.rebuild(places, least)
}

func (s *fingerprintSegment) grow() { s.rebuild(max(fingerprintSegmentMin, 2*len(s.keys)), 0) }

// rebuild moves what has a number of least or above to so many places, a power of two.
func (s *fingerprintSegment) rebuild(places int, least uint32) {
	keys, values := s.keys, s.values
	s.keys, s.values, s.used = make([]uint64, places), make([]uint32, places), 0
	for i, k := range keys {
		if k != 0 && values[i] >= least {
			at := s.probe(k)
			s.keys[at], s.values[at] = k, values[i]
			s.used++
		}
	}
}
