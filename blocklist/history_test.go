package blocklist_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
)

// list is a feed of some names that are always there, and these.
func list(names ...string) string {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, "0.0.0.0 always%d.example\n", i)
	}
	for _, n := range names {
		fmt.Fprintf(&b, "0.0.0.0 %s\n", n)
	}
	return b.String()
}

// historyWorld serves a feed f whose copies 1 to 3 list one.example, two.example and three.example.
func historyWorld(t *testing.T, base func(*blocklist.Config)) *world {
	t.Helper()
	w := newWorld(t, base)
	for _, name := range []string{"one.example", "two.example", "three.example"} {
		w.feed("f", list(name))
		w.reload(blocklist.ReloadOptions{})
	}
	return w
}

func (w *world) rollback(o blocklist.RollbackOptions) blocklist.ReloadReport {
	w.t.Helper()
	report, err := w.p.Rollback(w.t.Context(), o)
	must(w.t, err)
	return report
}

// copies are the numbers of the copies that are kept of f, with a star at that which is served.
func (w *world) copies() string {
	w.t.Helper()
	history, err := w.p.History("f")
	must(w.t, err)
	var out []string
	for _, c := range history[0].Copies {
		mark := ""
		if c.Served {
			mark = "*"
		}
		if c.Error != "" {
			mark = "!"
		}
		out = append(out, fmt.Sprint(c.Copy)+mark)
	}
	return strings.Join(out, " ")
}

// serves tells which of the three names of historyWorld are served.
func (w *world) serves() string {
	var out []string
	for _, name := range []string{"one", "two", "three", "four"} {
		if w.lists(name + ".example") {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

func TestHistoryTellsWhatIsKept(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	history, err := w.p.History("")
	must(t, err)
	if len(history) != 1 || history[0].Feed != "f" || len(history[0].Copies) != 3 || history[0].Pin != nil {
		t.Fatalf("history = %+v", history)
	}
	for i, c := range history[0].Copies {
		if c.Copy != uint64(3-i) || c.Served != (i == 0) || c.Entries != 21 || c.Names != 21 || c.Bytes == 0 || c.Format != "hosts" || c.Read.IsZero() || c.Source.Size == 0 {
			t.Errorf("copy %d = %+v", i, c)
		}
	}
	if _, err := w.p.History("none"); !errors.Is(err, blocklist.ErrUnknownFeed) {
		t.Errorf("of no feed: %v", err)
	}
}

// TestHistoryIsBounded by number and by octets, the oldest goes first, and that which is served always stays.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	change := func(w *world, n int) {
		for i := range n {
			w.feed("f", list(fmt.Sprintf("n%d-%d.example", w.metricNumber(), i)))
			w.reload(blocklist.ReloadOptions{})
		}
	}
	w := historyWorld(t, func(c *blocklist.Config) { c.History = 4 })
	change(w, 2)
	if got := w.copies(); got != "5* 4 3 2" {
		t.Errorf("of 5 copies %q are kept, want 4", got)
	}
	w.rollback(blocklist.RollbackOptions{Feed: "f", To: 2})
	settings := w.config(nil).Settings
	settings.History = 2
	must(t, w.p.Update(settings))
	w.rollback(blocklist.RollbackOptions{Feed: "f", To: 2})
	if got := w.copies(); got != "5 2*" {
		t.Errorf("with room for 2, of which 2 is served: %q", got)
	}
	w.close()
	w.open(func(c *blocklist.Config) { c.History, c.HistoryBytes = 10, 10 })
	if got := w.copies(); got != "2*" {
		t.Errorf("with room for 10 octets: %q", got)
	}
	must(t, w.p.Update(w.config(func(c *blocklist.Config) { c.HistoryBytes = -1 }).Settings))
	_, err := w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"})
	must(t, err)
	if rows, _ := filepath.Glob(filepath.Join(w.dir, "state", "feeds", "f", "*.rows")); len(rows) > 2 {
		t.Errorf("on the disk are %q", rows)
	}
}

// TestCopyThatCannotBeLookedAtStays in the history, counted and told once: only one that is not there has left it.
func TestCopyThatCannotBeLookedAtStays(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, func(c *blocklist.Config) { c.History = 10 })
	feeds := filepath.Join(w.dir, "state", "feeds", "f")
	broken, gone := filepath.Join(feeds, "2.rows"), filepath.Join(feeds, "1.rows")
	must(t, os.Remove(broken))
	must(t, os.Symlink(broken, broken)) // to look at it fails, of whatever user
	must(t, os.Remove(gone))
	for _, name := range []string{"four.example", "five.example"} {
		w.feed("f", list(name))
		w.reload(blocklist.ReloadOptions{})
	}
	if got := w.copies(); got != "5* 4 3 2!" {
		t.Errorf("copies %q are kept", got)
	}
	if n, told := w.metric("cenote_blocklist_store_failures_total"), strings.Count(w.log(), "a kept copy cannot be looked at"); n < 2 || told != 1 {
		t.Errorf("%v failures are counted, and %d are told; log:\n%s", n, told, w.log())
	}
	must(t, os.Remove(broken)) // it leaves the history, and the next is told of again
	next := filepath.Join(feeds, "3.rows")
	must(t, os.Rename(next, next+".aside"))
	must(t, os.Symlink(next, next))
	for _, name := range []string{"six.example", "seven.example"} {
		w.feed("f", list(name))
		w.reload(blocklist.ReloadOptions{})
	}
	if got, told := w.copies(), strings.Count(w.log(), "a kept copy cannot be looked at"); got != "7* 6 5 4 3!" || told != 2 {
		t.Errorf("copies %q are kept, and %d were told of; log:\n%s", got, told, w.log())
	}
}

