package blocklist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/policy"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// world is a publisher with its feeds in a directory of its own.
type world struct {
	t       testing.TB
	dir     string
	feeds   []blocklist.Feed
	base    func(*blocklist.Config)
	whole   bool // no policy is published as a delta
	merging bool // every change is merged into the served index
	files   int  // as the share of SetDeltaFiles; 0: not
	p       *blocklist.Publisher
	out     safeBuffer

	mu          sync.Mutex
	generations []*blocklist.Generation
}

// safeBuffer collects a log.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (w *world) log() string {
	w.out.mu.Lock()
	defer w.out.mu.Unlock()
	return w.out.b.String()
}

// zonesOf is one zone with these feeds.
func zonesOf(feeds ...string) []policy.Zone {
	return []policy.Zone{{Name: "block", Feeds: feeds, Action: policy.ActionNXDOMAIN}}
}

// newWorld makes a publisher without feeds; feeds are added by feed, and the publisher opens when it is first used. base changes its
// configuration.
func newWorld(t testing.TB, base func(*blocklist.Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), base: base}
	t.Cleanup(w.close)
	return w
}

// feed writes a feed and, if it is new, adds it to the configuration.
func (w *world) feed(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "feeds", name)
	write(w.t, path+".new", content)
	must(w.t, os.Rename(path+".new", path))
	w.add(blocklist.Feed{FeedConfig: blocklist.FeedConfig{Name: name, Path: path}})
	return path
}

func (w *world) add(f blocklist.Feed) {
	w.t.Helper()
	if slices.ContainsFunc(w.feeds, func(g blocklist.Feed) bool { return g.Name == f.Name }) {
		return
	}
	w.feeds = append(w.feeds, f)
	if w.p != nil {
		_, err := w.p.Reconfigure(w.t.Context(), w.feeds, blocklist.Order{Zones: w.zones()})
		must(w.t, err)
	}
}

func (w *world) zones() []policy.Zone {
	var names []string
	for _, f := range w.feeds {
		names = append(names, f.Name)
	}
	return zonesOf(names...)
}

func (w *world) config(change func(*blocklist.Config)) blocklist.Config {
	c := blocklist.Config{
		Dir: filepath.Join(w.dir, "state"), Feeds: w.feeds, Order: blocklist.Order{Zones: w.zones()}, Settings: blocklist.Settings{Debounce: 50 * time.Millisecond},
		Publish: func(g *blocklist.Generation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.generations = append(w.generations, g)
		},
		Log: slog.New(slog.NewTextHandler(&w.out, nil)),
	}
	for _, change := range []func(*blocklist.Config){w.base, change} {
		if change != nil {
			change(&c)
		}
	}
	return c
}

func (w *world) open(change func(*blocklist.Config)) {
	w.t.Helper()
	var err error
	w.p, err = blocklist.New(w.config(change))
	must(w.t, err)
	if w.whole {
		w.p.SetDeltas(0, time.Hour)
	}
	if w.merging {
		w.p.SetMerges()
	}
	if w.files > 0 {
		w.p.SetDeltaFiles(w.files)
	}
}

func (w *world) close() {
	if w.p == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.generations {
		must(w.t, g.Close())
	}
	must(w.t, w.p.Close())
	w.p, w.generations = nil, nil
}

// run follows the feeds until the test ends.
func (w *world) run() { w.t.Cleanup(w.follow()) }

// follow follows the feeds until the returned function is called.
func (w *world) follow() (stop func()) {
	w.t.Helper()
	if w.p == nil {
		w.open(nil)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	p := w.p
	go func() { ended <- p.Run(ctx) }()
	return func() {
		cancel()
		must(w.t, <-ended)
		w.p = nil
	}
}

func (w *world) reload(o blocklist.ReloadOptions) blocklist.ReloadReport {
	w.t.Helper()
	if w.p == nil {
		w.open(nil)
	}
	report, err := w.p.Reload(w.t.Context(), o)
	must(w.t, err)
	return report
}

// current is the generation that was handed over last.
func (w *world) current() *blocklist.Generation {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.generations) == 0 {
		return nil
	}
	return w.generations[len(w.generations)-1]
}

// members are what the current policy holds of exactly this name.
func (w *world) members(name string) []policy.Member {
	w.t.Helper()
	g := w.current()
	if g == nil || g.Policy.Index() == nil {
		return nil
	}
	wire := dnsname.MustParse(name)
	var matches [dnsname.LabelsMax]nameindex.Match
	for _, m := range matches[:g.Policy.Index().Walk([]byte(wire), matches[:])] {
		if int(m.Labels) == wire.Labels() {
			members, err := policy.DecodeSet(g.Policy.Index().Set(m.Set))
			must(w.t, err)
			return members
		}
	}
	return nil
}

