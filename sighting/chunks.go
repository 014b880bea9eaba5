package sighting

import "slices"

// chunks is a long list that grows without being moved: a copy of what a table of an hour holds would stop everything else on its core for
// milliseconds. It is in parts of one length, but for the first, which is moved while it is small. T has no pointers.
type chunks[T any] struct {
	parts [][]T // all but the last have their whole length
	spare [][]T // empty; parts from before a reset
	bits  uint8 // a part has 1<<bits elements
}

// firstPart is how many elements the first part has room for in the beginning.
const firstPart = 1 << 9

func newChunks[T any](bits uint8) chunks[T] {
	return chunks[T]{parts: [][]T{make([]T, 0, firstPart)}, bits: bits}
}

// at returns the i-th element. It stays where it is until something is appended while there is one part.
func (c *chunks[T]) at(i uint32) *T {
	return &c.parts[i>>(c.bits&31)][i&(1<<(c.bits&31)-1)]
}

// from returns the elements from the i-th on that lie together with it.
func (c *chunks[T]) from(i uint32) []T {
	return c.parts[i>>(c.bits&31)][i&(1<<(c.bits&31)-1):]
}

// len is the number of elements, with those that room left out.
func (c *chunks[T]) len() int {
	last := len(c.parts) - 1
	return last<<c.bits + len(c.parts[last])
}

// append puts v behind all others.
func (c *chunks[T]) append(v T) *T {
	_, to := c.room(1)
	to[0] = v
	return &to[0]
}

// room makes n elements that lie together, and returns the index of the first. What does not fit into the last part begins a new one.
func (c *chunks[T]) room(n int) (first uint32, to []T) {
	last := len(c.parts) - 1
	part := c.parts[last]
	if cap(part)-len(part) < n {
		last, part = c.grow(n)
	}
	at := len(part)
	c.parts[last] = part[:at+n]
	return uint32(last)<<c.bits + uint32(at), c.parts[last][at:]
}

// grow makes room for n elements at the end of the last part, and returns its number and it.
func (c *chunks[T]) grow(n int) (last int, part []T) {
	last, whole := len(c.parts)-1, 1<<c.bits
	part = c.parts[last]
	if last == 0 && cap(part) < whole && len(part)+n <= whole {
		size := max(2*cap(part), len(part)+n)
		if size > whole/4 {
			size = whole
		}
		grown := make([]T, size)
		part = grown[:copy(grown, part)]
		c.parts[0] = part
		return 0, part
	}
	c.parts[last] = part[:cap(part)] // an index counts whole parts
	if spare := len(c.spare) - 1; spare >= 0 {
		part, c.spare = c.spare[spare], c.spare[:spare]
	} else {
		part = make([]T, whole)[:0]
	}
	c.parts = append(c.parts, part)
	return last + 1, part
}

// reset takes all elements out and keeps the memory.
func (c *chunks[T]) reset() {
	for _, part := range c.parts[1:] {
		c.spare = append(c.spare, part[:0])
	}
	clear(c.parts[1:])
	c.parts = append(c.parts[:0], c.parts[0][:0])
}

// snapshot returns a copy that has what c has now, whatever is appended to c later. It shares the elements.
func (c *chunks[T]) snapshot() chunks[T] {
	return chunks[T]{parts: slices.Clone(c.parts), bits: c.bits}
}

// runs gives the elements in order, as many together as lie together and at most max, with the index of the first.
func (c *chunks[T]) runs(max int) func(yield func(uint32, []T) bool) {
	return func(yield func(uint32, []T) bool) {
		for n, part := range c.parts {
			for at := 0; at < len(part); at += max {
				if !yield(uint32(n)<<c.bits+uint32(at), part[at:min(at+max, len(part))]) {
					return
				}
			}
		}
	}
}
