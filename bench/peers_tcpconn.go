package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"cenote/wire"

	"golang.org/x/sys/unix"
)

// tcpConn is one connection of the load generator. A server that ends it gets another one, and there the queries that it left without
// a reply again, as a client would do; their time goes on.
type tcpConn struct {
	fd       int
	server   *unix.SockaddrInet4
	client   *unix.SockaddrInet4
	out      []byte // queries that are not written yet
	in       []byte // what was read; the first have octets are the begin of a reply
	have     int
	asked    []asked // by ID
	nextID   uint16
	underWay int
	barren   int // connections in a row that ended without a reply
}

// asked is a query under way; at is 0 where none is.
type asked struct {
	at       int64 // nanoseconds from the begin of the load, and one
	question uint32
}

// barrenMax is how many connections in a row a server may end without a reply.
const barrenMax = 5

// connectMax is how long a connection may take to be made, or a write to be taken.
const connectMax = 2 * time.Second

// dialTCP connects the i-th connection, from an address of its own.
func dialTCP(server string, port, i int) (*tcpConn, error) {
	addr, err := netip.ParseAddr(server)
	if err != nil {
		return nil, err
	}
	c := &tcpConn{fd: -1, in: make([]byte, 1<<18), asked: make([]asked, 1<<16),
		server: &unix.SockaddrInet4{Port: port, Addr: addr.As4()}, client: &unix.SockaddrInet4{Addr: [4]byte{127, 1, byte(i >> 8), byte(1 + i)}}}
	return c, c.connect()
}

func (c *tcpConn) connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	limit := unix.NsecToTimeval(int64(connectMax)) // on Linux this bounds connect too
	err = errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	if err == nil {
		err = unix.Bind(fd, c.client)
	}
	if err == nil {
		err = unix.Connect(fd, c.server)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("connecting: %w", err)
	}
	c.fd, c.have, c.out = fd, 0, c.out[:0]
	return nil
}

// queue puts a query, with its length before it, behind what is to be written. The queries of a connection have different IDs.
func (c *tcpConn) queue(query []byte, question uint32, at int64) {
	for c.asked[c.nextID].at != 0 {
		c.nextID++
	}
	c.asked[c.nextID] = asked{at: at + 1, question: question}
	c.append(query, c.nextID)
	c.nextID++
	c.underWay++
}

func (c *tcpConn) append(query []byte, id uint16) {
	begin := len(c.out)
	c.out = append(c.out, query...)
	binary.BigEndian.PutUint16(c.out[begin+2:], id)
}

// events are what is waited for.
func (c *tcpConn) events() int16 {
	if len(c.out) > 0 {
		return unix.POLLIN | unix.POLLOUT
	}
	return unix.POLLIN
}

// flush writes what the socket takes.
func (c *tcpConn) flush(r *tcpRun) error {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			if err := c.reconnect(r); err != nil {
				return err
			}
			continue
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	return nil
}

// read takes the replies that have come.
func (c *tcpConn) read(r *tcpRun, end int64) error {
	n, err := unix.Read(c.fd, c.in[c.have:])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil || n == 0:
		return c.reconnect(r)
	}
	c.have += n
	now := int64(time.Since(r.began))
	rest := c.in[:c.have]
	for len(rest) >= 2 {
		size := 2 + int(binary.BigEndian.Uint16(rest))
		if len(rest) < size {
			break
		}
		c.reply(r, rest[2:size], now, now <= end)
		rest = rest[size:]
	}
	c.have = copy(c.in, rest)
	return nil
}

// reply takes one reply. What answers no query under way is not counted, so that the query it should have answered is lost.
func (c *tcpConn) reply(r *tcpRun, msg []byte, now int64, inTime bool) {
	if len(msg) < wire.HeaderLen || msg[2]&0x80 == 0 {
		return
	}
	a := &c.asked[wire.ID(msg)]
	if a.at == 0 {
		return
	}
	r.answered(wire.Rcode(msg), max(now-(a.at-1), 0), inTime)
	a.at = 0
	c.underWay--
	c.barren = 0
}

// reconnect makes a new connection after the server has ended this one, and asks again for what is under way.
func (c *tcpConn) reconnect(r *tcpRun) error {
	unix.Close(c.fd)
	c.fd = -1
	r.outcome.Reconnects++
	if c.barren++; c.barren > barrenMax {
		return errors.New("the server ends connections without a reply")
	}
	if err := c.connect(); err != nil {
		return err
	}
	for id, left := c.nextID-1, c.underWay; left > 0; id-- {
		if a := c.asked[id]; a.at != 0 {
			c.append(r.queries.query(uint64(a.question)), id)
			left--
		}
	}
	return nil
}
