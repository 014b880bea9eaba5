package ring

import (
	"sync/atomic"

	"cenote/hugepage"
)

// SPSC is a bounded queue between one producer and one consumer.
//
// Slot and Commit may be called by one goroutine at a time, Peek and Release by one other. No call blocks or
// allocates. Make one with NewSPSC.
type SPSC[T any] struct {
	slots []T
	mask  uint64
	_     [64]byte
	head  atomic.Uint64 // next slot to read; written by the consumer
	_     [56]byte
	tail  atomic.Uint64 // next slot to write; written by the producer
	seen  uint64        // the producer's copy of head, so that it reads the consumer's cache line only when the ring looks full
	_     [48]byte
}

// NewSPSC makes a queue of at least size records, rounded up to a power of two. It has its memory then, so that the producer's first lap waits
// for none.
func NewSPSC[T any](size int) *SPSC[T] {
	n := roundUp(size)
	slots := hugepage.Make[T](n)
	hugepage.Populate(slots)
	return &SPSC[T]{slots: slots, mask: uint64(n - 1)}
}

// Slot returns the record to fill next, or nil if the queue is full. It holds what an earlier lap left there: the
// producer sets every field that the consumer reads, then calls Commit.
func (r *SPSC[T]) Slot() *T {
	t := r.tail.Load()
	if t-r.seen >= uint64(len(r.slots)) {
		r.seen = r.head.Load()
		if t-r.seen >= uint64(len(r.slots)) {
			return nil
		}
	}
	return &r.slots[t&r.mask]
}

// Commit hands the record that Slot returned to the consumer.
func (r *SPSC[T]) Commit() { r.tail.Store(r.tail.Load() + 1) }

// Peek returns up to limit committed records that lie side by side, oldest first, without taking them. They stay valid until Release.
func (r *SPSC[T]) Peek(limit int) []T {
	h := r.head.Load()
	n := min(r.tail.Load()-h, uint64(limit))
	from := h & r.mask
	to := min(from+n, uint64(len(r.slots)))
	return r.slots[from:to]
}

// Release gives the oldest n records back to the producer.
func (r *SPSC[T]) Release(n int) { r.head.Store(r.head.Load() + uint64(n)) }

// Len returns how many records wait.
func (r *SPSC[T]) Len() int { return int(r.tail.Load() - r.head.Load()) }

// Cap returns how many records fit.
func (r *SPSC[T]) Cap() int { return len(r.slots) }

func roundUp(n int) int {
	p := 1
	for p < n {
		p <<= 1
	}
	return p
}
