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
