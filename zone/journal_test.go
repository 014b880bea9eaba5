package zone_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"

	"github.com/prometheus/client_golang/prometheus"
)

// journaled is a keeper with a state directory, which can be started again.
type journaled struct {
	*zone.Keeper
	t       *testing.T
	dir     string
	path    string // of the zone's file; "" if its states are installed
	log     *lines
	bounds  zone.HistoryBounds
	changes []uint32
}

func newJournaled(t *testing.T, file bool, bounds zone.HistoryBounds) *journaled {
	j := &journaled{t: t, dir: filepath.Join(t.TempDir(), "zones"), log: new(lines), bounds: bounds}
	if file {
		j.path = filepath.Join(t.TempDir(), "zone")
	}
	return j
}

// start begins again with what lies in the directories, as after a kill: nothing was closed or written at the end.
func (j *journaled) start() {
	j.t.Helper()
	var err error
	j.Keeper, err = zone.NewKeeper(zone.KeeperConfig{
		Sources: []zone.Source{{Name: dnsname.MustParse("example"), Path: j.path, Origin: "a test"}}, Dir: j.dir, Bounds: j.bounds,
		Changed: func(_ dnsname.Name, serial uint32) { j.changes = append(j.changes, serial) },
		Poll:    time.Hour, Log: slog.New(slog.NewTextHandler(j.log, nil)),
	})
	if err != nil {
		j.t.Fatal(err)
	}
}

// put gives the zone its next version.
func (j *journaled) put(n int) {
	j.t.Helper()
	text := serial(strconv.Itoa(n), "192.0.2."+strconv.Itoa(n))
	if j.path == "" {
		if err := j.Install(load(j.t, "example", text)); err != nil {
			j.t.Fatal(err)
		}
		return
	}
	write(j.t, j.path, text)
	if j.Keeper != nil {
		if _, err := j.Reload(false); err != nil {
			j.t.Fatal(err)
		}
	}
}

// history is the serials of the history that is published, such as "1 2 3".
func (j *journaled) history() string {
	served := j.Set().Exact([]byte(dnsname.MustParse("example")))
	var out []string
	for _, s := range served.History.Steps() {
		out = append(out, strconv.Itoa(int(s.From)))
	}
	return strings.Join(append(out, strconv.Itoa(int(served.Zone.Serial()))), " ")
}

func (j *journaled) expect(what, want string) {
	j.t.Helper()
	if got := j.history(); got != want {
		j.t.Fatalf("%s: the history is %s, want %s", what, got, want)
	}
}

// TestHistoryOutlivesARestart holds what is left of a history after the server was killed, for a zone with a file and for one without.
func TestHistoryOutlivesARestart(t *testing.T) {
	for _, file := range []bool{true, false} {
		t.Run(map[bool]string{true: "file", false: "installed"}[file], func(t *testing.T) {
			j := newJournaled(t, file, zone.HistoryBounds{})
			if file {
				j.put(1)
			}
			j.start()
			for n := 1; n <= 4; n++ {
				j.put(n)
			}
			j.expect("before", "1 2 3 4")
			j.start()
			j.expect("after a restart", "1 2 3 4")
			j.put(5)
			j.start()
			j.expect("after another", "1 2 3 4 5")
			if got := j.Status()[0]; got.State != zone.StateServed || got.Oldest != 1 || got.Steps != 4 {
				t.Errorf("status %+v", got)
			}
			since, ok := j.Set().Exact([]byte(dnsname.MustParse("example"))).History.Since(3)
			if !ok || len(since) != 2 || since[0].Records() != 4 {
				t.Errorf("since 3: %d steps, %v", len(since), ok)
			}
		})
	}
}

// TestHistoryOfAnotherFileIsDropped holds that a file that was edited while the server was down does not get a history that does not lead to it.
func TestHistoryOfAnotherFileIsDropped(t *testing.T) {
	j := newJournaled(t, true, zone.HistoryBounds{})
	j.put(1)
	j.start()
	j.put(2)
	write(t, j.path, serial("2", "192.0.2.99"))
	j.start()
	j.expect("after a change that kept the serial", "2")
	j.put(3)
	j.start()
	j.expect("afterwards", "2 3")
}

