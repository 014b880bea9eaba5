// Package sighting is the ledger of which client asked for which indicator: the evidence on which an operator tells
// people that a machine of theirs is infected.
//
// It owns the way of a match from the path of a query to the disk and back into an answer. The path of a query writes one
// Event into a ring and goes on (Producer, Put); nothing it does can wait for this package. One goroutine, the collector,
// drains the rings, sums events up by (client, indicator, hour), and hands each window to the journal and to a table in memory. A
// second, the scribe, appends windows to the journal: what is written survives the end of the process, what is synced the end of
// power. A third, the writer, moves full tables into one bbolt file a day. A fourth asks the Catalog where an indicator was
// read, a fifth announces first sightings. Queries read all of it at once, so that a match is seen a moment after it happened.
//
// Each match is counted exactly once, across crashes: batches of the journal are numbered, and a day file notes the last number
// in the transaction that writes its rows. What a bound turned away is never silent: it is counted, and stored as a Loss with
// its interval.
//
// It leaves to others: deciding matches (policy), what a rule stands for (the Catalog, which cmd makes of policy and
// blocklist), who held an address at a time (identity), and cases. It knows names and addresses, no packets.
//
// A Producer belongs to one goroutine; all else may be used from any. Run is called once and returns when everything it
// started has ended. Directory layout: journal/ (segments), days/ (bbolt files), quarantine/ (damaged files put aside), lock,
// audit.jsonl. It must lie on a local disk: file locks and syncs of network file systems do not hold what is promised.
//
// Start reading at Event and Producer (what comes in), then collector.go and seal.go (what becomes of it), journal.go and
// dayfile.go (where it lies), and query.go (how it is read).
package sighting
