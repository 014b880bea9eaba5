package sighting

// foresight reads ahead for the collector. The tables that it looks into are larger than the processor's caches, so that each look costs
// the wait for memory; looks that do not depend on each other wait together. So the collector's loops are preceded by ones that
// compute where they will look, and look there. Nothing is decided here.
type foresight struct {
	events [chunk]foreseen
	pairs  [chunk]foreseenPair
}

// foreseen is what is known of an event before its turn.
type foreseen struct {
	key    termKey // of its term in the dictionary
	listed uint8   // where the listed name begins in its name
	number uint32  // of its term
	hour   uint32
	at     uint32 // microseconds in it
	tag    uint64 // of its pair in the window
}

// foreseenPair is what is known of a pair of the window before its turn.
type foreseenPair struct {
	tag   uint64 // in the table of the hour
	place int    // there, or -1
	cap   uint64 // its capHash, if place is -1
}

// lookUp finds the keys of events and reads where the dictionary holds them. ledger.mu is held.
func (f *foresight) lookUp(events []Event, d *dictionary) {
	for i := range events {
		e, o := &events[i], &f.events[i]
		listed := listedAt(e)
		t := termOf(e, listed)
		o.listed, o.key = uint8(listed), d.key(&t)
		d.touch(o.key)
	}
}

// place finds pairs of the window in the table of the hour, and reads of those that are not there what decides on their admission.
// ledger.mu is held.
func (f *foresight) place(pairs []entry, c *collector) {
	m := c.s.ledger.active.table
	for i := range pairs {
		e, o := &pairs[i], &f.pairs[i]
		o.tag = m.tag(&e.client, e.indicator, e.hour)
		m.touch(o.tag)
	}
	for i := range pairs {
		m.touchEntry(f.pairs[i].tag)
	}
	for i := range pairs {
		e, o := &pairs[i], &f.pairs[i]
		if o.place = m.find(o.tag, &e.client, e.indicator, e.hour); o.place < 0 {
			r := c.s.ledger.dict.at(e.indicator)
			o.cap = capHash(&e.client, c.s.ledger.hashes[r.rule].zone, c.s.ledger.dict.nameOf(r))
			c.seen.touch(o.cap)
		}
	}
}
