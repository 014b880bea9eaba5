package zone

import "github.com/prometheus/client_golang/prometheus"

// describe are the metrics of zones. A server has the zones of its configuration, so that their number, and no name, is a metric.
var (
	descZones    = prometheus.NewDesc("cenote_zone_zones", "Zones by state; kept is served as it was when its file was last good, failed is answered with SERVFAIL. Look at `cenote zones` when there are any but served.", []string{"state"}, nil)
	descRecords  = prometheus.NewDesc("cenote_zone_records", "Records of all zones that are served.", nil, nil)
	descBytes    = prometheus.NewDesc("cenote_zone_memory_bytes", "Memory of all zones that are served, in octets.", nil, nil)
	descLoads    = prometheus.NewDesc("cenote_zone_loads_total", "Files of zones that were read and taken.", nil, nil)
	descFailures = prometheus.NewDesc("cenote_zone_load_failures_total", "Files of zones that were read and not taken. Look at `cenote zones` when it grows.", nil, nil)
)

// Describe tells which metrics there are (prometheus.Collector).
func (k *Keeper) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descZones, descRecords, descBytes, descLoads, descFailures} {
		out <- d
	}
}

// Collect gives the metrics as they are (prometheus.Collector).
func (k *Keeper) Collect(out chan<- prometheus.Metric) {
	states, records, bytes := map[State]int{}, 0, 0
	for _, s := range k.Status() {
		states[s.State]++
		records += s.Records
		bytes += s.Bytes
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, s := range []State{StateServed, StateKept, StateFailed} {
		gauge(descZones, states[s], string(s))
	}
	gauge(descRecords, records)
	gauge(descBytes, bytes)
	out <- prometheus.MustNewConstMetric(descLoads, prometheus.CounterValue, float64(k.loads.Load()))
	out <- prometheus.MustNewConstMetric(descFailures, prometheus.CounterValue, float64(k.failures.Load()))
}
