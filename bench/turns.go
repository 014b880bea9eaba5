package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
)

// lossMax is how much of a load may be lost, in percent, before a turn says nothing.
const lossMax = 0.1

// settleMax is how long the ledger may take, once the load has ended, to take in the matches that lie in its queues.
const settleMax = 10 * time.Second

// loadResult is one kind of load: what server and echo did in each turn, and both at half the rate of the server.
type loadResult struct {
	name         string
	clients      int
	server, echo []float64 // queries a second
	cpu          []float64 // of the server, microseconds a query
	loss         float64   // the worst, percent
	objects      float64   // heap objects a query
	matched      float64   // of the queries, the share that policy matched
	missed       float64   // and the share for which the upstream was asked
	lost         float64   // matches that the ledger reported as lost
	logged       float64   // queries that the query log wrote
	unlogged     float64   // and those that it lost
	stops        stops     // of the garbage collector
	cache        cacheCost // of the answers that came into the cache while it was warmed up
	half         latency   // at half the rate of the server
	echoHalf     latency   // of echo, at the same rate
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
	rate, clients                    int
	names                            float64 // questions of the file
	queries, matches, recorded, lost float64
	outcome                          outcome
}

type serverResults struct {
	names  int
	loads  []*loadResult
	ledger *ledgerResult
	reload *reloadResult
	after  memory // of the server, when it had done all that
	stops  stops  // of its garbage collector, since its start
}

// rig is all that a measurement of the server needs.
type rig struct {
	*options
	tools  *tools
	server *cenote
	up     *upstream
	setup  *setup // of the server
	dir    string
	next   map[string]uint64 // by file of queries: where the next load begins
}

// measureServer starts the server and echo and runs every load.
func measureServer(ctx context.Context, o *options) (results *serverResults, err error) {
	err = withRig(ctx, o, func(r *rig) error {
		echo, err := r.tools.startEcho(ctx)
		if err != nil {
			return err
		}
		defer echo.Wait()
		defer echo.Process.Kill()
		results, err = r.measure(ctx)
		return err
	})
	return results, err
}

// withRig makes the tools and the list, starts the upstream and the server, and stops the server after use.
func withRig(ctx context.Context, o *options, use func(*rig) error) error {
	return withTools(ctx, o.shared, func(dir string, t *tools) error { return t.withRig(ctx, o, dir, use) })
}

func (t *tools) withRig(ctx context.Context, o *options, dir string, use func(*rig) error) (err error) {
	fmt.Printf("making a list of %s names\n", thousands(float64(o.names)))
	if err := t.makeData(ctx, o.names, dir); err != nil {
		return err
	}
	if err := writeClean(dir, cachedMany, "q.many", "q.many.warm"); err != nil {
		return err
	}
	if err := writeMisses(dir); err != nil {
		return err
	}
	if err := writeSmall(dir, 0); err != nil {
		return err
	}
	up, err := startUpstream(ctx)
	if err != nil {
		return err
	}
	r := &rig{options: o, tools: t, up: up, setup: &setup{dir: dir, upstream: up.addr, compile: o.compileCore, feeds: []feed{{"bench", "domains.txt"}, {"small", smallFile}}}, dir: dir, next: map[string]uint64{}}
	if r.server, err = startCenote(ctx, o, r.setup); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.server.stop()) }()
	if err := pinSelf(loadCore); err != nil {
		return err
	}
	return use(r)
}

// restart ends the server and starts another in its place, with what it left behind.
func (r *rig) restart(ctx context.Context, s *setup) error {
	if err := r.server.stop(); err != nil {
		return err
	}
	server, err := startCenote(ctx, r.options, s)
	if err == nil {
		r.server, r.setup = server, s
	}
	return err
}

func (r *rig) measure(ctx context.Context) (*serverResults, error) {
	all := &serverResults{names: r.names}
	plain, logged, misses := bySetup(r.kinds())
	if err := r.measureLoads(ctx, all, plain); err != nil {
		return nil, err
	}
	if err := r.measureRest(ctx, all); err != nil {
		return all, err
	}
	plainSetup := *r.setup
	withLog, recurses := plainSetup, plainSetup
	withLog.logAll, recurses.recurses = true, true
	return all, errors.Join(r.measureAs(ctx, all, logged, &withLog), r.measureAs(ctx, all, misses, &recurses))
}

