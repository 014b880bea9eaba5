// Package blocklist turns feeds into policy: it reads what others publish about malicious names, and publishes it, compiled, to the
// server.
//
// Fetching. A feed with a URL has a fetcher, which keeps the list in the state directory as new as its server has it: asked for by ETag and time,
// within caps, verified, put in place whole. What the list says is for the reading half, as with any other file. Start reading at fetcher.go, then
// download.go; dial.go says which addresses may be reached, shownurl.go what people may see of a URL.
//
// Reading half. ReadFeed opens a source (a file, a directory, an archive), detects its format and hands one Indicator after
// the other to a Sink, with file and line. A row that cannot be served is a Fault with a Reason. Guards refuse rows that would
// block a top-level domain, a public suffix or a protected name, and hold for an operator those that would block a whole hosting company or a
// popular name (review.go, protection.go, decide.go). Nothing a feed holds is followed,
// executed or resolved. One file a format (hosts.go, rpz.go, …), one line each in the table of format.go.
//
// Publishing half. Each feed's rows are kept as its last good copy, merged with those of the other feeds into one
// nameindex file, and published as a policy.Policy. A feed that fails never replaces its last good copy.
//
// What it leaves to others: which rule wins is policy's, the file of names is nameindex's, the path of a query is dnsserver's.
//
// ReadFeed may be called from many goroutines at once; each call stands alone. Start reading at ReadFeed, then format.go.
package blocklist
