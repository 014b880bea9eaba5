package blocklist_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// reviewWorld is a publisher with feeds whose popular names are held.
func reviewWorld(t *testing.T, feeds map[string]string) (w *world, top string) {
	t.Helper()
	top = filepath.Join(t.TempDir(), "top.csv")
	write(t, top, "1,popular.example\n2,shop.example\n3,both.example\n")
	w = newWorld(t, nil)
	for _, name := range []string{"a", "b"} {
		if content, ok := feeds[name]; ok {
			w.feed(name, content)
			w.feeds[len(w.feeds)-1].Protect.Popular.Lists = []string{top}
		}
	}
	w.reload(blocklist.ReloadOptions{})
	return w, top
}

func (w *world) decide(d blocklist.Decision) blocklist.DecideReport {
	w.t.Helper()
	report, err := w.p.Decide(w.t.Context(), d)
	must(w.t, err)
	return report
}

// held lists the rows that wait, as "feed name".
func (w *world) held() string {
	rows, _ := w.p.HeldRows()
	var out []string
	for _, r := range rows {
		out = append(out, r.Feed+" "+r.Name)
	}
	return strings.Join(out, ", ")
}

const manyHeld = "0.0.0.0 popular.example\n0.0.0.0 shop.example\n0.0.0.0 both.example\n0.0.0.0 free.example\n"

