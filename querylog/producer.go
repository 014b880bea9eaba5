package querylog

import "cenote/ring"

// Producer is one socket worker's way into the log: a ring of its own. It belongs to one goroutine. Get one from Log.Producer.
//
// The path of a query asks Want first, then takes a Slot, fills it and calls Commit. No call waits or allocates.
type Producer struct {
	log  *Log
	ring *ring.SPSC[Record]
}

// Want reports whether the query is to be written down; match says whether a rule decided or observed it. Ask once a
// query: in sampled mode each call draws anew.
func (p *Producer) Want(match bool) bool { return p.log.wants(match) }

// Slot returns the record to fill next, or nil if the ring is full, which is counted. It holds what an earlier record left
// there: the caller sets every field, and NameLen octets of Name.
func (p *Producer) Slot() *Record {
	r := p.ring.Slot()
	if r == nil {
		p.log.counters.droppedQueue.Add(1)
	}
	return r
}

// Commit hands the record that Slot returned to the writer.
func (p *Producer) Commit() { p.ring.Commit() }
