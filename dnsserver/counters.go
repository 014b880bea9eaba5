package dnsserver

import (
	"sync/atomic"
	"time"

	"cenote/policy"
	"cenote/querylog"
	"cenote/tsig"
	"cenote/wire"
)

// counters are one worker's. The scrape reads them while the worker counts, so each is atomic; no two workers share a cache line of
// them, so counting costs a few nanoseconds. Every enum that indexes an array here is bounded by its constant below.
type counters struct {
	_          [64]byte
	queries    [transportsMax]atomic.Uint64 // messages that came, by transport
	replies    [rcodesMax]atomic.Uint64     // by response code; the last for all above
	drops      [dropsMax]atomic.Uint64      // messages without a reply, by reason
	faults     [faultsMax]atomic.Uint64     // queries that could not be answered as asked, by wire.Fault
	decided    [actionsMax]atomic.Uint64    // queries that a rule decided, by action
	observed   [actionsMax]atomic.Uint64    // matches that decided nothing, by action
	sources    [sourcesMax]atomic.Uint64    // replies, by where the answer came from
	cookies    [cookiesMax]atomic.Uint64    // queries, by what their cookie was worth
	signatures [signaturesMax]atomic.Uint64 // queries with a TSIG record, by tsig.Fault
	truncated  atomic.Uint64
	late       atomic.Uint64 // of them, cut since they came too late
	slipped    atomic.Uint64 // over the rate and answered shortly
	refused    atomic.Uint64 // outside the access list, with a reply
	shed       atomic.Uint64 // found no room to wait for the network
	failed     atomic.Uint64 // the resolver had no answer
	bugs       atomic.Uint64 // faults of our own that were caught
	waits      [waitsMax]atomic.Uint64
	waited     atomic.Int64 // nanoseconds, of all that waits counts
	_          [64]byte
}

const (
	transportsMax = int(policy.TransportQUIC) + 1
	rcodesMax     = wire.RcodeBadCookie + 2
	faultsMax     = int(wire.FaultCookie) + 1
	actionsMax    = int(policy.ActionDisabled) + 1
	sourcesMax    = int(querylog.SourceZone) + 1
	cookiesMax    = int(cookieValid) + 1
	signaturesMax = int(tsig.FaultUnsigned) + 1
	waitsMax      = len(waitBounds) + 1
)

// waitBounds are the upper ends of the histogram of queries that waited for the network. The rest are answered in microseconds and
// without a look at the clock.
var waitBounds = [...]time.Duration{time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second}

func newCounters() *counters { return &counters{} }

// dropReason is why a message got no reply.
type dropReason uint8

const (
	dropNoQuery dropReason = iota // too short, a response, or from port 0
	dropAccess                    // outside the access list
	dropRate                      // over the rate
	dropPolicy                    // a rule said DROP
	dropRoom                      // no room for even the shortest reply
	dropsMax
)

// String is the label value of the metrics.
func (d dropReason) String() string {
	switch d {
	case dropNoQuery:
		return "no-query"
	case dropAccess:
		return "access"
	case dropRate:
		return "rate"
	case dropPolicy:
		return "policy"
	case dropRoom:
		return "room"
	case dropsMax:
	}
	return "unknown"
}

// String is the label value of the metrics.
func (c cookieState) String() string {
	switch c {
	case cookieNone:
		return "none"
	case cookieNew:
		return "new"
	case cookieValid:
		return "valid"
	}
	return "unknown"
}

// reply counts a message that left.
func (c *counters) reply(q *Query) {
	c.replies[min(q.draft.rcode, rcodesMax-1)].Add(1)
	c.sources[q.source.kind].Add(1)
	if q.Reply[2]&(wire.FlagTC>>8) != 0 {
		c.truncated.Add(1)
	}
}

// decision counts what the policy said.
func (c *counters) decision(d *policy.Decision) {
	if d.Matched() {
		c.decided[d.Winner.Action].Add(1)
	}
	for i := range d.NObserved {
		c.observed[d.Observed[i].Action].Add(1)
	}
}

// wait counts a query that waited for the network.
func (c *counters) wait(d time.Duration) {
	i := 0
	for i < len(waitBounds) && d > waitBounds[i] {
		i++
	}
	c.waits[i].Add(1)
	c.waited.Add(int64(d))
}
