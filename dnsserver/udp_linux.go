package dnsserver

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"cenote/pace"
	"cenote/zone"
)

// batchSize is how many datagrams one system call moves. From 16 up it makes no difference to the rate; the system call of 32 takes some
// 90 us, which is how long a stop of the world by the garbage collector may have to wait for it.
const batchSize = 32

// After yieldEvery full batches in a row a worker gives others a turn. One that never finds its socket empty would, on a single processor,
// share it only when the scheduler takes it away, and leave the network poller unasked for 10 ms or more at a time: too long for the
// collectors behind the rings and for the queries that wait for upstreams.
const yieldEvery = 8

// drainBatches bounds what a worker still reads of what had come before the server was told to stop.
const drainBatches = 64

// sendWait is how long a worker waits for room in a full send buffer before it gives up the rest of a batch.
const sendWait = 50 * time.Millisecond

// readPause is how long a worker rests after a read that failed for a reason that a later one may not have, such as want of memory.
const readPause = 10 * time.Millisecond

// controlRoom holds one IP_PKTINFO or IPV6_PKTINFO message with its header.
const controlRoom = 64

// rawAddr is room for the address of a peer of either version, as the kernel writes it.
type rawAddr = unix.RawSockaddrInet6

// batch is the memory of one worker: all that recvmmsg fills and sendmmsg reads. It is allocated once and never moves.
type batch struct {
	rx, tx       [batchSize]unix.Mmsghdr
	rxVec, txVec [batchSize]unix.Iovec
	peers        [batchSize]rawAddr
	control      [batchSize][controlRoom]byte
	in, out      [batchSize][udpRoom]byte
}

// udpBatcher serves one socket by recvmmsg and sendmmsg, some thirty datagrams a call, and parks in Go's network poller when there is
// nothing to do.
type udpBatcher struct {
	udpLoop
	b        *batch
	ahead    lookahead
	came     int // datagrams of the present batch
	queued   int // replies of the present batch
	done     int // of these, sent or given up
	readErr  syscall.Errno
	blocked  bool // the send buffer is full
	nextRead func(fd uintptr) bool
	lastRead func(fd uintptr)
	write    func(fd uintptr)
	rewrite  func(fd uintptr) bool
}

func newUDPBatcher(l udpLoop) *udpBatcher {
	u := &udpBatcher{udpLoop: l, b: new(batch)}
	u.nextRead = func(fd uintptr) bool { u.receive(fd); return u.readErr != unix.EAGAIN }
	u.lastRead = u.receive
	u.write = u.transmit
	u.rewrite = func(fd uintptr) bool { u.transmit(fd); return !u.blocked }
	b := u.b
	for i := range batchSize {
		b.rxVec[i].Base, b.txVec[i].Base = &b.in[i][0], &b.out[i][0]
		b.rxVec[i].SetLen(len(b.in[i]))
		rx, tx := &b.rx[i].Hdr, &b.tx[i].Hdr
		rx.Iov, tx.Iov = &b.rxVec[i], &b.txVec[i]
		rx.SetIovlen(1)
		tx.SetIovlen(1)
		rx.Name = (*byte)(unsafe.Pointer(&b.peers[i]))
		u.rearm(i)
	}
	return u
}

// newUDPRunner makes the loop that this system is served with.
func newUDPRunner(l udpLoop) udpRunner { return newUDPBatcher(l) }

// rearm gives the i-th slot back its whole room, after the kernel wrote there how much of it was used.
func (u *udpBatcher) rearm(i int) {
	rx := &u.b.rx[i].Hdr
	rx.Namelen = unix.SizeofSockaddrInet6
	if u.socket.wildcard {
		rx.Control = &u.b.control[i][0]
		rx.SetControllen(controlRoom)
	}
}

// run serves until the socket's read deadline passes, then answers what had come by then, and returns.
func (u *udpBatcher) run() {
	turn := pace.NewTurn()
	defer turn.Close()
	for full := 0; ; {
		err := u.socket.raw.Read(u.nextRead)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			continue
		}
		u.serveBatch()
		if full++; u.came < batchSize {
			full = 0
		}
		if full >= yieldEvery {
			full = 0
			turn.Give()
		}
	}
	for range drainBatches {
		if u.came = 0; u.socket.raw.Control(u.lastRead) != nil || u.came == 0 {
			return
		}
		u.serveBatch()
	}
}

