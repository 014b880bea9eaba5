package main

import (
	"context"
	"fmt"

	"cenote/dnsserver"
	"cenote/policy"
	"cenote/resolver"
	"cenote/rrcache"
	"cenote/wire"
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

// truth finds what a name has: its IPv4 addresses with the chain to them, its IPv6 addresses, and the name servers on the way to all of them if
// rules look at those.
func (s *server) truth(ctx context.Context, name []byte) (*policy.Answer, error) {
	found := &policy.Answer{}
	key := rrcache.Key{Name: name, Type: wire.TypeA, Class: wire.ClassIN}
	four, err := s.resolver.Resolve(ctx, &key, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the network: %w", err)
	}
	found.Msg = four.Msg
	key = rrcache.Key{Name: name, Type: wire.TypeAAAA, Class: wire.ClassIN}
	if six, err := s.resolver.Resolve(ctx, &key, nil); err == nil {
		found.Addrs = policy.AddressesIn(six.Msg)
	}
	if p := s.catalog.policy.Load(); p != nil && p.ServerTriggers() {
		for _, step := range policy.Names(name, found.Msg) {
			path, _ := network{s.resolver}.Path(ctx, step, p.PathWants())
			found.Paths = append(found.Paths, path)
		}
	}
	return found, nil
}
