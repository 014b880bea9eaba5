package resolver

import (
	"encoding/binary"

	"cenote/wire"
)

const (
	marksMax    = 64  // places that names are compressed against
	compressMax = 120 // names that are; those after them are written whole, so that a message costs little whatever is in it
	pointerMax  = 0x3fff
)

// packer writes names into a message, compressed (RFC 1035 section 4.1.4).
type packer struct {
	out        []byte
	marks      []mark
	compressed int
}

// mark is a place where a name, or the rest of one, is written.
type mark struct {
	off    uint16
	length uint8 // of the name uncompressed
}

// name writes a checked, uncompressed name. Only where compress is set may it point to another (RFC 3597 section 4); others may always
// point to it.
func (p *packer) name(name []byte, compress bool) {
	rest, to := len(name)-1, -1
	if compress && p.compressed < compressMax {
		p.compressed++
		rest, to = p.match(name)
	}
	start := len(p.out)
	for off := 0; off < rest; off += 1 + int(name[off]) {
		if at := start + off; at <= pointerMax && len(p.marks) < marksMax {
			p.marks = append(p.marks, mark{uint16(at), uint8(len(name) - off)})
		}
	}
	p.out = append(p.out, name[:rest]...)
	if to < 0 {
		p.out = append(p.out, 0)
		return
	}
	p.out = binary.BigEndian.AppendUint16(p.out, 0xc000|uint16(to))
}

// match returns how much of name must be written, and where the rest of it lies, negative if nowhere.
func (p *packer) match(name []byte) (rest, to int) {
	for off := 0; name[off] != 0; off += 1 + int(name[off]) {
		for _, m := range p.marks {
			if int(m.length) == len(name)-off && p.lies(name[off:], int(m.off)) {
				return off, int(m.off)
			}
		}
	}
	return len(name) - 1, -1
}

// lies reports whether name is what is written at off.
func (p *packer) lies(name []byte, off int) bool {
	for {
		c := p.out[off]
		if c >= 0xc0 {
			off = int(binary.BigEndian.Uint16(p.out[off:]) & pointerMax)
			continue
		}
		end := 1 + int(c)
		if len(name) < end || string(name[:end]) != string(p.out[off:off+end]) {
			return false
		}
		if c == 0 {
			return true
		}
		name, off = name[end:], off+end
	}
}

// data writes the RDATA of a record of packet, its names read and written anew.
func (p *packer) data(f *found, packet []byte) error {
	l, hasNames, err := wire.LayoutOf(f.rtype, packet[f.off:f.end])
	switch {
	case err != nil:
		return errMalformed
	case !hasNames:
		p.out = append(p.out, packet[f.off:f.end]...)
		return nil
	}
	return p.names(l, f, packet)
}

func (p *packer) names(l wire.Layout, f *found, packet []byte) error {
	off := f.off + l.Before
	if off > f.end {
		return errMalformed
	}
	p.out = append(p.out, packet[f.off:off]...)
	var room [256]byte
	for range l.Names {
		name, end, err := wire.AppendName(room[:0], packet, off)
		if err != nil || end > f.end {
			return errMalformed
		}
		p.name(name, l.Compress)
		off = end
	}
	if l.After != wire.AnyLength && f.end-off != l.After {
		return errMalformed
	}
	p.out = append(p.out, packet[off:f.end]...)
	return nil
}
