package dnsserver

import (
	"net/netip"
	"sync"
)

// clientShare counts what each client network holds of something, and refuses what is over its share. Networks that the rate limit exempts,
// such as a forwarder in front of us, have no share. Its methods may be called from many goroutines.
type clientShare struct {
	core *core
	most func(*Bounds) int // the share

	mu   sync.Mutex
	held map[netip.Prefix]int // guarded by mu; only networks that hold something
}

func newClientShare(c *core, most func(*Bounds) int) *clientShare {
	return &clientShare{core: c, most: most, held: map[netip.Prefix]int{}}
}

// enter counts one more for the network of addr, which it returns for leave, unless that holds its share.
func (s *clientShare) enter(addr netip.Addr) (network netip.Prefix, ok bool) {
	network, exempt := s.network(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[network] >= s.most(s.core.bounds.Load()) && !exempt {
		return network, false
	}
	s.held[network]++
	return network, true
}

// leave takes back what enter counted.
func (s *clientShare) leave(network netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[network]--; s.held[network] <= 0 {
		delete(s.held, network)
	}
}

// network is the client network of addr as the rate limit defines it.
func (s *clientShare) network(addr netip.Addr) (network netip.Prefix, exempt bool) {
	rates := s.core.settings.Load().Rates
	bits := rates.IPv6Bits
	if addr.Is4() {
		bits = rates.IPv4Bits
	}
	if bits <= 0 || bits > addr.BitLen() {
		bits = addr.BitLen()
	}
	network, _ = addr.WithZone("").Prefix(bits)
	for _, p := range rates.Exempt {
		exempt = exempt || p.Contains(addr.WithZone(""))
	}
	return network, exempt
}
