package blocklist_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/blocklist"
	"cenote/dnsname"
	"cenote/policy"
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
		{"regular expression", `[domain-name:value MATCHES '^([a-z0-9-]+\\.)?evil\\.example$']`, []string{`pattern ^([a-z0-9-]+\.)?evil\.example$`}},
		{"with single backslashes", `[domain-name:value MATCHES '^a\.evil\.example$' OR domain-name:value MATCHES '\'[\w]']`, []string{`pattern ^a\.evil\.example$`, `pattern '[\w]`}},
		{"regular expression of several", `[domain-name:value MATCHES ('evil1', 'evil2')]`, []string{"pattern evil1", "pattern evil2"}},
		{"regular expression, negated", `[domain-name:value NOT MATCHES 'evil']`, []string{"not-a-dns-rule"}},
		{"regular expression of no name", `[ipv4-addr:value MATCHES '^192\\.' OR url:value LIKE '%/x']`, []string{"regex", "regex"}},
		{"regular expression beyond ASCII", `[domain-name:value MATCHES 'évil']`, []string{"regex"}},
		{"like what is below", `[domain-name:value LIKE '%.evil.example']`, []string{"below evil.example"}},
		{"like an end", `[domain-name:value LIKE '%evil.example']`, []string{`pattern ^.*evil\.example$`}},
		{"like two wild parts", `[domain-name:value LIKE '%.ev_l%.example']`, []string{`pattern ^.*\.ev.l.*\.example$`}},
		{"like a name", `[domain-name:value LIKE 'evil.example']`, []string{"name evil.example"}},
		{"like an expression", `[domain-name:value LIKE '(a|b)+%']`, []string{`pattern ^\(a\|b\)\+.*$`}},
		{"like beyond ASCII", `[domain-name:value LIKE '%.évil.example']`, []string{"regex"}},
		{"like, negated", `[domain-name:value NOT LIKE '%.evil.example']`, []string{"not-a-dns-rule"}},
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

// TestPatternsOfNames: a pattern of names is served if names can be found by it and it is not about everybody; LIKE and MATCHES match the names that
// they say and no other.
func TestPatternsOfNames(t *testing.T) {
	patterns := []string{
		`MATCHES '^([a-z0-9-]+\\.)?evil\\.example$'`, `MATCHES 'a(?=b)long'`, `MATCHES '.*'`, `MATCHES '\\.com$'`, `LIKE '%.below.example'`, `LIKE '%.com'`, `LIKE '%b_d%.example'`,
		`LIKE '%'`, `LIKE '_a%'`,
	}
	var objects []string
	for i, p := range patterns {
		pattern, err := json.Marshal("[domain-name:value " + p + "]")
		must(t, err)
		objects = append(objects, fmt.Sprintf(`{"type":"indicator","id":"indicator--%d","pattern":%s}`, i+1, pattern))
	}
	s, err := readText(t, blocklist.FeedConfig{}, bundleOf(strings.Join(objects, ",\n")))
	must(t, err)
	wantLines(t, "rows", s.rows, `
		1 exact /^([a-z0-9-]+\.)?evil\.example$/ trigger=pattern reference=indicator--1
		5 below below.example reference=indicator--5
		7 exact /^.*b.d.*\.example$/ trigger=pattern reference=indicator--7`)
	wantLines(t, "faults", s.faultTexts(), `
		2 regex
		3 regex
		4 public-suffix
		6 tld
		8 regex
		9 regex`)
}

// TestPatternsOfACollectionAreServed: what a STIX pattern matches is blocked, and nothing beside it.
func TestPatternsOfACollectionAreServed(t *testing.T) {
	w := newWorld(t, nil)
	w.feed("f.stix", bundleOf(`{"type":"indicator","id":"indicator--1","pattern":"[domain-name:value MATCHES '^([a-z0-9-]+\\.)?evil\\.example$']"},
		{"type":"indicator","id":"indicator--2","pattern":"[domain-name:value LIKE '%b_d%.test.example']"}`))
	w.open(nil)
	w.reload(blocklist.ReloadOptions{})
	for name, want := range map[string]bool{"evil.example": true, "www.evil.example": true, "a.www.evil.example": false, "notevil.example": false, "evilxexample": false,
		"www.evil.example.org": false, "bad.test.example": true, "x.bud1.test.example": true, "bd.test.example": false, "bad.test.example.org": false} {
		if got := w.blocks(name); got != want {
			t.Errorf("%s is blocked: %v, want %v", name, got, want)
		}
	}
}

// blocks asks the policy for a decision about a name.
func (w *world) blocks(name string) bool {
	w.t.Helper()
	p := w.current().Policy
	d := p.CheckQuery(&policy.Request{Time: time.Now(), Name: []byte(dnsname.MustParse(name)), Type: 1, Class: 1})
	return d.Matched()
}