// TestCopyThatCanBeLookedAtAgain can be served.
func TestCopyThatCanBeLookedAtAgain(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, func(c *blocklist.Config) { c.History = 10 })
	broken, aside := filepath.Join(w.dir, "state", "feeds", "f", "2.rows"), filepath.Join(w.dir, "aside")
	must(t, os.Rename(broken, aside))
	must(t, os.Symlink(broken, broken))
	w.feed("f", list("four.example"))
	w.reload(blocklist.ReloadOptions{})
	must(t, os.Remove(broken))
	must(t, os.Rename(aside, broken))
	if w.rollback(blocklist.RollbackOptions{Feed: "f", To: 2}); w.serves() != "two" {
		t.Errorf("%q is served", w.serves())
	}
}

// TestCopiesThatCannotBeListedStay in the history: a start while the disk fails does not lose what is recorded, nor its files.
func TestCopiesThatCannotBeListedStay(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, func(c *blocklist.Config) { c.History = 10 })
	w.close()
	feeds, aside := filepath.Join(w.dir, "state", "feeds", "f"), filepath.Join(w.dir, "aside")
	must(t, os.Rename(feeds, aside))
	must(t, os.Symlink(feeds, feeds)) // to read it fails, of whatever user
	w.open(nil)
	if got := w.copies(); got != "3! 2! 1!" || !strings.Contains(w.log(), "the kept copies of a feed cannot be listed") {
		t.Errorf("copies %q are kept; log:\n%s", got, w.log())
	}
	must(t, os.Remove(feeds))
	must(t, os.Rename(aside, feeds))
	w.feed("f", list("four.example"))
	w.reload(blocklist.ReloadOptions{})
	if got := w.copies(); !strings.HasSuffix(got, "* 3 2 1") || w.serves() != "four" {
		t.Errorf("copies %q are kept when the disk is well again, %q is served", got, w.serves())
	}
}

