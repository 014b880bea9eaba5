package radix_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cenote/radix"
)

type record struct {
	hash uint64
	more uint32
}

func (r *record) key() uint64 { return r.hash }

func compare(a, b record) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.more, b.more))
}

// TestSortIsASort holds Sort against that of the library: for even hashes, for some that are alike in part or in whole, and behind bits that all share.
func TestSortIsASort(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var spare []record
	for _, size := range []int{0, 1, 2, 31, 32, 33, 500, 100_000} {
		for _, skip := range []int{0, 8, 60} {
			for name, draw := range map[string]func() uint64{
				"even": r.Uint64, "few": func() uint64 { return r.Uint64N(3) << 62 }, "low": func() uint64 { return r.Uint64N(1000) }, "one": func() uint64 { return 7 },
			} {
				t.Run(fmt.Sprintf("%d/%d/%s", size, skip, name), func(t *testing.T) {
					items := make([]record, size)
					for i := range items {
						items[i] = record{draw()>>skip | ^uint64(0)<<(64-skip), uint32(r.IntN(50))}
					}
					want := slices.Clone(items)
					slices.SortFunc(want, compare)
					spare = radix.Sort(items, spare, skip, (*record).key, compare)
					if !slices.Equal(items, want) {
						t.Error("it is not sorted")
					}
				})
			}
		}
	}
}

func BenchmarkSort(b *testing.B) {
	const size = 20_000
	r := rand.New(rand.NewPCG(1, 2))
	from := make([]record, size)
	for i := range from {
		from[i] = record{r.Uint64(), uint32(i)}
	}
	for name, sort := range map[string]func(items, spare []record) []record{
		"radix":   func(items, spare []record) []record { return radix.Sort(items, spare, 0, (*record).key, compare) },
		"library": func(items, spare []record) []record { slices.SortFunc(items, compare); return spare },
	} {
		b.Run(name, func(b *testing.B) {
			items, spare := make([]record, size), make([]record, size)
			b.ReportAllocs()
			for range b.N {
				copy(items, from)
				spare = sort(items, spare)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/record")
		})
	}
}
