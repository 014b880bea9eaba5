package zone_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cenote/zone"
)

// manyFiles is a keeper of zones with a file each, of which some are in turn at a look.
type manyFiles struct {
	*zone.Keeper
	t   *testing.T
	dir string
}

func newManyFiles(t testing.TB, zones, each int) (*manyFiles, func()) {
	f := &manyFiles{dir: t.TempDir()}
	f.t, _ = t.(*testing.T)
	var sources []zone.Source
	for i := range zones {
		write(t, f.path(i), serial("1", "192.0.2.1"))
		sources = append(sources, zone.Source{Name: manyName(i), Path: f.path(i)})
	}
	var err error
	f.Keeper, err = zone.NewKeeper(zone.KeeperConfig{Sources: sources, Poll: time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	f.LookAtEach(each)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return f, func() { f.WatchDirs(ctx) }
}

func (f *manyFiles) path(i int) string { return filepath.Join(f.dir, fmt.Sprintf("zone%d", i)) }

// put replaces the file of a zone.
func (f *manyFiles) put(i, n int) {
	f.t.Helper()
	write(f.t, f.path(i)+".new", serial(fmt.Sprint(n), "192.0.2.1"))
	if err := os.Rename(f.path(i)+".new", f.path(i)); err != nil {
		f.t.Fatal(err)
	}
}

// looks is how many looks it takes until a zone is served with a serial.
func (f *manyFiles) looks(i, n int) (looks int) {
	f.t.Helper()
	for f.Set().Exact([]byte(manyName(i))).Zone.Serial() != uint32(n) {
		if looks++; looks > 1000 {
			f.t.Fatalf("zone %d is never served with serial %d", i, n)
		}
		f.Look()
	}
	return looks
}

// TestFilesHaveTurns holds that of many zones a part is looked at each time, that no change is missed for longer than a round, and that a file which has changed is
// looked at until it is read, also where that takes longer, as of one that is cut, or of a frozen zone.
func TestFilesHaveTurns(t *testing.T) {
	const zones, each, round = 90, 20, 5
	f, _ := newManyFiles(t, zones, each)
	for range 20 {
		if n := f.Look(); n != each {
			t.Fatalf("%d files were looked at, want %d", n, each)
		}
	}
	for i := range zones {
		f.put(i, 2)
		if n := f.looks(i, 2); n > round+1 {
			t.Errorf("the change of zone %d was served after %d looks, want a round of %d and one more at most", i, n, round)
		}
	}
	f.put(0, 3)
	f.put(89, 3)
	both := max(f.looks(0, 3), f.looks(89, 3))
	if both > round+1 {
		t.Errorf("two changes took %d looks", both)
	}
	if err := f.Freeze(manyName(7), true); err != nil {
		t.Fatal(err)
	}
	f.put(7, 3)
	for range 3 * round {
		f.Look()
	}
	if err := f.Freeze(manyName(7), false); err != nil {
		t.Fatal(err)
	}
	if n := f.looks(7, 3); n > 2 {
		t.Errorf("what changed while a zone was frozen was served after %d looks, want 2", n)
	}
	for range round {
		f.Look()
	}
	if n := f.Look(); n != each {
		t.Errorf("when all have come to rest %d files are looked at, want %d", n, each)
	}
}

// TestFewFilesHaveNoTurns holds that each is looked at each time, and that zones without a file do not count.
func TestFewFilesHaveNoTurns(t *testing.T) {
	f, watch := newManyFiles(t, 15, 20)
	watch()
	if n := f.Look(); n != 15 {
		t.Errorf("%d files are looked at, want all", n)
	}
	if f.Watched() != 0 {
		t.Error("the kernel is asked about them")
	}
	var sources []zone.Source
	for i := range 90 {
		sources = append(sources, zone.Source{Name: manyName(i)})
	}
	sources[50].Path = f.path(0)
	if err := f.Update(sources); err != nil {
		t.Fatal(err)
	}
	if n := f.Look(); n != 1 {
		t.Errorf("%d files are looked at, want 1", n)
	}
}

// TestKernelTellsOfFiles holds that a file to which something has happened is looked at the next time, whoever's turn it is, also in a directory that took the place of
// another, and that links which change all files of a directory have all of them looked at.
func TestKernelTellsOfFiles(t *testing.T) {
	const zones, each = 300, 30
	f, watch := newManyFiles(t, zones, each)
	watch()
	if f.Watched() != 1 {
		t.Fatalf("the kernel is asked about %d directories, want 1", f.Watched())
	}
	told := func(what, path string) {
		t.Helper()
		awaitTrue(t, "the kernel tells of "+what, func() bool { return f.Told(path) })
	}
	f.put(299, 2)
	told("a file that was replaced", f.path(299))
	if n := f.looks(299, 2); n > 2 {
		t.Errorf("it was served after %d looks, want 2", n)
	}
	f.Look()
	if err := os.Symlink("zone1", filepath.Join(f.dir, "..data")); err != nil {
		t.Fatal(err)
	}
	told("a link of a mounted volume", "")
	if n := f.Look(); n != zones {
		t.Errorf("%d files are looked at, want all", n)
	}
	if n := f.Look(); n != each {
		t.Errorf("and then %d, want %d", n, each)
	}
	if err := os.Rename(f.dir, f.dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copyDir(t, f.dir+".old"), f.dir); err != nil {
		t.Fatal(err)
	}
	for range zones { // a round, and until all that is another file has been read
		watch()
		f.Look()
	}
	f.Look() // at what has been told so far
	f.put(150, 3)
	told("a file in a directory that was put in place of another", f.path(150))
	if n := f.looks(150, 3); n > 2 {
		t.Errorf("it was served after %d looks, want 2", n)
	}
}

// copyDir is a copy of a directory of files.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// BenchmarkLookAtFiles looks once at the files of so many zones, of which none has changed.
func BenchmarkLookAtFiles(b *testing.B) {
	for _, zones := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("zones=%d", zones), func(b *testing.B) {
			f, _ := newManyFiles(b, zones, 1000)
			b.ReportAllocs()
			for b.Loop() {
				f.Look()
			}
		})
	}
}

// TestDirectoriesAreChosenInOrder holds that of more directories than the kernel is asked about the same are chosen each time, those of the first zones.
func TestDirectoriesAreChosenInOrder(t *testing.T) {
	dir, sources := t.TempDir(), []zone.Source(nil)
	for i := range zone.WatchedMax + 100 {
		sources = append(sources, zone.Source{Name: manyName(i), Path: filepath.Join(dir, fmt.Sprintf("%05d", i), "zone")}) // which need not be there
	}
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: sources, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	k.LookAtEach(100)
	got := k.Dirs()
	if first, last := filepath.Dir(sources[0].Path), filepath.Dir(sources[zone.WatchedMax-1].Path); len(got) != zone.WatchedMax || got[0] != first || got[len(got)-1] != last {
		t.Errorf("%d directories from %s to %s, want %d from %s to %s", len(got), got[0], got[len(got)-1], zone.WatchedMax, first, last)
	}
}
