package dnsserver

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Doors for the tests of sockets and connections.

// UsePortable makes Run use the UDP loop of systems without recvmmsg.
func (s *Server) UsePortable() { s.portable = true }

// RefuseSpread makes a server made from c meet a kernel that refuses to spread datagrams as it is told.
func RefuseSpread(c *Config, err error) { c.spread = func([]*udpSocket) error { return err } }

// UDPWorkers counts the UDP sockets.
func (s *Server) UDPWorkers() int { return len(s.loops) }

// ReceiveBuffers returns how many octets the kernel gives each UDP socket for what comes in.
func (s *Server) ReceiveBuffers() (each []int) {
	for _, l := range s.loops {
		each = append(each, l.socket.receiveBuffer())
	}
	return each
}

// UDPReceived returns how many datagrams each UDP socket has received.
func (s *Server) UDPReceived() (each []uint64) {
	for _, l := range s.loops {
		each = append(each, l.socket.received.Load())
	}
	return each
}

// UDPCounts are the sums over all UDP sockets.
type UDPCounts struct{ Received, Sent, Cut, Failed, Full, KernelDrops uint64 }

// UDPCounts returns the sums over all UDP sockets.
func (s *Server) UDPCounts() UDPCounts {
	c := s.countUDP()
	return UDPCounts{c.udpReceived, c.udpSent, c.udpCut, c.udpFailed, c.udpFull, c.udpKernelDrops}
}

// Waiting returns how many queries wait for the network.
func (s *Server) Waiting() int64 { return s.network.waiting.Load() }

// TurnedAway returns how many queries found the room for waiting full, and how many found their network's share of it used up.
func (s *Server) TurnedAway() (full, greedy uint64) {
	return s.network.full.Load(), s.network.greedy.Load()
}

// Bugs returns how many faults of our own were caught.
func (s *Server) Bugs() (n uint64) {
	for _, w := range s.core.allWorkers() {
		n += w.counters.bugs.Load()
	}
	return n
}

// TCPCounts are what the TCP server counted.
type TCPCounts struct {
	Open, Unsent                                                                          int64
	Accepted, AcceptFailed, AcceptLost, Full, Greedy, Outside, TimedOut, Garbled, Readers uint64
}

// TCPCounts returns what the TCP server counted.
func (s *Server) TCPCounts() TCPCounts {
	t := s.tcp
	return TCPCounts{t.open.Load(), t.unsent.Load(), t.accepted.Load(), t.acceptFailed.Load(), t.acceptLost.Load(), t.refusedFull.Load(),
		t.refusedGreedy.Load(), t.refusedOutside.Load(), t.timedOut.Load(), t.garbled.Load(), t.slowReaders.Load()}
}

// Handshaking counts the handshakes of TLS under way.
func (s *Server) Handshaking() int64 { return s.tcp.handshaking.Load() }

// TCPIdle counts the connections that are idle.
func (s *Server) TCPIdle() (n int) {
	s.tcp.mu.Lock()
	defer s.tcp.mu.Unlock()
	for c := range s.tcp.conns {
		if c.idleSince.Load() != 0 {
			n++
		}
	}
	return n
}

// SetUnsent sets how many octets of replies one connection, and all together, may leave unread.
func (s *Server) SetUnsent(one, all int64) { s.tcp.most = unsentBounds{one, all} }

// Accept serves a listener as if it were one of the server's own.
func (s *Server) Accept(ctx context.Context, l net.Listener) error { return s.tcp.accept(ctx, l, nil) }

// OutsidersMax is how many connections those have who may not ask.
const OutsidersMax = outsidersMax

// HandshakesMax is how many handshakes of TLS are under way at once.
const HandshakesMax = handshakesMax

// QueryTimeout is how long a query may wait for the network.
const QueryTimeout = queryTimeout

// LastReply makes a connection that reads while its only query waits. finish ends that query, and stop tells the connection's server to stop.
func LastReply(conn net.Conn) (stop, finish func()) {
	shared := &core{}
	shared.setBounds(Bounds{Idle: time.Hour})
	t := &tcpServer{core: shared, conns: map[*tcpConn]struct{}{}}
	c := &tcpConn{server: t, conn: conn, between: true, pending: 1}
	c.changed = sync.NewCond(&c.mu)
	t.conns[c] = struct{}{}
	return t.stop, func() { c.finish(nil, nil) }
}

// ReadMessages cuts a stream into messages as a connection does, until it ends or breaks a rule.
func ReadMessages(conn net.Conn) (messages [][]byte, capacityMax int) {
	shared := &core{}
	shared.setBounds(Bounds{Idle: time.Minute, Read: time.Minute, Connections: 1})
	t := &tcpServer{core: shared}
	c := &tcpConn{server: t, conn: conn, peer: netip.AddrPort{}}
	for {
		msg, err := c.next()
		capacityMax = max(capacityMax, len(c.store))
		if err != nil {
			return messages, capacityMax
		}
		messages = append(messages, append([]byte(nil), msg...))
	}
}

// WaitTold waits until the log has been told what it is told of refused updates by now. It does not wait for their goroutines as the end of a Server does, since
// others may begin meanwhile.
func (s *Server) WaitTold() {
	for s.core.updates.told.telling.Load() {
		time.Sleep(time.Millisecond)
	}
}
