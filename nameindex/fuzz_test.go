package nameindex_test

import (
	"bytes"
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
