package resolver

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/pace"
)

// gate bounds the computing for signatures and hashes that goes on at a time, so that zones whose validation is made costly leave room on the
// processors for all other queries (KeyTrap, CVE-2023-50387; CVE-2023-50868). What one question may have computed is bounded by dnssec.Work.
//
// Zones whose signatures failed a moment ago, or that had much hashed, have one place of their own, a lane: they wait for each other and nobody waits
// for them. A check whose zone turns out to be so on the way goes there for the rest. All checks rest between their steps, so that a processor looks for
// queries in time; those of costly zones for longer than they compute, so that they have a quarter of a processor at most.
type gate struct {
	places  chan struct{}
	waiting atomic.Int64 // for one of the places
	costly  *lane
	owners  atomic.Pointer[Owner]

	mu    sync.Mutex
	zones map[dnsname.Name]time.Time // until when each is costly
}

// gateShare is the part of the processors that may compute for validation, one in gateShare and at least one.
const gateShare = 2

const (
	gateWaiting = 1024        // questions that may wait for a place, and for that of costly zones
	costlyFor   = time.Minute // after the last costly answer of a zone
	costlyMost  = 10_000      // zones that are remembered for that
	costlyAt    = 2048        // blocks hashed for one answer that make its zone costly
	costlyEach  = 64          // questions that may wait for the costly zones of one owner
)

// slowSlice is how long a check of a costly zone computes before it rests, slowRest times as long. Time is that of the clock: on a busy machine, where a slice takes longer, so do the rests.
const (
	slowSlice = 200 * time.Microsecond
	slowRest  = 3
)

// errGate is a check that was not made.
var errGate = fmt.Errorf("%w: too many answers wait to be validated", ErrBusy)

func newGate(owner Owner) *gate {
	places := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/gateShare))
	g := &gate{places: places, costly: newLane(), zones: map[dnsname.Name]time.Time{}}
	g.owners.Store(&owner)
	return g
}

// enter waits for a place to check something of a zone, which leave gives back; slow says that it is the one of costly zones.
func (g *gate) enter(zone dnsname.Name, now time.Time, done <-chan struct{}) (leave func(), slow bool, err error) {
	if !g.isCostly(zone, now) {
		leave, err = g.waitForPlace(done)
		if err != nil || !g.isCostly(zone, now) {
			return leave, false, err
		}
		leave() // many asked for names of the zone at once, and it has shown meanwhile what it is
	}
	leave, err = g.enterCostly(zone, done)
	return leave, true, err
}

// waitForPlace waits for one of the places of all other zones.
func (g *gate) waitForPlace(done <-chan struct{}) (leave func(), err error) {
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > gateWaiting {
		return nil, errGate
	}
	select {
	case g.places <- struct{}{}:
		return func() { <-g.places }, nil
	case <-done:
		return nil, errGate
	}
}

func (g *gate) isCostly(zone dnsname.Name, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.zones[zone])
}

// Owner tells whose a zone is, by the canonical name at or above it that its owner has registered. ok is false for what is everybody's: the root, top-level domains, and other zones
// of registries. It is called by many at once.
type Owner func(zone dnsname.Name) (owner dnsname.Name, ok bool)

// topLevelOwner is an Owner who knows of top-level domains alone.
func topLevelOwner(zone dnsname.Name) (owner dnsname.Name, ok bool) {
	return zone.Suffix(min(zone.Labels(), 2)), zone.Labels() >= 2
}

// ownerOf is whose a zone is. Zones that are everybody's have no owner, and are never costly: too many wait for them.
func (g *gate) ownerOf(zone dnsname.Name) (owner dnsname.Name, ok bool) {
	if zone.Labels() < 2 {
		return "", false
	}
	return (*g.owners.Load())(zone)
}

func (g *gate) mayBeCostly(zone dnsname.Name) bool {
	_, ok := g.ownerOf(zone)
	return ok
}

// mark notes that a zone is costly.
func (g *gate) mark(zone dnsname.Name, now time.Time) {
	if !g.mayBeCostly(zone) {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.zones) >= costlyMost {
		clear(g.zones)
	}
	g.zones[zone] = now.Add(costlyFor)
}

// enterCostly waits for the place of costly zones.
func (g *gate) enterCostly(zone dnsname.Name, done <-chan struct{}) (leave func(), err error) {
	owner, ok := g.ownerOf(zone)
	if !ok { // it was somebody's when it was marked
		owner = zone
	}
	if !g.costly.enter(owner, done) {
		return nil, errGate
	}
	return g.costly.leave, nil
}

// compute does a part of the validation of an answer of a zone that asks nobody. It reports whether there was room for all of it. The caller holds the budget's checking.
func (it *iteration) compute(zone dnsname.Name, do func()) bool {
	r, work := it.r, it.b.crypto
	leave, slow, err := r.gate.enter(zone, r.now(), it.ctx.Done())
	if err != nil {
		it.shedCheck()
		return false
	}
	c := &computing{it: it, zone: zone, before: *work, leave: leave, slow: slow, began: time.Now()}
	work.GiveWay = c.giveWay
	defer func() {
		work.GiveWay = nil
		if c.costs() {
			r.gate.mark(zone, r.now())
		}
		c.leave()
	}()
	do()
	return !c.shed
}

// shedCheck notes that something was not checked for want of room.
func (it *iteration) shedCheck() {
	it.b.short.Store(true)
	it.b.busy.Store(true)
	it.r.counts.validationsShed.Add(1)
}

// computing is the stay of one check behind the gate.
type computing struct {
	it     *iteration
	zone   dnsname.Name
	before dnssec.Work
	leave  func()
	slow   bool      // it has the place of costly zones
	shed   bool      // there was no room there
	pace   pace.Pace // of one that has another
	began  time.Time // when one that is slow rested last
}

// costs reports whether what was done since it entered makes its zone costly.
func (c *computing) costs() bool {
	work := c.it.b.crypto
	return work.Failures < c.before.Failures || c.before.Hashes-work.Hashes > costlyAt
}

// giveWay lets others have the processor between two steps. Who turns out to be costly goes on in the place of costly zones, and rests there for longer
// than it computes. False says that there was no room there.
func (c *computing) giveWay() bool {
	switch {
	case !c.slow && c.costs() && c.it.r.gate.mayBeCostly(c.zone):
		return c.slowDown()
	case c.slow:
		if took := time.Since(c.began); took >= slowSlice {
			time.Sleep(slowRest * took)
			c.began = time.Now()
		}
	default:
		c.pace.Look()
	}
	return true
}

// slowDown gives the place back and waits for that of costly zones.
func (c *computing) slowDown() bool {
	r := c.it.r
	r.gate.mark(c.zone, r.now())
	c.leave()
	leave, err := r.gate.enterCostly(c.zone, c.it.ctx.Done())
	if err != nil {
		c.leave, c.shed = func() {}, true
		c.it.shedCheck()
		return false
	}
	c.leave, c.slow, c.began = leave, true, time.Now()
	r.counts.validationsSlowed.Add(1)
	return true
}
