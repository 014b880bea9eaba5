package querylog

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// counters count what the log does. Any goroutine may read them.
type counters struct {
	written       atomic.Uint64 // records whose whole line was taken by the file
	octets        atomic.Uint64
	droppedQueue  atomic.Uint64 // a full queue turned them away
	droppedWrite  atomic.Uint64 // they could not be written before the end
	writeErrors   atomic.Uint64
	rotations     atomic.Uint64
	archiveErrors atomic.Uint64
}

// dropped counts the records that are lost.
func (c *counters) dropped() uint64 { return c.droppedQueue.Load() + c.droppedWrite.Load() }

// metric describes one of the Log's metrics.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(l *Log) float64
}

func counterOf(name, help string, v func(c *counters) *atomic.Uint64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, func(l *Log) float64 { return float64(v(&l.counters).Load()) }}
}

func metrics() []metric {
	return []metric{
		counterOf("cenote_querylog_records_total", "Queries written to the query log, in records. Look when it stands still in a mode other than off.",
			func(c *counters) *atomic.Uint64 { return &c.written }),
		counterOf("cenote_querylog_written_bytes_total", "Octets written to the query log, before compression. Its rate says how soon a disk is full.",
			func(c *counters) *atomic.Uint64 { return &c.octets }),
		counterOf("cenote_querylog_write_errors_total", "Writes, opens and renames of the query log that failed and are tried again, in calls. Look at the disk.",
			func(c *counters) *atomic.Uint64 { return &c.writeErrors }),
		counterOf("cenote_querylog_rotations_total", "Files of the query log that were finished and put aside, in files.",
			func(c *counters) *atomic.Uint64 { return &c.rotations }),
		counterOf("cenote_querylog_archive_errors_total", "Compressions and removals of finished files that failed and are tried again, in calls. Look at the disk.",
			func(c *counters) *atomic.Uint64 { return &c.archiveErrors }),
		{prometheus.NewDesc("cenote_querylog_queue_records", "Queries that wait to be written, in records. Look before it reaches the bound, at the disk and at the mode.", nil, nil),
			prometheus.GaugeValue, func(l *Log) float64 { return float64(l.waiting()) }},
	}
}

func droppedDesc() *prometheus.Desc {
	return prometheus.NewDesc("cenote_querylog_dropped_total",
		"Queries missing in the query log, in records by reason: queue, a full queue turned them away; write, they could not be written before the end. Look at the disk; a larger ring or mode matches helps.",
		[]string{"reason"}, nil)
}

// Describe implements prometheus.Collector.
func (l *Log) Describe(out chan<- *prometheus.Desc) {
	for _, m := range metrics() {
		out <- m.desc
	}
	out <- droppedDesc()
}

// Collect implements prometheus.Collector.
func (l *Log) Collect(out chan<- prometheus.Metric) {
	for _, m := range metrics() {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(l))
	}
	for reason, n := range map[string]*atomic.Uint64{"queue": &l.counters.droppedQueue, "write": &l.counters.droppedWrite} {
		out <- prometheus.MustNewConstMetric(droppedDesc(), prometheus.CounterValue, float64(n.Load()), reason)
	}
}
