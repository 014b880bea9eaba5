package sighting_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cenote/sighting"
)

// formerAsk is the i-th of the 700 events in testdata/former-day.db.gz, a day file of the first format: each block of rows and of terms is a
// value.
func formerAsk(i int, noon time.Time) ask {
	return ask{
		client: fmt.Sprintf("10.9.%d.%d", i%7, i%50), name: fmt.Sprintf("www.n%d.bad.example", i%260), labels: 3, family: i % 11,
		generation: 1, at: noon.Add(time.Duration(i-800) * time.Millisecond), port: uint16(1000 + i), enforced: i%3 > 0, verified: i%5 == 0,
	}
}

// formerDay lays the file into the directory of a ledger, whose clock begins at the noon of its day.
func formerDay(t *testing.T) (c sighting.Config, noon time.Time) {
	t.Helper()
	noon, begun := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), time.Now()
	c = sighting.Config{Dir: t.TempDir(), Now: func() time.Time { return noon.Add(time.Since(begun)) }}
	f, err := os.Open("testdata/former-day.db.gz")
	must(t, err)
	defer f.Close()
	packed, err := gzip.NewReader(f)
	must(t, err)
	b, err := io.ReadAll(packed)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(c.Dir, "days"), 0o700))
	must(t, os.WriteFile(filepath.Join(c.Dir, "days", "2026-01-02.db"), b, 0o600))
	return c, noon
}

// TestFormerDayFileIsReadAndContinued: what a day file of the first format holds is read, further matches go into it beside that, and erasing a
// client, which writes it anew, leaves all the others.
func TestFormerDayFileIsReadAndContinued(t *testing.T) {
	c, noon := formerDay(t)
	want := oracle{}
	for i := range 700 {
		a := formerAsk(i, noon)
		want.add(&a)
	}
	s := openAndRun(t, c)
	want.compare(t, all(t, s.Store, sighting.Filter{}))
	for i := range 700 {
		a := formerAsk(i, noon.Add(time.Second))
		s.Put(a.fill)
		want.add(&a)
	}
	s.stop()
	s = openAndRun(t, c)
	want.compare(t, all(t, s.Store, sighting.Filter{}))
	gone := netip.MustParseAddr("10.9.3.3")
	if e, err := s.Erase(context.Background(), gone, "a test"); err != nil || e.Days != 1 {
		t.Fatalf("Erase: %+v, %v", e, err)
	}
	for key, g := range want {
		if g.Client == gone {
			delete(want, key)
		}
	}
	want.compare(t, all(t, s.Store, sighting.Filter{}))
	s.stop()
	s = openAndRun(t, c)
	want.compare(t, all(t, s.Store, sighting.Filter{}))
	if n := s.Damaged(); n > 0 {
		t.Errorf("%d files were put aside as damaged", n)
	}
}
