package resolver

import (
	"maps"
	"reflect"

	"cenote/dnsname"
)

// Flush forgets the answers for name and, with subtree, for all names below it, and what is known of the zones there: delegations, keys,
// denials; and what zones above have denied, by which the name might not be there. It returns how many answers there were. The root with subtree is everything.
func (r *Resolver) Flush(name dnsname.Name, subtree bool) int {
	name = name.Canonical()
	n := r.unlearn(name, subtree)
	if name.IsRoot() && subtree {
		return n + r.cache.FlushAll()
	}
	return n + r.cache.Flush(name, subtree)
}

// settle forgets what is not so any more, after a swap. Questions that begin while that is under way may learn by what is not forgotten yet, and keep what they learn: so it is made as if
// another swap came when all is forgotten. What they have kept by then is forgotten too, and what they keep later they take away themselves (isOver). The caller holds updating.
func (r *Resolver) settle(names []dnsname.Name) {
	if len(names) == 0 {
		return
	}
	r.outdate(names)
	settled := *r.state.Load()
	settled.era++
	r.flights.mu.Lock()
	r.state.Store(&settled)
	r.flights.mu.Unlock()
	r.outdate(names)
}

// outdate forgets what is known below some names, of whatever source, and what a source said that is none any more. An answer whose alias leads to one of the names holds what is found
// there, and goes too.
func (r *Resolver) outdate(names []dnsname.Name) {
	r.unlearnBelow(regionOf(names...))
	r.scoped.flush(dnsname.Root, true)
	r.cache.Forget(names)
}

// outdated are the names below which another configuration finds other answers; the root stands for everything. They are forgotten, or
// what one source said would be served as if the other had said it.
func outdated(before, after *Config) (names []dnsname.Name) {
	switch from, to := before.Recursion, after.Recursion; {
	case from != nil && to != nil:
		return outdatedBelow(from, to)
	case from != nil || to != nil || !sameUpstreams(before.Upstreams, after.Upstreams):
		return []dnsname.Name{dnsname.Root}
	}
	return nil
}

// sameUpstreams reports whether two lists have the same upstreams, in whatever order: who of them gave an answer is not kept beside it.
func sameUpstreams(a, b []Upstream) bool {
	one := func(list []Upstream) map[Upstream]bool {
		all := map[Upstream]bool{}
		for _, u := range list {
			all[u] = true
		}
		return all
	}
	return maps.Equal(one(a), one(b))
}

func outdatedBelow(before, after *Recursion) (names []dnsname.Name) {
	same := reflect.DeepEqual(before.Hints, after.Hints) && before.Port == after.Port && reflect.DeepEqual(before.Never, after.Never)
	same = same && before.DNS64 == after.DNS64 && reflect.DeepEqual(before.Private, after.Private)
	if !same || !reflect.DeepEqual(before.Anchors, after.Anchors) {
		return []dnsname.Name{dnsname.Root}
	}
	if before.NothingBelow && !after.NothingBelow {
		names = append(names, dnsname.Root)
	}
	if !reflect.DeepEqual(before.Subnets, after.Subnets) {
		names = append(append(names, before.Subnets.Zones...), after.Subnets.Zones...)
	}
	names = append(names, changed(before.Forwards, after.Forwards, zoneOfForward)...)
	names = append(names, changed(before.Stubs, after.Stubs, zoneOfStub)...)
	return append(names, changed(before.Negative, after.Negative, zoneOfNegative)...)
}

// changed are the names of entries that are in one list and not in the other.
func changed[T any](before, after []T, zone func(*T) dnsname.Name) (names []dnsname.Name) {
	for _, pair := range [][2][]T{{before, after}, {after, before}} {
		for i, at := range unchanged(pair[0], pair[1], zone, same) {
			if at < 0 {
				names = append(names, zone(&pair[0][i]))
			}
		}
	}
	return names
}
