// Package ring carries fixed-size records from the goroutines that answer queries to the ones that write them down.
//
// It owns two bounded queues and nothing else: SPSC, for a socket worker that has a ring of its own, and MPSC, for all
// who do not. Neither ever waits: a full queue says so, and the caller counts what it turned away. Records are values
// without pointers, so a queue of any size costs the garbage collector nothing.
//
// Start reading at SPSC.
package ring
