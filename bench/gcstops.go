package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// stopsMetric is the histogram of the server that says for how long its garbage collector stopped it, in seconds.
const stopsMetric = "cenote_process_gc_stop_seconds"

// stops are what came into that histogram between two readings. The times are the upper edges of buckets: it was at most so long.
type stops struct {
	count     float64
	p999, max float64 // microseconds
	unknown   bool    // the server has no such metric
}

// stopsBetween takes one reading of the metrics from another.
func stopsBetween(before, after map[string]float64) stops {
	count, known := after[stopsMetric+"_count"]
	s := stops{count: count - before[stopsMetric+"_count"], unknown: !known}
	buckets := map[float64]float64{} // edge in seconds: how many stops were at most as long
	for name, n := range after {
		if edge, ok := edgeOf(name); ok {
			buckets[edge] = n - before[name]
		}
	}
	s.p999, s.max = quantile(buckets, math.Ceil(0.999*s.count)), quantile(buckets, s.count)
	return s
}

// edgeOf reads the edge of a bucket out of its name, such as x_bucket{le="0.001"}.
func edgeOf(name string) (seconds float64, ok bool) {
	label, ok := strings.CutPrefix(name, stopsMetric+`_bucket{le="`)
	if !ok {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(strings.TrimSuffix(label, `"}`), 64)
	return seconds, err == nil
}

// quantile is the least edge, in microseconds, that so many are at most as long as. Without any it is 0.
func quantile(buckets map[float64]float64, want float64) float64 {
	if want == 0 {
		return 0
	}
	for _, edge := range slices.Sorted(maps.Keys(buckets)) {
		if buckets[edge] >= want {
			return edge * 1e6
		}
	}
	return math.Inf(1)
}

// String is the cell of the table: how long they were, and how many.
func (s stops) String() string {
	switch {
	case s.unknown:
		return "-"
	case s.count == 0:
		return "none"
	}
	return fmt.Sprintf("%.0f, max %.0f of %.0f", s.p999, s.max, s.count)
}
