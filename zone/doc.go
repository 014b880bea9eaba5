// Package zone holds authoritative data: it reads a zone from its master file (RFC 1035 section 5), checks it, and answers from it.
//
// It owns the rules of RFC 1034 section 4.3.2 with what came later: NODATA and NXDOMAIN (RFC 2308), wildcards (RFC 4592), DNAME (RFC 6672), small
// answers to ANY (RFC 8482), and the proofs of zones that were signed elsewhere (RFC 4035, RFC 5155). It signs zones, and rolls their keys (RFC 7583). It leaves to others who may ask, the
// sockets, EDNS and the policy: an answer is a message in wire form, without OPT.
//
// A Zone never changes after Load, and a Set of zones never after NewSet: many may read both at once, and whoever changes a zone publishes a new
// one whole. A Keeper does that for zones whose files change, and for those whose states others install; with each Zone it publishes the History that leads
// there (Compare, Apply), and a journal keeps both over a restart.
//
// Secondaries take zones from primaries (RFC 1034 section 4.3.5): take.go asks one of them, and incoming.go reads what comes, AXFR or IXFR, record by record.
// Foreign octets are read by package wire alone, and a transfer counts only when it is whole and, where there is a key, signed to its end.
//
// Catalogs (RFC 9432) list zones: catalog.go makes and reads them, and catalogs.go has the members of those that are taken from primaries served beside the
// zones of the configuration.
//
// Start reading at search.lookup in lookup.go, the algorithm; layout.go says how names and records lie in memory; check.go has what is wrong with a zone.
package zone