func (w *world) lists(name string) bool { w.t.Helper(); return len(w.members(name)) > 0 }

func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	waitFor(w.t, done, func() string { return what + "; log:\n" + w.log() })
}

func (w *world) status(feed string) blocklist.FeedStatus {
	w.t.Helper()
	for _, s := range w.p.Status() {
		if s.Name == feed {
			return s
		}
	}
	w.t.Fatalf("no status of feed %q", feed)
	return blocklist.FeedStatus{}
}

// metric is the sum of a metric over its labels.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	r := prometheus.NewPedanticRegistry()
	must(w.t, r.Register(w.p))
	families, err := r.Gather()
	must(w.t, err)
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// publishElsewhere runs the publisher in a process of its own until the returned function kills it.
func (w *world) publishElsewhere(feed string) (kill func()) {
	w.t.Helper()
	self, err := os.Executable()
	must(w.t, err)
	cmd := exec.Command(self, "publish", filepath.Join(w.dir, "state"), feed)
	cmd.Stderr = &w.out
	must(w.t, cmd.Start())
	return func() {
		must(w.t, cmd.Process.Signal(syscall.SIGKILL))
		cmd.Wait() // it says that it was killed
	}
}

func TestPublishTracesEachMatchToItsRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("hosts", "# a list\n0.0.0.0 a.example\n0.0.0.0 b.example b.example\n")
	csv := filepath.Join(w.dir, "feeds", "black.csv")
	write(t, csv, "domain,malware,Source\nb.example,vidar,https://report.example/1\nb.example,lummac2,https://report.example/2\n")
	w.add(blocklist.Feed{FeedConfig: blocklist.FeedConfig{Name: "csv", Path: csv}})
	report := w.reload(blocklist.ReloadOptions{})
	g := w.current()
	if g == nil || !report.Published || report.Generation != g.Number || g.Policy.Generation() != g.Number {
		t.Fatalf("report %+v, generation %+v", report, g)
	}
	row, err := g.Locate(0, []byte(dnsname.MustParse("a.example")))
	if err != nil || row.Line != 2 || filepath.Base(row.File) != "hosts" {
		t.Errorf("Locate = %+v, %v; want hosts, line 2", row, err)
	}
	for _, m := range w.members("b.example") {
		row, err := g.LocateMember(m, []byte(dnsname.MustParse("b.example")))
		family := g.Policy.Manifest().Families[m.Family]
		want := map[string]int{"": 3, "vidar": 2, "lummac2": 3}[family]
		if err != nil || row.Family != family || row.Line != want {
			t.Errorf("LocateMember(%s) = %+v, %v; want line %d", family, row, err, want)
		}
	}
	if got := len(w.members("b.example")); got != 3 {
		t.Errorf("b.example has %d members, want 3: one of hosts, two of csv", got)
	}
	if _, err := g.Locate(1, []byte(dnsname.MustParse("a.example"))); !errors.Is(err, blocklist.ErrNoRow) {
		t.Errorf("Locate in the wrong feed: %v, want ErrNoRow", err)
	}
	if _, err := g.Locate(9, []byte(dnsname.MustParse("a.example"))); !errors.Is(err, blocklist.ErrNoRow) {
		t.Errorf("Locate in no feed: %v, want ErrNoRow", err)
	}
	if s := w.status("hosts"); s.State != blocklist.FeedGood || s.Report.Live != 2 || s.Report.Duplicates.Count != 1 || s.Report.Duplicates.First.Line != 3 {
		t.Errorf("status = %+v, want good, 2 live, a duplicate in line 3", s)
	}
}

func TestRestartServesTheLastGoodPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := w.feed("f", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	number := w.current().Number
	w.close()
	must(t, os.Remove(path))
	w.open(nil)
	if g := w.current(); g == nil || g.Number != number || !w.lists("a.example") {
		t.Fatalf("New handed over %+v, want generation %d with a.example", g, number)
	}
	row, err := w.current().Locate(0, []byte(dnsname.MustParse("a.example")))
	if err != nil || row.Line != 1 {
		t.Errorf("Locate after the restart = %+v, %v", row, err)
	}
	report := w.reload(blocklist.ReloadOptions{})
	if s := w.status("f"); s.State != blocklist.FeedKept || !strings.Contains(s.Error, path) || report.Published || !w.lists("a.example") {
		t.Errorf("after a reload: %+v, %+v; want kept with the path in the error", s, report)
	}
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	w.feed("f", "0.0.0.0 b.example\n")
	w.reload(blocklist.ReloadOptions{})
	if s := w.status("f"); s.State != blocklist.FeedGood || !w.lists("b.example") || w.lists("a.example") {
		t.Errorf("after it is back: %+v, want good with b.example", s)
	}
}

func TestUnchangedFeedIsNotReadAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := w.feed("f", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	w.close()
	w.open(nil)
	if report := w.reload(blocklist.ReloadOptions{}); len(report.Feeds) != 0 || report.Published {
		t.Errorf("an unchanged feed was read after a restart: %+v", report)
	}
	must(t, os.Chtimes(path, time.Now(), time.Now()))
	if report := w.reload(blocklist.ReloadOptions{}); len(report.Feeds) != 1 || report.Feeds[0].Outcome != blocklist.OutcomeUnchanged || report.Published {
		t.Errorf("a touched feed: %+v, want it read and found unchanged", report)
	}
	w.close()
	w.feeds[0].Match = blocklist.MatchSubtree
	w.open(nil)
	if report := w.reload(blocklist.ReloadOptions{}); !report.Published || w.members("a.example")[0].Kind != policy.KindSubtree {
		t.Errorf("a feed that is to be read differently: %+v, want it read anew", report)
	}
}

func TestGuardsKeepTheLastGoodCopy(t *testing.T) {
	hundred := manyHosts("v1", 100)
	for _, tc := range []struct {
		name      string
		content   string
		shrinkMax float64
		error     string // "" if it is taken
		forced    bool   // whether --force takes it
	}{
		{"half of it", manyHosts("v2", 50), 0, "", true},
		{"less than half", manyHosts("v2", 49), 0, "cenote reload --force f", true},
		{"less than half, allowed by its setting", manyHosts("v2", 49), 0.8, "", true},
		{"one row less where none may go", manyHosts("v2", 99), -1, "cenote reload --force f", true},
		{"nothing but comments", "# nothing\n", 0, "cenote reload --force f", true},
		{"no octet", "", 0, "cenote reload --force f", true},
		{"a web page without a row", "<!DOCTYPE html><html><body>log in</body></html>\n", 0, "cenote reload --force f", true},
		{"a list in a web page", "<pre>\n" + manyHosts("v2", 100) + "</pre>\n", 0, "set allow_html", true},
		{"JSON", "{\"names\": []}\n", 0, "it is JSON", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			path := w.feed("f", hundred)
			w.feed("other", "0.0.0.0 other.example\n")
			w.feeds[0].ShrinkMax = tc.shrinkMax
			w.reload(blocklist.ReloadOptions{})
			write(t, path, tc.content)
			w.feed("other", "0.0.0.0 other2.example\n")
			w.reload(blocklist.ReloadOptions{})
			s := w.status("f")
			if kept := w.lists("n0.v1.example"); kept != (tc.error != "") || !strings.Contains(s.Error, tc.error) {
				t.Errorf("old one served: %v, error %q; want %v, %q", kept, s.Error, tc.error != "", tc.error)
			}
			if !w.lists("other2.example") {
				t.Error("the other feed did not change")
			}
			w.reload(blocklist.ReloadOptions{Force: true, Feeds: []string{"f"}})
			if got := !w.lists("n0.v1.example"); got != tc.forced {
				t.Errorf("taken by force: %v, want %v; status %+v", got, tc.forced, w.status("f"))
			}
		})
	}
}

// TestSettingsOverrideTheGuards lets a feed say for itself what --force says once.
func TestSettingsOverrideTheGuards(t *testing.T) {
	for _, tc := range []struct {
		name    string
		setting func(*blocklist.Feed)
		content string
		lists   string // a name of the new state; "" if it has none
	}{
		{"empty", func(f *blocklist.Feed) { f.AllowEmpty = true }, "", ""},
		{"nothing but comments", func(f *blocklist.Feed) { f.AllowEmpty = true }, "# nothing\n", ""},
		{"a list in a web page", func(f *blocklist.Feed) { f.AllowHTML = true }, "<pre>\n" + manyHosts("v2", 100) + "</pre>\n", "n0.v2.example"},
		{"a web page", func(f *blocklist.Feed) { f.AllowHTML, f.AllowEmpty = true, true }, "<html><body>nothing listed</body></html>\n", ""},
		{"shrunk", func(f *blocklist.Feed) { f.ShrinkMax = 0.99 }, manyHosts("v2", 1), "n0.v2.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			path := w.feed("f", manyHosts("v1", 100))
			w.feeds[0].ShrinkMax = 1
			tc.setting(&w.feeds[0])
			w.reload(blocklist.ReloadOptions{})
			write(t, path, tc.content)
			w.reload(blocklist.ReloadOptions{})
			if s := w.status("f"); s.State != blocklist.FeedGood || w.lists("n0.v1.example") || tc.lists != "" && !w.lists(tc.lists) {
				t.Errorf("state %s (%s), old one served: %v, new one: %v", s.State, s.Error, w.lists("n0.v1.example"), tc.lists == "" || w.lists(tc.lists))
			}
		})
	}
}

