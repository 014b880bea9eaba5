package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// portTries is how often a port that the kernel chose for UDP is given back because another process has it for TCP.
const portTries = 20

// tcpSendBuffer is how many octets of replies the kernel holds for a connection. Left alone it would grow to megabytes for a client
// that does not read.
const tcpSendBuffer = 128 << 10

// endpoint is what one Listen opened: a UDP socket for each worker, and a TCP listener.
type endpoint struct {
	udp    []*udpSocket
	tcp    *net.TCPListener
	spread error // why the kernel does not spread datagrams as it was told

	certificate *certificate // of what comes over tcp; nil where that is not encrypted
	files       *TLSFiles    // of certificate
}

// udpSocket is one bound UDP socket. Its options are those of setUDPOptions.
type udpSocket struct {
	conn     *net.UDPConn
	raw      syscall.RawConn
	local    netip.AddrPort // as bound
	wildcard bool           // bound to an unspecified address: every datagram says which address it was sent to
	udpCounters
}

// openEndpoints binds every address, or none.
func openEndpoints(ctx context.Context, c *Config) (all []*endpoint, err error) {
	defer func() {
		if err != nil {
			closeEndpoints(all)
		}
	}()
	for _, l := range c.Listen {
		e, err := openEndpoint(ctx, c, l)
		if err != nil {
			return all, fmt.Errorf("listening on %v: %w", l.Addr, err)
		}
		all = append(all, e)
	}
	return all, nil
}

func closeEndpoints(all []*endpoint) {
	for _, e := range all {
		e.close()
	}
}

func openEndpoint(ctx context.Context, c *Config, l Listen) (e *endpoint, err error) {
	suffix := networkSuffix(c.Listen, l.Addr)
	for range portTries {
		if e, err = tryEndpoint(ctx, c, l, suffix); err == nil || l.Addr.Port() != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return e, err
}

// networkSuffix makes Go's name of a network say which IP versions a socket takes: "" is both, for [::] alone.
func networkSuffix(all []Listen, addr netip.AddrPort) string {
	switch {
	case addr.Addr().Is4():
		return "4"
	case !addr.Addr().IsUnspecified():
		return "6"
	}
	for _, l := range all {
		if l.Addr.Addr() == netip.IPv4Unspecified() && l.Addr.Port() == addr.Port() {
			return "6"
		}
	}
	return ""
}

func tryEndpoint(ctx context.Context, c *Config, l Listen, suffix string) (e *endpoint, err error) {
	e = new(endpoint)
	defer func() {
		if err != nil {
			e.close()
			e = nil
		}
	}()
	addr := l.Addr
	if l.UDP {
		for _, one := range oneStack("udp"+suffix, addr) {
			sockets, err := openUDP(ctx, c, one.network, netip.AddrPortFrom(one.addr, addr.Port()))
			if err != nil {
				return e, err
			}
			if err := spread(c, sockets); err != nil {
				e.spread = err
			}
			e.udp = append(e.udp, sockets...)
			addr = netip.AddrPortFrom(addr.Addr(), sockets[0].local.Port())
		}
	}
	if l.TCP {
		lc := net.ListenConfig{KeepAlive: -1, Control: setTCPOptions} // the idle deadline ends dead peers sooner than keepalives
		var tcp net.Listener
		if tcp, err = lc.Listen(ctx, "tcp"+suffix, addr.String()); err == nil {
			e.tcp = tcp.(*net.TCPListener)
		}
	}
	return e, err
}

// stack is a network of Go's with an address on it.
type stack struct {
	network string
	addr    netip.Addr
}

// oneStack splits an address for both IP versions in two where one socket for both cannot tell which IPv4 address was asked.
func oneStack(network string, addr netip.AddrPort) []stack {
	if network != "udp" || dualStackWorks {
		return []stack{{network, addr.Addr()}}
	}
	return []stack{{"udp6", netip.IPv6Unspecified()}, {"udp4", netip.IPv4Unspecified()}}
}

// close closes what is open. It may be called again.
func (e *endpoint) close() {
	for _, s := range e.udp {
		s.conn.Close()
	}
	if e.tcp != nil {
		e.tcp.Close()
	}
}

// addrs lists what the endpoint is bound to.
func (e *endpoint) addrs() []Listen {
	var out []Listen
	if len(e.udp) > 0 {
		out = append(out, Listen{Addr: e.udp[0].local, UDP: true})
	}
	if e.tcp != nil {
		addr := e.tcp.Addr().(*net.TCPAddr).AddrPort()
		out = append(out, Listen{Addr: netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), TCP: true, TLS: e.files})
	}
	return out
}

// openUDP binds one socket a worker to one address. Several share the port by SO_REUSEPORT.
func openUDP(ctx context.Context, c *Config, network string, addr netip.AddrPort) (sockets []*udpSocket, err error) {
	defer func() {
		if err != nil {
			for _, s := range sockets {
				s.conn.Close()
			}
			sockets = nil
		}
	}()
	workers := c.Bounds.Workers
	if !reusePortWorks {
		workers = 1
	}
	if workers > 1 && addr.Port() != 0 {
		if err := probeUDP(ctx, network, addr); err != nil {
			return nil, err
		}
	}
	for range workers {
		s, err := bindUDP(ctx, c, network, addr, workers > 1)
		if err != nil {
			return sockets, err
		}
		sockets = append(sockets, s)
		addr = s.local
	}
	return sockets, nil
}

// spread has a filter in the kernel spread the datagrams over the sockets of an address. Old kernels lack it and sandboxes refuse it: the
// sockets then serve as well, but the kernel chooses among them by its hash.
func spread(c *Config, sockets []*udpSocket) error {
	switch {
	case len(sockets) < 2:
		return nil
	case c.spread != nil:
		return c.spread(sockets)
	}
	return spreadUDP(sockets, c.Bounds.ByCore)
}

// probeUDP fails if the address is taken. With SO_REUSEPORT the bind itself would succeed beside another server of the same user, and the
// two would share the clients without anyone noticing.
func probeUDP(ctx context.Context, network string, addr netip.AddrPort) error {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, network, addr.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

func bindUDP(ctx context.Context, c *Config, network string, addr netip.AddrPort, shared bool) (*udpSocket, error) {
	s := &udpSocket{wildcard: addr.Addr().IsUnspecified()}
	lc := net.ListenConfig{Control: func(network, _ string, raw syscall.RawConn) error {
		return setUDPOptions(raw, network != "udp4", s.wildcard, shared, c.Bounds.ReceiveBuffer)
	}}
	conn, err := lc.ListenPacket(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	s.conn = conn.(*net.UDPConn)
	bound := s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s.local = netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}
