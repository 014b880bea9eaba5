package blocklist_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

func TestDetection(t *testing.T) {
	remarks := strings.Repeat("# a long head of remarks\n", 500)
	for _, tc := range []struct{ name, file, body, want string }{
		{"content wins over the name", "names.hosts", "a.example\nb.example\n", "domains"},
		{"a long head", "list", remarks + "0.0.0.0 a.example\n", "hosts"},
		{"mostly wildcards", "list.txt", "*.a.example\n*.b.example\nc.example\n", "wildcard"},
		{"mostly names", "list.txt", "*.a.example\nb.example\nc.example\nd.example\n", "domains"},
		{"adblock by its head line", "list.txt", "[Adblock Plus]\n! x\na.example\n", "adblock"},
		{"adblock by its rules", "list.txt", "! x\n||a.example^\n@@||b.example^\n", "adblock"},
		{"zone by its SOA", "x", "rpz.example. 300 IN SOA a. b. 1 2 3 4 5\nrpz.example. NS a.\na.example.rpz.example. CNAME .\n", "rpz"},
		{"zone with its own origin", "x", "$ORIGIN rpz.example.\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\na.example CNAME .\n", "rpz"},
		{"maltrail by its references", "x.txt", "# Reference: https://a.example\n\na.example\n", "maltrail"},
		{"table by its header", "x", "Domain,Malware,Date added,Source\na.example,x,2026-01-01,y\n", "csv"},
		{"table by a remark", "x", "# \"first_seen_utc\",\"ioc_value\",\"ioc_type\"\n\"2026-01-01 00:00:00\", \"a.example\", \"domain\"\n", "csv"},
		{"CRLF and mark", "x", "\xef\xbb\xbf0.0.0.0 a.example\r\n", "hosts"},
		{"zone with CRLF", "x", "@ SOA a. b. 1 2 3 4 5\r\n@ NS a.\r\na.example CNAME .\r\n", "rpz"},
		{"half of it dirty", "x", "a.example\nb.example\n???\n!!!\nwhat is this\n", "domains"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tc.file)
			writeFile(t, path, tc.body)
			_, report, err := readFeed(t, blocklist.FeedConfig{Path: path})
			if err != nil || report.Format != tc.want {
				t.Errorf("format = %s, %v, want %s", report.Format, err, tc.want)
			}
		})
	}
}

func TestEndingDecidesWithoutRows(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "1.hosts"), "# nothing yet\n")
	writeFile(t, filepath.Join(dir, "2.hosts"), "0.0.0.0 a.example\n")
	_, report, err := readFeed(t, blocklist.FeedConfig{Path: dir})
	if err != nil || report.Format != "hosts" || report.Live != 1 {
		t.Errorf("format = %s with %d rows, %v, want hosts with 1", report.Format, report.Live, err)
	}
}

func TestFormatsAreListed(t *testing.T) {
	list := blocklist.Formats()
	if len(list) != 14 {
		t.Fatalf("%d formats, want 14", len(list))
	}
	for _, f := range list {
		if f.Name == "" || f.Tradition == "" {
			t.Errorf("format %+v is not described", f)
		}
	}
}

func TestColumnsMayBeNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.csv")
	writeFile(t, path, "Nom;x,Observable,Famille,Note\n1,a.example,vidar,\"one, \"\"two\"\"\"\n2,*.b.example,,\n")
	config := blocklist.FeedConfig{Path: path, Format: "csv", Columns: blocklist.Columns{Indicator: "observable", Family: "FAMILLE", Comment: "note"}}
	s, _, err := readFeed(t, config)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, `
		2 exact a.example family=vidar comment=one, "two"
		3 below b.example`)
}
