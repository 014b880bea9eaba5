package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPeersOf(t *testing.T) {
	for flag, want := range map[string][]string{"all": peerNames(allPeers()), "nsd": {"nsd"}, "named,unbound-rpz": {"named", "unbound-rpz"}} {
		got, err := peersOf(flag)
		if err != nil || !slices.Equal(peerNames(got), want) {
			t.Errorf("-peers %s: got %v, %v, want %v", flag, peerNames(got), err, want)
		}
	}
	for _, flag := range []string{"", "bind", "named,", "all,named"} {
		if got, err := peersOf(flag); err == nil {
			t.Errorf("-peers %q: got %v, want an error", flag, peerNames(got))
		}
	}
}

func TestPeerFlags(t *testing.T) {
	good := func() *options {
		return &options{names: 1, window: 1, clients: 1, seconds: 0.1, peerOptions: peerOptions{peers: "all", pairs: 1, conns: 1, tcpWindow: 1}}
	}
	if err := good().check(); err != nil {
		t.Errorf("good flags: %v", err)
	}
	for name, change := range map[string]func(*options){
		"with a profile":        func(o *options) { o.profile = "out" },
		"no such peer":          func(o *options) { o.peers = "bind" },
		"no such load":          func(o *options) { o.loads = "new pairs" },
		"no pairs":              func(o *options) { o.pairs = 0 },
		"no connections":        func(o *options) { o.conns = 0 },
		"too many connections":  func(o *options) { o.conns = 251 },
		"no queries under way":  func(o *options) { o.tcpWindow = 0 },
		"no time for the loads": func(o *options) { o.seconds = 0 },
	} {
		o := good()
		if change(o); o.check() == nil {
			t.Errorf("%s: the flags passed", name)
		}
	}
	o := good()
	o.loads = "tcp,hits"
	if loads := o.peerLoads(); o.check() != nil || len(loads) != 2 || loads[0].name != "hits" || loads[0].file != "q.blocked" || !loads[1].tcp {
		t.Errorf("-loads tcp,hits: got %+v", loads)
	}
}

// TestPeerConfigurations: each peer is told where to listen, whom to ask and what list to read, and nothing is left to be filled in.
func TestPeerConfigurations(t *testing.T) {
	at := place{dir: "/own", lists: "/lists", upstream: "127.0.53.1:4242"}
	for _, p := range allPeers() {
		var all strings.Builder
		for name, text := range p.files(at) {
			all.WriteString("\n" + name + "\n" + text)
		}
		for _, arg := range p.args {
			all.WriteString(p.expand(arg, at) + "\n")
		}
		want := []string{peerAddr, "5301", "/lists/" + p.list, "/own", "127.0.53.1", "4242"}
		if p.scale {
			want = want[:4] // it asks nobody
		}
		for _, word := range want {
			if !strings.Contains(all.String(), word) {
				t.Errorf("%s: the configuration lacks %q:\n%s", p.name, word, all.String())
			}
		}
		if strings.ContainsAny(all.String(), "$") && p.name != "nsd" {
			t.Errorf("%s: something was not filled in:\n%s", p.name, all.String())
		}
		if logs := strings.Contains(all.String(), "/own/log"); strings.HasSuffix(p.name, "-log") && !logs {
			t.Errorf("%s: no log is written:\n%s", p.name, all.String())
		}
	}
}