// TestDamagedJournalKeepsWhatIsSound cuts a journal at every place, and spoils every octet of it: what stands before is used, and the zone of a file is
// served in any case.
func TestDamagedJournalKeepsWhatIsSound(t *testing.T) {
	j := newJournaled(t, false, zone.HistoryBounds{})
	j.start()
	for n := 1; n <= 4; n++ {
		j.put(n)
	}
	files, _ := filepath.Glob(filepath.Join(j.dir, "*"))
	if len(files) != 1 || filepath.Base(files[0]) != "example.journal" {
		t.Fatalf("files %v", files)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	last := load(t, "example", serial("4", "192.0.2.4"))
	for at := range whole {
		for _, file := range [][]byte{whole[:at], append(append(bytes.Clone(whole[:at]), whole[at]^0x55), whole[at+1:]...)} {
			steps, state, good := zone.ReadJournal(last, file)
			if state != nil && int(state.Serial()) != 1+len(steps) || good > int64(at) || len(steps) > 3 || state != nil && zone.SameData(state, last) {
				t.Fatalf("damaged at %d of %d: %d steps, %d octets are sound", at, len(whole), len(steps), good)
			}
		}
	}
	write(t, files[0], string(whole[:len(whole)-3]))
	j.start()
	j.expect("cut", "1 2 3")
	if got := gathered(t, j.Keeper, "cenote_zone_journal_damaged_octets_total"); got == 0 {
		t.Error("the damage is not counted")
	}
	j.put(5)
	j.start()
	j.expect("afterwards", "1 2 3 5")
}

// gathered is the value of a metric without labels.
func gathered(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestHistoryIsBounded holds the bounds of steps and octets, and that the journal does not grow for ever.
func TestHistoryIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name   string
		bounds zone.HistoryBounds
		want   string
	}{
		{"steps", zone.HistoryBounds{Steps: 2}, "28 29 30"},
		{"octets of a zone", zone.HistoryBounds{ZoneBytes: 700}, "28 29 30"},
		{"octets of all", zone.HistoryBounds{Bytes: 700}, "28 29 30"},
		{"no room at all", zone.HistoryBounds{ZoneBytes: 1}, "30"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j := newJournaled(t, false, tc.bounds)
			j.start()
			for n := 1; n <= 30; n++ {
				j.put(n)
			}
			j.expect("bounded", tc.want)
			j.start()
			j.expect("after a restart", tc.want)
		})
	}
}

// TestSameSerialBeginsANewHistory holds that nobody is told half of what has changed.
func TestSameSerialBeginsANewHistory(t *testing.T) {
	j := newJournaled(t, true, zone.HistoryBounds{})
	j.put(1)
	j.start()
	j.put(2)
	write(t, j.path, serial("2", "192.0.2.77"))
	if _, err := j.Reload(false); err != nil {
		t.Fatal(err)
	}
	j.expect("the same serial", "2")
	write(t, j.path, serial("1", "192.0.2.77"))
	if _, err := j.Reload(true); err != nil {
		t.Fatal(err)
	}
	j.expect("back by force", "1")
	if got := len(j.changes); got != 3 || j.changes[2] != 1 {
		t.Errorf("told of %v, want 1, 2 and 1", j.changes)
	}
}

// TestFrozenZoneStays holds that nothing changes a frozen zone, and that a thawed one catches up.
func TestFrozenZoneStays(t *testing.T) {
	j := newJournaled(t, true, zone.HistoryBounds{})
	j.put(1)
	j.start()
	if err := j.Freeze(dnsname.MustParse("Example"), true); err != nil || !j.Status()[0].Frozen {
		t.Fatal(err)
	}
	j.put(2)
	j.expect("frozen", "1")
	if err := j.Install(load(t, "example", serial("3", "192.0.2.3"))); err != zone.ErrFrozen {
		t.Errorf("got %v, want ErrFrozen", err)
	}
	if err := j.Freeze(dnsname.MustParse("example"), false); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Reload(false); err != nil {
		t.Fatal(err)
	}
	j.expect("thawed", "1 2")
	if err := j.Freeze(dnsname.MustParse("nobody.test"), true); err == nil {
		t.Error("a zone that is not there can be frozen")
	}
}

