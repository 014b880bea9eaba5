package dnsserver

import (
	"strconv"
	"sync/atomic"

	"cenote/policy"
	"cenote/querylog"
	"cenote/tsig"
	"cenote/wire"

	"github.com/prometheus/client_golang/prometheus"
)

// collector turns the counters of all workers and sockets into metrics when somebody asks. Label values are fixed words and the numbers of
// response codes, so the series are bounded.
type collector struct {
	server  *Server
	path    pathDescs
	sockets socketDescs
	zones   transferDescs
	updates *prometheus.Desc
	notices *prometheus.Desc
}

// pathDescs describe what happens on the path of a query.
type pathDescs struct {
	queries, replies, drops, faults, matches, sources, cookies, signatures *prometheus.Desc
	truncated, late, slipped, refused, shed, failed, bugs, waits           *prometheus.Desc
}

// socketDescs describe what happens at its two ends.
type socketDescs struct {
	udp, kernelDrops, connections, accepted, ended, turnedAway, waiting, handshakes, badFiles, expiry *prometheus.Desc
}

// Collector returns the metrics of the server, for a registry.
func (s *Server) Collector() prometheus.Collector {
	return &collector{server: s, path: describePath(), sockets: describeSockets(), zones: describeTransfers(), notices: describeNotices(), updates: describeUpdates()}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("cenote_dnsserver_"+name, help, labels, nil)
}

func describePath() pathDescs {
	return pathDescs{
		queries:    describe("queries_total", "Messages that came, by transport.", "transport"),
		replies:    describe("replies_total", "Replies, by response code. Look when SERVFAIL (2) rises: upstreams fail; when REFUSED (5) rises: the access list keeps somebody out.", "rcode"),
		drops:      describe("dropped_total", "Messages without a reply, by reason. Look when rate rises: a client sends too much, or its address is forged.", "reason"),
		faults:     describe("faults_total", "Messages that could not be answered as asked, by what is wrong with them.", "fault"),
		matches:    describe("matches_total", "Matches of policy rules, by action and by whether the rule decided the reply or was only observed.", "action", "enforced"),
		sources:    describe("answers_total", "Replies, by where the answer came from.", "source"),
		cookies:    describe("cookies_total", "Queries, by what their DNS cookie proves (RFC 7873): none sent, new or not ours, valid.", "cookie"),
		signatures: describe("signatures_total", "Queries with a signature (TSIG, RFC 8945), by what it is worth. Look when time rises: a clock is wrong; when key or signature rises: a client has another key, or somebody guesses.", "result"),
		late:       describe("late_total", "Replies cut to a header with TC since their answers came after seconds, for clients whose address may be forged. Look when it rises: upstreams or servers are slow, or somebody holds answers back to send them at once."),
		truncated:  describe("truncated_total", "Replies cut to a header with TC. Look when it rises: answers do not fit udp_size, or clients are over the rate."),
		slipped:    describe("slipped_total", "Queries over the rate that were told to come over TCP or with a cookie."),
		refused:    describe("outsiders_refused_total", "Queries from outside the access list that were told so."),
		shed:       describe("shed_total", "Queries that found no room to wait for the network. Look whenever it rises: upstreams are slow, or somebody asks for names that nobody answers."),
		failed:     describe("unresolved_total", "Queries to which the resolver had no answer, not even a stale one."),
		bugs:       describe("bugs_total", "Faults of the server itself that were caught; their queries got SERVFAIL. Look at once, and report the log line."),
		waits:      describe("network_wait_seconds", "How long queries took that had to wait for the network, in seconds. All others take microseconds."),
	}
}

