package blocklist_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cenote/blocklist"

	"golang.org/x/sys/unix"
)

// Times of the watcher in these tests: those of the server.
const (
	testPoll     = time.Second
	testDebounce = 200 * time.Millisecond
	patience     = 2 * time.Minute // of a test on a loaded machine; BenchmarkPickup measures what an operator sees
)

// watched is a watcher on one feed and what it has said so far.
type watched struct {
	mu       sync.Mutex
	seen     []sighted
	overflow chan struct{}
}

// sighted is one report: what the source said at that moment, as a reader would have found it.
type sighted struct {
	content string
	stamp   blocklist.Stamp
	err     error
}

func startWatch(t *testing.T, feed blocklist.FeedConfig, pollOnly bool, content func() string) *watched {
	t.Helper()
	w := &watched{overflow: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	known := map[string]blocklist.Stamp{}
	if stamp, err := blocklist.StampOf(feed); err == nil {
		known[feed.Name] = stamp
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		blocklist.Watch(ctx, testPoll, testDebounce, pollOnly, []blocklist.FeedConfig{feed}, known, w.overflow, func(_ string, stamp blocklist.Stamp, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, sighted{content(), stamp, err})
		})
	}()
	t.Cleanup(func() {
		close(w.overflow)
		cancel()
		<-ended
	})
	return w
}

func (w *watched) reports() []sighted {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]sighted(nil), w.seen...)
}

// expect waits until the watcher has reported want, and fails if it ever reports what is neither want nor listed in also.
func (w *watched) expect(t *testing.T, want string, also ...string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		for _, s := range w.reports() {
			if s.err == nil && s.content == want {
				return
			}
			if s.err == nil && !contains(also, s.content) {
				t.Fatalf("reported while it held %q, want %q", s.content, want)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not reported within %v; reports: %+v", patience, w.reports())
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// must fails the test on an error of the file system.
func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644))
}

