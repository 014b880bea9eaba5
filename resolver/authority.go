package resolver

import (
	"net/netip"
	"sync"
	"time"

	"cenote/dnsname"
)

// authorities are the servers of zones, by address, with what was learnt about how they answer. Their number is bounded: of a few, the
// one that was used longest ago goes.
type authorities struct {
	mu   sync.Mutex
	most int
	all  map[netip.AddrPort]*authority
	lame map[lameKey]time.Time
	tcp  map[*upstream]bool // those that were asked by TCP
}

// authority is a server of zones.
type authority struct {
	up   *upstream
	used time.Time
}

// lameKey is a server that knows nothing of a zone that is delegated to it.
type lameKey struct {
	addr netip.AddrPort
	zone dnsname.Name
}

const (
	lameFor      = 10 * time.Minute // RFC 2308 section 7.2 allows five minutes of failure; a lame server is asked again if there is no other
	lameMost     = 10_000
	authorityAge = 15 * time.Minute // for so long it is remembered how quick a server is
)

func newAuthorities() *authorities {
	return &authorities{all: map[netip.AddrPort]*authority{}, lame: map[lameKey]time.Time{}, tcp: map[*upstream]bool{}}
}

func (a *authorities) bound(most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.most = most
}

// get returns the server at an address.
func (a *authorities) get(addr netip.AddrPort, now time.Time) *upstream {
	a.mu.Lock()
	defer a.mu.Unlock()
	known := a.all[addr]
	if known == nil || now.Sub(known.used) > authorityAge && known.up.underWay.Load() == 0 {
		if known == nil && len(a.all) >= a.most {
			a.evict()
		}
		if known != nil {
			known.up.connections.retire()
		}
		known = &authority{up: &upstream{Upstream: Upstream{Addr: addr}, authority: true}}
		a.all[addr] = known
	}
	known.used = now
	return known.up
}

func (a *authorities) evict() {
	var victim *authority
	n := 0
	for _, known := range a.all {
		if known.up.underWay.Load() == 0 && (victim == nil || known.used.Before(victim.used)) {
			victim = known
		}
		if n++; n == evictionSample {
			break
		}
	}
	if victim != nil {
		victim.up.connections.retire()
		delete(a.all, victim.up.Addr)
	}
}

// markLame notes that a server knows nothing of a zone.
func (a *authorities) markLame(addr netip.AddrPort, zone dnsname.Name, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lame) >= lameMost {
		clear(a.lame)
	}
	a.lame[lameKey{addr, zone}] = now.Add(lameFor)
}

func (a *authorities) isLame(addr netip.AddrPort, zone dnsname.Name, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.lame[lameKey{addr, zone}])
}

// connected notes that connections to a server may be open.
func (a *authorities) connected(up *upstream) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tcp[up] = true
}

// closeIdle closes connections that nobody has used for so long.
func (a *authorities) closeIdle(most time.Duration) {
	a.mu.Lock()
	all := make([]*upstream, 0, len(a.tcp))
	for up := range a.tcp {
		all = append(all, up)
	}
	a.mu.Unlock()
	for _, up := range all {
		if open := up.connections.closeIdle(most); open == 0 && up.underWay.Load() == 0 {
			a.mu.Lock()
			delete(a.tcp, up)
			a.mu.Unlock()
		}
	}
}
