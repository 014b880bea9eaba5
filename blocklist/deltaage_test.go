package blocklist_test

import (
	"testing"
	"time"

	"cenote/blocklist"
)

// TestOldDeltaIsMerged: a delta that has come of age goes into the index that it stands upon, with what has changed or with nothing, and not all lists are compiled anew.
func TestOldDeltaIsMerged(t *testing.T) {
	t.Parallel()
	for what, last := range map[string]string{
		"beside a change": domainList("old", 200, 3000) + domainList("new", 0, 200),
		"without one":     domainList("old", 100, 3000) + domainList("new", 0, 100),
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t, nil)
			w.files = 4
			w.feed("f", domainList("old", 0, 3000))
			w.reload(blocklist.ReloadOptions{})
			w.feed("f", domainList("old", 100, 3000)+domainList("new", 0, 100))
			w.reload(blocklist.ReloadOptions{})
			if n := w.hasDelta(); n != 200 {
				t.Fatalf("a delta of %d names, want 200", n)
			}
			w.p.SetDeltaAge(time.Nanosecond)
			before := w.p.Merged()
			w.feed("f", last)
			w.reload(blocklist.ReloadOptions{})
			if w.hasDelta() >= 0 || w.p.Merged() != before+1 {
				t.Errorf("a delta of %d names, and %d indexes made of the one before, want none and 1", w.hasDelta(), w.p.Merged()-before)
			}
			if !w.lists("n5.new.example") || w.lists("n5.old.example") {
				t.Error("the index says something else than the list")
			}
		})
	}
}

// TestLargeDeltaIsMergedAtRest: a delta that leaves no room for small changes goes into the index when nothing has changed for a while, by itself, so that the next small
// change is a delta; one that leaves room stays.
func TestLargeDeltaIsMergedAtRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.files = 4
	w.feed("f", domainList("old", 0, 3000))
	w.reload(blocklist.ReloadOptions{})
	w.p.SetDeltaRest(time.Millisecond)
	w.run()
	w.feed("f", domainList("old", 100, 3000)+domainList("new", 0, 100))
	w.eventually("the large delta is merged", func() bool { return w.p.Merged() == 1 && w.hasDelta() < 0 })
	w.p.SetDeltaRoom(1000)
	w.feed("f", domainList("old", 101, 3000)+domainList("new", 0, 101))
	w.eventually("the small delta is served", func() bool { return w.hasDelta() == 2 })
	if w.p.FoldsAt(time.Now().Add(time.Minute)) {
		t.Error("a delta that leaves room would be merged within a minute")
	}
}
