// Package policy decides what happens to a query: which rules match its client, its name, the addresses that are answered and the name servers on
// the way to them, which of the rules wins, and what else is to be recorded.
//
// It owns precedence, which is defined here and nowhere else: the kinds of match and what they reach, the order of zones, exceptions,
// expiry, log-only and disabled rules, and the steps of a chain of CNAMEs. It leaves to others how feeds are read (blocklist), how names
// are found (nameindex), how a reply looks (dnsserver) and who is told (sighting). It does no I/O, reads no clock and starts nothing: the
// caller brings the time.
//
// # Precedence
//
// A rule that matches an earlier name of the chain beats all that match a later one; the query name is the first. Of the rules that match
// at one name, the zone that comes first decides. Within a zone come the client's address, the name, the addresses that are answered, the names of
// the name servers, and last their addresses. Among rules about names, the listed name itself comes before one above it, then the one with more
// labels, and of two name servers the last in canonical order; among addresses, the longer prefix, one of IPv4 counted with 96 bits before it, then
// the smaller address. Then the feed that the zone names first; then the order of the set, see EncodeSet. The action of a rule plays no part, but for
// two: log-only zones and disabled rules are recorded, and the next in this order decides. Of the rules in one zone that cannot decide,
// the first is recorded if it comes before the one that does.
//
// An exception takes the names that it reaches out of its own feed, at whatever depth the feed lists them, and out of no other. In feeds
// with the closest-encloser rule (RPZ draft section 4.2, RFC 4592 section 3.3.1) only the entry of the longest listed name counts:
// one that exists, be it only because others lie below it, stops every wildcard above it, in that feed alone. No other feed is ever
// stopped by a deeper entry, so adding an indicator there can never unblock a name.
//
// What is listed but is no query name is in the index under a key that no query name can equal; see AppendPrefixKey.
//
// Which zones are asked depends on the client: a View is a group of clients with zones of its own. What the answer may still change is pending until
// CheckAnswer, unless the policy answers early.
//
// # Two paths, one rule
//
// What a set decides on its own is computed once, when the Policy is made: for the listed name itself and for the names below it. A name
// that lies at or below one listed name, or at several that cannot influence each other, is decided from that table. For the rest, the
// members of the sets are judged one by one. The table is made by the same code that judges, and Explain calls it too.
//
// A Policy is immutable and may be used from any number of goroutines. Start reading at Policy.CheckQuery, then judge.go.
package policy