// TestUnknownFeedIsToldWhatMayBeMeant wherever one is named, and of many feeds a part is listed.
func TestUnknownFeedIsToldWhatMayBeMeant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 40 {
		w.feed(fmt.Sprintf("stealers-%02d", i), "0.0.0.0 a.example\n")
	}
	w.reload(blocklist.ReloadOptions{})
	const wrong = "stealer-07"
	for what, ask := range map[string]func() error{
		"history":  func() error { _, err := w.p.History(wrong); return err },
		"rollback": func() error { _, err := w.p.Rollback(t.Context(), blocklist.RollbackOptions{Feed: wrong}); return err },
		"unpin":    func() error { _, err := w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: wrong}); return err },
		"diff":     func() error { _, err := w.p.Diff(t.Context(), blocklist.DiffOptions{Feed: wrong}); return err },
		"reload": func() error {
			_, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{Feeds: []string{wrong}})
			return err
		},
		"decide": func() error {
			_, err := w.p.Decide(t.Context(), blocklist.Decision{Feed: wrong, Name: "a.example", Verdict: blocklist.VerdictRelease, Why: "w"})
			return err
		},
	} {
		err := ask()
		if !errors.Is(err, blocklist.ErrUnknownFeed) || !strings.Contains(err.Error(), `did you mean "stealers-07"?`) ||
			!strings.Contains(err.Error(), "40 are known here") || strings.Contains(err.Error(), "stealers-39") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// metricNumber is a number that grows with every policy.
func (w *world) metricNumber() int { return int(w.current().Number) }

func TestRollback(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprintf("whole %t", whole), func(t *testing.T) {
			t.Parallel()
			w := historyWorld(t, nil)
			if w.whole = whole; whole {
				w.p.SetDeltas(0, time.Hour)
			}
			report := w.rollback(blocklist.RollbackOptions{Feed: "f", By: "the desk", Why: "it lists a bank"})
			if !report.Published || len(report.Feeds) != 1 || report.Feeds[0].Outcome != blocklist.OutcomeRestored || report.Feeds[0].Copy != 2 || w.serves() != "two" {
				t.Fatalf("report %+v, %q is served; log:\n%s", report, w.serves(), w.log())
			}
			if w.hasDelta() >= 0 == whole {
				t.Errorf("a delta of %d names, whole %t", w.hasDelta(), whole)
			}
			row, err := w.current().Locate(0, []byte(dnsname.MustParse("two.example")))
			if err != nil || row.Line != 21 {
				t.Errorf("Locate = %+v, %v", row, err)
			}
			s := w.status("f")
			if s.State != blocklist.FeedPinned || s.Copy != 2 || s.Pin == nil || s.Pin.Copy != 2 || s.Pin.By != "the desk" || s.Pin.Why != "it lists a bank" || s.Pin.Since.IsZero() {
				t.Errorf("status = %+v", s)
			}
			if got := w.copies(); got != "3 2* 1" {
				t.Errorf("kept are %q", got)
			}
			for _, want := range []string{"feed rolled back", "from=3", "to=2", `by="the desk"`, `why="it lists a bank"`} {
				if !strings.Contains(w.log(), want) {
					t.Errorf("the log lacks %s:\n%s", want, w.log())
				}
			}
			w.rollback(blocklist.RollbackOptions{Feed: "f"})
			if w.serves() != "one" {
				t.Errorf("one step more serves %q", w.serves())
			}
			w.rollback(blocklist.RollbackOptions{Feed: "f", To: 3})
			if w.serves() != "three" || w.status("f").Pin.Copy != 3 || w.p.CompileStatus().Pending {
				t.Errorf("and forward %q", w.serves())
			}
		})
	}
}

