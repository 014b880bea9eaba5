// Package dnsserver takes questions from the network and gives replies: it owns the path of a query and the sockets at both ends of it.
//
// The path is one function, answer, six steps long: admit, decide, source, decide, reply, record. It runs in line on the wire form of the
// message, allocates nothing and never waits. A query that needs the network is copied and handed to a goroutine, which asks the
// Resolver and enters the same function again, at the step that the Query remembers; so policy, reply and record exist once.
//
// The package decides who may ask, how often, and how a reply looks (EDNS, cookies, extended errors, truncation, letter case), and answers
// special-use names itself. What a match does is policy's word, how the truth is found the Resolver's, what is kept of it rrcache's,
// and what becomes of matches and log records is for sighting and querylog. It knows nothing of feeds, files or HTTP.
//
// How it answers where the RFCs leave a choice:
//
//   - Policy applies to queries with RD=0 and with DO=1. What it makes is never signed. An RD=0 query that no rule decides is answered
//     from the cache; what is not in it gets a referral where names are looked for from the root down, else REFUSED with extended error 20.
//   - A rule that matched a step of a CNAME chain rewrites from that step on; the steps before it stay in the reply.
//   - Policy's NXDOMAIN and NODATA carry a SOA, owned by the name that matched, whose TTL and MINIMUM are the policy zone's TTL.
//   - The target of a rule's CNAME is looked up without policy, and its records follow the CNAME in the reply.
//   - ANY gets one HINFO record (RFC 8482) unless a rule or a local zone answers it, or the operator wants otherwise.
//   - A question that is signed wrongly (TSIG) gets NOTAUTH and nothing else; one that is signed rightly gets a signed reply.
//   - Transfers get REFUSED from who may not have them, and NOTAUTH where there is no such zone; so do notices and updates. TKEY and classes
//     other than IN get REFUSED.
//
// Query and worker values belong to one goroutine at a time, except for workers made by newShared. Server's methods may be called from
// any goroutine. Start reading at answer.go, then query.go; the transports begin at server.go.
package dnsserver
