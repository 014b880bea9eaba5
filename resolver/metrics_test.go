package resolver_test

import (
	"slices"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestMetrics(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(f.Collector(), f.cache.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, family := range families {
		names = append(names, family.GetName())
	}
	for _, want := range []string{"cenote_resolver_asked_total", "cenote_resolver_upstream_up", "cenote_rrcache_lookups_total", "cenote_rrcache_used_bytes"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