func readFile(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

const (
	before = "old.example\n"
	after  = "new.example\n"
)

// replacements are the ways in which a list changes in the wild. Each is given a directory and the path of the feed in it.
var replacements = []struct {
	name    string
	prepare func(t testing.TB, dir string) (path string)
	change  func(t testing.TB, dir string)
	read    func(path string) string
}{
	{
		"written in place",
		func(t testing.TB, dir string) string { write(t, dir+"/list", before); return dir + "/list" },
		func(t testing.TB, dir string) { write(t, dir+"/list", after) }, nil,
	},
	{
		"renamed over",
		func(t testing.TB, dir string) string { write(t, dir+"/list", before); return dir + "/list" },
		func(t testing.TB, dir string) {
			write(t, dir+"/list.new", after)
			must(t, os.Rename(dir+"/list.new", dir+"/list"))
		}, nil,
	},
	{
		"symbolic link swapped",
		func(t testing.TB, dir string) string {
			write(t, dir+"/v1", before)
			must(t, os.Symlink("v1", dir+"/list"))
			return dir + "/list"
		},
		func(t testing.TB, dir string) {
			write(t, dir+"/v2", after)
			must(t, os.Symlink("v2", dir+"/list.new"), os.Rename(dir+"/list.new", dir+"/list"))
		}, nil,
	},
	{
		"Kubernetes ConfigMap",
		func(t testing.TB, dir string) string {
			write(t, dir+"/..2026_11_20/list", before)
			must(t, os.Symlink("..2026_11_20", dir+"/..data"), os.Symlink("..data/list", dir+"/list"))
			return dir + "/list"
		},
		func(t testing.TB, dir string) {
			write(t, dir+"/..2026_11_21/list", after)
			must(t, os.Symlink("..2026_11_21", dir+"/..data_tmp"), os.Rename(dir+"/..data_tmp", dir+"/..data"), os.RemoveAll(dir+"/..2026_11_20"))
		}, nil,
	},
	{
		"Kubernetes ConfigMap as a directory of lists",
		func(t testing.TB, dir string) string {
			write(t, dir+"/..2026_11_20/list", before)
			must(t, os.Symlink("..2026_11_20", dir+"/..data"), os.Symlink("..data/list", dir+"/list"))
			return dir
		},
		func(t testing.TB, dir string) {
			write(t, dir+"/..2026_11_21/list", after)
			must(t, os.Symlink("..2026_11_21", dir+"/..data_tmp"), os.Rename(dir+"/..data_tmp", dir+"/..data"), os.RemoveAll(dir+"/..2026_11_20"))
		},
		func(path string) string { return readFile(path + "/list") },
	},
	{
		"directory renamed away and replaced",
		func(t testing.TB, dir string) string { write(t, dir+"/feeds/list", before); return dir + "/feeds/list" },
		func(t testing.TB, dir string) {
			write(t, dir+"/next/list", after)
			must(t, os.Rename(dir+"/feeds", dir+"/past"), os.Rename(dir+"/next", dir+"/feeds"))
		}, nil,
	},
	{
		"link to a file in another directory, which is renamed over",
		func(t testing.TB, dir string) string {
			write(t, dir+"/far/away/list", before)
			must(t, os.Symlink(dir+"/far/away/list", dir+"/list"))
			return dir + "/list"
		},
		func(t testing.TB, dir string) {
			write(t, dir+"/far/away/next", after)
			must(t, os.Rename(dir+"/far/away/next", dir+"/far/away/list"))
		}, nil,
	},
	{
		"editor: backup, new file, rename",
		func(t testing.TB, dir string) string { write(t, dir+"/list", before); return dir + "/list" },
		func(t testing.TB, dir string) {
			must(t, os.Rename(dir+"/list", dir+"/list~"))
			write(t, dir+"/.list.swp", after)
			must(t, os.Rename(dir+"/.list.swp", dir+"/list"))
		}, nil,
	},
	{
		"editor: backup by rename, the new file written in place",
		func(t testing.TB, dir string) string { write(t, dir+"/list", before); return dir + "/list" },
		func(t testing.TB, dir string) {
			must(t, os.Rename(dir+"/list", dir+"/list~"))
			write(t, dir+"/list", after)
			must(t, os.Remove(dir+"/list~"))
		}, nil,
	},
	{
		"removed and made again",
		func(t testing.TB, dir string) string { write(t, dir+"/list", before); return dir + "/list" },
		func(t testing.TB, dir string) { must(t, os.Remove(dir+"/list")); write(t, dir+"/list", after) }, nil,
	},
	{
		"older than what it replaces, as a restored backup is",
		func(t testing.TB, dir string) string { write(t, dir+"/list", before); return dir + "/list" },
		func(t testing.TB, dir string) {
			write(t, dir+"/list.new", after)
			past := time.Now().Add(-1000 * time.Hour)
			must(t, os.Chtimes(dir+"/list.new", past, past), os.Rename(dir+"/list.new", dir+"/list"))
		}, nil,
	},
	{
		"link to a directory swapped above the file",
		func(t testing.TB, dir string) string {
			write(t, dir+"/v1/list", before)
			must(t, os.Symlink("v1", dir+"/current"))
			return dir + "/current/list"
		},
		func(t testing.TB, dir string) {
			write(t, dir+"/v2/list", after)
			must(t, os.Symlink("v2", dir+"/current.new"), os.Rename(dir+"/current.new", dir+"/current"))
		}, nil,
	},
	{
		"link to a directory of lists swapped",
		func(t testing.TB, dir string) string {
			write(t, dir+"/v1/list", before)
			must(t, os.Symlink("v1", dir+"/current"))
			return dir + "/current"
		},
		func(t testing.TB, dir string) {
			write(t, dir+"/v2/list", after)
			must(t, os.Symlink("v2", dir+"/current.new"), os.Rename(dir+"/current.new", dir+"/current"))
		},
		func(path string) string { return readFile(path + "/list") },
	},
	{
		"directory of lists renamed away and replaced",
		func(t testing.TB, dir string) string { write(t, dir+"/feeds/list", before); return dir + "/feeds" },
		func(t testing.TB, dir string) {
			write(t, dir+"/next/list", after)
			must(t, os.Rename(dir+"/feeds", dir+"/past"), os.Rename(dir+"/next", dir+"/feeds"))
		},
		func(path string) string { return readFile(path + "/list") },
	},
	{
		"directories exchanged at once",
		func(t testing.TB, dir string) string { write(t, dir+"/feeds/list", before); return dir + "/feeds" },
		func(t testing.TB, dir string) {
			write(t, dir+"/next/list", after)
			must(t, unix.Renameat2(unix.AT_FDCWD, dir+"/feeds", unix.AT_FDCWD, dir+"/next", unix.RENAME_EXCHANGE))
		},
		func(path string) string { return readFile(path + "/list") },
	},
	{
		"same size and same time of modification",
		func(t testing.TB, dir string) string { write(t, dir+"/list", before); return dir + "/list" },
		func(t testing.TB, dir string) {
			info, err := os.Stat(dir + "/list")
			must(t, err)
			write(t, dir+"/list", after)
			must(t, os.Chtimes(dir+"/list", info.ModTime(), info.ModTime()))
		}, nil,
	},
	{
		"member of a directory renamed over",
		func(t testing.TB, dir string) string { write(t, dir+"/feeds/a.txt", before); return dir + "/feeds" },
		func(t testing.TB, dir string) {
			write(t, dir+"/a.new", after)
			must(t, os.Rename(dir+"/a.new", dir+"/feeds/a.txt"))
		},
		func(path string) string { return readFile(path + "/a.txt") },
	},
	{
		"missing at the start",
		func(t testing.TB, dir string) string { return dir + "/later/list" },
		func(t testing.TB, dir string) { write(t, dir+"/later/list", after) }, nil,
	},
}

func TestWatcherSeesEveryReplacement(t *testing.T) {
	for _, tc := range replacements {
		for _, mode := range []struct {
			name     string
			pollOnly bool
		}{{"with notices", false}, {"by polling alone", true}} {
			t.Run(tc.name+"/"+mode.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				path := tc.prepare(t, dir)
				read := tc.read
				if read == nil {
					read = readFile
				}
				w := startWatch(t, blocklist.FeedConfig{Name: "f", Path: path}, mode.pollOnly, func() string { return read(path) })
				tc.change(t, dir)
				w.expect(t, after)
			})
		}
	}
}

