package blocklist_test

import (
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
)

// TestUpdateChangesHowFeedsAreWatched begins with a watcher that looks once an hour and hears no notices: what it picks up later, it does by
// the new settings.
func TestUpdateChangesHowFeedsAreWatched(t *testing.T) {
	for _, tc := range []struct {
		name string
		next blocklist.Settings
	}{
		{"polls", blocklist.Settings{Poll: 100 * time.Millisecond, Debounce: 20 * time.Millisecond, PollOnly: true}},
		{"hears notices", blocklist.Settings{Poll: time.Hour, Debounce: 20 * time.Millisecond}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *blocklist.Config) { c.Poll, c.PollOnly = time.Hour, true })
			w.feed("f", "0.0.0.0 a.example\n")
			w.run()
			w.eventually("a.example is listed", func() bool { return w.lists("a.example") })
			must(t, w.p.Update(tc.next))
			w.feed("f", "0.0.0.0 b.example\n")
			w.eventually("b.example is listed", func() bool { return w.lists("b.example") })
			w.feed("f", "0.0.0.0 c.example\n")
			w.eventually("c.example is listed", func() bool { return w.lists("c.example") })
		})
	}
}

func TestUpdateChangesTheChild(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *blocklist.Config) { c.Child = childWith(t, "hangs") })
	w.feed("f", "0.0.0.0 a.example\n")
	w.open(nil)
	hasty := childWith(t, "hangs")
	hasty.Timeout = time.Second
	must(t, w.p.Update(blocklist.Settings{Child: hasty}))
	if _, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{}); err == nil || !strings.Contains(err.Error(), "more than 1s") {
		t.Errorf("with a timeout of 1s: %v, want an error that says so", err)
	}
	must(t, w.p.Update(blocklist.Settings{Child: childWith(t)}))
	if w.reload(blocklist.ReloadOptions{}); !w.lists("a.example") {
		t.Errorf("a good child published nothing; log:\n%s", w.log())
	}
	for _, bad := range []blocklist.Settings{
		{Poll: -1}, {Debounce: -1}, {Child: blocklist.ChildConfig{MemoryBytes: -1}}, {Child: blocklist.ChildConfig{Cores: -1}}, {Child: blocklist.ChildConfig{Timeout: -1}},
		{Child: blocklist.ChildConfig{Patience: -1}},
	} {
		if w.p.Update(bad) == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	w.feed("f", "0.0.0.0 b.example\n")
	if w.reload(blocklist.ReloadOptions{}); !w.lists("b.example") {
		t.Errorf("a refused update changed the child; log:\n%s", w.log())
	}
}