func TestShrinkErrorTravels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("f", manyHosts("v1", 10))
	w.reload(blocklist.ReloadOptions{})
	w.feed("f", manyHosts("v2", 3))
	report := w.reload(blocklist.ReloadOptions{})
	var shrink *blocklist.ShrinkError
	if !errors.As(report.Feeds[0].Failure, &shrink) || shrink.Was != 10 || shrink.Now != 3 || shrink.Feed != "f" {
		t.Errorf("failure = %+v, want a ShrinkError from 10 to 3", report.Feeds[0].Failure)
	}
	if s := w.status("f"); s.ErrorReport == nil || s.ErrorReport.Live != 3 || s.Report.Live != 10 {
		t.Errorf("status = %+v, want both reports", s)
	}
	if again := w.reload(blocklist.ReloadOptions{}); len(again.Feeds) != 0 {
		t.Errorf("a refused state is read again: %+v", again)
	}
}

func TestDamagedStateFallsBack(t *testing.T) {
	index := func(w *world, n uint64) string {
		return filepath.Join(w.dir, "state", "policy", fmt.Sprint(n, ".index"))
	}
	delta := func(w *world, n uint64) string {
		return filepath.Join(w.dir, "state", "policy", fmt.Sprint(n, ".delta"))
	}
	for _, tc := range []struct {
		name   string
		damage func(t testing.TB, w *world, current uint64)
		serves string
	}{
		{"index is damaged", func(t testing.TB, w *world, n uint64) { damage(t, index(w, n), 5000) }, "a.example"},
		{"index is gone", func(t testing.TB, w *world, n uint64) { must(t, os.Remove(index(w, n))) }, "a.example"},
		{"index is empty", func(t testing.TB, w *world, n uint64) { must(t, os.Truncate(index(w, n), 0)) }, "a.example"},
		{"record is damaged", func(t testing.TB, w *world, _ uint64) { damage(t, filepath.Join(w.dir, "state", "current"), 30) }, "b.example"},
		{"record is gone", func(t testing.TB, w *world, _ uint64) { must(t, os.Remove(filepath.Join(w.dir, "state", "current"))) }, "b.example"},
		{"delta is damaged", func(t testing.TB, w *world, n uint64) { damage(t, delta(w, n), 5000) }, "a.example"},
		{"delta is gone", func(t testing.TB, w *world, n uint64) { must(t, os.Remove(delta(w, n))) }, "a.example"},
		{"record beside a delta is gone", func(t testing.TB, w *world, n uint64) {
			must(t, os.Remove(filepath.Join(w.dir, "state", "current")))
			_, err := os.Stat(delta(w, n))
			must(t, err)
		}, "b.example"},
		{"copies are gone", func(t testing.TB, w *world, _ uint64) {
			must(t, os.RemoveAll(filepath.Join(w.dir, "state", "feeds", "f")))
		}, "b.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.whole = !strings.Contains(tc.name, "delta")
			path := w.feed("f", "0.0.0.0 a.example\n")
			w.reload(blocklist.ReloadOptions{})
			w.feed("f", "0.0.0.0 b.example\n")
			w.reload(blocklist.ReloadOptions{})
			number := w.current().Number
			w.close()
			tc.damage(t, w, number)
			must(t, os.Rename(path, path+".away"))
			w.open(nil)
			if !w.lists(tc.serves) {
				t.Fatalf("%s is not served; log:\n%s", tc.serves, w.log())
			}
			if !(strings.HasPrefix(tc.name, "record") && strings.HasSuffix(tc.name, "is gone")) && !strings.Contains(w.log(), "level=ERROR") && !strings.Contains(w.log(), "level=WARN") {
				t.Errorf("the damage is not in the log:\n%s", w.log())
			}
			must(t, os.Rename(path+".away", path))
			w.reload(blocklist.ReloadOptions{})
			if !w.lists("b.example") || w.current().Number <= number && tc.serves == "a.example" {
				t.Errorf("after a reload generation %d is served, want one above %d with b.example; log:\n%s", w.current().Number, number, w.log())
			}
			row, err := w.current().Locate(0, []byte(dnsname.MustParse("b.example")))
			if err != nil || row.Line != 1 {
				t.Errorf("Locate = %+v, %v", row, err)
			}
		})
	}
}

