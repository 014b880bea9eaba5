package main

import (
	"math"
	"strings"
	"testing"
)

func readMetrics(t *testing.T, text string) map[string]float64 {
	t.Helper()
	got, err := parseMetrics(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestStopsBetween(t *testing.T) {
	before := readMetrics(t, `cenote_process_gc_stop_seconds_bucket{le="1e-05"} 5
cenote_process_gc_stop_seconds_bucket{le="0.0001"} 5
cenote_process_gc_stop_seconds_bucket{le="+Inf"} 5
cenote_process_gc_stop_seconds_count 5
`)
	after := readMetrics(t, `cenote_process_gc_stop_seconds_bucket{le="1e-05"} 3005
cenote_process_gc_stop_seconds_bucket{le="0.0001"} 3006
cenote_process_gc_stop_seconds_bucket{le="+Inf"} 3006
cenote_process_gc_stop_seconds_count 3006
`)
	if got := stopsBetween(before, after); math.Abs(got.p999-10) > 1e-6 || math.Abs(got.max-100) > 1e-6 || got.count != 3001 {
		t.Errorf("got %+v, want 3001 stops, p99.9 10 us and one of 100 us", got)
	}
	for name, tc := range map[string]struct {
		before, after map[string]float64
		want          string
	}{
		"some":               {before, after, "10, max 100 of 3001"},
		"none":               {after, after, "none"},
		"a server of before": {nil, map[string]float64{"go_goroutines": 7}, "-"},
		"longer than any":    {nil, readMetrics(t, "cenote_process_gc_stop_seconds_bucket{le=\"1\"} 0\ncenote_process_gc_stop_seconds_count 1\n"), "+Inf, max +Inf of 1"},
	} {
		if got := stopsBetween(tc.before, tc.after).String(); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}
