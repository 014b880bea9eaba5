package dnsserver

import (
	"net/netip"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/querylog"
	"cenote/sighting"
	"cenote/wire"
)

// record is step 6. It counts, and hands matches to the ledger and the query to the log, each by a queue of its own that never makes it
// wait.
func (w *worker) record(q *Query, v Verdict) {
	w.counters.decision(&q.decision)
	if q.source.slow {
		w.counters.wait(w.now(q).Sub(q.Time))
	}
	if h := &q.decision.Winner; q.decision.Matched() && h.Action != policy.ActionPassthru {
		w.sight(q, h, true)
	}
	for i := range q.decision.NObserved {
		w.sight(q, &q.decision.Observed[i], false)
	}
	w.write(q, v)
}

// sight records one match. A PASSTHRU that won is in the query log and the counters alone: that a client asked for what its operator
// allows is no evidence.
func (w *worker) sight(q *Query, h *policy.Hit, enforced bool) {
	switch {
	case w.sights != nil:
		q.fillEvent(w.sights.Slot(), h, enforced)
		w.sights.Commit()
	case w.ledger != nil:
		w.ledger.Put(func(e *sighting.Event) { q.fillEvent(e, h, enforced) })
	}
}

func (q *Query) fillEvent(e *sighting.Event, h *policy.Hit, enforced bool) {
	e.Time = q.Time.UnixNano()
	e.Generation = q.policy.Generation()
	putAddr(&e.Client, q.Client.Addr())
	e.ClientPort = q.Client.Port()
	e.Set, e.Zone, e.Member, e.Labels = h.Set, h.Zone, h.Member, h.Labels
	e.Action, e.Trigger, e.Stage = uint8(h.Action), uint8(h.Trigger), h.Stage
	e.QType, e.Transport = q.request.Type, uint8(q.Transport)
	e.Flags = 0
	if enforced {
		e.Flags |= sighting.EventEnforced
	}
	if q.request.Verified {
		e.Flags |= sighting.EventVerified
	}
	if q.source.late {
		e.Flags |= sighting.EventStale
	}
	if h.Trigger == policy.TriggerQNAME {
		e.NameLen = uint8(copy(e.Name[:], q.nameOf(h)))
		return
	}
	q.fillKey(e, h)
}

// fillKey writes what a rule lists that is not about a query name: its key, and before it as much of the query name as there is room for. The
// labels of the key are the listed ones.
func (q *Query) fillKey(e *sighting.Event, h *policy.Hit) {
	var buf [dnsname.WireMax + 1]byte
	key := q.policy.AppendKey(buf[:0], h, q.serverOf(h))
	name := q.nameOf(h)
	for len(name)-1+len(key) > dnsname.WireMax {
		name = name[1+int(name[0]):]
	}
	_, labels, _ := dnsname.Check(key)
	e.Labels = uint8(labels)
	n := copy(e.Name[:], name[:len(name)-1])
	e.NameLen = uint8(n + copy(e.Name[n:], key))
}

// reference is what refers to the rule of a match.
func (q *Query) reference(h *policy.Hit) policy.Reference {
	name := q.nameOf(h)
	if h.Trigger == policy.TriggerNSDNAME {
		name = q.serverOf(h)
	}
	return q.policy.Reference(h, name)
}

// serverOf is the name of the server that a match is about; none if it is not about one.
func (q *Query) serverOf(h *policy.Hit) []byte {
	if h.Trigger != policy.TriggerNSDNAME || int(h.Stage) >= len(q.answer.Paths) {
		return rootName
	}
	servers := q.answer.Paths[h.Stage].Servers
	if int(h.Entry) >= len(servers) {
		return rootName
	}
	return servers[h.Entry].Name
}

var rootName = []byte{0}

