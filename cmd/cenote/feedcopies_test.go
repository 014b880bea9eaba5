package main

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// diffServer answers GET /v1/feeds/diff with two pages of the same two copies, and returns its socket.
func diffServer(t *testing.T) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		page := blocklist.FeedDiff{Feed: q.Get("feed"), From: blocklist.KeptCopy{Copy: 1, Entries: 3}, To: blocklist.KeptCopy{Copy: 2, Served: true}}
		switch q.Get("cursor") {
		case "":
			page.Counts, page.Next = &blocklist.DiffCounts{Added: 1, Removed: 1, Changed: 1, Renewed: 4, Families: 2}, "aa"
			page.Rows = []blocklist.DiffRow{
				{Change: blocklist.ChangeAdded, Listed: "a.example", Kind: "subtree", Family: "vidar\x1b[31m", Is: &blocklist.RowSay{Confidence: -1, File: "f.txt", Line: 3}},
				{Change: blocklist.ChangeRemoved, Listed: "b.example", Kind: "exact", Exception: true, Was: &blocklist.RowSay{Confidence: -1, File: "f.txt", Line: 4}},
			}
		case "aa":
			if q.Get("from") != "1" || q.Get("to") != "2" {
				t.Errorf("the second page is asked for with %v", q)
			}
			was, is := blocklist.RowSay{Confidence: 50, Threat: "c2", File: "f.txt", Line: 5}, blocklist.RowSay{Confidence: 90, Action: "nxdomain", File: "f.txt", Line: 6}
			page.Rows = []blocklist.DiffRow{{Change: blocklist.ChangeChanged, Listed: "c.example", Kind: "exact", Was: &was, Is: &is}}
		}
		_ = json.NewEncoder(w).Encode(page)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

func TestDiffIsPrintedByThePage(t *testing.T) {
	socket := diffServer(t)
	const head = "--- f copy 1, read -, 3 entries\n+++ f copy 2, read -, 0 entries, good now\n1 rows added, 1 removed, 1 changed, 4 with another expiry alone; 2 families\n"
	const first = "+ subtree a.example, family vidar\ufffd[31m  f.txt:3\n- exact b.example exception  f.txt:4\n"
	const second = "- exact c.example, threat c2, confidence 50  f.txt:5\n+ exact c.example, nxdomain, confidence 90  f.txt:6\n"
	const more = "... and more; --limit says how many are listed\n"
	for limit, want := range map[string]string{"": head + first + second, "2": head + first + more, "3": head + first + second, "0": head + more} {
		args := []string{"feeds", "diff", "f", "--socket", socket}
		if limit != "" {
			args = append(args, "--limit", limit)
		}
		var out, errOut strings.Builder
		if status := run(args, nil, &out, &errOut); status != 0 || out.String() != want {
			t.Errorf("--limit %s: status %d, %s\n%s\nwant\n%s", limit, status, errOut.String(), out.String(), want)
		}
	}
	var out, errOut strings.Builder
	status := run([]string{"feeds", "diff", "f", "1", "2", "--json", "--socket", socket}, nil, &out, &errOut)
	var answer struct {
		blocklist.FeedDiff
		More bool `json:"more"`
	}
	if err := json.Unmarshal([]byte(out.String()), &answer); err != nil || status != 0 || len(answer.Rows) != 3 || answer.More || answer.Counts.Renewed != 4 {
		t.Errorf("status %d, %v, %s\n%s", status, err, errOut.String(), out.String())
	}
}
