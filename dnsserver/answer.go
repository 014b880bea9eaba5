package dnsserver

import (
	"cenote/policy"
	"cenote/querylog"
	"cenote/wire"
)

// answer takes q through the six steps of a query. It allocates nothing and never waits: when the network has to be asked it returns
// NeedNetwork, and is called again, on a copy of q and by a goroutine that may wait, after resolve has filled the source.
func (w *worker) answer(q *Query) (v Verdict) {
	defer w.rescue(q, &v)
	if q.step == stepAdmit {
		if !w.admit(q) { // 1: may this client ask, at this rate, and is it a question?
			return Dropped
		}
		if q.pending {
			return NeedNetwork // not for the network, but for the disk: an update (RFC 2136), of which the other steps have nothing to say
		}
		w.decide(q) // 2: what the client's address and the name say
	}
	for q.step == stepSource {
		if !w.find(q) || !w.trace(q) { // 3: the truth, from local zones, the cache or the network, and the way to it
			return NeedNetwork
		}
		w.check(q) // 4: what the answer says: every step of its CNAME chain
	}
	v = w.reply(q) // 5: the action, as a message
	q.step = stepRecord
	w.record(q, v) // 6: matches and the query log; never waits
	return v
}

// decide asks the policy in force about the question. That policy serves the query to its end (invariant 1), and it comes before local
// zones, so that a listed name among them is recorded.
func (w *worker) decide(q *Query) {
	if q.step == stepReply {
		return // turned away, or a question about ourselves
	}
	if q.policy = w.core.config.Policy(); q.policy != nil {
		q.decision = q.policy.CheckQuery(&q.request)
	}
	q.step = stepSource
	switch {
	case q.ruleless() && q.unready():
		q.turnAway(wire.RcodeServFail, edeNotReady) // there is nothing to judge an answer by
	case q.decision.Matched() && !q.decision.Pending:
		w.conclude(q)
	}
}

// ruleless reports whether there are no rules at all.
func (q *Query) ruleless() bool { return q.policy == nil || q.policy.Index() == nil }

// unready reports whether the query fails because nothing has been loaded yet of a feed that might decide. What others stop is stopped all the same, so that
// this is asked when all has been judged that can be. Who is admitted for the sake of a zone of ours alone is told of that.
func (q *Query) unready() bool {
	if !q.settings.RequirePolicy || q.outside || EffectOf(&q.decision, q.Transport) != EffectTruth {
		return false
	}
	return q.policy == nil || len(q.policy.Lacks(&q.request, &q.decision)) > 0
}

// find looks for the truth about the name that is wanted. It returns false if only the network can tell.
func (w *worker) find(q *Query) bool {
	switch {
	case q.source.asked: // resolve or shed has filled it
	case w.findZone(q): // before the special names, of which a zone may be one
	case !q.alias.wanted && !q.elsewhere && w.findLocal(q):
	case w.findCached(q):
	case !q.request.RD && w.findPast(q): // what the cache has past its time is the best that can be had without the network
	case !q.request.RD && w.findReferral(q):
	case !q.request.RD:
		// RFC 8914 section 4.21: we recurse for those who ask for it, and the name is in no zone of our own.
		q.source.rcode, q.source.ede = wire.RcodeRefused, edeNotAuthoritative
	default:
		return false
	}
	if q.alias.wanted {
		q.join()
	}
	q.source.done = true
	return true
}

// check asks the policy about the answer, unless the decision is final or the answer was found clean before. An answer that failed, or
// is made here, has nothing to check: then what was pending holds.
func (w *worker) check(q *Query) {
	if q.undecided() {
		q.answer.Msg, q.answer.NAT64 = q.source.msg, q.settings.NAT64
		q.decision = q.policy.CheckAnswer(&q.request, &q.answer, q.decision)
		if q.path.partial && !q.decision.Matched() && q.settings.RequirePaths {
			q.failPaths()
		} else if nothingFound(&q.decision) && !q.path.partial && q.source.kind != querylog.SourceZone && !q.source.failed && !q.source.referral && q.policy.Clean(&q.request, &q.answer) {
			w.core.config.Cache.Stamp(&q.source.key, q.policy.Generation())
		}
	}
	q.decision.Pending = false
	w.conclude(q)
}

// undecided reports whether the policy is to be asked about the answer.
func (q *Query) undecided() bool {
	return !q.chase.wanted && q.policy != nil && (!q.decision.Matched() || q.decision.Pending) && q.checkable(q.decision.Pending)
}

// checkable reports whether there is an answer that the policy has not seen, or whose say about a pending decision is wanted. SERVFAIL, which is also what bogus data become, reaches
// the client as it is and is never rewritten; but aliases that lead to it are true, and the names they lead to may be listed, and so may be the name
// servers that gave no answer.
func (q *Query) checkable(pending bool) bool {
	s := &q.source
	if s.failed {
		return q.policy.ServerTriggers()
	}
	return s.msg != nil && (!s.clean || pending) && (wire.Rcode(s.msg) != wire.RcodeServFail || s.deadEnd)
}

// nothingFound reports whether an answer is clean for every client. A decision that holds anything cannot tell: what matched first may
// have hidden what the answer holds.
func nothingFound(d *policy.Decision) bool { return !d.Matched() && d.NObserved == 0 }

// conclude turns the decision into the form of the reply, or back to step 3 for what that form still needs.
func (w *worker) conclude(q *Query) {
	q.step = stepReply
	if q.chase.wanted {
		return // policy never applies to data that policy made (RPZ draft section 6)
	}
	q.follow()
	q.link()
	switch EffectOf(&q.decision, q.Transport) {
	case EffectTruth:
		if q.unready() {
			q.turnAway(wire.RcodeServFail, edeNotReady)
			return
		}
		if q.draft.form = formTruth; !q.source.done {
			q.step = stepSource
		}
	case EffectNone:
		q.draft.form = formNone
	case EffectTruncate:
		q.draft.form, q.draft.flags = formEmpty, q.draft.flags|wire.FlagTC
	case EffectData:
		if q.draft.form = formPolicy; w.aim(q) {
			q.step = stepSource
		}
	}
}

// Effect is what a decision makes of the reply.
type Effect uint8

// The effects.
const (
	EffectTruth    Effect = iota // what the world says
	EffectNone                   // no reply
	EffectTruncate               // TC: come over TCP
	EffectData                   // what the rule says
)

// String names the effect as explain does.
func (e Effect) String() string {
	switch e {
	case EffectTruth:
		return "truth"
	case EffectNone:
		return "no-reply"
	case EffectTruncate:
		return "truncated"
	case EffectData:
		return "policy"
	}
	return "unknown"
}

// EffectOf returns what a decision makes of the reply over a transport.
func EffectOf(d *policy.Decision, t policy.Transport) Effect {
	if !d.Matched() {
		return EffectTruth
	}
	switch d.Winner.Action {
	case policy.ActionDrop:
		return EffectNone
	case policy.ActionTCPOnly:
		if t == policy.TransportUDP {
			return EffectTruncate
		}
	case policy.ActionSinkhole, policy.ActionNXDOMAIN, policy.ActionNODATA, policy.ActionLocalData:
		return EffectData
	case policy.ActionPassthru, policy.ActionDisabled, policy.ActionDefault:
	}
	return EffectTruth
}
