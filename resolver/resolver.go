package resolver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"cenote/crew"
	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"
)

// Resolver asks upstreams. New makes one.
type Resolver struct {
	cache    *rrcache.Cache
	now      func() time.Time
	log      *slog.Logger
	state    atomic.Pointer[state]
	life     context.Context // of all flights; ends when Run does
	end      context.CancelFunc
	ahead    *ahead
	suspects chan *upstream // wait to be probed
	buffers  sync.Pool      // of *[udpBuffer]byte
	counts   counts
	sockets  sockets
	routes   routes
	slow     slowLog

	knowledge
	crowds  crowds
	gate    *gate
	root    rootFile
	priming sync.Mutex // held while the servers of the root are asked for

	updating  sync.Mutex // held by Update
	lastGroup uint16     // that was given to a source; guarded by updating
	flights   flights
}

// flights are the questions under way.
type flights struct {
	running crew.Crew // of flights and their attempts; joined only under mu while not closed

	mu      sync.Mutex // guards the rest
	all     map[question]*flight
	subnets map[question]int // those for a network of clients, by question without it
	closed  bool
}

// state is what an Update changes. It is never changed once stored; a flight keeps to the one it began with.
type state struct {
	config    Config
	upstreams []*upstream
	keys      *keyring // nil where nothing is validated
	sources   sources
	negative  map[dnsname.Name][]int // those of Recursion.Negative that are in force when it is made, by name
	turn      time.Time              // when the first of these ends; zero for never
	era       uint64                 // another one where others are asked
}

// Result is an answer. Msg is as rrcache.Cache.Get gives it, in dst or, if that was too small, in a new slice.
type Result struct {
	Msg   []byte
	Stale bool
	EDE   uint16 // an extended error to pass on, EDENone for none
}

// New returns a resolver that can be asked at once. Run must be called, too.
func New(config Config) (*Resolver, error) {
	config.setDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	r := &Resolver{
		cache: config.Cache, now: config.Now, log: config.Log,
		ahead: newAhead(), suspects: make(chan *upstream, suspectsMax), gate: newGate(config.Owner), knowledge: newKnowledge(),
		crowds: crowds{all: map[dnsname.Name]int{}}, root: rootFile{look: make(chan struct{}, 1)},
		flights: flights{all: map[question]*flight{}, subnets: map[question]int{}},
	}
	r.bound(config.Recursion)
	r.sockets = sockets{r: r, open: map[*udpSocket]bool{}}
	r.buffers.New = func() any { return new([udpBuffer]byte) }
	r.life, r.end = context.WithCancel(context.Background())
	first := newState(config, nil, &r.lastGroup)
	r.cache.SetSources(first.sources.table)
	first.keys = r.nextKeys(&config)
	r.state.Store(first)
	return r, nil
}

// newState makes the upstreams of a config, and keeps those that were there before with all that is known about them. group is the one that was given to a source last.
func newState(config Config, before *state, group *uint16) *state {
	s := &state{config: config, sources: newSources(&config, before, group)}
	known := before.known()
	for _, u := range config.Upstreams {
		s.upstreams = append(s.upstreams, find(known, u))
	}
	if config.Recursion != nil {
		s.addNegative(config.Now())
		for i, f := range config.Recursion.Forwards {
			for _, u := range f.Upstreams {
				u.Group = s.sources.forwards[i]
				s.upstreams = append(s.upstreams, find(known, u))
			}
		}
	}
	return s
}

// nextKeys makes the trust anchors of a config, which reads files; the same ones go on as they are. nil for none.
func (r *Resolver) nextKeys(config *Config) *keyring {
	c := config.Recursion
	if c == nil || len(c.Anchors) == 0 {
		return nil
	}
	if before := r.state.Load(); before != nil && before.keys != nil && reflect.DeepEqual(before.config.Recursion.Anchors, c.Anchors) {
		return before.keys
	}
	return r.newKeyring(c)
}

// known are the upstreams of a state, by what the configuration says of them.
func (s *state) known() map[Upstream]*upstream {
	all := map[Upstream]*upstream{}
	if s != nil {
		for _, u := range s.upstreams {
			all[u.Upstream] = u
		}
	}
	return all
}

// find returns one of the upstreams that are known, or one of which nothing is known yet.
func find(known map[Upstream]*upstream, u Upstream) *upstream {
	if before := known[u]; before != nil {
		return before
	}
	made := &upstream{Upstream: u}
	if u.TLS != "" {
		made.sessions = tls.NewLRUClientSessionCache(sessionsMax)
	}
	return made
}

