package resolver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/rrcache"
	"cenote/wire"
)

// flight is one question on its way, shared by all who ask it meanwhile.
type flight struct {
	q       question
	done    chan struct{} // closed when the rest is set
	waiters int           // guarded by the resolver's mu

	// Of questions that are asked of the servers of zones; see iteration.
	budget   *budget         // shared by all that one question of a client begins
	depth    int             // questions that this one is asked for, one inside the other
	aliases  int             // steps of aliases that led here
	inner    bool            // another flight needs it, and its budget is that one's
	uncached atomic.Bool     // its answer holds what is not to be kept
	look     bool            // it is for the address of a name server
	trace    *Trace          // nil where nobody looks
	tally    tally           // of questions that upstreams are asked; a budget has its own
	begun    time.Time       // set by who finds its answer
	needs    map[*flight]int // the flights whose answers this one waits for; guarded by the resolver's mu
	// distrust are servers that are asked last: what they said did not stand up to validation. Its own goroutine alone writes to it.
	distrust map[netip.AddrPort]bool

	msg  []byte // the answer, never changed again; if err is set, aliases that lead to where there is none, or nil
	ede  uint16 // what the upstream said beside its answer
	err  error
	from netip.AddrPort // who answered, if one server did
	// scope is the clients for whom the answer is; not valid for all.
	scope netip.Prefix
}

// join returns the flight of a question, which it starts if there is none.
func (r *Resolver) join(q question) (*flight, error) { return r.joinFor(q, nil) }

// joinFor is join for a query that has a ledger, if it is not nil.
func (r *Resolver) joinFor(q question, l *ledger) (*flight, error) {
	if !q.askable() {
		return nil, &Error{edeNotSupported, ErrType}
	}
	s := r.state.Load()
	s.place(&q)
	q.audience = s.audience(&q, l.askerOf())
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	if r.flights.closed {
		return nil, &Error{edeNotReady, ErrClosed}
	}
	r.crowdedSubnets(&q)
	f := r.flights.all[q]
	switch {
	case f != nil && f.waiters >= s.config.Bounds.Waiters, f == nil && len(r.flights.all) >= s.config.Bounds.Outstanding:
		r.counts.shed.Add(1)
		return nil, &Error{edeNotReady, ErrBusy}
	case f != nil:
		r.counts.joined.Add(1)
	default:
		f = &flight{q: q, done: make(chan struct{})}
		if s.config.Recursion != nil {
			f.budget = r.newBudget(&s.config.Recursion.Bounds)
			f.share(l)
		}
		r.launch(s, f)
	}
	f.waiters++
	return f, nil
}

// launch starts a flight. The caller holds mu.
func (r *Resolver) launch(s *state, f *flight) {
	r.flights.all[f.q] = f
	r.countSubnet(f.q, 1)
	r.flights.running.Go(func() { r.fly(s, f) })
}

// innerRoom is how many flights there may be, as a multiple of Bounds.Outstanding, with those that others need: these go on where no
// new question of a client is taken.
const innerRoom = 4

// joinFrom is join for a question whose answer another flight needs. It fails where that one waits for the first, however far around.
func (r *Resolver) joinFrom(parent *flight, q question, depth, aliases int, look bool) (*flight, error) {
	if !q.askable() {
		return nil, errLoop
	}
	s := r.state.Load()
	s.place(&q)
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	if r.flights.closed {
		return nil, ErrClosed
	}
	r.crowdedSubnets(&q)
	f := r.flights.all[q]
	switch {
	case f != nil && f.reaches(parent, map[*flight]bool{}):
		return nil, errLoop
	case f != nil && f.waiters >= s.config.Bounds.Waiters, f == nil && len(r.flights.all) >= innerRoom*s.config.Bounds.Outstanding:
		r.counts.shed.Add(1)
		return nil, ErrBusy
	case f != nil:
		r.counts.joined.Add(1)
	case s.config.Recursion == nil || depth > s.config.Recursion.Bounds.Depth:
		r.counts.bounds[boundDepth].Add(1)
		return nil, errDepth
	default:
		f = &flight{q: q, done: make(chan struct{}), budget: parent.budget, depth: depth, aliases: aliases, inner: true, look: look,
			distrust: maps.Clone(parent.distrust)}
		if parent.trace != nil {
			f.trace = new(Trace)
		}
		r.launch(s, f)
	}
	f.waiters++
	if parent.needs == nil {
		parent.needs = map[*flight]int{}
	}
	parent.needs[f]++
	return f, nil
}

