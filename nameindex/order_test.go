package nameindex_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// The names of an order are what All yields, in canonical order, whether it was found in one run or in many, of an index with a delta and without.
func TestOrderIsAllInOrder(t *testing.T) {
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
			rests := 0
			order := index.Order(nameindex.SortOptions{Names: size, Rest: func() { rests++ }})
			checkOrder(t, order, index)
			if rests == 0 {
				t.Errorf("runs of %d: no rest", size)
			}
		}
	}
}

// checkOrder holds the names of an order against what All yields.
func checkOrder(t *testing.T, order *nameindex.Order, x *nameindex.Index) {
	t.Helper()
	var want, got []string
	for name, set := range x.All() {
		want = append(want, fmt.Sprintf("%q %d", string(name), set))
	}
	before := dnsname.Name("")
	rests := 0
	for name, set := range order.Names(x, func() { rests++ }) {
		if before != "" && dnsname.Compare(before.Canonical(), dnsname.Name(name).Canonical()) > 0 {
			t.Fatalf("%q comes behind %q", name, before)
		}
		before = dnsname.Name(name)
		got = append(got, fmt.Sprintf("%q %d", name, set))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("%d names, want the %d of All", len(got), len(want))
	}
	if rests == 0 && len(want) > 1000 {
		t.Error("no rest")
	}
}

// The order of an index into which changes were merged, again and again, is made of that of the index before, and every name is in its place.
func TestOrderFollowsMerges(t *testing.T) {
	for _, size := range []int{1, 40, 3000, 20_000} {
		t.Run(fmt.Sprintf("names=%d", size), func(t *testing.T) {
			r := rand.New(rand.NewPCG(7, uint64(size)))
			names := oracle{}
			for range size {
				name := dnsname.Name(oddName(r))
				if size > 1000 {
					name = randomName(r)
				}
				names[name] = fmt.Sprint("set ", r.IntN(1+size/10))
			}
			x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
			order := x.Order(nameindex.SortOptions{})
			for _, count := range []int{0, 1, 7, 500, 30} {
				delta, after := changes(r, names, min(count, size/4))
				x, names = merged(t, x, delta), after
				next, follows := order.Follow(x, func() {})
				if !follows {
					t.Fatal("the order does not follow")
				}
				order = next
				checkOrder(t, order, x)
				changed, _ := changes(r, names, min(count, size/4))
				with, err := x.With(reopenDelta(t, x, changed))
				if err != nil {
					t.Fatal(err)
				}
				if same, follows := order.Follow(with, func() {}); !follows || same != order {
					t.Fatal("a delta has another order than its base")
				}
				checkOrder(t, order, with)
			}
			if _, follows := order.Follow(build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{})), func() {}); follows {
				t.Error("it follows an index of other buckets")
			}
		})
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
