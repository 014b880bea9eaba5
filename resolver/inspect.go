package resolver

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// ServerStatus is what is known of a server of zones at one address.
type ServerStatus struct {
	UpstreamStatus
	Known    bool // it was asked lately
	Lame     bool // it knew nothing of the zone when it was asked last
	Timeouts uint64
}

// NameServerStatus is a name server of a zone.
type NameServerStatus struct {
	Name   dnsname.Name
	Places []ServerStatus // none: its addresses are not known, and looked for when they are needed
}

// Delegation is the zone whose servers are asked about a name, as it is kept now.
type Delegation struct {
	Zone, Parent dnsname.Name
	TTL          uint32 // s that are left; 0 for a stub
	Stub         bool   // the servers are of the configuration
	Signed       bool   // the parent has DS records of it
	Servers      []NameServerStatus
	Forwarded    []UpstreamStatus // the name is asked of these instead
}

// Delegation returns the zone whose servers would be asked about a canonical name now; false if names are forwarded, or nothing is known yet.
func (r *Resolver) Delegation(name dnsname.Name) (Delegation, bool) {
	s, now := r.state.Load(), r.now()
	if s.config.Recursion == nil {
		return Delegation{}, false
	}
	if f, group := s.forwardAt(name, 0); f != nil {
		return Delegation{Zone: f.Zone, Forwarded: r.group(s, group, now)}, true
	}
	z := r.cuts.closest(s.cutSource(name), name, now)
	out := Delegation{}
	if stub, source := s.stubAt(name); stub != nil && (z == nil || atOrBelow(stub.Zone, z.zone)) {
		z, out.Stub = stub.cut(source), true
	}
	if z == nil {
		return out, false
	}
	out.Zone, out.Parent = z.zone, z.parent
	if !out.Stub {
		out.TTL = secondsLeft(z.expires, now)
	}
	for _, p := range z.proofs {
		out.Signed = out.Signed || p.rtype == wire.TypeDS && p.name == z.zone
	}
	it := &iteration{r: r, s: s, f: &flight{}}
	for i := range z.servers {
		n := NameServerStatus{Name: z.servers[i].name}
		for _, to := range it.places(&z.servers[i]) {
			n.Places = append(n.Places, r.authorities.status(to, z.zone, now))
		}
		out.Servers = append(out.Servers, n)
	}
	return out, true
}

// group is the upstreams of a group.
func (r *Resolver) group(s *state, group uint16, now time.Time) []UpstreamStatus {
	var out []UpstreamStatus
	for _, u := range r.allUpstreams(s) {
		if u.Group == group {
			out = append(out, u.status(now))
		}
	}
	return out
}

// status tells what is known of the server at an address, and whether it serves a zone.
func (a *authorities) status(at netip.AddrPort, zone dnsname.Name, now time.Time) ServerStatus {
	a.mu.Lock()
	known, lame := a.all[at], now.Before(a.lame[lameKey{at, zone}])
	a.mu.Unlock()
	if known == nil {
		return ServerStatus{UpstreamStatus: UpstreamStatus{Addr: at}, Lame: lame}
	}
	own := known.up.status(now)
	return ServerStatus{UpstreamStatus: own, Known: true, Lame: lame, Timeouts: own.Counts.Timeouts}
}

// ServerOrder is by what servers are listed.
type ServerOrder uint8

// The orders.
const (
	Slowest ServerOrder = iota // longest round-trip time first
	Busiest                    // most queries first
)

// Servers returns what is known of up to n servers of zones, in an order.
func (r *Resolver) Servers(n int, by ServerOrder) []ServerStatus {
	a, now := r.authorities, r.now()
	a.mu.Lock()
	ups := make([]*upstream, 0, len(a.all))
	for _, known := range a.all {
		ups = append(ups, known.up)
	}
	a.mu.Unlock()
	all := make([]ServerStatus, len(ups))
	for i, up := range ups {
		own := up.status(now)
		all[i] = ServerStatus{UpstreamStatus: own, Known: true, Timeouts: own.Counts.Timeouts}
	}
	slices.SortFunc(all, func(x, y ServerStatus) int {
		if by == Busiest {
			x, y = y, x
			return cmp.Or(cmp.Compare(x.Counts.Queries, y.Counts.Queries), x.Addr.Compare(y.Addr))
		}
		return cmp.Or(cmp.Compare(y.RTT, x.RTT), x.Addr.Compare(y.Addr))
	})
	return all[:min(n, len(all))]
}

// Forgotten is how much was forgotten.
type Forgotten struct {
	Delegations, Trusts, Denials, Lame int
}

// ForgetZones forgets what was learnt about zones at and below a canonical name: their delegations, whether they are signed, what they have proved
// not to be there, and which servers know nothing of them. Answers are the cache's.
func (r *Resolver) ForgetZones(name dnsname.Name) Forgotten {
	at := regionOf(name)
	return Forgotten{r.cuts.flush(at), r.trusts.flush(at), r.denials.flush(at), r.authorities.flush(at)}
}

func (c *cuts) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

func (a *authorities) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.all)
}

// flush forgets which servers know nothing of zones in a region.
func (a *authorities) flush(at *region) (n int) {
	walk(&a.mu, a.lame, func(key lameKey, _ time.Time) {
		if at.holds(key.zone) {
			delete(a.lame, key)
			n++
		}
	})
	return n
}

// AnchorStatus is the trust anchors of a zone as they stand.
type AnchorStatus struct {
	Zone      dnsname.Name
	DS        []dnssec.KeyRef // configured
	Keys      []AnchorKey
	Next      time.Time // when the zone's keys are looked at again; zero if they are not followed
	Following bool
	Gone      bool // the zone has revoked all of them
}

// AnchorKey is a key that is followed.
type AnchorKey struct {
	dnssec.KeyRef
	State       dnssec.AnchorState
	Since, Seen time.Time
}

// AnchorStates returns the trust anchors, and the negative ones that are in force.
func (r *Resolver) AnchorStates() (anchors []AnchorStatus, negative []NegativeAnchor) {
	s, now := r.state.Load(), r.now()
	if s.config.Recursion == nil {
		return nil, nil
	}
	for _, n := range s.config.Recursion.Negative {
		if n.holds(now) {
			negative = append(negative, n)
		}
	}
	if s.keys == nil {
		return nil, negative
	}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	for zone, a := range s.keys.all {
		anchors = append(anchors, anchorStatus(zone, a, s.config.Recursion.Follow))
	}
	slices.SortFunc(anchors, func(a, b AnchorStatus) int { return dnsname.Compare(a.Zone, b.Zone) })
	return anchors, negative
}

func anchorStatus(zone dnsname.Name, a *dnssec.Anchors, follow bool) AnchorStatus {
	out := AnchorStatus{Zone: zone, DS: dnssec.DSRefs(a.DS), Following: follow, Gone: a.Gone()}
	if follow {
		out.Next = a.Next
	}
	for i := range a.Keys {
		k := &a.Keys[i]
		ref := dnssec.KeyRef{Tag: k.Tag(), Algorithm: k.Key[3], Flags: uint16(k.Key[0])<<8 | uint16(k.Key[1])}
		out.Keys = append(out.Keys, AnchorKey{ref, k.State, k.Since, k.Seen})
	}
	return out
}

// Validates reports whether answers are validated.
func (r *Resolver) Validates() bool { return r.state.Load().keys != nil }

// Recurses reports whether names are looked for from the root down.
func (r *Resolver) Recurses() bool { return r.state.Load().config.Recursion != nil }
