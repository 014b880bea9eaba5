package resolver

import (
	"fmt"
	"net/netip"
	"sync"

	"cenote/dnsname"
)

// account is what each query to the servers of one zone is taken from.
type account struct {
	r    *Resolver
	b    *budget
	zone dnsname.Name
	look bool // an address of a name server is looked for
}

// looks counts queries that look for the addresses of name servers, by zone and by server; see RecursionBounds.Looks. The root and the top-level domains have
// no bound: ways to all name servers begin there.
type looks struct {
	most    int
	mu      sync.Mutex
	zones   map[dnsname.Name]int
	servers map[netip.AddrPort]int
}

// errLooks is a look that was not made.
var errLooks = fmt.Errorf("%w: too many queries to one zone for name servers", errWork)

// take counts one query.
func (l *looks) take(zone dnsname.Name, server netip.AddrPort) error {
	if zone.Labels() < 2 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.zones[zone] >= l.most || l.servers[server] >= l.most {
		return errLooks
	}
	l.zones[zone]++
	l.servers[server]++
	return nil
}

// account returns what queries to the servers of a zone are taken from.
func (it *iteration) account(z *cut) *account {
	return &account{r: it.r, b: it.b, zone: z.zone, look: it.f.look}
}

// packet takes one query to a server.
func (a *account) packet(to *upstream) error {
	if a == nil { // an upstream is asked, whose bound is the number of tries
		return nil
	}
	if a.look {
		if err := a.b.looks.take(a.zone, to.Addr); err != nil {
			a.b.short.Store(true)
			a.r.counts.looks.Add(1)
			return err
		}
	}
	if err := a.b.take(a.b.packets, boundPackets, "too many queries"); err != nil {
		a.b.short.Store(true)
		a.r.counts.work.Add(1)
		return err
	}
	a.r.counts.sent.Add(1)
	return nil
}
