package sighting

import (
	"context"
	"time"

	"cenote/dnsname"
)

// resolver asks the Catalog where each new indicator was read. It is a goroutine of its own, so that a feed of a million names
// does not hold up the rings: an indicator's identity is known when it is counted, its place some time later.
type resolver struct {
	s      *Store
	wake   chan struct{}
	events [resolveBatch]Event // what the Catalog is asked about
	places [resolveBatch][]byte
}

const (
	resolveBatch    = 64
	resolveFarewell = 5 * time.Second // at the end; what is not resolved by then has no place
)

func newResolver(s *Store) *resolver { return &resolver{s: s, wake: make(chan struct{}, 1)} }

// run resolves until stop is closed, and then what is left.
func (r *resolver) run(stop <-chan struct{}) {
	for {
		select {
		case <-r.wake:
			r.drain(context.Background())
		case <-stop:
			ctx, cancel := context.WithTimeout(context.Background(), resolveFarewell)
			defer cancel()
			r.drain(ctx)
			return
		}
	}
}

func (r *resolver) drain(ctx context.Context) {
	for {
		d, n := r.next()
		if n == 0 {
			return
		}
		for i := range n {
			r.places[i] = r.places[i][:0]
			if e := &r.events[i]; e.NameLen > 0 && ctx.Err() == nil {
				r.places[i] = r.resolve(e, r.places[i])
			}
		}
		r.settle(d, n)
	}
}

// next copies what is to be resolved next out of the dictionary that it belongs to.
func (r *resolver) next() (d *dictionary, n int) {
	l := &r.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 1 && l.waiting[0].resolved == l.waiting[0].records.len() {
		l.waiting = l.waiting[1:]
	}
	d = l.waiting[0]
	for ; n < resolveBatch && d.resolved+n < d.records.len(); n++ {
		o := d.records.at(uint32(d.resolved + n))
		e := &r.events[n]
		e.Generation, e.Set, e.Member, e.Zone = o.generation, o.set, o.member, o.zone
		e.Labels, e.Action, e.Trigger = o.labels, o.action, o.trigger
		e.NameLen = uint8(copy(e.Name[:], d.nameOf(o)))
	}
	return d, n
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

func (r *resolver) settle(d *dictionary, n int) {
	l := &r.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		d.setPlace(r.places[i])
	}
	l.resolved += uint64(n)
	if d.resolved == d.records.len() {
		r.s.wakeWriter()
	}
}

// nameText is the presentation form of a listed name; a count by family has none.
func nameText(wire []byte) string {
	if len(wire) == 0 {
		return ""
	}
	return string(dnsname.AppendText(nil, wire))
}

func (s *Store) wakeResolver() { poke(s.resolver.wake) }
func (s *Store) wakeWriter()   { poke(s.writer.wake) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
