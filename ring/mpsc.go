package ring

import "sync"

// MPSC is a bounded queue of many producers and one consumer: an SPSC whose producer side is behind a lock.
// It is for the queries that waited for the network and for TCP, whose own cost dwarfs the lock.
type MPSC[T any] struct {
	mu   sync.Mutex
	ring *SPSC[T]
}

// NewMPSC makes a queue of at least size records, rounded up to a power of two.
func NewMPSC[T any](size int) *MPSC[T] { return &MPSC[T]{ring: NewSPSC[T](size)} }

// Put calls fill on the next free record and hands it over. It returns false, without calling fill, if the queue is full.
func (r *MPSC[T]) Put(fill func(*T)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := r.ring.Slot()
	if slot == nil {
		return false
	}
	fill(slot)
	r.ring.Commit()
	return true
}

// Ring returns the consumer's side: only Peek, Release, Len, Cap and Resize may be called on it.
func (r *MPSC[T]) Ring() *SPSC[T] { return r.ring }
