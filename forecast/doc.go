// Package forecast counts what a feed would have matched, had it been served: query by query, of a log that somebody reads, it asks a policy that
// holds the feed, and adds up queries, clients, days, names and rows, in memory that the length of the log does not change.
//
// It owns what is counted, how exactly, and the zones of the policy that it asks; what a rule matches is policy's to say. It leaves to others how
// the feed is read and compiled (blocklist), how a log is read (querylog), and how the report looks (cmd/cenote). It does no I/O, reads no clock
// and starts nothing.
//
// A Tally belongs to one goroutine. Start reading at Tally.Add, then sketch.go, which says how counts stay bounded.
package forecast
