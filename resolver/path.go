package resolver

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/rrcache"
	"cenote/wire"
)

// Bounds of the work on one data path.
const (
	pathZonesMax   = 16 // names at or above the one that is looked at, those with the fewest labels
	pathServersMax = 32 // name servers of all zones together
	pathAtOnce     = 8  // questions under way
	pathPatience   = 2 * time.Second
)

// PathOptions say what of a data path is wanted.
type PathOptions struct {
	// MinDots is how many dots a zone's name has at least for its name servers to be looked at. Example: 1, no top-level domain.
	MinDots int
	// Addresses is whether the servers' addresses are wanted too.
	Addresses bool
	// WaitNames and WaitAddresses are whether to ask the network for what the cache does not hold. Without, that is asked for behind the
	// caller's back, and the path is not whole.
	WaitNames, WaitAddresses bool
}

// Path is the name servers of the zones on the way to a name.
type Path struct {
	Servers []Server
	Whole   bool // nothing is missing for want of an answer or of room
}

// Server is a name server. Name is canonical and in wire form.
type Server struct {
	Name  []byte
	Addrs []netip.Addr
}

// Path finds the name servers of every zone from the top-level domain down to the one that name is in: those that the zone names, by asking for them,
// and those of the delegations that led there. Who forwards is not shown any delegation. name is canonical and in wire form.
func (r *Resolver) Path(ctx context.Context, name []byte, o PathOptions) Path {
	ctx, cancel := context.WithTimeout(ctx, pathPatience)
	defer cancel()
	p := pathFinder{resolver: r, ctx: ctx, options: o, tokens: make(chan struct{}, pathAtOnce), known: map[string]int{}}
	p.path.Whole = true
	p.zones(name)
	if o.Addresses {
		p.addresses()
	}
	return p.path
}

// pathFinder is the work on one path.
type pathFinder struct {
	resolver *Resolver
	ctx      context.Context
	options  PathOptions
	tokens   chan struct{}

	mu    sync.Mutex
	path  Path
	known map[string]int // where in path.Servers a name is
}

// zones asks every name at or above name for name servers.
func (p *pathFinder) zones(name []byte) {
	var starts [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &starts)
	var asked sync.WaitGroup
	for n := p.options.MinDots + 1; n <= labels; n++ {
		if n > pathZonesMax+p.options.MinDots {
			p.cut()
			break
		}
		zone := bytes.Clone(name[starts[labels-n]:])
		asked.Go(func() {
			p.ask(zone, wire.TypeNS, p.options.WaitNames, p.addServers)
			p.addDelegation(zone)
		})
	}
	asked.Wait()
}

// addDelegation takes the servers that the parent of a zone names, with the addresses that it gives: who names none of its servers, or others, is found
// by these all the same.
func (p *pathFinder) addDelegation(zone []byte) {
	name := dnsname.Name(zone)
	z := p.resolver.cuts.at(p.resolver.state.Load().cutSource(name.Parent()), name, p.resolver.now())
	if z == nil {
		return
	}
	for _, s := range z.servers {
		p.addServer([]byte(s.name), s.glue...)
	}
}

// addresses asks for the addresses of all servers.
func (p *pathFinder) addresses() {
	var asked sync.WaitGroup
	for i := range p.path.Servers {
		server := &p.path.Servers[i]
		for _, rtype := range []uint16{wire.TypeA, wire.TypeAAAA} {
			asked.Go(func() {
				p.ask(server.Name, rtype, p.options.WaitAddresses, func(_, msg []byte) { p.addAddresses(server, msg) })
			})
		}
	}
	asked.Wait()
}

// ask finds the answer to one question and hands it on with the name that was asked for. An error leaves the path not whole.
func (p *pathFinder) ask(name []byte, rtype uint16, wait bool, take func(name, msg []byte)) {
	p.tokens <- struct{}{}
	defer func() { <-p.tokens }()
	buf := p.resolver.buffers.Get().(*[udpBuffer]byte)
	defer p.resolver.buffers.Put(buf)
	if msg, err := p.answer(&rrcache.Key{Name: name, Type: rtype, Class: wire.ClassIN}, wait, buf[:]); err != nil {
		p.cut()
	} else {
		take(name, msg)
	}
}

// errNotCached says that the cache does not hold an answer that is not waited for.
var errNotCached = errors.New("not in the cache")

func (p *pathFinder) answer(key *rrcache.Key, wait bool, buf []byte) (msg []byte, err error) {
	defer p.resolver.rescue(&err)
	p.resolver.state.Load().placeKey(key)
	if !wait {
		msg, a := p.resolver.peek(key, buf)
		if a.State != rrcache.Fresh {
			p.resolver.Prefetch(key)
			return nil, errNotCached
		}
		return msg[:a.Len], nil
	}
	result, err := p.resolver.Resolve(p.ctx, key, buf)
	if err == nil && wire.Rcode(result.Msg) == wire.RcodeServFail {
		err = errNotCached
	}
	return result.Msg, err
}

// cut notes that something is missing.
func (p *pathFinder) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.path.Whole = false
}

// addServers takes the NS records that zone itself has.
func (p *pathFinder) addServers(zone, msg []byte) {
	eachAnswer(msg, wire.TypeNS, func(w *wire.Walker) {
		owner, _, err := wire.AppendName(nil, msg, w.NameOff)
		server, _, err2 := wire.AppendName(nil, msg, w.DataOff)
		if err != nil || err2 != nil {
			return
		}
		dnsname.Lower(owner, owner)
		dnsname.Lower(server, server)
		if bytes.Equal(owner, zone) {
			p.addServer(server)
		}
	})
}

func (p *pathFinder) addServer(name []byte, addrs ...netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, known := p.known[string(name)]
	switch {
	case known:
		p.path.Servers[i].Addrs = append(p.path.Servers[i].Addrs, addrs...)
	case len(p.path.Servers) == pathServersMax:
		p.path.Whole = false
	default:
		p.known[string(name)] = len(p.path.Servers)
		p.path.Servers = append(p.path.Servers, Server{Name: name, Addrs: slices.Clone(addrs)})
	}
}

// addAddresses takes all addresses of an answer, at whatever alias.
func (p *pathFinder) addAddresses(server *Server, msg []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, rtype := range []uint16{wire.TypeA, wire.TypeAAAA} {
		eachAnswer(msg, rtype, func(w *wire.Walker) {
			if addr, ok := netip.AddrFromSlice(w.RData()); ok && addr.Is4() == (rtype == wire.TypeA) {
				server.Addrs = append(server.Addrs, addr)
			}
		})
	}
}

// eachAnswer calls visit for the records of a type in the answer section.
func eachAnswer(msg []byte, rtype uint16, visit func(*wire.Walker)) {
	w, err := wire.Records(msg)
	for err == nil && w.Next() && w.Section == wire.SectionAnswer {
		if w.Type == rtype && w.Class == wire.ClassIN {
			visit(&w)
		}
	}
}
