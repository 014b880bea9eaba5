package dnsserver

import (
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/querylog"
	"cenote/wire"
	"cenote/zone"
)

// updatesMax is how many updates may wait at once to be made, of one key half of them; those of one zone are made one after the other, and each waits for the disk.
const updatesMax = 64

// updateCounters count the UPDATE messages that came to zones of ours, and how many are being made.
type updateCounters struct {
	waits   updateWaits
	made    atomic.Uint64 // handed to the zone, whatever came of it
	refused atomic.Uint64 // not signed, or wrongly, by a key or from an address that may send none
	noZone  atomic.Uint64 // for what is no zone of ours
	full    atomic.Uint64 // that found too many before them, of all or of their key
	told    refusalLog
}

// parse reads the message of q. NOTIFY and UPDATE messages are read where there is a zone that hears or takes them; to all others their opcode is unknown.
func (w *worker) parse(q *Query) wire.Fault {
	fault := q.msg.Parse(q.In)
	if fault != wire.FaultOpcode {
		return fault
	}
	q.takeZones(w)
	switch opcode := wire.Opcode(q.In); {
	case opcode == wire.OpcodeNotify && q.zones.HearsNotices():
		q.notice = true
	case opcode == wire.OpcodeUpdate && q.zones.TakesUpdates():
		q.updates = true
		q.draft.flags &^= wire.FlagRA // there is no such flag in replies to updates (RFC 2136 section 2.2)
	default:
		return fault
	}
	return q.read()
}

// read reads the message as what it is known to be.
func (q *Query) read() wire.Fault {
	if q.notice || q.updates {
		return q.msg.ParseAbout(q.In)
	}
	return q.msg.Parse(q.In)
}

// update admits an UPDATE message (RFC 2136 section 3.1): one that is signed, by a key that may change something in the zone, from where that is allowed. What it
// asks for is looked at when it is made, by a goroutine that may wait.
func (w *worker) update(q *Query) {
	q.ask()
	q.source.kind = querylog.SourceZone
	counts, served := &w.core.updates, q.zones.Exact(q.request.Name)
	why := ""
	if served != nil {
		why = served.WhyNoUpdate(q.Peer.Addr().WithZone(""), q.keyName().Canonical())
	}
	switch {
	case q.msg.Type != wire.TypeSOA:
		q.turnAway(wire.RcodeFormErr, policy.EDENone)
	case served == nil:
		counts.noZone.Add(1)
		q.turnAway(wire.RcodeNotAuth, edeNotAuthoritative)
	case why != "":
		w.refuseUpdate(q, q.keyName(), why)
		q.turnAway(wire.RcodeRefused, edeProhibited)
	default:
		q.pending = true
	}
}

// refuseUpdate counts that an update is refused before anything is looked at that it asks for, and tells it to the log, of many a part.
func (w *worker) refuseUpdate(q *Query, key dnsname.Name, why string) {
	w.core.updates.refused.Add(1)
	told := &w.core.updates.told
	passed, ok := told.take(q.Time)
	if !ok {
		return
	}
	line := []any{"zone", printedName(q.msg.Name), "client", q.Peer.Addr().WithZone("").String(), "key", printedName([]byte(key)), "reason", why, "not_logged", passed}
	told.lines.Go(func() {
		defer told.telling.Store(false)
		w.core.log.Warn("an update is refused", line...)
	})
}

// printedName is a name in wire form as the log has it, "" for none.
func printedName(wire []byte) string {
	if len(wire) == 0 {
		return ""
	}
	return dnsname.Name(wire).Canonical().String()
}

// refusalLog bounds what the log is told of refusals: one line a second, one at a time, by a goroutine of its own since no query waits for the log. All are counted. The zero value has told
// nothing; take may be called by many at once.
type refusalLog struct {
	second  atomic.Int64  // of the last line
	telling atomic.Bool   // a line is being written
	passed  atomic.Uint64 // refusals since the last line that have none
	lines   sync.WaitGroup
}

// take reports whether the log may be told of one more, and how many there were since the last that it was not told of. Whoever tells it takes telling back at the end.
func (l *refusalLog) take(now time.Time) (passed uint64, ok bool) {
	second := now.Unix()
	if l.second.Load() == second || !l.telling.CompareAndSwap(false, true) {
		l.passed.Add(1)
		return 0, false
	}
	l.second.Store(second)
	return l.passed.Swap(0), true
}

// makeUpdate has the changes made, and drafts the reply.
func (w *worker) makeUpdate(q *Query) {
	q.failUpdate()
	counts, key := &w.core.updates, q.keyName().Canonical()
	if !counts.waits.enter(key) {
		counts.full.Add(1)
		return
	}
	defer counts.waits.leave(key)
	counts.made.Add(1)
	q.draft.rcode = w.core.config.Updates.ApplyUpdate(&zone.UpdateRequest{
		Zone: dnsname.Name(q.request.Name), Msg: q.In, Key: key, Client: q.Peer.Addr().WithZone(""), Signed: q.signature.record.Sum(q.In),
	})
	if q.draft.ede = policy.EDENone; q.draft.rcode == wire.RcodeRefused {
		q.draft.ede = edeProhibited
	}
	q.source.slow = true
}

// failUpdate drafts the reply to an update that is not made.
func (q *Query) failUpdate() {
	q.pending = false
	q.turnAway(wire.RcodeServFail, edeNotReady)
}
