package dnsserver

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cenote/policy"
	"cenote/wire"
)

// errGarbled ends a connection whose client does not speak DNS.
var errGarbled = errors.New("message is shorter than a header")

// tcpConn is one connection. serve runs in a goroutine of its own and alone touches what is read; replies are queued by serve and by the
// goroutines of queries that waited, and written by whichever of them finds nobody writing.
type tcpConn struct {
	server    *tcpServer
	conn      net.Conn // what is read and written
	raw       net.Conn // what lies beneath, if conn is encrypted; else conn
	transport policy.Transport
	weak      bool // it is encrypted, and not as RFC 9103 section 7 wants it of transfers
	peer      netip.AddrPort
	local     netip.AddrPort
	network   netip.Prefix // the client network that the connection is counted for; none for an outsider
	until     time.Time    // when the connection of an outsider ends; zero for a client's
	idleSince atomic.Int64 // nanoseconds since the epoch; 0 while anything is to be done
	stopping  atomic.Bool  // no further query is read

	buf   [connRoom]byte
	store []byte    // buf, or a larger buffer while a query needs one
	have  []byte    // what has come and is not used yet: a part of store
	began time.Time // when the first octet of have came, or when serve came back to it

	mu      sync.Mutex
	changed *sync.Cond // on mu: pending fell, or nobody is writing any more
	between bool       // guarded by mu: serve reads, and has nothing of a next query
	pending int        // guarded by mu: queries that wait for the network
	out     *[]byte    // guarded by mu: replies that nobody is writing yet; nil for none
	writing bool       // guarded by mu
	dead    bool       // guarded by mu: replies are thrown away
}

// outsider reports whether the access list did not have the client when it came.
func (c *tcpConn) outsider() bool { return !c.until.IsZero() }

// shutOut reports whether the access list has changed and has the client no more.
func (c *tcpConn) shutOut() bool {
	return !c.outsider() && !c.server.core.welcomes(c.peer.Addr())
}

// serve answers queries until the client ends the connection, breaks a bound, is told to go or has been refused for a change of the access
// list, for it holds a place that is not its any more; then it waits for the replies under way.
func (c *tcpConn) serve() {
	defer c.server.forget(c)
	defer c.conn.Close()
	if !c.handshake() {
		return
	}
	for {
		msg, err := c.next()
		if err != nil {
			c.count(err)
			break
		}
		last := c.shutOut() // before the answer, so that no connection ends without a query of it refused
		c.answer(msg)
		if last {
			break
		}
		c.awaitRoom()
		c.began = time.Now() // of what already came of the next query: its time did not run while nobody read
	}
	c.awaitQuiet()
}

// count notes why a connection was ended. Clients that end it themselves are not counted.
func (c *tcpConn) count(err error) {
	switch {
	case errors.Is(err, errGarbled):
		c.server.garbled.Add(1)
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.stopping.Load():
		c.server.timedOut.Add(1)
	}
}

