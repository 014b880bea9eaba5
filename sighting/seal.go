package sighting

import "time"

// seal closes the window: bounds are applied, and each pair goes into the journal's next batch and the table of the hour.
// If the journal takes nothing more, the window is lost and counted. Between two runs of pairs it lets go of ledger.mu and rests; nobody but the
// collector changes what it goes on with then.
func (c *collector) seal() {
	l := &c.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	now := c.s.now()
	if c.delta.pairs() == 0 && !c.duePlaces() && !c.dueLosses(now) {
		return
	}
	if !c.s.scribe.accepts(2*c.delta.content() + len(c.pending.m)*64) {
		c.loseWindow()
		return
	}
	c.turnDay(hourOf(now) / hoursPerDay)
	b := c.s.scribe.buffer()
	c.turnSegment(b, hourOf(now))
	for _, pairs := range c.delta.entries.runs(chunk) {
		c.ahead.place(pairs, c)
		for i := range pairs {
			c.settle(b, &pairs[i], &c.ahead.pairs[i])
		}
		l.mu.Unlock()
		c.rest()
		l.mu.Lock()
	}
	c.delta.reset()
	c.flushPlaces(b)
	if c.dueLosses(now) {
		c.flushLosses(b, now)
	}
	c.append(b)
	if c.full() {
		c.freeze(now)
	}
}

func (c *collector) append(b *batch) {
	if b.empty() {
		if b.rotate {
			c.segment.octets = segmentOctets // it is the next that turns the segment
		}
		return
	}
	c.sequence++
	b.sequence, b.through = c.sequence, c.pass
	m := c.s.ledger.active
	m.to = c.sequence
	m.octets += int64(b.size())
	c.segment.octets += int64(b.size())
	c.s.scribe.append(b)
}

// turnSegment begins a new segment of the journal when the hour is over or the old one is large. What was defined in the
// old one is then defined anew where it is used.
func (c *collector) turnSegment(b *batch, hour uint32) {
	g := &c.segment
	if g.number > 0 && !g.ended && g.hour == hour && g.octets < segmentOctets {
		return
	}
	g.number++
	g.octets, g.hour, g.ended = 0, hour, false
	b.rotate = true
}

// endSegment has the scribe close the segment, and closed after that; the next batch begins another one. It reports whether the scribe has room
// for the order.
func (c *collector) endSegment(closed chan struct{}) bool {
	if !c.s.scribe.accepts(0) {
		return false
	}
	c.s.scribe.append(&batch{closing: closed})
	c.segment.ended = true
	return true
}

// turnDay forgets what bounds per day know of an earlier one.
func (c *collector) turnDay(day uint32) {
	if c.day == day {
		return
	}
	c.day, c.aged = day, 0
	c.seen, c.clients = newFingerprints(fingerprintsMax), newFingerprints(fingerprintsMax)
}

// settle puts one pair of the window where it belongs.
func (c *collector) settle(b *batch, e *entry, f *foreseenPair) {
	m := c.s.ledger.active
	number := e.indicator
	var to *entry
	if f.place >= 0 {
		to = m.table.entries.at(uint32(f.place))
	} else {
		if c.s.ledger.pairs() >= c.s.live.Load().Limits.Pairs {
			c.losePair(LossBacklog, e)
			return
		}
		number = c.admit(e, f.cap)
		var fresh bool
		if to, fresh = m.table.upsert(m.table.tag(&e.client, number, e.hour), &e.client, number, e.hour); fresh {
			var first sample
			c.delta.first(e, &first)
			c.greet(m, number, e.client, e.hour, &first, false)
		}
	}
	c.journal(b, e, number)
	b.events += uint64(e.count)
	c.tellFeeds(e, number)
	m.table.merge(to, c.delta, e)
}

// admit applies the bound of distinct indicators per client and day; pair is the capHash of e. It returns the number under which the pair is counted.
func (c *collector) admit(e *entry, pair uint64) uint32 {
	if c.s.ledger.dict.at(e.indicator).byFamily || e.hour/hoursPerDay != c.day {
		return e.indicator
	}
	if !c.overBound(pair, &e.client) {
		return e.indicator
	}
	c.s.counters.byFamily.Add(1)
	return c.familyOf(e.indicator)
}

func (c *collector) overBound(pair uint64, client *[16]byte) bool {
	over, fresh := c.seen.get(pair)
	if over == nil || !fresh {
		return over != nil && *over == 1
	}
	n, _ := c.clients.get(pairHash(c.s.seed, client, 0, 0))
	if n == nil {
		return false
	}
	if int(*n) >= c.s.live.Load().Limits.IndicatorsPerClient {
		*over = 1
		return true
	}
	*n++
	return false
}

