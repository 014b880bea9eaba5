package ring_test

import (
	"sync"
	"testing"

	"cenote/ring"
)

func TestFullRingTurnsAway(t *testing.T) {
	r := ring.NewSPSC[int](3)
	if got := r.Cap(); got != 4 {
		t.Fatalf("Cap() = %d, want 4: sizes round up to a power of two", got)
	}
	for i := range 4 {
		slot := r.Slot()
		if slot == nil {
			t.Fatalf("Slot() = nil at %d of 4", i)
		}
		*slot = i
		r.Commit()
	}
	if r.Slot() != nil {
		t.Fatal("Slot() of a full ring returned a record")
	}
	r.Release(1)
	if r.Slot() == nil {
		t.Fatal("Slot() = nil after a release")
	}
}

func TestOrderAcrossManyLaps(t *testing.T) {
	const n = 100_000
	r := ring.NewSPSC[uint64](64)
	go func() {
		for i := uint64(0); i < n; {
			if slot := r.Slot(); slot != nil {
				*slot = i
				r.Commit()
				i++
			}
		}
	}()
	for want := uint64(0); want < n; {
		batch := r.Peek(16)
		for _, got := range batch {
			if got != want {
				t.Fatalf("record %d came as %d", want, got)
			}
			want++
		}
		r.Release(len(batch))
	}
}

// TestResizeKeepsOrder: what waits comes out before what follows a change of size, be it of a full ring, twice, or all taken at once. Only two
// sizes are in use at a time.
func TestResizeKeepsOrder(t *testing.T) {
	r := ring.NewSPSC[int](4)
	next := 0
	fill := func(want int) {
		t.Helper()
		n := 0
		for ; r.Slot() != nil; n++ {
			*r.Slot() = next
			next++
			r.Commit()
		}
		if n != want {
			t.Fatalf("%d records fit, want %d", n, want)
		}
	}
	sizes := func(waiting, fit int) {
		t.Helper()
		if r.Len() != waiting || r.Cap() != fit {
			t.Errorf("%d records wait in a ring of %d, want %d and %d", r.Len(), r.Cap(), waiting, fit)
		}
	}
	fill(4)
	r.Resize(7)
	sizes(4, 8)
	fill(8)
	r.Resize(64)
	r.Resize(2)
	sizes(12, 2)
	fill(0) // the consumer is still in the first
	for want := range 5 {
		got := r.Peek(1)
		if len(got) != 1 || got[0] != want {
			t.Fatalf("Peek returned %v, want %d", got, want)
		}
		r.Release(1)
	}
	fill(2)
	sizes(9, 2)
	r.Release(8) // 5 to 12, over a border
	if got := r.Peek(9); len(got) != 1 || got[0] != 13 {
		t.Fatalf("Peek returned %v, want 13", got)
	}
	r.Release(1)
	fill(2)
	sizes(2, 2)
}

// TestResizeWhileInUse: neither side loses a record or sees one twice while a third changes the size.
func TestResizeWhileInUse(t *testing.T) {
	const n = 200_000
	r := ring.NewSPSC[uint64](64)
	ended := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-ended:
				return
			default:
				r.Resize(1 << (i * 7 % 11))
				if waiting := r.Len(); waiting < 0 {
					t.Errorf("%d records wait", waiting)
				}
			}
		}
	})
	wg.Go(func() {
		for i := uint64(0); i < n; {
			if slot := r.Slot(); slot != nil {
				*slot = i
				r.Commit()
				i++
			}
		}
	})
	for want := uint64(0); want < n; {
		left := r.Len()
		for left > 0 {
			batch := r.Peek(min(left, 16))
			if len(batch) == 0 {
				t.Fatalf("Peek returned none of %d that wait", left)
			}
			for _, got := range batch {
				if got != want {
					t.Fatalf("record %d came as %d", want, got)
				}
				want++
			}
			r.Release(len(batch))
			left -= len(batch)
		}
	}
	close(ended)
	wg.Wait()
}

func TestManyProducersLoseNothing(t *testing.T) {
	const producers, each = 8, 5_000
	r := ring.NewMPSC[int](1 << 16)
	var wg sync.WaitGroup
	for p := range producers {
		wg.Go(func() {
			for i := range each {
				if !r.Put(func(v *int) { *v = p*each + i }) {
					t.Error("Put refused though the ring has room")
				}
			}
		})
	}
	wg.Wait()
	seen := map[int]bool{}
	for _, v := range r.Ring().Peek(producers * each) {
		seen[v] = true
	}
	if len(seen) != producers*each {
		t.Fatalf("%d distinct records came out, want %d", len(seen), producers*each)
	}
}

func BenchmarkSPSC(b *testing.B) {
	r := ring.NewSPSC[[64]byte](1024)
	b.ReportAllocs()
	for b.Loop() {
		r.Slot()[0]++
		r.Commit()
		r.Release(len(r.Peek(1)))
	}
}
