package resolver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/rrcache"
	"cenote/wire"
)

// iteration looks for the answer to one question by asking the servers of the zones on the way to its name, from the deepest that are
// known. What else has to be known for that (the end of an alias, the addresses of a name server, keys) are questions of their own,
// which take from the same budget.
type iteration struct {
	r   *Resolver
	s   *state
	f   *flight
	b   *budget
	ctx context.Context
	// avoid are servers whose answers did not stand up to validation.
	avoid map[netip.AddrPort]bool
	// looked are the name servers whose addresses were looked for, with those that were found.
	looked map[dnsname.Name][]netip.Addr
	// extra are servers of zones beside those of their delegations; see resort.
	extra map[dnsname.Name][]nameServer
	asked int // servers whose addresses their parent was asked for
}

// Bounds of how a name is made known label by label (RFC 9156 section 2.3).
const (
	minimiseMax    = 10 // queries with a part of the name, to the servers of one zone
	minimiseSingle = 4  // of them, those that add one label alone
)

// recurse finds the answer to a flight's question.
func (r *Resolver) recurse(s *state, f *flight) outcome {
	ctx := newSpan(r.life, s.config.Timeouts.Total)
	defer ctx.end()
	it := &iteration{r: r, s: s, f: f, b: f.budget, ctx: ctx, avoid: map[netip.AddrPort]bool{}, looked: map[dnsname.Name][]netip.Addr{}, extra: map[dnsname.Name][]nameServer{}}
	got := it.run()
	if got.err != nil && r.life.Err() != nil {
		got.err = ErrClosed
	}
	return got
}

// run finds the answer, checks it, and follows an alias to its end.
func (it *iteration) run() outcome {
	q := &it.f.q
	m := &assembly{q: q, ede: EDENone, secure: it.s.validates(q), most: it.s.config.Recursion.Bounds.Aliases}
	name := dnsname.Name(q.name)
	got := it.at(name)
	for steps := it.f.aliases; ; steps++ {
		switch {
		case got.err != nil:
			return m.failed(got)
		case steps > it.s.config.Recursion.Bounds.Aliases:
			it.r.counts.bounds[boundAliases].Add(1)
			return m.failed(outcome{ede: EDENone, err: errChain})
		}
		it.f.scope = narrower(it.f.scope, got.scope)
		it.withoutPrivate(m, &got)
		m.add(got.found)
		m.judged(got.verdict)
		// No zone begins at an alias: that is the answer to who looks for keys, with CD.
		if got.found.kind != kindAlias || q.qtype == wire.TypeDS && q.cd {
			if got.found.kind == kindNoData && it.translates(wire.TypeAAAA) {
				if err := it.translate(m, name); err != nil {
					return outcome{ede: edeOf(err), err: err}
				}
			}
			break
		}
		alias := name
		if name = got.found.target; !it.goesOn(&got, alias, name) {
			if err := it.follow(m, name, steps+1); err != nil {
				return m.failed(outcome{ede: edeOf(err), err: err})
			}
			break
		}
	}
	if m.secure {
		if err := it.sentinel(q); err != nil {
			return outcome{ede: dnssec.CodeBogus, err: err}
		}
	}
	msg, err := m.write()
	return outcome{up: got.up, msg: msg, ede: m.ede, err: err}
}

// at finds what there is at a name and checks it. What does not stand up is asked of another server, once.
func (it *iteration) at(name dnsname.Name) outcome {
	got := it.judge(name, it.lookUp(name, it.f.q.qtype))
	if !errors.Is(got.err, errBogus) || got.up == nil || len(it.avoid) > 0 || it.b.crypto.Spent() {
		return got
	}
	it.avoid[got.up.Addr] = true
	if again := it.judge(name, it.lookUp(name, it.f.q.qtype)); again.err == nil || errors.Is(again.err, errBogus) {
		return again
	}
	return got
}

