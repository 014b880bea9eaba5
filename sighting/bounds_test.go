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
	"testing"
	"time"

	"cenote/sighting"
)

// lost sums up the losses.
func lost(t testing.TB, s *sighting.Store) (n uint64, list []sighting.Loss) {
	t.Helper()
	list, err := s.Losses(context.Background(), time.Time{})
	if err != nil {
		t.Fatalf("Losses: %v", err)
	}
	for _, l := range list {
		n += l.Count
	}
	return n, list
}

func TestOverloadServedIsRecordedPlusReported(t *testing.T) {
	dir := t.TempDir()
	c := sighting.Config{Dir: dir, Ring: 64}
	s := openAndRun(t, c)
	const each = 40_000
	var wg sync.WaitGroup
	for w := range 3 {
		p := s.Producer()
		wg.Go(func() {
			for i := range each {
				a := ask{client: fmt.Sprintf("10.%d.%d.1", w, i%200), name: fmt.Sprintf("n%d.example", i%300), labels: 2, family: i % 40, generation: 1, at: time.Now()}
				if w == 2 {
					s.Put(a.fill)
					continue
				}
				a.fill(p.Slot())
				p.Commit()
			}
		})
	}
	wg.Go(func() { // the rings change their size meanwhile
		for i := range 50 {
			update := c
			update.Ring = 16 << (i % 4)
			if err := s.Update(update); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Millisecond)
		}
	})
	wg.Wait()
	drained(t, s.Store)
	await(t, "all events are recorded or reported", func() bool {
		n, _ := lost(t, s.Store)
		return total(all(t, s.Store, sighting.Filter{}))+n == 3*each
	})
	n, _ := lost(t, s.Store)
	if n == 0 {
		t.Error("a ring of 64 lost nothing of 120,000 events: the test is void")
	}
	s.stop()
	after := openAndRun(t, sighting.Config{Dir: dir})
	kept, list := lost(t, after.Store)
	if got := total(all(t, after.Store, sighting.Filter{})); got+kept != 3*each || kept != n {
		t.Errorf("after a restart %d recorded + %d lost = %d, want %d, of which lost %d", got, kept, got+kept, 3*each, n)
	}
	for _, l := range list {
		if l.From.IsZero() || l.Until.Before(l.From) || l.Until.Sub(l.From) > 2*time.Minute {
			t.Errorf("a loss has the interval %v to %v", l.From, l.Until)
		}
		if l.Reason == "ring" && (l.Family == "" || !l.Client.IsValid()) {
			t.Errorf("a spilled loss does not say whose: %+v", l)
		}
	}
}

func TestClientAboveItsBoundIsCountedByFamily(t *testing.T) {
	dir, clock := t.TempDir(), fromNoon()
	c := sighting.Config{Dir: dir, Now: clock.now, Limits: sighting.Limits{IndicatorsPerClient: 10}}
	s := openAndRun(t, c)
	ask1 := func(i int) {
		a := ask{client: "192.0.2.1", name: fmt.Sprintf("n%d.example", i), labels: 2, family: i % 2, generation: 1, at: clock.now()}
		s.Put(a.fill)
	}
	for i := range 50 {
		ask1(i)
	}
	settled(t, s.Store, clock)
	count := func(list []sighting.Sighting) (named, families int, events uint64) {
		for _, g := range list {
			if g.Kind == "family" {
				families++
				if g.Name != "" || g.Line != 0 {
					t.Errorf("a count by family names %q line %d", g.Name, g.Line)
				}
			} else {
				named++
			}
		}
		return named, families, total(list)
	}
	if named, families, n := count(all(t, s.Store, sighting.Filter{})); named != 10 || families != 2 || n != 50 {
		t.Errorf("%d names, %d families, %d events, want 10, 2, 50", named, families, n)
	}
	s.stop()
	s = openAndRun(t, c)
	for i := range 60 {
		ask1(i)
	}
	settled(t, s.Store, clock)
	if named, families, n := count(all(t, s.Store, sighting.Filter{})); named != 10 || families != 2 || n != 110 {
		t.Errorf("after a restart %d names, %d families, %d events, want 10, 2, 110", named, families, n)
	}
}

