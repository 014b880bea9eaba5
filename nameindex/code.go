package nameindex

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"cenote/dnsname"
)

// The symbols of a code. A name is the octets of its first label, symbolLabel, the octets of the next one and so on, and symbolEnd. Octets that
// hardly any name has share symbolEscape, after which they stand as they are.
const (
	symbolEnd        = iota // also what comes before the first symbol of a name
	symbolLabel             // another label begins
	symbolLetter            // a, and then the other letters
	symbolDigit      = symbolLetter + 26
	symbolHyphen     = symbolDigit + 10
	symbolUnderscore = symbolHyphen + 1
	symbolEscape     = symbolUnderscore + 1
	symbols          = symbolEscape + 1
)

const (
	codeBitsMax  = 12 // of one symbol
	codeTableLen = symbols * symbols
	// codeLenMax is the most octets that a name takes: every octet escaped, and an end.
	codeLenMax = (254*(codeBitsMax+8) + codeBitsMax + 7) / 8
)

// symbolOf says which symbol an octet of a label has.
var symbolOf = func() (table [256]uint8) {
	for c := range table {
		table[c] = symbolEscape
	}
	for i := range uint8(26) {
		table['a'+i] = symbolLetter + i
	}
	for i := range uint8(10) {
		table['0'+i] = symbolDigit + i
	}
	table['-'], table['_'] = symbolHyphen, symbolUnderscore
	return table
}()

// frequencies counts, by symbol, what came after it.
type frequencies [symbols][symbols]uint64

// add counts the symbols of name, which is in wire form without its root octet.
func (f *frequencies) add(name []byte) {
	before := uint8(symbolEnd)
	for at := 0; at < len(name); {
		if at > 0 {
			f[before][symbolLabel]++
			before = symbolLabel
		}
		label := name[at+1:][:name[at]]
		for _, c := range label {
			s := symbolOf[c]
			f[before][s]++
			before = s
		}
		at += 1 + len(label)
	}
	f[before][symbolEnd]++
}

// sum adds what other counted.
func (f *frequencies) sum(other *frequencies) {
	for before := range f {
		for s := range f[before] {
			f[before][s] += other[before][s]
		}
	}
}

// codeLengths are the bits of each symbol, by the symbol before it. They are what a file holds of its code: the bits themselves follow from
// them (a canonical code, as in RFC 1951 section 3.2.2).
type codeLengths [symbols][symbols]uint8

// lengths returns those of a Huffman code. Every symbol has one, so that every name has a code.
func (f *frequencies) lengths() (lengths codeLengths) {
	for before := range f {
		weights := f[before]
		for i := range weights {
			weights[i]++
		}
		for !huffman(&weights, &lengths[before]) {
			for i := range weights {
				weights[i] = weights[i]/2 + 1 // flatter, until the rarest symbol is not too long
			}
		}
	}
	return lengths
}

// huffman fills lengths with those of the shortest code for symbols of the given weights. It reports whether none is longer than codeBitsMax.
func huffman(weights *[symbols]uint64, lengths *[symbols]uint8) bool {
	const nodes = 2*symbols - 1
	var weight [nodes]uint64
	var parent [nodes]uint8
	var order [symbols]uint8 // the leaves, by weight
	for i := range order {
		order[i] = uint8(i)
	}
	slices.SortFunc(order[:], func(i, j uint8) int { return cmp.Or(cmp.Compare(weights[i], weights[j]), cmp.Compare(i, j)) })
	for i, s := range order {
		weight[i] = weights[s]
	}
	// Leaves, and behind them the nodes in the order of their making, are both sorted: the two lightest are at the head of one or the other.
	leaf, inner := 0, symbols
	lightest := func(made int) int {
		if inner == made || leaf < symbols && weight[leaf] <= weight[inner] {
			leaf++
			return leaf - 1
		}
		inner++
		return inner - 1
	}
	for made := symbols; made < nodes; made++ {
		p, q := lightest(made), lightest(made)
		weight[made] = weight[p] + weight[q]
		parent[p], parent[q] = uint8(made), uint8(made)
	}
	var depth [nodes]uint8
	for i := nodes - 2; i >= 0; i-- {
		depth[i] = depth[parent[i]] + 1
	}
	longest := uint8(0)
	for i, s := range order {
		lengths[s] = depth[i]
		longest = max(longest, depth[i])
	}
	return longest <= codeBitsMax
}

