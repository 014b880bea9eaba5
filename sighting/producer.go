package sighting

import "cenote/ring"

// Producer is one socket worker's way into the ledger: a ring of its own, so that writing down a match is a few stores.
// It belongs to one goroutine. Get one from Store.Producer.
//
// Slot never returns nil and Commit never waits. When the ring is full, the event goes into a small fixed table of
// (client prefix, zone, set) -> count; what even that cannot hold is counted. Both are stored as a Loss.
type Producer struct {
	ring    *ring.SPSC[Event]
	spill   *spill
	full    bool
	scratch Event
}

func newProducer(size int) *Producer {
	return &Producer{ring: ring.NewSPSC[Event](size), spill: newSpill()}
}

// Slot returns the event to fill next. It holds what an earlier event left there: the caller sets every field, and
// NameLen octets of Name, then calls Commit.
func (p *Producer) Slot() *Event {
	if e := p.ring.Slot(); e != nil {
		p.full = false
		return e
	}
	p.full = true
	return &p.scratch
}

// Commit hands the event that Slot returned to the collector.
func (p *Producer) Commit() {
	if p.full {
		p.spill.add(&p.scratch)
		return
	}
	p.ring.Commit()
}

// shared is the way in for all who have no ring of their own: a bounded queue behind a lock, and the same fallback.
type shared struct {
	queue *ring.MPSC[Event]
	spill *spill
}

func newShared(size int) *shared {
	return &shared{queue: ring.NewMPSC[Event](size), spill: newSpill()}
}

func (s *shared) put(fill func(*Event)) {
	if s.queue.Put(fill) {
		return
	}
	var e Event
	fill(&e)
	s.spill.add(&e)
}
