package dnsserver

import (
	"net/netip"
	"sync/atomic"
	"time"

	"cenote/policy"
	"cenote/wire"
)

// udpLoop is what the batching and the portable loop have in common: one socket and one worker, which belong to one goroutine.
type udpLoop struct {
	socket  *udpSocket
	worker  *worker
	network *network
	query   Query
}

// udpCounters count what a socket did. The loop adds to them once a batch.
type udpCounters struct {
	received   atomic.Uint64 // datagrams
	sent       atomic.Uint64 // replies
	cut        atomic.Uint64 // datagrams larger than the room, answered as malformed
	failed     atomic.Uint64 // replies that the kernel refused
	full       atomic.Uint64 // replies that found no room in the kernel's buffers (ENOBUFS, or EAGAIN twice)
	readFailed atomic.Uint64 // reads that ended with an error
}

// udpRunner is one of the two loops. run returns when the socket's read deadline has passed.
type udpRunner interface{ run() }

// datagram is one query as it came.
type datagram struct {
	in    []byte
	cut   bool // more came than fits into in
	peer  netip.AddrPort
	local netip.AddrPort
	time  time.Time
}

// answer takes the six steps with one datagram. The reply, if there is one to be sent now, is a part of out. If the query has to wait,
// answer returns it instead: the caller says where the reply goes and starts it.
func (u *udpLoop) answer(d *datagram, out []byte) (reply []byte, wait *waiting) {
	if d.cut { // what is left could pass for a whole message: leave a header that promises more
		u.socket.cut.Add(1)
		d.in = d.in[:wire.HeaderLen]
	}
	q := &u.query
	q.Begin()
	q.In, q.Out, q.Time = d.in, out, d.time
	q.Peer, q.Client, q.Local, q.Transport = d.peer, d.peer, d.local, policy.TransportUDP
	verdict := u.worker.answer(q)
	if verdict == NeedNetwork {
		if w := u.network.enter(q); w != nil {
			return nil, w
		}
		verdict = u.worker.shed(q)
	}
	if verdict != Replied {
		return nil, nil
	}
	return q.Reply, nil
}

// rest lets go of the policy after a batch: a worker that gets no query must not keep an old one.
func (u *udpLoop) rest() { u.query.policy = nil }

// udpRoom is what one datagram may take, one octet more than we say we take, so that what is too large can be told. It is no power of
// two: buffers that lie side by side at such a distance would fight for the same few lines of the processor's cache.
const udpRoom = udpSizeMax + 64
