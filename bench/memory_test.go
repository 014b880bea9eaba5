package main

import "testing"

func TestParseStatus(t *testing.T) {
	got, err := parseStatus("Name:\tcenote\nVmPeak:\t  999 kB\nVmHWM:\t  300 kB\nVmRSS:\t     200 kB\nThreads:\t9\n")
	if err != nil || got.rss != 200*1024 || got.peak != 300*1024 {
		t.Errorf("got %+v, %v, want 200 KiB, at most 300", got, err)
	}
	for _, text := range []string{"", "Name:\tcenote\nState:\tZ (zombie)\n", "VmHWM:\tmuch kB\n"} {
		if got, err := parseStatus(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func TestCacheCost(t *testing.T) {
	before := map[string]float64{"cenote_rrcache_entries": 10, "cenote_rrcache_used_bytes": 1000, "process_resident_memory_bytes": 5000}
	after := map[string]float64{"cenote_rrcache_entries": 110, "cenote_rrcache_used_bytes": 13_000, "process_resident_memory_bytes": 25_000}
	cost := cacheCostBetween(before, after)
	if used, resident := cost.each(); cost.answers != 100 || used != 120 || resident != 200 {
		t.Errorf("got %v and %v octets an answer of %v, want 120 and 200 of 100", used, resident, cost.answers)
	}
	cost = cacheCostBetween(after, after)
	if used, resident := cost.each(); used != 0 || resident != 0 {
		t.Errorf("no answers: got %v and %v octets each", used, resident)
	}
}
