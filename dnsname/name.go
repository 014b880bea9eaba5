package dnsname

import (
	"errors"
	"fmt"
	"strings"
)

// The limits of RFC 1035 section 2.3.4. WireMax counts the root's zero byte; LabelsMax does not count the root.
const (
	WireMax   = 255
	LabelMax  = 63
	LabelsMax = 127
)

// Faults of a name. Errors of this package wrap one of them.
var (
	ErrLabelLong  = errors.New("label is longer than 63 octets")
	ErrLabelEmpty = errors.New("label is empty")
	ErrNameLong   = errors.New("name is longer than 255 octets")
	ErrEscape     = errors.New("escape is not \\X or \\DDD")
	ErrCut        = errors.New("name is cut off")
	ErrPointer    = errors.New("name is compressed where it must not be")
)

// Name is a domain name in wire form, with its root byte. The zero value is no name at all (see IsZero); the root is "\x00".
// Case is kept as given: canonical names, on which == is equality of names, come from Canonical.
type Name string

// Root is the name of the root zone.
const Root = Name("\x00")

// Parse reads a name in presentation form (RFC 1035 section 5.1): \DDD and \X are escapes, a final dot is optional, "." is the root.
// Letter case is kept.
func Parse(s string) (Name, error) {
	if s == "." {
		return Root, nil
	}
	var buf [WireMax]byte
	wire, err := appendWire(buf[:0], s)
	if err != nil {
		return "", fmt.Errorf("name %q: %w", short(s), err)
	}
	return Name(wire), nil
}

// MustParse is Parse for names that the program itself holds; it panics on a fault.
func MustParse(s string) Name {
	n, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return n
}

// FromWire takes the uncompressed name at the start of b, which must satisfy Check, and returns it as a value.
func FromWire(b []byte) (Name, error) {
	n, _, err := Check(b)
	if err != nil {
		return "", err
	}
	return Name(b[:n]), nil
}

// IsZero reports whether n is the zero value, which is not a name.
func (n Name) IsZero() bool { return n == "" }

// IsRoot reports whether n is the root.
func (n Name) IsRoot() bool { return n == Root }

// Labels counts the labels of n; the root has none.
func (n Name) Labels() int {
	count := 0
	for i := 0; i < len(n) && n[i] != 0; i += 1 + int(n[i]) {
		count++
	}
	return count
}

// Canonical returns n in lower case (RFC 4034 section 6.2).
func (n Name) Canonical() Name {
	for i := 0; i < len(n); i++ {
		if n[i]-'A' < 26 {
			b := []byte(n)
			Lower(b, b)
			return Name(b)
		}
	}
	return n
}

// Parent returns n without its first label; the root's parent is the root.
func (n Name) Parent() Name {
	if len(n) <= 1 {
		return n
	}
	return n[1+int(n[0]):]
}

// Suffix returns the last labels labels of n, or n itself if it has no more than that.
func (n Name) Suffix(labels int) Name {
	for skip := n.Labels() - labels; skip > 0; skip-- {
		n = n.Parent()
	}
	return n
}

// IsBelow reports whether n lies strictly below parent. Both are canonical.
func (n Name) IsBelow(parent Name) bool {
	return len(n) > len(parent) && n.Suffix(parent.Labels()) == parent
}

// FirstLabel returns the first label of n without its length byte; the root has none.
func (n Name) FirstLabel() string {
	if len(n) <= 1 {
		return ""
	}
	return string(n[1 : 1+int(n[0])])
}

// Child returns label + n. It fails if the label or the whole is too long.
func (n Name) Child(label string) (Name, error) {
	switch {
	case label == "":
		return "", ErrLabelEmpty
	case len(label) > LabelMax:
		return "", ErrLabelLong
	case 1+len(label)+len(n) > WireMax:
		return "", ErrNameLong
	}
	return Name(string([]byte{byte(len(label))}) + label + string(n)), nil
}

// String returns n in presentation form without the final dot ("." for the root). Only letters, digits, '-', '_' and '*' stand as
// they are; every other byte is written \DDD, so that no name can be taken for markup, a formula, a separator or a control sequence.
func (n Name) String() string {
	if len(n) <= 1 {
		return "."
	}
	return string(AppendText(make([]byte, 0, len(n)), []byte(n)))
}

// Compare orders a and b as DNSSEC does (RFC 4034 section 6.1): by labels from the right, in lower case.
func Compare(a, b Name) int {
	a, b = a.Canonical(), b.Canonical()
	var offA, offB [LabelsMax + 1]uint8
	i, j := Offsets([]byte(a), &offA), Offsets([]byte(b), &offB)
	for i > 0 && j > 0 {
		i--
		j--
		if c := strings.Compare(labelAt(a, offA[i]), labelAt(b, offB[j])); c != 0 {
			return c
		}
	}
	return i - j
}

func labelAt(n Name, off uint8) string { return string(n[off+1 : int(off)+1+int(n[off])]) }

// AppendWire appends the wire form of a name in presentation form, which it reads as Parse does, to dst. Its errors do not name the name.
func AppendWire(dst, text []byte) ([]byte, error) {
	if len(text) == 1 && text[0] == '.' {
		return append(dst, 0), nil
	}
	return appendWire(dst, text)
}

func appendWire[S string | []byte](dst []byte, s S) ([]byte, error) {
	start, label := len(dst), len(dst)
	dst = append(dst, 0)
	closeLabel := func() error {
		switch n := len(dst) - label - 1; {
		case n == 0:
			return ErrLabelEmpty
		case n > LabelMax:
			return ErrLabelLong
		default:
			dst[label] = byte(n)
		}
		return nil
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '.':
			if err := closeLabel(); err != nil {
				return nil, err
			}
			label = len(dst)
			dst = append(dst, 0)
			if i == len(s)-1 {
				return dst, checkLen(len(dst) - start)
			}
			continue
		case '\\':
			v, n, err := unescape(s[i+1:])
			if err != nil {
				return nil, err
			}
			c, i = v, i+n
		}
		if dst = append(dst, c); len(dst)-start > WireMax {
			return nil, ErrNameLong
		}
	}
	if err := closeLabel(); err != nil {
		return nil, err
	}
	dst = append(dst, 0)
	return dst, checkLen(len(dst) - start)
}

func checkLen(n int) error {
	if n > WireMax {
		return ErrNameLong
	}
	return nil
}

func unescape[S string | []byte](s S) (c byte, n int, err error) {
	if len(s) == 0 {
		return 0, 0, ErrEscape
	}
	if s[0]-'0' > 9 {
		return s[0], 1, nil
	}
	if len(s) < 3 || s[1]-'0' > 9 || s[2]-'0' > 9 {
		return 0, 0, ErrEscape
	}
	v := int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
	if v > 255 {
		return 0, 0, ErrEscape
	}
	return byte(v), 3, nil
}

func short(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
