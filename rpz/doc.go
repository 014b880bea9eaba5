// Package rpz says a policy as a response policy zone (draft-vixie-dnsop-dns-rpz-00), for resolvers that are not Cenote.
//
// It owns how what the zones of a policy decide together becomes the records of one zone, so that a resolver which has that zone alone answers as Cenote
// does; and how such a zone is written as a master file. It leaves to others what a rule means and which one wins (policy), and how the zone is
// served and handed on.
//
// Every listed name has a record for itself and one for the names below it, an asterisk, each with what the policy decides there: so no precedence
// is left for the reader to get wrong. Whoever lets a wildcard be stopped by a longer name that exists (RFC 4592 section 3.3.1), as named does, and whoever
// does not, finds the same: names between a listed one and a wildcard above it are written out, and where the policy lets a name through below a
// wildcard, the zone says so.
//
// What RPZ has no words for is left out and counted in a Report: see its fields.
//
// A Generator is for one goroutine. Start reading at Generator.Records, then action.go.
package rpz
