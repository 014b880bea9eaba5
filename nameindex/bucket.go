package nameindex

import "encoding/binary"

// bucket reads the entries of one bucket in order. Its octets were checked by Open.
type bucket struct {
	count int
	far   []byte // fingerprints of the entries that the directory has no room for
	rest  []byte // from the next entry on
}

func bucketAt(names []byte, off uint32) bucket {
	count := int(names[off])
	far := max(0, count-dirFPs)
	at := names[off+1:]
	return bucket{count: count, far: at[:far], rest: at[far:]}
}

// next returns the next entry: its set, and its name in the file's code.
func (b *bucket) next() (set uint32, code []byte) {
	head, rest := b.rest[0], b.rest[1:]
	set, n, more := uint32(head&headSet), uint32(head>>headShift), uint32(0)
	if set == headSet {
		more, rest = uvarint(rest)
		set += more
	}
	if n == headLen {
		more, rest = uvarint(rest)
		n += more
	}
	code, b.rest = rest[:n], rest[n:]
	return set, code
}

// appendHead appends to dst what stands before the code of a name of the given set and n octets.
func appendHead(dst []byte, set uint32, n int) []byte {
	dst = append(dst, uint8(min(n, headLen)<<headShift)|uint8(min(set, headSet)))
	if set >= headSet {
		dst = binary.AppendUvarint(dst, uint64(set-headSet))
	}
	if n >= headLen {
		dst = binary.AppendUvarint(dst, uint64(n-headLen))
	}
	return dst
}

// uvarint reads a number of seven bits an octet, the lowest first. It serves octets that were checked.
func uvarint(b []byte) (uint32, []byte) {
	if b[0] < 0x80 {
		return uint32(b[0]), b[1:]
	}
	v, i := uint32(b[0]&0x7f), 1
	for shift := 7; ; shift += 7 {
		c := b[i]
		i++
		if v |= uint32(c&0x7f) << shift; c < 0x80 {
			return v, b[i:]
		}
	}
}

// equalOctets returns a bit for each of the eight octets of w, lowest first, that equals c.
func equalOctets(w uint64, c uint8) uint64 {
	const ones, low7 = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	w ^= uint64(c) * ones
	zero := ^((w&low7 + low7) | w | low7) // bit 7 of each octet that is zero
	return zero >> 7 * 0x0102040810204080 >> 56
}
