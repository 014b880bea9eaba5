package sighting_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"cenote/sighting"
)

// TestBlocksInPacksAreFound: whatever the sizes of blocks and packs, the blocks come in the order of their keys, from any key on, forward and
// backward, as if each were a value.
func TestBlocksInPacksAreFound(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for _, packed := range []bool{true, false} {
		for _, limit := range []int{1, 500, 4000, 1 << 20} {
			t.Run(fmt.Sprintf("packed %v, packs of %d", packed, limit), func(t *testing.T) {
				list := randomBlocks(r)
				shelf, err := sighting.NewShelf(t.TempDir(), packed, limit, list)
				must(t, err)
				defer shelf.Close()
				for range 300 {
					checkWalk(t, shelf, list, randomKey(r), r)
				}
			})
		}
	}
}

// randomBlocks are blocks of several runs in order, each run ending a pack.
func randomBlocks(r *rand.Rand) (list []sighting.Block) {
	for range 200 {
		list = append(list, sighting.Block{Key: randomKey(r), Value: strings.Repeat("x", r.IntN(300)) + fmt.Sprint(r.Uint32())})
	}
	slices.SortFunc(list, func(a, b sighting.Block) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(list, func(a, b sighting.Block) bool { return a.Key == b.Key })
}

// randomKey is a key of rows: eight octets that name the run, and twenty more.
func randomKey(r *rand.Rand) string {
	b := bytes.Repeat([]byte{0}, 28)
	b[3], b[7], b[20], b[27] = byte(r.IntN(2)), byte(r.IntN(4)), byte(r.IntN(16)), byte(r.IntN(4))
	return string(b)
}

// checkWalk compares what lies around a key with the list.
func checkWalk(t *testing.T, shelf *sighting.Shelf, list []sighting.Block, key string, r *rand.Rand) {
	t.Helper()
	at, _ := slices.BinarySearchFunc(list, key, func(b sighting.Block, key string) int { return strings.Compare(b.Key, key) })
	var steps []int
	for range 12 {
		steps = append(steps, r.IntN(2)*2-1)
	}
	got, err := shelf.Walk(key, steps)
	must(t, err)
	for i, b := range got {
		if i > 0 {
			at += steps[i-1]
		}
		if at < 0 || at >= len(list) {
			if b != (sighting.Block{}) {
				t.Fatalf("step %d from %x: got %x outside of the list", i, key, b.Key)
			}
			return // as of a cursor of bbolt, nothing is promised beyond
		}
		if b != list[at] {
			t.Fatalf("step %d from %x: got %x want %x", i, key, b.Key, list[at].Key)
		}
	}
}
