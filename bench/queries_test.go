package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteClean(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "q.clean"), []byte("a.b.cln A\nc.cln A\nd.cln A\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeClean(dir, 8, "many", "many.warm"); err != nil {
		t.Fatal(err)
	}
	lines := func(name string) []string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
	want := []string{"a.b.c000 A", "c.c000 A", "d.c000 A", "a.b.c001 A", "c.c001 A", "d.c001 A", "a.b.c002 A", "c.c002 A"}
	warm, mixed := lines("many.warm"), lines("many")
	if !slices.Equal(warm, want) {
		t.Errorf("got %q, want %q", warm, want)
	}
	if slices.Equal(mixed, want) || !slices.Equal(slices.Sorted(slices.Values(mixed)), slices.Sorted(slices.Values(want))) {
		t.Errorf("got %q, want the same in another order", mixed)
	}
	if err := os.WriteFile(filepath.Join(dir, "q.clean"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeClean(dir, 8, "many", "many.warm"); err == nil {
		t.Error("questions were made of no names")
	}
}

func TestStrideComesByEveryPlace(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8, 1000, 1024, 99_999} {
		seen, stride := map[int]bool{}, strideOf(n)
		for i := range n {
			seen[i*stride%n] = true
		}
		if len(seen) != n {
			t.Errorf("of %d places %d come with a stride of %d", n, len(seen), stride)
		}
	}
}
