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

// Changed tells exactly the names that one of two indexes lists otherwise, and ListedBelow what Sorted does of some names and those below them.
func TestChangedAndListedBelow(t *testing.T) {
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
		versions := []*nameindex.Index{x, changedAtRandom(t, r, x, names), changedAtRandom(t, r, x, names)}
		for _, from := range versions {
			for _, to := range versions {
				checkChanged(t, from, to, names)
			}
			tops := [][]byte{names[r.IntN(len(names))], names[r.IntN(len(names))]}
			checkListedBelow(t, from, tops[:r.IntN(3)])
		}
	}
	if _, ok := nameindex.Changed(build(t, nil, nameindex.NewBuilder(nameindex.BuildOptions{})), build(t, nil, nameindex.NewBuilder(nameindex.BuildOptions{}))); ok {
		t.Error("indexes of two bases are compared")
	}
}

func smallName(r *rand.Rand) dnsname.Name {
	name := dnsname.Name("\x03TOP\x00")
	if r.IntN(3) > 0 {
		name = dnsname.Root
	}
	for range 1 + r.IntN(4) {
		name, _ = name.Child([]string{"a", "b", "c"}[r.IntN(3)])
	}
	return name
}

func changedAtRandom(t *testing.T, r *rand.Rand, x *nameindex.Index, names [][]byte) *nameindex.Index {
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
	with, err := x.With(build(t, nil, b))
	if err != nil {
		t.Fatal(err)
	}
	return with
}

func checkChanged(t *testing.T, from, to *nameindex.Index, names [][]byte) {
	t.Helper()
	says := func(x *nameindex.Index, name []byte) string {
		if set, ok := x.Lookup(name); ok {
			return fmt.Sprintf("%x", x.Set(set))
		}
		return "unlisted"
	}
	got, ok := nameindex.Changed(from, to)
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

func checkListedBelow(t *testing.T, x *nameindex.Index, tops [][]byte) {
	t.Helper()
	var want []string
	for name := range x.Sorted(nameindex.SortOptions{}) {
		if slices.ContainsFunc(tops, func(top []byte) bool {
			return bytes.Equal(name, top) || dnsname.Name(name).IsBelow(dnsname.Name(top))
		}) {
			want = append(want, string(name))
		}
	}
	names, within := x.ListedBelow(tops, len(want), func() {})
	var got []string
	for _, name := range names {
		got = append(got, string(name))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !within || !slices.Equal(got, want) {
		t.Fatalf("below %q: got %q, want %q", tops, got, want)
	}
	if _, within := x.ListedBelow(tops, len(want)-1, func() {}); within && len(want) > 0 {
		t.Fatalf("below %q: more than %d names are within the bound", tops, len(want)-1)
	}
}
