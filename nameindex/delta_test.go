package nameindex_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// changes draws what a delta adds, replaces and removes, and returns the names as they are listed after it.
func changes(r *rand.Rand, base oracle, count int) (delta, after oracle) {
	delta, after = oracle{}, maps.Clone(base)
	known := make([]dnsname.Name, 0, len(base))
	for name := range base {
		known = append(known, name)
	}
	for range count {
		name := randomName(r)
		if len(known) > 0 && r.IntN(3) > 0 {
			name = known[r.IntN(len(known))]
		}
		delta[name] = ""
		delete(after, name)
		if r.IntN(3) > 0 {
			delta[name] = fmt.Sprint("new set ", r.IntN(9))
			after[name] = delta[name]
		}
	}
	return delta, after
}

// TestDeltaEqualsAMap holds an index with one delta after another against a map.
func TestDeltaEqualsAMap(t *testing.T) {
	for _, size := range []int{0, 1, 40, 3000} {
		t.Run(fmt.Sprintf("names=%d", size), func(t *testing.T) {
			r := rand.New(rand.NewPCG(5, uint64(size)))
			names := oracle{}
			for range size {
				names[randomName(r)] = fmt.Sprint("set ", r.IntN(1+size/10))
			}
			x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
			for _, count := range []int{0, 1, 7, 500} {
				delta, after := changes(r, names, count)
				d := reopenDelta(t, x, delta)
				with, err := x.With(d)
				if err != nil {
					t.Fatal(err)
				}
				isListed(t, r, with, delta, after)
				x = with // the next delta stands in the place of this one
			}
		})
	}
}

// TestDeltaThatKnowsItsGain: how many names are listed with a delta is the same where its builder was told which of them the base lists, of all or of some.
func TestDeltaThatKnowsItsGain(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(6, seed))
		names := oracle{}
		for range 300 {
			names[randomName(r)] = "set"
		}
		x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
		delta, after := changes(r, names, 100)
		for _, untold := range []int{0, 1} {
			b := nameindex.NewBuilder(nameindex.BuildOptions{Base: x})
			for name, set := range delta {
				_, listed := names[name]
				add := func(name []byte, set uint32) error { return b.Exchange(name, set, listed) }
				if b.Len() < untold {
					add = b.Add
				}
				if err := add([]byte(name), b.AddSet([]byte(set))); err != nil {
					t.Fatal(err)
				}
			}
			with, err := x.With(reopen(t, b, "of the delta"))
			if err != nil {
				t.Fatal(err)
			}
			isListed(t, r, with, delta, after)
		}
	}
}

func reopenDelta(t *testing.T, x *nameindex.Index, delta oracle) *nameindex.Index {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: x})
	delta.fill(t, b)
	return reopen(t, b, "of the delta")
}

func isListed(t *testing.T, r *rand.Rand, x *nameindex.Index, delta, want oracle) {
	t.Helper()
	if x.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", x.Len(), len(want))
	}
	if got := string(x.Manifest()); got != "of the delta" {
		t.Errorf("Manifest() = %q", got)
	}
	for _, some := range []oracle{delta, want} {
		for name := range some {
			for _, near := range neighbours(r, name) {
				compare(t, x, want, near)
			}
			set, ok := x.Lookup([]byte(name))
			if payload, listed := want[name]; ok != listed || ok && string(x.Set(set)) != payload {
				t.Fatalf("Lookup(%s) = %d, %t, want %q, %t", name, set, ok, payload, listed)
			}
		}
	}
	got := oracle{}
	for name, set := range x.All() {
		if _, twice := got[name]; twice || int(set) >= x.Sets() {
			t.Fatalf("All yields %s with set %d of %d, again: %t", name, set, x.Sets(), twice)
		}
		got[name] = string(x.Set(set))
	}
	if !maps.Equal(got, want) {
		t.Fatalf("All yields %d names that are not the %d listed ones", len(got), len(want))
	}
}

// An index that was built for itself, or for another one, is no delta: its hashes would find nothing.
func TestForeignDeltaIsRefused(t *testing.T) {
	names := oracle{dnsname.MustParse("a.example"): "set"}
	x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
	other := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
	if _, err := x.With(other); !errors.Is(err, nameindex.ErrDelta) {
		t.Errorf("error %v, want ErrDelta", err)
	}
	both, err := x.With(reopenDelta(t, x, names))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.With(both); !errors.Is(err, nameindex.ErrDelta) {
		t.Errorf("a delta with a delta: error %v, want ErrDelta", err)
	}
	if both.Base() != x || x.Base() != x || x.Delta() != nil || both.Delta() == nil {
		t.Error("Base and Delta do not give back what With was given")
	}
}

// A delta has its base's seed, so nobody is to fill one of its buckets: the builder gives up instead of drawing another.
func TestCrowdedDeltaIsRefused(t *testing.T) {
	x := build(t, oracle{}, nameindex.NewCrippledBuilder(1, fromRand(rand.New(rand.NewPCG(1, 1))))) // there are two hashes
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: x})
	set := b.AddSet([]byte("set"))
	for i := range 300 {
		if err := b.Add([]byte(dnsname.MustParse(fmt.Sprintf("n%d.example", i))), set); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nameindex.Image(b, nil); !errors.Is(err, nameindex.ErrCrowded) {
		t.Errorf("error %v, want ErrCrowded", err)
	}
}

func TestWalkWithDeltaAllocatesNothing(t *testing.T) {
	name := dnsname.MustParse("www.a.example")
	x := build(t, oracle{dnsname.MustParse("a.example"): "set"}, nameindex.NewBuilder(nameindex.BuildOptions{}))
	with, err := x.With(reopenDelta(t, x, oracle{name: "another"}))
	if err != nil {
		t.Fatal(err)
	}
	var out [4]nameindex.Match
	if n := testing.AllocsPerRun(100, func() { with.Walk([]byte(name), out[:]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := with.Walk([]byte(name), out[:]); n != 2 {
		t.Errorf("%d matches, want 2", n)
	}
}

// BenchmarkWalkDelta is what a delta costs a look-up: of one thousand names, and of one in a hundred.
func BenchmarkWalkDelta(b *testing.B) {
	names := manyNames(b, 1_000_000)
	x := reopen(b, fillMany(b, names), "")
	r := rand.New(rand.NewPCG(9, 9))
	queries := make([][]byte, 1<<16)
	for i := range queries {
		queries[i] = []byte(names[r.IntN(len(names))].name)
	}
	for _, size := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprintf("changed=%d", size), func(b *testing.B) {
			at := x
			if size > 0 {
				d := nameindex.NewBuilder(nameindex.BuildOptions{Base: x})
				for i := range size {
					if err := d.Add([]byte(dnsname.MustParse(fmt.Sprintf("n%d.delta.example", i))), d.AddSet([]byte("set"))); err != nil {
						b.Fatal(err)
					}
				}
				var err error
				if at, err = x.With(reopen(b, d, "")); err != nil {
					b.Fatal(err)
				}
			}
			var out [8]nameindex.Match
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				at.Walk(queries[i&(len(queries)-1)], out[:])
			}
		})
	}
}