func (r *Resolver) leaveFrom(parent, f *flight) {
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	f.waiters--
	if parent.needs[f]--; parent.needs[f] == 0 {
		delete(parent.needs, f)
	}
}

// reachMax bounds the look for a circle of flights; one that is not found in it is taken for one.
const reachMax = 512

// reaches reports whether f is parent, or waits for it.
func (f *flight) reaches(parent *flight, seen map[*flight]bool) bool {
	if f == parent || len(seen) >= reachMax {
		return true
	}
	seen[f] = true
	for need := range f.needs {
		if !seen[need] && need.reaches(parent, seen) {
			return true
		}
	}
	return false
}

func (r *Resolver) leave(f *flight) {
	r.flights.mu.Lock()
	f.waiters--
	r.flights.mu.Unlock()
}

// fly finds the answer and puts it into the cache before anybody who asks next can start another flight.
func (r *Resolver) fly(s *state, f *flight) {
	got := r.find(s, f)
	r.land(s, f, &got)
	r.flights.mu.Lock()
	delete(r.flights.all, f.q)
	r.countSubnet(f.q, -1)
	r.flights.mu.Unlock()
	close(f.done)
}

// find asks whoever is to be asked for a flight's question.
func (r *Resolver) find(s *state, f *flight) (got outcome) {
	defer r.rescue(&got.err)
	f.begun = time.Now()
	if s.config.Recursion != nil && f.budget != nil {
		return r.recurse(s, f)
	}
	return r.ask(s, f)
}

// land hands the outcome to the flight and to the cache.
func (r *Resolver) land(s *state, f *flight, got *outcome) {
	defer r.rescue(&got.err)
	f.msg, f.ede, f.err = got.msg, got.ede, nil
	if got.up != nil {
		f.from = got.up.Addr
	}
	k, now := f.q.key(), r.now().UnixNano()
	defer r.account(f, got)
	switch {
	case got.err == nil && f.uncached.Load():
		r.cache.Remove(k)
	case got.err == nil && r.keepScoped(f):
	case got.err == nil:
		r.keep(k, f.msg, now)
	default:
		f.err = &Error{got.code(), got.reason()}
		if f.mayRemember(got.err) {
			r.remember(k, f.msg, f.err, now)
		}
	}
	if r.isOver(s) {
		r.cache.Remove(k)
		r.scoped.flush(dnsname.Name(f.q.name), false)
	}
}

// isOver reports whether others are asked now than a state says. What is learnt by it is put first and taken away then, so that what an Update
// forgets does not come back.
func (r *Resolver) isOver(s *state) bool { return r.state.Load().era != s.era }

// deadEnd returns the aliases that a flight ended behind without an answer, in a message; nil if there are none, or the flight goes on.
func (f *flight) deadEnd() []byte {
	if f == nil {
		return nil
	}
	select {
	case <-f.done:
		return f.msg
	default:
		return nil
	}
}

// keep puts an answer into the cache. Where it cannot be kept, it still takes the place of the stale one: that is not the truth any more.
func (r *Resolver) keep(k *rrcache.Key, msg []byte, now int64) {
	if !r.cache.Put(k, msg, now) && r.isStale(k, now) {
		r.cache.Remove(k)
	}
}

func (r *Resolver) isStale(k *rrcache.Key, now int64) bool {
	return r.cache.Peek(k, now, make([]byte, wire.MessageMax)).State == rrcache.Stale
}

// isAnswered reports whether the cache has an answer, fresh or past its time, which a failure puts on hold.
func (r *Resolver) isAnswered(k *rrcache.Key, now int64) bool {
	msg, a := r.peek(k, nil)
	return a.State == rrcache.Stale || a.State == rrcache.Fresh && wire.Rcode(msg[:a.Len]) != wire.RcodeServFail
}

