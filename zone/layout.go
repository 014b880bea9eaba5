package zone

import (
	"encoding/binary"
	"hash/maphash"

	"cenote/dnsname"
)

// A node is a name of a zone, in one array with all others:
//
//	1 octet   how long the name is without the apex
//	n octets  the name without the apex, canonical
//	1 octet   flags
//	2 octets  how many sets it has; none of an empty non-terminal (RFC 4592 section 2.2.2)
//	sets      one after the other, by type
//
// and a set is
//
//	2 octets  type
//	4 octets  TTL
//	2 octets  how many records
//	2 octets  how many signatures
//	4 octets  how long the records and signatures are
//	records   each with its length in 2 octets before it; then the signatures, likewise
type node uint32

// noNode is none: the apex is the first node, and nobody refers to it by a table.
const noNode = node(1<<32 - 1)

// The flags of a node.
const (
	flagCut   = 1 << iota // it has NS records and is not the apex
	flagDNAME             // it has a DNAME record, and is no cut
	flagBelow             // it lies below a cut or a DNAME: its records are glue, or hidden
	flagWild              // it has a child that is an asterisk
)

const setHeader = 14

// set is one RRset with its signatures.
type set struct {
	rtype   uint16
	ttl     uint32
	count   int
	sigs    int
	records []byte // records, then signatures
}

// Zone is the data of one zone, which never change.
type Zone struct {
	apex    dnsname.Name
	labels  int // of apex
	data    []byte
	table   []node // by the hash of the whole name; noNode where there is none
	seed    maphash.Seed
	nsecs   []node // those with NSEC records, in canonical order
	nsec3   nsec3Chain
	soa     set
	serial  uint32
	minimum uint32 // of negative answers
	signed  bool
	absent  bool // it could not be loaded
	names   int
	records int
	derived *derivation // of the version that Apply made this one of; nil otherwise
}

// Name is the apex.
func (z *Zone) Name() dnsname.Name { return z.apex }

// Serial is that of the SOA record.
func (z *Zone) Serial() uint32 { return z.serial }

// Records and Names are how many of them there are; Names counts empty non-terminals too.
func (z *Zone) Records() int { return z.records }

// Names is how many names the zone has, with the empty non-terminals.
func (z *Zone) Names() int { return z.names }

// Signed reports whether the zone has DNSKEY records and signatures.
func (z *Zone) Signed() bool { return z.signed }

// Bytes is how much memory the zone takes.
func (z *Zone) Bytes() int {
	return len(z.data) + 4*len(z.table) + 4*len(z.nsecs) + len(z.nsec3.nodes)*(4+hashLen)
}

// find returns the node of a canonical name at or below the apex.
func (z *Zone) find(name []byte) node {
	mask := uint64(len(z.table) - 1)
	for at := maphash.Bytes(z.seed, name) & mask; ; at = (at + 1) & mask {
		n := z.table[at]
		if n == noNode || z.is(n, name) {
			return n
		}
	}
}

// is reports whether name, which lies at or below the apex, is that of n.
func (z *Zone) is(n node, name []byte) bool {
	size := int(z.data[n])
	return size == len(name)-len(z.apex) && string(z.data[int(n)+1:int(n)+1+size]) == string(name[:size])
}

// prefix is the name of n without the apex.
func (z *Zone) prefix(n node) []byte { return z.data[int(n)+1 : int(n)+1+int(z.data[n])] }

// appendOwner appends the whole name of n.
func (z *Zone) appendOwner(dst []byte, n node) []byte {
	return append(append(dst, z.prefix(n)...), z.apex...)
}

func (z *Zone) flags(n node) byte { return z.data[int(n)+1+int(z.data[n])] }

func (z *Zone) setFlag(n node, flag byte) { z.data[int(n)+1+int(z.data[n])] |= flag }

// sets begins a walk over the sets of n.
func (z *Zone) sets(n node) setWalk {
	at := int(n) + 2 + int(z.data[n])
	return setWalk{data: z.data, at: at + 2, left: int(binary.BigEndian.Uint16(z.data[at:]))}
}

// set returns the set of a type, and whether there is one.
func (z *Zone) set(n node, rtype uint16) (set, bool) {
	for w := z.sets(n); w.next(); {
		if w.set.rtype == rtype {
			return w.set, w.set.count > 0 // signatures alone are no set
		}
	}
	return set{}, false
}

func (z *Zone) has(n node, rtype uint16) bool {
	_, ok := z.set(n, rtype)
	return ok
}

// setWalk visits the sets of a node.
type setWalk struct {
	data []byte
	at   int
	left int
	set  set
}

func (w *setWalk) next() bool {
	if w.left == 0 {
		return false
	}
	w.left--
	h := w.data[w.at:]
	size := int(binary.BigEndian.Uint32(h[10:]))
	w.set = set{
		rtype: binary.BigEndian.Uint16(h), ttl: binary.BigEndian.Uint32(h[2:]),
		count: int(binary.BigEndian.Uint16(h[6:])), sigs: int(binary.BigEndian.Uint16(h[8:])),
		records: h[setHeader : setHeader+size : setHeader+size],
	}
	w.at += setHeader + size
	return true
}

// cutRecord splits the first record off.
func cutRecord(records []byte) (data, rest []byte) {
	n := 2 + int(binary.BigEndian.Uint16(records))
	return records[2:n], records[n:]
}

// first is the data of the set's first record.
func (s *set) first() []byte {
	data, _ := cutRecord(s.records)
	return data
}

// signatures is what follows the records.
func (s *set) signatures() []byte {
	rest := s.records
	for range s.count {
		_, rest = cutRecord(rest)
	}
	return rest
}
