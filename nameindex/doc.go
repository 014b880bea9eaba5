// Package nameindex keeps millions of domain names in one compiled file and tells which of them a query name lies at or below.
//
// It owns the file's format, its builder and the look-up. Each name refers to a set: an opaque payload that many names share, given by
// the builder's caller and handed back as it was. What a set means, which name wins and what happens then belong to others. The index is
// exact: every match is verified by the whole name, so no collision of hashes can ever become a match.
//
// A file is written once, under a temporary name that is then renamed, and never changed. Open reads it whole into memory, or maps it, and
// checks all of it, but for the letters of the names, which only All reads; a file that fails any check is refused with ErrDamaged, and whoever holds the index before keeps it. An Index is
// immutable and may be used from any number of goroutines; a Builder belongs to one. What changes little is told by a delta, a small file of the same form that
// Index.With puts in front of the large one.
//
// Start reading at Index.Walk, then layout.go.
package nameindex
