package sighting

import (
	"context"
	"time"

	"cenote/pace"
	"cenote/ring"

	"github.com/zeebo/xxh3"
)

// The rhythm of the collector. What it drains is summed up for windowMax, then goes into the journal and the table of the
// hour: with a wait of at most idleMax before, and the write behind it, an event is on disk within 100 ms.
const (
	windowMax     = 20 * time.Millisecond
	busyWait      = 5 * time.Millisecond
	idleMax       = 25 * time.Millisecond
	chunk         = 64                    // events that are taken under one lock
	workMax       = 20 * time.Microsecond // what a query waits for the collector
	restBelow     = 16                    // of a ring, the part that may be full while the collector rests
	windowPairs   = 16 << 10              // pairs that close a window early
	lossFlush     = time.Second
	segmentOctets = 64 << 20
	freezeOctets  = 256 << 20 // of journal: what a start may have to replay for one table
	freezeSize    = 256 << 20 // of table
	hourGrace     = 5 * time.Second
	timeBehind    = 48 * time.Hour // events that are older, or
	timeAhead     = 24 * time.Hour // further ahead, get the time of their arrival
)

// collector drains the rings into the ledger. Everything in it belongs to its one goroutine; what others read is in the ledger,
// whose lock it holds for some microseconds at a time.
type collector struct {
	s       *Store
	asked   chan func()   // what others want done between two passes
	pressed chan struct{} // by a producer whose ring fills
	delta   *table        // the window: numbers are those of ledger.dict

	sequence uint64    // of the last batch
	opened   time.Time // when the window began
	last     bool      // this is the last pass
	pass     int64     // when the last complete pass over the rings began, nanoseconds since the epoch

	day     uint32        // that seen and clients are about
	seen    *fingerprints // (client, zone, name) -> 0, or 1 if counted by family
	clients *fingerprints // client -> distinct indicators
	known   *fingerprints // (client, family) -> day of the last sighting
	aged    int           // parts of known that were looked through today for what is older than the retention

	pending *losses // not yet in a batch
	flushed time.Time

	segment segmentState
	check   checkpoint
	row     row
	ahead   foresight
	pace    pace.Pace
}

// segmentState is what the collector must know of the journal segment that its next batch goes to.
type segmentState struct {
	number uint32 // counts segments; 0 before the first
	octets int64
	hour   uint32
	ended  bool        // the scribe was told to close it
	rules  []uint32    // by number of rule: the segment that last defined it
	dict   *dictionary // whose places are being written
	placed int         // records of dict whose places, if they were known, are in the journal
}

// checkpoint waits until everything that was interned at a time is resolved.
type checkpoint struct {
	at       int64
	interned uint64
}

func newCollector(s *Store) *collector {
	return &collector{
		s: s, asked: make(chan func()), pressed: make(chan struct{}, 1), delta: newTable(s.seed), pending: newLosses(),
		pace: pace.Pace{Work: workMax}, seen: newFingerprints(fingerprintsMax), clients: newFingerprints(fingerprintsMax), known: newFingerprints(fingerprintsMax),
	}
}

// fingerprintsMax bounds each set of the collector; above it bounds per client are not enforced for new pairs, and new first
// sightings are not announced.
const fingerprintsMax = 1 << 24

// run drains until ctx ends, and then once more.
func (c *collector) run(ctx context.Context) {
	wait := busyWait
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for ctx.Err() == nil {
		if c.drain(c.s.now()) > 0 {
			wait = busyWait
		} else {
			wait = min(wait+busyWait, idleMax)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case f := <-c.asked:
			f()
		case <-c.pressed:
		case <-timer.C:
		}
	}
	c.finish()
}

// finish takes what is left in the rings and hands everything to the writer.
func (c *collector) finish() {
	c.last = true
	c.drain(c.s.now())
	l := &c.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freeze(l.active.since, c.s.seed)
}

// drain makes one pass over all rings and returns how many events it took.
func (c *collector) drain(now time.Time) (taken int) {
	for _, p := range *c.s.producers.list.Load() {
		taken += c.drainRing(p.ring, now)
		c.drainSpill(p.spill, now)
	}
	taken += c.drainRing(c.s.shared.queue.Ring(), now)
	c.drainSpill(c.s.shared.spill, now)
	c.pass = now.UnixNano()
	if c.delta.pairs() == 0 || time.Since(c.opened) >= windowMax || c.last {
		c.seal()
	}
	if c.delta.pairs() == 0 {
		c.s.progress.drainedTo(c.pass, c.sequence)
	}
	c.tick(now)
	c.ageKnown()
	return taken
}

// ageKnown forgets who was last seen before the retention, a part at a time: for greet they are new again anyway, and known is bounded.
func (c *collector) ageKnown() {
	kept := uint32(c.s.live.Load().RetentionDays)
	switch {
	case c.day < kept:
	case c.aged < c.known.parts():
		c.known.forget(c.aged, c.day-kept)
		c.aged++
	case c.known.shrink():
		c.aged = c.known.parts()
	}
}

// drainRing takes what is in r now; what comes meanwhile is left for the next pass.
func (c *collector) drainRing(r *ring.SPSC[Event], now time.Time) int {
	l := &c.s.ledger
	n := r.Len()
	for left := n; left > 0; {
		events := r.Peek(min(left, chunk))
		l.mu.Lock()
		c.ahead.lookUp(events, l.dict)
		for i := range events {
			c.identify(&events[i], &c.ahead.events[i], now)
		}
		for i := range events {
			c.add(&events[i], &c.ahead.events[i])
		}
		l.mu.Unlock()
		r.Release(len(events))
		left -= len(events)
		c.rest()
		if c.delta.pairs() >= windowPairs {
			c.seal()
		}
	}
	c.s.counters.events.Add(uint64(n))
	return n
}