// receive reads a batch without waiting. It is a raw system call: the scheduler need not hear of one that cannot block.
func (u *udpBatcher) receive(fd uintptr) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&u.b.rx[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	u.came, u.readErr = int(n), errno
	if errno != 0 {
		u.came = 0
		if errno != unix.EAGAIN && errno != unix.EINTR {
			u.socket.readFailed.Add(1)
		}
	}
}

// serveBatch answers what came and sends the replies.
func (u *udpBatcher) serveBatch() {
	if u.came == 0 {
		if u.readErr != unix.EINTR {
			time.Sleep(readPause)
		}
		return
	}
	now := u.worker.core.config.Now()
	u.queued, u.done = 0, 0
	u.foresee()
	for i := range u.came {
		u.serve(i, now)
		u.rearm(i)
	}
	u.rest()
	u.socket.received.Add(uint64(u.came))
	u.send()
}

// foresee fetches what the policy and the zones will look at for the names of a batch. A single query gains nothing from it. A fault of our own in it costs
// nobody an answer (invariant 6).
func (u *udpBatcher) foresee() {
	if u.came == 1 {
		return
	}
	defer u.worker.rescueAlone()
	config := &u.worker.core.config
	p, zones := config.Policy(), (*zone.Set)(nil)
	if config.Zones != nil {
		zones = config.Zones()
	}
	if p == nil && zones == nil {
		return
	}
	for i := range u.came {
		u.ahead.add(p, zones, u.b.in[i][:u.b.rx[i].Len])
	}
	u.ahead.fetch(p)
}

// serve answers the datagram in slot i, into the next free slot for replies.
func (u *udpBatcher) serve(i int, now time.Time) {
	b, rx := u.b, &u.b.rx[i]
	d := datagram{in: b.in[i][:rx.Len], cut: rx.Hdr.Flags&unix.MSG_TRUNC != 0, peer: peerAddr(&b.peers[i]), local: u.socket.local, time: now}
	control := b.control[i][:0]
	if u.socket.wildcard {
		control = b.control[i][:rx.Hdr.Controllen]
		d.local = netip.AddrPortFrom(askedAddr(control), d.local.Port())
	}
	reply, wait := u.answer(&d, b.out[u.queued][:udpSizeMax])
	if wait != nil {
		wait.to = u.route(i, control)
		u.network.start(wait)
	}
	if reply != nil {
		u.queue(reply, rx, control)
	}
}

// queue puts a reply into the next free slot, addressed to whom rx came from. control, if there is any, makes it leave from the address
// that was asked.
func (u *udpBatcher) queue(reply []byte, rx *unix.Mmsghdr, control []byte) {
	tx, vec := &u.b.tx[u.queued].Hdr, &u.b.txVec[u.queued]
	vec.Base = &reply[0]
	vec.SetLen(len(reply))
	tx.Name, tx.Namelen = rx.Hdr.Name, rx.Hdr.Namelen
	tx.Control = unsafe.SliceData(control)
	tx.SetControllen(len(control))
	u.queued++
}

// send sends what is queued. If the send buffer is full it waits once, briefly: a client that cannot be reached must not stop the rest.
func (u *udpBatcher) send() {
	if u.queued == 0 {
		return
	}
	if u.socket.raw.Control(u.write) != nil {
		return // closed
	}
	if u.blocked {
		u.socket.conn.SetWriteDeadline(time.Now().Add(sendWait))
		u.socket.raw.Write(u.rewrite)
		u.socket.full.Add(uint64(u.queued - u.done))
	}
}

// transmit sends until all is sent or the send buffer is full. What the kernel refuses is skipped, one datagram at a time: the error is
// always that of the first.
func (u *udpBatcher) transmit(fd uintptr) {
	u.blocked = false
	for u.done < u.queued {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&u.b.tx[u.done])), uintptr(u.queued-u.done), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			u.done += int(n)
			u.socket.sent.Add(uint64(n))
		case unix.EINTR:
		case unix.EAGAIN:
			u.blocked = true
			return
		case unix.EMSGSIZE:
			u.shorten(&u.b.txVec[u.done])
		default:
			u.socket.countRefused(errno)
			u.done++
		}
	}
}

