package dnsserver

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/pace"
	"cenote/policy"
	"cenote/querylog"
	"cenote/tsig"
	"cenote/wire"
	"cenote/zone"
)

// Bounds of transfers that nobody needs to set.
const (
	// transferShare is the part of all transfers, one in so many, that one client network may hold.
	transferShare = 4
	// transferTimeMax is how long a transfer may take, however steadily it is read.
	transferTimeMax = 30 * time.Minute
	// transferBatch is how many octets of messages are written at a time.
	transferBatch = 1 << 16
)

// transfer is a zone on its way to a secondary, which holds one of the places for that.
type transfer struct {
	data    *zone.Transfer
	network netip.Prefix // for which it is counted
}

// transfers are the transfers of all connections.
type transfers struct {
	core    *core
	open    atomic.Int64
	clients *clientShare
	transferCounters
}

// transferCounters count what became of requests for zones.
type transferCounters struct {
	whole, changes, current atomic.Uint64 // that were sent, by what
	broken                  atomic.Uint64 // that the secondary did not take to the end
	refused                 atomic.Uint64 // from clients that may not have the zone
	noZone                  atomic.Uint64 // for what is no zone of ours
	full                    atomic.Uint64 // that found every place taken
	octets                  atomic.Uint64 // that were sent
}

func newTransfers(c *core) *transfers {
	return &transfers{core: c, clients: newClientShare(c, func(b *Bounds) int { return max(1, b.Transfers/transferShare) })}
}

// enter takes a place for a client, or returns false if there is none.
func (t *transfers) enter(client netip.Addr) (network netip.Prefix, ok bool) {
	if t.open.Add(1) > int64(t.core.bounds.Load().Transfers) {
		t.open.Add(-1)
		t.full.Add(1)
		return network, false
	}
	if network, ok = t.clients.enter(client); !ok {
		t.open.Add(-1)
		t.full.Add(1)
	}
	return network, ok
}

// leave gives the place back.
func (t *transfers) leave(network netip.Prefix) {
	t.clients.leave(network)
	t.open.Add(-1)
}

// isTransfer reports whether a question is for a zone whole, or for what has changed in it.
func (q *Query) isTransfer() bool {
	return q.msg.Question != nil && (q.msg.Type == wire.TypeAXFR || q.msg.Type == wire.TypeIXFR) && q.msg.Class == wire.ClassIN
}

// transfer answers a request for a zone: AXFR (RFC 5936), or IXFR (RFC 1995). Who may not have the zone takes no place, and is told so before it is looked
// whether there is one. The reply that q gets is the SOA record alone, which is all that UDP carries; over a connection, q.transfer is sent in its place.
func (w *worker) transfer(q *Query) {
	q.ask()
	t := w.core.transfers
	q.takeZones(w)
	served := q.zones.Exact(q.request.Name)
	if q.zones != nil {
		q.source.kind = querylog.SourceZone
	}
	switch {
	case q.zones == nil: // a resolver alone
		t.noZone.Add(1)
		q.turnAway(wire.RcodeRefused, edeNotSupported)
	case served == nil:
		t.noZone.Add(1)
		q.turnAway(wire.RcodeNotAuth, edeNotAuthoritative) // RFC 5936 section 2.2.1
	case q.weak, served.RequireTLS && q.Transport != policy.TransportTLS:
		t.refused.Add(1)
		q.turnAway(wire.RcodeRefused, edeProhibited) // RFC 9103 section 7: TLS 1.3, and the client says that it speaks DNS
	case !served.MayTransfer(q.Peer.Addr().WithZone(""), q.keyName()):
		t.refused.Add(1)
		q.turnAway(wire.RcodeRefused, edeProhibited)
	case !served.Ready():
		q.turnAway(wire.RcodeServFail, edeNotReady)
	case q.Transport == policy.TransportUDP && q.msg.Type == wire.TypeAXFR:
		q.turnAway(wire.RcodeRefused, edeNotSupported) // RFC 5936 section 4.2
	default:
		w.beginTransfer(q, served)
	}
}