// damage flips a bit of a file.
func damage(t testing.TB, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[at%len(b)] ^= 4
	must(t, os.WriteFile(path, b, 0o600))
}

func TestOldFilesGo(t *testing.T) {
	t.Parallel()
	t.Run("indexes", func(t *testing.T) {
		oldFilesGo(t, true, 1, "4.index", "4.rows", "5.index", "5.lines", "5.rows", "current", "lock")
	})
	t.Run("deltas", func(t *testing.T) {
		oldFilesGo(t, false, 1, "1.index", "5.delta", "5.lines", "5.rows", "current", "lock")
	})
	t.Run("history", func(t *testing.T) {
		oldFilesGo(t, false, 3, "1.index", "3.rows", "4.rows", "5.delta", "5.lines", "5.rows", "current", "lock")
	})
}

func oldFilesGo(t *testing.T, whole bool, history int, want ...string) {
	w := newWorld(t, func(c *blocklist.Config) { c.History = history })
	w.whole = whole
	for i := range 5 {
		w.feed("f", fmt.Sprintf("0.0.0.0 n%d.example\n", i))
		w.reload(blocklist.ReloadOptions{})
	}
	var files []string
	filepath.WalkDir(filepath.Join(w.dir, "state"), func(path string, d fs.DirEntry, err error) error {
		if !d.IsDir() {
			files = append(files, filepath.Base(path))
		}
		return err
	})
	if slices.Sort(files); !slices.Equal(files, want) {
		t.Errorf("files = %q, want %q", files, want)
	}
	for i, g := range w.generations { // superseded ones are traced from copies that are no longer in the directory
		if row, err := g.Locate(0, []byte(dnsname.MustParse(fmt.Sprintf("n%d.example", i)))); err != nil || row.Line != 1 {
			t.Errorf("generation %d: %+v, %v", g.Number, row, err)
		}
	}
}

func TestReconfigure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("a", "0.0.0.0 a.example\n")
	w.feed("b", "0.0.0.0 b.example\n")
	w.open(func(c *blocklist.Config) { c.Zones = zonesOf("a") })
	w.reload(blocklist.ReloadOptions{})
	if !w.lists("a.example") || w.lists("b.example") {
		t.Error("a feed that no zone holds is in the index")
	}
	if s := w.status("b"); s.State != blocklist.FeedGood || s.Served {
		t.Errorf("status of b = %+v, want good and not served", s)
	}
	first := w.current()
	other := zonesOf("a")
	other[0].Action = policy.ActionNODATA
	report, err := w.p.SetZones(t.Context(), other)
	if second := w.current(); err != nil || second.Policy.Index() != first.Policy.Index() || second.Number <= first.Number || report.Generation != second.Number {
		t.Errorf("a change of zones: %+v, %v; want the same index under a new number", report, err)
	}
	if _, err := w.p.SetZones(t.Context(), other); err != nil || len(w.generations) != 2 {
		t.Errorf("the same zones again: %d generations, %v; want nothing new", len(w.generations), err)
	}
	if report, err := w.p.Reconfigure(t.Context(), w.feeds, blocklist.Order{Zones: other, AnswerEarly: true}); err != nil || !report.Published || len(w.generations) != 3 {
		t.Errorf("another answer to whether a match waits: %+v, %v; want it published", report, err)
	}
	if _, err := w.p.SetZones(t.Context(), other); err != nil || len(w.generations) != 3 {
		t.Errorf("the same zones again: %d generations, %v; want nothing new, and AnswerEarly as it was", len(w.generations), err)
	}
	if report, err := w.p.Reconfigure(t.Context(), w.feeds, blocklist.Order{Zones: other}); err != nil || !report.Published || w.current().Policy.Index() != first.Policy.Index() {
		t.Errorf("and back: %+v, %v; want it published, of the same index", report, err)
	}
	if _, err := w.p.SetZones(t.Context(), zonesOf("a", "b")); err != nil || !w.lists("b.example") {
		t.Errorf("a zone that holds one more feed: %v, b.example listed %v", err, w.lists("b.example"))
	}
	w.feeds[0].Match = blocklist.MatchSubtree
	if _, err := w.p.SetFeeds(t.Context(), w.feeds[:1]); err != nil || w.members("a.example")[0].Kind != policy.KindSubtree {
		t.Errorf("a feed to be read differently: %v, %+v", err, w.members("a.example"))
	}
	if got := len(w.p.Status()); got != 1 {
		t.Errorf("%d feeds have a status, want 1", got)
	}
	number := w.current().Number
	if _, err := w.p.SetFeeds(t.Context(), append(w.feeds, w.feeds[0])); err == nil || len(w.p.Status()) != 1 || w.current().Number != number {
		t.Errorf("two feeds of one name: %v; want an error and nothing changed", err)
	}
	w.close()
	w.open(func(c *blocklist.Config) { c.Feeds, c.Zones = w.feeds[:1], zonesOf("a", "b") })
	if got := w.current().Number; got != number {
		t.Errorf("after a restart with the same zones the number is %d, want %d", got, number)
	}
	w.close()
	w.open(nil)
	w.close()
	w.open(func(c *blocklist.Config) { c.Zones = zonesOf("b") })
	if got := w.current().Number; got <= number {
		t.Errorf("after a restart with other zones the number is %d, want a new one above %d", got, number)
	}
}

func TestReloadNamesFeeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("a", "0.0.0.0 a.example\n")
	w.feed("b", "0.0.0.0 b.example\n")
	report := w.reload(blocklist.ReloadOptions{Feeds: []string{"b"}})
	if len(report.Feeds) != 1 || report.Feeds[0].Name != "b" || w.lists("a.example") {
		t.Errorf("report = %+v, want b alone", report)
	}
	if _, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{Feeds: []string{"c"}}); !errors.Is(err, blocklist.ErrUnknownFeed) {
		t.Errorf("error = %v, want ErrUnknownFeed", err)
	}
}

func TestStateDirectoryHasOneUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.open(nil)
	if _, err := blocklist.New(w.config(nil)); !errors.Is(err, blocklist.ErrInUse) {
		t.Errorf("a second publisher: %v, want ErrInUse", err)
	}
}

func TestPolicyZoneFileCompiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("rpz", `$ORIGIN rpz.example.
$TTL 300
@ SOA localhost. root.localhost. 7 3600 600 86400 300
  NS localhost.
a.b.deep.example CNAME .
*.wild.example CNAME *.
data.deep.example A 192.0.2.7
`)
	w.reload(blocklist.ReloadOptions{})
	m := w.current().Policy.Manifest()
	if len(m.Feeds) != 1 || !m.Feeds[0].ClosestEncloser || m.Feeds[0].Entries != 3 || len(m.Data) != 1 {
		t.Fatalf("manifest = %+v", m)
	}
	for name, want := range map[string]policy.Kind{
		"a.b.deep.example": policy.KindExact, "b.deep.example": policy.KindENT, "deep.example": policy.KindENT, "example": policy.KindENT,
		"wild.example": policy.KindBelow, "data.deep.example": policy.KindExact,
	} {
		if got := w.members(name); len(got) != 1 || got[0].Kind != want {
			t.Errorf("%s has %+v, want one member of kind %s", name, got, want)
		}
	}
	if d := w.members("data.deep.example")[0]; d.Action != policy.ActionLocalData || d.Data != 1 || !bytes.Equal(m.Data[0].RRsets[0].RData[0], []byte{192, 0, 2, 7}) {
		t.Errorf("local data = %+v %+v", d, m.Data)
	}
}

func TestRunFollowsFeeds(t *testing.T) {
	for _, tc := range replacements {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			dir := filepath.Join(w.dir, "source")
			must(t, os.MkdirAll(dir, 0o755))
			w.add(blocklist.Feed{FeedConfig: blocklist.FeedConfig{Name: "f", Path: tc.prepare(t, dir), Format: "domains"}})
			w.run()
			if tc.name != "missing at the start" {
				w.eventually("old.example is listed", func() bool { return w.lists("old.example") })
			} else {
				w.eventually("the feed is failed", func() bool { return w.status("f").State == blocklist.FeedFailed })
			}
			tc.change(t, dir)
			w.eventually("new.example is listed", func() bool { return w.lists("new.example") })
			if w.lists("old.example") {
				t.Error("old.example is still listed")
			}
			w.neverHalf(1)
		})
	}
}

// neverHalf fails if a generation has another number of names than every version of the feeds has.
func (w *world) neverHalf(names ...int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.generations {
		if got := g.Policy.Index().Len(); !slices.Contains(names, got) {
			w.t.Errorf("generation %d has %d names, want one of %d: it is of no version of the feed", g.Number, got, names)
		}
	}
}