// rescue keeps a fault of our own, met while foreign octets were read, from stopping the process (invariant 6): it becomes an error.
func (r *Resolver) rescue(err *error) {
	if fault := recover(); fault != nil {
		r.counts.bugs.Add(1)
		r.log.Error("a reply met a fault in the resolver", "fault", fault, "stack", string(debug.Stack()))
		*err = errBug
	}
}

// remember keeps a failure for a moment (RFC 9520), unless it is our own. Where signatures do not hold, a stale answer goes. That upstreams
// cannot be reached is kept with them, not with the name (RFC 2308 section 7.2): a stale answer is put on hold, but the next caller tries.
func (r *Resolver) remember(k *rrcache.Key, msg []byte, err error, now int64) {
	if k.DO && !isVerdict(edeOf(err)) && !r.isStale(k, now) && r.isStale(plainOf(k), now) {
		k, msg = plainOf(k), nil // the answer that is given instead is put on hold
	}
	switch {
	case errors.Is(err, ErrNoUpstreams), errors.Is(err, ErrBusy), errors.Is(err, ErrClosed):
		return
	case errors.Is(err, errNetwork) && r.state.Load().config.Recursion == nil && !r.isAnswered(k, now):
		return
	case isVerdict(edeOf(err)) && r.isStale(k, now):
		r.cache.Remove(k)
	}
	if msg == nil {
		q := questionOf(k)
		msg = q.appendQuery(nil, manner{})
		wire.SetFlags(msg, wire.FlagQR|wire.FlagRA|wire.RcodeServFail)
	}
	r.cache.Put(k, msg, now)
}

// outcome is how one attempt ended, or a whole flight.
type outcome struct {
	up  *upstream
	msg []byte // the answer, scrubbed; if err is set, aliases that lead to where there is none, or nil
	ede uint16 // what the upstream said, EDENone for nothing
	err error

	found    *finding     // of a server of a zone: what its reply means
	said     *response    // and all that it said
	zone     *cut         // whose servers said so
	scope    netip.Prefix // the clients for whom it is; not valid for all
	verdict  dnssec.Verdict
	inferred bool // from what the zone has proved before
}

// code is the extended error for a client: the upstream's own if it gave one.
func (o *outcome) code() uint16 {
	switch {
	case o.ede != EDENone:
		return o.ede
	case errors.Is(o.err, ErrBusy), errors.Is(o.err, ErrClosed):
		return edeNotReady
	case errors.Is(o.err, errSilent), isLate(o.err):
		return edeNoReachable
	case errors.Is(o.err, errWork), errors.Is(o.err, errLoop), errors.Is(o.err, errChain):
		return edeOther
	case errors.Is(o.err, ErrNoUpstreams), errors.Is(o.err, errNetwork):
		return edeNetworkError
	}
	return edeNoReachable
}

// reason is the error for a caller: one of the exported ones, with what happened.
func (o *outcome) reason() error {
	for _, known := range []error{ErrNoUpstreams, ErrBusy, ErrTimeout, ErrClosed, ErrFailed} {
		if errors.Is(o.err, known) {
			return o.err
		}
	}
	return fmt.Errorf("%w: %w", ErrFailed, o.err)
}

// final reports whether no other upstream is to be asked.
func (o *outcome) final() bool { return o.err == nil || isVerdict(o.ede) }

// search is the state of asking: which upstreams were tried, and what came of it.
type search struct {
	r        *Resolver
	s        *state
	q        *question
	pool     []*upstream                               // whom to ask
	tries    int                                       // how often, together
	work     *account                                  // what each query is taken from, nil for none
	tally    *tally                                    // where they are added up
	purpose  purpose                                   // what they are for
	subnet   netip.Prefix                              // what is told of the client; not valid for nothing
	attempts *attempts                                 // nil where nobody looks
	read     func(up *upstream, packet []byte) outcome // makes sense of a reply
	trials   []trial                                   // of those that were tried
	heard    bool                                      // one of them answered, and cannot help
	waited   bool                                      // for what others found out about an upstream that is down
	started  int
	refused  int // attempts that the network refused at once, and that did not count
	pending  int
	end      time.Time // when servers of a zone that were all asked are waited for no longer; zero before
	last     outcome   // the failure to report
	room     [2]trial

	// Of a search that asks several at once.
	results chan outcome // has room for all
	landed  chan outcome // has room for the one that the search ends with
}

