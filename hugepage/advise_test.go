package hugepage_test

import (
	"slices"
	"testing"

	"cenote/hugepage"
)

// TestMemoryIsAsMade: memory is zero and whole, of whatever size.
func TestMemoryIsAsMade(t *testing.T) {
	for _, n := range []int{0, 1, 1 << 10, 1 << 20, 5<<20 + 7} {
		s := hugepage.Make[uint32](n)
		later, ready := hugepage.MakeLater[uint32](n)
		for i, v := range s {
			if v != 0 || later[i] != 0 {
				t.Fatalf("element %d of %d is %d, made later %d", i, n, v, later[i])
			}
			s[i], later[i] = uint32(i), uint32(i)
		}
		if ready(); !slices.Equal(later, s) {
			t.Fatalf("what was made later is not the same when it is ready, of %d elements", n)
		}
	}
}

// TestPopulateChangesNothing: what is there stays, at any place and of any length.
func TestPopulateChangesNothing(t *testing.T) {
	all := make([]uint32, 1<<20)
	for i := range all {
		all[i] = uint32(i)
	}
	for _, part := range [][]uint32{nil, all[:0], all[:1], all[7:40_000], all} {
		hugepage.Populate(part)
	}
	for i, v := range all {
		if v != uint32(i) {
			t.Fatalf("element %d is %d", i, v)
		}
	}
}
