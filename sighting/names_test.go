package sighting_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"cenote/sighting"
)

// TestNamesOfTheLedger: what the ledger has of feeds and zones is known while it is in memory, in day files, and after a restart, and until its day is dropped.
func TestNamesOfTheLedger(t *testing.T) {
	clock, dir := &shifted{}, t.TempDir()
	config := sighting.Config{Dir: dir, Now: clock.now, RetentionDays: 2, Limits: sighting.Limits{TablePairs: 2, Pairs: 1 << 20}}
	s := openAndRun(t, config)
	want := func(when, want string) {
		t.Helper()
		names, err := s.Names(t.Context())
		if got := fmt.Sprint(names); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", when, got, err, want)
		}
	}
	put := func(family int) {
		for i := range 5 {
			a := ask{client: fmt.Sprintf("192.0.2.%d", i), name: "bad.example", labels: 2, family: family, generation: 1, at: clock.now(), enforced: true}
			s.Put(a.fill)
		}
		settled(t, s.Store, clock)
	}
	want("at first", "{[] []}")
	put(1)
	want("in memory", "{[feed1] [zone0]}")
	clock.advance(26 * time.Hour)
	put(2)
	want("on the second day", "{[feed1 feed2] [zone0]}")
	s.stop()
	s = openAndRun(t, config)
	want("after a restart", "{[feed1 feed2] [zone0]}")
	s.stop()
	clock.advance(72 * time.Hour)
	s = openAndRun(t, config)
	put(0)
	await(t, "the first day is gone", func() bool {
		names, err := s.Names(t.Context())
		return err == nil && slices.Contains(names.Feeds, "feed0") && !slices.Contains(names.Feeds, "feed1")
	})
}
