package nameindex_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cenote/dnsname"
	"cenote/nameindex"
)

// Changed tells exactly the names that one of two indexes lists otherwise, also where changes were merged between them, and Below what an order has of some
// names and those below them.
func TestChangedAndBelow(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 3))
		base := nameindex.NewBuilder(nameindex.BuildOptions{})
		var names [][]byte
		for range 60 {
			name := []byte(smallName(r))
			if slices.ContainsFunc(names, func(n []byte) bool { return bytes.Equal(n, name) }) {
				continue
			}
			names = append(names, name)
			if r.IntN(3) > 0 {
				if err := base.Add(name, base.AddSet([]byte{byte(r.IntN(2))})); err != nil {
					t.Fatal(err)
				}
			}
		}
		x := build(t, nil, base)
		again := mergedAtRandom(t, r, x, names)
		versions := []*nameindex.Index{
			x, changedAtRandom(t, r, x, names), changedAtRandom(t, r, x, names), again, changedAtRandom(t, r, again, names), mergedAtRandom(t, r, again, names),
		}
		for _, from := range versions {
			for _, to := range versions {
				checkChanged(t, from, to, names)
			}
			tops := [][]byte{names[r.IntN(len(names))], names[r.IntN(len(names))]}
			if dnsname.Name(tops[0]).IsBelow(dnsname.Name(tops[1])) || dnsname.Name(tops[1]).IsBelow(dnsname.Name(tops[0])) || bytes.Equal(tops[0], tops[1]) {
				tops = tops[:1]
			}
			checkBelow(t, from, tops[:r.IntN(len(tops)+1)])
		}
	}
	if _, ok := nameindex.Changed(build(t, nil, nameindex.NewBuilder(nameindex.BuildOptions{})), build(t, nil, nameindex.NewBuilder(nameindex.BuildOptions{})), func() {}); ok {
		t.Error("indexes of two bases are compared")
	}
}

func smallName(r *rand.Rand) dnsname.Name {
	name := []dnsname.Name{dnsname.Root, dnsname.Root, dnsname.Root, "\x01A\x00", "\x01a\x00"}[r.IntN(5)]
	for range 1 + r.IntN(4) {
		name, _ = name.Child([]string{"a", "b", "c"}[r.IntN(3)])
	}
	return name
}

func changedAtRandom(t *testing.T, r *rand.Rand, x *nameindex.Index, names [][]byte) *nameindex.Index {
	t.Helper()
	b := changeAtRandom(t, r, x, names)
	with, err := x.With(build(t, nil, b))
	if err != nil {
		t.Fatal(err)
	}
	return with
}

// mergedAtRandom is x, which has no delta, with changes that were merged into it.
func mergedAtRandom(t *testing.T, r *rand.Rand, x *nameindex.Index, names [][]byte) *nameindex.Index {
	t.Helper()
	file, err := nameindex.MergeImage(changeAtRandom(t, r, x, names), nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := nameindex.OpenImage(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func changeAtRandom(t *testing.T, r *rand.Rand, x *nameindex.Index, names [][]byte) *nameindex.Builder {
	t.Helper()
	b := nameindex.NewBuilder(nameindex.BuildOptions{Base: x})
	for _, name := range names {
		if r.IntN(3) > 0 {
			continue
		}
		payload := []byte{byte(r.IntN(2))}
		if r.IntN(3) == 0 {
			payload = nil
		}
		if err := b.Add(name, b.AddSet(payload)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func checkChanged(t *testing.T, from, to *nameindex.Index, names [][]byte) {
	t.Helper()
	says := func(x *nameindex.Index, name []byte) string {
		if set, ok := x.Lookup(name); ok {
			return fmt.Sprintf("%x", x.Set(set))
		}
		return "unlisted"
	}
	got, ok := nameindex.Changed(from, to, func() {})
	if !ok {
		t.Fatal("not compared")
	}
	var want [][]byte
	for _, name := range names {
		if says(from, name) != says(to, name) {
			want = append(want, name)
		}
	}
	slices.SortFunc(got, bytes.Compare)
	slices.SortFunc(want, bytes.Compare)
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func checkBelow(t *testing.T, x *nameindex.Index, tops [][]byte) {
	t.Helper()
	var want []string
	order := x.Order(nameindex.SortOptions{})
	for name := range x.All() {
		if slices.ContainsFunc(tops, func(top []byte) bool {
			return name == dnsname.Name(top) || name.IsBelow(dnsname.Name(top))
		}) {
			want = append(want, string(name))
		}
	}
	names, within := order.Below(x, tops, len(want), func() {})
	var got []string
	for _, name := range names {
		got = append(got, string(name))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !within || !slices.Equal(got, want) {
		t.Fatalf("below %q: got %q, want %q", tops, got, want)
	}
	if _, within := order.Below(x, tops, len(want)-1, func() {}); within && len(want) > 0 {
		t.Fatalf("below %q: more than %d names are within the bound", tops, len(want)-1)
	}
}
