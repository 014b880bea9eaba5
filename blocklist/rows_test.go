package blocklist_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var readAt = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// row returns an indicator of a plain list.
func row(name, family string, line int) blocklist.Indicator {
	return blocklist.Indicator{
		Name: dnsname.MustParse(name), Kind: policy.KindSubtree, Family: family, Confidence: policy.ConfidenceUnknown, File: "list.txt", Line: line,
	}
}

// writeRows makes a rows file of what a feed would have given.
func writeRows(tb testing.TB, o rowsOptions, rows ...blocklist.Indicator) (*blocklist.Rows, blocklist.FeedReport) {
	tb.Helper()
	dir := tb.TempDir()
	w, err := blocklist.NewRowsWriter(dir, o.sortBytes)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	for i := range rows {
		if err := w.Indicator(&rows[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if o.read.IsZero() {
		o.read = readAt
	}
	report := blocklist.Report{Format: "domains", Parsed: len(rows), Live: len(rows), ClosestEncloser: o.closestEncloser}
	path := filepath.Join(dir, "1.rows")
	full, err := w.Finish(path, report, o.read, o.previous)
	if err != nil {
		tb.Fatal(err)
	}
	return openRows(tb, path), full
}

type rowsOptions struct {
	sortBytes       int
	closestEncloser bool
	read            time.Time
	previous        *blocklist.Rows
}

func openRows(tb testing.TB, path string) *blocklist.Rows {
	tb.Helper()
	r, err := blocklist.OpenRows(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	return r
}

func find(tb testing.TB, r *blocklist.Rows, name string) []blocklist.Row {
	tb.Helper()
	rows, err := r.Find([]byte(dnsname.MustParse(name)))
	if err != nil {
		tb.Fatalf("Find(%s): %v", name, err)
	}
	return rows
}

func TestRowsKeepEverything(t *testing.T) {
	full := blocklist.Indicator{
		Name: dnsname.MustParse("bad.example"), Kind: policy.KindBelow, Action: policy.ActionLocalData, Exception: true,
		Data:   &policy.LocalData{RRsets: []policy.RRset{{Type: 1, TTL: 60, RData: [][]byte{{192, 0, 2, 1}}}}},
		Family: "vidar", Threat: "botnet_cc", Confidence: 75, Expiry: readAt.Add(90 * time.Minute),
		File: "feed.zip:full.csv", Line: 4711, Reference: "https://report.example/1", Comment: "seen; in \x1b[31m a log",
	}
	r, report := writeRows(t, rowsOptions{}, full, row("plain.example", "", 2))
	want := blocklist.Row{
		Name: full.Name, Kind: full.Kind, Action: full.Action, Exception: true, Data: full.Data, Family: "vidar", Threat: "botnet_cc",
		Confidence: 75, Expiry: full.Expiry, File: full.File, Line: full.Line, Reference: full.Reference, Comment: full.Comment, Added: readAt,
	}
	if diff := gocmp.Diff([]blocklist.Row{want}, find(t, r, "bad.example")); diff != "" {
		t.Errorf("row is not what was written (-want +got):\n%s", diff)
	}
	if got := find(t, r, "plain.example"); len(got) != 1 || got[0].Confidence != policy.ConfidenceUnknown || got[0].Line != 2 || !got[0].Expiry.IsZero() {
		t.Errorf("plain row = %+v", got)
	}
	if got := find(t, r, "other.example"); len(got) != 0 {
		t.Errorf("a name that is not listed has rows: %+v", got)
	}
	if report.Live != 2 || report.Names != 2 || report.FamilyEntries["vidar"] != 1 || report.FamilyEntries[""] != 1 {
		t.Errorf("report = %+v", report)
	}
}

func TestRowsCountRepetitions(t *testing.T) {
	late, later := row("a.example", "vidar", 3), row("a.example", "vidar", 4)
	late.Expiry, later.Expiry = readAt, readAt.Add(time.Hour)
	first := row("a.example", "vidar", 1)
	first.Expiry = readAt.Add(-time.Hour)
	exception, exact := row("a.example", "vidar", 5), row("a.example", "vidar", 6)
	exception.Exception, exact.Kind = true, policy.KindExact
	r, report := writeRows(t, rowsOptions{}, row("b.example", "", 1), first, row("b.example", "", 2), row("a.example", "lummac2", 2),
		late, later, exception, exact)
	if report.Live != 5 || report.Duplicates.Count != 3 || report.Names != 2 {
		t.Errorf("live %d, duplicates %d, names %d, want 5, 3, 2", report.Live, report.Duplicates.Count, report.Names)
	}
	if got, want := report.Duplicates.First.String(), "list.txt:2: none: b.example"; got != want {
		t.Errorf("first duplicate = %q, want %q: the first in the feed", got, want)
	}
	var got []string
	for _, x := range find(t, r, "a.example") {
		got = append(got, fmt.Sprint(x.Family, " ", x.Line, " ", x.Kind, " ", x.Exception, " ", x.Expiry.Equal(later.Expiry)))
	}
	want := []string{"vidar 1 subtree false true", "lummac2 2 subtree false false", "vidar 5 subtree true false", "vidar 6 exact false false"}
	if !slices.Equal(got, want) {
		t.Errorf("rows = %q, want %q", got, want)
	}
}

func TestRowsBoundMembersOfAName(t *testing.T) {
	var rows []blocklist.Indicator
	for i := range blocklist.MembersMax + 10 {
		rows = append(rows, row("crowd.example", fmt.Sprint("family", i), i+1))
	}
	r, report := writeRows(t, rowsOptions{}, rows...)
	if report.Crowded.Count != 10 || report.Crowded.First.Line != blocklist.MembersMax+1 || len(find(t, r, "crowd.example")) != blocklist.MembersMax {
		t.Errorf("crowded = %+v, rows %d, want 10 crowded from line %d", report.Crowded, len(find(t, r, "crowd.example")), blocklist.MembersMax+1)
	}
}

// TestCrowdedNameKeepsItsReach adds the row that reaches furthest, or longest, after as many others as a name may have.
func TestCrowdedNameKeepsItsReach(t *testing.T) {
	crowd := func() (rows []blocklist.Indicator) {
		for i := range blocklist.MembersMax {
			r := row("crowd.example", fmt.Sprint("family", i), i+1)
			r.Kind, r.Expiry = policy.KindExact, readAt.Add(time.Hour)
			rows = append(rows, r)
		}
		return rows
	}
	const last = blocklist.MembersMax + 1
	further, longer, forEver, other := row("crowd.example", "last", last), row("crowd.example", "last", last), row("crowd.example", "last", last), row("crowd.example", "last", last)
	further.Kind, longer.Kind, forEver.Kind, other.Kind = policy.KindSubtree, policy.KindExact, policy.KindExact, policy.KindExact
	further.Expiry, longer.Expiry = readAt.Add(time.Minute), readAt.Add(2*time.Hour)
	other.Expiry, other.Action = readAt.Add(time.Minute), policy.ActionNXDOMAIN
	for name, r := range map[string]blocklist.Indicator{"further": further, "longer": longer, "for ever": forEver, "another action": other} {
		file, report := writeRows(t, rowsOptions{}, append(crowd(), r)...)
		found := find(t, file, "crowd.example")
		if got := found[len(found)-1]; len(found) != blocklist.MembersMax || got.Family != "last" || report.Crowded.Count != 1 {
			t.Errorf("%s: %d rows, the last of %s, %d crowded; want the added one among %d, 1", name, len(found), got.Family, report.Crowded.Count, blocklist.MembersMax)
		}
	}
}

func TestRowsAddEmptyNonTerminals(t *testing.T) {
	wild := row("wild.test.example", "", 3)
	wild.Kind = policy.KindBelow
	rows := []blocklist.Indicator{row("a.b.test.example", "", 1), row("test.example", "", 2), wild}
	for _, sortBytes := range []int{0, 64} {
		r, report := writeRows(t, rowsOptions{closestEncloser: true, sortBytes: sortBytes}, rows...)
		var ents []string
		r.All(func(x blocklist.Row) bool {
			if x.Kind == policy.KindENT {
				ents = append(ents, fmt.Sprintf("%s line %d", x.Name, x.Line))
			}
			return true
		})
		slices.Sort(ents)
		// test.example has a rule of its own. The place is that of a row below.
		if len(ents) != 2 || !strings.HasPrefix(ents[0], "b.test.example line 1") || !strings.HasPrefix(ents[1], "example line") {
			t.Errorf("empty non-terminals = %q, want b.test.example and example", ents)
		}
		if report.EmptyNonTerminals != 2 || report.Live != 3 {
			t.Errorf("report has %d empty non-terminals and %d live, want 2 and 3", report.EmptyNonTerminals, report.Live)
		}
	}
	if _, report := writeRows(t, rowsOptions{}, rows...); report.EmptyNonTerminals != 0 {
		t.Errorf("a list has %d empty non-terminals, want none", report.EmptyNonTerminals)
	}
}

func TestRowsRememberWhenTheyWereFirstSeen(t *testing.T) {
	old, _ := writeRows(t, rowsOptions{}, row("old.example", "vidar", 1), row("gone.example", "", 2))
	later := readAt.Add(24 * time.Hour)
	r, _ := writeRows(t, rowsOptions{read: later, previous: old}, row("new.example", "", 1), row("old.example", "vidar", 2), row("old.example", "lummac2", 3))
	for _, tc := range []struct {
		name string
		n    int
		want time.Time
	}{{"old.example", 0, readAt}, {"old.example", 1, later}, {"new.example", 0, later}} {
		if got := find(t, r, tc.name)[tc.n]; !got.Added.Equal(tc.want) {
			t.Errorf("%s (%s) added %v, want %v", tc.name, got.Family, got.Added, tc.want)
		}
	}
	same, _ := writeRows(t, rowsOptions{read: later.Add(time.Hour), previous: r}, row("new.example", "", 1), row("old.example", "vidar", 2), row("old.example", "lummac2", 3))
	if same.Content() != r.Content() {
		t.Error("a feed that says the same again has another content sum")
	}
	moved, _ := writeRows(t, rowsOptions{read: later.Add(time.Hour), previous: r}, row("new.example", "", 2), row("old.example", "vidar", 2), row("old.example", "lummac2", 3))
	if moved.Content() == r.Content() {
		t.Error("a row that moved to another line leaves the content sum as it was")
	}
}

// TestRowsAgainstAMap compares rows files, sorted in memory and through spilled runs, with a plain map.
func TestRowsAgainstAMap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		label := rapid.StringMatching(`[a-c]{1,2}`)
		var rows []blocklist.Indicator
		for i := range rapid.IntRange(1, 60).Draw(rt, "rows") {
			name := label.Draw(rt, "label") + "." + label.Draw(rt, "label") + ".example"
			x := row(name, rapid.SampledFrom([]string{"", "vidar", "meta"}).Draw(rt, "family"), i+1)
			x.Comment = rapid.SampledFrom([]string{"", "c1", "c2"}).Draw(rt, "comment")
			x.Kind = policy.Kind(rapid.IntRange(0, 2).Draw(rt, "kind"))
			rows = append(rows, x)
		}
		r, report := writeRows(t, rowsOptions{sortBytes: rapid.SampledFrom([]int{64, 300, 1 << 20}).Draw(rt, "sortBytes")}, rows...)
		want := oracle(rows)
		if report.Live != len(want) || report.Live+report.Duplicates.Count != len(rows) {
			rt.Fatalf("live %d, duplicates %d of %d, want %d live", report.Live, report.Duplicates.Count, len(rows), len(want))
		}
		var got []blocklist.Indicator
		last := dnsname.Name("")
		if err := r.All(func(x blocklist.Row) bool {
			if last != "" && last != x.Name && !ordered(last, x.Name) {
				rt.Fatalf("%s comes after %s", x.Name, last)
			}
			last = x.Name
			got = append(got, indicatorOf(x))
			return true
		}); err != nil {
			rt.Fatal(err)
		}
		slices.SortFunc(got, func(a, b blocklist.Indicator) int { return cmp.Compare(a.Line, b.Line) })
		if diff := gocmp.Diff(want, got); diff != "" {
			rt.Fatalf("rows differ (-want +got):\n%s", diff)
		}
		for _, x := range rows {
			found := find(t, r, x.Name.String())
			if !slices.ContainsFunc(found, func(f blocklist.Row) bool { return f.Family == x.Family && f.Kind == x.Kind && f.Line <= x.Line }) {
				rt.Fatalf("Find(%s) = %+v lacks %s %s", x.Name, found, x.Family, x.Kind)
			}
		}
	})
}

func ordered(a, b dnsname.Name) bool {
	ha, hb := blocklist.NameHash([]byte(a)), blocklist.NameHash([]byte(b))
	return ha < hb || ha == hb && a < b
}

// oracle removes repetitions the slow way.
func oracle(rows []blocklist.Indicator) []blocklist.Indicator {
	type key struct {
		name   dnsname.Name
		kind   policy.Kind
		family string
	}
	seen := map[key]bool{}
	var out []blocklist.Indicator
	for _, x := range rows {
		if k := (key{x.Name, x.Kind, x.Family}); !seen[k] {
			seen[k] = true
			out = append(out, x)
		}
	}
	return out
}

func indicatorOf(r blocklist.Row) blocklist.Indicator {
	return blocklist.Indicator{
		Name: r.Name, Kind: r.Kind, Action: r.Action, Exception: r.Exception, Family: r.Family, Threat: r.Threat, Confidence: r.Confidence,
		Expiry: r.Expiry, File: r.File, Line: r.Line, Reference: r.Reference, Comment: r.Comment, Data: r.Data,
	}
}

func TestRowsSurviveReplacementAndClose(t *testing.T) {
	r, _ := writeRows(t, rowsOptions{}, row("a.example", "", 1))
	if err := r.Verify(); err != nil {
		t.Errorf("Verify() = %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(t.TempDir(), "..", "*", ".tmp-*")); len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}

// sampleRows is a small file with every section in use.
func sampleRows(tb testing.TB, n int) []byte {
	tb.Helper()
	dir := tb.TempDir()
	w, err := blocklist.NewRowsWriter(dir, 0)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Close()
	for i := range n {
		x := row(fmt.Sprintf("n%d.example", i), fmt.Sprint("f", i%7), i+1)
		x.Comment = fmt.Sprint("comment ", i)
		if err := w.Indicator(&x); err != nil {
			tb.Fatal(err)
		}
	}
	path := filepath.Join(dir, "1.rows")
	if _, err := w.Finish(path, blocklist.Report{Parsed: n, Live: n}, readAt, nil); err != nil {
		tb.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// readEverything returns all that a rows file says, or an error.
func readEverything(path string) ([]blocklist.Row, error) {
	r, err := blocklist.OpenRows(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var rows []blocklist.Row
	if err := r.All(func(x blocklist.Row) bool { rows = append(rows, x); return true }); err != nil {
		return nil, err
	}
	return rows, r.Verify()
}

func TestDamagedRowsAreRefused(t *testing.T) {
	good := sampleRows(t, 300)
	path := filepath.Join(t.TempDir(), "x.rows")
	refused := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readEverything(path); !errors.Is(err, blocklist.ErrRowsDamaged) {
			t.Errorf("%s: error = %v, want ErrRowsDamaged", name, err)
		}
	}
	step := 7
	if raceEnabled {
		step = 101
	}
	for at := 0; at < len(good); at += step {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		refused(fmt.Sprintf("bit flipped in octet %d", at), bad)
	}
	for _, size := range []int{0, 1, 191, 192, len(good) / 2, len(good) - 1} {
		refused(fmt.Sprintf("cut to %d octets", size), good[:size])
	}
	refused("another file", []byte(strings.Repeat("no rows file\n", 100)))
}

func FuzzOpenRows(f *testing.F) {
	f.Add(sampleRows(f, 5), uint(200), byte(1))
	f.Add([]byte("cenrows\x01"), uint(0), byte(0))
	path := filepath.Join(f.TempDir(), "x.rows") // each worker is a process
	f.Fuzz(func(t *testing.T, b []byte, at uint, flip byte) {
		if b = bytes.Clone(b); len(b) > 0 {
			b[at%uint(len(b))] ^= flip
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		rows, err := readEverything(path)
		if err == nil {
			for _, x := range rows {
				if _, _, err := dnsname.Check([]byte(x.Name)); err != nil {
					t.Fatalf("a row's name is none: %x", x.Name)
				}
			}
		}
	})
}

// FuzzRowsBlock reads what a block may hold when its checksum is right: a fault of ours must end in an error too.
func FuzzRowsBlock(f *testing.F) {
	f.Add(blocklist.BlockOf([]byte(dnsname.MustParse("a.example"))))
	f.Add([]byte("\x01\x00\x01\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := blocklist.ReadBlock(b)
		for _, name := range names {
			if n, _, bad := dnsname.Check([]byte(name)); bad != nil || n != len(name) {
				t.Fatalf("%x is no name (%v)", name, err)
			}
		}
	})
}

func BenchmarkRows(b *testing.B) {
	names := make([]dnsname.Name, 1_000_000)
	for i := range names {
		names[i] = dnsname.MustParse(fmt.Sprintf("host-%x.n%d.example", i*2654435761, i%5000))
	}
	b.Run("write/rows=1M", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			writeMany(b, names)
		}
	})
	r := writeMany(b, names)
	b.Run("find/rows=1M", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i++
			if rows, err := r.Find([]byte(names[i*7919%len(names)])); err != nil || len(rows) != 1 {
				b.Fatal(rows, err)
			}
		}
	})
}

func writeMany(b *testing.B, names []dnsname.Name) *blocklist.Rows {
	b.Helper()
	dir := b.TempDir()
	w, err := blocklist.NewRowsWriter(dir, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	x := row("x.example", "vidar", 1)
	for i, n := range names {
		x.Name, x.Line = n, i+1
		if err := w.Indicator(&x); err != nil {
			b.Fatal(err)
		}
	}
	path := filepath.Join(dir, "1.rows")
	if _, err := w.Finish(path, blocklist.Report{Parsed: len(names), Live: len(names)}, readAt, nil); err != nil {
		b.Fatal(err)
	}
	return openRows(b, path)
}

// TestSortingEndsOnABrokenDisk: rows that cannot be written down are an error, and nothing waits for them.
func TestSortingEndsOnABrokenDisk(t *testing.T) {
	ended := make(chan error, 1)
	go func() { ended <- blocklist.SortOnBrokenDisk(t.TempDir()) }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "sorting rows") {
			t.Errorf("got %v, want an error of sorting", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the end of the sorter waits for ever")
	}
}