// TestSlowWriterIsNeverReadHalf has a list written in place, with pauses longer than a debounce, and no other guard against half of it.
func TestSlowWriterIsNeverReadHalf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const names, steps = 100, 5
	path := w.feed("f", manyHosts("v1", names))
	if blocklist.WriterOf(path) != blocklist.WriterNone {
		t.Skip("this file system gives no leases: a writer that rests is not seen")
	}
	w.feeds[0].ShrinkMax = 1
	w.run()
	w.eventually("the first version is listed", func() bool { return w.lists("n0.v1.example") })
	lines := strings.SplitAfter(manyHosts("v2", names), "\n")
	f, err := os.Create(path)
	must(t, err)
	for i := range steps {
		_, err := f.WriteString(strings.Join(lines[i*names/steps:(i+1)*names/steps], ""))
		must(t, err)
		time.Sleep(4 * w.config(nil).Debounce)
	}
	must(t, f.Close())
	w.eventually("the second version is listed", func() bool { return w.lists("n0.v2.example") })
	w.neverHalf(names)
}

// TestReloadReadsNoHalfWrittenList asks for a reload while a list is written in place.
func TestReloadReadsNoHalfWrittenList(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := w.feed("f", manyHosts("v1", 100))
	if blocklist.WriterOf(path) != blocklist.WriterNone {
		t.Skip("this file system gives no leases: a writer that rests is not seen")
	}
	w.feeds[0].ShrinkMax = 1
	w.reload(blocklist.ReloadOptions{})
	w.p.SetRest(time.Second)
	f, err := os.Create(path)
	must(t, err)
	_, err = f.WriteString(manyHosts("v2", 50))
	must(t, err)
	for _, force := range []bool{false, true} {
		report := w.reload(blocklist.ReloadOptions{Force: force})
		if !w.lists("n0.v1.example") || len(report.Feeds) != 1 || report.Feeds[0].Failure == nil || !strings.Contains(report.Feeds[0].Failure.Text, "being written") {
			t.Errorf("force %v: old one served: %v, report %+v; want that the feed is being written", force, w.lists("n0.v1.example"), report)
		}
	}
	must(t, f.Close())
	if w.reload(blocklist.ReloadOptions{}); !w.lists("n49.v2.example") {
		t.Errorf("the new one is not served when the writer is done; log:\n%s", w.log())
	}
	w.neverHalf(100, 50)
}

// TestFloodOfNoticesLosesNoChange replaces a feed amid more notices than the kernel's queue holds. Two files take turns, since the kernel keeps
// one of several equal notices.
func TestFloodOfNoticesLosesNoChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := w.feed("f", "0.0.0.0 a.example\n")
	w.run()
	w.eventually("a.example is listed", func() bool { return w.lists("a.example") })
	var floods [2]*os.File
	for i := range floods {
		var err error
		floods[i], err = os.Create(filepath.Join(filepath.Dir(path), fmt.Sprint("flood", i)))
		must(t, err)
		defer floods[i].Close()
	}
	for i := range 100_000 {
		_, err := floods[i%2].WriteAt([]byte{byte(i)}, 0)
		must(t, err)
		if i == 80_000 {
			write(t, path+".new", "0.0.0.0 b.example\n")
			must(t, os.Rename(path+".new", path))
		}
	}
	w.eventually("b.example is listed", func() bool { return w.lists("b.example") })
	w.neverHalf(1)
}

func TestRunKeepsARemovedFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := w.feed("f", "0.0.0.0 a.example\n")
	w.run()
	w.eventually("a.example is listed", func() bool { return w.lists("a.example") })
	must(t, os.Remove(path))
	w.eventually("the feed is kept", func() bool { return w.status("f").State == blocklist.FeedKept })
	if !w.lists("a.example") {
		t.Error("a removed feed took its last good copy along")
	}
	w.feed("f", "0.0.0.0 a.example\n")
	w.eventually("the feed is good again", func() bool { return w.status("f").State == blocklist.FeedGood })
}

// TestRenumberedRowsAreTracedRightly renumbers and removes rows ten times a second. Every generation must place every name where it was in
// the version it was made from.
func TestRenumberedRowsAreTracedRightly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	content := func(v int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "domain,malware\nv%d.example,version\n", v)
		for i := range 200 {
			n := (i + v) % 200
			if n%7 != v%7 {
				fmt.Fprintf(&b, "n%d.example,family%d\n", n, (n+v)%5)
			}
		}
		return b.String()
	}
	path := filepath.Join(w.dir, "feeds", "f.csv")
	write(t, path, content(0))
	w.add(blocklist.Feed{FeedConfig: blocklist.FeedConfig{Name: "f", Path: path}})
	w.run()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last := 0
	for v := 1; v <= 60; v++ {
		<-tick.C
		write(t, path+".new", content(v))
		must(t, os.Rename(path+".new", path))
		last = v
	}
	w.eventually("the last version is served", func() bool { return w.lists(fmt.Sprintf("v%d.example", last)) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.generations) < 2 {
		t.Errorf("%d generations, want more: the versions between the first and the last", len(w.generations))
	}
	for _, g := range w.generations {
		checkVersion(t, g, last, content)
	}
}

