package dnsserver

import (
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
		w.counters.wait(q.now().Sub(q.Time))
	}
	if h := &q.decision.Winner; q.decision.Matched() && h.Action != policy.ActionPassthru {
		w.sight(q, h)
	}
	for i := range q.decision.NObserved {
		w.sight(q, &q.decision.Observed[i])
	}
	w.write(q, v)
}

// sight records one match. A PASSTHRU that won is in the query log and the counters alone: that a client asked for what its operator
// allows is no evidence.
func (w *worker) sight(q *Query, h *policy.Hit) {
	switch {
	case w.sights != nil:
		q.fillEvent(w.sights.Slot(), h)
		w.sights.Commit()
	case w.ledger != nil:
		w.ledger.Put(func(e *sighting.Event) { q.fillEvent(e, h) })
	}
}

func (q *Query) fillEvent(e *sighting.Event, h *policy.Hit) {
	e.Time = q.Time.UnixNano()
	e.Generation = q.policy.Generation()
	e.Client, e.ClientPort = q.Client.Addr().As16(), q.Client.Port()
	e.Set, e.Zone, e.Member, e.Labels = h.Set, h.Zone, h.Member, h.Labels
	e.Action, e.Trigger, e.Stage = uint8(h.Action), uint8(h.Trigger), h.Stage
	e.QType, e.Transport = q.request.Type, uint8(q.Transport)
	e.Flags = 0
	if h.Enforced {
		e.Flags |= sighting.EventEnforced
	}
	if q.request.Verified {
		e.Flags |= sighting.EventVerified
	}
	if q.source.late {
		e.Flags |= sighting.EventStale
	}
	e.NameLen = uint8(copy(e.Name[:], q.nameAt(int(h.Stage))))
}

// write hands the query to the log, if that wants it.
func (w *worker) write(q *Query, v Verdict) {
	match := q.decision.Matched() || q.decision.NObserved > 0
	switch {
	case w.queries != nil:
		if !w.queries.Want(match) {
			return
		}
		if r := w.queries.Slot(); r != nil {
			q.fillRecord(r, v, match)
			w.queries.Commit()
		}
	case w.log != nil && w.log.Want(match):
		w.log.Put(func(r *querylog.Record) { q.fillRecord(r, v, match) })
	}
}

func (q *Query) fillRecord(r *querylog.Record, v Verdict, match bool) {
	h := &q.decision.Winner
	if !q.decision.Matched() && match {
		h = &q.decision.Observed[0]
	}
	*r = querylog.Record{
		Time: q.Time.UnixNano(), Duration: int64(q.now().Sub(q.Time)),
		Client: q.Client.Addr().As16(), ClientPort: q.Client.Port(),
		Peer: q.Peer.Addr().As16(), PeerPort: q.Peer.Port(),
		Local: q.Local.Addr().As16(), LocalPort: q.Local.Port(),
		ID: q.msg.ID, Flags: q.msg.Flags, QType: q.msg.Type, QClass: q.msg.Class,
		Transport: uint8(q.Transport), Verified: q.request.Verified,
		Rule: querylog.Rule{
			Set: h.Set, Zone: h.Zone, Member: h.Member, Labels: h.Labels,
			Action: uint8(h.Action), Trigger: uint8(h.Trigger), Stage: h.Stage, Match: match, Enforced: h.Enforced,
		},
		Reply: querylog.Reply{Rcode: uint16(q.draft.rcode), EDE: q.draft.ede, Source: q.source.kind},
	}
	if q.policy != nil {
		r.Generation = q.policy.Generation()
	}
	if v == Replied {
		r.ReplyFlags, r.ReplySize = wire.Flags(q.Reply), uint16(len(q.Reply))
	}
	r.NameLen = uint8(copy(r.Name[:dnsname.WireMax], q.msg.Name))
}
