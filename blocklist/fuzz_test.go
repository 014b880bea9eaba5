package blocklist_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"cenote/blocklist"
)

// fuzzFormat reads whatever it is given as one format. Nothing may panic, each row must keep the promises of Indicator, the sums of the Report
// must hold, and no file may say more rows than it has octets.
func fuzzFormat(f *testing.F, format string) {
	seeds, err := filepath.Glob("testdata/feeds/*")
	if err != nil {
		f.Fatal(err)
	}
	more, err := filepath.Glob("testdata/feeds/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(seeds, more...) {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	memory, err := blocklist.NewMemoryReader()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		report, err := memory.Read(t.Context(), blocklist.FeedConfig{Format: format, AllowEmpty: true}, "fuzz.txt", body, canonicalSink{t})
		checkEquation(t, report)
		if report.Parsed > len(body) || report.Lines > len(body)+1 {
			t.Errorf("%d rows in %d lines out of %d octets", report.Parsed, report.Lines, len(body))
		}
		if err != nil && report.Parsed > 0 && bytes.HasPrefix(body, []byte("<")) {
			t.Errorf("a page was read: %v", err)
		}
	})
}

func FuzzHosts(f *testing.F)     { fuzzFormat(f, "hosts") }
func FuzzDomains(f *testing.F)   { fuzzFormat(f, "domains") }
func FuzzWildcard(f *testing.F)  { fuzzFormat(f, "wildcard") }
func FuzzAdblock(f *testing.F)   { fuzzFormat(f, "adblock") }
func FuzzDnsmasq(f *testing.F)   { fuzzFormat(f, "dnsmasq") }
func FuzzUnbound(f *testing.F)   { fuzzFormat(f, "unbound") }
func FuzzRPZ(f *testing.F)       { fuzzFormat(f, "rpz") }
func FuzzMaltrail(f *testing.F)  { fuzzFormat(f, "maltrail") }
func FuzzCSV(f *testing.F)       { fuzzFormat(f, "csv") }
func FuzzAddresses(f *testing.F) { fuzzFormat(f, "addresses") }
func FuzzSTIX(f *testing.F)      { fuzzFormat(f, "stix") }
func FuzzMISP(f *testing.F)      { fuzzFormat(f, "misp") }
func FuzzJSON(f *testing.F)      { fuzzFormat(f, "json") }
func FuzzRegex(f *testing.F)     { fuzzFormat(f, "regex") }
func FuzzDetected(f *testing.F)  { fuzzFormat(f, "") }

// FuzzSource reads whatever it is given as a file of the disk: an archive, a compressed file or plain text.
func FuzzSource(f *testing.F) {
	f.Add(gzipped(f, []byte("a.example\n")))
	f.Add(tarred(f, member{"a.hosts", "0.0.0.0 a.example\n"}))
	f.Add(gzipped(f, tarred(f, member{"a.txt", trailA}, member{"b.txt", trailA})))
	f.Add(zipped(f, member{"a.txt", trailA}, member{"b.txt", trailA}))
	f.Add([]byte("a.example\n"))
	path := filepath.Join(f.TempDir(), "feed")
	memory, err := blocklist.NewMemoryReader()
	if err != nil {
		f.Fatal(err)
	}
	limits := blocklist.Limits{SourceBytes: 1 << 20, ContentBytes: 1 << 20, Files: 20, Rows: 10_000}
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
		report, _ := memory.ReadPath(t.Context(), blocklist.FeedConfig{Path: path, Limits: limits}, canonicalSink{t})
		checkEquation(t, report)
		if report.Bytes > limits.ContentBytes || report.Files > limits.Files+1 {
			t.Errorf("%d octets in %d files were read, the limits are %+v", report.Bytes, report.Files, limits)
		}
	})
}
