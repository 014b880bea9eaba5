package resolver

import (
	"sync/atomic"

	"cenote/wire"
)

// counts of a Resolver.
type counts struct {
	asked             atomic.Uint64 // calls of Resolve
	joined            atomic.Uint64 // of them, those that waited for a question another had asked
	stale             atomic.Uint64 // stale answers given
	failed            atomic.Uint64 // calls that got no answer
	shed              atomic.Uint64 // calls turned away at a bound
	prefetches        atomic.Uint64 // questions queued to be asked ahead
	prefetchesShed    atomic.Uint64 // and those for which the queue was full
	bugs              atomic.Uint64 // faults of our own that a reply met
	sockets           atomic.Int64  // UDP sockets that are open, those that wait for a query included
	crowded           atomic.Uint64 // questions for which too many waited for the same zone
	sent              atomic.Uint64 // queries to servers of zones
	work              atomic.Uint64 // queries that were not sent since the question had made too much work
	looks             atomic.Uint64 // queries for name servers that were not sent since their zone had got enough of them
	silent            atomic.Uint64 // attempts that were not made at servers that are silent
	validationsShed   atomic.Uint64 // checks for which too many waited
	validationsSlowed atomic.Uint64 // checks that went on in the place of costly zones
	nearMisses        atomic.Uint64 // packets to our ports that were not the reply
	floods            atomic.Uint64 // queries that were asked again by TCP for that
	private           atomic.Uint64 // answers from which private addresses were taken
	socketsShed       atomic.Uint64 // queries for which too many were open, or the system had none
	subnetsTold       atomic.Uint64 // queries that told of a client's network
	subnetsShed       atomic.Uint64 // questions that were asked without, since too many networks asked at once
	scopedHits        atomic.Uint64 // questions answered by what is kept for their clients
	belowAbsent       atomic.Uint64 // questions answered by a name above that is not there
	inferred          atomic.Uint64 // questions answered by what a zone has proved before

	// Of names that are looked for from the root down.
	questions  [endings][edeKinds]atomic.Uint64    // by what came of them and the extended error
	packets    [purposes][transports]atomic.Uint64 // queries sent, by what for
	bounds     [bounds]atomic.Uint64               // questions that came up against a bound
	referrals  atomic.Uint64                       // steps down to another zone
	signatures atomic.Uint64                       // verified
	hashes     atomic.Uint64                       // blocks hashed for NSEC3
	slow       atomic.Uint64                       // questions that took longer than Config.Slow
}

// upstreamCounts of one upstream.
type upstreamCounts struct {
	queries     atomic.Uint64 // sent, by UDP and TCP
	tcp         atomic.Uint64 // of them, by TCP
	replies     atomic.Uint64
	timeouts    atomic.Uint64 // attempts without a reply in the time given to them
	unreachable atomic.Uint64 // attempts for which the network reported an error
	servfails   atomic.Uint64 // replies SERVFAIL
	refusals    atomic.Uint64 // replies with another error
	rejected    atomic.Uint64 // replies that answered nothing or were malformed
	truncated   atomic.Uint64 // replies by UDP that had to be asked for again by TCP
	nearMisses  atomic.Uint64 // packets to our port that were not the reply: forgeries, or replies to nobody
	probes      atomic.Uint64
	shed        atomic.Uint64 // attempts that a bound turned away
}

func (c *upstreamCounts) refused(rcode int) {
	if rcode == wire.RcodeServFail {
		c.servfails.Add(1)
		return
	}
	c.refusals.Add(1)
}
