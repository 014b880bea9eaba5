package main

import (
	"context"

	"cenote/dnsserver"
	"cenote/policy"
	"cenote/resolver"
	"cenote/rrcache"
)

// network is the resolver as the path of a query asks it.
type network struct{ *resolver.Resolver }

// Resolve asks the resolver; see dnsserver.Resolver.
func (n network) Resolve(ctx context.Context, key *rrcache.Key, dst []byte) (dnsserver.Resolved, error) {
	r, err := n.Resolver.Resolve(ctx, key, dst)
	return dnsserver.Resolved{Msg: r.Msg, Stale: r.Stale, EDE: r.EDE}, err
}

// Path asks the resolver for the name servers on the way to a name; see dnsserver.PathFinder.
func (n network) Path(ctx context.Context, name []byte, wants policy.PathWants) (policy.Path, bool) {
	found := n.Resolver.Path(ctx, name, resolver.PathOptions(wants))
	out := policy.Path{Servers: make([]policy.Server, len(found.Servers))}
	for i, s := range found.Servers {
		out.Servers[i] = policy.Server(s)
	}
	return out, found.Whole
}