// rest lets queries through that came meanwhile: on a machine with a worker a core, they would wait for the end of the pass. It does not where a
// ring fills, for a worker that is busy all the time gives the core back late. ledger.mu is not held.
func (c *collector) rest() {
	for _, p := range *c.s.producers.list.Load() {
		if restBelow*p.ring.Len() > p.ring.Cap() {
			return
		}
	}
	c.pace.Look()
}

// identify says which pair and hour an event is of, and fetches where the window has it. ledger.mu is held.
func (c *collector) identify(e *Event, f *foreseen, now time.Time) {
	ns := e.Time
	if off := ns - now.UnixNano(); off < -int64(timeBehind) || off > int64(timeAhead) {
		ns = now.UnixNano()
		c.s.counters.retimed.Add(1)
	}
	f.number = c.intern(e, f)
	f.hour, f.at = split(ns)
	f.tag = c.delta.tag(&e.Client, f.number, f.hour)
	c.delta.touch(f.tag)
}

// add counts one event in the window. ledger.mu is held.
func (c *collector) add(e *Event, f *foreseen) {
	if c.delta.pairs() == 0 {
		c.opened = time.Now()
	}
	entry, _ := c.delta.upsert(f.tag, &e.Client, f.number, f.hour)
	c.delta.note(entry, &sample{
		at: f.at, port: e.ClientPort, qtype: e.QType, transport: e.Transport, stage: e.Stage, flags: e.Flags, prefix: e.Name[:f.listed],
	})
}

// intern returns the number of the indicator that e names. ledger.mu is held.
func (c *collector) intern(e *Event, f *foreseen) uint32 {
	t := termOf(e, int(f.listed))
	d := c.s.ledger.dict
	number, fresh := d.intern(&t, f.key)
	if fresh {
		r := c.ruleOf(e)
		d.at(number).rule = r
		c.s.ledger.interned++
		c.s.wakeResolver()
	}
	return number
}

// ruleOf returns the rule of the member that e names. The Catalog is asked once a member and generation: what it says of
// one name of a set, but for the place, holds for all. ledger.mu is held.
func (c *collector) ruleOf(e *Event) uint32 {
	l := &c.s.ledger
	k := memberKey{generation: e.Generation, set: e.Set, member: e.Member, zone: e.Zone}
	if n, ok := l.dict.rules[k]; ok {
		return n
	}
	in, err := c.s.config.Catalog.Indicator(e.Generation, e)
	if err != nil {
		c.s.counters.unresolved.Add(1)
		in = Indicator{Confidence: -1}
	}
	n := l.rule(ruleOf(&in), c.s.seed)
	l.dict.rules[k] = n
	return n
}

// drainSpill counts what a full ring turned away.
func (c *collector) drainSpill(s *spill, now time.Time) {
	if s.turned.Load() == s.counted {
		return
	}
	t, blind := s.take()
	s.counted += blind + t.beyond
	l := &c.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range t.slots {
		if o := &t.slots[i]; o.count > 0 {
			s.counted += o.count
			c.lose(LossRing, c.ruleOf(&o.event), &o.event.Client, o.count, o.first, o.last)
		}
	}
	if t.beyond > 0 {
		c.lose(LossTable, 0, nil, t.beyond, t.first, t.last)
	}
	if blind > 0 {
		c.lose(LossTable, 0, nil, blind, c.pass, now.UnixNano())
	}
}

// lose counts n matches that are not recorded one by one; client is nil if it is not known.
func (c *collector) lose(reason LossReason, rule uint32, client *[16]byte, n uint64, from, to int64) {
	k := lossKey{reason: reason, rule: rule}
	if client != nil {
		k.client = prefixOf(client)
	}
	c.pending.add(k, n, from, to)
	c.s.counters.lost[reason].Add(n)
}

// tick does what the passing of time asks for.
func (c *collector) tick(now time.Time) {
	l := &c.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.check.at == 0 {
		c.check = checkpoint{at: c.pass, interned: l.interned}
	}
	if l.resolved >= c.check.interned {
		c.s.progress.resolvedTo(c.check.at)
		c.check.at = 0
	}
	if l.active.empty() {
		l.active.since = hourOf(now)
		if len(l.frozen) == 0 {
			c.s.durable.Store(l.active.to) // the last batches may have held nothing for a day file
		}
		if c.segment.number > 0 && !c.segment.ended && c.segment.hour != l.active.since {
			c.endSegment(make(chan struct{})) // so that it can go when its time has come, though no match follows
		}
		return
	}
	if !now.Before(hourTime(l.active.since + 1).Add(hourGrace)) {
		c.freeze(now)
	}
}

// freeze hands the table of the hour to the writer. ledger.mu is held, and the window is empty or will be numbered anew.
func (c *collector) freeze(now time.Time) {
	if c.delta.pairs() > 0 {
		return // numbers in the window are of this dictionary; the next seal comes within windowMax
	}
	c.s.ledger.freeze(hourOf(now), c.s.seed)
	c.s.wakeWriter()
}

// full reports whether the active memory is to be frozen. ledger.mu is held.
func (c *collector) full() bool {
	m := c.s.ledger.active
	return m.pairs() >= c.s.live.Load().Limits.TablePairs || m.table.size() >= freezeSize || m.octets >= freezeOctets
}

// capHash is what distinct indicators of a client are told apart by: the policy zone and the listed name.
func capHash(client *[16]byte, zone uint64, name []byte) uint64 {
	return xxh3.HashSeed(name, pairHash(zone, client, 0, 0))
}
