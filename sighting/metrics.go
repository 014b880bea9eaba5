package sighting

import (
	"sync/atomic"

	"cenote/policy"

	"github.com/prometheus/client_golang/prometheus"
)

// feedsMax bounds the feeds that the counter of sightings tells apart; those of further feeds are under "other".
const feedsMax = 256

// actions is one more than the highest policy.Action.
const actions = int(policy.ActionDisabled) + 1

// lossReasons is one more than the highest LossReason.
const lossReasons = int(LossDamage) + 1

// counters count what the ledger does. Each is written by one goroutine or atomically, and may be read by any.
type counters struct {
	events         atomic.Uint64
	lost           [lossReasons]atomic.Uint64
	retimed        atomic.Uint64
	unresolved     atomic.Uint64
	byFamily       atomic.Uint64
	firsts         atomic.Uint64
	unannounced    atomic.Uint64
	damaged        atomic.Uint64
	commitFailures atomic.Uint64
	commits        prometheus.Histogram
	feeds          feedCounters
}

func (c *counters) init() {
	c.commits = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "cenote_sighting_commit_seconds",
		Help:    "Time in seconds that one commit to a day file of sightings took. Look here when the backlog grows.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
	})
	c.feeds.slots = map[string]int{}
}

// feedCounters count matches by feed and action. They are guarded by ledger.mu.
type feedCounters struct {
	slots  map[string]int
	names  []string
	counts [][actions]uint64
	rules  []int // by number of rule: 1 + slot
}

func (f *feedCounters) slot(rule uint32, feed string) int {
	for int(rule) >= len(f.rules) {
		f.rules = append(f.rules, 0)
	}
	if f.rules[rule] != 0 {
		return f.rules[rule] - 1
	}
	if len(f.names) >= feedsMax {
		feed = "other"
	}
	n, ok := f.slots[feed]
	if !ok {
		n = len(f.names)
		f.slots[feed] = n
		f.names = append(f.names, feed)
		f.counts = append(f.counts, [actions]uint64{})
	}
	f.rules[rule] = n + 1
	return n
}

// tellFeeds counts a pair of the window under its feed. ledger.mu is held.
func (c *collector) tellFeeds(e *entry, number uint32) {
	l := &c.s.ledger
	r := l.dict.at(number)
	f := &c.s.counters.feeds
	n := f.slot(r.rule, l.book.list[r.rule].feed)
	f.counts[n][min(int(r.action), actions-1)] += uint64(e.count)
}

// metric describes one of the Store's metrics.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(s *Store) float64
}

func counterOf(name, help string, v func(s *Store) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, v}
}

func gaugeOf(name, help string, v func(s *Store) float64) metric {
	return metric{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, v}
}

