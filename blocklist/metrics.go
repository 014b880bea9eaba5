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
	deltas         atomic.Uint64
	merged         atomic.Uint64
	inPart         atomic.Uint64
	zoneChanges    atomic.Uint64
	compileFailed  atomic.Uint64
	childFailures  atomic.Uint64
	rejected       atomic.Uint64
	shrunk         atomic.Uint64
	grown          atomic.Uint64
	older          atomic.Uint64
	broken         atomic.Uint64
	reloadDone     atomic.Uint64
	reloadFailed   atomic.Uint64
	fallbacks      atomic.Uint64
	commitFailures atomic.Uint64
	lookFailures   atomic.Uint64
	lastSeconds    atomic.Uint64 // bits of a float64, as the next
	publishSeconds atomic.Uint64
}

func (c *counts) compiled(report CompileReport, err error) {
	if err != nil {
		c.compileFailed.Add(1)
		return
	}
	c.lastSeconds.Store(math.Float64bits(report.Seconds))
}

// guarded counts a change that a guard of the feed as a whole kept back.
func (c *counts) guarded(f *FeedFailure) {
	switch {
	case f.Shrink != nil:
		c.shrunk.Add(1)
	case f.Growth != nil:
		c.grown.Add(1)
	case f.Older != nil:
		c.older.Add(1)
	case f.Broken:
		c.broken.Add(1)
	}
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
	entries, duplicates, faults, age, copies, state                                          *prometheus.Desc
	popular, released, decisions, guarded                                                    *prometheus.Desc
	generation, names, sets, pending, seconds, took, delta                                   *prometheus.Desc
	published, deltas, merged, inPart, changes, failed, children, rejected, reloads, trouble *prometheus.Desc
}

func describe() *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cenote_blocklist_"+name, help, labels, nil)
	}
	return &metrics{
		entries:    desc("feed_entries", "Entries of the last good copy of a feed. Look when it jumps or falls.", "feed"),
		duplicates: desc("feed_duplicate_rows", "Rows of the last good copy that repeat another one.", "feed"),
		faults:     desc("feed_fault_rows", "Rows of the last good copy that are not served, by reason. Look when it is a large share of the entries.", "feed", "reason"),
		popular:    desc("feed_popular_rows", "Rows of the last good copy with a popular name that are served, or recorded only, and wait for an operator: `cenote held` lists them.", "feed"),
		released:   desc("feed_released_rows", "Rows of the last good copy that a guard held and an operator released.", "feed"),
		decisions:  desc("decisions", "Decisions of operators about held rows, by verdict; there is a bound on all.", "verdict"),
		guarded:    desc("guarded_total", "Changes of feeds that were not taken since too many entries would be lost (shrink) or gained (grow), the serial went back (older), or too many rows cannot be read (errors). Look at the feed, then force it or change its bound.", "guard"),
		age:        desc("feed_age_seconds", "Seconds since the source of the last good copy was changed. Look when a feed that comes every day is older than that.", "feed"),
		copies:     desc("feed_copy", "Number of the last good copy of a feed; 0 for none.", "feed"),
		state:      desc("feed_state", "1 for the state in which the feed is. Look when it is stale (a policy zone is older than its SOA lets it become), kept (the source is bad, the last good copy is served), failed (nothing is served) or, for long, pinned (it was rolled back, its source is not read).", "feed", "state"),
		generation: desc("generation", "Number of the served policy; 0 for none. It must grow after a feed has changed."),
		names:      desc("names", "Names in the served policy."),
		sets:       desc("sets", "Different sets of members in the served policy."),
		delta:      desc("delta_names", "Names in the served policy's delta: what has changed since its index was compiled. It grows until the next is, at the latest after an hour."),
		pending:    desc("pending", "1 while a copy has changed that is not in the served policy. Look when it stays 1."),
		seconds:    desc("compile_seconds", "Seconds that the last compilation took, in the child."),
		took:       desc("publish_seconds", "Seconds that the last publication took, from when its feeds were seen to rest until queries met the new policy."),
		published:  desc("published_total", "Policies published."),
		deltas:     desc("deltas_total", "Policies published as a delta, since few names had changed."),
		merged:     desc("merged_total", "Policies whose index was made of the one before and of what had changed, since most names had not."),
		inPart:     desc("part_reads_total", "Readings of a feed in which only what differs from its list before was read. If a large list is replaced often and this stays behind, its lines have another order each time."),
		changes:    desc("zone_changes_total", "Differences between versions of policy zones by transfer that were served before the newer version was made, without reading the zone. If zones change often and this stays behind, the log says why."),
		failed:     desc("compile_failures_total", "Compilations that made no policy. The last good one stays. Look at the log."),
		children:   desc("child_failures_total", "Compiling children that ended without a report: killed, out of memory or time. Look at the log for the feed."),
		rejected:   desc("rejected_total", "Changes of feeds that were not taken. Look at the feed's state."),
		reloads:    desc("reloads_total", "Reloads that were asked for, by result.", "result"),
		trouble:    desc("store_failures_total", "Failures of the state directory: a stored policy or copy that could not be opened, a policy that could not be stored, a kept copy that could not be looked at. Look at the disk.", "what"),
	}
}

