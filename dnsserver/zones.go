package dnsserver

import (
	"net/netip"

	"cenote/dnsname"
	"cenote/querylog"
	"cenote/wire"
	"cenote/zone"
)

// alias is the way from the query name along the aliases of our zones to a name that is for the world to answer.
type alias struct {
	msg       []byte // what the zones said up to there
	target    [dnsname.WireMax]byte
	targetLen int
	wanted    bool // step 3 looks for target's data
}

func (a *alias) name() []byte { return a.target[:a.targetLen] }

// welcomes reports whether an address may hold a connection: the access list admits it, or the list of a zone.
func (c *core) welcomes(client netip.Addr) bool {
	return c.settings.Load().allows(client) || c.config.Zones != nil && c.config.Zones().Admits(client.WithZone(""))
}

// servedOutside reports whether a client that the access list does not admit may ask what it asks all the same, since the list of a zone admits it.
func (w *worker) servedOutside(q *Query, fault wire.Fault) bool {
	if q.takeZones(w); q.zones == nil || fault != wire.FaultNone || q.msg.Class != wire.ClassIN {
		return false
	}
	name := q.name[:len(q.msg.Name)]
	dnsname.Lower(name, q.msg.Name)
	ask := zone.Question{Name: name, Type: q.msg.Type, Client: q.Peer.Addr().WithZone("")}
	switch z := q.zones.Exact(name); {
	case q.updates:
		q.outside = z != nil && z.ListsUpdates(ask.Client)
	case q.notice:
		q.outside = q.zones.HearsFrom(name, ask.Client)
	case q.isTransfer():
		q.outside = z != nil && z.Lists(ask.Client)
	default:
		q.outside = q.zones.Allows(&ask)
	}
	return q.outside
}

// takeZones takes the zones that serve the query to its end.
func (q *Query) takeZones(w *worker) {
	if q.zones == nil && w.core.config.Zones != nil {
		q.zones = w.core.config.Zones()
	}
}

// findZone answers from our zones. Where those end, and the client is one that we recurse for, the world is asked: for what lies below a cut, and for where
// an alias leads.
func (w *worker) findZone(q *Query) bool {
	if q.takeZones(w); q.zones == nil || q.alias.wanted || q.elsewhere {
		return false
	}
	ask := zone.Question{
		Name: q.wantedName(), Type: q.request.Type, DO: q.request.DO && !q.chase.wanted, CO: q.msg.OPT.CO, Recurses: q.request.RD && !q.outside,
		Client: q.request.Peer.Addr().WithZone(""), Admitted: !q.outside, Room: &q.alias.target,
	}
	a := w.askZones(q, &ask)
	s := &q.source
	switch {
	case a.Zone == nil && q.outside: // the zones have changed since it was admitted
		s.kind, s.rcode, s.ede = querylog.SourceZone, wire.RcodeRefused, edeProhibited
	case a.Zone == nil:
		return false
	case a.Elsewhere:
		q.elsewhere = true
		return false
	case a.Msg == nil:
		s.kind, s.rcode, s.ede = querylog.SourceZone, wire.RcodeServFail, edeNotReady
	case a.Target != nil && ask.Recurses && !q.chase.wanted && !q.settings.local.holds(a.Target):
		q.alias.targetLen, q.alias.wanted = len(a.Target), true
		q.alias.msg = append(q.alias.msg[:0], a.Msg...)
		return false
	default:
		s.msg, s.kind, s.compact = a.Msg, querylog.SourceZone, a.Compact && ask.DO && ask.CO
	}
	return true
}

// askZones has the answer written into the query's buffer, which it lets grow for the few that are large.
func (w *worker) askZones(q *Query, ask *zone.Question) zone.Answer {
	limit := wire.MessageMax
	if q.Out != nil && !q.chase.wanted {
		limit = q.room()
	}
	buf := q.source.room()
	ask.Limit = min(limit, len(buf))
	a := q.zones.Answer(buf, ask)
	if a.Msg != nil && wire.Flags(a.Msg)&wire.FlagTC != 0 && limit > len(buf) {
		q.source.buf = make([]byte, wire.MessageMax)
		ask.Limit = limit
		a = q.zones.Answer(q.source.buf, ask)
	}
	return a
}

// join puts what the world says about the last alias behind what our zones say, as one answer to the question. If the world says nothing, the client gets
// SERVFAIL, as for any alias that leads there.
func (q *Query) join() {
	s := &q.source
	q.alias.wanted = false
	ours := q.alias.msg
	if s.msg == nil { // the aliases are true all the same, and the names they lead to may be listed
		joined := append([]byte(nil), ours[:answersEnd(ours)]...)
		wire.SetCount(joined, 2, 0)
		wire.SetCount(joined, 3, 0)
		wire.SetFlags(joined, wire.FlagQR|wire.RcodeServFail)
		s.msg, s.deadEnd, s.failed = joined, true, false
		return
	}
	joined := append(make([]byte, 0, len(ours)+2*len(s.msg)), ours[:answersEnd(ours)]...)
	joined, answers := appendSection(joined, s.msg, wire.SectionAnswer)
	joined, proofs := appendSection(joined, ours, wire.SectionAuthority)
	joined, authorities := appendSection(joined, s.msg, wire.SectionAuthority)
	wire.SetCount(joined, 1, wire.Count(ours, 1)+answers)
	wire.SetCount(joined, 2, proofs+authorities)
	wire.SetCount(joined, 3, 0)
	wire.SetFlags(joined, wire.FlagQR|wire.FlagAA|uint16(wire.Rcode(s.msg)))
	s.msg, s.kind, s.clean, s.deadEnd = joined, querylog.SourceZone, false, isDeadEnd(joined)
}

// answersEnd is where the answers of a message end.
func answersEnd(msg []byte) int {
	records, err := wire.Records(msg)
	end := records.Offset()
	for err == nil && records.Next() && records.Section == wire.SectionAnswer {
		end = records.Offset()
	}
	return end
}

// appendSection appends the records of one section of another message, with their names expanded: they are compressed against offsets that do not hold
// here. It returns how many.
func appendSection(dst, msg []byte, section int) ([]byte, int) {
	var owner, data []byte
	count := 0
	records, err := wire.Records(msg)
	for err == nil && records.Next() {
		if records.Section != section {
			continue
		}
		var nameErr, dataErr error
		owner, _, nameErr = wire.AppendName(owner[:0], msg, records.NameOff)
		if data, dataErr = wire.AppendData(data[:0], msg, records.Type, records.DataOff, records.Offset()); nameErr == nil && dataErr == nil {
			dst = wire.AppendRecord(dst, owner, records.Type, records.Class, records.TTL, data)
			count++
		}
	}
	return dst, count
}
