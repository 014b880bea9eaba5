package resolver

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// connections are the TCP connections to one upstream that wait for the next query (RFC 7766 section 6.2.1). One query at a time is on a
// connection: replies cannot be mixed up, and a slow one holds up nobody.
type connections struct {
	mu      sync.Mutex // guards the rest
	idle    []idleConn // the one used last is at the end
	open    int        // idle ones included
	retired bool       // the upstream is not asked any more
}

type idleConn struct {
	net.Conn
	since time.Time
}

// take returns an idle connection or, if there is none, leave to open one.
func (c *connections) take(most int) (conn net.Conn, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.idle); n > 0 {
		conn = c.idle[n-1].Conn
		c.idle = c.idle[:n-1]
		return conn, true
	}
	if c.open >= most {
		return nil, false
	}
	c.open++
	return nil, true
}

// give puts a connection back for the next query.
func (c *connections) give(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired {
		c.drop(conn)
		return
	}
	c.idle = append(c.idle, idleConn{conn, time.Now()})
}

// lose closes a connection that is of no more use; nil is one that could not be opened.
func (c *connections) lose(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(conn)
}

// replace closes a connection and all that are idle, and keeps the place of the one for a new one.
func (c *connections) replace(conn net.Conn) {
	conn.Close()
	c.closeIdle(0)
}

func (c *connections) drop(conn net.Conn) {
	c.open--
	if conn != nil {
		conn.Close()
	}
}

// closeIdle closes connections that nobody has used for so long, and returns how many stay open.
func (c *connections) closeIdle(most time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.idle) && time.Since(c.idle[n].since) >= most {
		c.drop(c.idle[n].Conn)
		n++
	}
	c.idle = append(c.idle[:0], c.idle[n:]...)
	return c.open
}

// retire closes the idle connections and sees to it that none comes back.
func (c *connections) retire() {
	c.mu.Lock()
	c.retired = true
	c.mu.Unlock()
	c.closeIdle(0)
}

// overTCP asks over a connection that is there or a new one. If one that was there has no answer in the time of an attempt, or fails, the
// upstream has closed it, or does not know it any more: a new one is opened at once, and the others that are idle, which are no younger, go.
func (x *exchange) overTCP(query []byte) ([]byte, likeness, error) {
	if x.late != nil {
		x.isLate(max(0, time.Until(x.lateAt)))
	}
	ctx := x.ctx
	x.up.counts.tcp.Add(1)
	pool := &x.up.connections
	if x.up.authority {
		x.r.authorities.connected(x.up)
	}
	conn, ok := pool.take(x.s.config.Bounds.Connections)
	if !ok {
		x.up.counts.shed.Add(1)
		return nil, stranger, errSockets
	}
	if conn != nil {
		soon, cancel := context.WithTimeout(ctx, x.s.config.Timeouts.Attempt)
		defer cancel()
		packet, like, err := x.talk(soon, conn, query)
		if err == nil {
			pool.give(conn)
			return packet, like, nil
		}
		pool.replace(conn)
		if err := x.work.packet(x.up); err != nil {
			pool.lose(nil)
			return nil, stranger, err
		}
	}
	return x.overNewTCP(ctx, query)
}

// overNewTCP asks over a connection that it opens in the place that was taken for it.
func (x *exchange) overNewTCP(ctx context.Context, query []byte) ([]byte, likeness, error) {
	pool := &x.up.connections
	conn, err := dialTCP(ctx, x.s.from(x.up.Addr), x.up.Addr)
	if err == nil {
		conn, err = x.secure(ctx, conn)
	}
	if err != nil {
		pool.lose(nil)
		return nil, stranger, x.lost(err)
	}
	packet, like, err := x.talk(ctx, conn, query)
	if err != nil {
		pool.lose(conn)
		return nil, stranger, x.lost(err)
	}
	pool.give(conn)
	return packet, like, nil
}

func dialTCP(ctx context.Context, from, to netip.AddrPort) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialTCP(ctx, "tcp", from, to)
}

// talk sends one query with its length before it (RFC 1035 section 4.2.2) and reads one reply. Another message than the reply is an
// error: on a connection nobody else can have sent it.
func (x *exchange) talk(ctx context.Context, conn net.Conn, query []byte) (packet []byte, like likeness, err error) {
	x.sent = time.Now()
	conn.SetDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ErrTimeout // the deadline may strike any moment: the connection must not be used again
		}
	}()
	framed := append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(query)), uint16(len(query))), query...)
	if _, err := conn.Write(framed); err != nil {
		return nil, stranger, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, stranger, err
	}
	packet = make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, stranger, err
	}
	if like = likenessOf(x.q, query, packet); like == stranger {
		x.up.counts.nearMisses.Add(1)
		return nil, stranger, fmt.Errorf("%w: another message came", errMalformed)
	}
	return packet, like, nil
}
