package blocklist

import (
	"fmt"
	"net/netip"
	"syscall"
)

// dialGuard says which addresses a fetch may reach. It is asked for each address that is dialled, after names have been looked up and for every
// redirect, so that neither a redirect nor a name whose address changes leads to a host of ours.
type dialGuard struct {
	allowed []netip.Prefix // although they are not public
	special []specialNetwork
}

// specialNetwork is a part of the address space that is not the public internet.
type specialNetwork struct {
	netip.Prefix
	what string
}

func newDialGuard(allowed []netip.Prefix) *dialGuard {
	return &dialGuard{allowed, specialNetworks()}
}

// specialNetworks are those of the registries of IANA (RFC 6890) that no list server has its address in. Of IPv6 only 2000::/3 is public.
func specialNetworks() []specialNetwork {
	var out []specialNetwork
	for _, n := range [][2]string{
		{"0.0.0.0/8", "an address of this host"}, {"127.0.0.0/8", "a loopback address"}, {"169.254.0.0/16", "a link-local address"},
		{"10.0.0.0/8", "a private address"}, {"172.16.0.0/12", "a private address"}, {"192.168.0.0/16", "a private address"},
		{"100.64.0.0/10", "a shared address of a provider"}, {"224.0.0.0/4", "a multicast address"}, {"240.0.0.0/4", "a reserved address"},
		{"192.0.0.0/24", "a reserved address"}, {"192.0.2.0/24", "an address of documentation"}, {"192.88.99.0/24", "a reserved address"},
		{"198.18.0.0/15", "an address of benchmarks"}, {"198.51.100.0/24", "an address of documentation"}, {"203.0.113.0/24", "an address of documentation"},
		{"::/128", "an address of this host"}, {"::1/128", "a loopback address"}, {"fe80::/10", "a link-local address"}, {"fc00::/7", "a private address"},
		{"ff00::/8", "a multicast address"}, {"2001::/23", "a reserved address"}, {"2001:db8::/32", "an address of documentation"},
		{"2002::/16", "an address of 6to4"}, {"3fff::/20", "an address of documentation"},
	} {
		out = append(out, specialNetwork{netip.MustParsePrefix(n[0]), n[1]})
	}
	return out
}

// addressError says that a fetch would reach what it must not.
type addressError struct {
	addr netip.Addr
	what string
}

// Error has the address and the next move.
func (e *addressError) Error() string {
	return fmt.Sprintf("%v is %s, which a list is not fetched from; if it is meant, name its network in the feed's allow_private", e.addr, e.what)
}

// control is the Control of a net.Dialer.
func (g *dialGuard) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return g.check(to.Addr())
}

// check returns an addressError unless a may be reached.
func (g *dialGuard) check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	end := reached(a)
	for _, p := range g.allowed {
		if p.Contains(a) || p.Contains(end) {
			return nil
		}
	}
	for _, n := range g.special {
		if n.Contains(end) {
			return &addressError{a, n.what}
		}
	}
	if end.Is6() && !netip.MustParsePrefix("2000::/3").Contains(end) {
		return &addressError{a, "no public address"}
	}
	return nil
}

// reached is the address at which a packet to a arrives: a translator (NAT64, RFC 6052) takes an IPv4 address out of it.
func reached(a netip.Addr) netip.Addr {
	if !netip.MustParsePrefix("64:ff9b::/96").Contains(a) {
		return a
	}
	b := a.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}