// familyOf returns the number of the record that counts by family in the stead of number.
func (c *collector) familyOf(number uint32) uint32 {
	l := &c.s.ledger
	d := l.dict
	if f := d.at(number).family; f != 0 {
		return f - 1
	}
	t := d.term(d.at(number))
	t.name, t.labels = nil, 0
	f, fresh := d.intern(&t, d.key(&t))
	if fresh {
		d.at(f).rule = l.rule(l.book.list[d.at(number).rule].byFamily(), c.s.seed)
		l.interned++
		c.s.wakeResolver()
	}
	d.at(number).family = f + 1
	return f
}

// greet announces a client and family that were not seen together within the retention. ledger.mu is held.
func (c *collector) greet(m *memory, number uint32, client [16]byte, hour uint32, s *sample, replayed bool) {
	r := m.dict.at(number)
	day := hour / hoursPerDay
	last, fresh := c.known.get(pairHash(c.s.ledger.hashes[r.rule].family, &client, 0, 0))
	if last == nil {
		c.s.counters.unannounced.Add(1)
		return
	}
	expired := int64(*last)+int64(c.s.live.Load().RetentionDays) < int64(day)
	*last = max(*last, day)
	if !fresh && !expired {
		return
	}
	m.firsts = append(m.firsts, firstSeen{client: client, hour: hour, at: s.at, rule: r.rule})
	c.s.announcer.push(m.dict, number, client, hour, s, replayed)
}

// greetReplayed does for a row that comes from a journal what greet did, perhaps, before the crash.
func (s *Store) greetReplayed(m *memory, r *row, number uint32) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.collector.greet(m, number, r.client, r.hour, &r.samples[0], true)
}

// journal writes the pair into b, and before it what it refers to.
func (c *collector) journal(b *batch, e *entry, number uint32) {
	l := &c.s.ledger
	r := l.dict.at(number)
	if r.defined != c.segment.number {
		r.defined = c.segment.number
		c.defineRule(b, r.rule)
		b.addTerm(number, r, l.dict.nameOf(r))
		if r.placeLen > 0 {
			b.addPlace(number, l.dict.placeOf(r))
		}
	}
	c.delta.row(e, &c.row)
	c.row.indicator = number
	b.addRow(&c.row)
}

func (c *collector) defineRule(b *batch, n uint32) {
	for int(n) >= len(c.segment.rules) {
		c.segment.rules = append(c.segment.rules, 0)
	}
	if c.segment.rules[n] != c.segment.number {
		c.segment.rules[n] = c.segment.number
		b.addRule(n, &c.s.ledger.book.list[n])
	}
}

// duePlaces reports whether places were resolved that the journal lacks. ledger.mu is held.
func (c *collector) duePlaces() bool {
	g := &c.segment
	return g.dict != c.s.ledger.dict || g.placed < g.dict.resolved
}

// flushPlaces writes the places of what was defined in this segment before its place was known.
func (c *collector) flushPlaces(b *batch) {
	g := &c.segment
	if g.dict != c.s.ledger.dict {
		g.dict, g.placed = c.s.ledger.dict, 0
	}
	for ; g.placed < g.dict.resolved; g.placed++ {
		if r := g.dict.records.at(uint32(g.placed)); r.placeLen > 0 && r.defined == g.number {
			b.addPlace(g.dict.base+uint32(g.placed), g.dict.placeOf(r))
		}
	}
}

func (c *collector) dueLosses(now time.Time) bool {
	return len(c.pending.m) > 0 && (c.last || now.Sub(c.flushed) >= lossFlush)
}

func (c *collector) flushLosses(b *batch, now time.Time) {
	m := c.s.ledger.active
	for _, l := range c.pending.m {
		c.defineRule(b, l.rule)
		b.addLoss(l)
		m.losses.merge(l)
	}
	c.pending.reset()
	c.flushed = now
}

// loseWindow counts the window as lost.
func (c *collector) loseWindow() {
	for _, pairs := range c.delta.entries.runs(chunk) {
		for i := range pairs {
			c.losePair(LossDisk, &pairs[i])
		}
	}
	c.delta.reset()
}

func (c *collector) losePair(reason LossReason, e *entry) {
	var s sample
	c.delta.first(e, &s)
	from, to := joinTime(e.hour, s.at).UnixNano(), joinTime(e.hour, e.last).UnixNano()
	c.lose(reason, c.s.ledger.dict.at(e.indicator).rule, &e.client, uint64(e.count), from, to)
}
