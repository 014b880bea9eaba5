package dnsserver

import (
	"context"

	"cenote/policy"
	"cenote/wire"
)

// Truth is what a question is answered with before the policy has looked at it.
type Truth struct {
	Answer policy.Answer // as CheckAnswer is given it; without a message where there is none to look at
	// Without says why there is no message; "" if there is one.
	Without string
	// Partial says that not all name servers are known that rules look at, and Fails that a query fails for it if no rule decides (Settings.RequirePaths).
	Partial, Fails bool
}

// Truth finds what CheckAnswer of a policy is given for a question, on the path of a query: local zones, the cache, the network, the name servers on the way.
// It waits for the network as a query does, decides nothing and records nothing.
func (s *Server) Truth(ctx context.Context, r *policy.Request, p *policy.Policy) Truth {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	return s.network.worker.truth(ctx, r, p)
}

func (w *worker) truth(ctx context.Context, r *policy.Request, p *policy.Policy) (t Truth) {
	q := new(Query)
	q.Begin()
	q.Time, q.settings, q.policy, q.request = w.core.config.Now(), w.core.settings.Load(), p, *r
	q.request.Name = q.name[:copy(q.name[:], r.Name)]
	for step := 0; step < networkSteps && !w.known(q); step++ {
		w.resolve(ctx, q)
	}
	if t.Without = q.without(); q.checkable(false) {
		q.answer.Msg, q.answer.NAT64 = q.source.msg, q.settings.NAT64
		t.Answer, t.Partial = q.answer, q.path.partial
		t.Fails = t.Partial && q.settings.RequirePaths
	}
	return t
}

// known reports whether step 3 is over. That the answer was found clean before spares nobody who wants to see why.
func (w *worker) known(q *Query) bool {
	if !w.find(q) {
		return false
	}
	q.source.clean = false
	return w.trace(q)
}

// without says why the policy is given no message to look at.
func (q *Query) without() string {
	s := &q.source
	switch {
	case !s.failed && q.checkable(false):
		return ""
	case s.local.kind != localNone:
		return "the name is answered by this server itself"
	case s.rcode == wire.RcodeRefused:
		return "the question is without recursion, and the cache has no answer: it is refused"
	}
	return "the network gives no answer: SERVFAIL"
}
