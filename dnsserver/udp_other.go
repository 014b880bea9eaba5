package dnsserver

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// udpPortable serves one socket with a system call a datagram, wherever Go runs. Linux uses it in tests only.
type udpPortable struct {
	udpLoop
	conn4   *ipv4.PacketConn // set if the address is 0.0.0.0
	conn6   *ipv6.PacketConn // set if the address is ::
	in, out [udpRoom]byte
}

func newUDPPortable(l udpLoop) *udpPortable {
	u := &udpPortable{udpLoop: l}
	switch local := l.socket.local.Addr(); {
	case !l.socket.wildcard:
	case local.Is4():
		u.conn4 = ipv4.NewPacketConn(l.socket.conn)
		u.conn4.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	default:
		u.conn6 = ipv6.NewPacketConn(l.socket.conn)
		u.conn6.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	return u
}

// run serves until the socket's read deadline passes.
func (u *udpPortable) run() {
	for {
		d, ifIndex, err := u.read()
		switch {
		case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			u.socket.readFailed.Add(1)
			time.Sleep(time.Millisecond)
			continue
		}
		u.socket.received.Add(1)
		back := portableRoute{loop: u, peer: d.peer, local: d.local.Addr(), ifIndex: ifIndex}
		reply, wait := u.answer(&d, u.out[:udpSizeMax])
		if wait != nil {
			wait.to = back
			u.network.start(wait)
		}
		if reply != nil {
			back.finish(nil, reply)
		}
		u.rest()
	}
}

// read waits for a datagram, and returns the interface it came through where that matters.
func (u *udpPortable) read() (d datagram, ifIndex int, err error) {
	d.local = u.socket.local
	asked := d.local.Addr()
	var n int
	var peer net.Addr
	switch {
	case u.conn4 != nil:
		var cm *ipv4.ControlMessage
		if n, cm, peer, err = u.conn4.ReadFrom(u.in[:]); cm != nil {
			asked, _ = netip.AddrFromSlice(cm.Dst.To4())
		}
	case u.conn6 != nil:
		var cm *ipv6.ControlMessage
		if n, cm, peer, err = u.conn6.ReadFrom(u.in[:]); cm != nil {
			asked, _ = netip.AddrFromSlice(cm.Dst)
			ifIndex = cm.IfIndex
		}
	default:
		n, d.peer, err = u.socket.conn.ReadFromUDPAddrPort(u.in[:])
	}
	if addr, ok := peer.(*net.UDPAddr); ok {
		d.peer = addr.AddrPort()
	}
	d.in, d.cut, d.time = u.in[:n], n == len(u.in), u.worker.core.config.Now()
	d.peer = netip.AddrPortFrom(d.peer.Addr().Unmap(), d.peer.Port())
	d.local = netip.AddrPortFrom(asked, d.local.Port())
	return d, ifIndex, err
}

// portableRoute is the way back to a client.
type portableRoute struct {
	loop    *udpPortable
	peer    netip.AddrPort
	local   netip.Addr
	ifIndex int
}

// finish sends one datagram, from any goroutine, from the address that was asked.
func (r portableRoute) finish(_ *waiting, reply []byte) {
	if len(reply) == 0 {
		return
	}
	var err error
	switch u := r.loop; {
	case u.conn4 != nil:
		_, err = u.conn4.WriteTo(reply, &ipv4.ControlMessage{Src: r.local.AsSlice()}, net.UDPAddrFromAddrPort(r.peer))
	case u.conn6 != nil:
		_, err = u.conn6.WriteTo(reply, &ipv6.ControlMessage{Src: r.local.AsSlice(), IfIndex: r.ifIndex}, net.UDPAddrFromAddrPort(r.peer))
	default:
		_, err = u.socket.conn.WriteToUDPAddrPort(reply, r.peer)
	}
	if err != nil {
		r.loop.socket.failed.Add(1)
		return
	}
	r.loop.socket.sent.Add(1)
}