// judge checks what was found at a name.
func (it *iteration) judge(name dnsname.Name, got outcome) outcome {
	if got.err != nil {
		if got.ede == EDENone {
			got.ede = edeOf(got.err)
		}
		return got
	}
	got.verdict = dnssec.Verdict{Status: dnssec.Indeterminate, Code: dnssec.CodeNone}
	if got.inferred {
		got.verdict.Status = dnssec.Secure
		return got
	}
	if it.s.validates(&it.f.q) {
		got.verdict = it.validate(got.zone, name, got.found)
	}
	if got.verdict.Status != dnssec.Bogus {
		it.keepAbsent(name, &got)
	}
	if got.verdict.Status == dnssec.Bogus && it.b.busy.Load() {
		return outcome{up: got.up, ede: EDENone, err: errGate}
	}
	if got.verdict.Status == dnssec.Bogus {
		got.ede, got.err = got.verdict.Code, fmt.Errorf("%w: %s", errBogus, got.verdict.Text)
		if it.b.ranShort() {
			got.err = fmt.Errorf("%w: %w", errWork, got.err)
		}
	}
	return got
}

// goesOn takes what a reply with an alias says about its target too. What the server of a zone adds about one is used only if its signatures hold: a
// forged reply about one name could bring any other of the zone along.
func (it *iteration) goesOn(got *outcome, alias, target dnsname.Name) bool {
	if !it.samePlace(got.zone, alias, target) || !got.zone.recurse && got.verdict.Status != dnssec.Secure {
		return false
	}
	next := *got
	if next.found = got.said.goesOn(got.zone, target, it.f.q.qtype); next.found == nil {
		return false
	}
	if next = it.judge(target, next); !got.zone.recurse && next.verdict.Status != dnssec.Secure {
		return false
	}
	*got = next
	return true
}

// samePlace reports whether those who were asked for an alias are those who are to be asked for its target, as far as the configuration has a say.
func (it *iteration) samePlace(z *cut, alias, target dnsname.Name) bool {
	qtype := it.f.q.qtype
	to, _ := it.s.forwardAt(target, qtype)
	if z.recurse {
		from, _ := it.s.forwardAt(alias, qtype)
		return to != nil && to == from
	}
	stub, _ := it.s.stubAt(parentSide(target, qtype))
	return to == nil && (stub == nil || !stub.Zone.IsBelow(z.zone))
}

// goesOn returns what a reply with an alias says about its target, if the zone that was asked holds that too.
func (r *response) goesOn(z *cut, target dnsname.Name, qtype uint16) *finding {
	if !r.aa && !z.recurse || !atOrBelow(target, z.zone) {
		return nil
	}
	f, err := r.classify(z.zone, target, qtype)
	if err != nil || f.kind == kindReferral || f.kind == kindLame || f.soa == nil && (f.kind == kindNoData || f.kind == kindNXDomain) {
		return nil
	}
	return f
}

// follow adds the answer for the target of an alias.
func (it *iteration) follow(m *assembly, target dnsname.Name, aliases int) error {
	q := it.f.q
	q.name = string(target)
	q.audience = it.s.audience(&q, it.f.q.audience.subnet)
	got, err := it.sub(q, it.f.depth, aliases)
	if got != nil {
		if fault := m.merge(got); err == nil {
			err = fault
		}
	}
	return err
}

// lookUp asks from zone to zone until the servers of one have an answer.
func (it *iteration) lookUp(name dnsname.Name, qtype uint16) outcome {
	if f := it.reverse64(name); f != nil {
		return outcome{ede: EDENone, found: f, zone: forwardCut, said: new(response)}
	}
	if f, z, err := it.infer(name); err != nil {
		return outcome{ede: EDENone, err: err}
	} else if f != nil {
		return outcome{ede: EDENone, found: f, inferred: true, zone: z, said: new(response)}
	}
	if got, ok := it.belowAbsent(name); ok {
		return got
	}
	if f, group := it.s.forwardAt(name, qtype); f != nil {
		got := it.forward(f, group, name, qtype)
		got.zone = f.cut()
		if got.err == nil || !f.First {
			return got
		}
	}
	z, err := it.closest(name, qtype)
	if err != nil {
		return outcome{ede: EDENone, err: err}
	}
	got := it.goDown(z, name, qtype)
	if got.err != nil && it.mayHaveMoved(got.zone, got.err) {
		it.r.cuts.forget(got.zone)
		if z, err = it.closest(name, qtype); err == nil {
			return it.goDown(z, name, qtype)
		}
	}
	if s, _ := it.s.stubAt(parentSide(name, qtype)); s != nil && s.First && got.err != nil && !isFinal(got.err) {
		return it.pastStub(s, name, qtype)
	}
	return got
}

