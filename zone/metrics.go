package zone

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// describe are the metrics of zones. A server has the zones of its configuration, so that their number, and no name, is a metric.
var (
	descZones         = prometheus.NewDesc("cenote_zone_zones", "Zones by state; kept is served as it was when its file was last good, failed and expired are answered with SERVFAIL. Look at `cenote zones` when there are any but served.", []string{"state"}, nil)
	descRecords       = prometheus.NewDesc("cenote_zone_records", "Records of all zones that are served.", nil, nil)
	descBytes         = prometheus.NewDesc("cenote_zone_memory_bytes", "Memory of all zones that are served, in octets.", nil, nil)
	descLoads         = prometheus.NewDesc("cenote_zone_loads_total", "Files of zones that were read and taken.", nil, nil)
	descFailures      = prometheus.NewDesc("cenote_zone_load_failures_total", "Files of zones that were read and not taken. Look at `cenote zones` when it grows.", nil, nil)
	descJournalFaults = prometheus.NewDesc("cenote_zone_journal_failures_total", "Journals of zones that could not be read or written, so that a history ends with the server. Look at the log and the disk when it grows.", nil, nil)
	descJournalCut    = prometheus.NewDesc("cenote_zone_journal_damaged_octets_total", "Octets of journals of zones that were found damaged and cut off; secondaries then take the zone whole. Some after a power loss are normal.", nil, nil)
	descNotices       = prometheus.NewDesc("cenote_zone_notices_total", "Notices to secondaries that a zone has changed: sent, confirmed, of these rejected, unverified (a reply without the right signature) and given up. Look at the log when rejected, unverified or given-up grows.", []string{"event"}, nil)
	descUpdates       = prometheus.NewDesc("cenote_zone_updates_total", "Updates (RFC 2136) that were signed by a key of the zone, by what became of them: changed something, unchanged, unmet prerequisites, refused, malformed, failed, or come again. Look at the log when refused or failed grows.", []string{"result"}, nil)
	descOnline        = prometheus.NewDesc("cenote_zone_online_signatures_total", "Sets of zones with compact denial (RFC 9824) that answers wanted signed: made, or refused above the bound of a second, in which case the zone's NSEC records answered. Look at who asks when refused grows.", []string{"result"}, nil)
	descHistory       = prometheus.NewDesc("cenote_zone_history_bytes", "Memory of the histories of all zones, in octets; at its bound the largest lose their oldest steps.", nil, nil)
)

// Describe tells which metrics there are (prometheus.Collector).
func (k *Keeper) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descZones, descRecords, descBytes, descLoads, descFailures, descJournalFaults, descJournalCut, descHistory, descNotices, descUpdates, descOnline} {
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
	for _, s := range []State{StateServed, StateKept, StateUnsigned, StateFailed, StateExpired} {
		gauge(descZones, states[s], string(s))
	}
	gauge(descRecords, records)
	gauge(descBytes, bytes)
	out <- prometheus.MustNewConstMetric(descLoads, prometheus.CounterValue, float64(k.loads.Load()))
	out <- prometheus.MustNewConstMetric(descFailures, prometheus.CounterValue, float64(k.failures.Load()))
	out <- prometheus.MustNewConstMetric(descJournalFaults, prometheus.CounterValue, float64(k.journalFaults.Load()))
	out <- prometheus.MustNewConstMetric(descJournalCut, prometheus.CounterValue, float64(k.journalCut.Load()))
	for event, n := range map[string]*atomic.Uint64{
		"sent": &k.teller.sent, "confirmed": &k.teller.confirmed, "rejected": &k.teller.rejected, "unverified": &k.teller.unverified, "given-up": &k.teller.given,
	} {
		out <- prometheus.MustNewConstMetric(descNotices, prometheus.CounterValue, float64(n.Load()), event)
	}
	u := &k.updates
	for result, n := range map[string]*atomic.Uint64{
		"changed": &u.changed, "unchanged": &u.unchanged, "unmet": &u.unmet, "refused": &u.refused, "malformed": &u.malformed, "failed": &u.failed, "again": &u.again,
	} {
		out <- prometheus.MustNewConstMetric(descUpdates, prometheus.CounterValue, float64(n.Load()), result)
	}
	out <- prometheus.MustNewConstMetric(descOnline, prometheus.CounterValue, float64(k.online.made.Load()), "made")
	out <- prometheus.MustNewConstMetric(descOnline, prometheus.CounterValue, float64(k.online.refused.Load()), "refused")
	gauge(descHistory, k.historyBytes())
}

// The metrics of transfers.
var (
	descTransfers        = prometheus.NewDesc("cenote_zone_transfers_total", "Looks for new versions of zones at their primaries, by outcome: taken (whole), differences (IXFR), current (there was nothing newer) and failed. Look at `cenote zones` when failed grows.", []string{"outcome"}, nil)
	descTransfersRunning = prometheus.NewDesc("cenote_zone_transfers_running", "Looks at primaries under way; at 8 the others wait.", nil, nil)
)

// Describe tells which metrics there are (prometheus.Collector).
func (s *Secondaries) Describe(out chan<- *prometheus.Desc) {
	out <- descTransfers
	out <- descTransfersRunning
}

// Collect gives the metrics as they are (prometheus.Collector).
func (s *Secondaries) Collect(out chan<- prometheus.Metric) {
	for outcome, n := range map[string]uint64{"taken": s.transfers.Load() - s.differences.Load(), "differences": s.differences.Load(), "current": s.current.Load(), "failed": s.failures.Load()} {
		out <- prometheus.MustNewConstMetric(descTransfers, prometheus.CounterValue, float64(n), outcome)
	}
	out <- prometheus.MustNewConstMetric(descTransfersRunning, prometheus.GaugeValue, float64(len(s.places)))
}

// The metrics of catalogs.
var (
	descCatalogs       = prometheus.NewDesc("cenote_zone_catalog_versions_total", "Versions of catalogs (RFC 9432) that were read, by outcome: followed, or broken, which changed nothing. Look at `cenote zones` when broken grows.", []string{"outcome"}, nil)
	descCatalogMembers = prometheus.NewDesc("cenote_zone_catalog_members", "Zones that catalogs list, by what became of them: served, or ignored, since another zone has their name or the catalog may not list it. Look at `cenote zones` when any are ignored.", []string{"state"}, nil)
)

// Describe tells which metrics there are (prometheus.Collector).
func (c *Catalogs) Describe(out chan<- *prometheus.Desc) {
	out <- descCatalogs
	out <- descCatalogMembers
}

// Collect gives the metrics as they are (prometheus.Collector).
func (c *Catalogs) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(descCatalogs, prometheus.CounterValue, float64(c.followed.Load()), "followed")
	out <- prometheus.MustNewConstMetric(descCatalogs, prometheus.CounterValue, float64(c.broken.Load()), "broken")
	out <- prometheus.MustNewConstMetric(descCatalogMembers, prometheus.GaugeValue, float64(c.served.Load()), "served")
	out <- prometheus.MustNewConstMetric(descCatalogMembers, prometheus.GaugeValue, float64(c.ignored.Load()), "ignored")
}
