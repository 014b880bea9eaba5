package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// measured is a server with a listed name and a query log, whose metrics are looked at.
func measured(t *testing.T) *running {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "list.domains"), []byte("listed.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return startServer(t, dir, quiet+`
rate_limit: {enabled: false}
query_log: {mode: all, path: queries.jsonl}
feeds: [{name: list, path: list.domains, match: subtree}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [list]}]}
`)
}

// registered is what /metrics of the server is made from.
func (r *running) registered() *prometheus.Registry {
	r.t.Helper()
	registry, err := r.metrics()
	if err != nil {
		r.t.Fatal(err)
	}
	return registry
}

// series are the names of metrics, each with its labels.
func (r *running) series() map[string]bool {
	r.t.Helper()
	all, err := r.registered().Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, family := range all {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += fmt.Sprintf(" %s=%q", l.GetName(), l.GetValue())
			}
			out[name] = true
		}
	}
	return out
}

// TestMetricsOfAServerAreWellFormed lints what a whole server shows, with every room in it, as promtool would.
func TestMetricsOfAServerAreWellFormed(t *testing.T) {
	r := measured(t)
	r.ask("udp", "www.listed.example.", dns.TypeA)
	r.wait("recorded", func() bool { return r.counted(t) == 1 })
	problems, err := testutil.GatherAndLint(r.registered())
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	rooms := map[string]bool{}
	for name := range r.series() {
		if _, rest, ours := strings.Cut(name, "cenote_"); ours {
			room, _, _ := strings.Cut(rest, "_")
			rooms[room] = true
		}
	}
	want := []string{"blocklist", "build", "dnsserver", "process", "querylog", "resolver", "rrcache", "sighting", "zone"}
	if got := slices.Sorted(maps.Keys(rooms)); !slices.Equal(got, want) {
		t.Errorf("metrics are of %v, want %v", got, want)
	}
}

// TestClientsMakeNoSeries: whatever clients ask, from wherever, in whatever form, adds no series: label values are words of ours and names of the
// configuration.
func TestClientsMakeNoSeries(t *testing.T) {
	r := measured(t)
	odd := func(round int) {
		for i := range 40 {
			n := round*40 + i
			q := new(dns.Msg)
			q.SetQuestion(fmt.Sprintf("odd-%d.%s.", n, []string{"listed.example", "elsewhere.example", "onion", "10.in-addr.arpa"}[n%4]), uint16(300+n))
			q.Question[0].Qclass = []uint16{dns.ClassINET, uint16(1000 + n)}[n/4%2]
			q.SetEdns0(uint16(512+n), n%3 == 0)
			q.IsEdns0().SetVersion(uint8(n % 5 / 4 * n))
			q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: uint16(65001 + n), Data: []byte("odd")})
			if n%7 == 6 {
				q.Opcode = n % 16
			}
			r.send(q, fmt.Sprintf("127.0.%d.%d", round+1, i+1))
		}
	}
	recorded := func() {
		asked := time.Now()
		r.wait("recorded", func() bool { return r.ledger.Drained().After(asked) })
	}
	odd(0)
	recorded()
	if r.counted(t) == 0 {
		t.Error("nothing was matched: the test shows little")
	}
	before := r.series()
	odd(1)
	r.send(new(dns.Msg), "127.0.9.9")
	recorded()
	after := r.series()
	for name := range after {
		if !before[name] {
			t.Errorf("clients made %s", name)
		}
		for _, of := range []string{"odd", "127.0.", "example", "onion"} {
			if strings.Contains(name, of) {
				t.Errorf("a client's word %q is in %s", of, name)
			}
		}
	}
}

// send sends a query from an address and waits for the reply, if one comes.
func (r *running) send(q *dns.Msg, from string) {
	r.t.Helper()
	client := dns.Client{Timeout: time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}}
	_, _, _ = client.Exchange(q, r.addr().String())
}
