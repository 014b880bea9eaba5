package zone

import (
	"encoding/binary"

	"cenote/dnsname"
	"cenote/wire"
)

// typesNoData is the types of the NSEC record of a name without data (RFC 9824 section 3), as a bitmap (RFC 4034 section 4.1.2); wire.TypesNoName is those of a name that is not there.
const typesNoData = "\x00\x06\x00\x00\x00\x00\x00\x03"

// types are those of a name, with RRSIG and NSEC, as its NSEC record of the zone's chain has them; empty non-terminals have none.
func (s *search) types(n node) []byte {
	if set, ok := s.z.set(n, wire.TypeNSEC); ok {
		data := set.first()
		if size, _, err := dnsname.Check(data); err == nil {
			return data[size:]
		}
	}
	return noData[:]
}

// noData and noName are the constants as octets, so that no answer allocates them.
var noData, noName = []byte(typesNoData), []byte(wire.TypesNoName)

// wish is a set of a name for which a search wants signatures that are made on line. The search ends as though it had them, and is made again when it does: what
// can sign is kept apart from it, so that a search takes no memory but the stack.
type wish struct {
	made  bool // the search has been told what came of it
	size  int  // of the name, which is the end of the search's; 0: there is no wish
	rtype uint16
	ttl   uint32
	data  []byte // the records, as in a set; of an NSEC record the types
	sigs  []byte // likewise
	count int    // of sigs; 0: there are none to be had
}

// online returns signatures that are made on line. false says that there are none to be had.
func (s *search) online(name []byte, rtype uint16, ttl uint32, data []byte) (sigs []byte, count int, ok bool) {
	if s.wish.made {
		return s.wish.sigs, s.wish.count, s.wish.count > 0
	}
	s.wish = wish{size: len(name), rtype: rtype, ttl: ttl, data: data}
	return nil, 0, true
}

// compact writes the NSEC record of a name with its types, whose range holds no other name: the next is the first that could be below it. It returns false if
// it cannot be signed, and then has written nothing: the zone's chain proves all as well.
func (s *search) compact(section int, name, types []byte) bool {
	if !s.compacts || len(name)+2 > dnsname.WireMax || len(types) > onlineTypesMax {
		return false
	}
	ttl, sigs, count := s.z.minimum, []byte(nil), 0
	if s.m.do {
		var ok bool
		if sigs, count, ok = s.online(name, wire.TypeNSEC, ttl, types); !ok {
			return false
		}
	}
	var room compactRecord
	record := room.of(name, types)
	s.m.record(section, name, wire.TypeNSEC, ttl, record[2:])
	s.m.signatures(section, name, count, sigs, ttl)
	return true
}

// compactRecord is room for an NSEC record as in a set.
type compactRecord [4 + dnsname.WireMax + onlineTypesMax]byte

// of writes the record of a name with its types.
func (r *compactRecord) of(name, types []byte) []byte {
	out := append(append(append(r[:2], 1, 0), name...), types...)
	binary.BigEndian.PutUint16(out, uint16(len(out)-2))
	return out
}

// put writes a set of a node into the answer, or its signatures alone. If the node is an asterisk that stands for the name, and the zone denies compactly, they
// are made for that name, as though the set were there (RFC 9824 section 3.3).
func (s *search) put(set *set, alone bool) {
	sigs, count := set.signatures(), set.sigs
	if s.wild {
		made, n, ok := s.online(s.name, set.rtype, set.ttl, set.records[:len(set.records)-len(sigs)])
		if s.wild = ok && count > 0; s.wild {
			sigs, count = made, n
		} // otherwise it is what the zone has, with its proof
	}
	if !alone {
		s.m.records(wire.SectionAnswer, s.name, set, set.ttl)
	}
	if alone || s.m.do {
		s.m.signatures(wire.SectionAnswer, s.name, count, sigs, set.ttl)
	}
}
