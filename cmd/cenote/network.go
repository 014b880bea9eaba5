package main

import (
	"context"
	"fmt"

	"cenote/config"
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

// paths finds the name servers on the way to a name, as the configuration has it.
type paths struct {
	resolver *resolver.Resolver
	policy   func() *config.Policy
}

func (s *server) paths() paths {
	return paths{s.resolver, func() *config.Policy { return &s.config.Load().Policy }}
}

// Path asks the resolver; see dnsserver.PathFinder.
func (p paths) Path(ctx context.Context, name []byte, addresses bool) (policy.Path, bool) {
	c := p.policy()
	found := p.resolver.Path(ctx, name, resolver.PathOptions{
		MinDots: c.MinNSDots, Addresses: addresses, WaitNames: c.NSDNAMEWaitRecurse, WaitAddresses: c.NSIPWaitRecurse,
	})
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
		finder := s.paths()
		for _, step := range policy.Names(name, found.Msg) {
			path, _ := finder.Path(ctx, step, true)
			found.Paths = append(found.Paths, path)
		}
	}
	return found, nil
}
