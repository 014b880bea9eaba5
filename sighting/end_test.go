package sighting_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/sighting"
)

// one is an event of a client.
func one(client string) *ask {
	return &ask{client: client, name: "bad.example", labels: 2, family: 1, generation: 1, at: time.Now()}
}

// TestSyncThatFailsIsTriedAgain: a disk that refuses to sync is asked again, and nothing counts as safe from power loss meanwhile.
func TestSyncThatFailsIsTriedAgain(t *testing.T) {
	s := open(t, sighting.Config{Dir: t.TempDir()})
	var tries atomic.Int64
	var heal atomic.Bool
	s.FailSync(func(string) error {
		if heal.Load() {
			return nil
		}
		tries.Add(1)
		return errors.New("input/output error")
	})
	run(t, s)
	s.Put(one("192.0.2.1").fill)
	asked := time.Now()
	await(t, "the event is written", func() bool { return s.Written().After(asked) })
	await(t, "the sync is tried again", func() bool { return tries.Load() >= 3 })
	if s.Synced().After(asked) {
		t.Error("what was never synced counts as safe")
	}
	heal.Store(true)
	await(t, "the event is synced", func() bool { return s.Synced().After(asked) })
}

// segments is how many there are in the journal of a ledger.
func segments(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, "journal"))
	must(t, err)
	return len(list)
}

// TestNoSegmentIsLeftUnsynced: when an hour ends, its segment is synced before another one begins, however long that takes.
func TestNoSegmentIsLeftUnsynced(t *testing.T) {
	dir, clock := t.TempDir(), &shifted{}
	s := open(t, sighting.Config{Dir: dir, Now: clock.now})
	var heal atomic.Bool
	s.FailSync(func(string) error {
		if heal.Load() {
			return nil
		}
		return errors.New("input/output error")
	})
	run(t, s)
	s.Put(one("192.0.2.1").fill)
	await(t, "the first segment is written", func() bool { return segments(t, dir) == 1 })
	clock.advance(time.Hour)
	next := one("192.0.2.2")
	next.at = clock.now()
	s.Put(next.fill)
	failed := s.JournalFailures()
	await(t, "some syncs fail", func() bool { return s.JournalFailures() >= failed+4 })
	if n := segments(t, dir); n != 1 {
		t.Errorf("there are %d segments, the first of which is not synced", n)
	}
	heal.Store(true)
	await(t, "the next segment is begun", func() bool { return segments(t, dir) == 2 })
	await(t, "both are synced", func() bool { return s.Synced().After(next.at) })
}

// TestJournalsAreKeptNoLonger: raw evidence goes when its time has come, be it of the last match there was; what follows is recorded as ever.
func TestJournalsAreKeptNoLonger(t *testing.T) {
	dir, clock := t.TempDir(), &shifted{}
	c := sighting.Config{Dir: dir, Now: clock.now, Evidence: sighting.EvidenceConfig{Age: 24 * time.Hour}}
	s := openAndRun(t, c)
	put := func(client string) {
		a := one(client)
		a.at = clock.now()
		s.Put(a.fill)
	}
	put("192.0.2.1")
	await(t, "the match is written", func() bool { return segments(t, dir) == 1 })
	s.Retain()
	if n := segments(t, dir); n != 1 {
		t.Errorf("there are %d segments soon after, want 1", n)
	}
	// What is learned late of a match may be in a segment of its own.
	await(t, "the segment is removed", func() bool { clock.advance(6 * time.Hour); s.Retain(); return segments(t, dir) == 0 })
	put("192.0.2.2")
	settled(t, s.Store, clock)
	s.stop()
	s = openAndRun(t, c)
	put("192.0.2.3")
	settled(t, s.Store, clock) // by the clock of the store, which is days ahead
	if n := total(all(t, s.Store, sighting.Filter{})); n != 3 {
		t.Errorf("%d matches after a restart, want 3", n)
	}
}