// TestNoPeerIsDropped: one that is not there is a row with the reason under every load, and an error if it was asked for by name.
func TestNoPeerIsDropped(t *testing.T) {
	r := &rig{options: &options{peerOptions: peerOptions{peers: "all"}}, dir: t.TempDir()}
	gone := &peerResult{peer: peer{name: "gone", pkg: "gone-server", program: "no-such-program"}, version: "unknown"}
	if err := r.measurePeer(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	all := &peerResults{names: 1000, pairs: 1, loads: r.peerLoads(), peers: []*peerResult{gone}}
	if n := strings.Count(all.text(), "| gone | unknown | - | - | - | - | - | - | - | - | not measured: not installed |\n"); n != 4 {
		t.Errorf("got %d rows with the reason, want 4:\n%s", n, all.text())
	}
	if strings.Contains(all.text(), "Best peer") {
		t.Errorf("one that is not there is the best:\n%s", all.text())
	}
	if text := all.installation(); !strings.Contains(text, "apt-get install -y --no-install-recommends gone-server\n") {
		t.Errorf("the way to install it is not said: %q", text)
	}
	if err := all.check("all"); err != nil {
		t.Errorf("all peers: %v", err)
	}
	if err := all.check("gone"); err == nil || !strings.Contains(err.Error(), "gone: not installed") {
		t.Errorf("a peer asked for by name: got %v, want its name and the reason", err)
	}
}

// runsOf are n runs at a p50 and p99, in microseconds.
func runsOf(n int, p50, p99 float64) []outcome {
	return slices.Repeat([]outcome{{P50: p50, P99: p99}}, n)
}

// somePeers are figures of three pairs: a filter, one that could not be measured, and nsd.
func somePeers() *peerResults {
	pair := func(rates ...float64) *pairResult {
		return &pairResult{load: "hits", rate: 50_000,
			cenote: side{rates: []float64{300_000, 310_000, 330_000}, cpus: []float64{3, 3, 3}, busy: []float64{1, 1, 1}, same: runsOf(3, 40, 80), own: runsOf(3, 60, 90), memory: 700},
			peer:   side{rates: rates, cpus: []float64{9, 9, 9}, busy: []float64{1, 1, 1}, same: runsOf(3, 50, 160), own: runsOf(3, 50, 160), memory: 500}}
	}
	return &peerResults{names: 1_000_000, pairs: 3, served: 2 * time.Second, loads: []peerKind{{kind: kind{name: "hits"}}}, peers: []*peerResult{
		{peer: peer{name: "quick"}, version: "1.2", served: 1500 * time.Millisecond, loads: []*pairResult{pair(100_000, 155_000, 110_000)}},
		{peer: peer{name: "lossy"}, version: "2", loads: []*pairResult{{load: "hits", reason: "lossy: 7 replies,\n3 | 4 % lost"}}},
		{peer: peer{name: "nsd", scale: true}, version: "4", loads: []*pairResult{pair(310_000, 310_000, 310_000)}},
		{peer: peer{name: "elsewhere", loads: []string{"mix"}}, version: "5"},
	}}
}

func TestPeersText(t *testing.T) {
	text := somePeers().text()
	for _, want := range []string{
		"| quick | 1.2 | 3.00 | 2.00 to 3.00 | 310,000, 110,000 | 3.00, 9.00 | 40, 80; 50, 160 | 60, 90; 50, 160 | 700, 500 | 1.5 |  |\n",
		"| lossy | 2 | - | - | - | - | - | - | - | - | not measured: lossy: 7 replies, 3 / 4 % lost |\n",
		"\nBest peer for hits: quick, ratio 3.00 (2.00 to 3.00). In p99 at one rate the nearest is quick: at 50,000 queries/s Cenote's is 80 us beside 160 us, 0.50 times it.\n",
		"| nsd | 4 | 1.00 |",
		"Cenote, without a compiled list from before, took 2.0 s.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the section lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "elsewhere") {
		t.Errorf("a peer that has no part in the load has a row:\n%s", text)
	}
}

// TestPeersWithoutTimes: where a peer kept up at full load only, its rates are shown.
func TestPeersWithoutTimes(t *testing.T) {
	all := somePeers()
	pair := all.peers[0].loads[0]
	pair.cenote.same, pair.cenote.own, pair.peer.same, pair.peer.own, pair.timeless = nil, nil, nil, nil, "quick: lost"
	text := all.text()
	for _, want := range []string{"| 3.00, 9.00 | -; - | -; - | 700, 500 | 1.5 | times not measured: quick: lost |\n", "\nBest peer for hits: quick, ratio 3.00 (2.00 to 3.00).\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the section lacks %q:\n%s", want, text)
		}
	}
}

