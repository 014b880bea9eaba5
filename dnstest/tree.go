package dnstest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Tree is a small internet of authoritative servers: zones, who serves them, and the delegations between them. StartTree makes one.
type Tree struct {
	port  uint16
	block block
	clock atomic.Pointer[func() time.Time]

	changing sync.Mutex            // held by what changes the tree, which may wait for servers to end; hooks must not call that
	closed   map[netip.Addr]closed // the sockets that servers do not have; guarded by changing

	mu      sync.Mutex // guards the rest, shortly, so that hooks may ask
	plan    *plan
	zones   []*authZone
	servers map[netip.Addr]*Server
}

// Hook makes what a server sends: it is given the right reply, to alter and return, or to make another; nil for no reply. It is called side by
// side for queries that come so. It may call what asks or breaks the tree, but not what makes it anew: Update, BreakSigning, Kill and Mend.
type Hook func(q Query, right *dns.Msg) *dns.Msg

// StartTree runs the servers of a text until the test ends. It fails the test if the text cannot be read. The comment of the package says what
// a text is.
func StartTree(tb testing.TB, text string) *Tree {
	tb.Helper()
	t, err := startTree(tb, text, func() uint16 { return somePort().Port() })
	if err != nil {
		tb.Fatalf("dnstest: %v", err)
	}
	return t
}

// StartTreeAt runs a tree whose servers listen at a port of the test's choice, for resolvers that ask at port 53 alone: see OwnNetwork. It returns
// an error if it may not listen there.
func StartTreeAt(tb testing.TB, text string, port uint16) (*Tree, error) {
	tb.Helper()
	return startTree(tb, text, func() uint16 { return port })
}

// startTree starts a tree at one of the ports that it is given, until the test ends.
func startTree(tb testing.TB, text string, port func() uint16) (*Tree, error) {
	t := &Tree{servers: map[netip.Addr]*Server{}, closed: map[netip.Addr]closed{}}
	t.SetClock(time.Now)
	tb.Cleanup(t.closeAll)
	var err error
	for range treeTries { // another tree may have the same block and port
		t.block = block{byte(1 + rand.IntN(254)), byte(rand.IntN(256))}
		t.port = port()
		if err = t.Update(text); err == nil {
			return t, nil
		}
		t.closeAll()
		if !isOpError(err) {
			break
		}
	}
	return nil, err
}

// treeTries is how many blocks and ports are tried.
const treeTries = 50

// Update replaces the zones and the faults while the servers run. Servers that the text no longer has are closed; the others keep their hooks and
// what they were asked.
func (t *Tree) Update(text string) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	p, err := readPlan(text, t.block)
	if err != nil {
		return err
	}
	if err := t.install(p); err != nil {
		return err
	}
	t.setFaults(p.faults)
	return t.setAllSockets(p.closed)
}

// install makes the zones of a plan and has the servers answer from them. changing is held.
func (t *Tree) install(p *plan) error {
	zones, err := build(p, t.now)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.plan, t.zones = p, zones
	var gone []*Server
	for addr, s := range t.servers {
		if !slices.Contains(p.addrs, addr) {
			gone = append(gone, s)
			delete(t.servers, addr)
		}
	}
	for _, addr := range p.addrs {
		t.installServer(addr)
	}
	t.mu.Unlock()
	for _, s := range gone {
		s.Close()
	}
	return nil
}

// installServer has a server answer from its zones. mu is held.
func (t *Tree) installServer(addr netip.Addr) {
	if t.servers[addr] == nil {
		s := makeServer(false)
		s.addr = netip.AddrPortFrom(addr, t.port)
		t.servers[addr] = s
		t.closed[addr] = closed{all: true}
	}
	a := &authority{all: t.zones, extras: t.plan.extras[addr]}
	for i, zp := range t.plan.zones {
		for _, server := range zp.servers {
			if slices.Contains(t.plan.names[server], addr) {
				a.zones = addNew(a.zones, t.zones[i])
			}
		}
	}
	t.servers[addr].setSource(a)
}

func (t *Tree) setFaults(all map[netip.Addr]faults) {
	t.each("*", func(s *Server) { s.setFaults(all[s.addr.Addr()]) })
}

func (t *Tree) setAllSockets(want map[netip.Addr]closed) error {
	for _, s := range t.find("*") {
		if err := t.setSockets(s, want[s.addr.Addr()]); err != nil {
			return err
		}
	}
	return nil
}

// setSockets opens and closes what it must for a server to have the sockets that it should. changing is held.
func (t *Tree) setSockets(s *Server, want closed) error {
	addr := s.addr.Addr()
	if t.closed[addr] == want {
		return nil
	}
	s.Close()
	t.closed[addr] = closed{all: true}
	if want.all {
		return nil
	}
	udp, tcp, err := listenAt(s.addr)
	if err != nil {
		return err
	}
	if want.tcp {
		tcp.Close()
		tcp = nil
	}
	s.begin(udp, tcp)
	t.closed[addr] = want
	return nil
}