// TestPinnedFeedIsNotRead, whatever its source does, also across restarts, until it is unpinned.
func TestPinnedFeedIsNotRead(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	w.rollback(blocklist.RollbackOptions{Feed: "f"})
	stays := func(when string) {
		t.Helper()
		if s := w.status("f"); w.serves() != "two" || s.State != blocklist.FeedPinned || s.Copy != 2 || s.Pin == nil {
			t.Errorf("%s: %q is served, status %+v; log:\n%s", when, w.serves(), s, w.log())
		}
	}
	number := w.current().Number
	w.close()
	w.open(nil)
	if stays("after a restart"); w.current().Number != number {
		t.Errorf("generation %d became %d", number, w.current().Number)
	}
	w.feed("f", list("four.example"))
	if report := w.reload(blocklist.ReloadOptions{Force: true}); len(report.Feeds) != 0 {
		t.Errorf("a reload of all: %+v", report)
	}
	stays("after a reload of all")
	report := w.reload(blocklist.ReloadOptions{Feeds: []string{"f"}, Force: true})
	if len(report.Feeds) != 1 || report.Feeds[0].Outcome != blocklist.OutcomeFailed || !strings.Contains(report.Feeds[0].Failure.Text, "cenote feeds unpin f") {
		t.Errorf("a reload of the feed: %+v", report)
	}
	stays("after a reload of the feed")
	w.feeds[0].Family = "other"
	_, err := w.p.SetFeeds(t.Context(), w.feeds)
	must(t, err)
	stays("configured otherwise")
	w.p.SetDeltas(0, time.Hour)
	w.feed("g", "0.0.0.0 g.example\n")
	stays("beside another feed, all compiled anew")
	if !w.lists("g.example") {
		t.Error("the other feed is not served")
	}
	stop := w.follow()
	w.feed("f", list("three.example", "four.example"))
	w.feed("g", "0.0.0.0 g2.example\n")
	w.eventually("the other feed is followed", func() bool { return w.p.Current().Policy.Index().Len() > 0 && w.lists("g2.example") })
	stays("while it is watched")
	stop()
	w.open(nil)
	stays("after another restart")
	report, err = w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f", By: "the desk", Why: "mended"})
	must(t, err)
	if s := w.status("f"); !report.Published || w.serves() != "three four" || s.State != blocklist.FeedGood || s.Pin != nil || !strings.Contains(w.log(), "why=mended") {
		t.Errorf("after unpin: report %+v, %q is served, %+v; log:\n%s", report, w.serves(), s, w.log())
	}
	w.close()
	w.open(nil)
	if w.serves() != "three four" || w.status("f").Pin != nil {
		t.Errorf("after a last restart %q is served, %+v", w.serves(), w.status("f"))
	}
	if _, err := w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"}); !errors.Is(err, blocklist.ErrNotPinned) {
		t.Errorf("unpinned twice: %v", err)
	}
}

// TestFailedRollbackChangesNothing of what is served, what is kept, and what a restart finds.
func TestFailedRollbackChangesNothing(t *testing.T) {
	t.Parallel()
	rows := func(w *world, n int) string {
		return filepath.Join(w.dir, "state", "feeds", "f", fmt.Sprint(n, ".rows"))
	}
	for name, tc := range map[string]struct {
		to     uint64
		before func(t testing.TB, w *world) (after func())
		want   string
	}{
		"no such copy":             {9, nil, "keeps no copy 9; it keeps 3, 2, 1 (see"},
		"a damaged head":           {0, func(t testing.TB, w *world) func() { damage(t, rows(w, 2), 20); return nil }, "damaged"},
		"a damaged block":          {0, func(t testing.TB, w *world) func() { damage(t, rows(w, 2), 250); return nil }, "damaged"},
		"a copy that is gone":      {1, func(t testing.TB, w *world) func() { must(t, os.Remove(rows(w, 1))); return nil }, "no such file"},
		"no child":                 {0, func(t testing.TB, w *world) func() { badChild(t, w); return nil }, "stays at copy 3"},
		"a state disk that's full": {0, func(t testing.TB, w *world) func() { return w.blockState() }, "stays at copy 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := historyWorld(t, nil)
			number := w.current().Number
			after := func() {}
			if tc.before != nil {
				if f := tc.before(t, w); f != nil {
					after = f
				}
			}
			_, err := w.p.Rollback(t.Context(), blocklist.RollbackOptions{Feed: "f", To: tc.to})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Rollback: %v, want %q", err, tc.want)
			}
			unchanged := func(when string) {
				t.Helper()
				s, c := w.status("f"), w.p.CompileStatus()
				if w.serves() != "three" || w.current().Number != number || s.Pin != nil || s.State != blocklist.FeedGood || s.Copy != 3 || c.Pending || c.Error != "" {
					t.Errorf("%s: %q is served, generation %d, feed %+v, policy %+v; log:\n%s", when, w.serves(), w.current().Number, s, c, w.log())
				}
			}
			unchanged("at once")
			after()
			w.close()
			w.open(nil)
			unchanged("after a restart")
			w.feed("f", list("four.example"))
			w.reload(blocklist.ReloadOptions{})
			if w.serves() != "four" {
				t.Errorf("after the next change %q is served", w.serves())
			}
		})
	}
}

// blockState keeps the publisher from storing anything until the returned function is called.
func (w *world) blockState() (unblock func()) {
	w.t.Helper()
	current := filepath.Join(w.dir, "state", "current")
	must(w.t, os.Rename(current, current+".away"))
	must(w.t, os.MkdirAll(filepath.Join(current, "in the way"), 0o700))
	return func() {
		must(w.t, os.RemoveAll(current))
		must(w.t, os.Rename(current+".away", current))
	}
}

