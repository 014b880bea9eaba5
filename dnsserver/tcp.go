package dnsserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cenote/policy"
)

// Bounds of TCP that nobody needs to set.
const (
	// connRoom is what a connection has for reading: several usual queries. Only a query that is larger takes more, as its octets come.
	connRoom = 1024
	// prefixLen is the length before each message (RFC 1035 section 4.2.2).
	prefixLen = 2
	// unsentMax is how many octets of replies one connection may leave unread, beside what is being written and what the kernel holds.
	unsentMax = 256 << 10
	// unsentTotal is how many octets of replies all connections together may leave unread, beside what the kernel holds.
	unsentTotal = 64 << 20
	// acceptPauseMin and acceptPauseMax are the shortest and the longest rest after an accept that failed.
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
	// evictionTries is how many connections are looked at for the one that was idle longest, when a new one finds every place taken.
	evictionTries = 64
	// outsidersMax is how many connections those have together whom the access list keeps out. They are beside Bounds.Connections, so that no
	// client is kept out by somebody who is refused; each lasts for Bounds.Read at most.
	outsidersMax = 64
)

// tcpServer owns the TCP connections of all listeners (RFC 7766). Each has one goroutine, which reads, takes the six steps, and writes;
// queries that wait for the network come back from others, in any order.
type tcpServer struct {
	worker  *worker
	network *network
	core    *core
	clients *clientShare
	open    atomic.Int64 // connections
	unsent  atomic.Int64 // octets of replies that wait for their clients
	most    unsentBounds
	running sync.WaitGroup
	outs    outPools
	queries sync.Pool // of *Query
	tcpCounters
	tlsCounters

	mu        sync.Mutex
	conns     map[*tcpConn]struct{} // guarded by mu
	outsiders int                   // guarded by mu: those of conns that are an outsider's
	stopping  bool                  // guarded by mu: nobody is let in
}

// unsentBounds are the bounds on replies that are not read, in octets.
type unsentBounds struct{ one, all int64 }

// tcpCounters count what became of connections.
type tcpCounters struct {
	accepted       atomic.Uint64
	acceptFailed   atomic.Uint64 // accepts that found no file descriptor or memory
	acceptLost     atomic.Uint64 // accepts of connections that the network had broken by then
	refusedFull    atomic.Uint64 // connections ended at once: the server holds Connections, and none is idle
	refusedGreedy  atomic.Uint64 // connections ended at once: their client network holds PerClient
	refusedOutside atomic.Uint64 // connections ended at once from outside the access list: they hold outsidersMax, or are to get no reply
	timedOut       atomic.Uint64 // connections ended idle, for their time or for another's place, or in the middle of a query
	garbled        atomic.Uint64 // connections ended because of a message shorter than a header
	slowReaders    atomic.Uint64 // connections ended because replies were not read
}

func newTCPServer(c *core, n *network) *tcpServer {
	t := &tcpServer{worker: c.newShared(), network: n, core: c, most: unsentBounds{unsentMax, unsentTotal}, conns: map[*tcpConn]struct{}{}}
	t.clients = newClientShare(c, func(b *Bounds) int { return b.PerClient })
	t.queries.New = func() any { return new(Query) }
	return t
}

// accept serves the connections of one listener until that is closed. It does not end for a lack of file descriptors: it rests, longer
// each time, for connections that end will give some back. Nor does it end for what the network does to a connection.
// encryption is nil where nothing is encrypted.
func (t *tcpServer) accept(ctx context.Context, l net.Listener, encryption *tls.Config) error {
	var pause time.Duration
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			t.admit(conn, encryption)
		case errors.Is(err, net.ErrClosed):
			return nil
		case scarce(err):
			t.acceptFailed.Add(1)
			pause = min(max(2*pause, acceptPauseMin), acceptPauseMax)
			rest(ctx, pause)
		case lasting(err):
			return err
		default:
			t.acceptLost.Add(1)
			rest(ctx, acceptPauseMin) // never longer: that would be for the network to decide
		}
	}
}