func TestFullJournalDiskIsCountedAndHeals(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sighting.Config{Dir: dir, Limits: sighting.Limits{QueueOctets: 1 << 20}})
	var full atomic.Bool
	errFull := errors.New("no space left on device")
	s.FailJournal(func() error {
		if full.Load() {
			return errFull
		}
		return nil
	})
	r := run(t, s)
	put := func(n, from int) {
		for i := range n {
			a := ask{client: fmt.Sprintf("10.1.%d.%d", (from+i)/250%250, (from+i)%250), name: "bad.example", labels: 2, family: 1, generation: 1, at: time.Now()}
			s.Put(a.fill)
		}
		drained(t, s)
	}
	put(100, 0)
	full.Store(true)
	stuck := s.Written()
	for i := 0; s.LostCount() == 0; i++ {
		put(2000, i*2000)
		if i > 1000 {
			t.Fatal("a journal that cannot be written loses nothing: its queue has no bound")
		}
	}
	if got := s.Written(); got.After(stuck.Add(time.Second)) {
		t.Errorf("Written says %v while nothing is written since %v", got, stuck)
	}
	healed := time.Now()
	full.Store(false)
	await(t, "the journal is written again", func() bool { return s.Written().After(healed) })
	put(100, 1_000_000)
	n, list := lost(t, s)
	recorded := total(all(t, s, sighting.Filter{}))
	if n == 0 || n != s.LostCount() || list[0].Reason != "disk" {
		t.Errorf("losses are %d of %d, first %+v, want all, for the disk", n, s.LostCount(), list)
	}
	r.stop()
	after := openAndRun(t, sighting.Config{Dir: dir})
	m, _ := lost(t, after.Store)
	if got := total(all(t, after.Store, sighting.Filter{})); got != recorded || m != n {
		t.Errorf("after a restart %d recorded, %d lost, want %d, %d", got, m, recorded, n)
	}
}

func TestFullDayFileDiskLosesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sighting.Config{Dir: dir, Limits: sighting.Limits{TablePairs: 100, Pairs: 1000}})
	var full atomic.Bool
	full.Store(true)
	s.FailCommit(func() error {
		if full.Load() {
			return errors.New("no space left on device")
		}
		return nil
	})
	r := run(t, s)
	put := func(from, n int) {
		for i := from; i < from+n; i++ {
			a := ask{client: fmt.Sprintf("10.1.%d.%d", i/250, i%250), name: "bad.example", labels: 2, family: 1, generation: 1, at: time.Now()}
			s.Put(a.fill)
			if i%50 == 0 {
				drained(t, s)
			}
		}
		drained(t, s)
	}
	put(0, 500)
	if got := total(all(t, s, sighting.Filter{})); got != 500 {
		t.Errorf("%d events are there while the day file cannot be written, want 500", got)
	}
	put(500, 1500)
	n, list := lost(t, s)
	if got := total(all(t, s, sighting.Filter{})); got+n != 2000 || n == 0 || list[0].Reason != "backlog" {
		t.Errorf("%d recorded, %d lost, first %+v, want 2000 together and a bound on the backlog", got, n, list)
	}
	full.Store(false)
	await(t, "the backlog is written", func() bool { return s.Pairs() < 200 })
	put(5000, 100)
	if got := total(all(t, s, sighting.Filter{})); got+n != 2100 {
		t.Errorf("%d recorded, %d lost, want 2100 together", got, n)
	}
	r.stop()
	after := openAndRun(t, sighting.Config{Dir: dir})
	if got := total(all(t, after.Store, sighting.Filter{})); got+n != 2100 {
		t.Errorf("after a restart %d recorded, %d lost, want 2100 together", got, n)
	}
}

func TestRetentionDropsWholeDays(t *testing.T) {
	dir, clock := t.TempDir(), fromNoon()
	s := openAndRun(t, sighting.Config{Dir: dir, Now: clock.now, RetentionDays: 3})
	for range 6 {
		a := ask{client: "192.0.2.1", name: "bad.example", labels: 2, family: 1, generation: 1, at: clock.now()}
		s.Put(a.fill)
		settled(t, s.Store, clock)
		clock.advance(24 * time.Hour)
	}
	await(t, "all days are in files", func() bool { return s.Pairs() == 0 })
	s.Retain()
	days, err := filepath.Glob(filepath.Join(dir, "days", "*.db"))
	if err != nil || len(days) != 3 {
		t.Errorf("day files are %v, %v, want 3: the fourth day is today and has none", days, err)
	}
	if got := total(all(t, s.Store, sighting.Filter{})); got != 3 {
		t.Errorf("%d events, want 3", got)
	}
}

