package main

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// processMetrics are about the process as a whole: memory, collector, descriptors, and which build this is.
func processMetrics() []prometheus.Collector {
	b := thisBuild()
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "cenote_build_info",
		Help:        "Always 1; its labels say which version runs. Look at it when servers of a fleet behave differently.",
		ConstLabels: prometheus.Labels{"version": b.String(), "go": runtime.Version()},
	}, func() float64 { return 1 })
	return []prometheus.Collector{
		info,
		newGCStops(),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
}
