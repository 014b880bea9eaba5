// Package querylog writes one line of JSON for each query that the operator wants to keep.
//
// It owns the way of a Record from the path of a query into a file: the queues, the choice by Mode, the form of a line, the
// file with its rotation, and the compression of finished files. A query never waits for it. What a full queue turned away is
// counted, and told by a line of the file itself; what a full disk holds up waits in the queues and is written when there is
// room again. The fields of a line are a contract with those who read the log: docs/querylog.md describes them.
//
// It leaves to others: what a rule stands for (the Names, which cmd makes of the policies), and matches as evidence, which
// package sighting keeps by queues of its own, so that pressure here never costs a match.
//
// A Producer belongs to one goroutine; everything else may be used from any. Run is called once; one goroutine drains, encodes
// and writes, one more compresses and removes finished files, and both have ended when Run returns.
//
// Start reading at Record (what comes in), then writer.go (what becomes of it), encode.go (the line), file.go (where it lies) and
// archive.go (what happens to finished files).
package querylog
