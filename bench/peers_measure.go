package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// peerKind is a load under which peers are measured.
type peerKind struct {
	kind
	tcp bool
}

// peerLoads are the loads that were asked for: those of the server that peers know too, and the cached names over TCP.
func (o *options) peerLoads() (out []peerKind) {
	for _, name := range [...]string{"hits", "cached", "mix"} {
		out = append(out, peerKind{kind: kinds[slices.Index(loadNames(), name)]})
	}
	out = append(out, peerKind{kind: kind{name: "tcp", file: "q.clean"}, tcp: true})
	out = append(out, peerKind{kind: kinds[slices.Index(loadNames(), "misses")]})
	return slices.DeleteFunc(out, func(k peerKind) bool { return o.loads != "" && !slices.Contains(strings.Split(o.loads, ","), k.name) })
}

// contender is one of the two that take turns.
type contender struct {
	name, addr string
	pid        int
	window     int // queries under way at full load over UDP
}

// side is what one of the two did under a load; the slices have one figure a pair.
type side struct {
	rates  []float64 // queries a second
	cpus   []float64 // microseconds a query
	busy   []float64 // share of its core
	same   []outcome // at half of the slower one's rate
	own    []outcome // at half of its own
	memory float64   // MiB, when the load was over
	began  float64   // and when it began
	got    uint64    // replies meanwhile
	window int
}

// pairResult is the server beside one peer under one load.
type pairResult struct {
	load         string
	cenote, peer side
	rate         int     // queries a second of side.same
	asked        float64 // share of the peer's queries for which it asked the upstream
	loadBusy     float64 // the load's share of its core, at most; over TCP
	reconnects   float64 // share of the peer's queries after which it ended the connection
	repeated     int     // pairs that were no measurement and were run again
	reason       string  // why there are no figures
	timeless     string  // why there are no times of answers
}

func (p *pairResult) ratios() []float64 {
	out := make([]float64, len(p.peer.rates))
	for i := range out {
		out[i] = p.cenote.rates[i] / p.peer.rates[i]
	}
	return out
}

// match is the server beside one peer under one load, while it is measured.
type match struct {
	*rig
	kind         peerKind
	cenote, peer contender
	result       *pairResult
}

// measurePeers starts one peer after the other.
func (r *rig) measurePeers(ctx context.Context) (*peerResults, error) {
	peers, err := peersOf(r.peers)
	if err != nil {
		return nil, err
	}
	if err := writeNSDZone(r.dir); err != nil {
		return nil, err
	}
	all := &peerResults{names: r.names, pairs: r.pairs, served: r.server.ready, loads: r.peerLoads()}
	for _, p := range peers {
		result := &peerResult{peer: p, version: p.version(ctx)}
		all.peers = append(all.peers, result)
		if err := r.measurePeer(ctx, result); err != nil {
			return nil, fmt.Errorf("beside %s: %w", p.name, err)
		}
	}
	return all, nil
}

// measurePeer runs one peer under its loads. What is wrong with the peer is noted in the result; an error is what ends the measurement of all.
func (r *rig) measurePeer(ctx context.Context, result *peerResult) error {
	s, served, err := r.startPeer(ctx, &result.peer)
	if err != nil {
		result.reason = err.Error()
		fmt.Printf("%s is not measured: %v\n", result.name, err)
		return ctx.Err()
	}
	defer s.stop()
	result.served = served
	for _, k := range r.peerLoads() {
		if !result.peer.bears(k) {
			continue
		}
		if err := r.setUpFor(ctx, k); err != nil {
			return err
		}
		pair, err := r.measurePair(ctx, k, result.name, s)
		if err != nil {
			return err
		}
		result.loads = append(result.loads, pair)
	}
	return nil
}

// setUpFor starts the server anew if a load needs it to be set up in another way.
func (r *rig) setUpFor(ctx context.Context, k peerKind) error {
	if r.setup.recurses == k.miss {
		return nil
	}
	s := *r.setup
	s.recurses = k.miss
	return r.restart(ctx, &s)
}

// measurePair runs one load. It returns an error only if the server has ended or the measurement is to end.
func (r *rig) measurePair(ctx context.Context, k peerKind, name string, s *peerServer) (*pairResult, error) {
	k.clients = r.clientsOf(k.kind)
	m := &match{rig: r, kind: k, result: &pairResult{load: k.name},
		cenote: contender{name: "cenote", addr: cenoteAddr, pid: r.server.cmd.Process.Pid}, peer: contender{name: name, addr: peerAddr, pid: s.pid()}}
	err := m.run(ctx)
	select {
	case <-r.server.done:
		return nil, errors.Join(errors.New("the server has ended"), err)
	default:
	}
	if err != nil {
		m.result.reason = err.Error()
		if s.ended() {
			m.result.reason = "it ended: " + s.lastWords()
		}
		fmt.Printf("%s beside %s is not measured: %s\n", k.name, name, m.result.reason)
	}
	return m.result, ctx.Err()
}

