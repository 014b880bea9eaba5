package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lossMax is how much of a load may be lost, in percent, before a turn says nothing.
const lossMax = 0.1

// settleMax is how long the ledger may take, once the load has ended, to take in the matches that lie in its queues.
const settleMax = 10 * time.Second

// loadResult is one kind of load: what server and echo did in each turn, and the server at half its rate.
type loadResult struct {
	name         string
	server, echo []float64 // queries a second
	cpu          []float64 // of the server, microseconds a query
	loss         float64   // the worst, percent
	objects      float64   // heap objects a query
	half         outcome
}

func (r *loadResult) ratios() []float64 {
	out := make([]float64, len(r.server))
	for i := range out {
		out[i] = r.server[i] / r.echo[i]
	}
	return out
}

// ledgerResult compares matches with what became of them.
type ledgerResult struct {
	rate                             int
	queries, matches, recorded, lost float64
	outcome                          outcome
}

type serverResults struct {
	names  int
	loads  []*loadResult
	ledger *ledgerResult
}

// rig is all that a measurement of the server needs.
type rig struct {
	*options
	tools  *tools
	server *cenote
	dir    string
	next   map[string]uint64 // by file of queries: where the next load begins
}

// measureServer starts both responders and runs every load.
func measureServer(ctx context.Context, o *options) (_ *serverResults, err error) {
	dir, err := os.MkdirTemp("", "cenote-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	t, err := buildTools(ctx, o.shared, dir)
	if err != nil {
		return nil, err
	}
	fmt.Printf("making a list of %s names\n", thousands(float64(o.names)))
	if err := t.makeData(ctx, o.names, dir); err != nil {
		return nil, err
	}
	up, err := upstream(ctx)
	if err != nil {
		return nil, err
	}
	server, err := startCenote(ctx, o, dir, up)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	echo, err := t.startEcho(ctx)
	if err != nil {
		return nil, err
	}
	defer echo.Wait()
	defer echo.Process.Kill()
	r := &rig{options: o, tools: t, server: server, dir: dir, next: map[string]uint64{}}
	return r.measure(ctx)
}

func (r *rig) measure(ctx context.Context) (*serverResults, error) {
	all := &serverResults{names: r.names}
	for _, l := range []struct{ name, file string }{{"hits", "q.blocked"}, {"cached", "q.clean"}, {"mix", "q.mix"}} {
		result, err := r.measureLoad(ctx, l.name, l.file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
		all.loads = append(all.loads, result)
	}
	if r.ledger > 0 {
		var err error
		if all.ledger, err = r.measureLedger(ctx, all.loads[0]); err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
	}
	return all, nil
}

func (r *rig) measureLoad(ctx context.Context, name, file string) (*loadResult, error) {
	if err := r.warm(ctx, file); err != nil {
		return nil, err
	}
	result := &loadResult{name: name}
	before, err := r.server.metrics(ctx)
	if err != nil {
		return nil, err
	}
	for turn := range r.turns {
		if err := r.turn(ctx, result, file, turn%2 == 1); err != nil {
			return nil, err
		}
		fmt.Printf("%s %d: server %s, echo %s\n", name, turn+1, thousands(result.server[turn]), thousands(result.echo[turn]))
	}
	after, err := r.server.metrics(ctx)
	if err != nil {
		return nil, err
	}
	const objects, queries = "go_memstats_mallocs_total", "cenote_dnsserver_queries_total"
	result.objects = (after[objects] - before[objects]) / (after[queries] - before[queries])
	result.half, err = r.blast(ctx, file, load{server: cenoteAddr, seconds: 2 * r.seconds, rate: int(median(result.server) / 2)})
	return result, err
}

// warm asks every question of a file at least twice, slowly enough for the upstream, so that what can be in the cache is, and so that the
// ledger knows every listed name that is asked for. What stays new to it are the pairs of client and name.
func (r *rig) warm(ctx context.Context, file string) error {
	questions, err := countLines(filepath.Join(r.dir, file))
	if err != nil {
		return err
	}
	for asked := uint64(0); asked < 2*questions+20_000; {
		o, err := r.blast(ctx, file, load{server: cenoteAddr, seconds: 2, window: 32})
		if err != nil {
			return err
		}
		asked += o.Got
	}
	return nil
}

func countLines(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	return uint64(bytes.Count(b, []byte("\n"))), err
}

// turn puts one and then the other under load; every second turn begins with the other.
func (r *rig) turn(ctx context.Context, result *loadResult, file string, echoFirst bool) error {
	runEcho := func() error {
		o, err := r.blast(ctx, file, load{server: echoAddr, seconds: r.seconds, window: r.window})
		result.echo = append(result.echo, o.QPS)
		return err
	}
	runServer := func() error {
		before := r.server.cpu()
		o, err := r.blast(ctx, file, load{server: cenoteAddr, seconds: r.seconds, window: r.window})
		result.server = append(result.server, o.QPS)
		result.cpu = append(result.cpu, float64((r.server.cpu()-before).Nanoseconds())/1000/math.Max(float64(o.Got), 1))
		result.loss = math.Max(result.loss, o.LossPct)
		if err == nil && (o.LossPct > lossMax || o.ServFail+o.Refused > 0) {
			err = fmt.Errorf("%.2f %% lost, %d SERVFAIL, %d REFUSED: this is no measurement", o.LossPct, o.ServFail, o.Refused)
		}
		return err
	}
	if echoFirst {
		runEcho, runServer = runServer, runEcho
	}
	if err := runServer(); err != nil {
		return err
	}
	return runEcho()
}

// blast fills in what all loads have in common, and goes on in the file where the load before ended.
func (r *rig) blast(ctx context.Context, file string, l load) (outcome, error) {
	l.queries, l.port = filepath.Join(r.dir, file), port
	if l.clients == 0 {
		l.clients = r.clients
	}
	l.start = r.next[file]
	o, err := r.tools.blast(ctx, l)
	r.next[file] = o.Next
	return o, err
}

// measureLedger asks at half the rate of hits, from 256 addresses, for every name of the file in turn, so that hardly a pair of client and
// name comes twice.
func (r *rig) measureLedger(ctx context.Context, hits *loadResult) (*ledgerResult, error) {
	result := &ledgerResult{rate: int(median(hits.server) / 2)}
	before, err := r.server.metrics(ctx)
	if err != nil {
		return nil, err
	}
	result.outcome, err = r.blast(ctx, "q.blocked", load{server: cenoteAddr, seconds: r.ledger.Seconds(), rate: result.rate, clients: 256})
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(settleMax); ; time.Sleep(settleMax / 20) {
		after, err := r.server.metrics(ctx)
		if err != nil {
			return nil, err
		}
		result.grown(before, after)
		if result.recorded+result.lost >= result.matches || time.Now().After(deadline) {
			return result, nil
		}
	}
}

// grown notes what came between two readings of the metrics.
func (l *ledgerResult) grown(before, after map[string]float64) {
	diff := func(name string) float64 { return after[name] - before[name] }
	l.queries = diff("cenote_dnsserver_queries_total")
	l.matches = diff("cenote_dnsserver_matches_total")
	l.recorded = diff("cenote_sighting_matches_total")
	l.lost = diff("cenote_sighting_lost_total")
}

// checkMinima fails if a load's median ratio is below what the flag says, such as hits=0.70.
func (all *serverResults) checkMinima(flag string) error {
	for pair := range strings.SplitSeq(flag, ",") {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		least, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("-min %s: %w", pair, err)
		}
		for _, l := range all.loads {
			if got := median(l.ratios()); l.name == name && got < least {
				return fmt.Errorf("%s: ratio %.2f, want at least %.2f", name, got, least)
			}
		}
	}
	return nil
}

// text is the section of the page.
func (all *serverResults) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### The whole server\n\nOne core for the server and one for the load, %s names, defaults else; medians of %d turns. ", thousands(float64(all.names)), len(all.loads[0].server))
	b.WriteString("The ratio is to a responder in C that looks nothing up, in the same turn.\n\n")
	b.WriteString("| load | ratio | spread | server, queries/s | echo, queries/s | CPU, us/query | heap objects/query | loss | p50, p99, p99.9 at half the rate, us |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range all.loads {
		ratios := l.ratios()
		fmt.Fprintf(&b, "| %s | %.2f | %.2f to %.2f | %s | %s | %.2f | %.4f | %.3f %% | %.0f, %.0f, %.0f |\n", l.name, median(ratios), slices.Min(ratios), slices.Max(ratios),
			thousands(median(l.server)), thousands(median(l.echo)), median(l.cpu), l.objects, l.loss, l.half.P50, l.half.P99, l.half.P999)
	}
	if l := all.ledger; l != nil {
		fmt.Fprintf(&b, "\nThe ledger at %s queries/s from 256 clients: %s queries received of %s sent, %s matches, %s recorded, %s reported as lost.\n",
			thousands(float64(l.rate)), thousands(l.queries), thousands(float64(l.outcome.Sent)), thousands(l.matches), thousands(l.recorded), thousands(l.lost))
	}
	return b.String()
}
