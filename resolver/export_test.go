package resolver

import (
	"bytes"
	"context"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/rrcache"
	"cenote/wire"
)

// Scrub is scrub for the question of a key.
func Scrub(k *rrcache.Key, packet []byte, trusted bool) (msg []byte, ede uint16, err error) {
	q := questionOf(k)
	return scrub(&q, packet, trusted)
}

// TrialsMax is how often an upstream that is down is asked by questions in a second.
const TrialsMax = trialsMax

// Faults of a reply.
var (
	ErrMalformed = errMalformed
	ErrUnrelated = errUnrelated
	ErrChain     = errChain
	ErrTooMany   = errTooMany
	ErrReferral  = errReferral
	ErrRcode     = errRcode
)

// Query returns a query to the question of a key.
func Query(k *rrcache.Key, mixed bool) []byte {
	q := questionOf(k)
	return q.appendQuery(nil, manner{edns: true, mixed: mixed})
}

// Likeness says how far a packet is the reply to a query for the question of a key: "stranger", "case", "bare" or "reply".
func Likeness(k *rrcache.Key, query, packet []byte) string {
	q := questionOf(k)
	return [...]string{"stranger", "case", "bare", "reply"}[likenessOf(&q, query, packet)]
}

// HostsIn reads the text of a resolv.conf file.
func HostsIn(text []byte, own ...netip.AddrPort) []netip.AddrPort {
	return hostsIn(bytes.NewReader(text), own)
}

// Suspect asks for a probe of the i-th upstream.
func (r *Resolver) Suspect(i int) { r.suspect(r.state.Load().upstreams[i]) }

// Suspected reports whether a probe of the i-th upstream is due or under way.
func (r *Resolver) Suspected(i int) bool {
	u := r.state.Load().upstreams[i]
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.health.suspected
}

// Connections returns how many TCP connections to the i-th upstream are open, and how many of them are idle.
func (r *Resolver) Connections(i int) (open, idle int) {
	c := &r.state.Load().upstreams[i].connections
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open, len(c.idle)
}

// Network says whose fault an error of a socket is.
func (r *Resolver) Network(err error) error { return r.network(err) }

// SeenAhead reports whether all that was asked for ahead has been looked at.
func (r *Resolver) SeenAhead() bool { return len(r.ahead.wake) == 0 }

// Bounds of Path.
const (
	PathZonesMax   = pathZonesMax
	PathServersMax = pathServersMax
)

// A Socket is one that a query is sent from.
type Socket struct {
	r *Resolver
	s *udpSocket
}

// Connect returns a socket connected to a server.
func (r *Resolver) Connect(to netip.AddrPort) (*Socket, error) {
	s, err := r.sockets.connect(context.Background(), r.state.Load(), to)
	return &Socket{r, s}, err
}

// Ask sends a query, if there is one, and reads the next packet.
func (s *Socket) Ask(query, buf []byte) (int, error) { return s.s.ask(query, buf) }

// Raw returns the socket itself.
func (s *Socket) Raw() (syscall.RawConn, error) { return s.s.conn.SyscallConn() }

// Disconnect ends the use of the socket.
func (s *Socket) Disconnect() { s.r.sockets.disconnect(s.s, true) }

// SweepSockets closes the sockets that nobody has needed since the last sweep.
func (r *Resolver) SweepSockets() { r.sockets.sweep() }

// Span returns the context of a flight, and what frees it.
func Span(life context.Context, most time.Duration) (context.Context, func()) {
	s := newSpan(life, most)
	return s, s.end
}

// AskTooLate asks a server with an exchange whose time alone was over before it began.
func (r *Resolver) AskTooLate(ctx context.Context, k *rrcache.Key, to netip.AddrPort) ([]byte, error) {
	q := questionOf(k)
	x := r.exchangeWith(ctx, r.state.Load(), &upstream{Upstream: Upstream{Addr: to}}, &q)
	x.late, x.lateAt = func(time.Duration) context.Context { return ctx }, time.Unix(1, 0)
	return x.run()
}

// Classified is what is believed of a reply of a zone's servers: the owners of its records, the zone it refers to, and the addresses of whom it
// names as servers.
type Classified struct {
	Owners  []dnsname.Name
	Child   dnsname.Name
	Servers map[dnsname.Name]int // to how many addresses
	Target  dnsname.Name         // of an alias
	Follows []dnsname.Name       // owners of what is believed about the target too
}

