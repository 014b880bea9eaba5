package main

import (
	"math"
	"runtime"
	rt "runtime/metrics"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestCumulate(t *testing.T) {
	h := &rt.Float64Histogram{
		Counts:  []uint64{1, 2, 4, 8, 16},
		Buckets: []float64{math.Inf(-1), 0.5e-6, 0.25, 0.5, 1, math.Inf(1)},
	}
	count, sum, buckets := cumulate(h)
	if want := 0.5e-6 + 2*0.25 + 4*0.5 + 8 + 16; count != 31 || sum != want {
		t.Errorf("got %d stops of %v s, want 31 of %v s", count, sum, want)
	}
	if len(buckets) != 2 || buckets[0.25] != 3 || buckets[1] != 15 {
		t.Errorf("got %v, want every second edge from 1 us to 1 s: 3 up to 0.25 s and 15 up to 1 s", buckets)
	}
}

func TestGCStopsAreCounted(t *testing.T) {
	runtime.GC()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newGCStops())
	all, err := registry.Gather()
	if err != nil || len(all) != 1 {
		t.Fatalf("got %v, %v, want one histogram", all, err)
	}
	h := all[0].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() == 0 || h.GetSampleSum() <= 0 || len(h.GetBucket()) < 20 {
		t.Errorf("after a collection: got %d stops of %v s in %d buckets", h.GetSampleCount(), h.GetSampleSum(), len(h.GetBucket()))
	}
}
