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
	low7 := w &^ highs
	aboveOrA := low7 + (0x80-'A')*ones // bit 7 set where the octet >= 'A'
	aboveZ := low7 + (0x7f-'Z')*ones   // bit 7 set where the octet > 'Z'
	isUpper := aboveOrA &^ aboveZ &^ w & highs
	return w | isUpper>>2
}

// AppendText appends the presentation form of a checked name to dst, without the final dot ("." for the root), escaped as String does. It is two
// octets shorter than the name if and only if nothing was escaped, unless the name is the root.
func AppendText(dst, name []byte) []byte {
	if len(name) == 0 || name[0] == 0 {
		return append(dst, '.')
	}
	if text, ok := appendPlain(dst, name); ok {
		return text
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

// appendPlain is AppendText for a name with its root byte that has nothing but letters, digits, '-' and '_', as nearly all have. ok is false for
// others. It copies the name, puts dots where length octets are, and counts: if there are as many other octets as length octets, there are none
// that have to be escaped.
func appendPlain(dst, name []byte) (text []byte, ok bool) {
	last := len(name) - 1
	start := len(dst)
	dst = append(dst, name[1:last]...)
	dots := dst[start:]
	at, odd := int(name[0])+1, 0
	for at < last && name[at] != 0 {
		dots[at-1] = '.'
		if c := name[at]; c != '-' && c-'0' >= 10 {
			odd++
		}
		at += 1 + int(name[at])
	}
	if at != last || name[last] != 0 || countOdd(name[1:last]) != odd {
		return dst[:start], false
	}
	return dst, true
}

// countOdd returns how many octets of text are no letters, digits, '-' or '_'. It looks at eight at a time.
func countOdd(text []byte) int {
	counts := uint64(0) // in each octet
	for i := 0; i < len(text); i += 8 {
		w := eight(text, i)
		low := w &^ highs
		folded := low | 0x20*ones // letters in lower case; nothing else becomes one
		letter := (folded + (0x80-'a')*ones) &^ (folded + (0x7f-'z')*ones)
		digit := (low + (0x80-'0')*ones) &^ (low + (0x7f-'9')*ones)
		noHyphen := (low ^ '-'*ones) + 0x7f*ones
		noLine := (low ^ '_'*ones) + 0x7f*ones
		counts += ((noHyphen&noLine)&^(letter|digit) | w) & highs >> 7
	}
	return int(counts * ones >> 56)
}

// eight returns the eight octets of text from i on; behind its end, it goes on with letters.
func eight(text []byte, i int) (w uint64) {
	switch rest := len(text) - i; {
	case rest >= 8:
		return binary.LittleEndian.Uint64(text[i:])
	case len(text) >= 8:
		return binary.LittleEndian.Uint64(text[len(text)-8:])>>(64-8*rest) | 'a'*ones<<(8*rest)
	}
	w = 'a' * ones
	for n := len(text) - 1; n >= 0; n-- {
		w = w<<8 | uint64(text[n])
	}
	return w
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

func plain(c byte) bool {
	return c-'a' < 26 || c-'0' < 10 || c-'A' < 26 || c == '-' || c == '_' || c == '*'
}