// beginTransfer finds out what the secondary lacks, and a place for it.
func (w *worker) beginTransfer(q *Query, served *zone.Served) {
	data := served.Whole()
	if q.msg.Type == wire.TypeIXFR {
		serial, ok := soaSerial(q.In)
		if !ok {
			q.turnAway(wire.RcodeFormErr, policy.EDENone)
			return
		}
		data = served.Since(serial)
	}
	if q.Transport != policy.TransportUDP && !data.Current() {
		network, ok := w.core.transfers.enter(q.Peer.Addr())
		if !ok {
			q.turnAway(wire.RcodeServFail, edeNotReady)
			return
		}
		q.transfer = &transfer{data, network}
	} else {
		w.core.transfers.current.Add(1)
	}
	q.source.msg = served.SOA(q.source.room(), q.msg.Question)
	q.source.done, q.draft.form, q.step = true, formTruth, stepReply
}

// soaSerial is the serial of the version that a secondary has, which stands in the authority section of its request (RFC 1995 section 3).
func soaSerial(msg []byte) (serial uint32, ok bool) {
	records, err := wire.Records(msg)
	for err == nil && records.Next() {
		if records.Section == wire.SectionAuthority && records.Type == wire.TypeSOA {
			return serialAt(msg, records.DataOff, records.DataOff+records.DataLen)
		}
	}
	return 0, false
}

// serialAt is the serial in the data of a SOA record.
func serialAt(msg []byte, off, end int) (serial uint32, ok bool) {
	for range 2 {
		var err error
		if off, err = wire.SkipName(msg, off); err != nil {
			return 0, false
		}
	}
	if off+20 != end {
		return 0, false
	}
	return binary.BigEndian.Uint32(msg[off:]), true
}

// stream sends the transfer of q, in the goroutine of the connection: queries behind it wait, as replies do that come meanwhile.
func (c *tcpConn) stream(q *Query) {
	t := c.server.core.transfers
	defer t.leave(q.transfer.network)
	if !c.takeWriting() {
		return
	}
	data := q.transfer.data
	s := transferStream{conn: c, out: make([]byte, 0, transferBatch+prefixLen+wire.MessageMax), until: time.Now().Add(transferTimeMax)}
	buf := c.server.outs.get(wire.MessageMax)
	reserve := 0
	if key := q.Key(); key != nil {
		s.signer, reserve = tsig.NewStreamSigner(key, q.signature.record.MAC), key.Room()
	}
	err := data.Send((*buf)[:0], q.msg.ID, q.msg.Flags&wire.FlagRD, q.msg.Question, reserve, s.put)
	c.server.outs.put(buf)
	if err == nil {
		err = s.write()
	}
	c.leaveWriting(err)
	t.octets.Add(s.octets)
	switch {
	case err != nil:
		t.broken.Add(1)
	case data.Whole():
		t.whole.Add(1)
	default:
		t.changes.Add(1)
	}
	c.server.core.log.Info("zone sent", "zone", dnsname.Name(q.request.Name).String(), "client", c.peer.Addr().String(), "serial", data.Serial(),
		"whole", data.Whole(), "octets", s.octets, "err", err)
}

// transferStream gathers messages, and writes many at a time.
type transferStream struct {
	conn   *tcpConn
	out    []byte
	until  time.Time
	octets uint64
	pace   pace.Pace
	signer *tsig.StreamSigner // nil where the request was not signed
}

func (s *transferStream) put(msg []byte) error {
	if s.signer != nil {
		msg = s.signer.Sign(msg, s.conn.server.core.config.Now())
	}
	s.out = append(binary.BigEndian.AppendUint16(s.out, uint16(len(msg))), msg...)
	if len(s.out) < transferBatch {
		return nil
	}
	return s.write()
}

// write writes what was gathered. A secondary has Bounds.Write to take it, and transferTimeMax to take all.
func (s *transferStream) write() error {
	s.pace.Look()
	now := time.Now()
	deadline := now.Add(s.conn.server.core.bounds.Load().Write)
	if deadline.After(s.until) {
		deadline = s.until
	}
	s.conn.conn.SetWriteDeadline(deadline)
	n, err := s.conn.conn.Write(s.out)
	s.octets += uint64(n)
	s.out = s.out[:0]
	return err
}

// takeWriting waits until nobody writes, and keeps others from it: their replies are queued. It returns false if the connection has ended.
func (c *tcpConn) takeWriting() bool {
	c.flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	for (c.writing || c.out != nil) && !c.dead {
		c.changed.Wait()
	}
	c.writing = true
	return !c.dead
}

// leaveWriting lets others write again; after an error nobody does.
func (c *tcpConn) leaveWriting(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing = false; err != nil {
		c.kill(errors.Is(err, os.ErrDeadlineExceeded))
	}
	c.changed.Broadcast()
}
