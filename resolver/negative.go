package resolver

import (
	"time"

	"cenote/dnsname"
)

// NegativeAnchor turns validation off at and below a name, until a moment (RFC 7646). A zero Until is never.
type NegativeAnchor struct {
	Name  dnsname.Name
	Until time.Time
}

// holds reports whether the moment has not come.
func (n *NegativeAnchor) holds(now time.Time) bool { return n.Until.IsZero() || now.Before(n.Until) }

// negativeAt returns the closest negative trust anchor at or above a name that holds, unless a trust anchor is closer (RFC 7646).
func (s *state) negativeAt(name dnsname.Name, now time.Time) *NegativeAnchor {
	for at := name; len(s.negative) > 0; at = at.Parent() {
		for _, i := range s.negative[at] {
			n := &s.config.Recursion.Negative[i]
			if !n.holds(now) {
				continue
			}
			if anchor, ok := s.keys.above(name); !ok || !anchor.IsBelow(n.Name) {
				return n
			}
		}
		if at.IsRoot() {
			break
		}
	}
	return nil
}

// addNegative takes up the negative anchors that are in force. One that has ended does not come back, whatever becomes of the clock.
func (s *state) addNegative(now time.Time) {
	list := s.config.Recursion.Negative
	s.negative = make(map[dnsname.Name][]int, len(list))
	for i := range list {
		n := &list[i]
		if !n.holds(now) {
			continue
		}
		s.negative[n.Name] = append(s.negative[n.Name], i)
		if !n.Until.IsZero() && (s.turn.IsZero() || n.Until.Before(s.turn)) {
			s.turn = n.Until
		}
	}
}

// ended are the names of the negative anchors that have ended since the state was made.
func (s *state) ended(now time.Time) (names []dnsname.Name) {
	if s.turn.IsZero() || now.Before(s.turn) {
		return nil
	}
	for name, places := range s.negative {
		for _, i := range places {
			if !s.config.Recursion.Negative[i].holds(now) {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// endNegative forgets what was learnt below the negative anchors that have ended: nothing of it was checked (RFC 7646 section 2).
func (r *Resolver) endNegative() {
	if len(r.state.Load().ended(r.now())) == 0 {
		return
	}
	r.updating.Lock()
	defer r.updating.Unlock()
	before := r.state.Load()
	names := before.ended(r.now())
	if len(names) == 0 {
		return // an Update was here first
	}
	after, forgotten := r.next(before, before.config)
	r.swap(before, after)
	r.settle(forgotten)
	for _, name := range names {
		r.log.Info("negative trust anchor has ended; names there are validated again", "name", name)
	}
}