// checkVersion compares all rows of a generation with the version that it says it is.
func checkVersion(t *testing.T, g *blocklist.Generation, last int, content func(int) string) {
	t.Helper()
	version := -1
	for v := range last + 1 {
		if _, err := g.Locate(0, []byte(dnsname.MustParse(fmt.Sprintf("v%d.example", v)))); err == nil {
			version = v
		}
	}
	if version < 0 {
		t.Fatalf("generation %d is of no version", g.Number)
	}
	for i, line := range strings.Split(strings.TrimSpace(content(version)), "\n")[1:] {
		name, family, _ := strings.Cut(line, ",")
		row, err := g.Locate(0, []byte(dnsname.MustParse(name)))
		if err != nil || row.Line != i+2 || row.Family != family {
			t.Errorf("generation %d, version %d: %s is %s in line %d (%v), want %s in line %d", g.Number, version, name, row.Family, row.Line, err, family, i+2)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.feed("f", "0.0.0.0 a.example\n0.0.0.0 a.example\n0.0.0.0 com\n")
	w.reload(blocklist.ReloadOptions{})
	r := prometheus.NewPedanticRegistry()
	must(t, r.Register(w.p))
	families, err := r.Gather()
	must(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	for name, want := range map[string]float64{
		"cenote_blocklist_feed_entries": 1, "cenote_blocklist_feed_duplicate_rows": 1, "cenote_blocklist_feed_fault_rows": 1,
		"cenote_blocklist_names": 1, "cenote_blocklist_published_total": 1, "cenote_blocklist_reloads_total": 1, "cenote_blocklist_feed_state": 1,
	} {
		if got := w.metric(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

func TestFeedNamesMakeFileNames(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "A", "a/b", "../a", ".", "..", ".tmp-1", "a b", "a%20b", "ä", "%", "a.b", strings.Repeat("x", 80)} {
		got := blocklist.EscapeFeed(name)
		if strings.ContainsAny(got, "/ ") || strings.HasPrefix(got, ".") || seen[strings.ToLower(got)] != "" {
			t.Errorf("EscapeFeed(%q) = %q, which is no safe name or that of %q", name, got, seen[strings.ToLower(got)])
		}
		seen[strings.ToLower(got)] = name
	}
}

// BenchmarkPickup is the time from the change of a source to the published policy, for every way in which a source is replaced.
func BenchmarkPickup(b *testing.B) {
	for _, tc := range replacements {
		b.Run(tc.name, func(b *testing.B) {
			total := time.Duration(0)
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, func(c *blocklist.Config) { c.Debounce = 0 })
				dir := filepath.Join(w.dir, "source")
				must(b, os.MkdirAll(dir, 0o755))
				w.add(blocklist.Feed{FeedConfig: blocklist.FeedConfig{Name: "f", Path: tc.prepare(b, dir), Format: "domains"}})
				stop := w.follow()
				w.eventually("the feed has a state", func() bool { return w.status("f").State != blocklist.FeedWaiting })
				b.StartTimer()
				began := time.Now()
				tc.change(b, dir)
				w.eventually("new.example is listed", func() bool { return w.lists("new.example") })
				total += time.Since(began)
				b.StopTimer()
				stop()
				w.close()
				b.StartTimer()
			}
			b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/pickup")
		})
	}
}

// BenchmarkReload is the time from a changed feed to the published policy, with the child process: alone, and beside a large feed
// that did not change. Whether all of it is another feed or one name more, it is a change of a few names. Of the whole, ms/live is what comes after the
// feed has been seen to rest.
func BenchmarkReload(b *testing.B) {
	for _, size := range []int{10, 1000} {
		for _, beside := range []int{0, 100_000, 1_000_000} {
			b.Run(fmt.Sprintf("feed=%d/beside=%d", size, beside), func(b *testing.B) {
				w := newWorld(b, nil)
				if beside > 0 {
					w.feed("large", manyHosts("large", beside))
				}
				w.feed("small", manyHosts("v", size))
				w.reload(blocklist.ReloadOptions{})
				i, live := 0, time.Duration(0)
				for b.Loop() {
					i++
					w.feed("small", manyHosts(fmt.Sprint("v", i%2), size))
					report, took, err := w.p.ReloadTimed(b.Context())
					if err != nil || !report.Published {
						b.Fatal(report, err)
					}
					live += took
				}
				b.ReportMetric(float64(live.Microseconds())/1000/float64(b.N), "ms/live")
			})
		}
	}
}
