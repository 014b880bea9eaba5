package resolver

import (
	"net/netip"
	"time"
)

// UpstreamStatus is what is known about an upstream now, and what became of it since the resolver was made.
type UpstreamStatus struct {
	Addr      netip.AddrPort
	Group     uint16
	Up        bool
	RTT       time.Duration // smoothed, 0 if not known yet
	KeepsCase bool          // as far as is known: letter case in queries is random
	EDNS      bool          // as far as is known
	UnderWay  int           // attempts now
	Counts    UpstreamCounts
}

// UpstreamCounts count attempts and what became of them.
type UpstreamCounts struct {
	Queries     uint64 // sent, by UDP and TCP
	TCP         uint64 // of them, by TCP
	Replies     uint64
	Timeouts    uint64 // attempts without a reply in the time given to them
	Unreachable uint64 // attempts for which the network reported an error
	ServFail    uint64 // replies SERVFAIL
	Refusals    uint64 // replies with another error
	Rejected    uint64 // replies that answered nothing or were malformed
	Truncated   uint64 // replies by UDP that had to be asked for again by TCP
	NearMisses  uint64 // packets to our ports that were not the reply
	Probes      uint64
	Shed        uint64 // attempts that a bound turned away
}

// Status returns one entry for every upstream, in the order of the config.
func (r *Resolver) Status() []UpstreamStatus {
	s, now := r.state.Load(), r.now()
	list := make([]UpstreamStatus, len(s.upstreams))
	for i, u := range s.upstreams {
		list[i] = u.status(now)
	}
	return list
}

func (u *upstream) status(now time.Time) UpstreamStatus {
	u.mu.Lock()
	defer u.mu.Unlock()
	return UpstreamStatus{
		Addr: u.Addr, Group: u.Group, Up: !u.health.down, RTT: u.rtt.mean, KeepsCase: !u.folds.holds(now), EDNS: !u.noEDNS.holds(now),
		UnderWay: int(u.underWay.Load()), Counts: u.counts.load(),
	}
}

func (c *upstreamCounts) load() UpstreamCounts {
	return UpstreamCounts{
		Queries: c.queries.Load(), TCP: c.tcp.Load(), Replies: c.replies.Load(), Timeouts: c.timeouts.Load(), Unreachable: c.unreachable.Load(),
		ServFail: c.servfails.Load(), Refusals: c.refusals.Load(), Rejected: c.rejected.Load(), Truncated: c.truncated.Load(),
		NearMisses: c.nearMisses.Load(), Probes: c.probes.Load(), Shed: c.shed.Load(),
	}
}

// Stats is what a resolver has done since it was made, and what is under way.
type Stats struct {
	Asked             uint64 // calls of Resolve
	Joined            uint64 // questions that were being asked already
	Stale             uint64 // stale answers given
	Failed            uint64 // calls that got no answer
	Shed              uint64 // questions turned away at a bound
	Prefetches        uint64 // questions queued to be asked ahead
	PrefetchesShed    uint64 // and those for which the queue was full
	SocketsShed       uint64 // queries for which too many sockets were open, or the system had none
	Sent              uint64 // queries sent to servers of zones
	WorkShed          uint64 // queries not sent since their question had made too much work
	LooksShed         uint64 // queries for name servers not sent since their zone had got enough of them
	SilentShed        uint64 // attempts not made at servers of zones that are silent
	ZonesShed         uint64 // questions for which too many waited for the same zone
	Signatures        uint64 // signatures verified
	Hashes            uint64 // blocks of 64 octets hashed for NSEC3
	ValidationsShed   uint64 // checks for which too many waited
	ValidationsSlowed uint64 // checks that turned out to be costly and went on in the place of costly zones
	NearMisses        uint64 // packets to our ports that were not the reply
	Floods            uint64 // queries that were asked again by TCP for that
	Private           uint64 // answers from which private addresses were taken
	Bugs              uint64 // faults of our own that a reply met
	Outstanding       int    // questions under way
	Sockets           int    // UDP sockets that are open
}

// Stats returns the counts.
func (r *Resolver) Stats() Stats {
	r.flights.mu.Lock()
	outstanding := len(r.flights.all)
	r.flights.mu.Unlock()
	c := &r.counts
	return Stats{
		Asked: c.asked.Load(), Joined: c.joined.Load(), Stale: c.stale.Load(), Failed: c.failed.Load(), Shed: c.shed.Load(),
		Prefetches: c.prefetches.Load(), PrefetchesShed: c.prefetchesShed.Load(), SocketsShed: c.socketsShed.Load(),
		Sent: c.sent.Load(), WorkShed: c.work.Load(), LooksShed: c.looks.Load(), SilentShed: c.silent.Load(), ZonesShed: c.crowded.Load(),
		Signatures: c.signatures.Load(), Hashes: c.hashes.Load(), ValidationsShed: c.validationsShed.Load(), ValidationsSlowed: c.validationsSlowed.Load(),
		NearMisses: c.nearMisses.Load(), Floods: c.floods.Load(),
		Private:     c.private.Load(),
		Bugs:        c.bugs.Load(),
		Outstanding: outstanding, Sockets: int(c.sockets.Load()),
	}
}