// pastStub looks for a name as if a stub were not there.
func (it *iteration) pastStub(s *Stub, name dnsname.Name, qtype uint16) outcome {
	if f, group := it.s.forwardAbove(s.Zone); f != nil {
		got := it.forward(f, group, name, qtype)
		got.zone = f.cut()
		return got
	}
	z, err := it.closest(s.Zone.Parent(), wire.TypeNS)
	if err != nil {
		return outcome{ede: EDENone, err: err}
	}
	return it.goDown(z, name, qtype)
}

// movedAfter is for how long a delegation is believed whatever its servers say, so that those above are not asked each time.
const movedAfter = 30 * time.Second

// mayHaveMoved reports whether the zone above, or of the root the hints, is to be asked again who serves a zone: none of those that it named a while ago has an answer.
func (it *iteration) mayHaveMoved(z *cut, err error) bool {
	old := !z.learnt.IsZero() && it.r.now().Sub(z.learnt) >= movedAfter
	return old && it.ctx.Err() == nil && !isFinal(err)
}

// goDown asks from a zone down.
func (it *iteration) goDown(z *cut, name dnsname.Name, qtype uint16) outcome {
	for {
		if err := it.b.refer(); err != nil {
			return outcome{ede: EDENone, err: err, zone: z}
		}
		got := it.descend(z, name, qtype)
		if got.zone = z; got.err != nil || got.found.kind != kindReferral {
			return got
		}
		it.r.counts.referrals.Add(1)
		z = it.keepCut(got.found.child, z)
	}
}

// forwardCut stands for the zone where other resolvers are asked: all they say counts.
var forwardCut = &cut{zone: dnsname.Root, parent: dnsname.Root, recurse: true}

// cut is the forwarded zone as who said something: what its resolvers say about names outside of it is not believed, or they could give the
// names of others wrong addresses at the end of an alias (MaginotDNS). Those who are asked for all names tell what the world says.
func (f *Forward) cut() *cut {
	return &cut{zone: f.Zone, parent: f.Zone, recurse: true, own: !f.Zone.IsRoot()}
}

// forward asks the resolvers of a zone: first those whose addresses are known.
func (it *iteration) forward(f *Forward, group uint16, name dnsname.Name, qtype uint16) outcome {
	if f.Uncached {
		it.f.uncached.Store(true)
	}
	pool := it.hostsOf(f, group)
	for _, up := range it.s.upstreams {
		if up.Group == group && !it.avoid[up.Addr] {
			pool = append(pool, up)
		}
	}
	got := outcome{ede: EDENone, err: errNoServers, zone: forwardCut}
	if len(pool) > 0 {
		got = it.forwardTo(pool, name, qtype)
	}
	if got.err != nil && !isFinal(got.err) {
		if more := it.findHosts(f, group, pool); len(more) > 0 {
			return it.forwardTo(more, name, qtype)
		}
	}
	return got
}

// forwardTo asks some resolvers.
func (it *iteration) forwardTo(pool []*upstream, name dnsname.Name, qtype uint16) outcome {
	q := it.question(name, qtype)
	a := it.searchAmong(forwardCut, q, pool)
	a.read = func(up *upstream, packet []byte) outcome {
		got := it.read(forwardCut, q, up, packet)
		if got.err == nil && got.found.kind == kindReferral {
			got.err = errReferral
		}
		return got
	}
	begun := time.Now()
	got := a.run(it.ctx)
	it.noteAsked(forwardCut, q, &got, a, time.Since(begun))
	got.zone = forwardCut
	return got
}

// question is what servers are asked: with signatures where they are wanted or anything is checked here, for what a referral says of DS then holds for the next question
// too, and without validation by others.
func (it *iteration) question(name dnsname.Name, qtype uint16) *question {
	return &question{name: string(name), qtype: qtype, class: it.f.q.class, do: it.f.q.do || it.s.keys != nil, cd: true}
}

// keepCut remembers a delegation for as long as its parent said, and, below a zone that somebody holds, no longer than that is delegated itself:
// otherwise zones that were taken away would live on below their own (phoenix domains).
func (it *iteration) keepCut(z, parent *cut) *cut {
	now := it.r.now()
	z.learnt = now
	z.expires = now.Add(min(max(time.Duration(z.ttl)*time.Second, delegationMin), delegationMax))
	z.own, z.source = parent.own, parent.source
	if parent.zone.Labels() > 1 && !parent.expires.IsZero() {
		z.expires = minTime(z.expires, parent.expires)
	}
	z.proved = minTime(z.expires, now.Add(leastTTL(z.proofs)))
	if it.r.cuts.put(z, now); it.r.isOver(it.s) {
		it.r.cuts.forget(z)
	}
	return z
}