// Classify reads and classifies a packet that a zone's server sent about a name.
func Classify(packet []byte, zone, name dnsname.Name, qtype uint16) (c Classified, err error) {
	r, err := readResponse(packet, wire.ClassIN)
	if err != nil {
		return c, err
	}
	f, err := r.classify(zone, name, qtype)
	if err != nil {
		return c, err
	}
	c.Owners, c.Target = owners(f), f.target
	if f.child != nil {
		c.Child, c.Servers = f.child.zone, map[dnsname.Name]int{}
		for _, s := range f.child.servers {
			c.Servers[s.name] = len(s.glue)
		}
		for _, s := range f.child.proofs {
			c.Owners = append(c.Owners, s.name)
		}
	}
	if f.kind == kindAlias {
		if next := r.goesOn(&cut{zone: zone}, f.target, qtype); next != nil {
			c.Follows = owners(next)
		}
	}
	return c, assembleFor(f, name, qtype)
}

func owners(f *finding) (all []dnsname.Name) {
	for _, s := range append(f.answer[:len(f.answer):len(f.answer)], f.proofs...) {
		all = append(all, s.name)
	}
	if f.soa != nil {
		all = append(all, f.soa.name)
	}
	return all
}

// assembleFor writes what was found as an answer, which must be readable.
func assembleFor(f *finding, name dnsname.Name, qtype uint16) error {
	q := &question{name: string(name), qtype: qtype, class: wire.ClassIN, do: true}
	m := &assembly{q: q, ede: EDENone}
	m.add(f)
	msg, err := m.write()
	if err != nil {
		return err
	}
	if _, err := readResponse(msg, wire.ClassIN); err != nil {
		panic("an answer of ours cannot be read")
	}
	return nil
}

// Authority returns what is thought of a server: attempts in a row without a word, its round trip, and whether it is lame for a zone.
func (r *Resolver) Authority(addr netip.AddrPort, zone string) (misses int, rtt time.Duration, lame bool) {
	u := r.authorities.get(addr, r.now())
	lame = r.authorities.isLame(addr, dnsname.MustParse(zone).Canonical(), r.now())
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.silence.misses, u.rtt.mean, lame
}

// RootDigest computes the digest of a root zone's file by SHA-384.
func RootDigest(path string) ([]byte, error) {
	c, err := readRootCopy(path)
	if err != nil {
		return nil, err
	}
	return c.digest(dnssec.ZONEMDSHA384)
}

// RootSerial is the serial of the copy of the root zone in force, 0 for none.
func (r *Resolver) RootSerial() uint32 {
	c := r.copyOfRoot(r.state.Load())
	if c == nil {
		return 0
	}
	return c.serial
}

// LookAtRoot has the file of the root zone looked at.
func (r *Resolver) LookAtRoot() { r.loadRoot() }

// FollowDue looks at the keys of trust anchors that are due by the clock.
func (r *Resolver) FollowDue(ctx context.Context) { r.followDue(ctx) }

// BoundDenials sets how many records of denial are kept of all zones together.
func (r *Resolver) BoundDenials(most int) { r.denials.most = most }

// Denials returns how many zones have denied something, and by how many records; the count that is kept must be right.
func (r *Resolver) Denials() (zones, records int) {
	r.denials.mu.Lock()
	defer r.denials.mu.Unlock()
	for _, z := range r.denials.all {
		records += z.len()
	}
	if records != r.denials.records {
		return len(r.denials.all), -1
	}
	return len(r.denials.all), records
}

// Scoped returns how many answers are kept that are for some clients alone.
func (r *Resolver) Scoped() int { return r.scoped.len() }

// ReplyScope reads for which clients a reply to a query that told of a network is.
func ReplyScope(packet []byte, told netip.Prefix) (scope netip.Prefix, ok bool) {
	return scopeOf(subnetOption(packet), told)
}

// CheckAnchor asks for the keys of a zone and checks them against its trust anchors.
func (r *Resolver) CheckAnchor(ctx context.Context, zone string, now time.Time, w *dnssec.Work) (dnssec.Verdict, error) {
	name := dnsname.MustParse(zone).Canonical()
	keys, err := r.keysOf(ctx, name)
	if err != nil {
		return dnssec.Verdict{}, err
	}
	_, v := r.state.Load().keys.check(name, keys, now, w)
	return v, nil
}

