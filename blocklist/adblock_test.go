package blocklist_test

import (
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// TestAdblockRulesAreNeverWidened: what a rule with modifiers stops is what it says, and what cannot be said is counted.
func TestAdblockRulesAreNeverWidened(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		list           string // a rule a word; a blank within is "_"
		blocked, clear string
		faults         string
	}{
		"but for a name below":            {"||a.example^$denyallow=b.a.example", "a.example c.a.example", "b.a.example x.b.a.example", ""},
		"but for several":                 {"||a.example^$denyallow=b.a.example|c.a.example,important", "a.example", "b.a.example c.a.example", ""},
		"but for a name elsewhere":        {"||a.example^$denyallow=b.example ||b.example^", "a.example b.example", "", ""},
		"but for itself":                  {"||a.example^$denyallow=a.example", "", "a.example b.a.example", "1 not-a-dns-rule"},
		"but for what is above":           {"||b.a.example^$denyallow=a.example", "", "b.a.example", "1 not-a-dns-rule"},
		"exact, but for what is above":    {"|b.a.example^$denyallow=a.example", "", "b.a.example", "1 not-a-dns-rule"},
		"exact, but for a name below":     {"|a.example^$denyallow=b.a.example ||b.a.example^", "a.example b.a.example", "", ""},
		"below, but for a name below":     {"||*.a.example^$denyallow=b.a.example", "c.a.example", "a.example b.a.example", ""},
		"but for no name":                 {"||a.example^$denyallow=", "", "a.example", "1 not-a-dns-rule"},
		"but for what is none":            {"||a.example^$denyallow=~b.a.example", "", "a.example", "1 not-a-dns-rule"},
		"but for a hosting service":       {"||amazonaws.com^$denyallow=s3.amazonaws.com", "", "amazonaws.com", "1 not-a-dns-rule"},
		"everything but":                  {"*$denyallow=com|net", "", "a.example", "1 not-a-dns-rule"},
		"patterns but":                    {"/evil/$denyallow=com ||ev*l.example^$denyallow=x.evil.example", "", "evil.example", "1 not-a-dns-rule 2 not-a-dns-rule"},
		"exception but":                   {"||a.example^ @@||a.example^$denyallow=b.a.example", "a.example", "", "2 not-a-dns-rule"},
		"for some types":                  {"||a.example^$dnstype=A|AAAA ||b.example^$dnstype=~HTTPS", "", "a.example b.example", "1 some-types 2 some-types"},
		"exception for some types":        {"||a.example^ @@||a.example^$dnstype=A", "a.example", "", "2 some-types"},
		"for some clients":                {"||a.example^$client=192.0.2.1,important ||b.example^$ctag=~user_child", "", "a.example b.example", "1 some-clients 2 some-clients"},
		"with what nobody knows":          {"||a.example^$client=x,third-party ||b.example^$important=x ||c.example^$new", "", "a.example b.example c.example", "1 not-a-dns-rule 2 not-a-dns-rule 3 not-a-dns-rule"},
		"answer, but for a name":          {"||a.example^$dnsrewrite=192.0.2.1,denyallow=b.a.example", "", "a.example", "1 not-a-dns-rule"},
		"cancelled":                       {"||a.example^ ||b.example^ ||a.example^$badfilter", "b.example", "a.example", "1 withdrawn"},
		"cancelled before":                {"||a.example^$badfilter ||a.example^ ||b.example^", "b.example", "a.example", "2 withdrawn"},
		"cancelled twice":                 {"||a.example^ ||a.example^ ||a.example^$badfilter", "", "a.example", "1 withdrawn 2 withdrawn"},
		"cancelled with its modifiers":    {"||a.example^$all,important ||a.example^$important,badfilter,all", "", "a.example", "1 withdrawn"},
		"another text is not cancelled":   {"||a.example^$important |a.example^ ||a.example^$badfilter", "a.example b.a.example", "", ""},
		"case is not cancelled":           {"||A.example^ ||a.example^$badfilter", "a.example", "", ""},
		"exception, cancelled":            {"||a.example^ @@||a.example^ @@||a.example^$badfilter", "a.example", "", "2 withdrawn"},
		"exception, not cancelled":        {"||a.example^ @@||a.example^ ||a.example^$badfilter", "", "a.example", "1 withdrawn"},
		"pattern, cancelled":              {"/evil[0-9]/ /evil[0-9]/$badfilter /bad[0-9]/$important", "bad1.example", "evil1.example", "1 withdrawn"},
		"but for, cancelled":              {"||a.example^$denyallow=b.a.example ||a.example^ ||a.example^$denyallow=b.a.example,badfilter", "a.example b.a.example", "", "1 withdrawn"},
		"important before exception":      {"||a.example^$important @@||a.example^ @@||b.a.example^ @@|c.a.example^", "a.example b.a.example c.a.example", "", "2 overruled 3 overruled 4 overruled"},
		"important exception":             {"||a.example^$important @@||b.a.example^$important", "a.example", "b.a.example", ""},
		"important, cancelled":            {"||a.example^$important ||a.example^ @@||b.a.example^ ||a.example^$important,badfilter", "a.example", "b.a.example", "1 withdrawn"},
		"important below the exception":   {"||a.example^ @@||b.a.example^ ||c.b.a.example^$important", "a.example", "b.a.example c.b.a.example", "3 overruled"},
		"exact important":                 {"|a.example^$important @@||a.example^ ||b.example^", "b.example", "a.example", "1 overruled"},
		"below is not itself":             {"||*.a.example^$important @@|a.example^ |a.example^", "b.a.example", "a.example", ""},
		"important below a name left out": {"||a.example^$denyallow=b.a.example ||c.b.a.example^$important", "a.example", "c.b.a.example", "2 overruled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			list := strings.ReplaceAll(tc.list, " ", "\n") + "\n"
			path := w.feed("f.adblock", list)
			w.feeds[0].Format, w.feeds[0].AllowEmpty = "adblock", true
			w.open(nil)
			w.reload(blocklist.ReloadOptions{})
			for _, n := range strings.Fields(tc.blocked) {
				if !w.blocks(n) {
					t.Errorf("%s is not blocked", n)
				}
			}
			for _, n := range strings.Fields(tc.clear) {
				if w.blocks(n) {
					t.Errorf("%s is blocked", n)
				}
			}
			s, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "adblock", AllowEmpty: true})
			must(t, err)
			if got := strings.Join(s.faultTexts(), " "); got != tc.faults {
				t.Errorf("faults %q, want %q", got, tc.faults)
			}
		})
	}
}

// TestAdblockMatch: how far names reach by the configuration goes for $denyallow too.
func TestAdblockMatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "||a.example^$denyallow=b.a.example\n||c.example^$important\n@@||x.c.example^\n")
	s, _, err := readFeed(t, blocklist.FeedConfig{Path: path, Format: "adblock", Match: blocklist.MatchExact})
	must(t, err)
	wantLines(t, "rows", s.rows, `
		1 exact a.example
		2 exact c.example
		3 exact x.c.example exception=yes`)
}

// TestAdblockListHasABound: lines wait for the end of the file up to a bound.
func TestAdblockListHasABound(t *testing.T) {
	if err := blocklist.HoldingRules(blocklist.HeldOctetsMax); err != nil {
		t.Errorf("at the bound: %v", err)
	}
	if err := blocklist.HoldingRules(blocklist.HeldOctetsMax + 1); err == nil || !strings.Contains(err.Error(), "wait for its end") {
		t.Errorf("above it: %v", err)
	}
}
