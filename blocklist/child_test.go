package blocklist_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/pace"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the compiling child, as the server's binary is, and some bad children besides.
func TestMain(m *testing.M) {
	if len(os.Args) >= 3 && os.Args[1] == "compile" && os.Args[2] == "--child" {
		os.Exit(beChild(os.Args[3:]))
	}
	if len(os.Args) >= 2 && os.Args[1] == "publish" {
		os.Exit(bePublisher(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// beChild is the child process. Its first argument is the way in which it fails; without one it is good, and gives way to nobody.
func beChild(args []string) int {
	ctx := context.Background()
	var in io.Reader = os.Stdin
	compile := blocklist.RunChild
	if len(args) == 0 {
		compile = compileAtEase
	} else {
		how, what, _ := strings.Cut(args[0], "=")
		switch how {
		case "dies-reading": // as if a parser had failed
			job, reads := jobReads(what)
			if in = bytes.NewReader(job); reads {
				fmt.Printf(`{"progress":{"stage":"read","feed":%q}}`+"\n", what)
				fmt.Fprintln(os.Stderr, "panic: a parser failed")
				return 2
			}
		case "dies-after":
			d, _ := time.ParseDuration(what)
			time.AfterFunc(d, func() { syscall.Kill(os.Getpid(), syscall.SIGKILL) })
		case "dies-once": // late, and only while the file is there
			if job, reads := jobReads("f"); reads && os.Remove(what) == nil {
				fmt.Println(`{"progress":{"stage":"read","feed":"f"}}`)
				time.Sleep(time.Second)
				return 2
			} else {
				in = bytes.NewReader(job)
			}
		case "hangs":
			fmt.Println(`{"progress":{"stage":"merge"}}`)
			time.Sleep(time.Hour)
		case "babbles":
			fmt.Println("hello")
			return 0
		case "is-silent":
			return 0
		case "eats-memory":
			blocklist.RunChild(ctx, in, io.Discard)
			return eatMemory()
		case "shows-limits":
			defer showLimits(what)
		case "shows-peak":
			defer showPeak(what)
		case "starves": // beside a hog, until it is in a hurry
			job, _ := jobReads("f")
			in = bytes.NewReader(job)
			if !bytes.Contains(job, []byte(`"hurry":true`)) {
				computeWhenIdle(time.Hour)
			}
			defer showLimits(what)
		case "computes", "rests", "lingers":
			counted(what)
			switch how {
			case "computes":
				computeFor(manyPatiences)
			case "rests":
				time.Sleep(manyPatiences)
			}
			if err := compileAtEase(ctx, in, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			if how == "lingers" { // beside a hog
				computeWhenIdle(manyPatiences)
			}
			return 0
		}
	}
	if err := compile(ctx, in, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// jobReads returns the job and whether it asks for a feed to be read.
func jobReads(feed string) ([]byte, bool) {
	b, _ := io.ReadAll(os.Stdin)
	var job struct {
		Job struct {
			Feeds []struct {
				Name string `json:"name"`
				Read bool   `json:"read"`
			} `json:"feeds"`
		} `json:"job"`
	}
	json.Unmarshal(b, &job)
	for _, f := range job.Job.Feeds {
		if f.Name == feed && f.Read {
			return b, true
		}
	}
	return b, false
}

func eatMemory() int {
	var kept [][]byte
	for range 1 << 12 {
		b := make([]byte, 16<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	return len(kept) % 2
}

// showLimits writes what the process allows itself to a file.
func showLimits(path string) {
	var limit unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_DATA, &limit)
	var threads []string
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		tid, _ := strconv.Atoi(filepath.Base(task))
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			continue // it has ended
		}
		var on unix.CPUSet
		if unix.SchedGetaffinity(tid, &on) != nil {
			continue
		}
		thread := fmt.Sprintf("policy %d, nice %d, on %d", attr.Policy, attr.Nice, on.Count())
		if attr.Policy == unix.SCHED_BATCH && attr.Runtime != 0 && attr.Runtime != 100_000 { // Linux before 6.12 tells no slice
			thread += fmt.Sprintf(", slice %d ns", attr.Runtime)
		}
		if !slices.Contains(threads, thread) {
			threads = append(threads, thread)
		}
	}
	score, _ := os.ReadFile("/proc/self/oom_score_adj")
	os.WriteFile(path, fmt.Appendf(nil, "%s; data %d MiB, oom %s, GOMEMLIMIT %s, GOMAXPROCS %s", strings.Join(threads, "; "), limit.Cur>>20,
		strings.TrimSpace(string(score)), os.Getenv("GOMEMLIMIT"), os.Getenv("GOMAXPROCS")), 0o600)
}

// childWith is a child of this binary.
func childWith(tb testing.TB, args ...string) blocklist.ChildConfig {
	tb.Helper()
	self, err := os.Executable()
	must(tb, err)
	return blocklist.ChildConfig{Command: append([]string{self, "compile", "--child"}, args...)}
}

// TestChildGivesWay: every thread of a child runs while nothing else wants the processor (SCHED_IDLE is 5), and the process has limits.
func TestChildGivesWay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "limits")
	child := childWith(t, "shows-limits="+path)
	child.MemoryBytes, child.Cores, child.Patience, child.Processors = 1<<30, 1, time.Hour, allowed(t)[:1]
	w := newWorld(t, func(c *blocklist.Config) { c.Child = child })
	w.feed("f", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	want := fmt.Sprintf("policy 5, nice 19, on 1; data %d MiB, oom 1000, GOMEMLIMIT %d, GOMAXPROCS 1", 2<<10+256, 1<<30)
	if got := readFile(path); got != want {
		t.Errorf("the child has %q, want %q", got, want)
	}
}

// TestChildUsesItsProcessors: a child that was given processors uses as many cores, unless it was told another number.
func TestChildUsesItsProcessors(t *testing.T) {
	t.Parallel()
	all := allowed(t)
	half := max(runtime.NumCPU()/2, 1)
	for _, tc := range []struct {
		processors  []int
		cores, want int
	}{{nil, 0, half}, {all[:1], 0, 1}, {all, 0, len(all)}, {all, 1, 1}} {
		path := filepath.Join(t.TempDir(), "limits")
		child := childWith(t, "shows-limits="+path)
		child.Processors, child.Cores, child.Patience = tc.processors, tc.cores, time.Hour
		w := newWorld(t, func(c *blocklist.Config) { c.Child = child })
		w.feed("f", "0.0.0.0 a.example\n")
		w.reload(blocklist.ReloadOptions{})
		if got, want := readFile(path), fmt.Sprintf("GOMAXPROCS %d", tc.want); !strings.HasSuffix(got, want) {
			t.Errorf("processors %v, cores %d: the child has %q, want %q", tc.processors, tc.cores, got, want)
		}
		w.close()
	}
}

// allowed are the numbers of the processors that this process may run on.
func allowed(t *testing.T) (numbers []int) {
	t.Helper()
	var set unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &set))
	for number := range 1024 {
		if set.IsSet(number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// TestOwnThreadsAreAll: the threads that are asked for one by one are those that the system lists.
func TestOwnThreadsAreAll(t *testing.T) {
	t.Parallel()
	for range 100 {
		var listed []int
		tasks, err := filepath.Glob("/proc/self/task/*")
		must(t, err)
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			must(t, err)
			listed = append(listed, tid)
		}
		found := blocklist.OwnThreads()
		slices.Sort(listed)
		slices.Sort(found)
		if slices.Equal(listed, found) {
			return
		}
		time.Sleep(time.Millisecond) // threads come and go
	}
	t.Error("not once were all threads found")
}

// compileAtEase is RunChild without giving way, which would let other tests starve it.
func compileAtEase(ctx context.Context, in io.Reader, out io.Writer) error {
	var job struct {
		Job blocklist.CompileConfig `json:"job"`
	}
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return err
	}
	messages := json.NewEncoder(out)
	job.Job.Progress = func(p blocklist.Progress) { messages.Encode(map[string]any{"progress": p}) }
	report, err := blocklist.Compile(ctx, job.Job)
	last := map[string]any{"report": report}
	if err != nil {
		last["error"] = err.Error()
	}
	return errors.Join(messages.Encode(last), err)
}

// manyPatiences is long enough for a child to be looked at several times.
const shortPatience, manyPatiences = 200 * time.Millisecond, 5 * shortPatience

func computeFor(d time.Duration) {
	for began := time.Now(); time.Since(began) < d; {
	}
}

// onCore lets the caller's goroutine run on one core, the same for all who call it, with its thread for good.
func onCore() {
	runtime.LockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		panic(err)
	}
	for cpu := 0; one.Count() == 0; cpu++ {
		if all.IsSet(cpu) {
			one.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		panic(err)
	}
}

// computeWhenIdle computes on the core of the hog.
func computeWhenIdle(d time.Duration) {
	onCore()
	if err := pace.WhenIdle(0); err != nil {
		panic(err)
	}
	computeFor(d)
}

// hog takes the whole core until the test ends.
func hog(t *testing.T) {
	var stopped atomic.Bool
	var ended sync.WaitGroup
	ended.Go(func() {
		onCore()
		for !stopped.Load() {
		}
	})
	t.Cleanup(func() { stopped.Store(true); ended.Wait() })
}

// counted notes that a child has started.
func counted(path string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, "started")
}

// TestChildIsNotStarved: a child that waits for a processor in vain is ended, and one takes its place that gets some (SCHED_BATCH is 3).
func TestChildIsNotStarved(t *testing.T) {
	t.Parallel()
	hog(t)
	path := filepath.Join(t.TempDir(), "limits")
	child := childWith(t, "starves="+path)
	child.Patience = shortPatience
	w := newWorld(t, func(c *blocklist.Config) { c.Child = child })
	w.feed("f", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	if !w.lists("a.example") {
		t.Errorf("a.example is not listed after the reload; the log:\n%s", w.log())
	}
	if got := readFile(path); !regexp.MustCompile(`^policy 3, nice 19, on \d+; data `).MatchString(got) {
		t.Errorf("the second child has %q, want policy 3, nice 19", got)
	}
}

// TestChildIsLeftAlone: no other child takes the place of one that computes, or waits for something else than a processor, or has done its work.
func TestChildIsLeftAlone(t *testing.T) {
	for _, how := range []string{"computes", "rests", "lingers"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			if how == "lingers" {
				hog(t)
			}
			for deadline := time.Now().Add(patience); ; { // a machine that is very busy does starve a child now and then
				got, log := childrenStarted(t, how)
				if got == "started\n" {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("children that were started: %q, want one; the log:\n%s", got, log)
				}
			}
		})
	}
}

// childrenStarted reloads with children that behave so, and returns a line for each that was started, and the log.
func childrenStarted(t *testing.T, how string) (started, log string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "started")
	child := childWith(t, how+"="+path)
	child.Patience = shortPatience
	w := newWorld(t, func(c *blocklist.Config) { c.Child = child })
	w.feed("f", "0.0.0.0 a.example\n")
	w.reload(blocklist.ReloadOptions{})
	if !w.lists("a.example") {
		t.Errorf("a.example is not listed after the reload; the log:\n%s", w.log())
	}
	return readFile(path), w.log()
}

func TestBadChildrenChangeNothing(t *testing.T) {
	for _, tc := range []struct {
		how  string
		want string // in the error
	}{
		{"hangs", "more than"}, {"babbles", "its messages"}, {"is-silent", "without a report"}, {"eats-memory", "exit status"}, {"dies-after=0s", "killed"},
	} {
		t.Run(tc.how, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.feed("f", "0.0.0.0 a.example\n")
			w.reload(blocklist.ReloadOptions{})
			first := w.current()
			w.close()
			w.feed("f", "0.0.0.0 b.example\n")
			w.open(func(c *blocklist.Config) {
				c.Child = childWith(t, tc.how)
				switch tc.how {
				case "hangs":
					c.Child.Timeout = 2 * time.Second
				case "eats-memory":
					c.Child.MemoryBytes = 32 << 20
				}
			})
			_, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{})
			if err == nil && tc.how != "dies-after=0s" || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Reload error = %v, want one with %q", err, tc.want)
			}
			if g := w.current(); g.Number != first.Number || !w.lists("a.example") {
				t.Errorf("generation %d is served, want %d with a.example", g.Number, first.Number)
			}
			w.close()
			w.open(nil)
			w.reload(blocklist.ReloadOptions{})
			if !w.lists("b.example") {
				t.Error("a good child does not publish b.example afterwards")
			}
		})
	}
}

func TestChildThatDiesOnAFeedStopsNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *blocklist.Config) { c.Child = childWith(t, "dies-reading=bad") })
	w.feed("bad", "0.0.0.0 bad.example\n")
	w.feed("good", "0.0.0.0 good.example\n")
	report := w.reload(blocklist.ReloadOptions{})
	if !w.lists("good.example") || w.lists("bad.example") {
		t.Error("want good.example and not bad.example")
	}
	status := w.status("bad")
	if status.State != blocklist.FeedFailed || !strings.Contains(status.Error, `while reading feed "bad"`) {
		t.Errorf("bad is %s: %s", status.State, status.Error)
	}
	if i := slices.IndexFunc(report.Feeds, func(r blocklist.FeedResult) bool { return r.Name == "bad" }); i < 0 || !report.Feeds[i].Failure.Crash {
		t.Errorf("the report does not say that bad crashed: %+v", report)
	}
	if got := w.metric("cenote_blocklist_child_failures_total"); got != 1 {
		t.Errorf("child failures = %v, want 1", got)
	}
	if !strings.Contains(w.log(), "a parser failed") {
		t.Error("what the child said on stderr is not in the log")
	}
}

// TestChangeDuringAFailureIsRead changes a feed while the child dies on it: the new state has not been read and must be.
func TestChangeDuringAFailureIsRead(t *testing.T) {
	t.Parallel()
	flag := filepath.Join(t.TempDir(), "flag")
	write(t, flag, "")
	w := newWorld(t, func(c *blocklist.Config) { c.Child = childWith(t, "dies-once="+flag) })
	w.feed("f", "0.0.0.0 a.example\n")
	w.run()
	w.eventually("the child has begun", func() bool { _, err := os.Stat(flag); return err != nil })
	w.feed("f", "0.0.0.0 b.example\n")
	w.eventually("b.example is listed", func() bool { return w.lists("b.example") })
}

