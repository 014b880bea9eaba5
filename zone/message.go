package zone

import (
	"encoding/binary"

	"cenote/dnsname"
	"cenote/wire"
)

// message is an answer while it is written. What does not fit sets full; then all of it is useless.
type message struct {
	buf    []byte
	limit  int
	counts [3]int
	full   bool
	do     bool
	co     bool

	sources [namesMax]source // the names that others may be compressed against
	nsource int
	kept    [2][dnsname.WireMax]byte // the present name of a chain of aliases, and the next
	turn    int

	zones [chainMax]*Zone // of each step of the chain
	late  [lateMax]place  // sets that were written or are to be written at the end, each but once
	nlate int
}

// lateMax is how many sets of a message are written but once: with chainMax aliases, those of one step each and the last one's proofs.
const lateMax = 2*chainMax + 4

// place is a set in a zone.
type place struct {
	zone  uint8 // by its step of the chain; a pointer to the zone would have every message allocated
	node  node
	rtype uint16
}

// isNew notes a set that is about to be written, and returns false if it was before.
func (m *message) isNew(zone uint8, n node, rtype uint16) bool {
	p := place{zone, n, rtype}
	for i := range m.late[:m.nlate] {
		if m.late[i] == p {
			return false
		}
	}
	if m.nlate < lateMax {
		m.late[m.nlate] = p
		m.nlate++
	}
	return true
}

// postpone has a set written into the authority section at the end.
func (m *message) postpone(zone uint8, n node, rtype uint16) { m.isNew(zone, n, rtype) }

// mark is how far a message is written.
type mark struct {
	size, nsource, turn, nlate int
	counts                     [3]int
	full                       bool
}

func (m *message) mark() mark { return mark{len(m.buf), m.nsource, m.turn, m.nlate, m.counts, m.full} }

// back takes back what was written since.
func (m *message) back(to mark) {
	m.buf, m.nsource, m.turn, m.nlate, m.counts, m.full = m.buf[:to.size], to.nsource, to.turn, to.nlate, to.counts, to.full
}

// flush writes the proofs among the sets that were postponed.
func (m *message) flush() {
	var owner [dnsname.WireMax]byte
	for i := range m.late[:m.nlate] {
		if p := &m.late[i]; p.rtype == wire.TypeNSEC || p.rtype == wire.TypeNSEC3 {
			z := m.zones[p.zone]
			set, _ := z.set(p.node, p.rtype)
			m.set(wire.SectionAuthority, z.appendOwner(owner[:0], p.node), &set, set.ttl)
		}
	}
}

// keep copies the target of an alias, canonical. It lives until the next but one.
func (m *message) keep(name []byte) []byte {
	m.turn ^= 1
	out := m.kept[m.turn][:len(name)]
	dnsname.Lower(out, name)
	return out
}

// current is what was kept last.
func (m *message) current() []byte {
	n, _, _ := dnsname.Check(m.kept[m.turn][:])
	return m.kept[m.turn][:n]
}

// namesMax is how many names of a message others are compressed against: first those of the question and the answers.
const namesMax = 48

// source is where a name ends in the message that has not been compressed away, by its labels.
type source struct {
	off uint16 // of the label
	len uint8  // of the name from there on, in full
}