func TestEraseLeavesNothing(t *testing.T) {
	dir, clock := t.TempDir(), &shifted{}
	c := sighting.Config{Dir: dir, Now: clock.now, First: sighting.FirstConfig{Path: filepath.Join(t.TempDir(), "first.jsonl")}, Limits: sighting.Limits{TablePairs: 30, Pairs: 1 << 20}}
	s := openAndRun(t, c)
	victim := netip.MustParseAddr("198.51.100.77")
	for day := range 3 {
		for i := range 100 {
			a := ask{client: fmt.Sprintf("198.51.100.%d", 50+i%50), name: fmt.Sprintf("n%d.example", i%7), labels: 2, family: i % 7, generation: 1, at: clock.now(), port: 1}
			s.Put(a.fill)
		}
		settled(t, s.Store, clock)
		if day < 2 {
			clock.advance(24 * time.Hour)
		}
	}
	before := all(t, s.Store, sighting.Filter{})
	export, err := s.Export(t.Context(), victim, "the desk")
	if err != nil || total(export.Sightings) != 6 || len(export.Sightings[0].Hours) == 0 {
		t.Fatalf("Export: %d events, %v, want 6 with their hours", total(export.Sightings), err)
	}
	done, err := s.Erase(t.Context(), victim, "the desk")
	if err != nil || done.Days != 3 || done.Journals == 0 || done.Firsts == 0 {
		t.Fatalf("Erase: %+v, %v, want 3 days, journals and first sightings", done, err)
	}
	expect := func(s *sighting.Store) {
		t.Helper()
		after := all(t, s, sighting.Filter{})
		if total(after) != total(before)-6 {
			t.Errorf("%d events are left of %d, want %d", total(after), total(before), total(before)-6)
		}
		for _, g := range after {
			if g.Client == victim {
				t.Errorf("left: %+v", g)
			}
		}
	}
	expect(s.Store)
	firsts, cancel := s.Subscribe(1)
	defer cancel()
	a := ask{client: victim.String(), name: "n0.example", labels: 2, family: 0, generation: 1, at: clock.now()}
	s.Put(a.fill)
	settled(t, s.Store, clock)
	if f := <-firsts; f.Client != victim {
		t.Errorf("the first sighting after the erasure is of %v, want the client, who is new again", f.Client)
	}
	if _, err := s.Erase(t.Context(), victim, "the desk"); err != nil {
		t.Errorf("second Erase: %v", err)
	}
	s.stop()
	expectNoTrace(t, dir, c.First.Path, victim)
	again := openAndRun(t, c)
	expect(again.Store)
	audit, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil || strings.Count(string(audit), `"by":"the desk"`) != 3 || strings.Contains(string(audit), victim.String()) {
		t.Errorf("the audit is %s, %v, want three entries that do not name the client", audit, err)
	}
}

// expectNoTrace looks for the address in every file of the ledger, in binary and in text.
func expectNoTrace(t *testing.T, dir, firsts string, client netip.Addr) {
	t.Helper()
	as4, as16 := client.As4(), client.As16()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return noTrace(t, path, string(as4[:]), string(as16[:]), client.String())
	})
	if err != nil {
		t.Error(err)
	}
	if err := noTrace(t, firsts, client.String()); err != nil {
		t.Error(err)
	}
}

func noTrace(t *testing.T, path string, forms ...string) error {
	b, err := os.ReadFile(path)
	for _, form := range forms {
		if strings.Contains(string(b), form) {
			t.Errorf("%s still holds the client", path)
		}
	}
	return err
}

func TestDamagedDayFileIsPutAsideAndRestored(t *testing.T) {
	damage := map[string]func(t *testing.T, path string){
		"empty": func(t *testing.T, path string) { must(t, os.Truncate(path, 0)) },
		"cut":   func(t *testing.T, path string) { must(t, os.Truncate(path, 12<<10)) },
		"no meta page": func(t *testing.T, path string) {
			overwrite(t, path, func(b []byte) { clear(b[:8192]) })
		},
		"zeroed pages": func(t *testing.T, path string) {
			overwrite(t, path, func(b []byte) { clear(b[8192:min(len(b), 1<<20)]) })
		},
		"noise in pages": func(t *testing.T, path string) {
			overwrite(t, path, func(b []byte) {
				for i := 8192; i < min(len(b), 1<<20); i++ {
					b[i] ^= byte(i*7 + i>>8)
				}
			})
		},
		"flipped bits in values": func(t *testing.T, path string) {
			overwrite(t, path, func(b []byte) {
				for i := range b {
					if strings.HasPrefix(string(b[i:min(len(b), i+10)]), "\x0a\x01\x02\x03") || strings.HasPrefix(string(b[i:min(len(b), i+4)]), "zone") {
						b[i] ^= 1
					}
				}
			})
		},
	}
	for name, break1 := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openAndRun(t, sighting.Config{Dir: dir})
			for i := range 1000 {
				a := ask{client: fmt.Sprintf("10.1.2.%d", i%100), name: fmt.Sprintf("n%d.example", i%30), labels: 2, family: i % 30, generation: 1, at: time.Now()}
				s.Put(a.fill)
			}
			s.stop()
			days, _ := filepath.Glob(filepath.Join(dir, "days", "*.db"))
			if len(days) == 0 {
				t.Fatal("there is no day file")
			}
			break1(t, days[0])
			after := openAndRun(t, sighting.Config{Dir: dir})
			await(t, "the events are back", func() bool {
				n, err := sum(after.Store)
				return err == nil && n == 1000
			})
			if after.Damaged() == 0 {
				t.Error("no file was put aside")
			}
			aside, _ := filepath.Glob(filepath.Join(dir, "quarantine", "*"))
			if len(aside) != 1 {
				t.Errorf("quarantine holds %v, want the damaged file", aside)
			}
			a := ask{client: "10.1.2.3", name: "new.example", labels: 2, family: 1, generation: 1, at: time.Now()}
			after.Put(a.fill)
			drained(t, after.Store)
			if n, err := sum(after.Store); n != 1001 || err != nil {
				t.Errorf("%d events, %v, want 1001", n, err)
			}
		})
	}
}

