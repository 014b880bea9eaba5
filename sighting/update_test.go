package sighting_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/sighting"
)

// TestUpdateTakesEffectWhileRunning: a bound and the file of first sightings change without a restart, and a bad change changes nothing.
func TestUpdateTakesEffectWhileRunning(t *testing.T) {
	dir, before, after, clock := t.TempDir(), filepath.Join(t.TempDir(), "before.jsonl"), filepath.Join(t.TempDir(), "after.jsonl"), fromNoon()
	c := sighting.Config{Dir: dir, Now: clock.now, Limits: sighting.Limits{IndicatorsPerClient: 3}, First: sighting.FirstConfig{Path: before}}
	s := openAndRun(t, c)
	put := func(client string, names int) (oneByOne int) {
		for i := range names {
			a := ask{client: client, name: fmt.Sprintf("n%d.example", i), labels: 2, family: 1, generation: 1, at: clock.now()}
			s.Put(a.fill)
		}
		settled(t, s.Store, clock)
		for _, g := range all(t, s.Store, sighting.Filter{}) {
			if g.Client.String() == client && g.Name != "" {
				oneByOne++
			}
		}
		return oneByOne
	}
	if got := put("192.0.2.1", 8); got != 3 {
		t.Errorf("%d names one by one under a bound of 3", got)
	}
	has := func(path, client string) func() bool {
		return func() bool {
			b, _ := os.ReadFile(path)
			return strings.Contains(string(b), client)
		}
	}
	await(t, "the first sighting is announced", has(before, "192.0.2.1"))

	bad := c
	bad.Limits.IndicatorsPerClient, bad.First.Path = -1, after
	if err := s.Update(bad); err == nil {
		t.Error("a bound below 1 was taken")
	}
	if got := put("192.0.2.2", 8); got != 3 {
		t.Errorf("%d names one by one after a change that was refused, want 3", got)
	}
	await(t, "the first sighting is announced in the old file", has(before, "192.0.2.2"))

	c.Limits.IndicatorsPerClient, c.First.Path = 5, after
	if err := s.Update(c); err != nil {
		t.Fatal(err)
	}
	if got := put("192.0.2.3", 8); got != 5 {
		t.Errorf("%d names one by one after the bound was raised to 5", got)
	}
	await(t, "the first sighting is announced in the new file", has(after, "192.0.2.3"))
	if has(before, "192.0.2.3")() {
		t.Error("the old file was written on")
	}
	c.First.Path = ""
	if err := s.Update(c); err != nil {
		t.Fatal(err)
	}
	put("192.0.2.4", 1)
	if has(after, "192.0.2.4")() {
		t.Error("a stream that was taken away was written on")
	}
}

// TestUpdateResizesRings: a full ring has room after Update, for own producers and for all others, and keeps what was in it.
func TestUpdateResizesRings(t *testing.T) {
	c := sighting.Config{Dir: t.TempDir(), Ring: 2}
	opened := open(t, c)
	p := opened.Producer()
	offer := func(n int) {
		for range n {
			a := ask{client: "192.0.2.1", name: "n.example", labels: 2, family: 1, generation: 1, at: time.Now()}
			a.fill(p.Slot())
			p.Commit()
			opened.Put(a.fill)
		}
	}
	offer(3)
	c.Ring = 32
	if err := opened.Update(c); err != nil {
		t.Fatal(err)
	}
	offer(20)
	s := run(t, opened)
	drained(t, s.Store)
	var kept, reported uint64
	await(t, "all events are recorded or reported", func() bool {
		kept = total(all(t, s.Store, sighting.Filter{}))
		reported, _ = lost(t, s.Store)
		return kept+reported == 2*23
	})
	if kept != 2*22 || reported != 2 {
		t.Errorf("%d events recorded and %d reported as lost, want 44 and 2", kept, reported)
	}
}
