package blocklist_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cenote/blocklist"
)

// member is a file of an archive.
type member struct{ name, body string }

func gzipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.body)), ModTime: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
		if strings.HasSuffix(m.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const trailA = "# Reference: https://report.example/a\na.example\n"

func TestSources(t *testing.T) {
	trails := []member{{"m/", ""}, {"m/zeta.txt", trailA}, {"m/README.md", "Read me.\n"}, {"m/.hidden.txt", "h.example\n"}, {"m/alpha.txt", "b.example\n"}}
	for _, tc := range []struct {
		name, file  string
		body        []byte
		config      blocklist.FeedConfig
		rows, file0 string
	}{
		{name: "plain", file: "list.hosts", body: []byte("0.0.0.0 a.example\n"), rows: "1 exact a.example", file0: "list.hosts"},
		{name: "without an end of line", file: "list.hosts", body: []byte("0.0.0.0 a.example"), rows: "1 exact a.example", file0: "list.hosts"},
		{name: "gzip", file: "vidar.txt.gz", body: gzipped(t, []byte(trailA)),
			rows: "2 subtree a.example family=vidar reference=https://report.example/a", file0: "vidar.txt.gz"},
		{name: "tar.gz", file: "m.tar.gz", body: gzipped(t, tarred(t, trails...)), file0: "m.tar.gz:m/zeta.txt", rows: `
			2 subtree a.example family=zeta reference=https://report.example/a
			1 subtree b.example family=alpha`},
		{name: "tar", file: "m.tar", body: tarred(t, trails...), file0: "m.tar:m/zeta.txt", rows: `
			2 subtree a.example family=zeta reference=https://report.example/a
			1 subtree b.example family=alpha`},
		{name: "zip", file: "m.zip", body: zipped(t, trails...), file0: "m.zip:m/zeta.txt", rows: `
			2 subtree a.example family=zeta reference=https://report.example/a
			1 subtree b.example family=alpha`},
		{name: "an archive under another ending", file: "feed", body: gzipped(t, tarred(t, trails...)), config: blocklist.FeedConfig{Files: "alpha*", Format: "domains"},
			rows: "1 exact b.example", file0: "feed:m/alpha.txt"},
		{name: "a member that climbs is only a name", file: "m.tar", body: tarred(t, member{"../../etc/x.hosts", "0.0.0.0 a.example\n"}),
			rows: "1 exact a.example", file0: "m.tar:../../etc/x.hosts"},
		{name: "a member with a hostile name", file: "m.tar", body: tarred(t, member{"a\x1b[2J\n.hosts", "0.0.0.0 a.example\n"}),
			rows: "1 exact a.example", file0: `m.tar:a\x1b[2J\n.hosts`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			tc.config.Path = filepath.Join(dir, tc.file)
			writeFile(t, tc.config.Path, string(tc.body))
			places := &placeSink{}
			if _, err := blocklist.ReadFeed(t.Context(), tc.config, places); err != nil {
				t.Fatal(err)
			}
			s, _, err := readFeed(t, tc.config)
			if err != nil {
				t.Fatal(err)
			}
			wantLines(t, "rows", s.rows, tc.rows)
			if want := filepath.Join(dir, tc.file0); places.first != dir+"/"+tc.file0 {
				t.Errorf("file of the first row = %q, want %q", places.first, want)
			}
		})
	}
}

// placeSink keeps the file of the first row.
type placeSink struct{ first string }

func (s *placeSink) Indicator(i *blocklist.Indicator) error {
	if s.first == "" {
		s.first = i.File
	}
	return nil
}