// TestUnpin reads the source although it has not changed, and changes nothing where the record of it cannot be stored.
func TestUnpin(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	w.rollback(blocklist.RollbackOptions{Feed: "f"})
	unblock := w.blockState()
	if _, err := w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"}); err == nil || !strings.Contains(err.Error(), "stays pinned") {
		t.Errorf("Unpin: %v", err)
	}
	if s := w.status("f"); w.serves() != "two" || s.State != blocklist.FeedPinned {
		t.Errorf("%q is served, %+v", w.serves(), s)
	}
	unblock()
	report, err := w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"})
	must(t, err)
	if w.serves() != "three" || !report.Published || w.status("f").State != blocklist.FeedGood {
		t.Errorf("after that %q is served, report %+v, %+v", w.serves(), report, w.status("f"))
	}
	must(t, os.Remove(w.feeds[0].Path))
	w.rollback(blocklist.RollbackOptions{Feed: "f", To: 2})
	if _, err := w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"}); err != nil || w.serves() != "two" || w.status("f").State != blocklist.FeedKept {
		t.Errorf("without a source: %v, %q is served, %+v", err, w.serves(), w.status("f"))
	}
}

// TestUnpinTellsWhatItReads: whoever unpins a feed is told what came of reading its source, also where the publisher, which follows the feeds, is about to read it.
func TestUnpinTellsWhatItReads(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	w.run()
	w.rollback(blocklist.RollbackOptions{Feed: "f"})
	rest := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for {
			select {
			case <-rest:
				return
			default:
				w.p.WakeUp()
			}
		}
	})
	report, err := w.p.Unpin(t.Context(), blocklist.UnpinOptions{Feed: "f"})
	close(rest)
	others.Wait()
	must(t, err)
	if len(report.Feeds) != 1 || report.Feeds[0].Outcome != blocklist.OutcomeRead || !report.Published || w.serves() != "three" {
		t.Errorf("the report is %+v, and %q is served", report, w.serves())
	}
}

// badChild gives the publisher a child that does nothing.
func badChild(t testing.TB, w *world) {
	t.Helper()
	settings := w.config(nil).Settings
	settings.Child.Command = []string{"/bin/false"}
	must(t, w.p.Update(settings))
}

func TestRollbackThatIsCancelled(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.p.Rollback(ctx, blocklist.RollbackOptions{Feed: "f"}); err == nil || w.serves() != "three" || w.status("f").Pin != nil {
		t.Errorf("Rollback: %v; %q is served, %+v", err, w.serves(), w.status("f"))
	}
	if _, err := w.p.Rollback(t.Context(), blocklist.RollbackOptions{Feed: "none"}); !errors.Is(err, blocklist.ErrUnknownFeed) {
		t.Errorf("of no feed: %v", err)
	}
}

// TestOldestCopyHasNothingBefore: there is nothing to go back to, but it can be pinned, and that is stored.
func TestOldestCopyHasNothingBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("f", list("one.example"))
	w.reload(blocklist.ReloadOptions{})
	if _, err := w.p.Rollback(t.Context(), blocklist.RollbackOptions{Feed: "f"}); err == nil || !strings.Contains(err.Error(), "no copy older than 1") {
		t.Errorf("Rollback: %v", err)
	}
	if report := w.rollback(blocklist.RollbackOptions{Feed: "f", To: 1}); report.Published {
		t.Errorf("pinning what is served publishes it: %+v", report)
	}
	w.close()
	w.open(nil)
	w.feed("f", list("two.example"))
	w.reload(blocklist.ReloadOptions{})
	if w.serves() != "one" || w.status("f").State != blocklist.FeedPinned {
		t.Errorf("%q is served, %+v", w.serves(), w.status("f"))
	}
}