func describeSockets() socketDescs {
	return socketDescs{
		udp:         describe("udp_datagrams_total", "Datagrams of all UDP sockets, by what became of them. Look when full or failed rises: replies did not leave.", "event"),
		kernelDrops: describe("udp_kernel_dropped_total", "Queries that the kernel dropped because a receive buffer was full. Look whenever it rises: raise receive_buffer, or add cores."),
		connections: describe("tcp_connections", "TCP connections that are open."),
		accepted:    describe("tcp_accepted_total", "TCP connections that were accepted."),
		ended:       describe("tcp_ended_total", "TCP connections that the server ended or could not accept, by reason. Look when files rises: the limit on open files is too low.", "reason"),
		handshakes:  describe("tls_handshakes_total", "Handshakes of TLS by outcome: done, failed, timeout, or full (too many were under way). Look when full rises: somebody makes the server compute.", "outcome"),
		badFiles:    describe("certificate_failures_total", "Certificates of listeners that were read and not taken, so that the one before is served. Look whenever it rises: the log says why."),
		expiry:      describe("certificate_expiry_timestamp_seconds", "When the first certificate of a listener expires, in seconds since the epoch; 0 without one. Look two weeks before."),
		turnedAway:  describe("waiting_refused_total", "Queries that were not let wait for the network, by reason: the room was full, or one client network held its share of it.", "reason"),
		waiting:     describe("waiting", "Queries that wait for the network now."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	workers := c.server.core.allWorkers()
	c.path.collectArrays(ch, workers)
	c.path.collectSingles(ch, workers)
	c.path.collectWaits(ch, workers)
	c.sockets.collect(ch, c.server)
	c.zones.collect(ch, c.server.core.transfers)
	collectUpdates(ch, c.updates, &c.server.core.updates)
	c.server.core.notices.collect(ch, c.notices)
}

func (c *core) allWorkers() []*worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.workers[:len(c.workers):len(c.workers)]
}

// sum adds one counter up over all workers.
func sum(workers []*worker, pick func(*counters) *atomic.Uint64) (n uint64) {
	for _, w := range workers {
		n += pick(w.counters).Load()
	}
	return n
}

func count(ch chan<- prometheus.Metric, d *prometheus.Desc, n uint64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

func (d *pathDescs) collectArrays(ch chan<- prometheus.Metric, workers []*worker) {
	each := func(desc *prometheus.Desc, n int, label func(i int) string, pick func(c *counters, i int) *atomic.Uint64) {
		for i := range n {
			count(ch, desc, sum(workers, func(c *counters) *atomic.Uint64 { return pick(c, i) }), label(i))
		}
	}
	each(d.queries, transportsMax, func(i int) string { return policy.Transport(i).String() }, func(c *counters, i int) *atomic.Uint64 { return &c.queries[i] })
	each(d.replies, rcodesMax, rcodeLabel, func(c *counters, i int) *atomic.Uint64 { return &c.replies[i] })
	each(d.drops, int(dropsMax), func(i int) string { return dropReason(i).String() }, func(c *counters, i int) *atomic.Uint64 { return &c.drops[i] })
	each(d.faults, faultsMax, func(i int) string { return wire.Fault(i).String() }, func(c *counters, i int) *atomic.Uint64 { return &c.faults[i] })
	each(d.sources, sourcesMax, func(i int) string { return querylog.Source(i).String() }, func(c *counters, i int) *atomic.Uint64 { return &c.sources[i] })
	each(d.cookies, cookiesMax, func(i int) string { return cookieState(i).String() }, func(c *counters, i int) *atomic.Uint64 { return &c.cookies[i] })
	each(d.signatures, signaturesMax, signatureLabel, func(c *counters, i int) *atomic.Uint64 { return &c.signatures[i] })
	for i := policy.ActionSinkhole; int(i) < actionsMax; i++ {
		count(ch, d.matches, sum(workers, func(c *counters) *atomic.Uint64 { return &c.decided[i] }), i.String(), "true")
		count(ch, d.matches, sum(workers, func(c *counters) *atomic.Uint64 { return &c.observed[i] }), i.String(), "false")
	}
}

// signatureLabel is the label value of what a signature is worth.
func signatureLabel(i int) string {
	switch tsig.Fault(i) {
	case tsig.FaultNone:
		return "right"
	case tsig.FaultAbsent:
		return "absent"
	case tsig.FaultFormat:
		return "format"
	case tsig.FaultKey:
		return "key"
	case tsig.FaultSignature:
		return "signature"
	case tsig.FaultTime:
		return "time"
	case tsig.FaultTruncation:
		return "truncation"
	case tsig.FaultUnsigned:
		return "unsigned"
	}
	return "unknown"
}

func rcodeLabel(i int) string {
	if i == rcodesMax-1 {
		return "other"
	}
	return strconv.Itoa(i)
}

func (d *pathDescs) collectSingles(ch chan<- prometheus.Metric, workers []*worker) {
	count(ch, d.late, sum(workers, func(c *counters) *atomic.Uint64 { return &c.late }))
	count(ch, d.truncated, sum(workers, func(c *counters) *atomic.Uint64 { return &c.truncated }))
	count(ch, d.slipped, sum(workers, func(c *counters) *atomic.Uint64 { return &c.slipped }))
	count(ch, d.refused, sum(workers, func(c *counters) *atomic.Uint64 { return &c.refused }))
	count(ch, d.shed, sum(workers, func(c *counters) *atomic.Uint64 { return &c.shed }))
	count(ch, d.failed, sum(workers, func(c *counters) *atomic.Uint64 { return &c.failed }))
	count(ch, d.bugs, sum(workers, func(c *counters) *atomic.Uint64 { return &c.bugs }))
}

func (d *pathDescs) collectWaits(ch chan<- prometheus.Metric, workers []*worker) {
	var seconds float64
	for _, w := range workers {
		seconds += float64(w.counters.waited.Load()) / 1e9
	}
	buckets, total := make(map[float64]uint64, len(waitBounds)), uint64(0)
	for i := range waitsMax {
		total += sum(workers, func(c *counters) *atomic.Uint64 { return &c.waits[i] })
		if i < len(waitBounds) {
			buckets[waitBounds[i].Seconds()] = total
		}
	}
	ch <- prometheus.MustNewConstHistogram(d.waits, total, seconds, buckets)
}

func (d *socketDescs) collect(ch chan<- prometheus.Metric, s *Server) {
	gauge := func(desc *prometheus.Desc, n int64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(n))
	}
	u := s.countUDP()
	count(ch, d.udp, u.udpReceived, "received")
	count(ch, d.udp, u.udpSent, "sent")
	count(ch, d.udp, u.udpCut, "cut")
	count(ch, d.udp, u.udpFailed, "failed")
	count(ch, d.udp, u.udpFull, "full")
	count(ch, d.udp, u.udpReadFailed, "read-failed")
	count(ch, d.kernelDrops, u.udpKernelDrops)
	t := s.tcp
	gauge(d.connections, t.open.Load())
	count(ch, d.accepted, t.accepted.Load())
	count(ch, d.ended, t.acceptFailed.Load(), "files")
	count(ch, d.ended, t.acceptLost.Load(), "network")
	count(ch, d.ended, t.refusedFull.Load(), "full")
	count(ch, d.ended, t.refusedGreedy.Load(), "greedy-client")
	count(ch, d.ended, t.refusedOutside.Load(), "outsider")
	count(ch, d.ended, t.timedOut.Load(), "timeout")
	count(ch, d.ended, t.garbled.Load(), "garbled")
	count(ch, d.ended, t.slowReaders.Load(), "slow-reader")
	count(ch, d.handshakes, t.done.Load(), "done")
	count(ch, d.handshakes, t.failed.Load(), "failed")
	count(ch, d.handshakes, t.slow.Load(), "timeout")
	count(ch, d.handshakes, t.full.Load(), "full")
	count(ch, d.badFiles, t.badFiles.Load())
	gauge(d.expiry, s.certificateExpiry())
	gauge(d.waiting, s.network.waiting.Load())
	count(ch, d.turnedAway, s.network.full.Load(), "full")
	count(ch, d.turnedAway, s.network.greedy.Load(), "greedy-client")
}

// transferDescs describe what became of requests for zones.
type transferDescs struct{ requests, octets, open *prometheus.Desc }

func describeTransfers() transferDescs {
	return transferDescs{
		requests: describe("transfers_total", "Requests for zones (AXFR, IXFR), by what became of them: sent whole, sent as changes, nothing had changed, broken off, refused, for no zone of ours, no place left (full). Look when broken or full rises: a secondary is slow, or there are more than limits.transfers.", "outcome"),
		octets:   describe("transfer_octets_total", "Octets of zones that were sent to secondaries."),
		open:     describe("transfers", "Transfers of zones that are being sent now."),
	}
}

func (d *transferDescs) collect(ch chan<- prometheus.Metric, t *transfers) {
	for label, n := range map[string]*atomic.Uint64{
		"whole": &t.whole, "changes": &t.changes, "current": &t.current, "broken": &t.broken, "refused": &t.refused, "no-zone": &t.noZone, "full": &t.full,
	} {
		count(ch, d.requests, n.Load(), label)
	}
	count(ch, d.octets, t.octets.Load())
	ch <- prometheus.MustNewConstMetric(d.open, prometheus.GaugeValue, float64(t.open.Load()))
}

func describeUpdates() *prometheus.Desc {
	return describe("updates_total", "Messages that ask for changes of zones (UPDATE, RFC 2136), by what became of them: handed to the zone, refused for their signature or address, for no zone of ours, too many at once (full). cenote_zone_updates_total tells what came of those that were handed on. Look when full rises: the disk is slow, or somebody floods.", "outcome")
}

func collectUpdates(ch chan<- prometheus.Metric, d *prometheus.Desc, u *updateCounters) {
	for label, n := range map[string]*atomic.Uint64{"made": &u.made, "refused": &u.refused, "no-zone": &u.noZone, "full": &u.full} {
		count(ch, d, n.Load(), label)
	}
}

func describeNotices() *prometheus.Desc {
	return describe("notices_total", "Messages that a zone has changed at its primary (NOTIFY), by what became of them: heard, refused since they are neither from a primary nor signed by its key, or for a zone that is taken from nobody. Look when refused rises: a primary sends from another address, which zones[].notify_from can name.", "outcome")
}

func (c *noticeCounters) collect(ch chan<- prometheus.Metric, d *prometheus.Desc) {
	for label, n := range map[string]*atomic.Uint64{"heard": &c.heard, "refused": &c.refused, "no-zone": &c.noZone} {
		count(ch, d, n.Load(), label)
	}
}
