package sighting

import (
	"sync"
	"time"
)

// progress says how far the ledger has come: up to which time events are drained, written and synced.
type progress struct {
	mu       sync.Mutex
	sealed   uint64 // sequence of the last batch that was handed to the scribe
	drained  int64  // nanoseconds since the epoch: every event committed before has been taken and is in a sealed batch
	last     uint64 // sequence of the last batch written
	through  int64  // and its time
	onDisk   int64
	resolved int64
}

// drainedTo notes that everything committed before t is in batches up to sealed.
func (p *progress) drainedTo(t int64, sealed uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drained, p.sealed = t, sealed
}

func (p *progress) wrote(sequence uint64, through int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.through = sequence, max(p.through, through)
}

// written is the sequence of the last batch written.
func (p *progress) written() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *progress) writtenThrough() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == p.sealed {
		return max(p.drained, p.through)
	}
	return p.through
}

func (p *progress) synced(t int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onDisk = max(p.onDisk, t)
}

func (p *progress) resolvedTo(t int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resolved = max(p.resolved, t)
}

// Drained returns a time such that every event whose Commit returned before it has been taken from its ring and resolved by the
// Catalog. A generation that no query uses any more, and none used since that time, may be dropped.
func (s *Store) Drained() time.Time {
	p := &s.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	return unixTime(min(p.drained, p.resolved))
}

// Written returns a time such that every event whose Commit returned before it is in the journal, and survives the end of the process.
func (s *Store) Written() time.Time { return unixTime(s.progress.writtenThrough()) }

// Synced is Written for the end of the machine's power.
func (s *Store) Synced() time.Time {
	s.progress.mu.Lock()
	defer s.progress.mu.Unlock()
	return unixTime(s.progress.onDisk)
}
