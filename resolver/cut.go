package resolver

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"cenote/dnsname"
)

// cut is a zone as its parent delegates it: what its parent says counts for as long as its parent says, and what the zone itself says about
// its servers never prolongs that. So a name that was taken away ends with the TTL of its delegation (ghost domains).
type cut struct {
	source  uint16 // who led there: 0 for the hints and the world, else the group of a stub
	zone    dnsname.Name
	parent  dnsname.Name // the zone whose servers said so
	servers []nameServer
	proofs  []*rrset  // of the parent about DS: the set, or the records that deny it; nil if it said nothing
	proved  time.Time // until when proofs count, which may end before the delegation does
	ttl     uint32    // the least of its records'
	learnt  time.Time // when its parent said so; zero for a zone that the operator names
	expires time.Time
	own     bool         // it is of somebody whom the operator has chosen
	recurse bool         // it is no zone: other resolvers are asked
	itself  []nameServer // the servers that the zone names; guarded by the mu of cuts
}

// nameServer is a server of a zone, with the addresses that the parent gave for it.
type nameServer struct {
	name dnsname.Name
	glue []netip.Addr
	at   []netip.AddrPort // of a stub: where it listens
}

// at is the place of a cut.
func (z *cut) at() sourced { return sourced{z.source, z.zone} }

// Bounds of what one delegation may hold.
const (
	serversMax    = 13 // name servers of a zone that are used
	glueMax       = 6  // addresses of one of them
	delegationMax = 24 * time.Hour
	delegationMin = time.Second
)

// cuts is the zone cuts that are known, bounded: the oldest of a few goes where there is no room.
type cuts struct {
	mu   sync.Mutex
	most int
	all  map[sourced]*cut
}

func newCuts() *cuts { return &cuts{all: map[sourced]*cut{}} }

// bound sets how many there may be. What is too much goes a little at a time, as walk looks.
func (c *cuts) bound(most int) {
	for c.shrink(most) {
	}
}

// shrink sets the bound and drops up to walkStep of what is too much. It reports whether there is more.
func (c *cuts) shrink(most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = most
	for n := 0; len(c.all) > most && n < walkStep; n++ {
		c.evict()
	}
	return len(c.all) > most
}

// evictionSample is how many entries are looked at for the one to go.
const evictionSample = 8

// put keeps a cut, unless one that is still valid is known: that one ends in its time.
func (c *cuts) put(z *cut, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.all[z.at()]; old != nil && now.Before(old.expires) && now.Before(z.expires) && !z.expires.Before(old.expires) {
		if old.parent == z.parent {
			return
		}
	}
	if len(c.all) >= c.most {
		c.evict()
	}
	c.all[z.at()] = z
}

func (c *cuts) evict() {
	var victim *cut
	n := 0
	for _, z := range c.all {
		if victim == nil || z.expires.Before(victim.expires) {
			victim = z
		}
		if n++; n == evictionSample {
			break
		}
	}
	if victim != nil {
		delete(c.all, victim.at())
	}
}

// closest returns the deepest cut of a source that is known at or above name, nil for none.
func (c *cuts) closest(source uint16, name dnsname.Name, now time.Time) *cut {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		at := sourced{source, name}
		if z := c.all[at]; z != nil {
			if now.Before(z.expires) {
				return z
			}
			delete(c.all, at)
		}
		if name.IsRoot() {
			return nil
		}
		name = name.Parent()
	}
}

// at returns the cut of a source at name itself.
func (c *cuts) at(source uint16, name dnsname.Name, now time.Time) *cut {
	c.mu.Lock()
	defer c.mu.Unlock()
	if z := c.all[sourced{source, name}]; z != nil && now.Before(z.expires) {
		return z
	}
	return nil
}

// own returns the servers that a zone names itself.
func (c *cuts) own(z *cut) []nameServer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return z.itself
}

func (c *cuts) setOwn(z *cut, servers []nameServer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	z.itself = servers
}

// addGlue puts addresses of a server into a cut, for those who take it from now on.
func (c *cuts) addGlue(z *cut, server dnsname.Name, addrs []netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[z.at()] != z {
		return
	}
	with := *z
	with.servers = slices.Clone(z.servers)
	for i := range with.servers {
		if with.servers[i].name == server {
			with.servers[i].glue = addrs
		}
	}
	c.all[z.at()] = &with
}

// glue returns the addresses that the delegation of a server's own zone has for it.
func (c *cuts) glue(source uint16, server dnsname.Name, now time.Time) []netip.Addr {
	z := c.closest(source, server, now)
	if z == nil {
		return nil
	}
	for _, s := range z.servers {
		if s.name == server {
			return s.glue
		}
	}
	return nil
}

// flush forgets the cuts of all sources in a region, and returns how many there were.
func (c *cuts) flush(at *region) (n int) {
	walk(&c.mu, c.all, func(zone sourced, _ *cut) {
		if at.holds(zone.name) {
			delete(c.all, zone)
			n++
		}
	})
	return n
}

// forget forgets the cut that has the place of z.
func (c *cuts) forget(z *cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, z.at())
}

// forgetAt forgets the cuts of all sources at name.
func (c *cuts) forgetAt(name dnsname.Name) {
	walk(&c.mu, c.all, func(zone sourced, _ *cut) {
		if zone.name == name {
			delete(c.all, zone)
		}
	})
}

// atOrBelow reports whether name is zone or below it.
func atOrBelow(name, zone dnsname.Name) bool { return name == zone || name.IsBelow(zone) }
