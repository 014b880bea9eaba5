package dnsserver_test

import (
	"net/netip"
	"testing"

	"cenote/dnsserver"
	"cenote/policy"
	"cenote/rrcache"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestMetrics(t *testing.T) {
	cache, err := rrcache.New(rrcache.Config{Bytes: 4 << 20})
	must(t, err)
	p := newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})
	s, err := dnsserver.New(dnsserver.Config{
		Listen: []dnsserver.Listen{{Addr: netip.MustParseAddrPort("127.0.0.1:0"), UDP: true, TCP: true}},
		Policy: func() *policy.Policy { return p }, Cache: cache, Resolver: &world{cache: cache}, Settings: dnsserver.DefaultSettings(),
	})
	must(t, err)
	defer s.Close()
	registry := prometheus.NewPedanticRegistry()
	must(t, registry.Register(s.Collector()))
	w := dnsserver.WorkerOf(s)
	b := &bench{t: t, worker: w, peer: netip.MustParseAddrPort("127.0.0.1:9"), out: make([]byte, 1232)}
	b.ask(query("bad.example", dns.TypeA))
	b.ask(query("example", dns.TypeAXFR))
	families, err := registry.Gather()
	must(t, err)
	faults, err := promlint.NewWithMetricFamilies(families).Lint()
	must(t, err)
	for _, f := range faults {
		t.Errorf("%s: %s", f.Metric, f.Text)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetName() + "=" + l.GetValue()
			}
			got[key] = m.GetCounter().GetValue()
		}
	}
	for key, want := range map[string]float64{
		"cenote_dnsserver_matches_total action=sinkhole enforced=true": 1,
		"cenote_dnsserver_queries_total transport=udp":                 2,
		"cenote_dnsserver_replies_total rcode=0":                       1,
		"cenote_dnsserver_replies_total rcode=5":                       1,
		"cenote_dnsserver_answers_total source=policy":                 1,
		"cenote_dnsserver_bugs_total":                                  0,
	} {
		if n, ok := got[key]; !ok || n != want {
			t.Errorf("%s = %v (there: %v), want %v", key, n, ok, want)
		}
	}
}
