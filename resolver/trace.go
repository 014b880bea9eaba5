package resolver

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/rrcache"
)

// StepKind says what a Step of a Trace is.
type StepKind uint8

// The kinds of steps.
const (
	StepAsked    StepKind = iota // a server was asked
	StepCached                   // the cache knew
	StepQuestion                 // another question had to be answered first
	StepTrust                    // it was found out whether a name lies in a signed zone
	StepVerdict                  // an answer was checked
)

// String names the kind.
func (k StepKind) String() string {
	return [...]string{"asked", "cached", "question", "trust", "verdict"}[k]
}

// Step is one thing that was done to answer a question.
type Step struct {
	Kind    StepKind
	Name    dnsname.Name
	Type    uint16
	Zone    dnsname.Name   // whose servers were asked
	Server  netip.AddrPort // who was asked last
	Took    time.Duration
	Result  string       // what came of it: referral, answer, alias, no data, no such name, or an error
	Next    dnsname.Name // the zone that a referral leads to, or the target of an alias
	Verdict dnssec.Verdict
	Inner   *Trace // of a question
}

// Trace is all that was done to answer a question, in order.
type Trace struct {
	mu      sync.Mutex
	Steps   []*Step
	Packets int // queries sent, those of inner questions included
}

// stepsMax bounds a trace.
const stepsMax = 1000

func (t *Trace) add(s *Step) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.Steps) < stepsMax {
		t.Steps = append(t.Steps, s)
	}
}

// note adds a step to the trace of the flight, if somebody looks.
func (it *iteration) note(s Step) {
	if it.f.trace != nil {
		it.f.trace.add(&s)
	}
}

// noteAsked notes how a question to the servers of a zone ended.
func (it *iteration) noteAsked(z *cut, q *question, got *outcome, took time.Duration) {
	if it.f.trace == nil {
		return
	}
	s := Step{Kind: StepAsked, Name: dnsname.Name(q.name), Type: q.qtype, Zone: z.zone, Took: took}
	if got.up != nil {
		s.Server = got.up.Addr
	}
	switch {
	case got.err != nil:
		s.Result = got.err.Error()
	default:
		s.Result, s.Next = got.found.kind.String(), got.found.target
		if got.found.child != nil {
			s.Next = got.found.child.zone
		}
	}
	it.f.trace.add(&s)
}

// String names the kind of a finding.
func (k kind) String() string {
	return [...]string{"lame", "answer", "alias", "no data", "no such name", "referral"}[k]
}

// Trace answers k as Resolve does where the cache has no answer to it, and tells all that was done. What is known of zones, of their
// servers and of other names is used as ever.
func (r *Resolver) Trace(ctx context.Context, k *rrcache.Key) (Result, *Trace, error) {
	s, t := r.state.Load(), new(Trace)
	f := &flight{q: questionOf(k), done: make(chan struct{}), trace: t}
	if s.config.Recursion == nil {
		return Result{EDE: EDENone}, t, &Error{edeNotSupported, ErrForwards}
	}
	f.budget = newBudget(&s.config.Recursion.Bounds)
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return Result{EDE: EDENone}, t, &Error{edeNotReady, ErrClosed}
	}
	r.running.Go(func() { r.flyAlone(s, f) })
	r.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return Result{EDE: EDENone}, new(Trace), context.Cause(ctx)
	}
	t.Packets = int(f.budget.sent.Load())
	return Result{Msg: f.msg, EDE: f.ede}, t, f.err
}

// flyAlone is fly for a question that nobody else may wait for.
func (r *Resolver) flyAlone(s *state, f *flight) {
	got := r.find(s, f)
	r.land(f, &got)
	close(f.done)
}
