package sighting_test

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"cenote/sighting"
)

// TestChunksKeepWhatTheyHold: what lies in a list of chunks is found at its index, however long the list has become since, and after a reset.
func TestChunksKeepWhatTheyHold(t *testing.T) {
	t.Run("small parts", func(t *testing.T) { testChunks(t, 12) })
	t.Run("large parts", func(t *testing.T) { testChunks(t, 22) })
}

func testChunks(t *testing.T, bits uint8) {
	r := rand.New(rand.NewPCG(3, 3))
	c := sighting.NewChunks(bits)
	for round := range 3 {
		at, want := []uint32{}, [][]byte{}
		octets := 0
		for octets < 5<<bits {
			n := 1 + r.IntN(271)
			first, to := c.Room(n)
			if len(to) != n || len(at) > 0 && first <= at[len(at)-1] || first>>bits != (first+uint32(n)-1)>>bits {
				t.Fatalf("room for %d after %v: at %d, %d octets", n, at[max(0, len(at)-1):], first, len(to))
			}
			for i := range to {
				to[i] = byte(n + i)
			}
			at, want = append(at, first), append(want, bytes.Clone(to))
			octets += n
			if c.Len() != int(first)+n {
				t.Fatalf("the list has %d octets, want %d", c.Len(), int(first)+n)
			}
		}
		for i := range at {
			if !bytes.Equal(c.From(at[i])[:len(want[i])], want[i]) {
				t.Fatalf("round %d: octets %d to %d have changed", round, at[i], int(at[i])+len(want[i]))
			}
		}
		next := uint32(0)
		for first, run := range c.Runs(100) {
			if first != next || len(run) == 0 || len(run) > 100 {
				t.Fatalf("a run of %d at %d, want at most 100 at %d", len(run), first, next)
			}
			next += uint32(len(run))
		}
		if int(next) != c.Len() {
			t.Fatalf("the runs have %d octets, want %d", next, c.Len())
		}
		c.Reset()
		if c.Len() != 0 {
			t.Fatalf("%d octets after a reset", c.Len())
		}
	}
}

// TestSamplesAreTheEarliest: of the matches of a pair those are kept that were first, whatever their order of arrival; of two at one time, the one
// that came first.
func TestSamplesAreTheEarliest(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 2000 {
		times := make([]uint32, 1+r.IntN(30))
		for i := range times {
			times[i] = r.Uint32N(20)
		}
		if r.IntN(3) == 0 {
			slices.Sort(times)
		}
		order := make([]uint16, len(times))
		for i := range order {
			order[i] = uint16(i)
		}
		slices.SortStableFunc(order, func(a, b uint16) int { return cmp.Compare(times[a], times[b]) })
		order = order[:min(len(order), 8)]
		var want []uint32
		for _, i := range order {
			want = append(want, times[i])
		}
		if kept, ports := sighting.Earliest(times); !slices.Equal(kept, want) || !slices.Equal(ports, order) {
			t.Fatalf("of %v it keeps %v at %v, want %v at %v", times, ports, kept, order, want)
		}
	}
}
