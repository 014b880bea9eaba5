package blocklist_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
)

func TestPatterns(t *testing.T) {
	deep := func(n int) string {
		return "[" + strings.Repeat("(", n) + "domain-name:value='a.example'" + strings.Repeat(")", n) + "]"
	}
	for _, tc := range []struct {
		name, pattern string
		want          []string
	}{
		{"one", "[domain-name:value = 'a.example']", []string{"name a.example"}},
		{"without blanks", "[domain-name:value='a.example'OR url:value='http://b.example']", []string{"name a.example", "link http://b.example"}},
		{"with line feeds", "[\n domain-name:value\n=\t'a.example'\r\n]\n", []string{"name a.example"}},
		{"sets", "[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')]", []string{"address 192.0.2.1", "address 192.0.2.2"}},
		{"words in lower case", "[domain-name:value in ('a.example') or domain-name:value = 'b.example']", []string{"name a.example", "name b.example"}},
		{"quotes and backslashes", `[domain-name:value = 'a\'b\\c']`, []string{`name a'b\c`}},
		{"brackets and words in a value", "[domain-name:value = '] AND [x:y = ']", []string{"name ] AND [x:y = "}},
		{"several observations", "[domain-name:value = 'a.example'] OR ([ipv6-addr:value = '2001:db8::1'])", []string{"name a.example", "address 2001:db8::1"}},
		{"an address of a connection", "[network-traffic:dst_ref.type = 'domain-name' AND network-traffic:dst_ref.value = 'a.example']", []string{"name a.example"}},
		{"its port", "[network-traffic:dst_ref.value = 'a.example' AND network-traffic:dst_port IN (80, 443)]", []string{"name a.example"}},
		{"two together", "[domain-name:value = 'a.example' AND ipv4-addr:value = '192.0.2.1']", []string{"combination"}},
		{"together before or", "[domain-name:value = 'a.example' OR domain-name:value = 'b.example' AND file:size > 5]", []string{"name a.example", "combination"}},
		{"either together with a file", "[(domain-name:value = 'a.example' OR domain-name:value = 'b.example') AND file:name = 'x']", []string{"combination"}},
		{"observations together", "[domain-name:value = 'a.example'] AND [domain-name:value = 'b.example']", []string{"combination"}},
		{"one after the other", "[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example'] WITHIN 5 SECONDS", []string{"combination"}},
		{"at a time", "[domain-name:value = 'a.example'] START t'2026-01-01T00:00:00Z' STOP t'2026-01-02T00:00:00Z'", []string{"combination"}},
		{"a detail alone", "[network-traffic:dst_port = 443]", []string{"other-type"}},
		{"negated", "[domain-name:value NOT = 'a.example' OR domain-name:value != 'b.example']", []string{"not-a-dns-rule", "not-a-dns-rule"}},
		{"patterns of text", `[domain-name:value MATCHES '^a\\.example$' OR url:value LIKE '%/x']`, []string{"regex", "regex"}},
		{"a name's address", "[domain-name:resolves_to_refs[*].value = '192.0.2.1']", []string{"other-type"}},
		{"quotes in a path", "[file:hashes.'SHA-256' = 'ab' OR domain-name:value = 'a.example']", []string{"other-type", "name a.example"}},
		{"as deep as may be", deep(blocklist.PatternDepthMax - 1), []string{"name a.example"}},
		{"deeper", deep(blocklist.PatternDepthMax), []string{"syntax"}},
		{"far deeper", strings.Repeat("(", 1<<19), []string{"syntax"}},
		{"too long", "[domain-name:value = '" + strings.Repeat("a", blocklist.PatternMax) + "']", []string{"line-too-long"}},
		{"nothing", "", []string{"syntax"}},
		{"no brackets", "domain-name:value = 'a.example'", []string{"syntax"}},
		{"an open quote", "[domain-name:value = 'a.example]", []string{"syntax"}},
		{"an open set", "[domain-name:value IN ('a.example']", []string{"syntax"}},
		{"more after it", "[domain-name:value = 'a.example'] x", []string{"syntax"}},
		{"no value", "[domain-name:value = ]", []string{"syntax"}},
		{"no operator", "[domain-name:value 'a.example']", []string{"syntax"}},
		{"no path", "['domain-name:value' = 'a.example']", []string{"syntax"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := blocklist.ReadPattern(tc.pattern); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestIndicatorsOfTomorrow holds that a clock or a zone of time that differs keeps no indicator from being served, and that a later date does.
func TestIndicatorsOfTomorrow(t *testing.T) {
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	body := bundleOf(fmt.Sprintf(`{"type":"indicator","id":"indicator--1","pattern":"[domain-name:value='a.example']","valid_from":%q},
		{"type":"indicator","id":"indicator--2","pattern":"[domain-name:value='b.example']","valid_from":%q}`, in(23*time.Hour), in(25*time.Hour)))
	s, err := readText(t, blocklist.FeedConfig{}, body)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "1 exact a.example reference=indicator--1")
	wantLines(t, "faults", s.faultTexts(), "2 not-yet-valid")
}
