package policy

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"cenote/dnsname"
	"cenote/nameindex"
)

// Bounds of patterns.
const (
	// PatternsMax is how many patterns a policy has. What feeds list beyond it is not served.
	PatternsMax = 2000
	// PatternMax is how many octets a pattern may have.
	PatternMax = 200
	// programMax is how many instructions a pattern may have when it is unfolded: so many steps each octet of a name may cost.
	programMax = 1000
	// literalMin is how many octets in a row a name must have for a pattern to be tried: without, every name would have to be tried.
	literalMin = 3
)

// realmPattern is the last label of the keys of patterns. The pattern stands before it, cut into labels.
const realmPattern realm = "\x07PATTERN\x00"

// upperMark stands in a key before a letter that is in upper case in the pattern.
const upperMark = 1

// ErrPattern is the fault of a pattern that cannot be served.
var ErrPattern = errors.New("pattern cannot be served")

// Pattern is one that can be tried on names.
type Pattern struct{ one *pattern }

// NewPattern takes a pattern as ParsePattern does.
func NewPattern(text string) (*Pattern, error) {
	one, err := newPattern(text)
	if err != nil {
		return nil, err
	}
	return &Pattern{one}, nil
}

// Literal returns the text that every name has in it that the pattern matches, in lower case and of three octets at least.
func (p *Pattern) Literal() string { return p.one.literal }

// Size is how many steps each octet of a name may cost.
func (p *Pattern) Size() int { return p.one.size }

// Matches reports whether the pattern matches a name as AppendPlain writes it.
func (p *Pattern) Matches(plain []byte) bool { return p.one.re.Match(plain) }

// PatternText writes a pattern as KeyText does that of a key: between slashes, so that no terminal takes a part of it for a command.
func PatternText(text string) string { return "/" + printable(text) + "/" }

// AppendPlain appends a name in wire form, in lower case, as patterns see it: labels with dots between them, nothing escaped.
func AppendPlain(dst, name []byte) []byte {
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, name[i+1:i+1+int(name[i])]...)
	}
	return dst
}

// ParsePattern checks a pattern: a regular expression in the syntax of RE2, which is looked for anywhere in a name in presentation form, lower case,
// without its final dot. Of every name that it matches a row of at least three octets must be the same, by which it is found.
func ParsePattern(text string) error {
	_, err := newPattern(text)
	return err
}

// pattern is one that is ready.
type pattern struct {
	text    string
	literal string // that every name that it matches has in it
	re      *regexp.Regexp
	size    int // instructions
	set     uint32
}

func newPattern(text string) (*pattern, error) {
	if len(text) > PatternMax || strings.IndexByte(text, upperMark) >= 0 {
		return nil, fmt.Errorf("%w: it has %d octets, at most %d", ErrPattern, len(text), PatternMax)
	}
	tree, err := syntax.Parse(text, syntax.Perl|syntax.FoldCase)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPattern, err)
	}
	tree = tree.Simplify()
	program, err := syntax.Compile(tree)
	if err != nil || len(program.Inst) > programMax {
		return nil, fmt.Errorf("%w: it is too large when it is unfolded", ErrPattern)
	}
	p := &pattern{text: text, literal: longestLiteral(tree), size: len(program.Inst)}
	if len(p.literal) < literalMin {
		return nil, fmt.Errorf("%w: no %d letters in a row are in every name that it matches", ErrPattern, literalMin)
	}
	if p.re, err = regexp.Compile("(?i:" + text + ")"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPattern, err)
	}
	return p, nil
}

// longestLiteral returns the longest text that is in everything that re matches, in lower case.
func longestLiteral(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return strings.ToLower(string(re.Rune))
	case syntax.OpCapture, syntax.OpPlus:
		return longestLiteral(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return longestLiteral(re.Sub[0])
		}
	case syntax.OpConcat:
		longest := ""
		for _, s := range re.Sub {
			if l := longestLiteral(s); len(l) > len(longest) {
				longest = l
			}
		}
		return longest
	}
	return ""
}

// AppendPatternKey appends the key of a pattern that ParsePattern takes to dst. It reports false if the key would be too long.
func AppendPatternKey(dst []byte, text string) ([]byte, bool) {
	var coded []byte
	for _, c := range []byte(text) {
		if c-'A' < 26 {
			coded = append(coded, upperMark)
			c |= 0x20
		}
		coded = append(coded, c)
	}
	start := len(dst)
	for label := range slices.Chunk(coded, dnsname.LabelMax) {
		dst = appendLabel(dst, label)
	}
	dst = append(dst, realmPattern...)
	return dst, len(dst)-start <= dnsname.WireMax
}

