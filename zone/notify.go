package zone

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
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
	now func() time.Time
	log *slog.Logger
	notifyCounters

	mu      sync.Mutex
	pending map[notice]*telling // guarded by mu
	wake    chan struct{}
}

// Notified is a secondary that is told of changes.
type Notified struct {
	Addr netip.AddrPort
	// Key signs what it is told, and has to sign what it says. Nil: neither is signed.
	Key *tsig.Key
}

// notifyCounters count what became of notices.
type notifyCounters struct{ sent, confirmed, rejected, unverified, given atomic.Uint64 }

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
	key   *tsig.Key // by which it was signed; nil if it was not
	mac   []byte    // of that signature
	fault bool      // a reply was not signed as it should be, and that was told
}

// NewNotifier makes a notifier of the zones of a set, which says whom to tell. now is the clock of signatures.
func NewNotifier(set func() *Set, now func() time.Time, log *slog.Logger) *Notifier {
	if log == nil {
		log = slog.Default()
	}
	return &Notifier{set: set, now: now, log: log, pending: map[notice]*telling{}, wake: make(chan struct{}, 1)}
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
	for i := range served.Notify {
		about := notice{apex, served.Notify[i].Addr}
		t := n.pending[about]
		if t == nil {
			t = new(telling)
			n.pending[about] = t
		}
		t.tries, t.done, t.fault, t.due = 0, false, false, now
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
	at := slices.IndexFunc(served.Notify, func(n Notified) bool { return n.Addr == key.to })
	if at < 0 { // not any more
		t.done = true
		return
	}
	if conn == nil {
		return
	}
	msg := served.notice(t.id)
	if t.key, t.mac = served.Notify[at].Key, nil; t.key != nil {
		msg, t.mac = tsig.Sign(msg, t.key, n.now(), nil)
	}
	if _, err := conn.WriteToUDPAddrPort(msg, key.to); err == nil {
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

// believes reports whether a reply is signed as the notice was (RFC 8945 section 5.4). One that is not may be anybody's, and is passed over; what a secondary
// says that does not know the key looks like that, too, so that the first is told. mu is held.
func (n *Notifier) believes(key notice, t *telling, msg []byte) bool {
	if t.key == nil {
		return true
	}
	_, fault := t.key.Verify(msg, n.now(), t.mac)
	if fault == tsig.FaultNone {
		return true
	}
	if n.unverified.Add(1); !t.fault {
		t.fault = true
		n.log.Warn("a reply to what a secondary was told is not signed as it should be, and does not count", "zone", key.apex.String(), "secondary", key.to.String(),
			"key", t.key.Name.String(), "err", fault, "rcode", wire.RcodeText(wire.Rcode(msg)))
	}
	return false
}

// confirmationMax is how long a reply to a notice may be, with its signature.
const confirmationMax = 2048

// read takes confirmations until the socket is closed.
func (n *Notifier) read(conn *net.UDPConn) {
	buf := make([]byte, confirmationMax)
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
		if !n.believes(key, t, msg) {
			continue
		}
		t.done, t.due = true, t.last.Add(notifyGap)
		if n.confirmed.Add(1); wire.Rcode(msg) != wire.RcodeSuccess {
			n.rejected.Add(1)
			n.log.Warn("a secondary refuses to be told of a zone", "zone", key.apex.String(), "secondary", from.String(), "rcode", wire.RcodeText(wire.Rcode(msg)))
		}
	}
}