// TestSegmentIsNotClosedDuringItsSync: a segment that ends while it is being synced is closed after that.
func TestSegmentIsNotClosedDuringItsSync(t *testing.T) {
	s := open(t, sighting.Config{Dir: t.TempDir()})
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.FailSync(func(string) error {
		once.Do(func() { close(begun); <-release })
		return nil
	})
	run(t, s)
	s.Put(one("192.0.2.1").fill)
	<-begun
	ended := make(chan error, 1)
	go func() { // which ends the segment
		_, err := s.Erase(context.Background(), netip.MustParseAddr("192.0.2.2"), "test")
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Errorf("the segment was closed during its sync: %v", err)
		ended <- err
	case <-time.After(200 * time.Millisecond): // it waits, or has yet to come there: both are right
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := s.JournalFailures(); n != 0 {
		t.Errorf("%d syncs failed", n)
	}
}

// TestEndOnAFullDiskComesSoon: at the end all batches together, not each, wait for a disk that takes nothing.
func TestEndOnAFullDiskComesSoon(t *testing.T) {
	s := open(t, sighting.Config{Dir: t.TempDir()})
	s.FailJournal(func() error { return errors.New("no space left on device") })
	r := run(t, s)
	const batches = 60
	for range batches {
		s.Put(one("192.0.2.1").fill)
		drained(t, s)
	}
	begun := time.Now()
	r.stop()
	if took := time.Since(begun); took > time.Minute { // with two seconds each it would be two minutes
		t.Errorf("the end of %d batches took %v", batches, took)
	}
}

// TestEraseSaysThatTheDiskIsBusy: while the journal's queue is full the collector waits for nobody, and whoever wants to erase is told to come again.
func TestEraseSaysThatTheDiskIsBusy(t *testing.T) {
	s := open(t, sighting.Config{Dir: t.TempDir()})
	s.JournalQueue(2)
	var healed atomic.Bool
	s.FailJournal(func() error {
		if healed.Load() {
			return nil
		}
		return errors.New("no space left on device")
	})
	run(t, s)
	await(t, "matches are lost", func() bool { s.Put(one("192.0.2.1").fill); return s.LostCount() > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := netip.MustParseAddr("192.0.2.1")
	if _, err := s.Erase(ctx, client, "test"); !errors.Is(err, sighting.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	drained(t, s)
	healed.Store(true)
	await(t, "the client can be erased", func() bool {
		done, err := s.Erase(ctx, client, "test")
		return err == nil && done.Rows > 0
	})
}

// TestErasureThatNobodyWaitsForStops: when whoever asked has gone, what was not begun is left alone, and the audit says that it failed.
func TestErasureThatNobodyWaitsForStops(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sighting.Config{Dir: dir})
	begun, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.FailCommit(func() error {
		once.Do(func() { close(begun); <-release })
		return nil
	})
	r := run(t, s)
	s.Put(one("192.0.2.1").fill)
	drained(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.Erase(ctx, netip.MustParseAddr("192.0.2.1"), "test")
		ended <- err
	}()
	<-begun
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context has ended", err)
	}
	close(release)
	r.stop()
	again := openAndRun(t, sighting.Config{Dir: dir})
	if n := total(all(t, again.Store, sighting.Filter{})); n != 1 {
		t.Errorf("%d events are left, want 1", n)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "audit.jsonl")); err == nil && strings.Contains(string(b), `"action":"erase"`) {
		t.Errorf("the audit tells of an erasure: %s", b)
	}
}

// TestQuarantineIsNotForEver: damaged files hold evidence, and go when evidence goes; until then an erasure tells of them.
func TestQuarantineIsNotForEver(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	s := openAndRun(t, sighting.Config{Dir: dir, RetentionDays: 3})
	put := func(name string) string {
		path := filepath.Join(dir, "quarantine", name)
		must(t, os.WriteFile(path, []byte("damaged"), 0o600))
		return path
	}
	stamped := func(age time.Duration) string { return fmt.Sprintf("2026-01-02.db.%d", now.Add(-age).UnixNano()) }
	recent, foreign := put(stamped(24*time.Hour)), put("notes.txt")
	s.Put(one("192.0.2.1").fill)
	drained(t, s.Store)
	done, err := s.Erase(t.Context(), netip.MustParseAddr("192.0.2.1"), "test")
	if err != nil || done.Quarantined != 1 {
		t.Errorf("the erasure tells of %d damaged files, %v; want 1", done.Quarantined, err)
	}
	s.stop()
	old := put(stamped(5 * 24 * time.Hour))
	s = openAndRun(t, sighting.Config{Dir: dir, RetentionDays: 3})
	await(t, "the old one is gone", func() bool { _, err := os.Stat(old); return errors.Is(err, os.ErrNotExist) })
	for _, path := range []string{recent, foreign} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v, want it kept", path, err)
		}
	}
}

