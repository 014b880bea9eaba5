package resolver

import "github.com/prometheus/client_golang/prometheus"

// collector turns Stats and Status into metrics. The label upstream has as many values as the config has upstreams.
type collector struct {
	resolver *Resolver

	near, floods, private, asked, joined, stale, failed, shed, prefetches, bugs, outstanding, sockets, slowed *prometheus.Desc
	up, rtt, underWay, queries, results, nearMisses, probes                                                   *prometheus.Desc
	rootward                                                                                                  rootward
}

// Collector returns the metrics of the resolver.
func (r *Resolver) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cenote_resolver_"+name, help, labels, nil)
	}
	return &collector{
		resolver:    r,
		rootward:    newRootward(),
		near:        desc("near_misses_total", "Packets from the address of whoever was asked that were not the reply. Hundreds of them say that somebody forges replies."),
		floods:      desc("floods_total", "Queries that were asked again by TCP since too many packets came that were not the reply. Anything but 0 says that somebody forges replies."),
		private:     desc("private_total", "Answers of the world from which private addresses were taken; see recursion.private. Look when it rises: somebody tries to have browsers reach machines of yours, or a name of your own is missing under allow."),
		asked:       desc("asked_total", "Questions that the cache could not answer."),
		joined:      desc("joined_total", "Questions that were being asked already and waited for the same answer."),
		stale:       desc("stale_answers_total", "Answers past their TTL that were given because no upstream had a newer one. Look at the upstreams when it rises."),
		failed:      desc("failed_total", "Questions that got no answer at all: clients saw SERVFAIL. Look at the upstreams when it rises."),
		shed:        desc("shed_total", "What a bound turned away, or how often a question came up against a bound of its work, by bound. A rise says that load is above the bound, upstreams are slow, or somebody asks for hostile names.", "bound"),
		slowed:      desc("slowed_validations_total", "Checks of signatures or hashes that turned out to be costly and went on in the place of costly zones. A rise says that somebody asks for zones that are made to cost much, or that a zone's signatures are broken."),
		prefetches:  desc("prefetches_total", "Questions queued to be asked before their answer runs out."),
		bugs:        desc("bugs_total", "Faults of our own that a reply met; the question was asked elsewhere. Anything but 0 is worth a report: the log has the place."),
		outstanding: desc("outstanding_questions", "Different questions that are being asked now."),
		sockets:     desc("open_sockets", "UDP sockets that are open now: one for each query under way, and those that wait for the next one."),
		up:          desc("upstream_up", "1 if the upstream is well, 0 if it did not answer even a probe, or answered it with an error.", "upstream"),
		rtt:         desc("upstream_rtt_seconds", "Smoothed round-trip time of the upstream, with the time it needs to find an answer.", "upstream"),
		underWay:    desc("upstream_attempts", "Attempts that are under way at the upstream.", "upstream"),
		queries:     desc("upstream_queries_total", "Queries sent to the upstream, by transport.", "upstream", "transport"),
		results:     desc("upstream_results_total", "What became of attempts. Look when anything but reply rises.", "upstream", "result"),
		nearMisses:  desc("upstream_near_misses_total", "Packets from the upstream's address to one of our ports that were not the reply. Hundreds of them say that somebody forges replies.", "upstream"),
		probes:      desc("upstream_probes_total", "Probes sent because the upstream was silent.", "upstream"),
	}
}

// Describe implements prometheus.Collector.
func (m *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.near, m.floods, m.private, m.asked, m.joined, m.stale, m.failed, m.shed, m.prefetches, m.bugs, m.outstanding, m.sockets, m.slowed,
		m.up, m.rtt, m.underWay, m.queries, m.results, m.nearMisses, m.probes,
	} {
		ch <- d
	}
	for _, d := range m.rootward.all() {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *collector) Collect(ch chan<- prometheus.Metric) {
	s := m.resolver.Stats()
	counter(ch, m.near, s.NearMisses)
	counter(ch, m.private, s.Private)
	counter(ch, m.floods, s.Floods)
	counter(ch, m.asked, s.Asked)
	counter(ch, m.joined, s.Joined)
	counter(ch, m.stale, s.Stale)
	counter(ch, m.failed, s.Failed)
	counter(ch, m.shed, s.Shed, "questions")
	counter(ch, m.shed, s.SocketsShed, "sockets")
	counter(ch, m.shed, s.PrefetchesShed, "prefetches")
	counter(ch, m.shed, s.LooksShed, "looks")
	counter(ch, m.shed, s.SilentShed, "silent")
	for b := range bounds {
		counter(ch, m.shed, m.resolver.counts.bounds[b].Load(), b.String())
	}
	counter(ch, m.shed, m.resolver.counts.subnetsShed.Load(), "subnets")
	counter(ch, m.shed, s.ValidationsShed, "validations")
	counter(ch, m.slowed, s.ValidationsSlowed)
	counter(ch, m.prefetches, s.Prefetches)
	counter(ch, m.bugs, s.Bugs)
	gauge(ch, m.outstanding, float64(s.Outstanding))
	gauge(ch, m.sockets, float64(s.Sockets))
	m.rootward.collect(ch, m.resolver)
	seen := map[string]bool{} // an upstream that serves two groups would give the same series twice
	for _, u := range m.resolver.Status() {
		if name := u.Addr.String(); !seen[name] {
			seen[name] = true
			m.collectUpstream(ch, name, &u)
		}
	}
}

func (m *collector) collectUpstream(ch chan<- prometheus.Metric, name string, u *UpstreamStatus) {
	up := 0.0
	if u.Up {
		up = 1
	}
	gauge(ch, m.up, up, name)
	gauge(ch, m.rtt, u.RTT.Seconds(), name)
	gauge(ch, m.underWay, float64(u.UnderWay), name)
	c := &u.Counts
	counter(ch, m.queries, c.Queries-min(c.TCP, c.Queries), name, "udp")
	counter(ch, m.queries, c.TCP, name, "tcp")
	for _, result := range []struct {
		name string
		n    uint64
	}{
		{"reply", c.Replies}, {"timeout", c.Timeouts}, {"unreachable", c.Unreachable}, {"servfail", c.ServFail},
		{"refusal", c.Refusals}, {"rejected", c.Rejected}, {"truncated", c.Truncated}, {"shed", c.Shed},
	} {
		counter(ch, m.results, result.n, name, result.name)
	}
	counter(ch, m.nearMisses, c.NearMisses, name)
	counter(ch, m.probes, c.Probes, name)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, v uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}
