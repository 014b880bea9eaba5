package resolver

import (
	"bytes"
	"context"
	"net/netip"

	"cenote/rrcache"
)

// Scrub is scrub for the question of a key.
func Scrub(k *rrcache.Key, packet []byte, trusted bool) (msg []byte, ede uint16, err error) {
	q := questionOf(k)
	return scrub(&q, packet, trusted)
}

// TrialsMax is how often an upstream that is down is asked by questions in a second.
const TrialsMax = trialsMax

// Faults of a reply.
var (
	ErrMalformed = errMalformed
	ErrUnrelated = errUnrelated
	ErrChain     = errChain
	ErrTooMany   = errTooMany
	ErrReferral  = errReferral
	ErrRcode     = errRcode
)

// Query returns a query to the question of a key.
func Query(k *rrcache.Key, mixed bool) []byte {
	q := questionOf(k)
	return q.appendQuery(nil, manner{edns: true, mixed: mixed})
}

// Likeness says how far a packet is the reply to a query for the question of a key: "stranger", "case", "bare" or "reply".
func Likeness(k *rrcache.Key, query, packet []byte) string {
	q := questionOf(k)
	return [...]string{"stranger", "case", "bare", "reply"}[likenessOf(&q, query, packet)]
}

// HostsIn reads the text of a resolv.conf file.
func HostsIn(text []byte, own ...netip.AddrPort) []netip.AddrPort {
	return hostsIn(bytes.NewReader(text), own)
}

// Suspect asks for a probe of the i-th upstream.
func (r *Resolver) Suspect(i int) { r.suspect(r.state.Load().upstreams[i]) }

// Suspected reports whether a probe of the i-th upstream is due or under way.
func (r *Resolver) Suspected(i int) bool {
	u := r.state.Load().upstreams[i]
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.health.suspected
}

// Connections returns how many TCP connections to the i-th upstream are open, and how many of them are idle.
func (r *Resolver) Connections(i int) (open, idle int) {
	c := &r.state.Load().upstreams[i].connections
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, len(c.idle)
}

// Network says whose fault an error of a socket is.
func (r *Resolver) Network(err error) error { return r.network(err) }

// SeenAhead reports whether all that was asked for ahead has been looked at.
func (r *Resolver) SeenAhead() bool { return len(r.ahead.wake) == 0 }

// Bounds of Path.
const (
	PathZonesMax   = pathZonesMax
	PathServersMax = pathServersMax
)

// FollowDue looks at the keys of trust anchors that are due by the clock.
func (r *Resolver) FollowDue(ctx context.Context) { r.followDue(ctx) }
