package querylog_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/querylog"

	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests move.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ns.Store(time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newLog(t testing.TB, c querylog.Config) *querylog.Log {
	t.Helper()
	if c.Log == nil {
		c.Log = quiet()
	}
	l, err := querylog.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// run runs l until the function that it returns is called.
func run(t testing.TB, l *querylog.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(until) {
			t.Fatalf("did not happen within 30 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func put(l *querylog.Log, records ...querylog.Record) {
	for _, r := range records {
		l.Put(func(to *querylog.Record) { *to = r })
	}
}

// written are the names in the log's lines, and the sum of its events.
func written(t testing.TB, paths ...string) (names []string, dropped int) {
	t.Helper()
	for _, path := range paths {
		for _, text := range bytes.SplitAfter(unpacked(t, path), []byte("\n")) {
			if len(text) == 0 {
				continue
			}
			var l struct {
				Name    string
				Event   string
				Records int
			}
			if err := json.Unmarshal(text, &l); err != nil {
				t.Fatalf("%s: line %q: %v", path, text, err)
			}
			if l.Event == "" {
				names = append(names, l.Name)
			}
			dropped += l.Records
		}
	}
	return names, dropped
}

func unpacked(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(b)
	switch filepath.Ext(path) {
	case ".gz":
		r, err = gzip.NewReader(r)
	case ".zst":
		var z *zstd.Decoder
		z, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		defer func() { z.Close() }()
		r = z
	}
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(r); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return b
}

func lines(t testing.TB, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

func TestModes(t *testing.T) {
	const n = 20_000
	for _, tc := range []struct {
		mode                   querylog.Mode
		clean, cleanMax, match int
	}{
		{querylog.ModeOff, 0, 0, 0},
		{querylog.ModeMatches, 0, 0, n},
		{querylog.ModeSampled, n / 10 * 8 / 10, n / 10 * 12 / 10, n}, // 2000 +- 400: nine times the deviation
		{querylog.ModeAll, n, n, n},
	} {
		t.Run(tc.mode.String(), func(t *testing.T) {
			l := newLog(t, querylog.Config{Mode: tc.mode, Sample: 10, Path: filepath.Join(t.TempDir(), "q.jsonl")})
			p := l.Producer()
			clean, match := 0, 0
			for range n {
				if p.Want(false) {
					clean++
				}
				if l.Want(true) {
					match++
				}
			}
			if clean < tc.clean || clean > tc.cleanMax || match != tc.match {
				t.Errorf("wanted: got %d clean and %d matches of %d, want %d to %d and %d", clean, match, n, tc.clean, tc.cleanMax, tc.match)
			}
		})
	}
}

func TestConfigFaults(t *testing.T) {
	for name, c := range map[string]querylog.Config{
		"no path":           {Mode: querylog.ModeAll},
		"path of directory": {Mode: querylog.ModeAll, Path: "/"},
		"no such mode":      {Mode: 9, Path: "q"},
		"no such packing":   {Compression: 9},
		"negative keep":     {Rotate: querylog.Rotate{Keep: -1}},
		"negative size":     {Rotate: querylog.Rotate{Size: -1}},
		"sample too rare":   {Sample: 1 << 33},
	} {
		if _, err := querylog.New(c); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	path := filepath.Join(t.TempDir(), "q.jsonl")
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path})
	if err := l.Update(querylog.Config{Mode: querylog.ModeAll}); err == nil || !l.Want(false) {
		t.Errorf("Update without a path: got %v and Want %v, want an error and no change", err, l.Want(false))
	}
}

// TestEndLosesNothing holds that all that was queued before the end is in the file after it.
func TestEndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "there", "q.jsonl")
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path, Ring: 1 << 12})
	p := l.Producer()
	for i := range 1000 {
		*p.Slot() = query(fmt.Sprintf("p%d.example", i))
		p.Commit()
		put(l, query(fmt.Sprintf("s%d.example", i)))
	}
	run(t, l)()
	names, dropped := written(t, path)
	if len(names) != 2000 || dropped != 0 || names[0] != "p0.example" || names[1999] != "s999.example" {
		t.Errorf("lines: got %d, %d dropped, want all 2000", len(names), dropped)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode: got %v, %v; want nothing for others", info.Mode(), err)
	}
	if l.Want(true) {
		t.Error("Want after the end: got true")
	}
	if err := l.Run(context.Background()); err == nil {
		t.Error("second Run: got no error")
	}
}

func TestLineComesSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.jsonl")
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path})
	run(t, l)
	put(l, query("www.example"))
	eventually(t, "the line is in the file while the log runs", func() bool { return lines(t, path) == 1 })
}

func TestOffMakesNoFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	l := newLog(t, querylog.Config{Path: filepath.Join(dir, "q.jsonl")})
	stop := run(t, l)
	if l.Want(true) {
		t.Error("Want: got true")
	}
	stop()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("directory: got %v, want none", err)
	}
}

