// Package resolver finds the truth about a name by asking upstream resolvers, and puts it into the cache.
//
// It owns the choice of the upstream, its health, retries and deadlines, the exchange by UDP and TCP, the proof that a reply belongs to a
// query, and what of a reply is believed. It leaves to others which clients may ask, what policy makes of an answer, and for how long an
// answer is kept (rrcache).
//
// A forged reply has to guess the port, since every query leaves by a socket of its own, connected to the upstream, whose port the
// kernel picks at random; the id; and the letter case of the name. One that guesses wrong is counted and ignored: it neither ends the
// exchange nor counts against the upstream, for then a forger could turn us away from it.
//
// An upstream that is down is asked while none is up, a few times a second, and other questions wait a moment for what comes of it. One
// that could not be reached a moment ago is tried again within the time of the question. So a restart of the only upstream costs clients
// time and no answer, and that it was away is never remembered as a failure of a name.
//
// One question is asked once at a time, however many wait for it: a flight. Its callers may leave, and it goes on without them, since
// the answer is for the cache. Everything that waits has a bound in Bounds and a count of what it turned away.
//
// All methods of Resolver may be called from any number of goroutines. Run must be running: it probes upstreams, fetches ahead, closes
// idle connections, and ends what is under way.
//
// Start reading at Resolver.Resolve, then flight, ask and scrub.
package resolver