// decode reads the lengths from a section of a file.
func (l *codeLengths) decode(b []byte) {
	for before := range l {
		copy(l[before][:], b[symbols*before:])
	}
}

// appendTo appends what decode reads to dst.
func (l *codeLengths) appendTo(dst []byte) []byte {
	for before := range l {
		dst = append(dst, l[before][:]...)
	}
	return dst
}

// check tells whether the lengths are those of a code in which every sequence of bits stands for something.
func (l *codeLengths) check() error {
	for before := range l {
		sum := 0
		for _, n := range l[before] {
			if n == 0 || n > codeBitsMax {
				return fmt.Errorf("%w: a symbol of %d bits", ErrDamaged, n)
			}
			sum += 1 << (codeBitsMax - n)
		}
		if sum != 1<<codeBitsMax {
			return fmt.Errorf("%w: the code after symbol %d is not complete", ErrDamaged, before)
		}
	}
	return nil
}

// canonical returns the symbols in the order of their bits, and the bits of each, by the symbol before them.
func (l *codeLengths) canonical() (order [symbols][symbols]uint8, bits [symbols][symbols]uint32) {
	for before := range l {
		lengths := &l[before]
		for s := range lengths {
			order[before][s] = uint8(s)
		}
		slices.SortFunc(order[before][:], func(i, j uint8) int { return cmp.Or(cmp.Compare(lengths[i], lengths[j]), cmp.Compare(i, j)) })
		next, length := uint32(0), uint8(0)
		for _, s := range order[before] {
			next <<= lengths[s] - length
			length = lengths[s]
			bits[before][s] = next
			next++
		}
	}
	return order, bits
}

// coder writes names in a code, and compares them with written ones. Its elements are bits << 8 | how many.
type coder struct {
	octet [rows][256]uint32 // an octet of a label, with the escape where it needs one
	label [rows]uint32
	end   [rows]uint32
}

// rows is more than there are symbols, and a power of two: so the compiler sees that no row lies outside.
const rows = 64

func newCoder(l *codeLengths) *coder {
	c := &coder{}
	_, bits := l.canonical()
	for before := range symbols {
		element := func(s uint8) uint32 { return bits[before][s]<<8 | uint32(l[before][s]) }
		c.label[before], c.end[before] = element(symbolLabel), element(symbolEnd)
		for octet := range 256 {
			e := element(symbolOf[octet])
			if symbolOf[octet] == symbolEscape {
				e = (e>>8<<8|uint32(octet))<<8 | (e&0xff + 8)
			}
			c.octet[before][octet] = e
		}
	}
	return c
}

// append appends the code of name, which is in wire form without its root octet, to dst. The last octet is filled up with zeros.
func (c *coder) append(dst, name []byte) []byte {
	var w bitWriter
	w.out = dst
	before := uint8(symbolEnd)
	for at := 0; at < len(name); {
		if at > 0 {
			w.put(c.label[before])
			before = symbolLabel
		}
		label := name[at+1:][:name[at]]
		for _, octet := range label {
			w.put(c.octet[before][octet])
			before = symbolOf[octet]
		}
		at += 1 + len(label)
	}
	w.put(c.end[before])
	for ; w.bits >= 8; w.bits -= 8 {
		w.out = append(w.out, uint8(w.word>>(w.bits-8)))
	}
	if w.bits > 0 {
		w.out = append(w.out, uint8(w.word<<(8-w.bits)))
	}
	return w.out
}

// bitWriter appends elements of a code, the highest bit first.
type bitWriter struct {
	out  []byte
	word uint64 // its lowest bits are not in out yet
	bits uint32 // how many: less than 32
}

func (w *bitWriter) put(element uint32) {
	n := element & 0xff
	w.word = w.word<<n | uint64(element>>8)
	if w.bits += n; w.bits >= 32 {
		w.bits -= 32
		w.out = binary.BigEndian.AppendUint32(w.out, uint32(w.word>>w.bits))
	}
}

