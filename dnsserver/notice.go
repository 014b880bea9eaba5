package dnsserver

import (
	"sync/atomic"

	"cenote/policy"
	"cenote/querylog"
	"cenote/wire"
)

// noticeCounters count the NOTIFY messages that came, by what became of them.
type noticeCounters struct {
	heard   atomic.Uint64 // the primaries are looked at
	refused atomic.Uint64 // from whom the zone does not hear
	noZone  atomic.Uint64 // for what is no zone of ours, or one that is taken from nobody
}

// hear answers a NOTIFY message at once (RFC 1996 section 3), and has the primaries of the zone looked at if it is from one of them, or signed by a key that
// is shared with one. It says no more than that they are worth a look: what it tells of the zone is not read.
func (w *worker) hear(q *Query) {
	q.ask()
	q.draft.flags &^= wire.FlagRA
	q.source.kind = querylog.SourceZone
	counts := &w.core.notices
	known, may := q.zones.MayNotify(q.request.Name, q.Peer.Addr().WithZone(""), q.keyName())
	switch {
	case q.msg.Type != wire.TypeSOA: // RFC 1996 section 3.7: nothing else is defined
		q.turnAway(wire.RcodeNotImp, edeNotSupported)
	case !known:
		counts.noZone.Add(1)
		q.turnAway(wire.RcodeNotAuth, edeNotAuthoritative)
	case !may:
		counts.refused.Add(1)
		q.turnAway(wire.RcodeRefused, edeProhibited)
	default:
		counts.heard.Add(1)
		w.core.config.Notices.Notice(q.request.Name)
		q.turnAway(wire.RcodeSuccess, policy.EDENone)
		q.draft.flags |= wire.FlagAA
	}
}
