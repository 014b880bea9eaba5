package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/rrcache"
	"cenote/wire"
)

// StepKind says what a Step of a Trace is.
type StepKind uint8

// The kinds of steps.
const (
	StepAsked     StepKind = iota // a server was asked
	StepCached                    // the cache knew
	StepQuestion                  // another question had to be answered first
	StepTrust                     // it was found out whether a name lies in a signed zone
	StepVerdict                   // an answer was checked
	StepForwarded                 // another resolver was asked
)

// String names the kind.
func (k StepKind) String() string {
	return [...]string{"asked", "cached", "question", "trust", "verdict", "forwarded"}[k]
}

// Step is one thing that was done to answer a question.
type Step struct {
	Kind      StepKind
	Name      dnsname.Name
	Type      uint16
	Minimised bool           // the servers were told a part of the name alone
	Zone      dnsname.Name   // whose servers were asked; of a trust, the zone that the name lies in
	Server    netip.AddrPort // who was asked last
	Attempts  []Attempt      // each query, and what came of it
	Took      time.Duration
	Result    string          // what came of it: referral, answer, alias, no data, no such name, or an error
	Next      dnsname.Name    // the zone that a referral leads to, or the target of an alias
	TTL       uint32          // of a referral, of records or of what is known, in s
	Known     bool            // it was known from an earlier question
	Verdict   dnssec.Verdict  // of a trust and of a verdict
	Proof     string          // what a verdict rests on: which key signed, what denies
	DS        []dnssec.KeyRef // of a referral and of a trust: what the parent says of the keys
	Keys      []dnssec.KeyRef // of a trust: the zone's keys
	SignedBy  uint16          // of a trust: the tag of the key that signed these
	Inner     *Trace          // of a question
}

// Attempt is one query and what came of it.
type Attempt struct {
	Server netip.AddrPort
	TCP    bool // by TLS, too
	TLS    bool
	EDNS   bool
	Mixed  bool // the letter case was random
	Took   time.Duration
	Result string // the response code, or an error
	Size   int    // octets of the reply
}

// Trace is all that was done to answer a question, in order.
type Trace struct {
	mu    sync.Mutex
	Steps []*Step
	Spent Spent // of the question of the client alone
}