// scarce reports whether an accept failed for want of descriptors or memory.
func scarce(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// lasting reports whether an accept failed because of the listener itself, and so will for ever. What else is not scarce concerns one
// connection: a client that went away meanwhile, or an error of its network, which accept(2) passes on in many kinds.
func lasting(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return true
	}
	return errno == syscall.EBADF || errno == syscall.EFAULT || errno == syscall.EINVAL || errno == syscall.ENOTSOCK
}

// rest waits for d or for the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// admit serves a new connection, or ends it if that would break a bound.
func (t *tcpServer) admit(conn net.Conn, encryption *tls.Config) {
	c := &tcpConn{server: t, conn: conn, raw: conn, transport: policy.TransportTCP, peer: tcpAddr(conn.RemoteAddr()), local: tcpAddr(conn.LocalAddr())}
	c.changed = sync.NewCond(&c.mu)
	if encryption != nil {
		c.encrypt(encryption)
	}
	let := t.letClient
	if !t.core.welcomes(c.peer.Addr()) {
		let = t.letOutsider
	}
	if !let(c) {
		conn.Close()
		return
	}
	t.accepted.Add(1)
	t.running.Go(c.serve)
}

// letClient finds a place for a connection from inside the access list.
func (t *tcpServer) letClient(c *tcpConn) (ok bool) {
	if c.network, ok = t.clients.enter(c.peer.Addr()); !ok {
		t.refusedGreedy.Add(1)
		return false
	}
	if !t.keep(c) {
		t.clients.leave(c.network)
		return false
	}
	return true
}

// letOutsider finds a place for a connection from outside the access list, on which queries are refused, unless outsiders are to get no
// reply.
func (t *tcpServer) letOutsider(c *tcpConn) bool {
	c.until = time.Now().Add(t.core.bounds.Load().Read)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping {
		return false
	}
	if t.outsiders >= outsidersMax || t.core.settings.Load().Access.Drop {
		t.refusedOutside.Add(1)
		return false
	}
	t.conns[c] = struct{}{}
	t.outsiders++
	t.open.Add(1)
	return true
}

// tcpAddr is an address of a connection; IPv4 is never in IPv6 form.
func tcpAddr(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	addr := tcp.AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// keep takes a client's connection in, if need be in the place of an idle one, or of several if the bound was lowered.
func (t *tcpServer) keep(c *tcpConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopping {
		return false
	}
	for len(t.conns)-t.outsiders >= t.core.bounds.Load().Connections {
		if !t.evict() {
			t.refusedFull.Add(1)
			return false
		}
	}
	t.conns[c] = struct{}{}
	t.open.Add(1)
	return true
}

// evict ends the client's connection that was idle longest among some, so that those who only hold a place cannot keep others out. mu is held.
func (t *tcpServer) evict() bool {
	var longest *tcpConn
	tries := 0
	for c := range t.conns { // in an order that begins anywhere
		if c.outsider() {
			continue
		}
		if since := c.idleSince.Load(); since != 0 && (longest == nil || since < longest.idleSince.Load()) {
			longest = c
		}
		if tries++; tries == evictionTries {
			break
		}
	}
	if longest == nil {
		return false
	}
	t.timedOut.Add(1)
	longest.raw.Close()
	t.remove(longest)
	return true
}

// remove takes a connection off the list, once. mu is held.
func (t *tcpServer) remove(c *tcpConn) {
	if _, held := t.conns[c]; held {
		delete(t.conns, c)
		t.open.Add(-1)
		if c.outsider() {
			t.outsiders--
		} else {
			t.clients.leave(c.network)
		}
	}
}

func (t *tcpServer) forget(c *tcpConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(c)
}

// stop lets nobody in any more and has every connection answer what it has read, and end.
func (t *tcpServer) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopping = true
	for c := range t.conns {
		c.stopping.Store(true)
		c.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// endAll ends the connections that are left, whatever they are doing.
func (t *tcpServer) endAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.conns {
		c.raw.Close()
	}
}
