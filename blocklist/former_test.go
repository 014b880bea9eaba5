package blocklist_test

import (
	"fmt"
	"slices"
	"testing"

	"cenote/blocklist"
)

// TestFormerFeedsAreRemembered: what feeds there were is known after they have left the configuration, and after a restart; those that were never loaded have
// left nothing.
func TestFormerFeedsAreRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		w.feed(name, list(name+".example"))
	}
	w.add(blocklist.Feed{FeedConfig: blocklist.FeedConfig{Name: "never", Path: t.TempDir() + "/nothing"}})
	w.reload(blocklist.ReloadOptions{})
	feeds := slices.Clone(w.feeds)
	keep := func(names ...string) {
		t.Helper()
		w.feeds = slices.DeleteFunc(slices.Clone(feeds), func(f blocklist.Feed) bool { return !slices.Contains(names, f.Name) })
		_, err := w.p.SetFeeds(t.Context(), w.feeds)
		must(t, err)
	}
	former := func(want ...string) {
		t.Helper()
		if got := w.p.Former(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("former feeds are %q, want %q", got, want)
		}
	}
	former()
	keep("a", "c")
	former("b")
	w.close()
	w.open(nil)
	former("b")
	keep("a", "b")
	former("c")
	w.close()
	w.feeds = feeds[:1] // changed while nobody served
	w.open(nil)
	former("c", "b")
	w.close()
	w.open(nil)
	former("c", "b")
}

// TestFormerFeedsAreBounded: those that left last are remembered.
func TestFormerFeedsAreBounded(t *testing.T) {
	t.Parallel()
	var known []string
	for i := range blocklist.FormerMax + 10 {
		known = append(known, fmt.Sprint("feed", i))
	}
	got := blocklist.FormerOf(known, map[string]uint64{"gone": 1, "here": 2, "feed5": 3}, []string{"here", "feed7"})
	if len(got) != blocklist.FormerMax || got[len(got)-1] != "gone" || got[0] != "feed11" {
		t.Errorf("%d are remembered, from %s to %s", len(got), got[0], got[len(got)-1])
	}
}
