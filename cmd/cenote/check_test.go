package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// TestCheckTellsEveryFault checks a list with more bad rows than a running server lists.
func TestCheckTellsEveryFault(t *testing.T) {
	const rows = 2 * blocklist.FaultsMax
	dir := t.TempDir()
	var list strings.Builder
	for i := range rows {
		fmt.Fprintf(&list, "0.0.0.0 n%d.example\n0.0.0.0 bad/%d\n", i, i)
	}
	conf := filepath.Join(dir, "cenote.yaml")
	for path, text := range map[string]string{
		conf: "state: state\nlisten: ['127.0.0.1:0']\nfeeds: [{name: a, path: a.hosts}, {name: b, path: b.hosts}]\n" +
			"policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: z, feeds: [a, b]}]}\n",
		filepath.Join(dir, "a.hosts"): list.String(),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(more ...string) string {
		var out, errs bytes.Buffer
		if code := runContext(t.Context(), append([]string{"check", "--config", conf}, more...), streams{strings.NewReader(""), &out, &errs}); code != 1 {
			t.Errorf("exit status %d, want 1; stderr: %s", code, &errs)
		}
		return out.String()
	}
	text := check()
	for i := range rows {
		if want := fmt.Sprintf("a.hosts:%d: url: bad/%d\n    %s\n", 2*i+2, i, hint(blocklist.ReasonURL)); !strings.Contains(text, want) {
			t.Fatalf("%q is missing in:\n%s", want, text)
		}
	}
	var answer struct {
		Faults, Warnings []any
		Feeds            []struct {
			Name, Error string
			Faults      []struct {
				Line int
				Hint string
			}
			Report blocklist.Report
		}
	}
	if err := json.Unmarshal([]byte(check("--json")), &answer); err != nil {
		t.Fatal(err)
	}
	a, b := answer.Feeds[0], answer.Feeds[1]
	if a.Name != "a" || len(a.Faults) != rows || a.Faults[rows-1].Line != 2*rows || a.Faults[0].Hint == "" || a.Report.Live != rows || a.Error != "" {
		t.Errorf("feed a has %d faults and the report %+v, want %d faults with line and hint", len(a.Faults), a.Report, rows)
	}
	if b.Name != "b" || !strings.Contains(b.Error, "no such file") || answer.Faults == nil || answer.Warnings == nil {
		t.Errorf("feed b is %+v, want the error that it is missing", b)
	}
}