// equal reports whether code is that of name, which is in wire form without its root octet. Since no symbol's bits begin another's and each name
// has its end, equal codes are equal names. It compares 32 bits at a time, so that another name's code costs little. What waits for that is at most
// 31 bits, and then the beginning of a label and an escaped octet: not more than fits into a word.
func (c *coder) equal(code, name []byte) bool {
	before, word, bits := uint8(symbolEnd), uint64(0), uint32(0)
	for at := 0; at < len(name); {
		if at > 0 {
			e := c.label[before&(rows-1)]
			word, bits, before = word<<(e&63)|uint64(e>>8), bits+e&63, symbolLabel
		}
		label := name[at+1:][:name[at]]
		for _, octet := range label {
			e := c.octet[before&(rows-1)][octet]
			before = symbolOf[octet]
			word, bits = word<<(e&63)|uint64(e>>8), bits+e&63
			if bits < 32 {
				continue
			}
			bits -= 32
			if len(code) < 4 || binary.BigEndian.Uint32(code) != uint32(word>>(bits&63)) {
				return false
			}
			code = code[4:]
		}
		at += 1 + len(label)
	}
	e := c.end[before&(rows-1)]
	word, bits = word<<(e&63)|uint64(e>>8), bits+e&63
	if uint32(len(code)) != (bits+7)/8 {
		return false
	}
	word <<= (64 - bits) & 63 // there is at least one bit: the end
	for _, octet := range code {
		if octet != uint8(word>>56) {
			return false
		}
		word <<= 8
	}
	return true
}

// decoder reads names in a code.
type decoder struct {
	order [symbols][symbols]uint8
	// By the symbol before and the number of bits: the first code of so many bits, how many there are, and where they begin in order.
	first, count, from [symbols][codeBitsMax + 1]uint32
}

func newDecoder(l *codeLengths) *decoder {
	d := &decoder{}
	order, bits := l.canonical()
	d.order = order
	for before := range symbols {
		for at := symbols - 1; at >= 0; at-- {
			s := order[before][at]
			n := l[before][s]
			d.first[before][n], d.from[before][n] = bits[before][s], uint32(at)
			d.count[before][n]++
		}
	}
	return d
}

// name appends the name that code stands for to dst, in wire form without its root octet. It reports whether there is one: labels that are not
// empty, and an end in the last octet. dst may then still be too long for a name.
func (d *decoder) name(dst, code []byte) ([]byte, bool) {
	r := bitReader{code: code}
	before, length := uint8(symbolEnd), len(dst)
	for {
		s, ok := d.symbol(&r, before)
		if !ok {
			return dst, false
		}
		if s >= symbolLetter {
			octet := octetOf[s]
			if s == symbolEscape {
				if octet, ok = r.octet(); !ok {
					return dst, false
				}
			}
			if before == symbolEnd || before == symbolLabel {
				length = len(dst)
				dst = append(dst, 0)
			}
			dst = append(dst, octet)
			before = s
			continue
		}
		if before == symbolLabel || before == symbolEnd && s == symbolLabel || len(dst)-length > 256 {
			return dst, false
		}
		if before != symbolEnd {
			dst[length] = uint8(len(dst) - length - 1)
		}
		if s == symbolEnd {
			return dst, (r.at+7)/8 == len(code)
		}
		before = symbolLabel
	}
}

// wire is name with the root octet. It reports whether that is a name: none is written otherwise.
func (d *decoder) wire(dst, code []byte) ([]byte, bool) {
	from := len(dst)
	dst, ok := d.name(dst, code)
	if !ok {
		return dst, false
	}
	dst = append(dst, 0)
	n, _, err := dnsname.Check(dst[from:])
	return dst, err == nil && n == len(dst)-from
}

// octetOf says which octet a symbol of its own stands for.
var octetOf = func() (table [symbols]uint8) {
	for octet, s := range symbolOf {
		table[s] = uint8(octet)
	}
	return table
}()

func (d *decoder) symbol(r *bitReader, before uint8) (s uint8, ok bool) {
	code := uint32(0)
	for n := 1; n <= codeBitsMax; n++ {
		bit, ok := r.bit()
		if !ok {
			return 0, false
		}
		code = code<<1 | bit
		if i := code - d.first[before][n]; i < d.count[before][n] {
			return d.order[before][d.from[before][n]+i], true
		}
	}
	return 0, false
}

// bitReader reads the bits of a code, the highest first.
type bitReader struct {
	code []byte
	at   int // bits that were read
}

func (r *bitReader) bit() (bit uint32, ok bool) {
	if r.at>>3 >= len(r.code) {
		return 0, false
	}
	bit = uint32(r.code[r.at>>3]>>(7-r.at&7)) & 1
	r.at++
	return bit, true
}

func (r *bitReader) octet() (octet uint8, ok bool) {
	for range 8 {
		bit, ok := r.bit()
		if !ok {
			return 0, false
		}
		octet = octet<<1 | uint8(bit)
	}
	return octet, true
}
