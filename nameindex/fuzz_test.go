package nameindex_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// FuzzWalk builds an index of the lines of list and holds every look-up against a map.
func FuzzWalk(f *testing.F) {
	f.Add("example\na.example\nwww.a.example", "x.www.a.example")
	f.Add(".\ncom", "com")
	f.Add("a.bc\nab.c", "ab.c")
	f.Add(`\000.example`+"\n"+`\046.example`, `\046.example`)
	f.Fuzz(func(t *testing.T, list, query string) {
		names := oracle{}
		for i, line := range strings.Split(list, "\n") {
			if name, err := dnsname.Parse(line); err == nil {
				names[name.Canonical()] = string(rune(i % 300))
			}
		}
		x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
		for name := range names {
			compare(t, x, names, name)
		}
		if name, err := dnsname.Parse(query); err == nil {
			compare(t, x, names, name.Canonical())
		}
	})
}

// FuzzOpen changes an index: either Open refuses it or, checksums made right again, no look-up panics.
func FuzzOpen(f *testing.F) {
	clean := image(f)
	f.Add(uint32(0), []byte{1}, false)
	f.Add(uint32(4200), []byte{0xff, 0xff, 0xff, 0xff}, true)
	f.Add(uint32(len(clean)-40), []byte{1}, true)
	f.Add(uint32(56), bytes.Repeat([]byte{0xff}, 8), true)
	f.Fuzz(func(t *testing.T, at uint32, change []byte, seal bool) {
		file := bytes.Clone(clean)
		for i, c := range change {
			file[(int(at)+i)%len(file)] ^= c
		}
		if seal && !nameindex.Reseal(file) {
			return
		}
		if opened := exercise(t, file); opened && !seal && !bytes.Equal(file, clean) {
			t.Fatal("a changed file was opened")
		}
	})
}

// FuzzCode holds the code of names against the names themselves, and feeds the decoder what no name has.
func FuzzCode(f *testing.F) {
	f.Add("www.example", "example", []byte{0x80}, uint64(1))
	f.Add(".", `\000`, []byte{}, uint64(2))
	f.Add(`a\.b`, "a.b", bytes.Repeat([]byte{0xff}, 30), uint64(3))
	f.Fuzz(func(t *testing.T, one, two string, octets []byte, seed uint64) {
		r := rand.New(rand.NewPCG(seed, seed))
		c := nameindex.NewCode(func(int, int) uint64 { return r.Uint64() >> 8 >> r.UintN(56) })
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		a, errOne := dnsname.Parse(one)
		b, errTwo := dnsname.Parse(two)
		if errOne == nil && errTwo == nil {
			code := c.Append(nil, []byte(a[:len(a)-1]))
			if got, ok := c.Name(code); !ok || string(got) != string(a[:len(a)-1]) {
				t.Fatalf("%s comes back as %q, %t", a, got, ok)
			}
			if c.Equal(code, []byte(b[:len(b)-1])) != (a == b) {
				t.Fatalf("the code of %s is taken for %s", a, b)
			}
		}
		if name, ok := c.Name(octets); ok && bytes.Equal(c.Append(nil, name), octets) != c.Equal(octets, name) {
			t.Fatalf("%x is %q, which has the code %x", octets, name, c.Append(nil, name))
		}
	})
}
