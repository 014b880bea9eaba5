package zone

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Bounds of notifying.
const (
	// notifyTries is how often a secondary is told of a version that it does not confirm, after notifyFirst and then twice as long each time.
	notifyTries = 8
	notifyFirst = time.Second
	// notifyBurst is how many messages are sent before a rest of notifyRest: many zones that change at once are told of one after the other.
	notifyBurst = 20
	notifyRest  = 50 * time.Millisecond
	// notifyGap is how long a secondary is left alone about a zone of which it was told: changes that come meanwhile are one.
	notifyGap = 500 * time.Millisecond
)

// Notifier tells secondaries that a zone has changed (RFC 1996), and again until they confirm it.
type Notifier struct {
	set func() *Set
	log *slog.Logger
	notifyCounters

	mu      sync.Mutex
	pending map[notice]*telling // guarded by mu
	wake    chan struct{}
}

// notifyCounters count what became of notices.
type notifyCounters struct{ sent, confirmed, rejected, given atomic.Uint64 }

// notice is about a zone, to a secondary.
type notice struct {
	apex dnsname.Name
	to   netip.AddrPort
}

// telling is how far a notice is.
type telling struct {
	id    uint16
	tries int
	due   time.Time // when it is sent next
	last  time.Time // when it was sent last
	done  bool      // confirmed; it stays for notifyGap
}

// NewNotifier makes a notifier of the zones of a set, which says whom to tell.
func NewNotifier(set func() *Set, log *slog.Logger) *Notifier {
	if log == nil {
		log = slog.Default()
	}
	return &Notifier{set: set, log: log, pending: map[notice]*telling{}, wake: make(chan struct{}, 1)}
}

// Changed notes that a zone has another version. It never waits.
func (n *Notifier) Changed(apex dnsname.Name, _ uint32) {
	served := n.set().Exact([]byte(apex))
	if served == nil || len(served.Notify) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for _, to := range served.Notify {
		t := n.pending[notice{apex, to}]
		if t == nil {
			t = new(telling)
			n.pending[notice{apex, to}] = t
		}
		t.tries, t.done, t.due = 0, false, now
		if earliest := t.last.Add(notifyGap); earliest.After(now) {
			t.due = earliest
		}
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run sends and resends until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	var sockets [2]*net.UDPConn // for IPv4 and IPv6; nil where there is none
	var readers sync.WaitGroup
	for i, network := range []string{"udp4", "udp6"} {
		conn, err := net.ListenUDP(network, nil)
		if err != nil {
			n.log.Debug("no socket to notify secondaries from", "network", network, "err", err)
			continue
		}
		sockets[i] = conn
		readers.Go(func() { n.read(conn) })
	}
	for {
		timer := time.NewTimer(n.send(&sockets))
		select {
		case <-ctx.Done():
			timer.Stop()
			for _, conn := range sockets {
				if conn != nil {
					conn.Close()
				}
			}
			readers.Wait()
			return nil
		case <-n.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// send sends what is due, and returns how long there is nothing to do.
func (n *Notifier) send(sockets *[2]*net.UDPConn) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, next, sent := time.Now(), time.Hour, 0
	for key, t := range n.pending {
		switch wait := t.due.Sub(now); {
		case wait > 0:
			next = min(next, wait)
		case t.done:
			delete(n.pending, key)
		case t.tries >= notifyTries:
			n.given.Add(1)
			n.log.Warn("a secondary does not confirm that it was told of a zone", "zone", key.apex.String(), "secondary", key.to.String())
			delete(n.pending, key)
		case sent == notifyBurst:
			return notifyRest
		default:
			n.tell(key, t, sockets, now)
			sent++
			next = min(next, t.due.Sub(now))
		}
	}
	return next
}

// tell sends one notice. mu is held.
func (n *Notifier) tell(key notice, t *telling, sockets *[2]*net.UDPConn, now time.Time) {
	t.id = uint16(rand.Uint32())
	t.last, t.due = now, now.Add(notifyFirst<<t.tries)
	t.tries++
	conn := sockets[0]
	if key.to.Addr().Is6() {
		conn = sockets[1]
	}
	served := n.set().Exact([]byte(key.apex))
	if served == nil || !served.Ready() {
		t.done = true
		return
	}
	if conn == nil {
		return
	}
	if _, err := conn.WriteToUDPAddrPort(served.notice(t.id), key.to); err == nil {
		n.sent.Add(1)
	}
}

// opcodeNotify is that of NOTIFY in the flags of a message.
const opcodeNotify = 4 << 11

// notice is the message: the zone as the question, and its SOA record as a hint.
func (s *Served) notice(id uint16) []byte {
	msg := binary.BigEndian.AppendUint16(make([]byte, 0, 512), id)
	msg = append(msg, byte((opcodeNotify|wire.FlagAA)>>8), 0, 0, 1, 0, 1, 0, 0, 0, 0)
	msg = append(append(msg, s.Zone.apex...), 0, wire.TypeSOA, 0, wire.ClassIN)
	return wire.AppendRecord(msg, []byte(s.Zone.apex), wire.TypeSOA, wire.ClassIN, s.Zone.soa.ttl, s.Zone.soa.first())
}

// read takes confirmations until the socket is closed.
func (n *Notifier) read(conn *net.UDPConn) {
	buf := make([]byte, wire.UDPMin)
	for {
		size, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			n.confirm(buf[:size], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		}
	}
}

// confirm notes a reply, if it is one to what was sent there.
func (n *Notifier) confirm(msg []byte, from netip.AddrPort) {
	if len(msg) < wire.HeaderLen || wire.Flags(msg)&(wire.FlagQR|0x7800) != wire.FlagQR|opcodeNotify {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, t := range n.pending {
		if key.to != from || t.done || t.tries == 0 || t.id != wire.ID(msg) {
			continue
		}
		t.done, t.due = true, t.last.Add(notifyGap)
		if n.confirmed.Add(1); wire.Rcode(msg) != wire.RcodeSuccess {
			n.rejected.Add(1)
			n.log.Warn("a secondary refuses to be told of a zone", "zone", key.apex.String(), "secondary", from.String(), "rcode", wire.RcodeText(wire.Rcode(msg)))
		}
	}
}