func TestWatcherWaitsForASlowWriter(t *testing.T) {
	for _, tc := range []struct {
		name  string
		pause time.Duration // longer than a debounce: only the kernel knows that the writer is not done
	}{{"that never rests", 50 * time.Millisecond}, {"that rests for longer than a debounce", 600 * time.Millisecond}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "list")
			write(t, path, before)
			w := startWatch(t, blocklist.FeedConfig{Name: "f", Path: path}, false, func() string { return readFile(path) })
			f, err := os.Create(path)
			must(t, err)
			want := ""
			for i := range 5 {
				line := fmt.Sprintf("n%d.example\n", i)
				want += line
				_, err := f.WriteString(line)
				must(t, err)
				time.Sleep(tc.pause)
			}
			must(t, f.Close())
			w.expect(t, want)
		})
	}
}

func TestWatcherSurvivesAnOverflow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, before)
	w := startWatch(t, blocklist.FeedConfig{Name: "f", Path: path}, false, func() string { return readFile(path) })
	for range 3 {
		w.overflow <- struct{}{}
	}
	write(t, path+".new", after)
	must(t, os.Rename(path+".new", path))
	w.expect(t, after)
}

func TestWatcherReportsARemovedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, before)
	w := startWatch(t, blocklist.FeedConfig{Name: "f", Path: path}, false, func() string { return readFile(path) })
	must(t, os.Remove(path))
	waitFor(t, func() bool {
		s := w.reports()
		return len(s) == 1 && errors.Is(s[0].err, fs.ErrNotExist)
	}, func() string { return fmt.Sprintf("reports %+v, want one with fs.ErrNotExist", w.reports()) })
	write(t, path, before)
	w.expect(t, before)
}

// waitFor polls until done says so, for as long as the watcher patiences.
func waitFor(t testing.TB, done func() bool, found func() string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, found())
		}
	}
}

func TestWatcherFollowsAFileThatNeverRests(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, before)
	w := startWatch(t, blocklist.FeedConfig{Name: "f", Path: path}, false, func() string { return readFile(path) })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			os.WriteFile(path+".new", fmt.Appendf(nil, "n%d.example\n", i), 0o644)
			os.Rename(path+".new", path)
		}
	}()
	defer func() { cancel(); <-ended }()
	waitFor(t, func() bool { return len(w.reports()) >= 2 }, func() string { return fmt.Sprintf("%d reports, want 2", len(w.reports())) })
}

func TestKernelKnowsTheWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, before)
	if got := blocklist.WriterOf(path); got != blocklist.WriterNone {
		t.Skipf("this file system gives no leases (%d)", got)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	if got := blocklist.WriterOf(path); got != blocklist.WriterActive {
		t.Errorf("a file open for writing: %d, want %d", got, blocklist.WriterActive)
	}
	must(t, f.Close())
	if got := blocklist.WriterOf(path); got != blocklist.WriterNone {
		t.Errorf("after it was closed: %d, want %d", got, blocklist.WriterNone)
	}
}

// TestSettling walks through what a watcher may see, with a clock of its own.
func TestSettling(t *testing.T) {
	at := func(ms int) time.Time { return readAt.Add(time.Duration(ms) * time.Millisecond) }
	file := func(sum, identity string, size int64) blocklist.Stamp {
		return blocklist.Stamp{Sum: sum, Identity: identity, Size: size, Files: 1, Changed: at(-60_000)}
	}
	type look struct {
		ms      int
		stamp   blocklist.Stamp
		err     error
		writers blocklist.WriterState
		ready   bool
	}
	none, unknown, active := blocklist.WriterNone, blocklist.WriterUnknown, blocklist.WriterActive
	old := file("old", "1", 10)
	for _, tc := range []struct {
		name  string
		looks []look
	}{
		{"nothing new", []look{{0, old, nil, none, false}, {1000, old, nil, none, false}}},
		{"a change that rests for a debounce", []look{{0, file("a", "2", 9), nil, unknown, false}, {150, file("a", "2", 9), nil, unknown, false},
			{210, file("a", "2", 9), nil, unknown, true}, {400, file("a", "2", 9), nil, unknown, false}}},
		{"a second change starts the debounce again", []look{{0, file("a", "2", 9), nil, none, false}, {150, file("b", "3", 9), nil, none, false},
			{300, file("b", "3", 9), nil, none, false}, {360, file("b", "3", 9), nil, none, true}}},
		{"a change that is taken back is none", []look{{0, file("a", "2", 9), nil, none, false}, {100, old, nil, none, false}, {310, old, nil, none, false},
			{320, old, nil, none, false}}},
		{"replaced for ever", []look{{0, file("a", "2", 9), nil, none, false}, {300, file("b", "3", 9), nil, none, false}, {600, file("c", "4", 9), nil, none, false},
			{900, file("d", "5", 9), nil, none, false}, {930, file("d", "5", 9), nil, none, true}}},
		{"growing for ever, and nobody knows who writes", []look{{0, file("a", "2", 9), nil, unknown, false}, {300, file("b", "2", 19), nil, unknown, false},
			{600, file("c", "2", 29), nil, unknown, false}, {900, file("d", "2", 39), nil, unknown, false}, {990, file("d", "2", 39), nil, unknown, false},
			{1101, file("d", "2", 39), nil, unknown, true}}},
		{"growing for ever, and closed each time", []look{{0, file("a", "2", 9), nil, none, false}, {500, file("b", "2", 19), nil, none, false},
			{900, file("d", "2", 39), nil, none, false}, {930, file("d", "2", 39), nil, none, true}}},
		{"at rest but open for writing", []look{{0, file("a", "2", 9), nil, active, false}, {500, file("a", "2", 9), nil, active, false},
			{5000, file("a", "2", 9), nil, active, false}, {5100, file("a", "2", 9), nil, none, true}}},
		{"open for writing for ever", []look{{0, file("a", "2", 9), nil, active, false}, {59_000, file("a", "2", 9), nil, active, false},
			{61_000, file("a", "2", 9), nil, active, true}}},
		{"gone", []look{{0, blocklist.Stamp{}, fs.ErrNotExist, none, false}, {210, blocklist.Stamp{}, fs.ErrNotExist, none, true},
			{1000, blocklist.Stamp{}, fs.ErrNotExist, none, false}, {2000, old, nil, none, false}, {2210, old, nil, none, true}}},
		{"gone for a moment", []look{{0, blocklist.Stamp{}, fs.ErrNotExist, none, false}, {100, old, nil, none, false}, {500, old, nil, none, false}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := blocklist.NewSettling(testDebounce, testPoll, old)
			for _, l := range tc.looks {
				ready, wait := s.Observe(at(l.ms), l.stamp, l.err, l.writers)
				if ready != l.ready || wait <= 0 || wait > testPoll {
					t.Fatalf("at %d ms with %q: ready %v, next look in %v; want ready %v", l.ms, l.stamp.Sum, ready, wait, l.ready)
				}
			}
		})
	}
}