// Update takes over a new config. Questions under way go on as they began. On an error nothing changes.
func (r *Resolver) Update(config Config) error {
	config.Cache, config.Now, config.Log = r.cache, r.now, r.log
	config.setDefaults()
	if err := config.check(); err != nil {
		return err
	}
	r.updating.Lock() // the anchors are those that follow on what is in force
	defer r.updating.Unlock()
	before := r.state.Load()
	after, forgotten := r.next(before, config)
	r.swap(before, after)
	select {
	case r.root.look <- struct{}{}:
	default:
	}
	r.settle(forgotten)
	return nil
}

// next makes the state of a checked config that follows on another one, and tells below which names others are asked then. It changes nothing that is in force, and no
// question waits for it, however long the lists are. The caller holds updating.
func (r *Resolver) next(before *state, config Config) (after *state, forgotten []dnsname.Name) {
	after = newState(config, before, &r.lastGroup)
	after.keys = r.nextKeys(&config)
	forgotten = append(outdated(&before.config, &after.config), before.ended(config.Now())...)
	if after.era = before.era; len(forgotten) > 0 {
		after.era++
	}
	return after, forgotten
}

// swap puts a state in force. Whoever begins or ends a flight meanwhile waits for two pointers to be set, and for nothing else.
func (r *Resolver) swap(before, after *state) {
	if after.keys != nil && after.keys != before.keys {
		r.trusts.flush(regionOf(dnsname.Root))
	}
	r.flights.mu.Lock()
	if after.era != before.era || after.config.Basis != before.config.Basis {
		r.cache.SetSources(after.sources.table)
	}
	r.state.Store(after)
	r.flights.mu.Unlock()
	r.bound(after.config.Recursion)
	r.gate.owners.Store(&after.config.Owner)
	r.ahead.look()
	asked := map[*upstream]bool{}
	for _, u := range after.upstreams {
		asked[u] = true
	}
	for _, u := range before.upstreams {
		if !asked[u] {
			u.connections.retire()
		}
	}
}

// Resolve answers k: from the cache if that has it meanwhile, else from the network. An error has a method EDE and means that there is
// not even a stale answer; Msg is then nil, or SERVFAIL with the aliases that lead to where there is no answer. After ctx ends a stale answer is given, or the context's error. dst and k are the caller's again when Resolve
// returns.
func (r *Resolver) Resolve(ctx context.Context, k *rrcache.Key, dst []byte) (Result, error) {
	r.counts.asked.Add(1)
	r.state.Load().placeKey(k)
	dst, a := r.peek(k, dst)
	plain := a.State == rrcache.Miss && k.DO
	if plain {
		dst, a = r.peekPlain(k, dst)
	}
	if a.State == rrcache.Fresh && !plain || a.Held {
		return r.known(dst[:a.Len], a), nil
	}
	if msg, ok := r.knownToSome(ctx, k, dst); ok {
		return Result{Msg: msg, EDE: EDENone}, nil
	}
	f, err := r.joinAndWait(ctx, questionOf(k), a.State == rrcache.Stale)
	if err == nil {
		return r.landed(f, k, dst), nil
	}
	if a.State != rrcache.Miss && !isVerdict(edeOf(err)) {
		return r.known(dst[:a.Len], a), nil
	}
	r.counts.failed.Add(1)
	return Result{Msg: f.deadEnd(), EDE: edeOf(err)}, err
}

// joinAndWait waits for the answer to a question. What failed for want of somebody else's budget is asked again.
func (r *Resolver) joinAndWait(ctx context.Context, q question, stale bool) (f *flight, err error) {
	for range borrowedTries {
		if f, err = r.joinFor(q, ledgerOf(ctx)); err != nil {
			return nil, err
		}
		err = r.wait(ctx, f, stale)
		r.leave(f)
		if !f.inner || !isShort(err) {
			break
		}
	}
	return f, err
}

// knownToSome looks for an answer that is for the client of a query alone.
func (r *Resolver) knownToSome(ctx context.Context, k *rrcache.Key, dst []byte) (msg []byte, ok bool) {
	s := r.state.Load()
	if s.config.Recursion == nil || len(s.config.Recursion.Subnets.Zones) == 0 {
		return nil, false
	}
	q := questionOf(k)
	q.audience = s.audience(&q, ledgerOf(ctx).askerOf())
	if msg, _, ok = r.peekScoped(q, dst); ok {
		k.Reset()
	}
	return msg, ok
}