// run warms both and lets them take turns: at full load, and then at half of the rates that this showed.
func (m *match) run(ctx context.Context) error {
	for _, c := range [...]*contender{&m.cenote, &m.peer} {
		if err := m.warmContender(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	before, err := m.server.metrics(ctx)
	if err != nil {
		return err
	}
	m.result.cenote.began, m.result.peer.began = memoryOfTree(m.cenote.pid), memoryOfTree(m.peer.pid)
	m.result.cenote.got, m.result.peer.got = 0, 0
	if err := m.alternate(m.pairs, func(i int) error { return m.fullPair(ctx, i) }); err != nil {
		return err
	}
	if err := m.checkServer(ctx, before); err != nil {
		return fmt.Errorf("cenote: %w", err)
	}
	fmt.Printf("%s beside %s: ratio %.2f, cenote %s, %s %s\n", m.kind.name, m.peer.name, median(m.result.ratios()),
		thousands(median(m.result.cenote.rates)), m.peer.name, thousands(median(m.result.peer.rates)))
	if err := m.alternate(m.pairs, func(i int) error { return m.halfPair(ctx, i) }); err != nil {
		m.result.timeless = err.Error()
		m.result.cenote.same, m.result.cenote.own, m.result.peer.same, m.result.peer.own = nil, nil, nil, nil
	}
	m.result.cenote.memory, m.result.peer.memory = memoryOfTree(m.cenote.pid), memoryOfTree(m.peer.pid)
	return nil
}

// checkServer says whether the server met what the load is named for; over TCP its metrics count the same.
func (m *match) checkServer(ctx context.Context, before map[string]float64) error {
	after, err := m.server.metrics(ctx)
	if err != nil {
		return err
	}
	var seen loadResult
	seen.grown(before, after, 0)
	return seen.check(m.kind.kind)
}

// alternate runs n pairs. One that is no measurement is run again, at most n times in all.
func (m *match) alternate(n int, pair func(i int) error) error {
	failed := 0
	for i := 0; i < n; {
		err := pair(i)
		if err == nil {
			i++
			continue
		}
		var bad *unmeasured
		if failed++; !errors.As(err, &bad) || failed > n {
			return err
		}
		m.result.repeated++
	}
	return nil
}

// unmeasured is a run that says nothing, but another one may.
type unmeasured struct {
	name string
	err  error
}

// Error names who could not be measured, and why.
func (u *unmeasured) Error() string { return u.name + ": " + u.err.Error() }

// order is who begins: each in turn.
func (m *match) order(i int) [2]*contender {
	if i%2 == 1 {
		return [2]*contender{&m.peer, &m.cenote}
	}
	return [2]*contender{&m.cenote, &m.peer}
}

func (m *match) side(c *contender) *side {
	if c == &m.cenote {
		return &m.result.cenote
	}
	return &m.result.peer
}

// fullPair puts both under full load, and keeps the figures if both were measured.
func (m *match) fullPair(ctx context.Context, i int) error {
	var runs [2]fullRun
	for j, c := range m.order(i) {
		var err error
		if runs[j], err = m.full(ctx, c); err != nil {
			return err
		}
	}
	for j, c := range m.order(i) {
		s, run := m.side(c), runs[j]
		s.window = c.window
		s.rates = append(s.rates, run.QPS)
		s.cpus = append(s.cpus, float64(run.cpu.Nanoseconds())/1000/float64(run.Got))
		s.busy = append(s.busy, run.cpu.Seconds()/m.seconds)
		m.result.loadBusy = math.Max(m.result.loadBusy, run.Busy)
		if c == &m.peer {
			m.result.asked = math.Max(m.result.asked, float64(run.asked)/float64(run.Got))
			m.result.reconnects = math.Max(m.result.reconnects, float64(run.Reconnects)/float64(run.Got))
		}
	}
	return nil
}

// fullRun is one run at full load.
type fullRun struct {
	outcome
	cpu   time.Duration
	asked uint64 // queries that came to the upstream
}

func (m *match) full(ctx context.Context, c *contender) (run fullRun, err error) {
	asked, used := m.up.asked.Load(), treeCPU(c.pid)
	run.outcome, err = m.blastContender(ctx, c, m.seconds, 0)
	run.cpu, run.asked = treeCPU(c.pid)-used, m.up.asked.Load()-asked
	return run, err
}

// halfPair asks both at half of the slower one's rate, and the quicker one at half of its own too.
func (m *match) halfPair(ctx context.Context, i int) error {
	halves := map[*contender]int{}
	for _, c := range m.order(i) {
		halves[c] = max(int(median(m.side(c).rates)/2), 1)
	}
	m.result.rate = min(halves[&m.cenote], halves[&m.peer])
	var same, own [2]outcome
	for j, c := range m.order(i) {
		var err error
		if same[j], err = m.blastContender(ctx, c, m.seconds, m.result.rate); err != nil {
			return err
		}
		own[j] = same[j]
		if halves[c] == m.result.rate {
			continue
		}
		if own[j], err = m.blastContender(ctx, c, m.seconds, halves[c]); err != nil {
			return err
		}
	}
	for j, c := range m.order(i) {
		s := m.side(c)
		s.same, s.own = append(s.same, same[j]), append(s.own, own[j])
	}
	return nil
}

// blastContender runs a load at a rate, or as fast as it goes if that is 0. A run that is no measurement is an error of type unmeasured.
func (m *match) blastContender(ctx context.Context, c *contender, seconds float64, rate int) (o outcome, err error) {
	if m.kind.tcp {
		o, err = blastTCP(ctx, tcpLoad{Server: c.addr, Port: port, Queries: filepath.Join(m.dir, m.kind.file), Seconds: seconds,
			Conns: m.conns, Window: m.tcpWindow, Rate: rate, Start: m.next[m.kind.file]})
		m.next[m.kind.file] = o.Next
	} else {
		o, err = m.blast(ctx, m.kind.file, load{server: c.addr, clients: m.kind.clients, seconds: seconds, window: c.window, rate: rate})
	}
	m.side(c).got += o.Got
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return o, errors.Join(ctx.Err(), &unmeasured{c.name, err})
	}
	return o, nil
}
