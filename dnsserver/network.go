package dnsserver

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"cenote/crew"
	"cenote/wire"
)

// queryTimeout is how long a client's query may wait for the network. Stubs give up after five seconds; the resolver itself answers with
// stale data long before.
const queryTimeout = 5 * time.Second

// networkSteps is how often one query may go to the network: for its own name, for the name servers on the way, for the target of a rule's CNAME.
const networkSteps = 3

// waitingShare is the part of all waiting queries that one client network may hold, one in waitingShare: names that nobody answers, asked
// by one client, must not take the room of the others. Below waitingFloor nobody is held back.
const (
	waitingShare = 4
	waitingFloor = 64
)

// network is the room in which queries wait for the resolver: bounded as a whole and for each client network. Every one has a goroutine
// while it waits. Its methods may be called from many goroutines.
type network struct {
	worker  *worker
	core    *core
	clients *clientShare
	ctx     context.Context // ends the waiting; the queries are then answered from what is there
	cancel  context.CancelFunc

	waiting atomic.Int64
	full    atomic.Uint64 // queries turned away because the room was full
	greedy  atomic.Uint64 // queries turned away because their client network held its share
	running crew.Crew
	pool    sync.Pool // of *waiting
	outs    outPools
}

// waiting is a query that left its socket's loop, with all that is needed to send the reply.
type waiting struct {
	q       Query
	to      replier
	network netip.Prefix
	outSize int
}

// replier sends the reply to a query that waited.
type replier interface {
	// finish sends reply, which is nil if there is to be none, and lets go of what the query held. It may not keep w or reply, and waits no
	// longer than a write deadline.
	finish(w *waiting, reply []byte)
}

func newNetwork(c *core) *network {
	n := &network{worker: c.newShared(), core: c}
	n.clients = newClientShare(c, func(b *Bounds) int { return max(b.Waiting/waitingShare, min(b.Waiting, waitingFloor)) })
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.pool.New = func() any { return new(waiting) }
	return n
}

// enter makes room for q and copies it. It returns nil, and counts why, if there is none: the caller then sheds the query. Otherwise the
// caller says in the result where the reply goes and calls start.
func (n *network) enter(q *Query) *waiting {
	if n.waiting.Add(1) > int64(n.core.bounds.Load().Waiting) {
		n.waiting.Add(-1)
		n.full.Add(1)
		return nil
	}
	prefix, ok := n.clients.enter(q.Peer.Addr())
	if !ok {
		n.waiting.Add(-1)
		n.greedy.Add(1)
		return nil
	}
	w := n.pool.Get().(*waiting)
	q.copyTo(&w.q)
	w.network, w.outSize = prefix, len(q.Out)
	return w
}

// start lets w wait.
func (n *network) start(w *waiting) { n.running.Go(func() { n.run(w) }) }

func (n *network) run(w *waiting) {
	ctx, cancel := context.WithTimeout(n.ctx, queryTimeout)
	defer cancel()
	if begin := n.core.config.OneQuery; begin != nil {
		ctx = begin(ctx, w.q.asker())
	}
	n.worker.resolve(ctx, &w.q)
	out := n.outs.get(w.outSize)
	w.q.Out = *out
	verdict := n.worker.answer(&w.q)
	for step := 1; verdict == NeedNetwork && step < networkSteps; step++ {
		n.worker.resolve(ctx, &w.q)
		verdict = n.worker.answer(&w.q)
	}
	if verdict == NeedNetwork {
		verdict = n.worker.shed(&w.q)
	}
	n.leave(w)
	if verdict != Replied {
		w.q.Reply = nil
	}
	w.to.finish(w, w.q.Reply)
	n.outs.put(out)
	w.recycle()
	n.pool.Put(w)
}

// leave gives the room of w to another before the reply is sent, so that a client that does not read holds nobody up.
func (n *network) leave(w *waiting) {
	n.clients.leave(w.network)
	n.waiting.Add(-1)
}

func (w *waiting) recycle() {
	w.q.Out, w.to = nil, nil
	w.q.release()
}

// outPools lends room for replies: small for UDP and most of TCP, whole messages for the rest.
type outPools struct{ small, large sync.Pool }

// get returns a buffer of size octets; its capacity is one of two.
func (p *outPools) get(size int) *[]byte {
	pool, room := &p.large, wire.MessageMax
	if size <= udpSizeMax {
		pool, room = &p.small, udpSizeMax
	}
	b, _ := pool.Get().(*[]byte)
	if b == nil {
		buf := make([]byte, room)
		b = &buf
	}
	*b = (*b)[:size]
	return b
}

// put takes a buffer back. One that an append made grow is left to the garbage collector.
func (p *outPools) put(b *[]byte) {
	switch cap(*b) {
	case udpSizeMax:
		p.small.Put(b)
	case wire.MessageMax:
		p.large.Put(b)
	}
}