// peek reads the cache into dst, which it lets grow if needed.
func (r *Resolver) peek(k *rrcache.Key, dst []byte) ([]byte, rrcache.Answer) {
	dst = dst[:cap(dst)]
	a := r.cache.Peek(k, r.now().UnixNano(), dst)
	if a.State == rrcache.Miss && a.Len > len(dst) {
		dst = make([]byte, wire.MessageMax)
		a = r.cache.Peek(k, r.now().UnixNano(), dst)
	}
	return dst, a
}

// peekPlain looks for an answer that was given without signatures, fresh or past its time: it is better than none for who asks for them.
func (r *Resolver) peekPlain(k *rrcache.Key, dst []byte) ([]byte, rrcache.Answer) {
	dst, a := r.peek(plainOf(k), dst)
	if a.State == rrcache.Fresh && wire.Rcode(dst[:a.Len]) == wire.RcodeServFail {
		return dst, rrcache.Answer{}
	}
	return dst, a
}

// plainOf is the question of k without the wish for signatures.
func plainOf(k *rrcache.Key) *rrcache.Key {
	plain := *k
	plain.DO = false
	plain.Reset()
	return &plain
}

// known makes a result of what the cache had.
func (r *Resolver) known(msg []byte, a rrcache.Answer) Result {
	result := Result{Msg: msg, Stale: a.State == rrcache.Stale, EDE: EDENone}
	switch {
	case result.Stale:
		r.counts.stale.Add(1)
		if result.EDE = edeStale; wire.Rcode(msg) == wire.RcodeNXDomain {
			result.EDE = edeStaleNXDomain
		}
	case wire.Rcode(msg) == wire.RcodeServFail:
		result.EDE = edeCachedError
	}
	return result
}

// landed makes a result of a flight that found an answer. It is read from the cache, so that k knows its record; where it cannot be
// cached, the flight's own copy serves all who waited.
func (r *Resolver) landed(f *flight, k *rrcache.Key, dst []byte) Result {
	k.Group = f.q.group // another one, if others are asked since
	dst, a := r.peek(k, dst)
	if a.State == rrcache.Fresh && !f.q.audience.some {
		return Result{Msg: dst[:a.Len], EDE: f.ede}
	}
	k.Reset()
	return Result{Msg: append(dst[:0], f.msg...), EDE: f.ede}
}

// wait waits for a flight, and not past Timeouts.Stale if there is a stale answer instead.
func (r *Resolver) wait(ctx context.Context, f *flight, stale bool) error {
	var patience <-chan time.Time
	if stale {
		if r.state.Load().config.Timeouts.Stale < 0 {
			return &Error{edeNoReachable, ErrTimeout}
		}
		timer := time.NewTimer(r.state.Load().config.Timeouts.Stale)
		defer timer.Stop()
		patience = timer.C
	}
	select {
	case <-f.done:
		return f.err
	case <-patience:
		return &Error{edeNoReachable, ErrTimeout}
	case <-ctx.Done():
		return &Error{edeNoReachable, context.Cause(ctx)}
	}
}

func edeOf(err error) uint16 {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return EDENone
}

// Run probes upstreams, fetches ahead and closes idle connections until ctx ends. Then it ends all questions under way and returns when
// nothing is left of them. A Resolver that has run cannot be asked any more.
func (r *Resolver) Run(ctx context.Context) error {
	var own sync.WaitGroup
	own.Go(func() { r.fetchAhead(ctx) })
	own.Go(func() { r.probe(ctx) })
	own.Go(func() { r.sweep(ctx) })
	own.Go(func() { r.follow(ctx) })
	own.Go(func() { r.watchRoot(ctx) })
	<-ctx.Done()
	r.flights.mu.Lock()
	r.flights.closed = true
	r.flights.mu.Unlock()
	r.end()
	r.sockets.interrupt()
	own.Wait()
	r.flights.running.End()
	r.sockets.closeIdle()
	for _, u := range r.allUpstreams(r.state.Load()) {
		u.connections.retire()
	}
	r.authorities.closeIdle(0)
	return nil
}

// sweep closes connections that were idle for too long, and ends negative trust anchors.
func (r *Resolver) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s := r.state.Load()
			for _, u := range s.upstreams {
				u.connections.closeIdle(s.config.Timeouts.Idle)
			}
			r.authorities.closeIdle(s.config.Timeouts.Idle)
			r.hosted.sweep(s.config.Timeouts.Idle)
			r.sockets.sweep()
			r.endNegative()
		case <-ctx.Done():
			return
		}
	}
}
