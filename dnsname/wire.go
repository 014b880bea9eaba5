package dnsname

import "encoding/binary"

// Check walks the uncompressed name at the start of b. It returns the name's length in octets with its root byte, and its labels.
func Check(b []byte) (n, labels int, err error) {
	for n < len(b) {
		l := int(b[n])
		switch {
		case l == 0:
			if n+1 > WireMax {
				return 0, 0, ErrNameLong
			}
			return n + 1, labels, nil
		case l > LabelMax:
			return 0, 0, ErrPointer
		}
		n += 1 + l
		labels++
		if n >= WireMax {
			return 0, 0, ErrNameLong
		}
	}
	return 0, 0, ErrCut
}

// Offsets writes where each label of a checked name begins, first label first, and returns their number. The root is not counted.
func Offsets(name []byte, out *[LabelsMax + 1]uint8) int {
	n := 0
	for i := 0; i < len(name) && name[i] != 0 && n <= LabelsMax; i += 1 + int(name[i]) {
		out[n] = uint8(i)
		n++
	}
	return n
}

// Lower copies src to dst with A-Z in lower case, eight octets at a time. Length octets are at most 63 and so are never letters.
// dst must be as long as src; they may be the same slice.
func Lower(dst, src []byte) {
	dst = dst[:len(src)]
	i := 0
	for ; i+8 <= len(src); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], lower8(binary.LittleEndian.Uint64(src[i:])))
	}
	for ; i < len(src); i++ {
		c := src[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		dst[i] = c
	}
}

// lower8 sets bit 5 of each octet of w that holds A-Z.
func lower8(w uint64) uint64 {
	const ones = 0x0101010101010101
	low7 := w &^ (0x80 * ones)
	aboveOrA := low7 + (0x80-'A')*ones // bit 7 set where the octet >= 'A'
	aboveZ := low7 + (0x7f-'Z')*ones   // bit 7 set where the octet > 'Z'
	isUpper := aboveOrA &^ aboveZ &^ w & (0x80 * ones)
	return w | isUpper>>2
}

// AppendText appends the presentation form of a checked name to dst, without the final dot ("." for the root), escaped as String does.
func AppendText(dst, name []byte) []byte {
	if len(name) == 0 || name[0] == 0 {
		return append(dst, '.')
	}
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		if i > 0 {
			dst = append(dst, '.')
		}
		for _, c := range name[i+1 : i+1+int(name[i])] {
			if plain(c) {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			}
		}
	}
	return dst
}

func plain(c byte) bool {
	return c-'a' < 26 || c-'0' < 10 || c-'A' < 26 || c == '-' || c == '_' || c == '*'
}