// trial is what a search knows of one upstream.
type trial struct {
	up     *upstream
	count  int
	failed bool      // it answered, and cannot help
	rest   time.Time // until when it is left alone, since it could not be reached
}

// known returns what is known of an upstream.
func (a *search) known(up *upstream) trial {
	for _, t := range a.trials {
		if t.up == up {
			return t
		}
	}
	return trial{}
}

// trial returns what is known of an upstream that is tried, to be changed before the next call.
func (a *search) trial(up *upstream) *trial {
	for i := range a.trials {
		if a.trials[i].up == up {
			return &a.trials[i]
		}
	}
	a.trials = append(a.trials, trial{up: up})
	return &a.trials[len(a.trials)-1]
}

// ask puts a question to the upstreams of its group.
func (r *Resolver) ask(s *state, f *flight) outcome {
	q := &f.q
	ctx := newSpan(r.life, s.config.Timeouts.Total)
	defer ctx.end()
	var pool []*upstream
	for _, u := range s.upstreams {
		if u.Group == q.group {
			pool = append(pool, u)
		}
	}
	a := r.searchAmong(s, q, pool, nil)
	if a.tally = &f.tally; f.trace != nil {
		a.attempts = new(attempts)
	}
	a.read = func(up *upstream, packet []byte) outcome {
		msg, ede, err := scrub(q, packet, up.Trusted)
		return outcome{up: up, msg: msg, ede: ede, err: err}
	}
	got := a.run(ctx)
	f.noteForwarded(&got, a, time.Since(f.begun))
	return got
}

// searchAmong returns a search that begins when it runs. Its read is to be set.
func (r *Resolver) searchAmong(s *state, q *question, pool []*upstream, work *account) *search {
	tries := s.config.Bounds.Tries
	if work != nil { // each server of a zone may be the only one that is well, and the work is bounded besides
		tries = max(tries, min(len(pool), triesMax))
	}
	a := &search{r: r, s: s, q: q, pool: pool, tries: tries, work: work}
	a.trials = a.room[:0]
	a.last = outcome{ede: EDENone, err: ErrTimeout}
	return a
}

// run asks one server after the other until one has an answer. A slow one is not given up: the next is asked beside it. As long as none is
// slow, they are asked from this goroutine.
func (a *search) run(ctx context.Context) outcome {
	for ctx.Err() == nil {
		up, rest := a.next()
		if up == nil && rest > 0 {
			a.handOver(ctx, rest)
			return <-a.landed
		}
		if up == nil {
			return a.last
		}
		wait := a.begin(up)
		got := a.attempt(ctx, up, wait, func(left time.Duration) context.Context { return a.handOver(ctx, left) })
		up.leave()
		if a.landed != nil {
			a.results <- got
			return <-a.landed
		}
		if a.take(got); got.final() {
			return got
		}
	}
	return a.timedOut()
}

// handOver has another goroutine go on with the search, after a while. It returns the context of the attempt that is still under way.
func (a *search) handOver(ctx context.Context, left time.Duration) context.Context {
	a.results, a.landed = make(chan outcome, a.tries), make(chan outcome, 1)
	ctx, cancel := context.WithCancel(ctx)
	a.r.flights.running.Go(func() {
		defer cancel()
		a.landed <- a.goOn(ctx, left)
	})
	return ctx
}

// goOn asks several at once, the next after a while.
func (a *search) goOn(ctx context.Context, left time.Duration) outcome {
	patience := time.NewTimer(left)
	defer patience.Stop()
	for {
		select {
		case got := <-a.results:
			if a.take(got); got.final() {
				return got
			}
			patience.Reset(0)
		case <-patience.C:
			if wait := a.try(ctx); wait > 0 {
				patience.Reset(wait)
			} else if wait = a.lastWait(); wait <= 0 {
				return a.last
			} else {
				patience.Reset(wait)
			}
		case <-ctx.Done():
			return a.timedOut()
		}
	}
}

// An upstream that could not be reached is left alone for restMin before it is tried again, then for twice that, restDoubles times.
const (
	restMin     = 200 * time.Millisecond
	restDoubles = 3
)

