package resolver

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
)

// Host is a resolver that is known by its name. Its addresses are looked for as those of any name are, and kept for as long as they say.
type Host struct {
	Name dnsname.Name // canonical
	Port uint16       // Default 53
	TLS  string       // that of Upstream
}

// hosted are the resolvers that were found by their names, with what was learnt of each. Its methods may be called by many at once.
type hosted struct {
	mu  sync.Mutex
	all map[Upstream]*upstream
}

// hostedMax is how many there are; one that nobody asks now goes for the next.
const hostedMax = 256

// get returns what is known of a resolver, nil where there is no room for it.
func (h *hosted) get(u Upstream) *upstream {
	h.mu.Lock()
	defer h.mu.Unlock()
	if known := h.all[u]; known != nil {
		return known
	}
	if len(h.all) >= hostedMax && !h.drop() {
		return nil
	}
	made := &upstream{Upstream: u}
	if u.TLS != "" {
		made.sessions = tls.NewLRUClientSessionCache(sessionsMax)
	}
	h.all[u] = made
	return made
}

// drop forgets a resolver that nobody asks. mu is held.
func (h *hosted) drop() bool {
	for u, known := range h.all {
		if known.underWay.Load() == 0 {
			known.connections.retire()
			delete(h.all, u)
			return true
		}
	}
	return false
}

// list returns all of them.
func (h *hosted) list() []*upstream {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*upstream, 0, len(h.all))
	for _, u := range h.all {
		out = append(out, u)
	}
	return out
}

// allUpstreams returns the upstreams of the configuration, and those that were found by name.
func (r *Resolver) allUpstreams(s *state) []*upstream {
	return append(slices.Clone(s.upstreams), r.hosted.list()...)
}

// hostsOf returns the resolvers of a forwarded zone that are known by name and whose addresses are known too. The others are looked for behind the
// question's back.
func (it *iteration) hostsOf(f *Forward, group uint16) []*upstream {
	var out []*upstream
	for i := range f.Hosts {
		h := &f.Hosts[i]
		addrs := it.addresses(&nameServer{name: h.Name})
		if len(addrs) == 0 {
			it.lookAhead(h)
		}
		out = append(out, it.hostAt(h, group, addrs)...)
	}
	return out
}

// hostAt are the places of a resolver that may be asked.
func (it *iteration) hostAt(h *Host, group uint16, addrs []netip.Addr) (out []*upstream) {
	for _, a := range addrs {
		to := netip.AddrPortFrom(a, h.Port)
		if !it.s.config.Recursion.mayAsk(a) || it.avoid[to] {
			continue
		}
		if u := it.r.hosted.get(Upstream{Addr: to, Group: group, TLS: h.TLS}); u != nil {
			out = append(out, u)
		}
	}
	return out
}

// lookAhead has the addresses of a resolver looked for, unless that is what is being done.
func (it *iteration) lookAhead(h *Host) {
	if string(h.Name) == it.f.q.name {
		return
	}
	for _, rtype := range it.s.config.Recursion.families() {
		q := it.addressQuestion(h.Name, rtype)
		it.r.Prefetch(q.key())
	}
}

// findHosts looks for the addresses of the resolvers that are not known, and returns those that were found. A question for the address of a server has
// none looked for: it may be theirs.
func (it *iteration) findHosts(f *Forward, group uint16, known []*upstream) (found []*upstream) {
	if it.f.look {
		return nil
	}
	for i := range f.Hosts {
		h := &f.Hosts[i]
		for _, rtype := range it.s.config.Recursion.families() {
			if it.b.target() != nil {
				return found
			}
			msg, _, err := it.need(it.addressQuestion(h.Name, rtype), it.f.depth+1, it.f.aliases, true)
			if err != nil {
				it.b.missed()
				continue
			}
			for _, u := range it.hostAt(h, group, addressesIn(msg, rtype)) {
				if !slices.Contains(known, u) {
					found = append(found, u)
				}
			}
		}
	}
	return found
}

// sweep closes the idle connections of resolvers that were found by their names.
func (h *hosted) sweep(idle time.Duration) {
	for _, u := range h.list() {
		u.connections.closeIdle(idle)
	}
}