// begin writes the question, with the header before it. The reply that a client gets has it in the client's letter case and of the same length, so that
// offsets hold there too.
func (m *message) begin(dst []byte, q *Question) {
	m.buf, m.limit, m.do, m.co = dst[:0], min(q.Limit, cap(dst), wire.MessageMax), q.DO, q.CO
	m.buf = append(m.buf, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	m.learn(q.Name, wire.HeaderLen)
	m.buf = append(m.buf, q.Name...)
	m.buf = append(m.buf, byte(q.Type>>8), byte(q.Type), 0, wire.ClassIN)
}

// learn notes that the labels of name, up to the root, lie at off.
func (m *message) learn(name []byte, off int) {
	for at := 0; name[at] != 0; at += 1 + int(name[at]) {
		m.note(off+at, len(name)-at)
	}
}

func (m *message) note(off, size int) {
	if m.nsource < namesMax && off < 1<<14 {
		m.sources[m.nsource] = source{uint16(off), uint8(size)}
		m.nsource++
	}
}

// name writes a name, as far as possible by a pointer to where it was written before (RFC 1035 section 4.1.4).
func (m *message) name(name []byte) {
	known := m.nsource
	for at := 0; name[at] != 0; at += 1 + int(name[at]) {
		if off := m.lookUp(name[at:], known); off != 0 {
			m.append(0xc0|byte(off>>8), byte(off))
			return
		}
		m.note(len(m.buf), len(name)-at)
		m.append(name[at : at+1+int(name[at])]...)
	}
	m.append(0)
}

// lookUp returns where name stands in the message, of the first known sources, or 0.
func (m *message) lookUp(name []byte, known int) int {
	for i := range m.sources[:known] {
		s := &m.sources[i]
		if int(s.len) == len(name) && m.equal(int(s.off), name) {
			return int(s.off)
		}
	}
	return 0
}

// equal reports whether the name at off, which this message wrote, is name.
func (m *message) equal(off int, name []byte) bool {
	for at := 0; ; {
		for m.buf[off] >= 0xc0 {
			off = int(binary.BigEndian.Uint16(m.buf[off:]) & 0x3fff)
		}
		n := 1 + int(m.buf[off])
		if at+n > len(name) || off+n > len(m.buf) || string(m.buf[off:off+n]) != string(name[at:at+n]) {
			return false
		}
		if n == 1 {
			return true
		}
		off, at = off+n, at+n
	}
}

// append writes octets. Past the limit it writes none.
func (m *message) append(b ...byte) {
	if m.full || len(m.buf)+len(b) > m.limit {
		m.full = true
		return
	}
	m.buf = append(m.buf, b...)
}

// record writes one record.
func (m *message) record(section int, owner []byte, rtype uint16, ttl uint32, data []byte) {
	m.name(owner)
	m.append(byte(rtype>>8), byte(rtype), 0, wire.ClassIN, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), 0, 0)
	start := len(m.buf)
	m.data(rtype, data)
	if m.full {
		return
	}
	binary.BigEndian.PutUint16(m.buf[start-2:], uint16(len(m.buf)-start))
	m.counts[section]++
}

// data writes the data of a record; names in it are compressed in the types of RFC 1035 alone (RFC 3597 section 4).
func (m *message) data(rtype uint16, data []byte) {
	fixed, names := compressible(rtype)
	if names == 0 || len(data) < fixed {
		m.append(data...)
		return
	}
	m.append(data[:fixed]...)
	rest := data[fixed:]
	for range names {
		n, _, err := dnsname.Check(rest)
		if err != nil {
			break
		}
		m.name(rest[:n])
		rest = rest[n:]
	}
	m.append(rest...)
}

// compressible returns how many octets come before the names of a record's data, and how many names there are.
func compressible(rtype uint16) (fixed, names int) {
	switch rtype {
	case wire.TypeNS, wire.TypeCNAME, wire.TypePTR, 3, 4, 7, 8, 9: // MD, MF, MB, MG, MR
		return 0, 1
	case wire.TypeSOA, 14: // MINFO
		return 0, 2
	case wire.TypeMX:
		return 2, 1
	}
	return 0, 0
}

// set writes a set, and its signatures if they are wanted. ttl is at most its TTL.
func (m *message) set(section int, owner []byte, s *set, ttl uint32) {
	rest := m.records(section, owner, s, ttl)
	if m.do {
		m.signatures(section, owner, s.sigs, rest, ttl)
	}
}

// records writes a set alone, and returns what is behind it.
func (m *message) records(section int, owner []byte, s *set, ttl uint32) (rest []byte) {
	rest = s.records
	var data []byte
	for range s.count {
		data, rest = cutRecord(rest)
		m.record(section, owner, s.rtype, ttl, data)
	}
	return rest
}

// signatures writes the first signatures of rest, so many.
func (m *message) signatures(section int, owner []byte, count int, rest []byte, ttl uint32) {
	var data []byte
	for range count {
		data, rest = cutRecord(rest)
		m.record(section, owner, wire.TypeRRSIG, ttl, data)
	}
}

// optional writes the addresses of a name where they fit whole, and nothing where they do not: no answer is cut for them.
func (m *message) optional(owner []byte, s *set) bool {
	size, count, sources := len(m.buf), m.counts, m.nsource
	m.set(wire.SectionAdditional, owner, s, s.ttl)
	if !m.full {
		return true
	}
	m.buf, m.counts, m.nsource, m.full = m.buf[:size], count, sources, false
	return false
}

// finish writes the header.
func (m *message) finish(rcode int, flags uint16) []byte {
	if m.full {
		m.buf = m.buf[:min(len(m.buf), m.questionEnd())]
		m.counts = [3]int{}
		flags |= wire.FlagTC
	}
	wire.SetFlags(m.buf, wire.FlagQR|flags|uint16(rcode&15))
	for i, n := range m.counts {
		wire.SetCount(m.buf, 1+i, n)
	}
	return m.buf
}

func (m *message) questionEnd() int {
	n, _, _ := dnsname.Check(m.buf[wire.HeaderLen:])
	return wire.HeaderLen + n + 4
}