// take notes how an attempt ended. One that could not be made may be made again, unless another upstream said that it cannot help: what
// one says counts for more than that another could not be reached.
func (a *search) take(got outcome) {
	a.pending--
	if got.err == nil {
		return
	}
	gone := errors.Is(got.err, errNetwork)
	if gone && got.up.restarts(a.r.now()) {
		t := a.trial(got.up)
		t.rest = time.Now().Add(restMin << min(t.count-1, restDoubles))
	} else {
		a.trial(got.up).failed = true
		a.pardon(gone && !errors.Is(got.err, errSilent))
	}
	got.err = moreOf(a.last.err, got.err)
	if got.ede != EDENone || a.last.ede == EDENone && !(gone && a.heard) {
		a.last = got
	}
	a.heard = a.heard || !gone
}

// refusedMax is how many attempts that the network refuses at once do not count: a zone may have more servers that cannot be reached, such as those of
// another family, than there are tries.
const refusedMax = 8

// pardon gives a try back for one that the network refused.
func (a *search) pardon(refused bool) {
	if refused && a.work != nil && a.refused < refusedMax {
		a.refused++
		a.started--
	}
}

// try starts one more attempt and returns how long to wait for it, 0 if there is none left.
func (a *search) try(ctx context.Context) time.Duration {
	up, rest := a.next()
	if up == nil {
		return rest
	}
	return a.start(ctx, up)
}

// next returns whom to ask next, who has given a place, or how long to wait before somebody is asked, 0 for never.
func (a *search) next() (*upstream, time.Duration) {
	if a.started == a.tries {
		return nil, 0
	}
	up, err := a.choose()
	if err == nil {
		if rest := a.known(up).rest; !rest.IsZero() && time.Until(rest) > 0 {
			return nil, max(time.Until(rest), 1) // never none
		}
		err = a.enter(up)
	}
	if err != nil {
		return nil, a.turnedAway(err)
	}
	return up, 0
}

// lastWait returns how long to wait for the attempts that are under way where no other will be made, 0 for no longer. The servers of a zone
// have the time of one attempt, so that a dead zone does not hold its questions until their time is over.
func (a *search) lastWait() time.Duration {
	switch {
	case a.pending == 0:
		return 0
	case a.work == nil:
		return a.s.config.Timeouts.Total
	case a.end.IsZero():
		a.end = time.Now().Add(a.s.config.Timeouts.Attempt)
	}
	return time.Until(a.end)
}

// waitShare is the part of an attempt's time that a question waits, once, for those that are tried at an upstream that is down.
const waitShare = 4

// turnedAway notes that no attempt could be made, and returns how long to wait before one is made again, 0 for never.
func (a *search) turnedAway(err error) time.Duration {
	if errors.Is(err, errDown) && !a.waited && a.work == nil {
		a.waited = true
		return a.s.config.Timeouts.Attempt / waitShare
	}
	if errors.Is(err, ErrBusy) {
		a.r.counts.shed.Add(1)
	}
	if errors.Is(err, errSilent) {
		a.r.counts.silent.Add(1)
	}
	if a.started+a.refused == 0 {
		a.last = outcome{ede: EDENone, err: err}
	}
	return 0
}

// begin counts an attempt and returns how long to wait for it.
func (a *search) begin(up *upstream) time.Duration {
	a.started++
	a.pending++
	t := a.trial(up)
	t.count++
	return up.patience(a.s.config.Timeouts.Attempt, t.count-1)
}

// start begins an attempt beside others, which gives its place back, and returns how long to wait for it.
func (a *search) start(ctx context.Context, up *upstream) time.Duration {
	wait := a.begin(up)
	a.r.flights.running.Go(func() {
		defer up.leave()
		a.results <- a.attempt(ctx, up, wait, nil)
	})
	return wait
}

// isOut reports whether an upstream is not to be asked again: it failed, or it could not be reached and another one has replied.
func (a *search) isOut(t trial) bool { return t.failed || a.heard && !t.rest.IsZero() }

func (a *search) timedOut() outcome {
	if a.r.life.Err() != nil {
		return outcome{ede: EDENone, err: ErrClosed}
	}
	if a.pending > 0 && a.last.ede == EDENone {
		return outcome{ede: EDENone, err: timeout(a.last.err)}
	}
	return a.last
}