// write hands the query to the log, if that wants it.
func (w *worker) write(q *Query, v Verdict) {
	match := q.decision.Matched() || q.decision.NObserved > 0
	switch {
	case w.queries != nil:
		if !w.queries.Want(match) {
			return
		}
		if r := w.queries.Slot(); r != nil {
			q.fillRecord(r, v, match, w.keyNumber(q), w.now(q))
			w.queries.Commit()
		}
	case w.log != nil && w.log.Want(match):
		w.log.Put(func(r *querylog.Record) { q.fillRecord(r, v, match, w.keyNumber(q), w.now(q)) })
	}
}

// keyNumber is the number by which the log knows the key of the query.
func (w *worker) keyNumber(q *Query) uint16 {
	if name := q.keyName(); !name.IsZero() && w.core.config.Queries != nil {
		return w.core.config.Queries.KeyNumber(name)
	}
	return 0
}

// fillRecord sets every field, each by itself: a whole record at once would clear the room for the name too, and touch twice as many lines of the
// cache.
func (q *Query) fillRecord(r *querylog.Record, v Verdict, match bool, key uint16, now time.Time) {
	r.Time, r.Duration = q.Time.UnixNano(), int64(now.Sub(q.Time))
	r.ClientPort, r.PeerPort, r.LocalPort = q.Client.Port(), q.Peer.Port(), q.Local.Port()
	putAddr(&r.Client, q.Client.Addr())
	putAddr(&r.Peer, q.Peer.Addr())
	putAddr(&r.Local, q.Local.Addr())
	r.ID, r.Flags, r.QType, r.QClass = q.msg.ID, q.msg.Flags, q.msg.Type, q.msg.Class
	r.Key = key
	r.Transport, r.Verified = uint8(q.Transport), q.request.Verified
	q.fillRule(&r.Rule, match)
	r.ListedLen = 0
	if match {
		q.fillListed(r, q.shown(match))
	}
	r.Reply = querylog.Reply{Rcode: uint16(q.draft.rcode), EDE: q.draft.ede, Source: q.source.kind}
	if v == Replied {
		r.ReplyFlags, r.ReplySize = wire.Flags(q.Reply), uint16(len(q.Reply))
	}
	r.NameLen = uint8(copy(r.Name[:dnsname.WireMax], q.msg.Name))
}

// shown is the match that the log shows: that which decided, else the first that was observed.
func (q *Query) shown(match bool) *policy.Hit {
	if !q.decision.Matched() && match {
		return &q.decision.Observed[0]
	}
	return &q.decision.Winner
}

// fillListed writes what is listed of a name that the answer leads to: the log has the query name alone otherwise.
func (q *Query) fillListed(r *querylog.Record, h *policy.Hit) {
	if h.Trigger != policy.TriggerQNAME || h.Stage == 0 {
		return
	}
	name := q.nameOf(h)
	for _, labels, _ := dnsname.Check(name); labels > int(h.Labels); labels-- {
		name = name[1+int(name[0]):]
	}
	r.ListedLen = uint8(copy(r.ListedName[:], name))
}

func (q *Query) fillRule(r *querylog.Rule, match bool) {
	h := q.shown(match)
	*r = querylog.Rule{
		Set: h.Set, Zone: h.Zone, Member: h.Member, Labels: h.Labels,
		Action: uint8(h.Action), Trigger: uint8(h.Trigger), Stage: h.Stage, Match: match, Enforced: q.decision.Matched(),
	}
	if q.policy != nil {
		r.Generation = q.policy.Generation()
	}
	if match {
		r.ListedHash = q.reference(h).Listed
	}
	if match && h.Trigger.ByAddress() {
		prefix := q.policy.Prefix(h)
		putAddr(&r.Listed, prefix.Addr())
		if r.ListedBits = uint8(prefix.Bits()); prefix.Addr().Is4() {
			r.ListedBits += 96
		}
	}
}

// putAddr is *to = a.As16(). That reads as a whole what it has just written in halves, for which processors wait; IPv4 needs no halves.
func putAddr(to *[16]byte, a netip.Addr) {
	if !a.Is4() {
		*to = a.As16()
		return
	}
	*to = [16]byte{10: 0xff, 11: 0xff}
	four := a.As4()
	copy(to[12:], four[:])
}
