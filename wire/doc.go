// Package wire reads and patches DNS messages where they lie, in wire form (RFC 1035 section 4).
//
// It owns the query parser, the walk over the records of a message, the expansion of compressed names and small writers. Nothing here
// allocates, keeps state or does I/O; every slice it returns is a part of the message it was given. It decides nothing: a fault is
// returned as a Fault or an error, and the caller chooses the RCODE.
//
// Start reading at Query, then Walker.
package wire