// patternText reads the pattern of a key.
func patternText(key []byte) string {
	var text []byte
	end := lastLabel(key)
	for i := 0; i < end; i += 1 + int(key[i]) {
		text = append(text, key[i+1:i+1+int(key[i])]...)
	}
	out := text[:0]
	for i := 0; i < len(text); i++ {
		if text[i] == upperMark && i+1 < len(text) {
			i++
			text[i] &^= 0x20
		}
		out = append(out, text[i])
	}
	return string(out)
}

// patterns finds those of a policy that a name matches. Every three octets of a name are looked for in a bitmap; hardly any name goes further.
type patterns struct {
	list   []*pattern
	grams  [1 << 16 / 64]uint64 // of the first three octets of the literals
	byGram map[[3]byte][]uint32 // indices into list
}

// patternsOf makes those of an index. Without any it returns nil.
func patternsOf(index *nameindex.Index) *patterns {
	p := &patterns{byGram: map[[3]byte][]uint32{}}
	for key, set := range index.Apart() {
		if TriggerOf(key) != TriggerPattern || len(p.list) == PatternsMax {
			continue
		}
		one, err := newPattern(patternText(key))
		if err != nil {
			continue // the feed's reader let none such pass
		}
		one.set = set
		p.add(one)
	}
	if len(p.list) == 0 {
		return nil
	}
	return p
}

// changesPatterns reports whether the delta of an index changes a pattern.
func changesPatterns(index *nameindex.Index) bool {
	for key := range index.ApartOfDelta() {
		if TriggerOf(key) == TriggerPattern {
			return true
		}
	}
	return false
}

func (p *patterns) add(one *pattern) {
	gram := [3]byte([]byte(one.literal))
	p.grams[gramBit(gram)/64] |= 1 << (gramBit(gram) % 64)
	p.byGram[gram] = append(p.byGram[gram], uint32(len(p.list)))
	p.list = append(p.list, one)
}

func gramBit(g [3]byte) uint32 {
	return (uint32(g[0])*0x9e5 + uint32(g[1])*0x3b1 + uint32(g[2])*0x2d) & 0xffff
}

// textMax is how many octets the presentation of a name has, if no octet is escaped.
const textMax = dnsname.WireMax

// plainText writes a name as patterns see it.
func plainText(buf *[textMax]byte, name []byte) []byte { return AppendPlain(buf[:0], name) }

// any reports whether a pattern may match the name. It allocates nothing.
func (p *patterns) any(name []byte) bool {
	if p == nil {
		return false
	}
	var buf [textMax]byte
	text := plainText(&buf, name)
	for i := 0; i+literalMin <= len(text); i++ {
		gram := [3]byte(text[i:])
		if b := gramBit(gram); p.grams[b/64]>>(b%64)&1 != 0 && p.anyOf(p.byGram[gram], text[i:]) {
			return true
		}
	}
	return false
}

// anyOf reports whether text begins with the literal of one of the given patterns.
func (p *patterns) anyOf(list []uint32, text []byte) bool {
	for _, n := range list {
		if l := p.list[n].literal; len(text) >= len(l) && string(text[:len(l)]) == l {
			return true
		}
	}
	return false
}

// find returns the rules that match the name, in the order in which the index has them.
func (p *patterns) find(name []byte) (hits []addressHit) {
	if !p.any(name) {
		return nil
	}
	var buf [textMax]byte
	text := plainText(&buf, name)
	for i := 0; i+literalMin <= len(text); i++ {
		for _, n := range p.byGram[[3]byte(text[i:])] {
			one := p.list[n]
			if bytes.HasPrefix(text[i:], []byte(one.literal)) && one.re.Match(text) {
				hits = append(hits, addressHit{addressRule{set: one.set, trigger: TriggerPattern}, n})
			}
		}
	}
	slices.SortFunc(hits, func(a, b addressHit) int { return strings.Compare(p.list[a.entry].text, p.list[b.entry].text) })
	return slices.CompactFunc(hits, func(a, b addressHit) bool { return a.entry == b.entry })
}
