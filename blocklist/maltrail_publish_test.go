package blocklist_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/nameindex"
)

// Different names in the archive: 937,165 in ASCII, and one that IDNA maps to ASCII.
const maltrailNames = 937_165 + 1

// infostealerNames are the different names in the tenth of it that stands for it where the race detector is on.
const infostealerNames = 96_765

func maltrailFeed(tb testing.TB) blocklist.CompileFeed {
	tb.Helper()
	source := "maltrail/malware.tar.gz"
	if raceEnabled {
		source = "maltrail/infostealers" // a tenth of it
	}
	return blocklist.CompileFeed{
		FeedConfig: blocklist.FeedConfig{Name: "maltrail", Path: sharedData(tb, source), Format: "maltrail"}, ShrinkMax: 0.5, Read: true, Serve: true,
	}
}

func compileMaltrail(tb testing.TB, dir string) blocklist.CompileReport {
	tb.Helper()
	must(tb, os.MkdirAll(filepath.Join(dir, "policy"), 0o755))
	report, err := blocklist.Compile(tb.Context(), blocklist.CompileConfig{Dir: dir, Generation: 1, Feeds: []blocklist.CompileFeed{maltrailFeed(tb)}})
	must(tb, err)
	if f := report.Feeds[0].Failure; f != nil {
		tb.Fatal(f)
	}
	return report
}

// TestMaltrailCompiles accounts for every row of the whole archive.
func TestMaltrailCompiles(t *testing.T) {
	dir := t.TempDir()
	report := compileMaltrail(t, dir)
	r := report.Feeds[0].Report
	t.Logf("parsed %d = live %d + duplicates %d + refused %d + held %d; names %d; families %d; compiled in %.1f s", r.Parsed, r.Live,
		r.Duplicates.Count, r.Refused, r.Held, r.Names, len(r.FamilyEntries), report.Seconds)
	for reason, c := range r.Faults {
		t.Logf("%s: %d, first %s", reason, c.Count, c.First)
	}
	began := time.Now()
	index, err := nameindex.Open(filepath.Join(dir, "policy", "1.index"), nameindex.OpenOptions{})
	must(t, err)
	opened := time.Since(began)
	info, err := os.Stat(filepath.Join(dir, "feeds", "maltrail", "1.rows"))
	must(t, err)
	s, n := index.Sizes(), float64(index.Len())
	t.Logf("opened in %v; per name: names %.2f B, sets %.3f B, manifest %.3f B, rows %.2f B", opened, float64(s.Names)/n, float64(s.Sets)/n,
		float64(s.Manifest)/n, float64(info.Size())/n)
	const namesMax = 26.0 // octets
	if perName := float64(s.Names) / n; perName > namesMax {
		t.Errorf("%.2f octets a name, want at most %v", perName, namesMax)
	}
	if sum := r.Live + r.Refused + r.Held + r.Duplicates.Count + r.Crowded.Count; sum != r.Parsed || r.Crowded.Count != 0 {
		t.Errorf("%d rows are accounted for, of which %d crowded; want %d and none", sum, r.Crowded.Count, r.Parsed)
	}
	if index.Len() != r.Names {
		t.Errorf("the index has %d names, the copy of the feed %d", index.Len(), r.Names)
	}
	sum := 0
	for _, n := range r.FamilyEntries {
		sum += n
	}
	if sum != r.Live {
		t.Errorf("families have %d entries, want %d", sum, r.Live)
	}
	checkNames(t, r, index)
}

// checkNames accounts for every different name.
func checkNames(t *testing.T, r *blocklist.FeedReport, index *nameindex.Index) {
	t.Helper()
	names := r.Names
	for range index.Apart() {
		names-- // an address
	}
	held := map[string]bool{}
	for _, f := range r.HeldRows {
		held[f.Text] = true
	}
	suffixes, want := 0, maltrailNames
	if f := r.Faults[blocklist.ReasonPublicSuffix]; f != nil {
		suffixes = f.Count
	}
	if raceEnabled {
		want = infostealerNames
	}
	if got := names + len(held) + suffixes; got != want || len(r.HeldRows) != r.Held {
		t.Errorf("%d served + %d held + %d public suffixes = %d different names, want %d", names, len(held), suffixes, got, want)
	}
}

func BenchmarkMaltrail(b *testing.B) {
	b.Run("cold", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			compileMaltrail(b, b.TempDir())
		}
	})
	dir := b.TempDir()
	compileMaltrail(b, dir)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := nameindex.Open(filepath.Join(dir, "policy", "1.index"), nameindex.OpenOptions{})
			must(b, err)
		}
	})
}
