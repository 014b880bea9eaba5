package dnsserver

import (
	"cenote/querylog"
	"cenote/rrcache"
	"cenote/wire"
)

// findCached looks in the cache. A stale answer counts only while it is held: while its network is known not to answer. Otherwise the
// network is asked first, and the resolver comes back with the stale one if that fails (RFC 8767 section 5).
func (w *worker) findCached(q *Query) bool {
	a := w.read(q)
	if a.State == rrcache.Miss || a.State == rrcache.Stale && !a.Held {
		return false
	}
	if a.Prefetch {
		w.core.config.Resolver.Prefetch(&q.source.key)
	}
	q.source.take(a)
	q.source.clean = q.policy != nil && a.Stamp != 0 && a.Stamp == q.policy.Generation()
	return true
}

// findPast takes an answer past its time, if there is one.
func (w *worker) findPast(q *Query) bool {
	a := w.read(q)
	if a.State == rrcache.Miss && q.source.key.DO { // without signatures is better than nothing
		q.source.key.Reset()
		q.source.key.DO = false
		a = w.readKey(q)
	}
	if a.State == rrcache.Miss {
		return false
	}
	if !a.Held { // who asks for what is past its time shows that it is wanted, as one does shortly before
		w.core.config.Resolver.Prefetch(&q.source.key)
	}
	q.source.take(a)
	return true
}

// findReferral takes the servers that know more, if there are any. It is no answer, but it leads to their zone, so that rules on name servers have their say.
func (w *worker) findReferral(q *Query) bool {
	if w.core.config.Referral == nil || q.chase.wanted || q.alias.wanted {
		return false
	}
	q.wantedKey(w.core.config.Cache)
	msg := w.core.config.Referral(&q.source.key)
	if msg == nil {
		return false
	}
	q.source.msg, q.source.kind, q.source.referral = msg, querylog.SourceCache, true
	return true
}

// findStale takes an answer past its time for a query that may not wait.
func (w *worker) findStale(q *Query) {
	if w.findPast(q) {
		return
	}
	q.source.rcode, q.source.ede = wire.RcodeServFail, edeOther
}

// read gets the wanted answer from the cache into the query's buffer, which it lets grow for the few that are large.
func (w *worker) read(q *Query) rrcache.Answer {
	q.wantedKey(w.core.config.Cache)
	return w.readKey(q)
}

// readKey is read for the key that is set.
func (w *worker) readKey(q *Query) rrcache.Answer {
	key, now := &q.source.key, w.now(q).UnixNano()
	a := w.core.config.Cache.Get(key, now, q.source.room())
	if a.State == rrcache.Miss && a.Len > len(q.source.buf) {
		q.source.buf = make([]byte, wire.MessageMax)
		a = w.core.config.Cache.Get(key, now, q.source.buf)
	}
	return a
}

// take makes a, which lies in the buffer, the source's message.
func (s *source) take(a rrcache.Answer) {
	s.msg, s.kind = s.buf[:a.Len], querylog.SourceCache
	s.deadEnd = isDeadEnd(s.msg)
	if a.State == rrcache.Stale {
		s.stale()
	}
}