// TestDecisionsAreInForceAtOnce: released rows are served and refused ones wait no more, through a restart and a new list; only the feeds that are
// concerned are read.
func TestDecisionsAreInForceAtOnce(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": manyHeld, "b": "0.0.0.0 both.example\n0.0.0.0 b.example\n"})
	if got := w.held(); got != "a popular.example, a shop.example, a both.example, b both.example" || w.lists("popular.example") {
		t.Fatalf("held are %s; popular.example is served: %v", got, w.lists("popular.example"))
	}
	report := w.decide(blocklist.Decision{Name: "Popular.Example.", Verdict: blocklist.VerdictRelease, Who: "officer", Why: "bots ask for it"})
	if len(report.Decisions) != 1 || report.Decisions[0].Feed != "a" || len(report.Reload.Feeds) != 1 || report.Reload.Feeds[0].Outcome != blocklist.OutcomeRead {
		t.Errorf("report = %+v, want one decision and feed a read", report)
	}
	w.decide(blocklist.Decision{Name: "shop.example", Verdict: blocklist.VerdictRefuse, Who: "officer", Why: "a shop"})
	if !w.lists("popular.example") || w.lists("shop.example") || w.held() != "a both.example, b both.example" {
		t.Errorf("popular served: %v, shop served: %v, held: %s", w.lists("popular.example"), w.lists("shop.example"), w.held())
	}
	s := w.status("a")
	if s.Report.Released != 1 || s.Report.Faults[blocklist.ReasonDecided].Count != 1 || s.Report.Held != 1 {
		t.Errorf("report = %+v, want one released, one refused, one held", s.Report)
	}
	for name, want := range map[string]float64{"cenote_blocklist_decisions": 2, "cenote_blocklist_feed_released_rows": 1} {
		if got := w.metric(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	w.close()
	w.open(nil)
	if got := w.reload(blocklist.ReloadOptions{}); len(got.Feeds) != 0 || !w.lists("popular.example") {
		t.Errorf("after a restart feeds are read anew: %+v; popular served: %v", got.Feeds, w.lists("popular.example"))
	}
	w.feed("a", manyHeld+"0.0.0.0 new.example\n")
	w.reload(blocklist.ReloadOptions{})
	if !w.lists("new.example") || !w.lists("popular.example") || w.lists("shop.example") {
		t.Error("a new list does not keep to what was decided")
	}
	w.decide(blocklist.Decision{Name: "popular.example", Verdict: blocklist.VerdictForget, Who: "officer"})
	if w.lists("popular.example") || len(w.p.Decisions()) != 1 {
		t.Errorf("after it was forgotten: served %v, decisions %+v", w.lists("popular.example"), w.p.Decisions())
	}
}

// TestDecisionsWithoutAFeedAreOfAllThatHold: and one of another feed is of that alone.
func TestDecisionsWithoutAFeedAreOfAllThatHold(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": manyHeld, "b": "0.0.0.0 both.example\n0.0.0.0 b.example\n"})
	w.decide(blocklist.Decision{Feed: "b", Name: "both.example", Verdict: blocklist.VerdictRelease, Why: "b knows"})
	if members := w.members("both.example"); len(members) != 1 || w.held() != "a popular.example, a shop.example, a both.example" {
		t.Errorf("members %+v, held %s; want that of feed b alone served", members, w.held())
	}
	report := w.decide(blocklist.Decision{Name: "both.example", Verdict: blocklist.VerdictRefuse, Why: "no"})
	if len(report.Decisions) != 2 || w.lists("both.example") {
		t.Errorf("decisions %+v, served %v; want both feeds refused", report.Decisions, w.lists("both.example"))
	}
	if forgotten := w.decide(blocklist.Decision{Name: "both.example"}); len(forgotten.Decisions) != 2 || len(w.p.Decisions()) != 0 {
		t.Errorf("forgotten %+v, left %+v", forgotten.Decisions, w.p.Decisions())
	}
}

func TestDecisionsAreChecked(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": manyHeld})
	long := strings.Repeat("x", blocklist.DecisionTextMax+1)
	for name, d := range map[string]blocklist.Decision{
		"a name that nobody holds":   {Name: "free.example", Verdict: blocklist.VerdictRelease, Why: "w"},
		"no name":                    {Name: "a b", Verdict: blocklist.VerdictRelease, Why: "w"},
		"no reason":                  {Name: "shop.example", Verdict: blocklist.VerdictRelease, Why: "  "},
		"a reason that is too long":  {Name: "shop.example", Verdict: blocklist.VerdictRelease, Why: long},
		"somebody who is too long":   {Name: "shop.example", Verdict: blocklist.VerdictRelease, Why: "w", Who: long},
		"another verdict":            {Name: "shop.example", Verdict: "perhaps", Why: "w"},
		"forgetting what is unknown": {Name: "shop.example"},
	} {
		if _, err := w.p.Decide(t.Context(), d); !errors.Is(err, blocklist.ErrDecision) {
			t.Errorf("%s: %v, want ErrDecision", name, err)
		}
	}
	if _, err := w.p.Decide(t.Context(), blocklist.Decision{Feed: "none", Name: "shop.example", Verdict: blocklist.VerdictRelease, Why: "w"}); !errors.Is(err, blocklist.ErrUnknownFeed) {
		t.Errorf("an unknown feed: %v", err)
	}
	if all := w.p.Decisions(); len(all) != 0 {
		t.Errorf("decisions are %+v, want none", all)
	}
}

// TestDecisionBeforehandWaitsForItsRow: a decision with a feed may come before the row.
func TestDecisionBeforehandWaitsForItsRow(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": "0.0.0.0 free.example\n"})
	w.decide(blocklist.Decision{Feed: "a", Name: "popular.example", Verdict: blocklist.VerdictRelease, Why: "a new operation"})
	w.feed("a", manyHeld)
	w.reload(blocklist.ReloadOptions{})
	if !w.lists("popular.example") || w.lists("shop.example") {
		t.Errorf("popular served %v, shop served %v; want the first alone", w.lists("popular.example"), w.lists("shop.example"))
	}
}

// TestDecisionsOutliveWhoeverAsked: who gives up while the feed is read finds it read soon after.
func TestDecisionsOutliveWhoeverAsked(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": manyHeld})
	w.run()
	w.feed("a", manyHeld+"0.0.0.0 watched.example\n")
	w.eventually("the feed is followed", func() bool { return w.lists("watched.example") })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for w.p.Decisions() == nil { // one who has gone gets the turn now and then
		_, _ = w.p.Decide(gone, blocklist.Decision{Name: "popular.example", Verdict: blocklist.VerdictRelease, Why: "w"})
	}
	w.eventually("the decision is in force", func() bool { return w.lists("popular.example") })
}

// TestListOfPopularNamesIsFollowed: when it changes the feeds are read anew, and a missing one keeps the last good copy.
func TestListOfPopularNamesIsFollowed(t *testing.T) {
	t.Parallel()
	w, top := reviewWorld(t, map[string]string{"a": manyHeld})
	since := w.p.Status()[0].Report.HeldRows[1].Since
	write(t, top, "2,shop.example\n")
	w.reload(blocklist.ReloadOptions{})
	if !w.lists("popular.example") || w.held() != "a shop.example" {
		t.Errorf("popular served %v, held %s", w.lists("popular.example"), w.held())
	}
	if again := w.p.Status()[0].Report.HeldRows[0].Since; since.IsZero() || !again.Equal(since) {
		t.Errorf("shop.example waits since %v, before since %v", again, since)
	}
	must(t, os.Remove(top))
	w.reload(blocklist.ReloadOptions{})
	if s := w.status("a"); s.State != blocklist.FeedKept || !strings.Contains(s.Error, "top.csv") || !w.lists("popular.example") {
		t.Errorf("without the list: state %s, %q", s.State, s.Error)
	}
	write(t, top, "not; a, list\n")
	w.reload(blocklist.ReloadOptions{})
	if s := w.status("a"); s.State != blocklist.FeedKept || !strings.Contains(s.Error, "popular names cannot be used") {
		t.Errorf("with another file in its place: state %s, %q", s.State, s.Error)
	}
}

// TestChangedFindingsAreTold: a copy that serves the same, but of which something else waits or is refused, tells it.
func TestChangedFindingsAreTold(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": "0.0.0.0 popular.example\n0.0.0.0 free.example\n"})
	w.feed("a", "0.0.0.0 shop.example\n0.0.0.0 free.example\n")
	w.reload(blocklist.ReloadOptions{})
	if got := w.held(); got != "a shop.example" {
		t.Errorf("held: %s, want shop.example", got)
	}
	w.feed("a", "0.0.0.0 shop.example\n0.0.0.0 free.example\n0.0.0.0 com\n")
	w.reload(blocklist.ReloadOptions{})
	if faults := w.status("a").Report.Faults; faults[blocklist.ReasonTLD] == nil {
		t.Errorf("faults: %v, want the top-level domain", faults)
	}
}

// TestDamagedDecisionsHoldTheirRows: what cannot be read does not count, is told, and kept aside.
func TestDamagedDecisionsHoldTheirRows(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": manyHeld})
	w.decide(blocklist.Decision{Name: "popular.example", Verdict: blocklist.VerdictRelease, Who: "o", Why: "w"})
	w.decide(blocklist.Decision{Name: "shop.example", Verdict: blocklist.VerdictRelease, Who: "o", Why: "w"})
	w.close()
	path := filepath.Join(w.dir, "state", "decisions.jsonl")
	b, err := os.ReadFile(path)
	must(t, err)
	first, second, _ := strings.Cut(string(b), "\n")
	if !strings.HasPrefix(first, `{"feed":"a","name":"popular.example","verdict":"release","who":"o","when":"`) {
		t.Errorf("the first line is %s", first)
	}
	write(t, path, first[:20]+"\n"+second)
	w.open(nil)
	w.reload(blocklist.ReloadOptions{})
	if w.lists("popular.example") || !w.lists("shop.example") || len(w.p.Decisions()) != 1 || !strings.Contains(w.log(), "decisions.jsonl:1: it is no decision") {
		t.Errorf("popular served %v, shop served %v, decisions %+v; log:\n%s", w.lists("popular.example"), w.lists("shop.example"), w.p.Decisions(), w.log())
	}
	if kept, err := os.ReadFile(path + ".damaged"); err != nil || !strings.HasPrefix(string(kept), first[:20]+"\n") {
		t.Errorf("the damaged file is kept as %q, %v", kept, err)
	}
}

// TestNumberOfDecisionsIsBounded fills the file up to its bound.
func TestNumberOfDecisionsIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	top := filepath.Join(t.TempDir(), "top")
	write(t, top, "popular.example\nshop.example\n")
	w.feed("a", manyHeld)
	w.feeds[0].Protect.Popular.Lists = []string{top}
	var b strings.Builder
	for i := range blocklist.DecisionsMax - 1 {
		fmt.Fprintf(&b, `{"feed":"other","name":"n%d.example","verdict":"refuse","who":"o","when":"2026-01-02T03:04:05Z","why":"w"}`+"\n", i)
	}
	write(t, filepath.Join(w.dir, "state", "decisions.jsonl"), b.String())
	w.reload(blocklist.ReloadOptions{})
	w.decide(blocklist.Decision{Name: "popular.example", Verdict: blocklist.VerdictRelease, Why: "the last"})
	_, err := w.p.Decide(t.Context(), blocklist.Decision{Name: "shop.example", Verdict: blocklist.VerdictRelease, Why: "one too many"})
	if !errors.Is(err, blocklist.ErrDecision) || !strings.Contains(err.Error(), "cenote held --decisions") || len(w.p.Decisions()) != blocklist.DecisionsMax {
		t.Errorf("one too many: %v, with %d decisions", err, len(w.p.Decisions()))
	}
}

// TestDecisionThatCannotBeStoredIsNotInForce: a disk that fails changes nothing.
func TestDecisionThatCannotBeStoredIsNotInForce(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": manyHeld})
	must(t, os.MkdirAll(filepath.Join(w.dir, "state", "decisions.jsonl", "in-the-way"), 0o755))
	_, err := w.p.Decide(t.Context(), blocklist.Decision{Name: "popular.example", Verdict: blocklist.VerdictRelease, Why: "w"})
	if err == nil || len(w.p.Decisions()) != 0 || w.lists("popular.example") {
		t.Errorf("error %v, decisions %+v, served %v; want nothing decided", err, w.p.Decisions(), w.lists("popular.example"))
	}
}

// TestGrowthAndErrorsAreGuarded: a feed that grows many times over or that mostly cannot be read keeps its last good copy until it is forced.
func TestGrowthAndErrorsAreGuarded(t *testing.T) {
	broken := func(good, bad int) string {
		return manyHosts("v2", good) + strings.Repeat("0.0.0.0 a,b\n", bad)
	}
	for _, tc := range []struct {
		name, first, second string
		set                 func(*blocklist.Feed)
		error, guard        string // "" if it is taken
	}{
		{"grown by its bound", manyHosts("v1", 5000), manyHosts("v2", 55_000), nil, "", ""},
		{"grown by more", manyHosts("v1", 5000), manyHosts("v2", 55_001), nil, "grew by more than 1000%", "grow"},
		{"grown, but small", manyHosts("v1", 10), manyHosts("v2", blocklist.GrowLeast), nil, "", ""},
		{"grown from little", manyHosts("v1", 10), manyHosts("v2", blocklist.GrowLeast+1), nil, "raise feeds[].grow_max", "grow"},
		{"may not grow", manyHosts("v1", blocklist.GrowLeast), manyHosts("v2", blocklist.GrowLeast+1), func(f *blocklist.Feed) { f.GrowMax = -1 }, "more than 0%", "grow"},
		{"may grow as it likes", manyHosts("v1", 10), manyHosts("v2", blocklist.GrowLeast+1), func(f *blocklist.Feed) { f.GrowMax = 1e6 }, "", ""},
		{"as many errors as may be", manyHosts("v1", 50), broken(60, 60), func(f *blocklist.Feed) { f.ErrorMax = 0.5 }, "", ""},
		{"one error more", manyHosts("v1", 50), broken(60, 61), func(f *blocklist.Feed) { f.ErrorMax = 0.5 }, "61 of 121 rows, more than 50%", "errors"},
		{"no error may be", manyHosts("v1", 50), broken(100, 1), func(f *blocklist.Feed) { f.ErrorMax = -1 }, "set error_max", "errors"},
		{"too few rows to tell", manyHosts("v1", 50), broken(25, blocklist.ErrorLeast-25), func(f *blocklist.Feed) { f.ErrorMax = 0.5 }, "", ""},
		{"rows about something else", manyHosts("v1", 50), manyHosts("v2", 30) + strings.Repeat("0.0.0.0 http://a.example/b\n", 300), func(f *blocklist.Feed) { f.ErrorMax = 0.1 }, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.feed("f", tc.first)
			if tc.set != nil {
				tc.set(&w.feeds[0])
			}
			w.reload(blocklist.ReloadOptions{})
			w.feed("f", tc.second)
			w.reload(blocklist.ReloadOptions{})
			s := w.status("f")
			if kept := w.lists("n0.v1.example"); kept != (tc.error != "") || !strings.Contains(s.Error, tc.error) || kept && !strings.Contains(s.Error, "cenote reload --force f") {
				t.Errorf("old one served: %v, error %q; want %v, %q", kept, s.Error, tc.error != "", tc.error)
			}
			if got := w.metric("cenote_blocklist_guarded_total"); got > 0 != (tc.guard != "") {
				t.Errorf("cenote_blocklist_guarded_total = %v", got)
			}
			w.reload(blocklist.ReloadOptions{Force: true, Feeds: []string{"f"}})
			if !w.lists("n0.v2.example") {
				t.Errorf("not taken by force: %+v", w.status("f"))
			}
		})
	}
}

// TestDecisionsWaitForAPinnedFeed: a feed that is pinned to an older copy is not read; what was decided is in force once it is unpinned.
func TestDecisionsWaitForAPinnedFeed(t *testing.T) {
	t.Parallel()
	w, _ := reviewWorld(t, map[string]string{"a": manyHeld})
	_, err := w.p.Rollback(t.Context(), blocklist.RollbackOptions{Feed: "a", To: w.status("a").Copy})
	must(t, err)
	report := w.decide(blocklist.Decision{Name: "popular.example", Verdict: blocklist.VerdictRelease, Why: "w"})
	if f := report.Reload.Feeds; len(f) != 1 || f[0].Failure == nil || !strings.Contains(f[0].Failure.Text, "unpinned") || w.lists("popular.example") {
		t.Errorf("report %+v, served %v; want to be told that the feed is pinned", report.Reload, w.lists("popular.example"))
	}
	_, err = w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "a"})
	must(t, err)
	if !w.lists("popular.example") {
		t.Error("what was decided is not in force after the pin has gone")
	}
}