func (s *placeSink) Fault(blocklist.Fault) {}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "..2026_03_01", "b.txt"), trailA)
	for link, target := range map[string]string{"..data": "..2026_03_01", "b.txt": "..data/b.txt", "gone.txt": "nowhere", "loop": "."} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "c", "deep.txt"), "c.example\n")
	writeFile(t, filepath.Join(dir, ".git", "x.txt"), "hidden.example\n")
	writeFile(t, filepath.Join(dir, "note.md"), "Not a trail.\n")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.txt"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, report, err := readFeed(t, blocklist.FeedConfig{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, `
		2 subtree a.example family=b reference=https://report.example/a
		1 subtree c.example family=deep`)
	if report.Files != 2 {
		t.Errorf("files = %d, want 2", report.Files)
	}
}

func TestRefusedSources(t *testing.T) {
	many := strings.Repeat("0.0.0.0 a.example\n", 5000)
	whole := gzipped(t, []byte(many))
	badCheck := bytes.Clone(gzipped(t, tarred(t, member{"x.hosts", many})))
	badCheck[len(badCheck)-8] ^= 1
	for _, tc := range []struct {
		name   string
		body   []byte
		config blocklist.FeedConfig
		want   error
	}{
		{name: "no octets", body: nil, want: blocklist.ErrEmpty},
		{name: "comments only", body: []byte("# nothing today\n"), want: blocklist.ErrEmpty},
		{name: "no usable row", body: []byte("0.0.0.0 com\n"), want: blocklist.ErrEmpty},
		{name: "page", body: []byte("\n<!DOCTYPE html><html>a.example\n"), want: blocklist.ErrHTML},
		{name: "page in an archive", body: tarred(t, member{"a.hosts", "0.0.0.0 a.example\n"}, member{"b.hosts", "<html>"}), want: blocklist.ErrHTML},
		{name: "page where the format is given", body: []byte("<html>"), config: blocklist.FeedConfig{Format: "hosts"}, want: blocklist.ErrHTML},
		{name: "JSON object", body: []byte(`{"error": "no such key"}`), want: blocklist.ErrJSON},
		{name: "JSON array", body: []byte("\xef\xbb\xbf[\n {\"x\":1}]"), want: blocklist.ErrJSON},
		{name: "zero octets", body: []byte("a.example\x00b.example\n"), want: blocklist.ErrBinary},
		{name: "UTF-16", body: []byte("\xff\xfea\x00.\x00"), want: blocklist.ErrBinary},
		{name: "archive in an archive", body: tarred(t, member{"x.gz", string(whole)}), want: blocklist.ErrBinary},
		{name: "unknown", body: []byte("who = knows\nwhat this = is\n"), want: blocklist.ErrUnknownFormat},
		{name: "mostly unknown", body: []byte("a.example\nwho = knows\nwhat this = is\n"), want: blocklist.ErrUnknownFormat},
		{name: "addresses", body: []byte("192.0.2.1\n192.0.2.2\n"), config: blocklist.FeedConfig{Addresses: blocklist.AddressesIgnored}, want: blocklist.ErrEmpty},
		{name: "cut gzip", body: whole[:len(whole)/2], want: blocklist.ErrTruncated},
		{name: "cut tar.gz", body: gzipped(t, tarred(t, member{"x.hosts", many}))[:100], want: blocklist.ErrTruncated},
		{name: "cut tar", body: tarred(t, member{"x.hosts", many})[:2000], want: blocklist.ErrTruncated},
		{name: "cut zip", body: zipped(t, member{"x.hosts", many})[:60], want: blocklist.ErrTruncated},
		{name: "wrong checksum behind a tar", body: badCheck, want: blocklist.ErrArchive},
		{name: "gzip with a damaged head", body: []byte("\x1f\x8b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), want: blocklist.ErrTruncated},
		{name: "archive without a file", body: tarred(t, member{"x/", ""}), want: blocklist.ErrNoFile},
		{name: "zip without a file", body: zipped(t, member{"x.md", "x"}), config: blocklist.FeedConfig{Files: "*.txt"}, want: blocklist.ErrNoFile},
		{name: "stored size", body: []byte(many), config: blocklist.FeedConfig{Limits: blocklist.Limits{SourceBytes: 1000}}, want: blocklist.ErrTooLarge},
		{name: "unpacked size", body: whole, config: blocklist.FeedConfig{Limits: blocklist.Limits{ContentBytes: 1000}}, want: blocklist.ErrTooLarge},
		{name: "unpacked size in tar.gz", body: gzipped(t, tarred(t, member{"skipped.md", many}, member{"x.txt", "a.example\n"})),
			config: blocklist.FeedConfig{Files: "*.txt", Limits: blocklist.Limits{ContentBytes: 5000}}, want: blocklist.ErrTooLarge},
		{name: "unpacked size in zip", body: zipped(t, member{"a.hosts", many}, member{"b.hosts", many}),
			config: blocklist.FeedConfig{Limits: blocklist.Limits{ContentBytes: 100_000}}, want: blocklist.ErrTooLarge},
		{name: "rows", body: []byte(many), config: blocklist.FeedConfig{Limits: blocklist.Limits{Rows: 4999}}, want: blocklist.ErrTooManyRows},
		{name: "files in tar", body: tarred(t, member{"a", "a.example"}, member{"b", "b.example"}, member{"c", "c.example"}),
			config: blocklist.FeedConfig{Limits: blocklist.Limits{Files: 2}}, want: blocklist.ErrTooManyFiles},
		{name: "files in zip", body: zipped(t, member{"a", "a.example"}, member{"b", "b.example"}, member{"c", "c.example"}),
			config: blocklist.FeedConfig{Limits: blocklist.Limits{Files: 2}}, want: blocklist.ErrTooManyFiles},
		{name: "table without names", body: []byte("first,second\n1,2\n"), config: blocklist.FeedConfig{Format: "csv"}, want: blocklist.ErrNoColumn},
		{name: "table of remarks", body: []byte("# a\n"), config: blocklist.FeedConfig{Format: "csv"}, want: blocklist.ErrNoColumn},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.config.Path = filepath.Join(t.TempDir(), "feed")
			writeFile(t, tc.config.Path, string(tc.body))
			_, _, err := readFeed(t, tc.config)
			if !errors.Is(err, tc.want) {
				t.Fatalf("error = %v, want %v", err, tc.want)
			}
			source, ok := errors.AsType[*blocklist.SourceError](err)
			if !ok || !strings.HasPrefix(source.File, tc.config.Path) || source.Next == "" {
				t.Errorf("error %v has no place or no next move", err)
			}
		})
	}
}

// TestSparseMember reads an archive whose one member claims to be far longer than what it takes in the archive.
func TestSparseMember(t *testing.T) {
	const size = 1 << 40
	text := "# " + strings.Repeat("x", 100_000) + "\na.example\n"
	data := fmt.Sprintf("1\n0\n%d\n", len(text))
	data += strings.Repeat("\x00", 512-len(data)) + text
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	record := func(key, value string) string {
		n := len(key) + len(value) + 3
		for n != len(fmt.Sprintf("%d %s=%s\n", n, key, value)) {
			n++
		}
		return fmt.Sprintf("%d %s=%s\n", n, key, value)
	}
	pax := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "x.txt") + record("GNU.sparse.realsize", fmt.Sprint(int64(size)))
	for _, m := range []struct {
		flag byte
		body string
	}{{tar.TypeReg, pax}, {tar.TypeReg, data}} {
		if err := w.WriteHeader(&tar.Header{Name: "x.txt", Mode: 0o644, Size: int64(len(m.body)), Typeflag: m.flag}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.tar")
	writeFile(t, path, string(asExtended(b.Bytes())))
	_, report, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "domains", Limits: blocklist.Limits{ContentBytes: 1 << 20}})
	if !errors.Is(err, blocklist.ErrTooLarge) {
		t.Errorf("error = %v after %d octets, want %v", err, report.Bytes, blocklist.ErrTooLarge)
	}
}

// asExtended makes the first member of an archive the extended header of the second, which the writer of the standard library does not write
// for sparse files.
func asExtended(archive []byte) []byte {
	const flagAt, sumAt, sumSize = 156, 148, 8
	archive[flagAt] = tar.TypeXHeader
	copy(archive[sumAt:sumAt+sumSize], "        ")
	sum := 0
	for _, c := range archive[:512] {
		sum += int(c)
	}
	copy(archive[sumAt:], fmt.Sprintf("%06o\x00 ", sum))
	return archive
}

func TestEmptyMayBeMeant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.rpz")
	writeFile(t, path, "@ SOA localhost. root.localhost. 1 2 3 4 5\n@ NS localhost.\n")
	if _, _, err := readFeed(t, blocklist.FeedConfig{Path: path}); !errors.Is(err, blocklist.ErrEmpty) {
		t.Errorf("error = %v, want %v", err, blocklist.ErrEmpty)
	}
	if _, _, err := readFeed(t, blocklist.FeedConfig{Path: path, AllowEmpty: true}); err != nil {
		t.Errorf("error = %v, want none where an empty feed is allowed", err)
	}
}

func TestMissingSource(t *testing.T) {
	if _, _, err := readFeed(t, blocklist.FeedConfig{Path: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v, want %v", err, os.ErrNotExist)
	}
	dir := t.TempDir()
	if _, _, err := readFeed(t, blocklist.FeedConfig{Path: dir}); !errors.Is(err, blocklist.ErrNoFile) {
		t.Errorf("error = %v, want %v", err, blocklist.ErrNoFile)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readFeed(t, blocklist.FeedConfig{Path: pipe}); !errors.Is(err, blocklist.ErrBinary) {
		t.Errorf("error = %v, want %v", err, blocklist.ErrBinary)
	}
}

// changingSink changes the source when the first row comes.
type changingSink struct {
	change func()
	done   bool
}

func (s *changingSink) Indicator(*blocklist.Indicator) error {
	if !s.done {
		s.done = true
		s.change()
	}
	return nil
}

func (s *changingSink) Fault(blocklist.Fault) {}

func TestChangedWhileRead(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "feed", "1.hosts"), filepath.Join(dir, "feed", "2.hosts")
	rewrite := func(path, body string) func() { return func() { writeFile(t, path, body) } }
	const row = "0.0.0.0 a.example\n"
	for _, tc := range []struct {
		name, path string
		change     func()
	}{
		{"file is written in place", one, rewrite(one, row+row)},
		{"file of a directory that was read is written", filepath.Dir(one), rewrite(one, row+row)},
		{"file comes to a directory", filepath.Dir(one), rewrite(filepath.Join(dir, "feed", "3.hosts"), row)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			writeFile(t, one, row)
			writeFile(t, two, row)
			_, err := blocklist.ReadFeed(t.Context(), blocklist.FeedConfig{Name: "sample", Path: tc.path}, &changingSink{change: tc.change})
			if !errors.Is(err, blocklist.ErrChanged) {
				t.Errorf("error = %v, want %v", err, blocklist.ErrChanged)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.hosts")
	writeFile(t, path, strings.Repeat("0.0.0.0 a.example\n", 20_000))
	ctx, cancel := context.WithCancel(t.Context())
	report, err := blocklist.ReadFeed(ctx, blocklist.FeedConfig{Name: "sample", Path: path}, &changingSink{change: cancel})
	if !errors.Is(err, context.Canceled) || report.Live > 10_000 {
		t.Errorf("error = %v after %d rows, want %v soon", err, report.Live, context.Canceled)
	}
}

func TestLongLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.domains")
	long := strings.Repeat("x", 3*blocklist.LineMax)
	writeFile(t, path, "a.example\n"+long+"\nb.example\n"+long)
	s, report, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "domains"})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "1 exact a.example\n3 exact b.example")
	wantLines(t, "faults", s.faultTexts(), "2 line-too-long\n4 line-too-long")
	if report.Lines != 4 || len(s.faults[0].Text) > 200 {
		t.Errorf("lines = %d, fault %q", report.Lines, s.faults[0].Text)
	}
}

func TestExpiry(t *testing.T) {
	dir := t.TempDir()
	list, table := filepath.Join(dir, "list.hosts"), filepath.Join(dir, "table.csv")
	writeFile(t, list, "0.0.0.0 a.example\n")
	writeFile(t, table, "domain,date added,valid_until\na.example,2026-01-01,\nb.example,2026-01-01,2026-02-03 04:05:06\nc.example,soon,never\n")
	changed := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, path := range []string{list, table} {
		if err := os.Chtimes(path, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	s, _, err := readFeed(t, blocklist.FeedConfig{Path: list, TTL: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "list", s.rows, "1 exact a.example expiry=2026-05-02T00:00")
	if s, _, err = readFeed(t, blocklist.FeedConfig{Path: table, TTL: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	wantLines(t, "table", s.rows, `
		2 exact a.example expiry=2026-01-02T00:00
		3 exact b.example expiry=2026-02-03T04:05
		4 exact c.example expiry=2026-05-02T00:00`)
}

func TestFaultsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.domains")
	writeFile(t, path, "a.example\n"+strings.Repeat("github.io\nhttp://a.example/b\n", 2*blocklist.HeldMax))
	s, report, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "domains"})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.faults) != 2*blocklist.FaultsMax || len(report.HeldRows) != blocklist.HeldMax {
		t.Errorf("%d faults and %d held rows were shown, want %d and %d", len(s.faults), len(report.HeldRows), 2*blocklist.FaultsMax, blocklist.HeldMax)
	}
	if report.Held != 2*blocklist.HeldMax || report.Refused != 2*blocklist.HeldMax {
		t.Errorf("held %d, refused %d, want %d of each", report.Held, report.Refused, 2*blocklist.HeldMax)
	}
}