// TestKilledChildLeavesOldOrNew kills the child at many moments. After each the directory opens with the old or the new policy.
func TestKilledChildLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	names := 30_000
	if raceEnabled {
		names = 3000
	}
	w := newWorld(t, nil)
	w.feed("f", manyHosts("v0", names))
	whole := time.Duration(w.reload(blocklist.ReloadOptions{}).Seconds * float64(time.Second))
	version, killed := 0, 0
	for i := range 16 {
		w.close()
		next := fmt.Sprint("v", i+1)
		w.feed("f", manyHosts(next, names))
		w.open(func(c *blocklist.Config) {
			c.Child = childWith(t, fmt.Sprint("dies-after=", whole*time.Duration(i)/12))
		})
		_, err := w.p.Reload(t.Context(), blocklist.ReloadOptions{})
		w.close()
		w.open(nil)
		old, fresh := w.lists(fmt.Sprint("n0.v", version, ".example")), w.lists("n0."+next+".example")
		if old == fresh {
			t.Fatalf("kill %d (%v): old served %v, new served %v", i, err, old, fresh)
		}
		if fresh {
			version = i + 1
		} else {
			killed++
		}
		if got := w.current().Policy.Index().Len(); got != names {
			t.Fatalf("kill %d: %d names are served, want %d", i, got, names)
		}
	}
	t.Logf("%d of 16 children were killed before they were done", killed)
}

