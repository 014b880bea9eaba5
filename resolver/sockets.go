package resolver

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// sockets are the UDP sockets that queries are sent from. A query has one to itself, with a port that the kernel picks for it at random among
// those that are free. Where the kernel can take a port away from a socket and give it another, sockets whose query is over wait here for the
// next one: to open one costs several times as much.
type sockets struct {
	r *Resolver

	mu   sync.Mutex // guards the rest
	open map[*udpSocket]bool
	idle [2]idleSockets // for IPv4 and IPv6
}

// idleSockets are sockets of one family without a port, with that used last at the end.
type idleSockets struct {
	all   []*udpSocket
	spare int // how many of them nobody has needed since the last sweep
}

func (i *idleSockets) pop() *udpSocket {
	n := len(i.all) - 1
	if n < 0 {
		return nil
	}
	s := i.all[n]
	i.all = i.all[:n]
	i.spare = min(i.spare, n)
	return s
}

// idleSocketsMax is how many sockets wait for the next query.
const idleSocketsMax = 512

// connect returns a socket connected to a server, so that the kernel drops what comes from anybody else. disconnect takes it back.
func (p *sockets) connect(ctx context.Context, st *state, to netip.AddrPort) (*udpSocket, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	from := st.from(to)
	for {
		s, err := p.take(family(to.Addr()), st.config.Bounds.Sockets)
		switch {
		case err != nil:
			return nil, err
		case s == nil:
			return p.dial(ctx, from, to)
		case s.from != from.Addr() || to.Addr().Zone() != "":
			p.close(s)
			continue
		}
		s.to = to
		if err := s.reconnect(); err != nil {
			p.close(s)
			return nil, p.r.network(s.failed("dial", "connect", err))
		}
		return s, nil
	}
}

// family is the place in sockets.idle of the sockets that reach an address.
func family(to netip.Addr) int {
	if to.Is6() {
		return 1
	}
	return 0
}

// take returns a socket that waits or, if there is none, leave to open one.
func (p *sockets) take(family, most int) (*udpSocket, error) {
	p.mu.Lock()
	s := p.idle[family].pop()
	var other *udpSocket
	if s == nil && len(p.open) >= most {
		other = p.idle[1-family].pop()
	}
	p.mu.Unlock()
	if s != nil {
		return s, nil
	}
	if other != nil {
		p.close(other)
	}
	if p.r.counts.sockets.Add(1) > int64(most) {
		p.r.counts.sockets.Add(-1)
		p.r.counts.socketsShed.Add(1)
		return nil, errSockets
	}
	return nil, nil
}

// dial opens a socket. It is not bound to a port first: the kernel then picks a random one that is free for this destination.
func (p *sockets) dial(ctx context.Context, from, to netip.AddrPort) (*udpSocket, error) {
	dialer := net.Dialer{Control: ignorePathMTU}
	conn, err := dialer.DialUDP(ctx, "udp", from, to)
	if err != nil {
		p.r.counts.sockets.Add(-1)
		return nil, p.r.network(err)
	}
	s, err := newUDPSocket(conn, from.Addr(), to)
	if err != nil {
		conn.Close()
		p.r.counts.sockets.Add(-1)
		return nil, p.r.network(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[s] = true
	return s, nil
}

// disconnect ends the use of a socket. It waits for another query only if it is well and nothing has come to it besides what was read:
// what is meant for one query never meets another.
func (p *sockets) disconnect(s *udpSocket, well bool) {
	if !well || p.r.life.Err() != nil || !s.disconnect() || !p.give(s) {
		p.close(s)
	}
}

func (p *sockets) give(s *udpSocket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := &p.idle[s.family]
	if len(idle.all) >= idleSocketsMax {
		return false
	}
	idle.all = append(idle.all, s)
	return true
}

func (p *sockets) close(s *udpSocket) {
	p.mu.Lock()
	delete(p.open, s)
	p.mu.Unlock()
	s.conn.Close()
	p.r.counts.sockets.Add(-1)
}

// sweep closes the sockets that nobody has needed since the last sweep.
func (p *sockets) sweep() {
	p.mu.Lock()
	var old []*udpSocket
	for i := range p.idle {
		idle := &p.idle[i]
		old = append(old, idle.all[:idle.spare]...)
		idle.all = append(idle.all[:0], idle.all[idle.spare:]...)
		idle.spare = len(idle.all)
	}
	p.mu.Unlock()
	for _, s := range old {
		p.close(s)
	}
}

// interrupt ends all waits for replies. The life of the resolver has ended before, which those see who begin one now.
func (p *sockets) interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.open {
		s.interrupt()
	}
}

// closeIdle closes all sockets that wait.
func (p *sockets) closeIdle() {
	p.sweep() // after which all that are left are spare
	p.sweep()
}

// udpSocket is a socket that one query at a time is sent from.
type udpSocket struct {
	conn   *net.UDPConn
	from   netip.Addr // that it is bound to; the zero Addr where the kernel chooses
	to     netip.AddrPort
	family int
	udpTurns
}

// failed says what was done with the socket when an error came.
func (s *udpSocket) failed(op, call string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Addr: net.UDPAddrFromAddrPort(s.to), Err: os.NewSyscallError(call, err)}
}

func newUDPSocket(conn *net.UDPConn, from netip.Addr, to netip.AddrPort) (*udpSocket, error) {
	s := &udpSocket{conn: conn, from: from, to: to, family: family(to.Addr())}
	return s, s.prepare(conn)
}

// interrupt ends a wait for a reply.
func (s *udpSocket) interrupt() { s.conn.SetReadDeadline(time.Unix(1, 0)) }
