package resolver

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
)

// gate bounds the computing for signatures and hashes that goes on at a time, so that zones whose validation is made costly leave room on the
// processors for all other queries (KeyTrap, CVE-2023-50387; CVE-2023-50868). What one question may have computed is bounded by dnssec.Work.
//
// Zones whose signatures failed a moment ago, or that had many names hashed, have one place of their own: they wait for each other and nobody waits
// for them.
type gate struct {
	places  chan struct{}
	costly  chan struct{}
	waiting [2]atomic.Int64 // for a place of each kind

	mu    sync.Mutex
	zones map[dnsname.Name]time.Time // until when each is costly
}

// gateShare is the part of the processors that may compute for validation, one in gateShare and at least one.
const gateShare = 2

const (
	gateWaiting = 1024        // questions that may wait for a place
	costlyFor   = time.Minute // after the last costly answer of a zone
	costlyMost  = 10_000      // zones that are remembered for that
	costlyAt    = 64          // names hashed for one answer that make its zone costly
)

// errGate is a check that was not made.
var errGate = fmt.Errorf("%w: too many answers wait to be validated", ErrBusy)

func newGate() *gate {
	places := make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/gateShare))
	return &gate{places: places, costly: make(chan struct{}, 1), zones: map[dnsname.Name]time.Time{}}
}

// enter waits for a place to check something of a zone, which leave gives back.
func (g *gate) enter(zone dnsname.Name, now time.Time, done <-chan struct{}) (leave func(), err error) {
	if !g.isCostly(zone, now) {
		leave, err = waitForPlace(g.places, &g.waiting[0], done)
		if err != nil || !g.isCostly(zone, now) {
			return leave, err
		}
		leave() // many asked for names of the zone at once, and it has shown meanwhile what it is
	}
	return waitForPlace(g.costly, &g.waiting[1], done)
}

// waitForPlace waits for one of some places.
func waitForPlace(places chan struct{}, waiting *atomic.Int64, done <-chan struct{}) (leave func(), err error) {
	defer waiting.Add(-1)
	if waiting.Add(1) > gateWaiting {
		return nil, errGate
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-done:
		return nil, errGate
	}
}

func (g *gate) isCostly(zone dnsname.Name, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.zones[zone])
}

// mark notes that a zone is costly. The root and top-level domains never are.
func (g *gate) mark(zone dnsname.Name, now time.Time) {
	if zone.Labels() < 2 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.zones) >= costlyMost {
		clear(g.zones)
	}
	g.zones[zone] = now.Add(costlyFor)
}

// compute does a part of the validation of an answer of a zone that asks nobody.
func (it *iteration) compute(zone dnsname.Name, do func()) {
	r, work := it.r, it.b.crypto
	leave, err := r.gate.enter(zone, r.now(), it.ctx.Done())
	if err != nil {
		it.b.short.Store(true)
		it.b.busy.Store(true)
		r.counts.validationsShed.Add(1)
		return
	}
	defer leave()
	before := *work
	defer func() {
		if work.Failures < before.Failures || before.Hashes-work.Hashes > costlyAt {
			r.gate.mark(zone, r.now())
		}
	}()
	do()
}
