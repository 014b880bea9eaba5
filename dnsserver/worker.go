package dnsserver

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"cenote/querylog"
	"cenote/sighting"
)

// core is what all workers share: where policy, truth and records come from, and the settings in force.
type core struct {
	config    Config
	log       *slog.Logger
	settings  atomic.Pointer[settings]
	bounds    atomic.Pointer[Bounds] // with their defaults
	applying  sync.Mutex             // held while settings are replaced
	transfers *transfers
	updates   updateCounters
	notices   noticeCounters

	mu      sync.Mutex
	workers []*worker // guarded by mu; for the scrape
}

// newCore checks c and makes the part of a server that answers.
func newCore(c Config) (*core, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	out := &core{config: c, log: c.Log}
	if out.log == nil {
		out.log = slog.Default()
	}
	out.setBounds(c.Bounds)
	out.transfers = newTransfers(out)
	return out, out.apply(c.Settings)
}

// setBounds puts b in force for what is let in from now on.
func (c *core) setBounds(b Bounds) {
	b = b.withDefaults()
	c.bounds.Store(&b)
}

// apply puts s in force for the queries that begin from now on. On an error nothing has changed.
func (c *core) apply(s Settings) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	compiled, err := s.compile(c.settings.Load())
	if err != nil {
		return err
	}
	c.settings.Store(compiled)
	return nil
}

// worker answers queries. One that newWorker made belongs to one goroutine; one that newShared made may be used by many at once.
type worker struct {
	core     *core
	counters *counters
	sights   eventRing  // nil: ledger
	ledger   eventQueue // nil: matches are only counted
	queries  recordRing // nil: log
	log      recordQueue
}

// eventRing is a worker's own queue of matches. Slot gives the event to fill, which Commit hands over; neither waits.
type eventRing interface {
	Slot() *sighting.Event
	Commit()
}

// eventQueue is the queue of matches that all share.
type eventQueue interface {
	Put(fill func(*sighting.Event))
}

// recordRing is a worker's own queue of query log records. Slot gives nil if it is full, which it counts by itself.
type recordRing interface {
	Want(match bool) bool
	Slot() *querylog.Record
	Commit()
}

// recordQueue is the queue of query log records that all share.
type recordQueue interface {
	Want(match bool) bool
	Put(fill func(*querylog.Record))
}

// newWorker makes a worker for one goroutine, with queues of its own for matches and for the query log.
func (c *core) newWorker() *worker {
	w := c.newShared()
	if c.config.Sightings != nil {
		w.sights = c.config.Sightings.Producer()
	}
	if c.config.Queries != nil {
		w.queries = c.config.Queries.Producer()
	}
	return w
}

// newShared makes a worker that any number of goroutines may use at once, each with a Query of its own.
func (c *core) newShared() *worker {
	w := &worker{core: c, counters: newCounters()}
	if c.config.Sightings != nil {
		w.ledger = c.config.Sightings
	}
	if c.config.Queries != nil {
		w.log = c.config.Queries
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.workers = append(c.workers, w)
	return w
}

// resolve asks the network for what q waits for. The caller then calls answer again, on this or another worker.
func (w *worker) resolve(ctx context.Context, q *Query) {
	defer w.rescueResolve(q)
	switch {
	case q.pending:
		w.makeUpdate(q)
		return
	case q.path.wanted:
		w.findPaths(ctx, q)
		return
	}
	answer, err := w.core.config.Resolver.Resolve(ctx, q.wantedKey(w.core.config.Cache), q.source.room())
	if err != nil {
		w.counters.failed.Add(1)
	}
	q.source.fill(answer, err)
}

// shed answers a query that found no room among those that wait for the network: with what the cache still holds past its time,
// or else SERVFAIL.
func (w *worker) shed(q *Query) (v Verdict) {
	defer w.rescue(q, &v)
	w.counters.shed.Add(1)
	switch {
	case q.pending:
		q.failUpdate()
	case q.path.wanted:
		q.failPaths()
	default:
		q.source.asked = true
		w.findStale(q)
	}
	if v = w.answer(q); v == NeedNetwork {
		return Dropped
	}
	return v
}

// rescue keeps a fault of our own from stopping the server (invariant 6): the client gets SERVFAIL, the fault is counted and logged. A fault
// of step 6 leaves the reply as it was made.
func (w *worker) rescue(q *Query, v *Verdict) {
	fault := recover()
	if fault == nil {
		return
	}
	w.bug(fault)
	if q.step != stepRecord {
		*v = w.fail(q)
	}
}

// fail ends a query that met a fault of our own. What was decided by then is recorded (invariant 10), a pending decision as the one that
// holds. A second fault, on this way, is caught too, and leaves a reply only if that was made before.
func (w *worker) fail(q *Query) (v Verdict) {
	v = Dropped
	defer w.rescueAlone()
	v = w.replyFailure(q)
	q.decision.Pending = false
	w.record(q, v)
	return v
}

func (w *worker) rescueResolve(q *Query) {
	if fault := recover(); fault != nil {
		w.bug(fault)
		q.source.fill(Resolved{}, errBug)
	}
}

// rescueAlone is for what leaves no query to be answered.
func (w *worker) rescueAlone() {
	if fault := recover(); fault != nil {
		w.bug(fault)
	}
}

func (w *worker) bug(fault any) {
	w.counters.bugs.Add(1)
	w.core.log.Error("a query met a fault in the server", "fault", fault, "stack", string(debug.Stack()))
}

// now is the time at which a query that waited is answered. Those that did not are answered at the time they came.
func (w *worker) now(q *Query) time.Time {
	if q.source.slow {
		return w.core.config.Now()
	}
	return q.Time
}
