package zone

import (
	"encoding/binary"

	"cenote/dnsname"
)

// packed is records as they come, without pointers: what they take is their octets, and no more than a block beside that.
type packed struct {
	blocks [][]byte
	count  int
}

// Sizes of the blocks, in octets: each is twice as large as the one before, or as large as a record that does not fit.
const (
	packedBlockMin = 1 << 12
	packedBlockMax = 1 << 20
)

// add takes a copy of a record whose owner is canonical.
func (p *packed) add(owner []byte, r *Record) {
	size := len(owner) + packedHeader + len(r.Data)
	last := len(p.blocks) - 1
	if last < 0 || cap(p.blocks[last])-len(p.blocks[last]) < size {
		room := packedBlockMin
		if last >= 0 {
			room = min(2*cap(p.blocks[last]), packedBlockMax)
		}
		p.blocks = append(p.blocks, make([]byte, 0, max(room, size)))
		last++
	}
	p.blocks[last] = appendRecord(p.blocks[last], owner, r)
	p.count++
}

// each calls visit for every record until it returns an error. The data are parts of the blocks.
func (p *packed) each(visit func(r Record) error) error {
	for _, b := range p.blocks {
		if err := eachPacked(b, visit); err != nil {
			return err
		}
	}
	return nil
}

// eachPacked calls visit for every one of some packed records until it returns an error. The data are parts of them; an owner that several in a row have takes
// memory but once.
func eachPacked(rest []byte, visit func(r Record) error) error {
	var name dnsname.Name
	for len(rest) > 0 {
		owner, r, more, err := cutPacked(rest)
		if err != nil {
			return err
		}
		if string(name) != string(owner) {
			name = dnsname.Name(owner)
		}
		r.Owner, rest = name, more
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}

// appendRecord appends a record as appendPacked does.
func appendRecord(dst, owner []byte, r *Record) []byte {
	dst = append(dst, owner...)
	dst = binary.BigEndian.AppendUint16(dst, r.Type)
	dst = binary.BigEndian.AppendUint32(dst, r.TTL)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Data)))
	return append(dst, r.Data...)
}