func metrics() []metric {
	number := func(v *atomic.Uint64) float64 { return float64(v.Load()) }
	return []metric{
		counterOf("cenote_sighting_events_total", "Matches taken from the rings, in events. Compare with the server's matches when sightings seem to be missing.",
			func(s *Store) float64 { return number(&s.counters.events) }),
		counterOf("cenote_sighting_retimed_total", "Matches whose time was so far off that the time of their arrival was taken, in events. Look at the machine's clock.",
			func(s *Store) float64 { return number(&s.counters.retimed) }),
		counterOf("cenote_sighting_unresolved_total", "Indicators that the catalog could not resolve, in look-ups. Look here when sightings have no feed or line.",
			func(s *Store) float64 { return number(&s.counters.unresolved) }),
		counterOf("cenote_sighting_by_family_total", "Pairs counted by family since their client is above its bound of distinct indicators, in pairs a window. Look for a scanner.",
			func(s *Store) float64 { return number(&s.counters.byFamily) }),
		counterOf("cenote_sighting_first_total", "First sightings announced, in clients x families.",
			func(s *Store) float64 { return number(&s.counters.firsts) }),
		counterOf("cenote_sighting_first_dropped_total", "First sightings not announced, or missed by a subscriber, in announcements. The sightings themselves are recorded.",
			func(s *Store) float64 { return number(&s.counters.unannounced) + number(&s.announcer.dropped) }),
		counterOf("cenote_sighting_damaged_files_total", "Files of the ledger found damaged and put aside, in files. Look into the quarantine directory and at the disk.",
			func(s *Store) float64 { return number(&s.counters.damaged) }),
		counterOf("cenote_sighting_commit_failures_total", "Commits to day files that failed and are tried again, in commits. Look at the disk.",
			func(s *Store) float64 { return number(&s.counters.commitFailures) }),
		counterOf("cenote_sighting_journal_failures_total", "Writes and syncs of the journal that failed, in calls. Look at the disk.",
			func(s *Store) float64 { return number(&s.scribe.failures) }),
		counterOf("cenote_sighting_journal_written_bytes_total", "Octets written to the journal.",
			func(s *Store) float64 { return number(&s.scribe.octets) }),
		gaugeOf("cenote_sighting_journal_queue_bytes", "Octets that wait for the journal. Look at the disk when it does not return to zero.",
			func(s *Store) float64 { return float64(s.scribe.pending.Load()) }),
		gaugeOf("cenote_sighting_journal_bytes", "Octets of journals on disk, evidence included.",
			func(s *Store) float64 { _, n := s.scribe.stored(); return float64(n) }),
		gaugeOf("cenote_sighting_backlog_pairs", "Client and indicator pairs in memory that are not yet in a day file. Look here before it reaches its bound.",
			func(s *Store) float64 {
				s.ledger.mu.Lock()
				defer s.ledger.mu.Unlock()
				return float64(s.ledger.pairs())
			}),
		gaugeOf("cenote_sighting_day_files", "Day files open, in files.",
			func(s *Store) float64 {
				s.ledger.mu.Lock()
				defer s.ledger.mu.Unlock()
				return float64(len(s.ledger.days))
			}),
		gaugeOf("cenote_sighting_lag_seconds", "Age of the oldest match that may not be on disk, in seconds. Look here when it passes one.",
			func(s *Store) float64 { return max(0, s.now().Sub(s.Synced()).Seconds()) }),
	}
}

func lossDesc() *prometheus.Desc {
	return prometheus.NewDesc("cenote_sighting_lost_total",
		"Matches that were counted but not recorded one by one, in events by reason. Any growth is worth a look; `cenote sightings` shows the intervals.", []string{"reason"}, nil)
}

func matchDesc() *prometheus.Desc {
	return prometheus.NewDesc("cenote_sighting_matches_total",
		"Matches recorded, in events by feed and action; feeds beyond the first 256 are under other.", []string{"feed", "action"}, nil)
}

// Describe implements prometheus.Collector.
func (s *Store) Describe(out chan<- *prometheus.Desc) {
	for _, m := range metrics() {
		out <- m.desc
	}
	out <- lossDesc()
	out <- matchDesc()
	s.counters.commits.Describe(out)
}

// Collect implements prometheus.Collector.
func (s *Store) Collect(out chan<- prometheus.Metric) {
	for _, m := range metrics() {
		out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(s))
	}
	for r := range s.counters.lost {
		out <- prometheus.MustNewConstMetric(lossDesc(), prometheus.CounterValue, float64(s.counters.lost[r].Load()), LossReason(r).String())
	}
	s.collectFeeds(out)
	s.counters.commits.Collect(out)
}

func (s *Store) collectFeeds(out chan<- prometheus.Metric) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	f := &s.counters.feeds
	for n, name := range f.names {
		for a, count := range f.counts[n] {
			if count > 0 {
				out <- prometheus.MustNewConstMetric(matchDesc(), prometheus.CounterValue, float64(count), name, policy.Action(a).String())
			}
		}
	}
}
