package prefetch_test

import (
	"testing"

	"cenote/prefetch"
)

// TestLineChangesNothing: values are as before, and a pointer to nothing is no fault.
func TestLineChangesNothing(t *testing.T) {
	b := []byte{1, 2, 3}
	prefetch.Line(&b[1])
	prefetch.Line[byte](nil)
	if string(b) != "\x01\x02\x03" {
		t.Errorf("got %v, want 1 2 3", b)
	}
}

// BenchmarkRandomReads reads 32 places of a large array at a time, with and without asking for them first.
func BenchmarkRandomReads(b *testing.B) {
	const batch = 32
	table := make([]uint64, 1<<25)
	for i := range table {
		table[i] = uint64(i)
	}
	for name, ahead := range map[string]bool{"plain": false, "ahead": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var at [batch]uint64
			x, sum := uint64(1), uint64(0)
			for b.Loop() {
				for i := range at {
					x = x*6364136223846793005 + 1442695040888963407
					at[i] = x >> 39
					if ahead {
						prefetch.Line(&table[at[i]])
					}
				}
				for _, i := range at {
					sum ^= table[(i+sum&1)&(1<<25-1)] // each read needs the one before
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/read")
			if sum == 1 {
				b.Log(sum)
			}
		})
	}
}