func manyHosts(version string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "0.0.0.0 n%d.%s.example\n", i, version)
	}
	return b.String()
}

// bePublisher is a whole server's publishing half that follows a feed until it is killed.
func bePublisher(args []string) int {
	dir, feed := args[0], args[1]
	p, err := blocklist.New(blocklist.Config{
		Dir: dir, Feeds: []blocklist.Feed{{FeedConfig: blocklist.FeedConfig{Name: "f", Path: feed}}}, Order: blocklist.Order{Zones: zonesOf("f")},
		Publish: func(*blocklist.Generation) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		if _, err := p.Reload(context.Background(), blocklist.ReloadOptions{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// TestKilledPublisherLeavesAPolicy kills the publishing process, and with it its child, at many moments.
func TestKilledPublisherLeavesAPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := w.feed("f", manyHosts("v0", 5000))
	w.reload(blocklist.ReloadOptions{})
	w.close()
	for i := range 12 {
		end := w.publishElsewhere(path)
		for round := range 1 + i%3 {
			w.feed("f", manyHosts(fmt.Sprint("v", i, ".", round), 5000))
			time.Sleep(time.Duration(20+37*i) * time.Millisecond)
		}
		end()
		w.open(nil)
		if got := w.current(); got == nil || got.Policy.Index().Len() != 5000 {
			t.Fatalf("kill %d: generation %+v, want one with 5000 names", i, got)
		}
		w.close()
	}
}