// Spent is what a question cost with all its inner ones, and what is left of its bounds.
type Spent struct {
	Packets        int // queries sent
	PacketsLeft    int
	TargetsLeft    int // looks for addresses of name servers
	FailuresLeft   int // of these, those that find nothing
	ReferralsLeft  int
	SignaturesLeft int  // verifications
	FailingLeft    int  // of these, those that fail
	HashesLeft     int  // blocks hashed for NSEC3
	Bounded        bool // false where names are forwarded: the number of tries is the bound
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

// settled returns a copy that nobody adds to any more: questions that were given up may still go on.
func (t *Trace) settled() *Trace {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	out := &Trace{}
	for _, s := range t.Steps {
		own := *s
		own.Inner = s.Inner.settled()
		out.Steps = append(out.Steps, &own)
	}
	return out
}

// note adds a step to the trace of the flight, if somebody looks.
func (it *iteration) note(s Step) {
	if it.f.trace != nil {
		it.f.trace.add(&s)
	}
}

// noteTrust notes what is known of the zone that a name lies in.
func (it *iteration) noteTrust(name dnsname.Name, z *trusted, known bool) {
	if it.f.trace == nil {
		return
	}
	s := Step{Kind: StepTrust, Name: name, Verdict: z.verdict, Known: known, DS: z.ds, TTL: secondsLeft(z.expires, it.r.now())}
	if z.zone != nil {
		s.Zone, s.Keys, s.SignedBy = dnsname.Name(z.zone.Name()), z.zone.KeyRefs(), z.zone.SignedBy()
	}
	it.f.trace.add(&s)
}

func secondsLeft(until, now time.Time) uint32 {
	return uint32(min(max(until.Sub(now), 0), delegationMax) / time.Second)
}

// noteVerdict notes what came of the check of a finding.
func (it *iteration) noteVerdict(name dnsname.Name, f *finding, v dnssec.Verdict) {
	if it.f.trace != nil {
		it.f.trace.add(&Step{Kind: StepVerdict, Name: name, Type: it.f.q.qtype, Result: f.kind.String(), Verdict: v, Proof: f.proof()})
	}
}

// proof says what the verdict about a finding rests on.
func (f *finding) proof() string {
	var parts []string
	for _, s := range f.answer {
		if s.made {
			parts = append(parts, fmt.Sprintf("%v %s follows from the DNAME", s.name, wire.TypeText(s.rtype)))
			continue
		}
		parts = append(parts, s.proofText())
	}
	if f.needsProofs() {
		for _, s := range f.proofs {
			if isDenial(s.rtype) {
				parts = append(parts, "denial by "+s.proofText())
			}
		}
	}
	return strings.Join(parts, "; ")
}

// proofText says who signed a set.
func (s *rrset) proofText() string {
	out := fmt.Sprintf("%v %s", s.name, wire.TypeText(s.rtype))
	signer, ok := s.signer()
	if !ok {
		return out + ", not signed"
	}
	for _, k := range dnssec.SignatureRefs(s.sigs) {
		out += fmt.Sprintf(", signed by %v key %d algorithm %d", signer, k.Tag, k.Algorithm)
	}
	return out
}

// noteAsked notes how a question to the servers of a zone ended.
func (it *iteration) noteAsked(z *cut, q *question, got *outcome, a *search, took time.Duration) {
	if it.f.trace == nil {
		return
	}
	s := Step{Kind: StepAsked, Name: dnsname.Name(q.name), Type: q.qtype, Zone: z.zone, Took: took, Attempts: a.attempts.list()}
	s.Minimised = z != forwardCut && it.purpose(q) == forMinimised
	if z == forwardCut {
		s.Kind, s.Zone = StepForwarded, dnsname.Name("")
	}
	if got.up != nil {
		s.Server = got.up.Addr
	}
	if got.err != nil {
		s.Result = got.err.Error()
	} else {
		s.found(got.found)
	}
	it.f.trace.add(&s)
}

// found notes what a reply means.
func (s *Step) found(f *finding) {
	s.Result, s.Next = f.kind.String(), f.target
	switch {
	case f.child != nil:
		s.Next, s.TTL = f.child.zone, f.child.ttl
		if ds := findSet(f.child.proofs, f.child.zone, wire.TypeDS); ds != nil {
			s.DS = dnssec.DSRefs(ds.rdata)
		}
	case len(f.answer) > 0:
		s.TTL = f.answer[0].ttl
	case f.soa != nil:
		s.TTL = f.soa.ttl
	}
}

// String names the kind of a finding.
func (k kind) String() string {
	return [...]string{"lame", "answer", "alias", "no data", "no such name", "referral"}[k]
}

// attempts gathers the queries of one search, if somebody looks.
type attempts struct {
	mu  sync.Mutex
	all []underWay
}

// underWay is a query with when it was sent; until it ends it has no result.
type underWay struct {
	Attempt
	begun time.Time
}

// attemptsMax bounds the attempts of a step.
const attemptsMax = triesMax * legsMax

func (a *attempts) list() []Attempt {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Attempt
	for _, one := range a.all {
		if one.Result == "" {
			one.Result, one.Took = "no reply yet", time.Since(one.begun)
		}
		out = append(out, one.Attempt)
	}
	return out
}

// noteLeg notes a query that is being sent, and returns what notes its end. What is silent is still waited for when another server has answered.
func (x *exchange) noteLeg() func(packet []byte, err error) {
	a := x.attempts
	if a == nil {
		return func([]byte, error) {}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	at, begun := len(a.all), time.Now()
	if at == attemptsMax {
		return func([]byte, error) {}
	}
	a.all = append(a.all, underWay{x.described(), begun})
	return func(packet []byte, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		one := &a.all[at]
		one.Took, one.Size, one.Result = time.Since(begun), len(packet), "no reply"
		switch {
		case err == nil:
			one.Result = wire.RcodeText(wire.Rcode(packet))
		case !errors.Is(err, ErrTimeout) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
			one.Result = err.Error()
		}
	}
}

// described is the query as it is put now.
func (x *exchange) described() Attempt {
	return Attempt{Server: x.up.Addr, TCP: x.manner.tcp, TLS: x.up.TLS != "", EDNS: x.manner.edns, Mixed: x.manner.mixed}
}

// Trace answers k as Resolve does where the cache has no answer to it, and tells all that was done. What is known of zones, of their
// servers and of other names is used as ever. Where names are forwarded it tells which upstreams were asked.
func (r *Resolver) Trace(ctx context.Context, k *rrcache.Key) (Result, *Trace, error) {
	s := r.state.Load()
	f := &flight{q: questionOf(k), done: make(chan struct{}), trace: new(Trace)}
	none := Result{EDE: EDENone}
	if !f.q.askable() {
		return none, new(Trace), &Error{edeNotSupported, ErrType}
	}
	if s.config.Recursion != nil {
		f.budget = r.newBudget(&s.config.Recursion.Bounds)
	}
	r.flights.mu.Lock()
	if r.flights.closed {
		r.flights.mu.Unlock()
		return none, new(Trace), &Error{edeNotReady, ErrClosed}
	}
	r.flights.running.Go(func() { r.flyAlone(s, f) })
	r.flights.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return none, f.trace.settled(), context.Cause(ctx)
	}
	t := f.trace.settled()
	t.Spent = f.spent()
	return Result{Msg: f.msg, EDE: f.ede}, t, f.err
}

// flyAlone is fly for a question that nobody else may wait for.
func (r *Resolver) flyAlone(s *state, f *flight) {
	got := r.find(s, f)
	r.land(s, f, &got)
	close(f.done)
}

// noteForwarded notes how a question to upstreams ended.
func (f *flight) noteForwarded(got *outcome, a *search, took time.Duration) {
	if f.trace == nil {
		return
	}
	s := Step{Kind: StepForwarded, Name: dnsname.Name(f.q.name), Type: f.q.qtype, Took: took, Attempts: a.attempts.list()}
	if got.up != nil {
		s.Server = got.up.Addr
	}
	if s.Result = "answer"; got.err != nil {
		s.Result = got.err.Error()
	}
	f.trace.add(&s)
}

// spent says what a question cost.
func (f *flight) spent() Spent {
	b := f.budget
	if b == nil {
		return Spent{Packets: int(f.tally.sent.Load())}
	}
	out := Spent{
		Packets: int(b.sent.Load()), PacketsLeft: left(b.packets), TargetsLeft: left(&b.targets), FailuresLeft: left(&b.failures),
		ReferralsLeft: left(&b.referral), Bounded: true,
	}
	if w, ok := b.work(); ok {
		out.SignaturesLeft, out.FailingLeft, out.HashesLeft = w.Signatures, w.Failures, w.Hashes
	}
	return out
}
