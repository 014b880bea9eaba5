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

// layout says where the names in the RDATA of a type are.
type layout struct {
	before   int  // octets before the first name
	names    int  // how many
	after    int  // octets after the last one; anyLength: what is left
	compress bool // may be compressed in replies (RFC 3597 section 4: the types of RFC 1035)
}

const anyLength = -1

// layoutOf returns the layout of the types that have names in their RDATA. All others are octets, which cannot be compressed.
func layoutOf(rtype uint16) (layout, bool) {
	const md, mf, mb, mg, mr, minfo = 3, 4, 7, 8, 9, 14
	const rp, afsdb, rt, sig, px, nxt, kx = 17, 18, 21, 24, 26, 30, 36
	switch rtype {
	case wire.TypeNS, wire.TypeCNAME, wire.TypePTR, md, mf, mb, mg, mr:
		return layout{names: 1, compress: true}, true
	case wire.TypeSOA:
		return layout{names: 2, after: 20, compress: true}, true
	case minfo:
		return layout{names: 2, compress: true}, true
	case wire.TypeMX:
		return layout{before: 2, names: 1, compress: true}, true
	case wire.TypeDNAME:
		return layout{names: 1}, true
	case rp:
		return layout{names: 2}, true
	case afsdb, rt, kx:
		return layout{before: 2, names: 1}, true
	case px:
		return layout{before: 2, names: 2}, true
	case wire.TypeSRV:
		return layout{before: 6, names: 1}, true
	case sig, wire.TypeRRSIG:
		return layout{before: 18, names: 1, after: anyLength}, true
	case nxt, wire.TypeNSEC:
		return layout{names: 1, after: anyLength}, true
	case wire.TypeSVCB, wire.TypeHTTPS:
		return layout{before: 2, names: 1, after: anyLength}, true
	}
	return layout{}, false
}

// data writes the RDATA of a record of packet, its names read and written anew.
func (p *packer) data(f *found, packet []byte) error {
	const naptr = 35
	l, hasNames := layoutOf(f.rtype)
	switch size := f.end - f.off; {
	case f.rtype == wire.TypeA && size != 4, f.rtype == wire.TypeAAAA && size != 16:
		return errMalformed
	case f.rtype == naptr:
		before, ok := naptrBefore(packet[f.off:f.end])
		if l = (layout{before: before, names: 1}); !ok {
			return errMalformed
		}
	case !hasNames:
		p.out = append(p.out, packet[f.off:f.end]...)
		return nil
	}
	return p.names(l, f, packet)
}

func (p *packer) names(l layout, f *found, packet []byte) error {
	off := f.off + l.before
	if off > f.end {
		return errMalformed
	}
	p.out = append(p.out, packet[f.off:off]...)
	var room [256]byte
	for range l.names {
		name, end, err := wire.AppendName(room[:0], packet, off)
		if err != nil || end > f.end {
			return errMalformed
		}
		p.name(name, l.compress)
		off = end
	}
	if l.after != anyLength && f.end-off != l.after {
		return errMalformed
	}
	p.out = append(p.out, packet[off:f.end]...)
	return nil
}

// naptrBefore returns how many octets lie before the name in a NAPTR record: two numbers and three strings (RFC 3403 section 4.1).
func naptrBefore(data []byte) (n int, ok bool) {
	n = 4
	for range 3 {
		if n >= len(data) {
			return 0, false
		}
		n += 1 + int(data[n])
	}
	return n, n <= len(data)
}