// Describe implements prometheus.Collector.
func (p *Publisher) Describe(ch chan<- *prometheus.Desc) {
	m := describe()
	for _, d := range []*prometheus.Desc{
		m.entries, m.duplicates, m.faults, m.age, m.copies, m.state, m.generation, m.names, m.sets, m.delta, m.pending, m.seconds, m.took,
		m.published, m.deltas, m.merged, m.inPart, m.changes, m.failed, m.children, m.rejected, m.reloads, m.trouble, m.popular, m.released, m.decisions, m.guarded,
	} {
		ch <- d
	}
	describeFetches().describe(ch)
}

// Collect implements prometheus.Collector.
func (p *Publisher) Collect(ch chan<- prometheus.Metric) {
	m, fetches := describe(), describeFetches()
	now := time.Now()
	for _, f := range p.Status() {
		m.feed(ch, &f, now)
		if record := p.fetches.of(f.Name); record != nil {
			fetches.collect(ch, f.Name, record)
		}
	}
	m.compile(ch, p.CompileStatus())
	m.totals(ch, &p.counts)
	m.decided(ch, p.Decisions())
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v *atomic.Uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v.Load()), labels...)
}

func (m *metrics) feed(ch chan<- prometheus.Metric, f *FeedStatus, now time.Time) {
	for _, state := range []FeedState{FeedWaiting, FeedGood, FeedStale, FeedKept, FeedFailed, FeedPinned} {
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
	gauge(ch, m.popular, float64(f.Report.Popular), f.Name)
	gauge(ch, m.released, float64(f.Report.Released), f.Name)
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
	gauge(ch, m.delta, float64(s.DeltaNames))
	gauge(ch, m.pending, pending)
}

func (m *metrics) decided(ch chan<- prometheus.Metric, all []Decision) {
	counts := map[Verdict]int{VerdictRelease: 0, VerdictRefuse: 0}
	for i := range all {
		counts[all[i].Verdict]++
	}
	for verdict, n := range counts {
		gauge(ch, m.decisions, float64(n), string(verdict))
	}
}

func (m *metrics) totals(ch chan<- prometheus.Metric, c *counts) {
	gauge(ch, m.seconds, math.Float64frombits(c.lastSeconds.Load()))
	gauge(ch, m.took, math.Float64frombits(c.publishSeconds.Load()))
	counter(ch, m.published, &c.published)
	counter(ch, m.deltas, &c.deltas)
	counter(ch, m.merged, &c.merged)
	counter(ch, m.inPart, &c.inPart)
	counter(ch, m.changes, &c.zoneChanges)
	counter(ch, m.failed, &c.compileFailed)
	counter(ch, m.children, &c.childFailures)
	counter(ch, m.rejected, &c.rejected)
	counter(ch, m.guarded, &c.shrunk, "shrink")
	counter(ch, m.guarded, &c.grown, "grow")
	counter(ch, m.guarded, &c.older, "older")
	counter(ch, m.guarded, &c.broken, "errors")
	counter(ch, m.reloads, &c.reloadDone, "done")
	counter(ch, m.reloads, &c.reloadFailed, "failed")
	counter(ch, m.trouble, &c.fallbacks, "open")
	counter(ch, m.trouble, &c.commitFailures, "store")
	counter(ch, m.trouble, &c.lookFailures, "look")
}
