// Package rrcache keeps answers by name and type, in wire form.
//
// It owns what makes a response worth keeping and for how long: the clamps of TTLs, the rules for negative answers (RFC 2308), for
// failures (RFC 9520) and for stale answers (RFC 8767), the bound in bytes, and the choice of what goes when the cache is full. It
// leaves to others who may see an answer (policy is applied on the way out), what of a response is to be believed (resolver), and the
// time, which every call brings along.
//
// The memory is taken in New and in Resize alone, and holds no pointers: each shard has a table of slots and two rings of records, a small one
// for what is new and a main one for what was asked for again. A name that is asked once passes through the small ring alone, so that a
// flood of random names cannot wash out the popular ones (the S3-FIFO scheme). A hit reads one slot and one contiguous record, copies
// the message out with its TTLs aged, and allocates nothing.
//
// Every method of Cache may be called from any number of goroutines. A Key belongs to one goroutine at a time. Readers share a
// shard; a writer has it to itself for a few microseconds at most, since its work is bounded (secondChancesMax, scanStep,
// carryStep).
//
// Start reading at Cache, then record for the layout, normalise for what is kept, turn for what goes.
package rrcache
