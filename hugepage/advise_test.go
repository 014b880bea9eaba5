package hugepage_test

import (
	"slices"
	"testing"

	"cenote/hugepage"
)

// TestMemoryIsAsMade: memory is zero and whole, of whatever size, and growing keeps what is there.
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
		grown := append(hugepage.Grow(s), 42)
		for i := range n {
			if grown[i] != uint32(i) {
				t.Fatalf("after growing, element %d of %d is %d", i, n, grown[i])
			}
		}
		if grown[n] != 42 {
			t.Fatalf("the element that was appended to %d is %d", n, grown[n])
		}
	}
}

func TestGrowDoesNotShareMemory(t *testing.T) {
	s := make([]byte, 3)
	a, b := append(hugepage.Grow(s), 1), append(hugepage.Grow(s), 2)
	if a[3] != 1 || b[3] != 2 {
		t.Errorf("got %d and %d, want 1 and 2", a[3], b[3])
	}
}
