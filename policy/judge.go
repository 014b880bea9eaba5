package policy

import (
	"math"

	"cenote/nameindex"
)

// standing is what a member has to say about a name.
type standing uint8

const (
	standsFree      standing = iota // it is a candidate
	standsException                 // it takes the name out of its feed
	standsExpired                   // its time is over; it might as well not be there
	standsEmpty                     // it says only that the name exists
	standsShort                     // its kind does not reach the name
	standsStopped                   // a longer listed name of the same feed stops it: the closest-encloser rule
	standsExcepted                  // an exception in the same feed takes the name out
)

// view is one name in front of the policy: what is listed at and above it, and when. Nothing in it outlives the check.
type view struct {
	policy  *Policy
	matches []nameindex.Match // the one with the fewest labels first
	labels  uint8             // of the name
	hour    int64             // since the epoch
}

// members reads the members of the i-th match.
func (v *view) members(i int) setReader {
	return setReader{rest: v.policy.index.Set(v.matches[i].Set)}
}

// judge tells what m, a member of the i-th match, has to say.
func (v *view) judge(i int, m *Member) standing {
	switch {
	case v.expired(m):
		return standsExpired
	case m.Kind == KindENT:
		return standsEmpty
	case !v.reaches(i, m.Kind):
		return standsShort
	case v.stopped(i, m.Feed):
		return standsStopped
	case m.Exception:
		return standsException
	case v.excepted(m.Feed):
		return standsExcepted
	}
	return standsFree
}

// expired: the hours of members are rounded up when the set is made, so a rule may act up to an hour too long, never too short.
func (v *view) expired(m *Member) bool { return m.Expiry != 0 && v.hour >= int64(m.Expiry) }

// reaches reports whether a member of kind k, listed at the i-th match, is about the name.
func (v *view) reaches(i int, k Kind) bool {
	if v.matches[i].Labels == v.labels {
		return k == KindExact || k == KindSubtree
	}
	return k == KindBelow || k == KindSubtree
}

// stopped reports whether the feed follows the closest-encloser rule and has a longer listed name than the i-th match.
func (v *view) stopped(i int, feed uint16) bool {
	if !v.policy.manifest.Feeds[feed].ClosestEncloser {
		return false
	}
	for j := i + 1; j < len(v.matches); j++ {
		for r := v.members(j); r.next(); {
			if r.member.Feed == feed && !v.expired(&r.member) {
				return true
			}
		}
	}
	return false
}

// excepted reports whether the feed has an exception that reaches the name.
func (v *view) excepted(feed uint16) bool {
	for j := range v.matches {
		for r := v.members(j); r.next(); {
			m := &r.member
			if m.Feed == feed && m.Exception && v.judge(j, m) == standsException {
				return true
			}
		}
	}
	return false
}

// mark points at a candidate: a member of a match.
type mark struct {
	match  int // -1: none
	member uint16
	rank   uint16 // of its feed in the zone, the lowest first
	action Action
}

func (m *mark) before(n *mark) bool {
	return n.match < 0 || m.rank < n.rank || m.rank == n.rank && m.member < n.member
}

// consult asks one zone about the name. decider is the candidate that decides for the zone, watched the first of those that cannot
// decide, if it comes before decider.
func (v *view) consult(zone int) (watched, decider mark) {
	watched, decider = mark{match: -1}, mark{match: -1}
	for i := len(v.matches) - 1; i >= 0 && decider.match < 0; i-- {
		w, d := v.first(zone, i)
		if watched.match < 0 && w.match >= 0 && w.before(&d) {
			watched = w
		}
		decider = d
		if v.policy.zones[zone].LogOnly && watched.match >= 0 {
			break // nothing further up can be more than beaten
		}
	}
	return watched, decider
}

// first finds the first candidates of the zone in one match: of those that can only be recorded, and of those that can decide.
func (v *view) first(zone, i int) (watched, decider mark) {
	watched, decider = mark{match: -1}, mark{match: -1}
	r := v.members(i)
	for n := uint16(0); r.next(); n++ {
		rank := v.policy.rankOf(zone, r.member.Feed)
		if rank == 0 {
			continue
		}
		c := mark{match: i, member: n, rank: rank, action: v.policy.zones[zone].action(r.member.Action)}
		best := &decider
		if !v.policy.zones[zone].enforces(c.action) {
			best = &watched
		}
		if c.before(best) && v.judge(i, &r.member) == standsFree {
			*best = c
		}
	}
	return watched, decider
}

// action resolves what a member of the zone does, given what its feed says.
func (z *Zone) action(given Action) Action {
	switch {
	case z.Override != ActionDefault:
		return z.Override
	case given != ActionDefault:
		return given
	}
	return z.Action
}

// enforces reports whether a candidate with the action can decide.
func (z *Zone) enforces(a Action) bool { return !z.LogOnly && a != ActionDisabled }

// neverHour is earlier than every expiry.
const neverHour = math.MinInt64
