package blocklist_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cenote/blocklist"
)

// patternFeed reads a feed of patterns beside lists of popular and protected names.
func patternFeed(t *testing.T, c blocklist.FeedConfig, popular, protected, patterns string) (*rowSink, blocklist.Report) {
	t.Helper()
	dir := t.TempDir()
	top, list, feed := filepath.Join(dir, "top.csv"), filepath.Join(dir, "list"), filepath.Join(dir, "feed")
	writeFile(t, top, popular)
	writeFile(t, list, protected)
	writeFile(t, feed, patterns)
	c.Path, c.Format = feed, "regex"
	c.Protect.Popular.Lists, c.Protect.Lists = []string{top}, []string{list}
	s, report, err := readFeed(t, c)
	must(t, err)
	return s, report
}

// TestPopularPatterns: a pattern that matches a popular name is treated as a row with that name, and the most popular ones that it matches are named; one that
// matches a protected name is refused, with the name.
func TestPopularPatterns(t *testing.T) {
	popular := "5,cdn5.ads.example\n1,ads.example\n9,cdn9.ads.example\n7,cdn7.ads.example\n2,shop.example\n"
	protected := "login.own.example\n.home.example\n"
	patterns := "^evil[0-9]\n^shop\\.\nads\\.example$\n^login\\.own\nwww\\.home\nx?cdn.\\.ads\n"
	s, report := patternFeed(t, blocklist.FeedConfig{}, popular, protected, patterns)
	wantLines(t, "rows", s.rows, "1 exact /^evil[0-9]/ trigger=pattern")
	want := []string{
		"2 /^shop\\./ held-popular: shop.example (top.csv, rank 2)",
		"3 /ads\\.example$/ held-popular: ads.example (top.csv, rank 1), cdn5.ads.example (top.csv, rank 5), cdn7.ads.example (top.csv, rank 7), and more",
		"6 /x?cdn.\\.ads/ held-popular: cdn5.ads.example (top.csv, rank 5), cdn7.ads.example (top.csv, rank 7), cdn9.ads.example (top.csv, rank 9)",
	}
	var got []string
	for _, row := range report.HeldRows {
		got = append(got, fmt.Sprintf("%d %s %s: %s", row.Line, row.Name, row.Reason, row.By))
	}
	if !slices.Equal(got, want) {
		t.Errorf("held\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if f := report.Faults[blocklist.ReasonProtected]; f == nil || f.Count != 2 || f.First.By != "login.own.example, list" {
		t.Errorf("protected: %+v, want 2, the first of them for login.own.example", f)
	}
}

// TestDecidedPatterns: what an operator decided of a pattern holds, and the configuration may have them recorded only or served.
func TestDecidedPatterns(t *testing.T) {
	for name, tc := range map[string]struct {
		config blocklist.FeedConfig
		rows   string
		states string
	}{
		"held":     {blocklist.FeedConfig{}, "1 exact /other/ trigger=pattern", "/^shop\\./ held"},
		"released": {blocklist.FeedConfig{Released: []string{"/^shop\\./"}}, "1 exact /other/ trigger=pattern\n2 exact /^shop\\./ trigger=pattern", ""},
		"refused":  {blocklist.FeedConfig{Refused: []string{"/^shop\\./"}}, "1 exact /other/ trigger=pattern", ""},
		"log-only": {blocklist.FeedConfig{Protect: blocklist.Protection{Popular: blocklist.Popular{Action: blocklist.PopularLogOnly}}},
			"1 exact /other/ trigger=pattern\n2 exact /^shop\\./ trigger=pattern action=disabled", "/^shop\\./ log-only"},
		"served": {blocklist.FeedConfig{Protect: blocklist.Protection{Popular: blocklist.Popular{Action: blocklist.PopularServed}}},
			"1 exact /other/ trigger=pattern\n2 exact /^shop\\./ trigger=pattern", "/^shop\\./ served"},
		"lets through": {blocklist.FeedConfig{LetsThrough: true}, "1 exact /other/ trigger=pattern\n2 exact /^shop\\./ trigger=pattern", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, report := patternFeed(t, tc.config, "2,shop.example\n", "own.example\n", "other\n^shop\\.\n")
			wantLines(t, "rows", s.rows, tc.rows)
			var states []string
			for _, row := range append(report.HeldRows, report.PopularRows...) {
				states = append(states, row.Name+" "+string(row.State))
			}
			if got := strings.Join(states, " "); got != tc.states {
				t.Errorf("states %q, want %q", got, tc.states)
			}
		})
	}
	if name, err := blocklist.DecisionName(`/^shop\./`); name != `/^shop\./` || err != nil {
		t.Errorf("the name of a pattern is %q, %v", name, err)
	}
	if name, err := blocklist.DecisionName("//"); err == nil {
		t.Errorf("no pattern has the name %q", name)
	}
}

// TestProbesFindWhatPatternsMatch holds trying by letters against trying every name.
func TestProbesFindWhatPatternsMatch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	random := func(letters string, n int) string {
		var b strings.Builder
		for range 1 + r.IntN(n) {
			b.WriteByte(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	var names []string
	for range 800 {
		names = append(names, random("abc", 6)+"."+random("abc", 4))
	}
	matched, try := 0, blocklist.TriedOn(names)
	for range 200 {
		text := random("abc", 2) + random("abc.?", 4) + random("abc", 3) + random("abc", 1)
		numbers, whole, err := try(text, len(names))
		if err != nil {
			continue
		}
		var want []uint32
		re := regexp.MustCompile(text)
		for i, name := range names {
			if re.MatchString(name) {
				want = append(want, uint32(i))
			}
		}
		if !whole || !slices.Equal(numbers, want) {
			t.Fatalf("%s: found %v, whole %t, want %v", text, numbers, whole, want)
		}
		if len(want) > 0 {
			matched++
		}
	}
	if matched < 20 {
		t.Errorf("only %d patterns matched anything", matched)
	}
}

// TestCostlyPatterns: a pattern that cannot be tried on all names within the bound is refused where names are protected, and held where they are popular.
func TestCostlyPatterns(t *testing.T) {
	var names strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&names, "n%d.letters.example\n", i)
	}
	costly := "^q(.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?.?){20}letters\n" // by its size; it fails at the first octet
	s, report := patternFeed(t, blocklist.FeedConfig{}, "1,shop.example\n", names.String(), costly+"other\n")
	wantLines(t, "rows", s.rows, "2 exact /other/ trigger=pattern")
	if f := report.Faults[blocklist.ReasonRegex]; f == nil || !strings.Contains(f.First.By, "too costly") {
		t.Errorf("protected: faults %+v, want it refused for its cost", report.Faults)
	}
	s, report = patternFeed(t, blocklist.FeedConfig{}, names.String(), "own.example\n", costly+"other\n")
	wantLines(t, "rows", s.rows, "2 exact /other/ trigger=pattern")
	if len(report.HeldRows) != 1 || !strings.Contains(report.HeldRows[0].By, "too costly") {
		t.Errorf("popular: held %+v, want it for its cost", report.HeldRows)
	}
}