// shorten cuts the reply at vec, which is larger than the link takes, down to what sends its client to TCP. If that is too large as well,
// the reply is given up.
func (u *udpBatcher) shorten(vec *unix.Iovec) {
	short := withoutRecords(unsafe.Slice(vec.Base, vec.Len))
	if short == nil {
		u.socket.countRefused(unix.EMSGSIZE)
		u.done++
		return
	}
	vec.SetLen(len(short))
}

func (s *udpSocket) countRefused(errno syscall.Errno) {
	if errno == unix.ENOBUFS || errno == unix.EAGAIN {
		s.full.Add(1)
	} else {
		s.failed.Add(1)
	}
}

// udpRoute is the way back to a client, kept while its query waits.
type udpRoute struct {
	socket     *udpSocket
	peer       rawAddr
	peerLen    uint32
	control    [controlRoom]byte
	controlLen int
}

// route keeps the way back to whoever sent the datagram in slot i.
func (u *udpBatcher) route(i int, control []byte) *udpRoute {
	r := &udpRoute{socket: u.socket, peer: u.b.peers[i], peerLen: u.b.rx[i].Hdr.Namelen}
	r.controlLen = copy(r.control[:], control)
	return r
}

// finish sends the reply to a query that waited: one datagram outside of a batch, from any goroutine.
func (r *udpRoute) finish(_ *waiting, reply []byte) {
	if len(reply) == 0 {
		return
	}
	vec := unix.Iovec{Base: &reply[0]}
	vec.SetLen(len(reply))
	hdr := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&r.peer)), Namelen: r.peerLen, Iov: &vec}
	hdr.SetIovlen(1)
	if r.controlLen > 0 {
		hdr.Control = &r.control[0]
		hdr.SetControllen(r.controlLen)
	}
	errno := r.socket.sendmsg(&hdr)
	if errno == unix.EMSGSIZE {
		if short := withoutRecords(reply); short != nil {
			vec.SetLen(len(short))
			errno = r.socket.sendmsg(&hdr)
		}
	}
	if errno != 0 {
		r.socket.countRefused(errno)
		return
	}
	r.socket.sent.Add(1)
}

// sendmsg sends at once if there is room, else within sendWait.
func (s *udpSocket) sendmsg(hdr *unix.Msghdr) syscall.Errno {
	errno := unix.EAGAIN
	send := func(fd uintptr) bool {
		_, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(hdr)), unix.MSG_DONTWAIT)
		return errno != unix.EAGAIN && errno != unix.EINTR
	}
	s.raw.Control(func(fd uintptr) { send(fd) })
	if errno == unix.EAGAIN || errno == unix.EINTR {
		s.conn.SetWriteDeadline(time.Now().Add(sendWait))
		s.raw.Write(send)
	}
	return errno
}

// peerAddr reads the address of a peer; IPv4 is never in IPv6 form.
func peerAddr(a *rawAddr) netip.AddrPort {
	port := (*[2]byte)(unsafe.Pointer(&a.Port)) // in network order, whatever the machine's
	if a.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), binary.BigEndian.Uint16(port[:]))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), binary.BigEndian.Uint16(port[:]))
}

// askedAddr reads the address that a datagram was sent to, and makes control fit to send the reply from there. On IPv4 the interface is
// set to none, for the reply may have to leave through another; on IPv6 it stays, for link-local addresses mean nothing without it.
func askedAddr(control []byte) netip.Addr {
	const head = unix.SizeofCmsghdr
	if len(control) < head {
		return netip.Addr{}
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(control) >= head+unix.SizeofInet4Pktinfo:
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&control[head]))
		info.Ifindex = 0
		return netip.AddrFrom4(info.Spec_dst)
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(control) >= head+unix.SizeofInet6Pktinfo:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&control[head]))
		addr := netip.AddrFrom16(info.Addr)
		if addr.Is4In6() {
			info.Ifindex = 0
		}
		return addr.Unmap()
	}
	return netip.Addr{}
}