// TestUnfinishedJournalIsRemoved: what a crash left of a journal that was being rewritten is no evidence, and nothing would ever drop it.
func TestUnfinishedJournalIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "journal", "0000000000000001.journal.new")
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, []byte("half"), 0o600))
	openAndRun(t, sighting.Config{Dir: dir})
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there (%v)", err)
	}
}

// TestStreamMakesItsDirectory, and ends a line that a crash tore before it appends.
func TestStreamMakesItsDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "there", "first.jsonl")
	c := sighting.Config{Dir: t.TempDir(), First: sighting.FirstConfig{Path: path}}
	lines := func() []string {
		b, err := os.ReadFile(path)
		must(t, err)
		return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	}
	s := openAndRun(t, c)
	s.Put(one("192.0.2.1").fill)
	s.stop()
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "192.0.2.1") {
		t.Fatalf("lines are %q, want one", got)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(`{"time":"2026-01-02T15:04:0`)
	must(t, errors.Join(err, f.Close()))
	s = openAndRun(t, c)
	s.Put(one("192.0.2.2").fill)
	s.stop()
	if got := lines(); len(got) != 2 || !strings.HasPrefix(got[1], `{"time":`) || !strings.Contains(got[1], "192.0.2.2") {
		t.Errorf("lines are %q, want two whole ones", got)
	}
}

// TestStreamIntoAPipeHoldsUpNothing: a pipe that nobody reads is refused and counted; recording, erasing and the end go on.
func TestStreamIntoAPipeHoldsUpNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(path, 0o600))
	s := openAndRun(t, sighting.Config{Dir: t.TempDir(), First: sighting.FirstConfig{Path: path}})
	s.Put(one("192.0.2.1").fill)
	drained(t, s.Store)
	await(t, "the line is counted as dropped", func() bool { return s.FirstsDropped() == 1 })
	if done, err := s.Erase(t.Context(), netip.MustParseAddr("192.0.2.1"), "test"); err != nil || done.Rows != 1 {
		t.Errorf("erased %+v, %v; want one row", done, err)
	}
	s.stop()
}

// TestPowerLossLosesNothingSynced takes the power away at several moments: what a disk then has for certain is what each segment held when its last
// sync began. Everything recorded before the time that Synced tells is in it, once.
func TestPowerLossLosesNothingSynced(t *testing.T) {
	s := open(t, sighting.Config{Dir: t.TempDir()})
	var mu sync.Mutex
	certain := map[string][]byte{} // by name of the segment
	s.FailSync(func(path string) error {
		b, err := os.ReadFile(path)
		mu.Lock()
		defer mu.Unlock()
		certain[filepath.Base(path)] = b
		return err
	})
	run(t, s)
	p := s.Producer()
	events := 0
	record := func(n int) time.Time {
		for range n {
			a := childAsk(0, events)
			a.at = time.Now()
			a.fill(p.Slot())
			p.Commit()
			events++
		}
		return time.Now()
	}
	for moment := range 6 {
		before := record(300)
		least := events
		if moment%2 == 1 { // which begins a new segment
			_, err := s.Erase(t.Context(), netip.MustParseAddr("192.0.2.99"), "test")
			must(t, err)
		}
		record(50)
		await(t, "it is synced", func() bool { return s.Synced().After(before) })
		t.Logf("moment %d: safe %v after it was recorded", moment, time.Since(before))
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(dir, "journal"), 0o700))
		mu.Lock()
		for name, b := range certain {
			must(t, os.WriteFile(filepath.Join(dir, "journal", name), b, 0o600))
		}
		mu.Unlock()
		after := open(t, sighting.Config{Dir: dir})
		got, n := perClient(t, after, 0)
		want := map[string]uint64{}
		for i := range n {
			a := childAsk(0, int(i))
			want[a.client+" "+a.name]++
		}
		if int(n) < least || int(n) > events || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("moment %d: %d events are there, want the first %d to %d", moment, n, least, events)
		}
		must(t, after.Close())
	}
}