// measureAs measures loads that need the server to be set up in another way.
func (r *rig) measureAs(ctx context.Context, all *serverResults, loads []kind, s *setup) error {
	if len(loads) == 0 {
		return nil
	}
	if err := r.restart(ctx, s); err != nil {
		return fmt.Errorf("for %s: %w", loads[0].name, err)
	}
	return r.measureLoads(ctx, all, loads)
}

func (r *rig) measureLoads(ctx context.Context, all *serverResults, loads []kind) error {
	for _, k := range loads {
		result, err := r.measureLoad(ctx, k)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		all.loads = append(all.loads, result)
	}
	return nil
}

// measureRest measures what is no load of the table: the ledger, reloads, and the memory that is taken in the end.
func (r *rig) measureRest(ctx context.Context, all *serverResults) (err error) {
	if r.ledger > 0 {
		if all.ledger, err = r.measureLedger(ctx, all.loads[0]); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	if r.reloads > 0 {
		if all.reload, err = r.measureReloads(ctx); err != nil {
			return fmt.Errorf("reloads: %w", err)
		}
	}
	now, err := r.server.metrics(ctx)
	if err != nil {
		return err
	}
	all.stops = stopsBetween(nil, now)
	all.after, err = r.server.memory()
	return err
}

// missedMax is the share of queries that may go to the upstream while all that can be cached is.
const missedMax = 0.001

func (r *rig) measureLoad(ctx context.Context, k kind) (*loadResult, error) {
	k.clients = r.clientsOf(k)
	cold, err := r.server.metrics(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.warm(ctx, k); err != nil {
		return nil, err
	}
	before, own, err := r.atRest(ctx)
	if err != nil {
		return nil, err
	}
	result := &loadResult{name: k.name, clients: k.clients, cache: cacheCostBetween(cold, before)}
	for turn := range r.turns {
		if err := r.turn(ctx, result, k, turn%2 == 1); err != nil {
			return nil, err
		}
		fmt.Printf("%s %d: server %s, echo %s\n", k.name, turn+1, thousands(result.server[turn]), thousands(result.echo[turn]))
	}
	after, err := r.server.metrics(ctx)
	if err != nil {
		return nil, err
	}
	result.grown(before, after, own)
	if err := result.check(k); err != nil {
		return nil, err
	}
	return result, r.halves(ctx, result, k)
}

// halfTurns is how often the server and echo take turns at half the rate of the server.
const halfTurns = 7

// halves notes how long answers take while there is half as much to do as can be done. Echo, which does next to nothing, shows what of it is the machine.
func (r *rig) halves(ctx context.Context, result *loadResult, k kind) error {
	var served, echoed []outcome
	for turn := range 2 * halfTurns {
		server, to := cenoteAddr, &served
		if turn%4 == 1 || turn%4 == 2 {
			server, to = echoAddr, &echoed
		}
		o, err := r.blast(ctx, k.file, load{server: server, clients: k.clients, seconds: 1, rate: int(median(result.server) / 2)})
		if err == nil {
			err = o.check()
		}
		if err != nil {
			return fmt.Errorf("at half the rate: %w", err)
		}
		*to = append(*to, o)
	}
	result.half, result.echoHalf = latencyOf(served), latencyOf(echoed)
	return nil
}

// latency says how long answers took in the middle one of some runs, in microseconds.
type latency struct{ p50, p99, p999 float64 }

func latencyOf(runs []outcome) latency {
	middle := func(of func(*outcome) float64) float64 {
		var all []float64
		for i := range runs {
			all = append(all, of(&runs[i]))
		}
		return median(all)
	}
	return latency{
		p50:  middle(func(o *outcome) float64 { return o.P50 }),
		p99:  middle(func(o *outcome) float64 { return o.P99 }),
		p999: middle(func(o *outcome) float64 { return o.P999 }),
	}
}

// String writes p50, p99 and p99.9.
func (l latency) String() string { return fmt.Sprintf("%.0f, %.0f, %.0f", l.p50, l.p99, l.p999) }

// restTries and restWait bound how long the server may go on with what a load has left it to do, such as finding out where a list has names that nobody
// had asked for before.
const (
	restTries = 120
	restWait  = 500 * time.Millisecond
)

// atRest reads the metrics once the server does nothing of its own any more, and says how many heap objects a reading takes: no more than the reading before
// it, but for a tenth.
func (r *rig) atRest(ctx context.Context) (now map[string]float64, own float64, err error) {
	last, err := r.server.metrics(ctx)
	if err != nil {
		return nil, 0, err
	}
	for try := range restTries {
		time.Sleep(restWait)
		if now, err = r.server.metrics(ctx); err != nil {
			return nil, 0, err
		}
		before := own
		if own = now[mallocs] - last[mallocs]; try > 0 && math.Abs(own-before) <= before/10 {
			break
		}
		last = now
	}
	return now, own, nil
}

// mallocs counts heap objects since the start.
const mallocs = "go_memstats_mallocs_total"

// grown notes what came between two readings of the metrics, of which the second allocated own objects itself.
func (r *loadResult) grown(before, after map[string]float64, own float64) {
	queries := after["cenote_dnsserver_queries_total"] - before["cenote_dnsserver_queries_total"]
	share := func(name string) float64 { return (after[name] - before[name]) / queries }
	r.objects = max(0, after[mallocs]-before[mallocs]-own) / queries
	r.matched = share("cenote_dnsserver_matches_total")
	r.missed = share("cenote_resolver_asked_total")
	r.lost = after["cenote_sighting_lost_total"] - before["cenote_sighting_lost_total"]
	r.logged = after["cenote_querylog_records_total"] - before["cenote_querylog_records_total"]
	r.unlogged = after["cenote_querylog_dropped_total"] - before["cenote_querylog_dropped_total"]
	r.stops = stopsBetween(before, after)
}

// check says whether the server did under load what the load is named for. What is no number passes no comparison.
func (r *loadResult) check(k kind) error {
	if !(r.matched >= k.matchedMin && r.matched <= k.matchedMax) {
		return fmt.Errorf("policy matched %.4f of the queries, want %v to %v: this is another load", r.matched, k.matchedMin, k.matchedMax)
	}
	if k.miss {
		if !(r.missed >= missedMin) {
			return fmt.Errorf("the network was asked for %.4f of the queries, want at least %v: the cache knew the rest", r.missed, missedMin)
		}
		return nil
	}
	if !(r.missed <= missedMax) {
		return fmt.Errorf("the upstream was asked for %.4f of the queries, want at most %v: not all was in the cache", r.missed, missedMax)
	}
	return nil
}

// check says whether a run of the load generator measured anything.
func (o *outcome) check() error {
	if o.Got == 0 || !(o.LossPct <= lossMax) || o.ServFail+o.Refused > 0 {
		return fmt.Errorf("%d replies, %.2f %% lost, %d SERVFAIL, %d REFUSED: this is no measurement", o.Got, o.LossPct, o.ServFail, o.Refused)
	}
	return nil
}

// warm asks every question of a file at least twice, slowly enough for the upstream, so that what can be in the cache is, and so that the
// ledger knows every listed name that is asked for. If the kind says so it knows the pairs of client and name too.
func (r *rig) warm(ctx context.Context, k kind) error {
	if k.miss {
		_, err := r.blast(ctx, k.file, load{server: cenoteAddr, clients: k.clients, seconds: 1, window: 32})
		return err
	}
	file := cmp.Or(k.warm, k.file)
	questions, err := countLines(filepath.Join(r.dir, file))
	if err != nil {
		return err
	}
	if k.pairs {
		questions *= uint64(k.clients)
	}
	for asked := uint64(0); asked < 2*questions+20_000; {
		o, err := r.blast(ctx, file, load{server: cenoteAddr, clients: k.clients, seconds: max(2, float64(questions)/warmRate), window: 32})
		if err != nil {
			return err
		}
		if o.Got == 0 {
			return errors.New("warming: the server answers nothing")
		}
		asked += o.Got
	}
	return nil
}

// warmRate says for how long the load generator is told to warm up at a time: reading its file takes it seconds where that is long.
const warmRate = 200_000 // questions a second

func countLines(path string) (uint64, error) {
	b, err := os.ReadFile(path)
	return uint64(bytes.Count(b, []byte("\n"))), err
}

// turn puts one and then the other under load; every second turn begins with the other.
func (r *rig) turn(ctx context.Context, result *loadResult, k kind, echoFirst bool) error {
	runEcho := func() error {
		o, err := r.blast(ctx, k.file, load{server: echoAddr, clients: k.clients, seconds: r.seconds, window: r.window})
		result.echo = append(result.echo, o.QPS)
		if err == nil {
			err = o.check()
		}
		if err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		return nil
	}
	runServer := func() error {
		before := r.server.cpu()
		o, err := r.blast(ctx, k.file, load{server: cenoteAddr, clients: k.clients, seconds: r.seconds, window: r.window})
		result.server = append(result.server, o.QPS)
		result.cpu = append(result.cpu, float64((r.server.cpu()-before).Nanoseconds())/1000/math.Max(float64(o.Got), 1))
		result.loss = math.Max(result.loss, o.LossPct)
		if err == nil {
			err = o.check()
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
	if file == missFile && o.Next < l.start && err == nil {
		err = errors.New("there are no more names that nobody has asked for: take fewer pairs, turns or seconds")
	}
	return o, err
}

// ledgerClients is how many addresses the ledger is loaded from.
const ledgerClients = 256

// measureLedger asks at half the rate of hits, from many addresses, for every name of the file in turn. The addresses are used in turn
// too, so the number of questions is made odd: then hardly a pair of client and name comes twice.
func (r *rig) measureLedger(ctx context.Context, hits *loadResult) (*ledgerResult, error) {
	result := &ledgerResult{rate: int(median(hits.server) / 2), clients: ledgerClients}
	var err error
	if result.names, err = r.oddLines("q.blocked", "q.ledger"); err != nil {
		return nil, err
	}
	before, err := r.settled(ctx)
	if err != nil {
		return nil, err
	}
	result.outcome, err = r.blast(ctx, "q.ledger", load{server: cenoteAddr, seconds: r.ledger.Seconds(), rate: result.rate, clients: ledgerClients})
	if err != nil {
		return nil, err
	}
	after, err := r.settled(ctx)
	if err != nil {
		return nil, err
	}
	result.grown(before, after)
	return result, nil
}

// settled reads the metrics once every match that the server counted is recorded or reported as lost, or after settleMax.
func (r *rig) settled(ctx context.Context) (map[string]float64, error) {
	for deadline := time.Now().Add(settleMax); ; time.Sleep(settleMax / 20) {
		now, err := r.server.metrics(ctx)
		if err != nil {
			return nil, err
		}
		var since ledgerResult
		since.grown(nil, now)
		if since.recorded+since.lost >= since.matches || time.Now().After(deadline) {
			return now, nil
		}
	}
}

// oddLines copies a file of queries, without its last line if they are even, and returns how many there are.
func (r *rig) oddLines(from, to string) (float64, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, from))
	if err != nil {
		return 0, err
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	if len(lines)%2 == 0 {
		lines = lines[:len(lines)-1]
	}
	return float64(len(lines)), os.WriteFile(filepath.Join(r.dir, to), bytes.Join(lines, nil), 0o600)
}

// pairs is how many different pairs of client and name came, if they met at random.
func (l *ledgerResult) pairs() float64 {
	all := l.names * float64(l.clients)
	return all * (1 - math.Exp(-l.matches/all))
}

// check fails unless every match is accounted for and none was lost.
func (l *ledgerResult) check() error {
	if !(l.matches > 0) || l.recorded+l.lost != l.matches || l.lost > 0 {
		return fmt.Errorf("ledger: of %.0f matches %.0f were recorded and %.0f reported as lost; want all recorded", l.matches, l.recorded, l.lost)
	}
	return nil
}

// grown notes what came between two readings of the metrics.
func (l *ledgerResult) grown(before, after map[string]float64) {
	diff := func(name string) float64 { return after[name] - before[name] }
	l.queries = diff("cenote_dnsserver_queries_total")
	l.matches = diff("cenote_dnsserver_matches_total")
	l.recorded = diff("cenote_sighting_matches_total")
	l.lost = diff("cenote_sighting_lost_total")
}
