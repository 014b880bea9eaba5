package blocklist_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
)

// protections are the settings under which a feed is read, by name: none, what is built in, that with a list of 100,000 popular names, and with all
// warninglists of the data set that can be taken.
func protections(tb testing.TB) map[string]blocklist.Protection {
	tb.Helper()
	popular := blocklist.Popular{Lists: []string{sharedData(tb, "top/cloudflare-radar-buckets.csv")}, Hold: 100_000}
	all := blocklist.Protection{Builtin: true, Popular: popular}
	lists, err := filepath.Glob(filepath.Join(sharedData(tb, "warninglists"), "*.json"))
	if err != nil || len(lists) < 50 {
		tb.Fatalf("%d warninglists, %v", len(lists), err)
	}
	for _, list := range lists {
		one := blocklist.Protection{Lists: []string{list}}
		if err := blocklist.CheckProtection(&one); err == nil {
			all.Lists = append(all.Lists, list)
		} else if !strings.Contains(err.Error(), "substring") {
			tb.Errorf("a warninglist is refused for another reason than its type: %v", err)
		}
	}
	return map[string]blocklist.Protection{
		"none": {}, "builtin": {Builtin: true}, "popular100k": {Builtin: true, Popular: popular}, "warninglists": all,
	}
}

func BenchmarkProtectionLoad(b *testing.B) {
	for name, p := range protections(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := blocklist.CheckProtection(&p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGuardedRows1492701(b *testing.B) {
	path := sharedData(b, "maltrail/malware.tar.gz")
	for name, p := range protections(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				guarded, err := blocklist.NewGuarded(&p)
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := guarded.Read(b.Context(), blocklist.FeedConfig{Name: "maltrail", Path: path}, dropSink{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPatterns2000OnPopularNames1000000 reads 2,000 patterns beside a list of a million popular names: what the list of protected and popular names costs is
// left out, what is made of it for the patterns is not.
func BenchmarkPatterns2000OnPopularNames1000000(b *testing.B) {
	names := popularNames(b, 1_000_000)
	dir := b.TempDir()
	top := filepath.Join(dir, "top.csv")
	writeFile(b, top, names)
	for kind, pattern := range map[string]func(int) string{
		"rare":   func(i int) string { return fmt.Sprintf(`^[a-z]{3}evil%d\.example$`, i) },
		"common": func(i int) string { return fmt.Sprintf(`(^|\.)mail[0-9]*\.[a-z]+%dq\.com$`, i) },
		"worst":  func(i int) string { return fmt.Sprintf(`^[^.]+[0-9]{%d}x.*www\.`, 3+i%50) },
	} {
		b.Run(kind, func(b *testing.B) {
			var rows strings.Builder
			for i := range 2000 {
				fmt.Fprintln(&rows, pattern(i))
			}
			feed := filepath.Join(dir, kind)
			writeFile(b, feed, rows.String())
			for b.Loop() {
				b.StopTimer()
				guarded, err := blocklist.NewGuarded(&blocklist.Protection{Builtin: true, Popular: blocklist.Popular{Lists: []string{top}}})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				report, err := guarded.Read(b.Context(), blocklist.FeedConfig{Name: "patterns", Path: feed, Format: "regex"}, dropSink{})
				if err != nil && !errors.Is(err, blocklist.ErrEmpty) {
					b.Fatal(err)
				}
				b.ReportMetric(float64(report.Live), "served")
				b.ReportMetric(float64(report.Held), "held")
			}
		})
	}
}

// popularNames makes a list of so many popular names with their ranks, of those of the data set with hosts before them.
func popularNames(tb testing.TB, n int) string {
	tb.Helper()
	body, err := os.ReadFile(sharedData(tb, "top/cloudflare-radar-buckets.csv"))
	if err != nil {
		tb.Fatal(err)
	}
	var out strings.Builder
	rank := 0
	for _, host := range []string{"", "www.", "mail.", "api.", "cdn.", "m.", "static.", "login.", "app.", "img.", "shop."} {
		for line := range strings.Lines(string(body)) {
			if name, _, _ := strings.Cut(line, ","); strings.Contains(name, ".") && rank < n {
				rank++
				fmt.Fprintf(&out, "%d,%s%s\n", rank, host, name)
			}
		}
	}
	return out.String()
}
