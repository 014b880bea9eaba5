package blocklist_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// suffixFile writes a list with rules of every sort, and as many others as a real one has.
func suffixFile(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("// ===BEGIN ICANN DOMAINS===\nexample\nco.example\n*.wide.example\n!open.wide.example\nbücher.example\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "rule%d.example\n", i)
	}
	b.WriteString("// ===BEGIN PRIVATE DOMAINS===\nhosting.example\n*.cloud.example\n!own.cloud.example\n")
	path := filepath.Join(t.TempDir(), "suffixes.dat")
	writeFile(t, path, b.String())
	return path
}

func TestSuffixes(t *testing.T) {
	own := suffixFile(t)
	for _, tc := range []struct {
		list, name string
		want       blocklist.Reason
	}{
		{own, ".", blocklist.ReasonRoot},
		{own, "example", blocklist.ReasonTLD},
		{own, "unlisted-tld", blocklist.ReasonTLD},
		{own, "site.example", blocklist.ReasonNone},
		{own, "CO.example", blocklist.ReasonPublicSuffix},
		{own, "site.co.example", blocklist.ReasonNone},
		{own, "wide.example", blocklist.ReasonPublicSuffix}, // above a wildcard: it would take every suffix below it
		{own, "any.wide.example", blocklist.ReasonPublicSuffix},
		{own, "site.any.wide.example", blocklist.ReasonNone},
		{own, "open.wide.example", blocklist.ReasonNone},
		{own, "xn--bcher-kva.example", blocklist.ReasonPublicSuffix},
		{own, "hosting.example", blocklist.ReasonHeld},
		{own, "site.hosting.example", blocklist.ReasonNone},
		{own, "cloud.example", blocklist.ReasonHeld},
		{own, "eu.cloud.example", blocklist.ReasonHeld},
		{own, "own.cloud.example", blocklist.ReasonNone},
		{own, "a.b.c.d.e.f.g.h.i.example", blocklist.ReasonNone},
		{"", "com", blocklist.ReasonTLD},
		{"", "co.uk", blocklist.ReasonPublicSuffix},
		{"", "any.ck", blocklist.ReasonPublicSuffix},
		{"", "www.ck", blocklist.ReasonNone},
		{"", "github.io", blocklist.ReasonHeld},
	} {
		got, err := blocklist.CheckSuffix(tc.list, tc.name)
		if err != nil || got != tc.want {
			t.Errorf("%s = %s, %v, want %s", tc.name, got, err, tc.want)
		}
	}
}

func TestSuffixListIsChecked(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.dat")
	writeFile(t, empty, "// nothing\ncom\n")
	for _, path := range []string{empty, dir, filepath.Join(dir, "none")} {
		if _, err := blocklist.CheckSuffix(path, "a.example"); err == nil {
			t.Errorf("suffix list %s was taken", path)
		}
	}
	if _, err := blocklist.CheckSuffix(sharedData(t, "dns/public_suffix_list.dat"), "com"); err != nil {
		t.Errorf("the real list was refused: %v", err)
	}
}

func TestGuardsOfAFeed(t *testing.T) {
	list := suffixFile(t)
	path := filepath.Join(t.TempDir(), "list.domains")
	writeFile(t, path, "site.example\nexample\nco.example\nhosting.example\n.\n")
	for _, tc := range []struct {
		name         string
		config       blocklist.FeedConfig
		rows, faults string
	}{
		{"default", blocklist.FeedConfig{}, "1 exact site.example", "2 tld\n3 public-suffix\n4 held-private-suffix\n5 root"},
		{"private suffixes are allowed", blocklist.FeedConfig{AllowPrivateSuffixes: true}, "1 exact site.example\n4 exact hosting.example", "2 tld\n3 public-suffix\n5 root"},
		{"all suffixes are allowed", blocklist.FeedConfig{AllowSuffixes: true},
			"1 exact site.example\n2 exact example\n3 exact co.example\n4 exact hosting.example", "5 root"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.config.Path, tc.config.SuffixList, tc.config.Format = path, list, "domains"
			s, _, err := readFeed(t, tc.config)
			if err != nil {
				t.Fatal(err)
			}
			wantLines(t, "rows", s.rows, tc.rows)
			wantLines(t, "faults", s.faultTexts(), tc.faults)
		})
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := blocklist.ReasonNone; r <= blocklist.ReasonHeld; r++ {
		text, err := r.MarshalText()
		var back blocklist.Reason
		if err != nil || seen[string(text)] || back.UnmarshalText(text) != nil || back != r {
			t.Errorf("reason %d is written %q and read back as %d, %v", r, text, back, err)
		}
		seen[string(text)] = true
	}
	var r blocklist.Reason
	if r.UnmarshalText([]byte("no-such-reason")) == nil {
		t.Error("an unknown reason was read")
	}
}

func TestMatchesHaveNames(t *testing.T) {
	for m := blocklist.MatchDefault; m <= blocklist.MatchBelow; m++ {
		var back blocklist.Match
		if text, err := m.MarshalText(); err != nil || back.UnmarshalText(text) != nil || back != m {
			t.Errorf("match %d is written %q and read back as %d", m, text, back)
		}
	}
	var m blocklist.Match
	if m.UnmarshalText(nil) != nil || m != blocklist.MatchDefault || m.UnmarshalText([]byte("all")) == nil {
		t.Error("the empty text is not the default, or an unknown one is taken")
	}
}
