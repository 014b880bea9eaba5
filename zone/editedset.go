package zone

import (
	"bytes"

	"cenote/dnsname"
)

// editedSet is a set of records while an update changes it. What a change costs does not depend on how many records there are.
type editedSet struct {
	rtype uint16
	was   []Record // as the zone has it
	ttl   uint32   // of all records now (RFC 2181 section 5.2)
	live  int      // how many there are now

	slots  []slot         // those of was first; nil before the first change, while all of was is there
	places map[string]int // the last slot of each identity
}

// slot is a place of a record that is there, or was.
type slot struct {
	data   []byte
	gone   bool
	before int // the slot before of the same identity; -1: there is none
}

func newEditedSet(rtype uint16, was []Record) *editedSet {
	s := &editedSet{rtype: rtype, was: was, live: len(was)}
	if len(was) > 0 {
		s.ttl = was[0].TTL
	}
	return s
}

// open makes the places of records, before the first change.
func (s *editedSet) open() {
	if s.places != nil {
		return
	}
	s.places = make(map[string]int, len(s.was))
	s.slots = make([]slot, 0, len(s.was))
	for i := range s.was {
		s.append(s.was[i].Data)
	}
}

func (s *editedSet) append(data []byte) {
	id := identity(s.rtype, data)
	before, known := s.places[id]
	if !known {
		before = -1
	}
	s.places[id] = len(s.slots)
	s.slots = append(s.slots, slot{data: data, before: before})
}

// last is the last slot of the records that count as the same as one with these data; -1: there are none.
func (s *editedSet) last(data []byte) int {
	s.open()
	if at, known := s.places[identity(s.rtype, data)]; known {
		return at
	}
	return -1
}

// add adds a record, or puts it in the place of those that count as the same, and gives all the TTL.
func (s *editedSet) add(ttl uint32, data []byte) {
	last, same := s.last(data), -1
	for at := last; at >= 0; at = s.slots[at].before {
		if bytes.Equal(s.slots[at].data, data) {
			same = at
		}
	}
	if same >= 0 && !s.slots[same].gone && s.ttl == ttl {
		return // it is there
	}
	s.removeAll(last)
	if s.ttl = ttl; same >= 0 {
		s.slots[same].gone = false
	} else {
		s.append(data)
	}
	s.live++
}

// remove removes the records that count as the same as one with these data.
func (s *editedSet) remove(data []byte) { s.removeAll(s.last(data)) }

func (s *editedSet) removeAll(last int) {
	for at := last; at >= 0; at = s.slots[at].before {
		if !s.slots[at].gone {
			s.slots[at].gone = true
			s.live--
		}
	}
}

// others is how many records there are beside those that count as the same as one with these data.
func (s *editedSet) others(data []byte) int {
	n := s.live
	for at := s.last(data); at >= 0; at = s.slots[at].before {
		if !s.slots[at].gone {
			n--
		}
	}
	return n
}

// clear removes all records.
func (s *editedSet) clear() {
	s.open()
	for i := range s.slots {
		s.slots[i].gone = true
	}
	s.live = 0
}

// first is the first record; there is one.
func (s *editedSet) first() []byte {
	if s.places == nil {
		return s.was[0].Data
	}
	at := 0
	for s.slots[at].gone {
		at++
	}
	return s.slots[at].data
}

// has reports whether the set has these data and no others, TTLs aside (RFC 2136 section 3.2.3). Names in them compare without letter case.
func (s *editedSet) has(want [][]byte) bool {
	ids := make(map[string]bool, len(want))
	for _, data := range want {
		if ids[identity(s.rtype, data)] = true; s.others(data) == s.live {
			return false
		}
	}
	for i := range s.slots {
		if !s.slots[i].gone && !ids[identity(s.rtype, s.slots[i].data)] {
			return false
		}
	}
	return s.live > 0
}

// gather adds what made the set another to a difference.
func (s *editedSet) gather(owner dnsname.Name, d *Diff) {
	if s.places == nil {
		return
	}
	another := len(s.was) > 0 && s.was[0].TTL != s.ttl
	for i := range s.slots {
		at := &s.slots[i]
		if old := i < len(s.was); old && (at.gone || another) {
			d.Removed = append(d.Removed, s.was[i])
		} else if old || at.gone {
			continue
		}
		if !at.gone {
			d.Added = append(d.Added, Record{Owner: owner, Type: s.rtype, TTL: s.ttl, Data: at.data})
		}
	}
}

// identity stands for the data of a record: those count as the same that have one. The names in the types of RFC 1035 have no letter case.
func identity(rtype uint16, data []byte) string {
	fixed, names := compressible(rtype)
	if names == 0 || len(data) < fixed {
		return string(data)
	}
	out := bytes.Clone(data)
	for rest := out[fixed:]; names > 0; names-- {
		n, _, err := dnsname.Check(rest)
		if err != nil {
			return string(data)
		}
		dnsname.Lower(rest[:n], rest[:n])
		rest = rest[n:]
	}
	return string(out)
}