func (t *Tree) closeAll() {
	t.changing.Lock()
	defer t.changing.Unlock()
	t.mu.Lock()
	servers := t.servers
	t.servers = map[netip.Addr]*Server{}
	t.mu.Unlock()
	for _, s := range servers {
		s.Close()
	}
}

// Port is where all servers listen, by UDP and by TCP, each at an address of its own.
func (t *Tree) Port() uint16 { return t.port }

// Addr is where a server listens: "@N", or the name of a server, of which it is the first address. Of what is no server it is where one would.
func (t *Tree) Addr(server string) netip.AddrPort {
	if addr, err := t.block.addr(server); err == nil {
		return netip.AddrPortFrom(addr, t.port)
	}
	return t.find(server)[0].addr
}

// find returns servers: see plan.find. It panics if there are none.
func (t *Tree) find(server string) (out []*Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	addrs, err := t.plan.find(server)
	if err != nil {
		panic(fmt.Sprintf("dnstest: %v", err))
	}
	for _, addr := range addrs {
		out = append(out, t.servers[addr])
	}
	return out
}

func (t *Tree) each(server string, do func(*Server)) {
	for _, s := range t.find(server) {
		do(s)
	}
}

// Sign returns RRSIG records for an RRset as a zone makes them, for hooks. It returns none if the zone is not signed.
func (t *Tree) Sign(zone string, rrset []dns.RR) []dns.RR {
	z := t.zone(zone)
	if z.signing == nil || len(rrset) == 0 {
		return nil
	}
	owner, err := parseName(rrset[0].Header().Name)
	if err != nil {
		panic(err)
	}
	return z.makeSigs(rrset, owner, z.now().Truncate(time.Hour))
}

// zone finds a zone by name, and panics if there is none.
func (t *Tree) zone(name string) *authZone {
	t.mu.Lock()
	defer t.mu.Unlock()
	apex, err := parseName(name)
	for _, z := range t.zones {
		if err == nil && z.apex == apex {
			return z
		}
	}
	panic(fmt.Sprintf("dnstest: no zone %q", name))
}

// SetClock says by which time signatures are valid; time.Now at the start.
func (t *Tree) SetClock(now func() time.Time) { t.clock.Store(&now) }

func (t *Tree) now() time.Time { return (*t.clock.Load())() }

// Hook has a function make what servers send. No function takes it away.
func (t *Tree) Hook(server string, hook Hook) {
	t.each(server, func(s *Server) { s.setHook(hook) })
}

// Break adds a fault to servers ("@N", a name, several with commas, or "*") for a name: see Server.Break.
func (t *Tree) Break(server, name string, f Fault) {
	t.each(server, func(s *Server) { s.Break(name, f) })
}

// BreakSigning adds a fault of signing: what stands after "! sign" in a text.
func (t *Tree) BreakSigning(line string) error {
	t.changing.Lock()
	defer t.changing.Unlock()
	p := t.planCopy()
	if err := p.readOtherLine("! sign " + line); err != nil {
		return err
	}
	return t.install(p)
}

// planCopy is the plan in force, to be changed.
func (t *Tree) planCopy() *plan {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := *t.plan
	p.signing = slices.Clone(p.signing)
	return &p
}

// Kill closes the sockets of servers, so that whoever asks is told that nobody listens, until Mend or Update.
func (t *Tree) Kill(server string) {
	t.changing.Lock()
	defer t.changing.Unlock()
	for _, s := range t.find(server) {
		t.setSockets(s, closed{all: true})
	}
}

// Mend takes away all faults, also those of the text, and has killed servers listen again. Hooks and extra records stay.
func (t *Tree) Mend() error {
	t.changing.Lock()
	defer t.changing.Unlock()
	p := t.planCopy()
	p.signing = nil
	if err := t.install(p); err != nil {
		return err
	}
	t.setFaults(nil)
	return t.setAllSockets(nil)
}

// Queries returns what servers were asked so far, oldest first: "*" for all.
func (t *Tree) Queries(server string) (out []Query) {
	t.each(server, func(s *Server) { out = append(out, s.Queries()...) })
	slices.SortStableFunc(out, func(a, b Query) int { return a.At.Compare(b.At) })
	return out
}

// Asked counts the queries for a name and type at all servers: see Server.Asked.
func (t *Tree) Asked(name string, qtype uint16) (n int) {
	t.each("*", func(s *Server) { n += s.Asked(name, qtype) })
	return n
}

// Total counts all queries.
func (t *Tree) Total() int { return len(t.Queries("*")) }

// isOpError tells the faults of sockets from those of a text.
func isOpError(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}