func TestCloseWithoutRun(t *testing.T) {
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: filepath.Join(t.TempDir(), "q.jsonl")})
	put(l, query("www.example"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := l.Counts(); got.DroppedWrite != 1 || got.Waiting != 0 || l.Want(true) {
		t.Errorf("after Close: got %+v, want one record dropped and none wanted", got)
	}
	if err := l.Run(context.Background()); err == nil {
		t.Error("Run after Close: got no error")
	}
}

func TestUpdate(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.jsonl"), filepath.Join(dir, "two.jsonl")
	l := newLog(t, querylog.Config{Path: one})
	run(t, l)
	update := func(c querylog.Config) {
		t.Helper()
		if err := l.Update(c); err != nil {
			t.Fatal(err)
		}
	}
	update(querylog.Config{Mode: querylog.ModeMatches, Path: one})
	if l.Want(false) || !l.Want(true) {
		t.Error("mode matches is not in force")
	}
	eventually(t, "the file is made", func() bool { _, err := os.Stat(one); return err == nil })
	put(l, query("first.example"))
	update(querylog.Config{Mode: querylog.ModeAll, Path: two})
	eventually(t, "the new file is made", func() bool { _, err := os.Stat(two); return err == nil })
	put(l, query("second.example"))
	update(querylog.Config{Path: two})
	eventually(t, "both lines are written", func() bool { return l.Counts().Written == 2 })
	for path, want := range map[string]string{one: "first.example", two: "second.example"} {
		if got, _ := written(t, path); len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %v want %v", path, got, want)
		}
	}
}

// TestUpdateResizesQueues: a full queue has room after Update, for own producers and for all others, and keeps what was in it.
func TestUpdateResizesQueues(t *testing.T) {
	c := querylog.Config{Mode: querylog.ModeAll, Path: filepath.Join(t.TempDir(), "q.jsonl"), Ring: 2}
	l := newLog(t, c)
	p := l.Producer()
	offer := func(n int) {
		for range n {
			put(l, query("shared.example"))
			if r := p.Slot(); r != nil {
				*r = query("own.example")
				p.Commit()
			}
		}
	}
	offer(3)
	if got := l.Counts().DroppedQueue; got != 2 {
		t.Fatalf("%d records were dropped by queues of 2 that were offered 3 each, want 2", got)
	}
	c.Ring = 16
	if err := l.Update(c); err != nil {
		t.Fatal(err)
	}
	offer(16)
	stop := run(t, l)
	stop()
	if c := l.Counts(); c.DroppedQueue != 2 || c.Written != 36 {
		t.Errorf("%d records written and %d dropped, want 36 and 2", c.Written, c.DroppedQueue)
	}
}

