package sighting

import (
	"context"
	"sync"
	"time"

	"cenote/pace"
	"cenote/policy"
)

// resolver asks the Catalog where each new indicator was read. It is a goroutine of its own, so that a feed of a million names
// does not hold up the rings: an indicator's identity is known when it is counted, its place some time later.
type resolver struct {
	s      *Store
	wake   chan struct{}
	dict   *dictionary         // that the batch is of
	n      int                 // how many records it has
	events [resolveBatch]Event // what the Catalog is asked about
	places [resolveBatch][]byte
}

const (
	resolveBatch    = 256             // some tenths of a millisecond
	resolveFarewell = 5 * time.Second // at the end; what is not resolved by then has no place
)

func newResolver(s *Store) *resolver { return &resolver{s: s, wake: make(chan struct{}, 1)} }

// run resolves until stop is closed, and then what is left.
func (r *resolver) run(stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-stop
		time.AfterFunc(resolveFarewell, cancel) // also for what is being resolved then
	}()
	for {
		select {
		case <-r.wake:
			r.drain(ctx)
		case <-stop:
			r.drain(ctx)
			return
		}
	}
}

// drain resolves what waits. A few are looked up on the spot; for more there is a thread that gives way, which gets them in batches, so that it never
// has the ledger's lock while it waits for a core.
func (r *resolver) drain(ctx context.Context) {
	if !r.next() {
		return
	}
	r.lookUp(ctx)
	r.settle()
	if !r.next() {
		return
	}
	batches, done := make(chan struct{}), make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		_ = pace.Behind(func() error {
			for range batches {
				r.lookUp(ctx)
				done <- struct{}{}
			}
			return nil
		})
	})
	for more := true; more; more = r.next() {
		batches <- struct{}{}
		<-done
		r.settle()
	}
	close(batches)
	looking.Wait()
}

// next copies what is to be resolved next out of the dictionary that it belongs to. It reports whether there is anything.
func (r *resolver) next() bool {
	l := &r.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 1 && l.waiting[0].resolved == l.waiting[0].records.len() {
		l.waiting = l.waiting[1:]
	}
	r.dict, r.n = l.waiting[0], 0
	for ; r.n < resolveBatch && r.dict.resolved+r.n < r.dict.records.len(); r.n++ {
		o := r.dict.records.at(uint32(r.dict.resolved + r.n))
		e := &r.events[r.n]
		e.Generation, e.Set, e.Member, e.Zone = o.generation, o.set, o.member, o.zone
		e.Labels, e.Action, e.Trigger = o.labels, o.action, o.trigger
		e.NameLen = uint8(copy(e.Name[:], r.dict.nameOf(o)))
	}
	return r.n > 0
}

// lookUp finds the places of the batch.
func (r *resolver) lookUp(ctx context.Context) {
	for i := range r.n {
		r.places[i] = r.places[i][:0]
		if e := &r.events[i]; e.NameLen > 0 && ctx.Err() == nil {
			r.places[i] = r.resolve(e, r.places[i])
		}
	}
}

func (r *resolver) resolve(e *Event, dst []byte) []byte {
	in, err := r.s.config.Catalog.Indicator(e.Generation, e)
	if err != nil {
		r.s.counters.unresolved.Add(1)
		return dst
	}
	p := placeOf(&in)
	if p.name == nameText(e.Name[:e.NameLen]) {
		p.name = ""
	}
	if dst = appendPlace(dst, &p); len(dst) > placeMax {
		return dst[:0]
	}
	return dst
}

// settle gives the records of the batch their places.
func (r *resolver) settle() {
	l := &r.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range r.n {
		r.dict.setPlace(r.places[i])
	}
	l.resolved += uint64(r.n)
	if r.dict.resolved == r.dict.records.len() {
		r.s.wakeWriter()
	}
}

// nameText is the presentation form of a listed name; a count by family has none.
func nameText(wire []byte) string {
	if len(wire) == 0 {
		return ""
	}
	return policy.KeyText(wire)
}

func (s *Store) wakeResolver() { poke(s.resolver.wake) }
func (s *Store) wakeWriter()   { poke(s.writer.wake) }

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