func sum(s *sighting.Store) (n uint64, err error) {
	for g, err := range s.All(context.Background(), sighting.Filter{}) {
		if err != nil {
			return n, err
		}
		n += g.Count
	}
	return n, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, change func(b []byte)) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	change(b)
	must(t, os.WriteFile(path, b, 0o600))
}

func TestDirectoryHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, sighting.Config{Dir: dir})
	if second, err := sighting.Open(sighting.Config{Dir: dir, Catalog: &book{}}); err == nil {
		second.Close()
		t.Error("a second Open of the same directory succeeded")
	}
	s.Close()
	third := open(t, sighting.Config{Dir: dir})
	third.Close()
}

func TestTableOfTwoDaysIsCountedOnceThoughOneFails(t *testing.T) {
	dir, clock := t.TempDir(), &shifted{}
	midnight := clock.now().Truncate(24 * time.Hour).Add(24 * time.Hour)
	clock.advance(midnight.Sub(clock.now()) + time.Second)
	s := open(t, sighting.Config{Dir: dir, Now: clock.now, Limits: sighting.Limits{TablePairs: 10, Pairs: 1 << 20}})
	var commits atomic.Int64
	var healed atomic.Bool
	s.FailCommit(func() error {
		if commits.Add(1) >= 2 && !healed.Load() {
			return errors.New("no space left on device")
		}
		return nil
	})
	r := run(t, s)
	for i := range 20 {
		a := ask{client: fmt.Sprintf("192.0.2.%d", i), name: "bad.example", labels: 2, family: 1, generation: 1, at: midnight.Add(time.Duration(i-10) * time.Millisecond)}
		s.Put(a.fill)
	}
	settled(t, s, clock)
	await(t, "one day is written and the other is not", func() bool { return commits.Load() >= 2 })
	if got := total(all(t, s, sighting.Filter{})); got != 20 {
		t.Errorf("%d events while a day is written and the other is not, want 20", got)
	}
	healed.Store(true)
	await(t, "both days are written", func() bool { return s.Pairs() == 0 })
	if got := total(all(t, s, sighting.Filter{})); got != 20 {
		t.Errorf("%d events after both are written, want 20", got)
	}
	r.stop()
	after := openAndRun(t, sighting.Config{Dir: dir, Now: clock.now})
	if got := total(all(t, after.Store, sighting.Filter{})); got != 20 {
		t.Errorf("%d events after a restart, want 20", got)
	}
}

func TestDayFileThatIsCutWhileInUse(t *testing.T) {
	dir := t.TempDir()
	for round := range 2 {
		s := openAndRun(t, sighting.Config{Dir: dir})
		for i := range 1000 {
			a := ask{client: fmt.Sprintf("10.1.%d.%d", round, i%200), name: fmt.Sprintf("n%d.example", i), labels: 2, family: i % 30, generation: 1, at: time.Now()}
			s.Put(a.fill)
		}
		s.stop()
	}
	s := openAndRun(t, sighting.Config{Dir: dir})
	days, _ := filepath.Glob(filepath.Join(dir, "days", "*.db"))
	must(t, os.Truncate(days[0], 8<<10))
	await(t, "the events are back", func() bool {
		n, err := sum(s.Store)
		return err == nil && n == 2000
	})
	if s.Damaged() != 1 {
		t.Errorf("%d files were put aside, want 1", s.Damaged())
	}
}
