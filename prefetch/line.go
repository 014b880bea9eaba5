package prefetch

import "unsafe"

// Line asks for the cache line that p points into and returns at once. It reads nothing and cannot fault, so p may be anywhere; but for
// time it has no effect.
func Line[T any](p *T) { line(unsafe.Pointer(p)) }