// closest returns the deepest known zone whose servers can be asked about a name.
func (it *iteration) closest(name dnsname.Name, qtype uint16) (*cut, error) {
	if z := it.known(name, qtype); z != nil {
		return z, nil
	}
	if c := it.r.copyOfRoot(it.s); c != nil {
		return &cut{zone: dnsname.Root, parent: dnsname.Root}, nil
	}
	return it.prime()
}

// known is closest without asking anybody. DS records are the parent's.
func (it *iteration) known(name dnsname.Name, qtype uint16) *cut {
	name = parentSide(name, qtype)
	z := it.r.cuts.closest(it.s.cutSource(name), name, it.r.now())
	if s, source := it.s.stubAt(name); s != nil && (z == nil || atOrBelow(s.Zone, z.zone)) {
		return s.cut(source)
	}
	return z
}

// prime asks a server of the hints who serves the root (RFC 8109). Where none tells, the hints serve for a while.
func (it *iteration) prime() (*cut, error) {
	it.r.priming.Lock()
	defer it.r.priming.Unlock()
	now := it.r.now()
	if z := it.r.cuts.at(0, dnsname.Root, now); z != nil {
		return z, nil
	}
	hints := it.s.config.Recursion.hintCut(now)
	got := it.put(hints, dnsname.Root, wire.TypeNS)
	if got.err != nil && (errors.Is(got.err, errWork) || it.ctx.Err() != nil) {
		return nil, got.err
	}
	if got.err == nil && got.found.kind == kindAnswer {
		z := got.said.delegation(got.found.answer[0], dnsname.Root)
		z.borrow(hints)
		if it.leads(z) {
			return it.keepCut(z, hints), nil
		}
	}
	it.r.log.Warn("no server of the hints tells who serves the root; the hints serve for a while", "result", got.summary())
	if it.r.cuts.put(hints, now); it.r.isOver(it.s) {
		it.r.cuts.forget(hints)
	}
	return hints, nil
}

// summary is what came of asking, for a log.
func (o *outcome) summary() string {
	if o.err != nil {
		return o.err.Error()
	}
	return o.found.kind.String()
}

// leads reports whether it is known where one of the servers of a zone is.
func (it *iteration) leads(z *cut) bool {
	return slices.ContainsFunc(z.servers, func(s nameServer) bool { return len(it.places(&s)) > 0 })
}

// borrow takes addresses of servers from a cut that is known, for those that have none.
func (z *cut) borrow(from *cut) {
	for i := range z.servers {
		if len(z.servers[i].glue) > 0 {
			continue
		}
		for _, s := range from.servers {
			if s.name == z.servers[i].name {
				z.servers[i].glue = s.glue
			}
		}
	}
}

// descend asks the servers of one zone. Where several zones may lie between it and the name, they are told no more of it than they need to
// know (RFC 9156); a server that cannot cope with that is told the whole name.
func (it *iteration) descend(z *cut, name dnsname.Name, qtype uint16) outcome {
	labels := name.Labels()
	if !it.s.config.Recursion.WholeNames {
		for step, n := 1, z.zone.Labels(); step <= minimiseMax; step++ {
			n += minimiseStep(step, labels-n)
			if n >= labels || !it.b.part() {
				break
			}
			got := it.put(z, name.Suffix(n), wire.TypeA)
			if isFinal(got.err) {
				return got
			}
			if got.err != nil || got.found.kind == kindNXDomain {
				break
			}
			if got.found.kind == kindReferral {
				return got
			}
		}
	}
	return it.put(z, name, qtype)
}

// minimiseStep returns how many labels the next query adds, of those that are left.
func minimiseStep(step, left int) int {
	if step <= minimiseSingle {
		return 1
	}
	return max(1, left/(minimiseMax-step+1))
}

