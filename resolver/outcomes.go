package resolver

import (
	"errors"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// ending is what came of a question whose answer was looked for from the root down.
type ending uint8

// The endings.
const (
	endSecure    ending = iota
	endInsecure         // nobody signs it
	endUnchecked        // nothing was to be validated
	endBogus            // signatures do not hold
	endFailed
	endings
)

// String names the ending as the metrics do.
func (e ending) String() string {
	return [...]string{"secure", "insecure", "unchecked", "bogus", "failed"}[e]
}

// edeKinds is how many extended errors are told apart; the last stands for all others, none included.
const edeKinds = 32

// purpose is what a query to a server of a zone is for.
type purpose uint8

// The purposes.
const (
	forAnswer    purpose = iota
	forMinimised         // a part of a name alone
	forAddress           // of a name server
	forDS
	forKeys
	forRoot // who serves it
	purposes
)

// String names the purpose as the metrics do.
func (p purpose) String() string {
	return [...]string{"answer", "minimised", "address", "ds", "keys", "root"}[p]
}

// transports are UDP, TCP and TLS.
const transports = 3

// purpose says what a query is for that the flight makes.
func (it *iteration) purpose(q *question) purpose {
	switch {
	case q.name != it.f.q.name && dnsname.Name(it.f.q.name).IsBelow(dnsname.Name(q.name)):
		if q.qtype == wire.TypeNS {
			return forRoot
		}
		return forMinimised
	case it.f.depth == 0:
		return forAnswer
	case q.qtype == wire.TypeDS:
		return forDS
	case q.qtype == wire.TypeDNSKEY:
		return forKeys
	}
	return forAddress
}

// searchAmong returns a search that takes from the budget of the flight.
func (it *iteration) searchAmong(z *cut, q *question, pool []*upstream) *search {
	a := it.r.searchAmong(it.s, q, pool, it.account(z))
	a.tally, a.purpose = &it.b.tally, it.purpose(q)
	if it.f.trace != nil {
		a.attempts = new(attempts)
	}
	return a
}

// count counts a query that is being sent.
func (x *exchange) count() {
	if x.tally != nil {
		x.tally.add(x.up)
	}
	if x.work == nil {
		return
	}
	transport := 0
	switch {
	case x.up.TLS != "":
		transport = 2
	case x.manner.tcp:
		transport = 1
	}
	x.r.counts.packets[x.purpose][transport].Add(1)
}

// account counts how a client's question ended, and logs it if it was slow.
func (r *Resolver) account(f *flight, got *outcome) {
	if f.inner {
		return
	}
	s := r.state.Load()
	if f.budget != nil {
		r.counts.questions[s.ending(f, got)][edeKind(f, got)].Add(1)
		r.accountWork(f.budget)
	}
	if took := time.Since(f.begun); s.config.Slow > 0 && took > s.config.Slow {
		r.logSlow(f, got, took)
	}
}

func (s *state) ending(f *flight, got *outcome) ending {
	switch {
	case errors.Is(got.err, errBogus) || got.err != nil && isVerdict(got.code()):
		return endBogus
	case got.err != nil:
		return endFailed
	case !s.validates(&f.q):
		return endUnchecked
	case wire.Flags(f.msg)&wire.FlagAD != 0:
		return endSecure
	}
	return endInsecure
}

func edeKind(f *flight, got *outcome) int {
	code := f.ede
	if got.err != nil {
		code = got.code()
	}
	return int(min(code, edeKinds-1))
}

// accountWork counts what was verified for a question.
func (r *Resolver) accountWork(b *budget) {
	w, ok := b.work()
	if !ok {
		return
	}
	r.counts.signatures.Add(uint64(dnssec.SignaturesMax - w.Signatures))
	r.counts.hashes.Add(uint64(dnssec.HashesMax - w.Hashes))
	if w.Spent() {
		r.counts.bounds[boundCrypto].Add(1)
	}
}

// slowMax is how many slow questions are logged in a second. All are counted.
const slowMax = 10

// slowLog bounds how many slow questions are logged.
type slowLog struct {
	second atomic.Int64
	logged atomic.Int64
	passed atomic.Int64 // not logged since the last that was
}

// take reports whether one more may be logged, and how many were not since the last.
func (l *slowLog) take(now time.Time) (passed int64, ok bool) {
	if s := now.Unix(); l.second.Swap(s) != s {
		l.logged.Store(0)
	}
	if l.logged.Add(1) > slowMax {
		l.passed.Add(1)
		return 0, false
	}
	return l.passed.Swap(0), true
}

func (r *Resolver) logSlow(f *flight, got *outcome, took time.Duration) {
	r.counts.slow.Add(1)
	passed, ok := r.slow.take(time.Now())
	if !ok {
		return
	}
	t := &f.tally
	if f.budget != nil {
		t = &f.budget.tally
	}
	reason, last := "answered", ""
	if got.err != nil {
		reason = got.err.Error()
	}
	if up := t.last.Load(); up != nil {
		last = up.Addr.String()
	}
	r.log.Warn("a question was slow", "name", dnsname.Name(f.q.name), "type", wire.TypeText(f.q.qtype), "took", took.Round(time.Millisecond),
		"packets", t.sent.Load(), "last_server", last, "reason", reason, "not_logged", passed)
}
