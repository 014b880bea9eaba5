package resolver

import (
	"context"
	"sync"

	"cenote/rrcache"
)

// ahead are the questions that are asked before their answer runs out. Its bounds are those of the state in force.
type ahead struct {
	wake chan struct{} // one place: look at waiting again

	mu      sync.Mutex // guards the rest, for a few instructions at a time
	waiting []question // oldest first
	busy    int        // questions that are being asked
}

func newAhead() *ahead { return &ahead{wake: make(chan struct{}, 1)} }

// put adds q unless most questions wait already, and reports whether it did.
func (a *ahead) put(q question, most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= most {
		return false
	}
	a.waiting = append(a.waiting, q)
	a.look()
	return true
}

// take returns the question that waits longest, unless most are being asked already. Whoever gets one calls done.
func (a *ahead) take(most int) (q question, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 || a.busy >= most {
		return question{}, false
	}
	q, a.waiting[0] = a.waiting[0], question{}
	a.waiting = a.waiting[1:]
	a.busy++
	return q, true
}

// done makes room for the next question.
func (a *ahead) done() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy--
	a.look()
}

// look has what waits looked at again. It never waits.
func (a *ahead) look() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Prefetch asks for k anew behind its caller's back. It never waits: if too many wait already, it does nothing but count.
func (r *Resolver) Prefetch(k *rrcache.Key) {
	if !r.ahead.put(questionOf(k), r.state.Load().config.Bounds.PrefetchQueue) {
		r.counts.prefetchesShed.Add(1)
		return
	}
	r.counts.prefetches.Add(1)
}

// fetchAhead asks what waits, until ctx ends, and returns when nothing is left under way.
func (r *Resolver) fetchAhead(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-r.ahead.wake:
		case <-ctx.Done():
			return
		}
		for {
			q, ok := r.ahead.take(r.state.Load().config.Bounds.Prefetches)
			if !ok {
				break
			}
			running.Go(func() { r.fetch(q) })
		}
	}
}

// fetch asks one question ahead.
func (r *Resolver) fetch(q question) {
	defer r.ahead.done()
	if f, err := r.join(q); err == nil {
		_ = r.wait(context.Background(), f, false) // a flight ends by itself, and with Run
		r.leave(f)
	}
}