func TestPeerNotes(t *testing.T) {
	for name, tc := range map[string]struct {
		result pairResult
		want   string
	}{
		"nothing to say": {pairResult{cenote: side{busy: []float64{1}}, peer: side{busy: []float64{0.96}}}, ""},
		"idle peer":      {pairResult{cenote: side{busy: []float64{1}}, peer: side{busy: []float64{0.5}}}, "peer uses 50 % of its core"},
		"load held back": {pairResult{cenote: side{busy: []float64{0.8}}, peer: side{busy: []float64{1}}, loadBusy: 0.99},
			"the load's core is saturated, Cenote uses 80 % of its own; load at most 99 % of its core"},
		"no times": {pairResult{cenote: side{busy: []float64{1}}, peer: side{busy: []float64{1}}, timeless: "lost"}, "times not measured: lost"},
		"the rest": {pairResult{cenote: side{busy: []float64{1}, window: 256}, peer: side{busy: []float64{1}, window: 64}, asked: 0.02, reconnects: 0.01, repeated: 2},
			"peer asked the upstream for up to 2.0 %; peer ended a connection every 100 queries; pairs repeated: 2; under way 256, 64"},
	} {
		if got := tc.result.notes(); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestChart: the drawing is well-formed, has a bar for all that was measured and a set of colours for dark pages.
func TestChart(t *testing.T) {
	chart := somePeers().chart()
	decoder := xml.NewDecoder(strings.NewReader(chart))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, chart)
		}
	}
	for want, n := range map[string]int{"<rect ": 3, `class="cenote"`: 1, `class="scale"`: 1, ">quick<": 1, ">0.33, 110,000 queries/s<": 1, "prefers-color-scheme: dark": 1, "NaN": 0, "Inf": 0} {
		if got := strings.Count(chart, want); got != n {
			t.Errorf("%q is there %d times, want %d:\n%s", want, got, n, chart)
		}
	}
}

// TestAlternate: a pair that is no measurement is run again, but not for ever, and another error ends the match.
func TestAlternate(t *testing.T) {
	bad := &unmeasured{"peer", errors.New("lost")}
	for name, tc := range map[string]struct {
		errs []error
		ok   bool
		runs int
	}{
		"all good":       {nil, true, 3},
		"two bad":        {[]error{bad, nil, bad}, true, 5},
		"all bad":        {[]error{bad, bad, bad, bad, bad, bad, bad}, false, 4},
		"something else": {[]error{nil, errors.New("no metrics")}, false, 2},
	} {
		m, runs := &match{result: new(pairResult)}, 0
		err := m.alternate(3, func(int) error {
			if runs++; runs <= len(tc.errs) {
				return tc.errs[runs-1]
			}
			return nil
		})
		if (err == nil) != tc.ok || runs != tc.runs {
			t.Errorf("%s: got %v after %d runs, want %d", name, err, runs, tc.runs)
		}
	}
	m := new(match)
	if m.order(0)[0] != &m.cenote || m.order(1)[0] != &m.peer {
		t.Error("they do not begin in turns")
	}
}

func TestProcFiles(t *testing.T) {
	if got := parsePss("55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:   9000 kB\nPss:     2048 kB\nPss_Dirty: 1 kB\n"); got != 2 {
		t.Errorf("got %v MiB, want 2", got)
	}
	if got := parseWaitedCPU("7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 1 0 99"); got != 150*time.Millisecond {
		t.Errorf("got %v, want 150ms", got)
	}
	if got := parseWaitedCPU("7 (short) S"); got != 0 {
		t.Errorf("got %v of a short line, want 0", got)
	}
}

func TestNSDZone(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"domains.txt": "a.example\n", "q.clean": "b.cln A\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeNSDZone(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "nsd.zone"))
	if err != nil || !strings.HasSuffix(string(got), "\na.example. A 192.0.2.53\nb.cln. A 192.0.2.77\n") {
		t.Errorf("got %q, %v", got, err)
	}
}