// put puts a question to the servers of a zone, first to those whose addresses are known.
func (it *iteration) put(z *cut, name dnsname.Name, qtype uint16) outcome {
	if got, ok := it.fromCopy(z, name, qtype); ok {
		return got
	}
	if err := it.r.crowds.enter(z.zone, it.s.config.Recursion.Bounds.PerZone, it.r.gate.mayBeCostly); err != nil {
		it.r.counts.crowded.Add(1)
		it.r.counts.bounds[boundPerZone].Add(1)
		return outcome{err: err, ede: EDENone}
	}
	defer it.r.crowds.leave(z.zone)
	q := it.question(name, qtype)
	tried := map[netip.AddrPort]bool{}
	last := outcome{ede: EDENone, err: errNoServers}
	for it.ctx.Err() == nil {
		if pool := it.pool(z, tried); len(pool) > 0 {
			got := it.search(z, q, pool)
			switch {
			case got.err == nil && !got.doubtful(z), isFinal(got.err):
				return got
			case got.err == nil || last.err != nil:
				got.err = moreOf(last.err, got.err)
				last = got // a doubtful answer is better than none
			}
		} else if !it.learn(z) && !it.resort(z) {
			return last
		}
	}
	if last.err == nil {
		return last
	}
	return outcome{ede: EDENone, err: timeout(last.err)}
}

// doubtful reports whether another server may know better: this one answers as a resolver does that has the zone from others, not for the zone but with
// recursion, or says that there is nothing without the SOA that belongs to that (RFC 2308 section 2.2).
func (o *outcome) doubtful(z *cut) bool {
	if z.recurse || o.found.kind == kindReferral {
		return false
	}
	return !o.said.aa && o.said.ra || o.found.kind == kindNoData && o.found.soa == nil
}

// search asks some servers, one after the other, until one answers.
func (it *iteration) search(z *cut, q *question, pool []*upstream) outcome {
	var mu sync.Mutex
	var unsure *outcome
	a := it.searchAmong(z, q, pool)
	a.subnet = it.subnetFor(z, q)
	a.read = func(up *upstream, packet []byte) outcome {
		got := it.readFor(a.subnet, z, q, up, packet)
		if got.err == nil && !got.found.sure && got.found.kind != kindReferral {
			mu.Lock()
			unsure = &got
			mu.Unlock()
			return outcome{up: up, ede: EDENone, err: errLame}
		}
		return got
	}
	begun := time.Now()
	got := a.run(it.ctx)
	mu.Lock()
	defer mu.Unlock()
	if got.err != nil && unsure != nil {
		got = *unsure // all others are worse
	}
	it.noteOwn(z, &got)
	it.noteAsked(z, q, &got, a, time.Since(begun))
	return got
}

// readFor is read for a query that told of a client's network, if that is valid.
func (it *iteration) readFor(subnet netip.Prefix, z *cut, q *question, up *upstream, packet []byte) outcome {
	got := it.read(z, q, up, packet)
	if got.err != nil || !subnet.IsValid() {
		return got
	}
	var ok bool
	if got.scope, ok = scopeOf(subnetOption(packet), subnet); !ok {
		got.err = errUnrelated
	}
	return got
}

// read makes sense of a packet that a server of a zone sent.
func (it *iteration) read(z *cut, q *question, up *upstream, packet []byte) outcome {
	got := outcome{up: up, ede: EDENone}
	if got.said, got.err = readResponse(packet, q.class); got.err != nil {
		return got
	}
	if got.said.cut > 0 {
		it.r.counts.bounds[boundSignatures].Add(1)
	}
	if got.found, got.err = got.said.classify(z.zone, dnsname.Name(q.name), q.qtype); got.err == nil && got.found.kind == kindLame {
		got.err = errLame
	}
	if errors.Is(got.err, errLame) {
		it.r.authorities.markLame(up.Addr, z.zone, it.r.now())
	}
	return got
}

// pool returns the servers of a zone whose addresses are known and that were not tried, and notes that they are. Those that are lame or
// distrusted, or that no way leads to, are left to the end.
func (it *iteration) pool(z *cut, tried map[netip.AddrPort]bool) []*upstream {
	now := it.r.now()
	var good, lame []*upstream
	servers := it.servers(z)
	for i := range servers {
		for _, to := range it.places(&servers[i]) {
			if tried[to] || it.avoid[to] {
				continue
			}
			tried[to] = true
			if it.f.distrust[to] || it.r.routes.leadsNowhere(to.Addr(), now) || it.r.authorities.isLame(to, z.zone, now) {
				lame = append(lame, it.r.authorities.get(to, now))
			} else {
				good = append(good, it.r.authorities.get(to, now))
			}
		}
	}
	if len(good) == 0 {
		return lame
	}
	for _, up := range lame { // another time
		delete(tried, up.Addr)
	}
	rand.Shuffle(len(good), func(i, j int) { good[i], good[j] = good[j], good[i] })
	return good
}