// TestRollbackInNoZone: a feed that no zone holds goes back too, and a zone that takes it gets that copy.
func TestRollbackInNoZone(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	w.feed("g", "0.0.0.0 g.example\n")
	w.reload(blocklist.ReloadOptions{})
	_, err := w.p.SetZones(t.Context(), zonesOf("g"))
	must(t, err)
	damage(t, filepath.Join(w.dir, "state", "feeds", "f", "2.rows"), 250)
	if _, err := w.p.Rollback(t.Context(), blocklist.RollbackOptions{Feed: "f"}); !strings.Contains(fmt.Sprint(err), "damaged") {
		t.Errorf("to a damaged copy: %v", err)
	}
	w.rollback(blocklist.RollbackOptions{Feed: "f", To: 1})
	w.close()
	w.open(func(c *blocklist.Config) { c.Order.Zones = zonesOf("f", "g") })
	w.reload(blocklist.ReloadOptions{})
	if w.serves() != "one" || w.status("f").State != blocklist.FeedPinned {
		t.Errorf("%q is served, %+v; log:\n%s", w.serves(), w.status("f"), w.log())
	}
}

// TestPinnedCopyThatIsDamaged: a feed that was rolled back does not go forward by itself. Where nothing older is left, its source is read again.
func TestPinnedCopyThatIsDamaged(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	w.rollback(blocklist.RollbackOptions{Feed: "f", To: 2})
	w.close()
	damage(t, filepath.Join(w.dir, "state", "feeds", "f", "2.rows"), 20)
	w.open(nil)
	w.reload(blocklist.ReloadOptions{})
	if w.serves() != "one" || w.status("f").State != blocklist.FeedPinned {
		t.Errorf("%q is served, %+v; log:\n%s", w.serves(), w.status("f"), w.log())
	}
	w.close()
	damage(t, filepath.Join(w.dir, "state", "feeds", "f", "1.rows"), 20)
	w.open(nil)
	w.reload(blocklist.ReloadOptions{})
	if w.serves() != "three" || w.status("f").Pin != nil || !strings.Contains(w.log(), "no copy is left of a feed that was rolled back") {
		t.Errorf("%q is served, %+v; log:\n%s", w.serves(), w.status("f"), w.log())
	}
}

// TestPinnedCopyThatIsFoundDamaged while all is compiled is not mended from the source.
func TestPinnedCopyThatIsFoundDamaged(t *testing.T) {
	t.Parallel()
	w := historyWorld(t, nil)
	w.rollback(blocklist.RollbackOptions{Feed: "f", To: 2})
	damage(t, filepath.Join(w.dir, "state", "feeds", "f", "2.rows"), 250)
	w.p.SetDeltas(0, time.Nanosecond) // which has the index made anew
	_, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{})
	if err == nil || w.serves() != "two" || w.status("f").Copy != 2 || !strings.Contains(w.p.CompileStatus().Error, "damaged") {
		t.Errorf("Reload: %v; %q is served, %+v", err, w.serves(), w.p.CompileStatus())
	}
}

// diffOf is what Diff lists, a page at a time.
func (w *world) diffOf(o blocklist.DiffOptions) (counts blocklist.DiffCounts, rows []string) {
	w.t.Helper()
	o.Feed = "f"
	for page := 0; ; page++ {
		d, err := w.p.Diff(w.t.Context(), o)
		must(w.t, err)
		if (d.Counts != nil) != (page == 0) {
			w.t.Errorf("page %d has counts %+v", page, d.Counts)
		}
		if d.Counts != nil {
			counts = *d.Counts
		}
		if o.Limit > 0 && len(d.Rows) > o.Limit+1 {
			w.t.Errorf("page %d has %d rows", page, len(d.Rows))
		}
		for _, r := range d.Rows {
			rows = append(rows, fmt.Sprintf("%s %s %s %q was %s is %s", r.Change, r.Kind, r.Listed, r.Family, sayText(r.Was), sayText(r.Is)))
		}
		if o.Cursor = d.Next; d.Next == "" {
			slices.Sort(rows)
			return counts, rows
		}
	}
}

func sayText(s *blocklist.RowSay) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%q %q %d line %d", s.Action, s.Threat, s.Confidence, s.Line)
}