// A Gate bounds what is computed for validation at a time.
type Gate struct{ g *gate }

// NewGate returns one that nobody has entered.
func NewGate() Gate { return Gate{newGate(topLevelOwner)} }

// NewGateOf returns one that asks whose a zone is.
func NewGateOf(owner Owner) Gate { return Gate{newGate(owner)} }

// Gate is that of the resolver.
func (r *Resolver) Gate() Gate { return Gate{r.gate} }

// Enter waits for a place for a zone; leave is nil if there was none.
func (g Gate) Enter(zone string, now time.Time, done <-chan struct{}) (leave func()) {
	leave, _, _ = g.g.enter(dnsname.MustParse(zone).Canonical(), now, done)
	return leave
}

// Mark notes that a zone is costly.
func (g Gate) Mark(zone string, now time.Time) { g.g.mark(dnsname.MustParse(zone).Canonical(), now) }

// CostlyEach is how many questions may wait for the costly zones of one owner, GateWaiting for all of them.
const CostlyEach, GateWaiting = costlyEach, gateWaiting

// CostlyWaiting is how many wait for the place of costly zones.
func (g Gate) CostlyWaiting() int {
	g.g.costly.mu.Lock()
	defer g.g.costly.mu.Unlock()
	return g.g.costly.waiting
}

// Places is how many zones that are not costly may enter at a time.
func (g Gate) Places() int { return cap(g.g.places) }

// Waiting is how many wait for such a place.
func (g Gate) Waiting() int { return int(g.g.waiting.Load()) }

// ComparedStubs is how many pairs are compared to tell which stubs of one list are those of another.
func ComparedStubs(now, before []Stub) (n int) {
	unchanged(now, before, zoneOfStub, func(a, b *Stub) bool {
		n++
		return same(a, b)
	})
	return n
}

// PrepareUpdate makes what an Update would put in force while somebody has the lock that questions begin and end under, and tells below how many names something would be forgotten.
func (r *Resolver) PrepareUpdate(config Config) int {
	config.setDefaults()
	r.flights.mu.Lock()
	defer r.flights.mu.Unlock()
	_, forgotten := r.next(r.state.Load(), config)
	return len(forgotten)
}

// UpdateWhile is Update with something that is done when the new config is in force, and before anything is forgotten.
func (r *Resolver) UpdateWhile(config Config, do func()) {
	config.Cache, config.Now, config.Log = r.cache, r.now, r.log
	config.setDefaults()
	r.updating.Lock()
	defer r.updating.Unlock()
	before := r.state.Load()
	after, forgotten := r.next(before, config)
	r.swap(before, after)
	do()
	r.settle(forgotten)
}

// LateCode is the extended error of a question to which one server said what is wrong, and another nothing until the time was over.
func LateCode(said error) uint16 {
	o := outcome{ede: EDENone, err: timeout(said)}
	return o.code()
}

// Walk is walk.
func Walk(mu sync.Locker, all map[int]int, look func(int, int)) { walk(mu, all, look) }

// WalkStep is walkStep.
const WalkStep = walkStep

// EndNegative forgets what is below negative anchors that have ended, as Run does.
func (r *Resolver) EndNegative() { r.endNegative() }

// Held reports whether a name is at or below one of some, and touched whether one of them is at, above or below it.
func Held(name dnsname.Name, tops ...dnsname.Name) (held, touched bool) {
	at := regionOf(tops...)
	return at.holds(name), at.touches(name)
}

// Crowds counts the questions that wait for the servers of zones.
type Crowds struct{ c *crowds }

// NewCrowds returns one in which nobody waits.
func NewCrowds() Crowds { return Crowds{&crowds{all: map[dnsname.Name]int{}}} }

// Enter takes one of most places at a zone.
func (c Crowds) Enter(zone string, most int, owned func(dnsname.Name) bool) error {
	return c.c.enter(dnsname.MustParse(zone).Canonical(), most, owned)
}

// Leave gives a place back.
func (c Crowds) Leave(zone string) { c.c.leave(dnsname.MustParse(zone).Canonical()) }

// Len is how many zones are waited for.
func (c Crowds) Len() int {
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	return len(c.c.all)
}
