package blocklist_test

import (
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
