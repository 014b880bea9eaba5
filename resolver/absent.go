package resolver

import (
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
)

// absent is names that the servers of zones that nobody signs said are not there, below which there is nothing either (RFC 8020). Their number is bounded: of a
// few, the one that ends soonest goes.
type absent struct {
	mu  sync.Mutex
	all map[sourced]absence
}

// absence is one of these names.
type absence struct {
	zone   dnsname.Name // whose servers said so
	soa    *rrset
	stored time.Time
	until  time.Time
}

// Bounds of what is remembered of names that are not there.
const (
	absentMost   = 50_000
	absentFor    = time.Hour
	absentLabels = 16 // names above the one that is asked for that are looked at
)

func newAbsent() *absent { return &absent{all: map[sourced]absence{}} }

// put remembers that a name is not there.
func (a *absent) put(zone dnsname.Name, name sourced, soa *rrset, now time.Time) {
	ttl := min(time.Duration(min(soa.ttl, soaMinimum(soa)))*time.Second, absentFor)
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.all) >= absentMost {
		a.evict()
	}
	a.all[name] = absence{zone: zone, soa: soa, stored: now, until: now.Add(ttl)}
}

func (a *absent) evict() {
	var victim sourced
	n := 0
	for name, one := range a.all {
		if v, ok := a.all[victim]; !ok || one.until.Before(v.until) {
			victim = name
		}
		if n++; n == evictionSample {
			break
		}
	}
	delete(a.all, victim)
}

// above returns what denies a name: that it, or one above it within the zone, is not there.
func (a *absent) above(source uint16, zone, name dnsname.Name, now time.Time) *finding {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range absentLabels {
		if !name.IsBelow(zone) {
			return nil
		}
		if one, ok := a.all[sourced{source, name}]; ok && one.zone == zone && now.Before(one.until) && !now.Before(one.stored) {
			soa := *one.soa
			soa.ttl = uint32(one.until.Sub(now) / time.Second)
			return &finding{kind: kindNXDomain, soa: &soa, sure: true}
		}
		name = name.Parent()
	}
	return nil
}

// flush forgets what any source said in a region and above it.
func (a *absent) flush(at *region) {
	walk(&a.mu, a.all, func(known sourced, _ absence) {
		if at.touches(known.name) {
			delete(a.all, known)
		}
	})
}

// keepAbsent remembers what the servers of a zone say is not there, where signatures have no say and the configuration wants it.
func (it *iteration) keepAbsent(name dnsname.Name, got *outcome) {
	c, f := it.s.config.Recursion, got.found
	if !c.NothingBelow || f.kind != kindNXDomain || f.soa == nil || !f.sure || got.inferred || got.scope.IsValid() {
		return
	}
	if z := got.zone; !z.recurse && got.verdict.Status != dnssec.Secure && it.f.q.class == wire.ClassIN && f.soa.name == z.zone {
		if it.r.absent.put(z.zone, sourced{z.source, name}, f.soa, it.r.now()); it.r.isOver(it.s) {
			it.r.absent.flush(regionOf(name))
		}
	}
}

// belowAbsent answers for a name below one that is not there.
func (it *iteration) belowAbsent(name dnsname.Name) (outcome, bool) {
	if !it.s.config.Recursion.NothingBelow || it.f.q.class != wire.ClassIN {
		return outcome{}, false
	}
	z := it.known(name, it.f.q.qtype)
	if z == nil {
		return outcome{}, false
	}
	if forward, _ := it.s.forwardAt(name, it.f.q.qtype); forward != nil {
		return outcome{}, false
	}
	f := it.r.absent.above(z.source, z.zone, name, it.r.now())
	if f == nil {
		return outcome{}, false
	}
	it.r.counts.belowAbsent.Add(1)
	it.note(Step{Kind: StepCached, Name: name, Type: it.f.q.qtype, Zone: z.zone, Result: f.kind.String() + ", below a name that is not there"})
	return outcome{ede: EDENone, found: f, zone: z, said: new(response)}, true
}