// TestFrozenZoneStaysOverARestart holds that a zone is served as it was when it was frozen, whatever its file says by then, and catches up once it is thawed.
func TestFrozenZoneStaysOverARestart(t *testing.T) {
	for _, file := range []bool{true, false} {
		t.Run(fmt.Sprint("with a file: ", file), func(t *testing.T) {
			j := newJournaled(t, file, zone.HistoryBounds{})
			if file {
				j.put(1)
			}
			j.start()
			if j.path == "" {
				j.put(1)
			}
			if err := j.Freeze(dnsname.MustParse("example"), true); err != nil {
				t.Fatal(err)
			}
			if file {
				write(t, j.path, serial("2", "192.0.2.2"))
			}
			for range 2 {
				j.start()
				j.expect("after a restart", "1")
				if s := j.Status()[0]; !s.Frozen || s.State != zone.StateServed || s.Fault != "" {
					t.Errorf("%+v", s)
				}
				j.Look()
				j.Look()
				j.expect("looked at", "1")
			}
			if err := j.Freeze(dnsname.MustParse("example"), false); err != nil {
				t.Fatal(err)
			}
			if file {
				j.Look()
				j.Look()
			} else {
				j.put(2)
			}
			j.expect("thawed", "1 2")
			j.start()
			if j.expect("after another restart", "1 2"); j.Status()[0].Frozen {
				t.Error("it is frozen again")
			}
		})
	}
}

// TestFreezingThatCannotBeKept holds that a zone which would be thawed by a restart is not frozen.
func TestFreezingThatCannotBeKept(t *testing.T) {
	j := newJournaled(t, true, zone.HistoryBounds{})
	j.put(1)
	j.start()
	write(t, filepath.Join(j.dir, "frozen"), "no directory")
	if err := j.Freeze(dnsname.MustParse("example"), true); err == nil || j.Status()[0].Frozen {
		t.Errorf("%v, %+v", err, j.Status()[0])
	}
}

// FuzzJournal holds that whatever a journal holds, it is read to where it is sound.
func FuzzJournal(f *testing.F) {
	a, b := load(f, "example", serial("1", "192.0.2.1")), load(f, "example", serial("2", "192.0.2.2"))
	f.Add(zone.JournalOf(a, b))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, state, good := zone.ReadJournal(a, zone.Mend(file))
		if good > int64(len(file)) {
			t.Errorf("%d octets are sound of %d", good, len(file))
		}
		if state != nil {
			for r := range state.All() {
				_ = r.Owner.String()
			}
		}
	})
}

