package sighting

import (
	"runtime"
	"time"

	"cenote/ring"
)

// Producer is one socket worker's way into the ledger: a ring of its own, so that writing down a match is a few stores.
// It belongs to one goroutine. Get one from Store.Producer.
//
// Slot never returns nil. Commit waits for nobody, but rests for a moment when the ring is almost full. When the ring is full, the event goes into a small fixed table of
// (client prefix, zone, set) -> count; what even that cannot hold is counted. Both are stored as a Loss.
type Producer struct {
	ring    *ring.SPSC[Event]
	spill   *spill
	full    bool
	scratch Event
	commits uint32
	pressed chan<- struct{} // wakes the collector
}

func newProducer(size int, pressed chan<- struct{}) *Producer {
	return &Producer{ring: ring.NewSPSC[Event](size), spill: newSpill(), pressed: pressed}
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
	} else {
		p.ring.Commit()
	}
	if p.commits++; p.commits%pressEvery == 0 && 2*p.ring.Len() >= p.ring.Cap() {
		p.press()
	}
}

const (
	pressEvery = 1 << 10                // events between looks at how full the ring is
	pressRest  = 100 * time.Microsecond // that may let go whoever holds up the collector
)

// press lets the collector have the core when the ring is half full: a worker that is never without a query does not come to rest by itself, and the
// collector may be without a core of its own. If that does not help, the collector may wait for a thread that gives way to this one.
func (p *Producer) press() {
	poke(p.pressed)
	runtime.Gosched()
	if 4*p.ring.Len() >= 3*p.ring.Cap() {
		time.Sleep(pressRest)
	}
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
