package main

import (
	"math"
	"runtime/metrics"

	"github.com/prometheus/client_golang/prometheus"
)

// gcStopsName is how the runtime calls the pauses in which the garbage collector stops everything.
const gcStopsName = "/sched/pauses/total/gc:seconds"

// The edges of the buckets that are shown, in seconds: what is shorter or longer falls into the first or the last.
const (
	gcStopsLeast = 1e-6
	gcStopsMost  = 1.0
)

// gcStopsEvery is how many of the runtime's buckets, of which there are four to a power of two, become one.
const gcStopsEvery = 2

// gcStops shows how long queries stand still for the garbage collector. The histogram that the Go collector would make of it knows powers of ten.
type gcStops struct{ desc *prometheus.Desc }

func newGCStops() gcStops {
	return gcStops{prometheus.NewDesc("cenote_process_gc_stop_seconds",
		"Stops of the whole process by the garbage collector, two a collection, in seconds. Look when answers are late now and then; the sum counts each with the upper bound of its bucket.", nil, nil)}
}

// Describe is of prometheus.Collector.
func (g gcStops) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc }

// Collect is of prometheus.Collector. It may be called at once.
func (g gcStops) Collect(ch chan<- prometheus.Metric) {
	sample := []metrics.Sample{{Name: gcStopsName}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return // a later Go calls it otherwise
	}
	count, sum, buckets := cumulate(sample[0].Value.Float64Histogram())
	ch <- prometheus.MustNewConstHistogram(g.desc, count, sum, buckets)
}

// cumulate makes a histogram of the runtime one of Prometheus: how many there are, their sum as if each were at the upper edge of its
// bucket, and how many are at most as long as each edge.
func cumulate(h *metrics.Float64Histogram) (count uint64, sum float64, buckets map[float64]uint64) {
	buckets = map[float64]uint64{}
	since := 0
	for i, n := range h.Counts {
		edge := h.Buckets[i+1]
		count += n
		if !math.IsInf(edge, 1) {
			sum += float64(n) * edge
		} else {
			sum += float64(n) * h.Buckets[i]
		}
		if edge < gcStopsLeast || edge > gcStopsMost {
			continue
		}
		if since%gcStopsEvery == 0 {
			buckets[edge] = count
		}
		since++
	}
	return count, sum, buckets
}