// places returns where a server may be asked, as far as is known.
func (it *iteration) places(s *nameServer) []netip.AddrPort {
	if s.at != nil {
		return s.at
	}
	var to []netip.AddrPort
	for _, a := range it.addresses(s) {
		if it.s.config.Recursion.mayAsk(a) {
			to = append(to, netip.AddrPortFrom(a, it.s.config.Recursion.Port))
		}
	}
	return to
}

// addresses returns what is known of where a server is: what its parent said, what is in the cache, or what was found for this question. Addresses
// that may not be asked are none.
func (it *iteration) addresses(s *nameServer) []netip.Addr {
	if slices.ContainsFunc(s.glue, it.s.config.Recursion.mayAsk) {
		return s.glue
	}
	var addrs []netip.Addr
	for _, rtype := range it.s.config.Recursion.families() {
		q := it.addressQuestion(s.name, rtype)
		buf := it.r.buffers.Get().(*[udpBuffer]byte)
		if a := it.r.cache.Peek(q.key(), it.r.now().UnixNano(), buf[:]); a.State == rrcache.Fresh {
			addrs = append(addrs, addressesIn(buf[:a.Len], rtype)...)
		}
		it.r.buffers.Put(buf)
	}
	if len(addrs) == 0 {
		addrs = it.looked[s.name]
	}
	return addrs[:min(len(addrs), glueMax)]
}

// addressQuestion is the question for a server's addresses. It is asked without validation: who is asked for the wrong reason gives
// answers that are validated themselves.
func (it *iteration) addressQuestion(name dnsname.Name, rtype uint16) question {
	return question{name: string(name), qtype: rtype, class: wire.ClassIN, cd: true, group: it.s.source(name, rtype)}
}

func (r *Recursion) families() []uint16 {
	switch {
	case r.NoIPv6:
		return []uint16{wire.TypeA}
	case r.NoIPv4:
		return []uint16{wire.TypeAAAA}
	}
	return []uint16{wire.TypeA, wire.TypeAAAA}
}

// targetsAtOnce is how many name servers are looked for at a time.
const targetsAtOnce = 2

// learn looks for the addresses of name servers that are not known, and reports whether some were looked for.
func (it *iteration) learn(z *cut) bool {
	var names []dnsname.Name
	servers := it.servers(z)
	for _, i := range rand.Perm(len(servers)) {
		s := &servers[i]
		// The address of a server within its own zone is in the zone.
		if _, looked := it.looked[s.name]; looked || s.at != nil || atOrBelow(s.name, z.zone) || it.b.missedTooMany() || len(it.addresses(s)) > 0 {
			continue
		}
		if it.looked[s.name] = nil; it.knownMissing(s.name) {
			continue
		}
		if names = append(names, s.name); len(names) == targetsAtOnce {
			break
		}
	}
	var looks sync.WaitGroup
	var mu sync.Mutex
	for _, name := range names {
		for _, rtype := range it.families() {
			if it.b.target() != nil {
				break
			}
			looks.Go(func() {
				msg, _, err := it.need(it.addressQuestion(name, rtype), it.f.depth+1, it.f.aliases, true)
				addrs := addressesIn(msg, rtype)
				if err != nil || len(addrs) == 0 {
					it.b.missed()
					return
				}
				mu.Lock()
				defer mu.Unlock()
				it.looked[name] = append(it.looked[name], addrs...)
			})
		}
	}
	looks.Wait()
	return len(names) > 0
}

// sub asks a question that the flight's own answer needs.
func (it *iteration) sub(q question, depth, aliases int) (msg []byte, err error) {
	msg, _, err = it.need(q, depth, aliases, it.f.look)
	return msg, err
}

