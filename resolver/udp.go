package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// udpBuffer is more than any upstream should send: queries ask for at most wire.UDPSafe octets. A reply that fills it is taken for one
// that was cut.
const udpBuffer = 4096

// overUDP sends a query from a socket of its own and reads until the reply comes. Packets that are not the reply are counted and
// ignored, up to Bounds.NearMisses.
func (x *exchange) overUDP(ctx context.Context, query []byte) (packet []byte, like likeness, err error) {
	conn, err := x.r.dialUDP(ctx, x.s, x.up.Addr)
	if err != nil {
		return nil, stranger, err
	}
	defer x.r.counts.sockets.Add(-1)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	x.sent = time.Now()
	if _, err := conn.Write(query); err != nil {
		return nil, stranger, x.lost(ctx, err)
	}
	room := x.r.buffers.Get().(*[udpBuffer]byte)
	defer x.r.buffers.Put(room)
	buf := room[:]
	for range x.s.config.Bounds.NearMisses {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, stranger, x.lost(ctx, err)
		}
		if like := likenessOf(x.q, query, buf[:n]); like != stranger {
			return bytes.Clone(buf[:n]), like, nil
		}
		x.up.counts.nearMisses.Add(1)
		x.r.counts.nearMisses.Add(1)
	}
	x.r.counts.floods.Add(1)
	return nil, stranger, errNearMisses
}

// lost names the reason for which a socket failed.
func (x *exchange) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
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

// dialUDP opens a socket connected to an upstream, so that the kernel drops what comes from anybody else. It is not bound first: the
// kernel then picks a random port that is free for this destination.
func (r *Resolver) dialUDP(ctx context.Context, s *state, to netip.AddrPort) (*net.UDPConn, error) {
	if r.counts.sockets.Add(1) > int64(s.config.Bounds.Sockets) {
		r.counts.sockets.Add(-1)
		r.counts.socketsShed.Add(1)
		return nil, errSockets
	}
	dialer := net.Dialer{Control: ignorePathMTU}
	conn, err := dialer.DialUDP(ctx, "udp", s.from(to), to)
	if err != nil {
		r.counts.sockets.Add(-1)
		return nil, r.network(err)
	}
	return conn, nil
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
