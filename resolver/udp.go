package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// udpBuffer is more than any upstream should send: queries ask for at most wire.UDPSafe octets. A reply that fills it is taken for one
// that was cut.
const udpBuffer = 4096

// overUDP sends a query from a socket that it has to itself and reads until the reply comes. Packets that are not the reply are counted and
// ignored, up to Bounds.NearMisses.
func (x *exchange) overUDP(query []byte) (packet []byte, like likeness, err error) {
	s, err := x.r.sockets.connect(x.ctx, x.s, x.up.Addr)
	if err != nil {
		return nil, stranger, err
	}
	room := x.r.buffers.Get().(*[udpBuffer]byte)
	defer x.r.buffers.Put(room)
	w := wait{x: x, s: s}
	w.begin()
	defer func() { x.r.sockets.disconnect(s, w.end() && err == nil) }()
	x.sent = time.Now()
	send := query
	for range x.s.config.Bounds.NearMisses {
		n, err := w.ask(send, room[:])
		if err != nil {
			return nil, stranger, x.lost(err)
		}
		if like := likenessOf(x.q, query, room[:n]); like != stranger {
			return bytes.Clone(room[:n]), like, nil
		}
		x.up.counts.nearMisses.Add(1)
		x.r.counts.nearMisses.Add(1)
		send = nil
	}
	x.r.counts.floods.Add(1)
	return nil, stranger, errNearMisses
}

// wait is the time of a query over UDP: it ends with that of the exchange, and is cut in two where others are to be asked beside it.
type wait struct {
	x    *exchange
	s    *udpSocket
	stop func() bool // of the interruption, nil where only the resolver's end interrupts
}

// begin sets the time up to which a reply is waited for. While nobody else is asked, that is when somebody is to be.
func (w *wait) begin() {
	if w.x.late != nil {
		w.s.conn.SetReadDeadline(w.x.lateAt)
		return
	}
	w.s.conn.SetReadDeadline(time.Time{})
	w.stop = context.AfterFunc(w.x.ctx, w.s.interrupt)
}

// end reports whether nothing will interrupt the socket any more.
func (w *wait) end() bool { return w.stop == nil || w.stop() }

// ask is udpSocket.ask, and goes on waiting once others are asked.
func (w *wait) ask(query, buf []byte) (n int, err error) {
	for {
		if w.x.r.life.Err() != nil { // looked for after the deadline was set: see sockets.interrupt
			return 0, os.ErrDeadlineExceeded
		}
		n, err = w.s.ask(query, buf)
		if err == nil || w.x.late == nil || !errors.Is(err, os.ErrDeadlineExceeded) || w.x.r.life.Err() != nil {
			return n, err
		}
		w.x.isLate(0)
		w.begin()
		query = w.s.unsent() // the time may have been over before it began
	}
}

// lost names the reason for which a socket failed.
func (x *exchange) lost(err error) error {
	if x.ctx.Err() != nil {
		return ErrTimeout
	}
	return x.r.network(err)
}

// network says whose fault an error of a socket is: ours if this host has no room for another one.
func (r *Resolver) network(err error) error {
	for _, own := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN} {
		if errors.Is(err, own) {
			r.counts.socketsShed.Add(1)
			return fmt.Errorf("%w: %w", errSockets, err)
		}
	}
	return fmt.Errorf("%w: %w", errNetwork, err)
}

// from is where a query to a server leaves from; port 0 leaves the choice of it to the kernel.
func (s *state) from(to netip.AddrPort) netip.AddrPort {
	if s.config.Recursion == nil {
		return netip.AddrPort{}
	}
	own := s.config.Recursion.From4
	if to.Addr().Is6() {
		own = s.config.Recursion.From6
	}
	if !own.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(own, 0)
}
