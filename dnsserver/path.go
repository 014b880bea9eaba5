package dnsserver

import (
	"context"

	"cenote/policy"
	"cenote/wire"
)

// pathState is how far the data paths of a query are.
type pathState struct {
	wanted  bool // the network is to be asked for them
	found   bool
	partial bool // something of them is missing
}

// trace reports whether all is known of the way to the answer that the policy looks at. If not, the network is to be asked, but
// for nobody whom the access list does not admit.
func (w *worker) trace(q *Query) bool {
	if q.outside || q.path.found || w.core.config.Paths == nil || !q.undecided() || !q.policy.ServerTriggers() {
		return true
	}
	q.path.wanted = true
	return false
}

// pathsMax is how many names of a chain have their data paths looked for, for one query.
const pathsMax = 4

// findPaths finds the data paths of the names that the answer leads to. The answer stays the one that they are of.
func (w *worker) findPaths(ctx context.Context, q *Query) {
	q.path.wanted, q.path.found = false, true
	q.source.asked, q.source.slow = true, true
	wants := q.policy.PathWants()
	if q.source.referral { // nobody is asked, or waited for, for one who wants no recursion and gets no answer
		wants.WaitNames, wants.WaitAddresses = false, false
	}
	names := policy.Names(q.request.Name, q.source.msg)
	if !policy.Followed(q.request.Type) {
		names = names[:1]
	}
	if len(names) > pathsMax {
		names, q.path.partial = names[:pathsMax], true
	}
	for _, name := range names {
		path, whole := w.core.config.Paths.Path(ctx, name, wants)
		q.answer.Paths = append(q.answer.Paths, path)
		q.path.partial = q.path.partial || !whole
	}
}

// failPaths ends a query whose data paths could not be asked for: nobody gets past a rule because the server is busy.
func (q *Query) failPaths() {
	q.path.wanted, q.path.found = false, true
	q.source.asked, q.source.failed = true, false
	q.source.msg, q.source.rcode, q.source.ede = nil, wire.RcodeServFail, edeOther
}
