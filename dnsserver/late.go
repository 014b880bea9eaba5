package dnsserver

import (
	"time"

	"cenote/policy"
	"cenote/wire"
)

// lateAfter is how long an answer may take to be sent whole by UDP to an address that may be forged. Who holds his servers' answers back for
// seconds could otherwise have those to thousands of queries leave at one moment, for one victim (DNSBomb, CVE-2024-33655). What is later is cut
// to a header with TC, no longer than the query was: who is there comes by TCP and finds the answer in the cache.
const lateAfter = 1900 * time.Millisecond

// cutLate takes the records out of a reply that comes too late.
func (w *worker) cutLate(q *Query) {
	if q.Transport != policy.TransportUDP || q.request.Verified || !q.source.slow || q.source.msg == nil || q.draft.form != formTruth {
		return
	}
	if wire.Rcode(q.source.msg) == wire.RcodeServFail || w.now(q).Sub(q.Time) < lateAfter {
		return
	}
	q.draft.form, q.draft.flags = formEmpty, q.draft.flags|wire.FlagTC
	w.counters.late.Add(1)
}
