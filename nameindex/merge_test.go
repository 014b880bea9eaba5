package nameindex_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// merged returns base with a delta, as MergeFile writes both.
func merged(t *testing.T, base *nameindex.Index, delta oracle) *nameindex.Index {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: base})
	delta.fill(t, b)
	file, err := nameindex.MergeImage(b, []byte("of the delta"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := nameindex.OpenImage(file)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestMergeEqualsAMap holds an index into which one change after another was merged against a map: of few names and of more than shards, of
// sets that come and go, and of names that are kept apart.
func TestMergeEqualsAMap(t *testing.T) {
	for _, size := range []int{1, 40, 3000, 20_000} {
		t.Run(fmt.Sprintf("names=%d", size), func(t *testing.T) {
			r := rand.New(rand.NewPCG(6, uint64(size)))
			names := oracle{}
			for range size {
				name := randomName(r)
				if r.IntN(9) == 0 {
					name = apartName(r)
				}
				names[name] = fmt.Sprint("set ", r.IntN(1+size/10))
			}
			x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
			for _, count := range []int{0, 1, 7, 500, 30} {
				count = min(count, size/4) // more would crowd the buckets
				delta, after := changes(r, names, count)
				for range count / 7 {
					name := apartName(r)
					delta[name], after[name] = "set of what is no name", "set of what is no name"
				}
				x, names = merged(t, x, delta), after
				isListed(t, r, x, delta, names)
				if x.Delta() != nil || x.Base() != x {
					t.Fatal("it is no index of its own")
				}
				apart := map[dnsname.Name]bool{}
				for name := range x.Apart() {
					if apart[dnsname.Name(name)] {
						t.Fatalf("%s is kept apart twice", dnsname.Name(name))
					}
					apart[dnsname.Name(name)] = true
				}
				for name := range names {
					if name.Canonical() != name && !apart[name] {
						t.Fatalf("%s is not kept apart", name)
					}
				}
			}
		})
	}
}

// apartName is a name that stands for something else.
func apartName(r *rand.Rand) dnsname.Name {
	return dnsname.MustParse(fmt.Sprintf("n%d.IP", r.IntN(300)))
}

// TestMergeIsADelta: the file says what the base with the delta says that the same builder would write.
func TestMergeIsADelta(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	names := oracle{}
	for range 5000 {
		names[randomName(r)] = fmt.Sprint("set ", r.IntN(20))
	}
	x := build(t, names, nameindex.NewBuilder(nameindex.BuildOptions{}))
	delta, _ := changes(r, names, 900)
	both, err := x.With(reopenDelta(t, x, delta))
	if err != nil {
		t.Fatal(err)
	}
	says := oracle{}
	for name, set := range both.All() {
		says[name] = string(both.Set(set))
	}
	isListed(t, r, merged(t, x, delta), delta, says)
}

// A bucket that would become too full is refused: nobody looks up so many names.
func TestCrowdedMergeIsRefused(t *testing.T) {
	x := build(t, oracle{}, nameindex.NewCrippledBuilder(1, fromRand(rand.New(rand.NewPCG(1, 1))))) // there are two hashes
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: x})
	names := oracle{}
	for i := range 200 {
		names[dnsname.MustParse(fmt.Sprintf("n%d.example", i))] = "set"
	}
	names.fill(t, b)
	if _, err := nameindex.MergeImage(b, nil); !errors.Is(err, nameindex.ErrCrowded) {
		t.Errorf("error %v, want ErrCrowded", err)
	}
}

func TestMergeWithoutBaseIsRefused(t *testing.T) {
	b := nameindex.NewBuilder(nameindex.BuildOptions{})
	if _, err := b.MergeFile(filepath.Join(t.TempDir(), "x.index"), nil); err == nil {
		t.Error("a builder without a base merged")
	}
}
