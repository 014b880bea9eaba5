package nameindex_test

import (
	"bytes"
	"container/heap"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

const symbols = 41 // letters, digits, '-', '_', an escape, a new label, an end

// codes are of several kinds: flat, of real names, and of frequencies that no names have, up to symbols too rare for a code of their own.
func codes() map[string]*nameindex.Code {
	r := rand.New(rand.NewPCG(11, 11))
	return map[string]*nameindex.Code{
		"flat":      nameindex.NewCode(func(int, int) uint64 { return 0 }),
		"names":     nameindex.CodeOf("\x03www\x07example", "\x04mail\x07example\x03com", "\x0dxn--bcher-kva\x07example", "\x06_dmarc"),
		"random":    nameindex.NewCode(func(int, int) uint64 { return r.Uint64N(1000) }),
		"steep":     nameindex.NewCode(func(_, s int) uint64 { return 1 << s }),
		"endless":   nameindex.NewCode(func(_, s int) uint64 { return ^uint64(0) >> 8 >> (s * 56 / symbols) }),
		"backwards": nameindex.NewCode(func(before, s int) uint64 { return 1 << (uint(symbols-s+before) % 50) }),
	}
}

// TestCodeIsExact: every name comes back, and no other name has its code.
func TestCodeIsExact(t *testing.T) {
	deep := strings.Repeat("\x01a", 127)
	long := strings.Repeat("\x3f"+strings.Repeat("\xff", 63), 3) + "\x3d" + strings.Repeat("\x80", 61)
	for what, c := range codes() {
		t.Run(what, func(t *testing.T) {
			if err := c.Check(); err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(12, 12))
			names := []string{"", deep, deep[2:], long, "\x01.", "\x03a.b", "\x01a\x01b", "\x02ab"}
			for range 3000 {
				name := randomName(r)
				names = append(names, string(name[:len(name)-1]))
			}
			for range 300 {
				names = append(names, randomOctets(r))
			}
			for i, name := range names {
				code := c.Append(nil, []byte(name))
				if got, ok := c.Name(code); !ok || string(got) != name || len(code) > nameindex.CodeLenMax {
					t.Fatalf("%q comes back as %q, %t from %d octets", name, got, ok, len(code))
				}
				if !c.Equal(code, []byte(name)) {
					t.Fatalf("%q does not equal its own code %x", name, code)
				}
				for _, other := range append(nearby(r, name), names[r.IntN(len(names))], names[max(0, i-1)]) {
					if c.Equal(code, []byte(other)) != (other == name) {
						t.Fatalf("the code of %q is taken for %q", name, other)
					}
				}
				for _, wrong := range [][]byte{code[:len(code)-1], append(bytes.Clone(code), 0), nil} {
					if c.Equal(wrong, []byte(name)) {
						t.Fatalf("%q equals %x, want only %x", name, wrong, code)
					}
				}
			}
		})
	}
}

// randomOctets returns a name of any octets.
func randomOctets(r *rand.Rand) string {
	var name []byte
	for range 1 + r.IntN(3) {
		name = append(name, byte(1+r.IntN(63)))
		for range int(name[len(name)-1]) {
			name = append(name, byte(r.Uint32()))
		}
	}
	return string(name)
}

// nearby returns names that differ from name by as little as can be.
func nearby(r *rand.Rand, name string) (names []string) {
	if name == "" {
		return []string{"\x01a"}
	}
	first := 1 + int(name[0])
	names = append(names, "\x01a"+name, name[first:])
	changed := []byte(name)
	changed[1+r.IntN(first-1)] ^= 1 << r.IntN(8)
	names = append(names, string(changed))
	if first > 2 {
		names = append(names, string(rune(first-2))+name[1:first-1]+name[first:])
		if n := 1 + r.IntN(first-2); n < first-2 { // divided in two, with an octet fewer
			names = append(names, string(rune(n))+name[1:1+n]+string(rune(first-2-n))+name[2+n:])
		}
	}
	return names
}

// TestDecoderSurvivesAnything: what no name has as its code must neither panic nor come back.
func TestDecoderSurvivesAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 13))
	for what, c := range codes() {
		for range 20_000 {
			code := make([]byte, r.IntN(30))
			for i := range code {
				code[i] = byte(r.Uint32())
			}
			name, ok := c.Name(code)
			if !ok {
				continue
			}
			whole := append(bytes.Clone(name), 0)
			if n, _, err := dnsname.Check(whole); err == nil && n == len(whole) && c.Equal(code, name) != bytes.Equal(c.Append(nil, name), code) {
				t.Fatalf("%s: %x is %q, whose code is %x", what, code, name, c.Append(nil, name))
			}
		}
	}
}

// TestHuffmanIsShortest compares the length of a text with that under the plainest algorithm: the two lightest are joined, over and over.
func TestHuffmanIsShortest(t *testing.T) {
	r := rand.New(rand.NewPCG(14, 14))
	for round := range 2000 {
		weights := make([]uint64, symbols)
		for i := range weights {
			weights[i] = 1 + r.Uint64N(1<<(1+round%12))
		}
		lengths, fits := nameindex.HuffmanLengths(weights)
		got, deepest := uint64(0), uint8(0)
		for i, w := range weights {
			got += w * uint64(lengths[i])
			deepest = max(deepest, lengths[i])
		}
		if want := shortest(weights); got != want || fits != (deepest <= 12) {
			t.Fatalf("%d: %d bits for %v, want %d; longest %d, fits %t", round, got, weights, want, deepest, fits)
		}
	}
}

type weightHeap []uint64

func (h weightHeap) Len() int           { return len(h) }
func (h weightHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h weightHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *weightHeap) Push(w any)        { *h = append(*h, w.(uint64)) }
func (h *weightHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// shortest returns the bits of a text under a Huffman code: the sum of the weights of all inner nodes.
func shortest(weights []uint64) (bits uint64) {
	h := weightHeap(slices.Clone(weights))
	heap.Init(&h)
	for len(h) > 1 {
		joined := heap.Pop(&h).(uint64) + heap.Pop(&h).(uint64)
		bits += joined
		heap.Push(&h, joined)
	}
	return bits
}
