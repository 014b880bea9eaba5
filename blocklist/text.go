package blocklist

import (
	"bytes"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// faultTextMax is how many octets of a row a Fault shows.
const faultTextMax = 120

// printable returns at most limit octets of b as text that can go to a terminal, a log or a page of JSON as it is: whatever does not print
// is written as an escape, direction marks among it.
func printable(b []byte, limit int) string {
	cut := len(b) > limit
	if cut {
		b = b[:limit]
	}
	if !cut && plainASCII(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		out = appendRune(out, r, b[:size])
		b = b[size:]
	}
	if cut {
		out = append(out, "..."...)
	}
	return string(out)
}

func appendRune(out []byte, r rune, raw []byte) []byte {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return append(out, '\\', 'x', hexDigit(raw[0]>>4), hexDigit(raw[0]&15))
	case unicode.IsPrint(r):
		return append(out, raw...)
	}
	quoted := strconv.AppendQuoteRuneToASCII(nil, r)
	return append(out, quoted[1:len(quoted)-1]...)
}

func hexDigit(v byte) byte { return "0123456789abcdef"[v] }

func plainASCII(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// trim cuts blanks, tabs and other white space of ASCII from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// field cuts the first word off b: what stands before the first blank.
func field(b []byte) (word, rest []byte) {
	b = trim(b)
	for i, c := range b {
		if isBlank(c) {
			return b[:i], trim(b[i:])
		}
	}
	return b, nil
}

// cutComment splits a trimmed line at the first mark that follows a blank or begins the line.
func cutComment(line []byte, mark byte) (row, comment []byte) {
	for from := 0; ; {
		i := bytes.IndexByte(line[from:], mark)
		if i < 0 {
			return line, nil
		}
		i += from
		if i == 0 || isBlank(line[i-1]) {
			return trim(line[:i]), trim(line[i+1:])
		}
		from = i + 1
	}
}

// cutRemark splits a trimmed line at the first "#", for formats whose names cannot hold one.
func cutRemark(line []byte) (row, comment []byte) {
	i := bytes.IndexByte(line, '#')
	if i < 0 {
		return line, nil
	}
	return trim(line[:i]), trim(line[i+1:])
}

// equalFold compares a with an ASCII word in lower case, without regard to letter case.
func equalFold(a []byte, lower string) bool {
	if len(a) != len(lower) {
		return false
	}
	for i, c := range a {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