// TestEveryRecordIsCounted holds under overload, from many goroutines, that what was offered is in the file or counted as dropped, and that the
// file tells of every drop, while the queues change their sizes.
func TestEveryRecordIsCounted(t *testing.T) {
	const producers, each = 4, 30_000
	path := filepath.Join(t.TempDir(), "q.jsonl")
	c := querylog.Config{Mode: querylog.ModeAll, Path: path, Ring: 64, Queue: 64, Rotate: querylog.Rotate{Size: 2 << 20, Keep: 1000}}
	l := newLog(t, c)
	stop := run(t, l)
	var wg sync.WaitGroup
	for range producers {
		p := l.Producer()
		wg.Go(func() {
			for range each {
				if r := p.Slot(); r != nil {
					*r = query("own.example")
					p.Commit()
				}
			}
		})
		wg.Go(func() {
			for i := range each {
				put(l, query("shared.example"))
				if i%256 == 0 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 50 {
			update := c
			update.Ring, update.Queue = 16<<(i%4), 256>>(i%4)
			if err := l.Update(update); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	wg.Wait()
	stop()
	finished, err := querylog.Finished(path)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{path}
	for _, f := range finished {
		paths = append(paths, filepath.Join(filepath.Dir(path), f))
	}
	names, told := written(t, paths...)
	counts := l.Counts()
	if got, want := counts.Written+counts.DroppedQueue+counts.DroppedWrite, uint64(2*producers*each); got != want {
		t.Errorf("written + dropped: got %d + %d + %d, want %d", counts.Written, counts.DroppedQueue, counts.DroppedWrite, want)
	}
	if uint64(len(names)) != counts.Written || uint64(told) != counts.DroppedQueue || told == 0 {
		t.Errorf("file: got %d lines and %d told as dropped, counted %d and %d (want some)", len(names), told, counts.Written, counts.DroppedQueue)
	}
}

// TestFullDisk holds that a disk without room stops no producer, tears no line, costs what does not fit in the queues, and is counted; and that
// the log goes on by itself.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.jsonl")
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path, Ring: 256})
	var room atomic.Int64
	room.Store(1000)
	l.SetAppend(func(f *os.File, b []byte) (int, error) {
		n, err := f.Write(b[:min(int64(len(b)), room.Load())])
		if room.Add(-int64(n)); n < len(b) {
			return n, syscall.ENOSPC
		}
		return n, err
	})
	stop := run(t, l)
	offered := 0
	offer := func(n int) {
		offered += n
		for i := range n {
			put(l, query(fmt.Sprintf("n%d.example", i)))
		}
	}
	offer(100)
	eventually(t, "the disk is full", func() bool { return l.Counts().WriteErrors > 0 })
	eventually(t, "queries are dropped", func() bool { offer(500); return l.Counts().DroppedQueue > 1000 })
	if got := int(l.Counts().Octets); got > 1000 {
		t.Errorf("octets in the file: got %d want at most 1000", got)
	}
	room.Store(1 << 40)
	eventually(t, "what waited is written", func() bool { return l.Counts().Waiting == 0 && l.Counts().Octets > 100_000 })
	stop()
	names, told := written(t, path)
	c := l.Counts()
	if c.Written+c.DroppedQueue != uint64(offered) || uint64(len(names)) != c.Written || uint64(told) != c.DroppedQueue || c.DroppedWrite != 0 {
		t.Errorf("got %+v, %d lines, %d told, want %d in all", c, len(names), told, offered)
	}
}

func TestEndOnAFullDisk(t *testing.T) {
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: "/dev/full"})
	stop := run(t, l)
	for range 100 {
		put(l, query("www.example"))
	}
	eventually(t, "a write fails", func() bool { return l.Counts().WriteErrors > 0 })
	stop()
	if got := l.Counts(); got.Written != 0 || got.DroppedWrite != 100 || got.Waiting != 0 {
		t.Errorf("got %+v, want 100 records counted as dropped", got)
	}
}

// TestDirectoryComesBack holds that a path which cannot be made is tried until it can.
func TestDirectoryComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "q.jsonl")
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path})
	run(t, l)
	put(l, query("www.example"))
	eventually(t, "opening fails", func() bool { return l.Counts().WriteErrors > 1 })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the line is written", func() bool { return lines(t, path) == 1 })
}

func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path, Rotate: querylog.Rotate{Size: 1}})
	run(t, l)
	put(l, query("www.example"), query("www.example"))
	eventually(t, "a pipe without a reader is an error", func() bool { return l.Counts().WriteErrors > 0 })
	r, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := make([]byte, 1<<16)
	n, err := r.Read(b)
	if got := bytes.Count(b[:n], []byte("\n")); err != nil || got != 2 {
		t.Errorf("lines in the pipe: got %d, %v; want 2", got, err)
	}
}

func TestMetrics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.jsonl")
	l := newLog(t, querylog.Config{Mode: querylog.ModeAll, Path: path, Queue: 1})
	put(l, query("www.example"), query("lost.example"))
	run(t, l)()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(l); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(r)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: got %v, %v", problems, err)
	}
	want := `# HELP cenote_querylog_records_total Queries written to the query log, in records. Look when it stands still in a mode other than off.
# TYPE cenote_querylog_records_total counter
cenote_querylog_records_total 1
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "cenote_querylog_records_total"); err != nil {
		t.Error(err)
	}
	if got := testutil.CollectAndCount(l, "cenote_querylog_dropped_total"); got != 2 {
		t.Errorf("reasons of drops: got %d want 2", got)
	}
}

// BenchmarkLog measures the whole way of a record, from a worker's ring into a file.
func BenchmarkLog(b *testing.B) {
	path := filepath.Join(b.TempDir(), "q.jsonl")
	l := newLog(b, querylog.Config{Mode: querylog.ModeAll, Path: path, Names: blackbook()})
	p := l.Producer()
	r := matched("a.b.malware.example", 2)
	stop := run(b, l)
	b.ReportAllocs()
	for b.Loop() {
		for p.Full() {
			runtime.Gosched()
		}
		*p.Slot() = r
		p.Commit()
	}
	b.StopTimer()
	stop()
	b.ReportMetric(float64(l.Counts().Octets)/float64(b.N), "octets/op")
}

// BenchmarkPut measures what a query pays: Want, Slot, the record and Commit.
func BenchmarkPut(b *testing.B) {
	l := newLog(b, querylog.Config{Mode: querylog.ModeSampled, Sample: 1 << 30, Path: filepath.Join(b.TempDir(), "q.jsonl")})
	p := l.Producer()
	b.ReportAllocs()
	for b.Loop() {
		if p.Want(false) {
			b.Fatal("one in 2^30 was drawn")
		}
	}
}
