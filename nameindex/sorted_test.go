package nameindex_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// Sorted yields what All does, in canonical order, in one run or in many, with a delta and without.
func TestSortedIsAllInOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	base := nameindex.NewBuilder(nameindex.BuildOptions{})
	set, other := base.AddSet([]byte("s")), base.AddSet([]byte("t"))
	seen := map[string]bool{}
	for len(seen) < 3000 {
		name := oddName(r)
		if seen[string(name)] {
			continue
		}
		seen[string(name)] = true
		if err := base.Add(name, []uint32{set, other}[r.IntN(2)]); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
	}
	x := build(t, nil, base)
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: x})
	gone, fresh := b.AddSet(nil), b.AddSet([]byte("new"))
	for name := range seen {
		if r.IntN(10) == 0 {
			if err := b.Add([]byte(name), []uint32{gone, fresh}[r.IntN(2)]); err != nil {
				t.Fatal(err)
			}
		}
	}
	changed, err := x.With(build(t, nil, b))
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []*nameindex.Index{x, changed} {
		for _, size := range []int{0, 1000, 7} {
			checkSorted(t, index, size)
		}
	}
}

func checkSorted(t *testing.T, x *nameindex.Index, size int) {
	t.Helper()
	var want, got []string
	for name, set := range x.All() {
		want = append(want, fmt.Sprintf("%q %d", string(name), set))
	}
	before := dnsname.Name("")
	rests := 0
	for name, set := range x.Sorted(nameindex.SortOptions{Names: size, Rest: func() { rests++ }}) {
		if before != "" && dnsname.Compare(before.Canonical(), dnsname.Name(name).Canonical()) > 0 {
			t.Fatalf("%q comes behind %q", name, before)
		}
		before = dnsname.Name(name)
		got = append(got, fmt.Sprintf("%q %d", name, set))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("runs of %d: %d names, want the %d of All", size, len(got), len(want))
	}
	if rests == 0 {
		t.Errorf("runs of %d: no rest", size)
	}
}

// oddName is a short name of octets at which orders differ; the last label of some is in upper case.
func oddName(r *rand.Rand) []byte {
	var name []byte
	labels := 1 + r.IntN(4)
	for i := range labels {
		if i == labels-1 && r.IntN(3) == 0 {
			return append(name, "\x02AB\x00"...)
		}
		n := 1 + r.IntN(3)
		name = append(name, byte(n))
		for range n {
			c := "\x00\x01\x02ab-*\xff"[r.IntN(8)]
			name = append(name, c)
		}
	}
	return append(name, 0)
}
