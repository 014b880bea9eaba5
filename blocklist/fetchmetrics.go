package blocklist

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// fetchMetrics are the descriptions of what is shown of the fetches of feeds with a URL.
type fetchMetrics struct{ total, octets, failures, success, next, serial, transfers *prometheus.Desc }

func describeFetches() *fetchMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("cenote_blocklist_"+name, help, labels, nil)
	}
	return &fetchMetrics{
		total:     desc("fetches_total", "Fetches of feeds with a URL or primaries, by what came of them. Look when anything but new and unchanged rises: the list that was fetched last is served.", "feed", "outcome"),
		octets:    desc("fetch_bytes_total", "Octets of lists, signatures and transfers that were fetched, as they came.", "feed"),
		failures:  desc("fetch_failures", "Fetches of a feed that have failed since the last success. Look when it stays above 0.", "feed"),
		success:   desc("fetch_last_success_timestamp_seconds", "When a server of a feed last gave its list or said that it has not changed, in seconds since 1970; 0 for never. Look when it is much older than the feed's interval.", "feed"),
		serial:    desc("zone_serial", "The serial of a policy zone that is taken from primaries, as it was taken last. Look when it differs from theirs for long.", "feed"),
		transfers: desc("zone_transfers_total", "Transfers of policy zones from primaries: whole (AXFR) or differences (IXFR). Look when whole grows with every change: the primaries give no differences.", "feed", "kind"),
		next:      desc("fetch_next_timestamp_seconds", "When a feed is fetched next, in seconds since 1970.", "feed"),
	}
}

func (m *fetchMetrics) describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.total, m.octets, m.failures, m.success, m.next, m.serial, m.transfers} {
		ch <- d
	}
}

func (m *fetchMetrics) collect(ch chan<- prometheus.Metric, feed string, r *fetchRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for outcome, n := range r.counts {
		count(m.total, n, feed, FetchOutcome(outcome).String())
	}
	count(m.octets, r.octets, feed)
	if z := r.status.Zone; z != nil {
		gauge(ch, m.serial, float64(z.Serial), feed)
		count(m.transfers, r.whole, feed, "whole")
		count(m.transfers, r.differences, feed, "differences")
	}
	gauge(ch, m.failures, float64(r.status.Failures), feed)
	gauge(ch, m.success, unixSeconds(r.status.LastSuccess), feed)
	gauge(ch, m.next, unixSeconds(r.status.NextAttempt), feed)
}

// unixSeconds is t in seconds since 1970, 0 for never.
func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
