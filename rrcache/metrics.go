package rrcache

import "github.com/prometheus/client_golang/prometheus"

// collector turns Stats into metrics.
type collector struct {
	cache *Cache

	entries, used, capacity, lookups, evictions, refused *prometheus.Desc
}

// Collector returns the metrics of the cache. Their label values are fixed words.
func (c *Cache) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cenote_rrcache_"+name, help, labels, nil)
	}
	return &collector{
		cache:     c,
		entries:   desc("entries", "Answers in the cache, expired ones included."),
		used:      desc("used_bytes", "Octets that the answers take. Look at it beside capacity_bytes: a full cache is normal."),
		capacity:  desc("capacity_bytes", "Octets that the cache has taken in all, by its size in the configuration."),
		lookups:   desc("lookups_total", "Look-ups by what they found. A share of misses that rises says that the cache is too small or that somebody asks for random names.", "result"),
		evictions: desc("evictions_total", "Answers pushed out by others. Look when it rises together with the misses: the cache is too small."),
		refused:   desc("refused_total", "Responses that were not kept, by reason. Look when malformed or question rises: an upstream is broken or somebody forges.", "reason"),
	}
}

// Describe implements prometheus.Collector.
func (m *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.entries, m.used, m.capacity, m.lookups, m.evictions, m.refused} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *collector) Collect(ch chan<- prometheus.Metric) {
	s := m.cache.Stats()
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(m.entries, float64(s.Entries))
	gauge(m.used, float64(s.Bytes))
	gauge(m.capacity, float64(s.Capacity))
	counter(m.lookups, s.Hits, "fresh")
	counter(m.lookups, s.Stale, "stale")
	counter(m.lookups, s.Misses, "miss")
	counter(m.evictions, s.Evictions)
	for r := refusedNot + 1; r < refusals; r++ {
		counter(m.refused, s.Refused[r], r.String())
	}
}
