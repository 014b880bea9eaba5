//go:build !race

package sighting_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"

	"cenote/sighting"
)

// The race detector allocates, so what is counted here is counted without it.

// TestNewPairsLeaveTheHeapAlone runs the whole ledger, with journal and day files, under matches whose every pair of client and name is new to
// it, and counts what the process allocates until they are in their day file. CENOTE_QUERIES sets how many; the default is a short run.
func TestNewPairsLeaveTheHeapAlone(t *testing.T) {
	const table = 1 << 18 // pairs that are written at a time
	tables := 2
	if n, err := strconv.Atoi(os.Getenv("CENOTE_QUERIES")); err == nil {
		tables = max(1, n/table)
	}
	s := openAndRun(t, sighting.Config{Dir: t.TempDir(), Ring: pairRing, Limits: sighting.Limits{IndicatorsPerClient: 1 << 30, TablePairs: table}})
	f := newPairFlood(t, s.Store, 40_000)
	written := func() bool { return s.Pairs() < table }
	f.match(table + table/2) // until everything has its memory, and all names and clients are known
	await(t, "the first table is written", written)
	objects := heapObjects()
	f.match(tables * table)
	await(t, "the tables are written", written)
	got := float64(heapObjects()-objects) / float64(tables*table)
	if got >= 0.01 {
		t.Errorf("%.4f heap objects a match over %d matches of new pairs, want < 0.01", got, tables*table)
	} else {
		t.Logf("%.5f heap objects a match over %d matches of new pairs", got, tables*table)
	}
	if n := s.LostCount(); n > 0 {
		t.Errorf("%d matches were lost: the count is void", n)
	}
}

func heapObjects() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

const pairRing = 1 << 16

// pairFlood makes matches of pairs that were never there before, without allocating anything itself: many clients ask for one name after
// the other.
type pairFlood struct {
	t     *testing.T
	s     *sighting.Store
	p     *sighting.Producer
	names []sighting.Event
	begun time.Time
	made  int
}

func newPairFlood(t *testing.T, s *sighting.Store, names int) *pairFlood {
	f := &pairFlood{t: t, s: s, p: s.Producer(), names: make([]sighting.Event, names), begun: time.Now()}
	for i := range f.names {
		a := ask{client: "192.0.2.1", name: fmt.Sprintf("n%d.bad.example", i), labels: 3, family: i % 49, generation: 1, at: f.begun, enforced: true}
		a.fill(&f.names[i])
	}
	return f
}

// match makes n matches and waits until the collector has them all, now and then too, so that its ring never fills.
func (f *pairFlood) match(n int) {
	const clients = 1 << 10
	for i := range n {
		round, name := f.made/len(f.names), f.made%len(f.names)
		e := f.p.Slot()
		*e = f.names[name]
		e.Time, e.ClientPort = f.begun.UnixNano()+int64(f.made)*1000, uint16(f.made)
		binary.BigEndian.PutUint32(e.Client[12:], 0x0a000000+uint32((round+name)%clients))
		f.p.Commit()
		if f.made++; i%(pairRing/2) == 0 || i == n-1 {
			drained(f.t, f.s)
		}
	}
}