// need is sub, which with look is for the address of a name server, and tells who answered if that is known. What failed for want of somebody else's budget is asked again.
func (it *iteration) need(q question, depth, aliases int, look bool) (msg []byte, from netip.AddrPort, err error) {
	var f *flight
	for range borrowedTries {
		if msg, f, err = it.needOnce(q, depth, aliases, look); f == nil || f.budget == it.b || !isShort(err) {
			break
		}
	}
	if isShort(err) {
		it.b.short.Store(true)
	}
	if f != nil && err == nil {
		from = f.from
	}
	if f != nil && f.uncached.Load() {
		it.f.uncached.Store(true)
	}
	return msg, from, err
}

func (it *iteration) needOnce(q question, depth, aliases int, look bool) (msg []byte, f *flight, err error) {
	defer it.r.rescue(&err)
	it.s.place(&q)
	msg, a := it.r.peek(q.key(), nil)
	if a.State != rrcache.Fresh {
		if msg, scope, ok := it.r.peekScoped(q, nil); ok {
			it.f.scope = narrower(it.f.scope, scope)
			return msg, nil, nil
		}
	}
	if a.State == rrcache.Fresh {
		if wire.Rcode(msg[:a.Len]) == wire.RcodeServFail {
			return msg[:a.Len], nil, errAnswer
		}
		it.note(Step{Kind: StepCached, Name: dnsname.Name(q.name), Type: q.qtype, TTL: a.TTL, Known: true})
		return msg[:a.Len], nil, nil
	}
	begun := time.Now()
	f, err = it.r.joinFrom(it.f, q, depth, aliases, look)
	if err != nil {
		return nil, nil, err
	}
	defer it.r.leaveFrom(it.f, f)
	defer func() {
		it.note(Step{Kind: StepQuestion, Name: dnsname.Name(q.name), Type: q.qtype, Took: time.Since(begun), Inner: f.trace})
	}()
	select {
	case <-f.done:
		it.narrow(q.audience, f)
		return f.msg, f, f.err
	case <-it.ctx.Done():
		return nil, f, ErrTimeout
	}
}

// addressesIn returns the addresses of an answer, at whatever alias.
func addressesIn(msg []byte, rtype uint16) []netip.Addr {
	var addrs []netip.Addr
	eachAnswer(msg, rtype, func(w *wire.Walker) {
		if addr, ok := netip.AddrFromSlice(w.RData()); ok && addr.Is4() == (rtype == wire.TypeA) && len(addrs) < glueMax {
			addrs = append(addrs, addr)
		}
	})
	return addrs
}

// addressesOf returns the addresses of a set.
func addressesOf(s *rrset) []netip.Addr {
	var addrs []netip.Addr
	for _, data := range s.rdata {
		if addr, ok := netip.AddrFromSlice(data); ok && addr.Is4() == (s.rtype == wire.TypeA) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// isFinal reports whether an error is one that no other server can help with.
func isFinal(err error) bool {
	return errors.Is(err, errWork) || errors.Is(err, ErrBusy) || errors.Is(err, ErrClosed)
}

// What may go wrong where the servers of a zone are asked.
var (
	errAnswer    = errors.New("no server of the zone has an answer")
	errLame      = fmt.Errorf("%w: it knows nothing of the zone", errAnswer)
	errNoServers = fmt.Errorf("%w: no address of a server is known", errAnswer)
	errCrowded   = fmt.Errorf("%w: too many questions wait for this zone", ErrBusy)
)

// crowds counts the questions that wait for the servers of each zone.
type crowds struct {
	mu  sync.Mutex
	all map[dnsname.Name]int
}

// enter takes one of most places at a zone. The root, top-level domains and other zones of registries, which are nobody's by owned, have no bound of their own: everybody needs them. owned
// may have to read a list first, and nobody waits for that but those who ask for names of a zone that has no place left.
func (c *crowds) enter(zone dnsname.Name, most int, owned func(dnsname.Name) bool) error {
	if zone.Labels() < 2 || c.take(zone, most) {
		return nil
	}
	if owned(zone) {
		return errCrowded
	}
	c.take(zone, math.MaxInt)
	return nil
}

// take takes one of most places, if there is one.
func (c *crowds) take(zone dnsname.Name, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[zone] >= most {
		return false
	}
	c.all[zone]++
	return true
}

func (c *crowds) leave(zone dnsname.Name) {
	if zone.Labels() < 2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[zone]--; c.all[zone] <= 0 {
		delete(c.all, zone)
	}
}
