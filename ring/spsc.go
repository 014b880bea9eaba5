package ring

import (
	"sync/atomic"

	"cenote/hugepage"
)

// SPSC is a bounded queue between one producer and one consumer.
//
// Slot and Commit may be called by one goroutine at a time, Peek and Release by one other, and by any goroutine Len, Cap, and Resize.
// No call but Resize blocks or allocates. Make one with NewSPSC.
type SPSC[T any] struct {
	in   *buffer[T]                // the producer's, and nobody else's
	next atomic.Pointer[buffer[T]] // where the producer is to go on
	_    [48]byte
	out  atomic.Pointer[buffer[T]] // the consumer's; it alone sets it
	_    [56]byte
}

// buffer is the memory of a queue until the producer goes on in another.
type buffer[T any] struct {
	slots []T
	mask  uint64
	_     [32]byte
	head  atomic.Uint64 // next slot to read; written by the consumer
	_     [56]byte
	tail  atomic.Uint64             // next slot to write; written by the producer
	seen  uint64                    // the producer's copy of head, so that it reads the consumer's cache line only when the ring looks full
	then  atomic.Pointer[buffer[T]] // where the producer went on; it is set after the last record is committed
	_     [40]byte
}

func newBuffer[T any](slots []T) *buffer[T] {
	return &buffer[T]{slots: slots, mask: uint64(len(slots) - 1)}
}

// NewSPSC makes a queue of at least size records, rounded up to a power of two. It has its memory then, so that the producer's first lap waits
// for none.
func NewSPSC[T any](size int) *SPSC[T] {
	slots := hugepage.Make[T](roundUp(size))
	hugepage.Populate(slots)
	r := &SPSC[T]{in: newBuffer(slots)}
	r.out.Store(r.in)
	return r
}

// Resize makes room for at least size records, rounded up to a power of two, once the producer writes and the consumer has come to where it does.
// What waits is not lost, comes out before what follows, and may be as much as fits before and after the change together. The memory, in small
// pages, comes with the first lap: the producer waits for a page now and then, and for all of it never. Of two calls at a time either counts.
func (r *SPSC[T]) Resize(size int) {
	if n := roundUp(size); n != r.Cap() {
		slots, _ := hugepage.MakeLater[T](n)
		r.next.Store(newBuffer(slots))
	}
}

// Slot returns the record to fill next, or nil if the queue is full. It holds what an earlier lap left there: the
// producer sets every field that the consumer reads, then calls Commit.
func (r *SPSC[T]) Slot() *T {
	if r.next.Load() != nil {
		r.move()
	}
	b := r.in
	t := b.tail.Load()
	if t-b.seen >= uint64(len(b.slots)) {
		b.seen = b.head.Load()
		if t-b.seen >= uint64(len(b.slots)) {
			return nil
		}
	}
	return &b.slots[t&b.mask]
}

// move goes on in the next buffer, if the consumer has left the one before this: there are never more than two.
func (r *SPSC[T]) move() {
	if r.in != r.out.Load() {
		return
	}
	next := r.next.Load()
	r.in.then.Store(next)
	r.in = next
	r.next.CompareAndSwap(next, nil) // there may be a newer one
}

// Commit hands the record that Slot returned to the consumer.
func (r *SPSC[T]) Commit() { r.in.tail.Store(r.in.tail.Load() + 1) }

// Peek returns up to limit committed records that lie side by side, oldest first, without taking them. They stay valid until Release. It returns
// none only if none waits.
func (r *SPSC[T]) Peek(limit int) []T {
	b := r.out.Load()
	for {
		then := b.then.Load() // before the tail, which stays as it is once this is set
		h := b.head.Load()
		n := b.tail.Load() - h
		if n == 0 && then != nil {
			r.out.Store(then)
			b = then
			continue
		}
		from := h & b.mask
		return b.slots[from:min(from+min(n, uint64(limit)), uint64(len(b.slots)))]
	}
}

// Release gives the oldest n records back to the producer, at most as many as wait.
func (r *SPSC[T]) Release(n int) {
	for left := uint64(n); ; {
		b := r.out.Load()
		then := b.then.Load() // before the tail, as in Peek
		h := b.head.Load()
		here := min(left, b.tail.Load()-h)
		b.head.Store(h + here)
		if left -= here; left == 0 || then == nil {
			return
		}
		r.out.Store(then)
	}
}

// Len returns how many records wait; to a third goroutine, how many did a moment ago, or some more.
func (r *SPSC[T]) Len() (n int) {
	for b := r.out.Load(); b != nil; b = b.then.Load() {
		h := b.head.Load() // before the tail, which never lies behind it
		n += int(b.tail.Load() - h)
	}
	return n
}

// Cap returns how many records fit, or will from the next one on.
func (r *SPSC[T]) Cap() int {
	if b := r.next.Load(); b != nil {
		return len(b.slots)
	}
	b := r.out.Load()
	for then := b.then.Load(); then != nil; then = b.then.Load() {
		b = then
	}
	return len(b.slots)
}

func roundUp(n int) int {
	p := 1
	for p < n {
		p <<= 1
	}
	return p
}
