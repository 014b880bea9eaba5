package blocklist

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counts are what a Publisher counts.
type counts struct {
	published      atomic.Uint64
	compileFailed  atomic.Uint64
	childFailures  atomic.Uint64
	rejected       atomic.Uint64
	reloadDone     atomic.Uint64
	reloadFailed   atomic.Uint64
	fallbacks      atomic.Uint64
	commitFailures atomic.Uint64
	lastSeconds    atomic.Uint64 // bits of a float64
}

func (c *counts) compiled(report CompileReport, err error) {
	if err != nil {
		c.compileFailed.Add(1)
		return
	}
	c.lastSeconds.Store(math.Float64bits(report.Seconds))
}

func (c *counts) reloaded(err error) {
	if err != nil {
		c.reloadFailed.Add(1)
		return
	}
	c.reloadDone.Add(1)
}

// metrics are the descriptions of what a Publisher shows. Labels are bounded by the configuration and by the closed set of reasons.
type metrics struct {
	entries, duplicates, faults, age, copies, state         *prometheus.Desc
	generation, names, sets, pending, seconds               *prometheus.Desc
	published, failed, children, rejected, reloads, trouble *prometheus.Desc
}

func describe() *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cenote_blocklist_"+name, help, labels, nil)
	}
	return &metrics{
		entries:    desc("feed_entries", "Entries of the last good copy of a feed. Look when it jumps or falls.", "feed"),
		duplicates: desc("feed_duplicate_rows", "Rows of the last good copy that repeat another one.", "feed"),
		faults:     desc("feed_fault_rows", "Rows of the last good copy that are not served, by reason. Look when it is a large share of the entries.", "feed", "reason"),
		age:        desc("feed_age_seconds", "Seconds since the source of the last good copy was changed. Look when a feed that comes every day is older than that.", "feed"),
		copies:     desc("feed_copy", "Number of the last good copy of a feed; 0 for none.", "feed"),
		state:      desc("feed_state", "1 for the state in which the feed is. Look when it is kept (the source is bad, the last good copy is served) or failed (nothing is served).", "feed", "state"),
		generation: desc("generation", "Number of the served policy; 0 for none. It must grow after a feed has changed."),
		names:      desc("names", "Names in the served policy."),
		sets:       desc("sets", "Different sets of members in the served policy."),
		pending:    desc("pending", "1 while a copy has changed that is not in the served policy. Look when it stays 1."),
		seconds:    desc("compile_seconds", "Seconds that the last compilation took, in the child."),
		published:  desc("published_total", "Policies published."),
		failed:     desc("compile_failures_total", "Compilations that made no policy. The last good one stays. Look at the log."),
		children:   desc("child_failures_total", "Compiling children that ended without a report: killed, out of memory or time. Look at the log for the feed."),
		rejected:   desc("rejected_total", "Changes of feeds that were not taken. Look at the feed's state."),
		reloads:    desc("reloads_total", "Reloads that were asked for, by result.", "result"),
		trouble:    desc("store_failures_total", "Failures of the state directory: a stored policy or copy that could not be opened, a policy that could not be stored. Look at the disk.", "what"),
	}
}

// Describe implements prometheus.Collector.
func (p *Publisher) Describe(ch chan<- *prometheus.Desc) {
	m := describe()
	for _, d := range []*prometheus.Desc{
		m.entries, m.duplicates, m.faults, m.age, m.copies, m.state, m.generation, m.names, m.sets, m.pending, m.seconds,
		m.published, m.failed, m.children, m.rejected, m.reloads, m.trouble,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *Publisher) Collect(ch chan<- prometheus.Metric) {
	m := describe()
	now := time.Now()
	for _, f := range p.Status() {
		m.feed(ch, &f, now)
	}
	m.compile(ch, p.CompileStatus())
	m.totals(ch, &p.counts)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v *atomic.Uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()), labels...)
}

func (m *metrics) feed(ch chan<- prometheus.Metric, f *FeedStatus, now time.Time) {
	for _, state := range []FeedState{FeedWaiting, FeedGood, FeedKept, FeedFailed} {
		is := 0.0
		if f.State == state {
			is = 1
		}
		gauge(ch, m.state, is, f.Name, string(state))
	}
	gauge(ch, m.copies, float64(f.Copy), f.Name)
	if f.Report == nil {
		return
	}
	gauge(ch, m.entries, float64(f.Report.Live), f.Name)
	gauge(ch, m.duplicates, float64(f.Report.Duplicates.Count), f.Name)
	gauge(ch, m.age, now.Sub(f.SourceChanged).Seconds(), f.Name)
	for reason, c := range f.Report.Faults {
		gauge(ch, m.faults, float64(c.Count), f.Name, reason.String())
	}
}

func (m *metrics) compile(ch chan<- prometheus.Metric, s CompileStatus) {
	pending := 0.0
	if s.Pending {
		pending = 1
	}
	gauge(ch, m.generation, float64(s.Generation))
	gauge(ch, m.names, float64(s.Names))
	gauge(ch, m.sets, float64(s.Sets))
	gauge(ch, m.pending, pending)
}

func (m *metrics) totals(ch chan<- prometheus.Metric, c *counts) {
	gauge(ch, m.seconds, math.Float64frombits(c.lastSeconds.Load()))
	counter(ch, m.published, &c.published)
	counter(ch, m.failed, &c.compileFailed)
	counter(ch, m.children, &c.childFailures)
	counter(ch, m.rejected, &c.rejected)
	counter(ch, m.reloads, &c.reloadDone, "done")
	counter(ch, m.reloads, &c.reloadFailed, "failed")
	counter(ch, m.trouble, &c.fallbacks, "open")
	counter(ch, m.trouble, &c.commitFailures, "store")
}