// next returns the next message, which is valid until the next call.
func (c *tcpConn) next() ([]byte, error) {
	for {
		if len(c.have) >= prefixLen {
			size := int(binary.BigEndian.Uint16(c.have))
			if size < wire.HeaderLen {
				return nil, errGarbled
			}
			if end := prefixLen + size; len(c.have) >= end {
				msg := c.have[prefixLen:end]
				c.have = c.have[end:]
				return msg, nil
			}
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once. A query must be whole within Bounds.Read of its first octet, however slowly the rest drips in; before that octet the
// idle time runs, except while queries of the connection are being worked on (RFC 7766 section 6.2.3).
func (c *tcpConn) fill() error {
	c.makeRoom()
	between := len(c.have) == 0 // nothing has come of a next query
	deadline := c.began.Add(c.server.core.bounds.Load().Read)
	if between {
		deadline = time.Now().Add(c.server.core.bounds.Load().Idle)
	}
	if c.outsider() && deadline.After(c.until) {
		deadline = c.until
	}
	c.conn.SetReadDeadline(deadline)
	if c.stopping.Load() { // after the deadline is set: stop sets its own after it says so
		return os.ErrDeadlineExceeded
	}
	c.reading(between)
	n, err := c.conn.Read(c.have[len(c.have):cap(c.have)])
	c.reading(false)
	if n > 0 {
		if between {
			c.began = time.Now()
		}
		c.have = c.have[:len(c.have)+n]
		return nil
	}
	if between && errors.Is(err, os.ErrDeadlineExceeded) && !c.outsider() && c.busy() {
		return nil
	}
	return err
}

// makeRoom leaves room behind have. It grows only when octets have filled what there was, never on the word of a length prefix.
func (c *tcpConn) makeRoom() {
	switch {
	case len(c.have) == 0:
		c.store = c.buf[:]
		c.have = c.store[:0]
	case len(c.have) == len(c.store):
		c.store = append(make([]byte, 0, min(2*len(c.store), prefixLen+wire.MessageMax)), c.have...)
		c.have, c.store = c.store, c.store[:cap(c.store)]
	case len(c.have) == cap(c.have):
		c.have = c.store[:copy(c.store, c.have)]
	}
}

// answer takes the six steps with one message.
func (c *tcpConn) answer(msg []byte) {
	t := c.server
	q := t.queries.Get().(*Query)
	out := t.outs.get(wire.MessageMax)
	q.Begin()
	q.In, q.Out, q.Time, q.weak = msg, *out, t.core.config.Now(), c.weak
	q.Peer, q.Client, q.Local, q.Transport = c.peer, c.peer, c.local, c.transport
	if q.Idle = 0; !c.outsider() {
		q.Idle = t.core.bounds.Load().Idle
	}
	verdict := t.worker.answer(q)
	if verdict == NeedNetwork && !c.wait(q) {
		verdict = t.worker.shed(q)
	}
	switch {
	case q.transfer != nil:
		c.stream(q)
	case verdict == Replied:
		c.queue(q.Reply)
	}
	q.In, q.Out = nil, nil
	q.release()
	t.queries.Put(q)
	t.outs.put(out)
	c.flush()
}

// wait hands q to the network, if there is room.
func (c *tcpConn) wait(q *Query) bool {
	w := c.server.network.enter(q)
	if w == nil {
		return false
	}
	c.mu.Lock()
	c.pending++
	c.mu.Unlock()
	w.to = c
	c.server.network.start(w)
	return true
}

// finish sends the reply to a query that waited.
func (c *tcpConn) finish(_ *waiting, reply []byte) {
	if reply != nil {
		c.queue(reply)
		c.flush()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending--; c.pending == 0 {
		c.lastReply()
	}
	c.changed.Broadcast()
}

// reading notes whether serve reads and has nothing of a next query yet. The connection is idle if, beside that, no query is being worked
// on.
func (c *tcpConn) reading(between bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.between = between
	if between && c.pending == 0 {
		c.idleSince.Store(time.Now().UnixNano())
	} else {
		c.idleSince.Store(0)
	}
}

// lastReply gives the connection its idle time from now on, if its client has not asked anything else meanwhile. mu is held.
func (c *tcpConn) lastReply() {
	if !c.between || c.stopping.Load() || c.outsider() {
		return
	}
	now := time.Now()
	c.idleSince.Store(now.UnixNano())
	c.conn.SetReadDeadline(now.Add(c.server.core.bounds.Load().Idle))
	if c.stopping.Load() { // told so meanwhile, and its deadline may be lost to ours
		c.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// busy reports whether queries are being worked on.
func (c *tcpConn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending > 0 && !c.dead && !c.stopping.Load()
}

// awaitRoom holds up the reading while the connection has all the queries in work that it may have.
func (c *tcpConn) awaitRoom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.pending >= c.server.core.bounds.Load().Pipeline && !c.dead {
		c.changed.Wait()
	}
}

// awaitQuiet waits until every query that was read is answered and every reply written, or there is nobody left to write to.
func (c *tcpConn) awaitQuiet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.pending > 0 || c.writing) && !c.dead {
		c.changed.Wait()
	}
	c.dead = true
}

// queue appends a reply with its length to what is to be written, or ends the connection if too much is unread.
func (c *tcpConn) queue(reply []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return
	}
	if c.out == nil {
		c.out = c.server.outs.get(0)
	}
	size := int64(prefixLen + len(reply))
	if int64(len(*c.out))+size > c.server.most.one || c.server.unsent.Load()+size > c.server.most.all {
		c.kill(true)
		return
	}
	c.server.unsent.Add(size)
	*c.out = append(binary.BigEndian.AppendUint16(*c.out, uint16(len(reply))), reply...)
}

// flush writes all that is queued unless another goroutine does so already. A client that does not read what it asked for holds up one
// goroutine at most, for as long as Bounds.Write, and then loses the connection.
func (c *tcpConn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing {
		return
	}
	c.writing = true
	for c.out != nil && !c.dead {
		batch := c.out
		c.out = nil
		c.mu.Unlock()
		err := c.write(*batch)
		c.mu.Lock()
		c.drop(batch)
		if err != nil {
			c.kill(errors.Is(err, os.ErrDeadlineExceeded))
		}
	}
	c.writing = false
	c.changed.Broadcast()
}

func (c *tcpConn) write(batch []byte) error {
	c.conn.SetWriteDeadline(time.Now().Add(c.server.core.bounds.Load().Write))
	_, err := c.conn.Write(batch)
	return err
}

// kill ends the connection and throws away what is queued. mu is held.
func (c *tcpConn) kill(slow bool) {
	if c.dead {
		return
	}
	c.dead = true
	if slow {
		c.server.slowReaders.Add(1)
	}
	if c.out != nil {
		c.drop(c.out)
		c.out = nil
	}
	c.raw.Close()
	c.changed.Broadcast()
}

// drop gives back a buffer of replies, written or not.
func (c *tcpConn) drop(batch *[]byte) {
	c.server.unsent.Add(-int64(len(*batch)))
	c.server.outs.put(batch)
}