func TestDiff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const head = "domain,family,threat,confidence,expires\n"
	w.feed("f", head+"same.example,x,,50,\ngone.example,x,,50,\nfamily.example,x,,50,\nsure.example,x,,50,\nthreat.example,z,c2,50,\nlater.example,x,,50,2031-01-01T00:00:00Z\n")
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", head+"# moved\nsame.example,x,,50,\nfamily.example,y,,50,\nsure.example,x,,90,\nthreat.example,z,phish,50,\nlater.example,x,,50,2032-01-01T00:00:00Z\nfresh.example,new,,,\n")
	w.reload(blocklist.ReloadOptions{})
	counts, rows := w.diffOf(blocklist.DiffOptions{})
	if want := (blocklist.DiffCounts{Added: 2, Removed: 2, Changed: 2, Renewed: 1, Families: 4}); counts != want {
		t.Errorf("counts = %+v, want %+v", counts, want)
	}
	want := []string{
		`added exact family.example "y" was - is "" "" 50 line 4`, `added exact fresh.example "new" was - is "" "" -1 line 8`,
		`changed exact sure.example "x" was "" "" 50 line 5 is "" "" 90 line 5`, `changed exact threat.example "z" was "" "c2" 50 line 6 is "" "phish" 50 line 6`,
		`removed exact family.example "x" was "" "" 50 line 4 is -`, `removed exact gone.example "x" was "" "" 50 line 3 is -`,
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	for limit := 1; limit < 4; limit++ {
		if c, paged := w.diffOf(blocklist.DiffOptions{Limit: limit}); c != counts || !slices.Equal(paged, rows) {
			t.Errorf("in pages of %d: %+v, %q", limit, c, paged)
		}
	}
	if c, back := w.diffOf(blocklist.DiffOptions{From: 2, To: 1}); c.Added != 2 || c.Removed != 2 || len(back) != 6 || !strings.Contains(back[1], "gone.example") {
		t.Errorf("the other way: %+v, %q", c, back)
	}
	if c, none := w.diffOf(blocklist.DiffOptions{From: 2, To: 2}); c != (blocklist.DiffCounts{}) || len(none) != 0 {
		t.Errorf("with itself: %+v, %q", c, none)
	}
	for _, o := range []blocklist.DiffOptions{{Feed: "f", To: 1}, {Feed: "f", From: 7}, {Feed: "f", To: 7}, {Feed: "g"}, {Feed: "f", Cursor: "x"}} {
		if d, err := w.p.Diff(t.Context(), o); err == nil {
			t.Errorf("%+v: %+v", o, d)
		}
	}
}

// TestDiffOfAZoneFile: records count, and what exists only because others lie below it does not.
func TestDiffOfAZoneFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const head = "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\n"
	w.feed("f", head+"a.example A 192.0.2.1\nb.deep.example CNAME .\n")
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", head+"a.example A 192.0.2.2\nb.deep.example CNAME *.\nc.other.example CNAME .\n")
	w.reload(blocklist.ReloadOptions{})
	counts, rows := w.diffOf(blocklist.DiffOptions{})
	want := []string{
		`added exact c.other.example "" was - is "nxdomain" "" -1 line 6`,
		`changed exact a.example "" was "local-data" "" -1 line 4 is "local-data" "" -1 line 4`,
		`changed exact b.deep.example "" was "nxdomain" "" -1 line 5 is "nodata" "" -1 line 5`,
	}
	if counts != (blocklist.DiffCounts{Added: 1, Changed: 2, Families: 1}) || !slices.Equal(rows, want) {
		t.Errorf("counts %+v, rows:\n%s", counts, strings.Join(rows, "\n"))
	}
}

// TestDiffOfManyNames: pages that begin in the middle of a file of many blocks leave nothing out and say nothing twice.
func TestDiffOfManyNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *blocklist.Config) { c.ShrinkMax = 1 })
	many := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "0.0.0.0 n%d.example\n", i)
		}
		return b.String()
	}
	w.feed("f", many(0, 4000))
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", many(1000, 6000))
	w.reload(blocklist.ReloadOptions{})
	counts, rows := w.diffOf(blocklist.DiffOptions{Limit: 77})
	if counts.Added != 2000 || counts.Removed != 1000 || len(rows) != 3000 || len(slices.Compact(rows)) != 3000 {
		t.Errorf("counts %+v, %d rows of which %d are different", counts, len(rows), len(slices.Compact(rows)))
	}
}