// unreadable puts a file in the place of another one that the system gives an error for (EIO) where it is read, and returns what takes it away again.
func unreadable(t *testing.T, path string) (mend func()) {
	t.Helper()
	const memory = "/proc/self/mem" // nothing is mapped at its beginning
	if _, err := os.ReadFile(memory); !errors.Is(err, syscall.EIO) {
		t.Skipf("%s gives %v", memory, err)
	}
	if err := os.Rename(path, path+".good"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(memory, path); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Rename(path+".good", path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnreadableJournalIsKept holds that a journal which the disk does not give is not taken for damaged: the file stays, and is put aside for a new one.
func TestUnreadableJournalIsKept(t *testing.T) {
	j := newJournaled(t, false, zone.HistoryBounds{})
	j.start()
	j.put(1)
	j.put(2)
	path := filepath.Join(j.dir, "example.journal")
	mend := unreadable(t, path)
	j.start()
	if got := gathered(t, j, "cenote_zone_journal_failures_total"); got != 1 || j.log.count("the journal of a zone cannot be read; its file is not changed") != 1 {
		t.Errorf("%v failures are counted; the log has\n%s", got, &j.log.text)
	}
	if target, err := os.Readlink(path); err != nil {
		t.Errorf("the file has gone: %v %v", target, err)
	}
	mend()
	j.start()
	j.expect("when the disk gives it again", "1 2")
	unreadable(t, path)
	j.start()
	j.put(3)
	if _, err := os.Readlink(path + ".unread"); err != nil {
		t.Errorf("the file was not put aside: %v", err)
	}
	j.start()
	j.expect("from the new file", "3")
}

// TestUnreadableJournalsAreKept holds that a file which is put aside leaves those in place that were before it, the latest of them first, and no more than a few.
func TestUnreadableJournalsAreKept(t *testing.T) {
	j := newJournaled(t, false, zone.HistoryBounds{})
	j.start()
	path := filepath.Join(j.dir, "example.journal")
	n := 0
	for range zone.UnreadMax + 2 {
		n++
		j.put(n)
		unreadable(t, path)
		if err := os.Rename(path+".good", fmt.Sprintf("%s.of.%d", path, n)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Remove(path), os.Symlink("/proc/self/./"+strings.Repeat("./", n)+"mem", path)); err != nil {
			t.Fatal(err)
		}
		j.start()
	}
	j.put(n + 1)
	for i := range zone.UnreadMax {
		name := path + ".unread"
		if i > 0 {
			name = fmt.Sprintf("%s.%d", name, i+1)
		}
		target, err := os.Readlink(name)
		if got := strings.Count(target, "./") - 1; err != nil || got != n-i {
			t.Errorf("%s is the file of %d (%v), want that of %d", filepath.Base(name), got, err, n-i)
		}
	}
	if files, _ := filepath.Glob(path + ".unread*"); len(files) != zone.UnreadMax {
		t.Errorf("%d files are kept: %v", len(files), files)
	}
}

// TestUnreadableUpdatesAreNotTakenBack holds that a zone is not served as its file is while the disk does not give what updates made of it, unless somebody says so.
func TestUnreadableUpdatesAreNotTakenBack(t *testing.T) {
	u := newUpdatable(t, updatableText)
	if rcode := u.ask("all.key", "+new.example. 60 A 192.0.2.9"); rcode != 0 {
		t.Fatal(rcode)
	}
	path := filepath.Join(u.conf.Dir, "updates", "example.journal")
	mend := unreadable(t, path)
	u.start()
	if s := u.Status()[0]; s.State != zone.StateFailed || !strings.Contains(s.Fault, "what updates have made of the zone: it cannot be read") {
		t.Errorf("%+v", s)
	}
	if rcode := u.ask("all.key", "+more.example. 60 A 192.0.2.9"); rcode != wire.RcodeServFail {
		t.Errorf("RCODE %d", rcode)
	}
	mend()
	if _, err := u.Reload(false); err != nil {
		t.Fatal(err)
	}
	u.expect("when the disk gives it again", 6, "+new.example. 60 IN A 192.0.2.9")
	unreadable(t, path)
	u.start()
	if _, err := u.Reload(true); err != nil {
		t.Fatal(err)
	}
	u.expect("by force", 5, "-new.example. 60 IN A 192.0.2.9")
	if _, err := os.Readlink(path + ".unread"); err != nil {
		t.Errorf("the file was not put aside at once: %v", err)
	}
	u.start()
	u.expect("by force, after a restart", 5, "-new.example. 60 IN A 192.0.2.9")
	if rcode := u.ask("all.key", "+more.example. 60 A 192.0.2.9"); rcode != 0 {
		t.Errorf("by force: RCODE %d\n%s", rcode, &u.log.text)
	}
	if _, err := os.Readlink(path + ".unread"); err != nil {
		t.Errorf("the file was not put aside: %v", err)
	}
}

// TestUnreadJournalStaysUntilItIsReplaced holds that a journal which could not be read keeps its name as long as no other can be written in its place.
func TestUnreadJournalStaysUntilItIsReplaced(t *testing.T) {
	for name, written := range map[string]bool{"short": true, strings.Repeat("a", 245): false} { // to which nothing can be appended that makes the name of a new file
		path := filepath.Join(t.TempDir(), name)
		write(t, path, "what was")
		err := zone.ReplaceUnread(path, load(t, "example", serial("1", "192.0.2.1")))
		_, aside := os.Stat(path + ".unread")
		text, _ := os.ReadFile(path)
		if (err == nil) != written || (aside == nil) != written || written == (string(text) == "what was") {
			t.Errorf("a name of %d octets: %v; put aside: %v, and %d octets have its name", len(name), err, aside == nil, len(text))
		}
	}
}

// TestJournalThatCanBeReadAgain: a zone without a file whose journal could not be read at the start is served from it once it can be, at the next change of the configuration.
func TestJournalThatCanBeReadAgain(t *testing.T) {
	apex := dnsname.MustParse("example")
	c := zone.KeeperConfig{Dir: t.TempDir(), Sources: []zone.Source{{Name: apex}}, Log: slog.New(slog.DiscardHandler)}
	start := func() *zone.Keeper {
		k, err := zone.NewKeeper(c)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if err := start().Install(load(t, "example", serial("1", "192.0.2.1"))); err != nil {
		t.Fatal(err)
	}
	mend := unreadable(t, filepath.Join(c.Dir, "example.journal"))
	k := start()
	if s := k.Status()[0]; s.State != zone.StateFailed || s.Fault == "" {
		t.Fatalf("with a journal that cannot be read: %+v", s)
	}
	mend()
	if err := k.Update(c.Sources); err != nil {
		t.Fatal(err)
	}
	if s := k.Status()[0]; s.State != zone.StateServed || s.Fault != "" || s.Loaded.IsZero() || s.Records == 0 || k.Set().Find([]byte(apex)) == nil {
		t.Errorf("once it can be read: %+v", s)
	}
}
