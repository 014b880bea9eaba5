package radix

import (
	"math/bits"
	"slices"
)

const (
	least      = 32 // records that are worth a pass
	placesBits = 16 // the most bits of a hash that tell a place: the counts of the places stay in the processor's cache
	runMax     = 24 // records of one place that are sorted by insertion
)

// Sort puts items into the order of compare, which begins with that of their hashes. The upper skip bits of all hashes are the same. It takes spare, of any
// length, for memory and returns what to give it the next time.
func Sort[T any](items, spare []T, skip int, hash func(*T) uint64, compare func(a, b T) int) []T {
	if len(items) < least {
		insert(items, compare)
		return spare
	}
	width := min(bits.Len(uint(len(items)))-1, placesBits, 64-skip)
	place := func(x *T) uint64 { return hash(x) << skip >> (64 - width) }
	ends := make([]uint32, 1<<width)
	for i := range items {
		ends[place(&items[i])]++
	}
	sum := uint32(0)
	for i, n := range ends {
		ends[i] = sum
		sum += n
	}
	spare = slices.Grow(spare[:0], len(items))[:len(items)]
	for i := range items {
		p := place(&items[i])
		spare[ends[p]] = items[i]
		ends[p]++
	}
	from := uint32(0)
	for _, end := range ends {
		switch run := spare[from:end]; {
		case len(run) > runMax:
			slices.SortFunc(run, compare)
		case len(run) > 1:
			insert(run, compare)
		}
		from = end
	}
	copy(items, spare)
	return spare
}

// insert sorts few items.
func insert[T any](items []T, compare func(a, b T) int) {
	for i := 1; i < len(items); i++ {
		x, j := items[i], i
		for ; j > 0 && compare(x, items[j-1]) < 0; j-- {
			items[j] = items[j-1]
		}
		items[j] = x
	}
}
