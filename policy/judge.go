package policy

import (
	"math"
	"slices"

	"cenote/nameindex"
	"cenote/wire"
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

// listing is one name in front of the policy: what is listed at and above it, and when. Nothing in it outlives the check.
type listing struct {
	policy  *Policy
	matches []nameindex.Match // the one with the fewest labels first
	labels  uint8             // of the name
	hour    int64             // since the epoch
	from    int               // the first zone that is asked
	to      int               // and the one after the last
	plain   bool              // the client asked for no recursion
	signed  bool              // the answer has signatures that the client asked for
	qtype   uint16            // that is asked for
	beside  *listing          // of a pattern: the name that it matches, which exceptions may take out
}

// members reads the members of the i-th match.
func (v *listing) members(i int) setReader {
	return setReader{rest: v.policy.index.Set(v.matches[i].Set)}
}

// judge tells what m, a member of the i-th match, has to say.
func (v *listing) judge(i int, m *Member) standing {
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
	case v.excepted(m.Feed), v.beside != nil && v.beside.excepted(m.Feed):
		return standsExcepted
	}
	return standsFree
}

// expired: the hours of members are rounded up when the set is made, so a rule may act up to an hour too long, never too short.
func (v *listing) expired(m *Member) bool { return m.Expiry != 0 && v.hour >= int64(m.Expiry) }

// reaches reports whether a member of kind k, listed at the i-th match, is about the name.
func (v *listing) reaches(i int, k Kind) bool {
	if v.matches[i].Labels == v.labels {
		return k == KindExact || k == KindSubtree
	}
	return k == KindBelow || k == KindSubtree
}

// stopped reports whether the feed follows the closest-encloser rule and has a longer listed name than the i-th match.
func (v *listing) stopped(i int, feed uint16) bool {
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
func (v *listing) excepted(feed uint16) bool {
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
func (v *listing) consult(zone int) (watched, decider mark) {
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
func (v *listing) first(zone, i int) (watched, decider mark) {
	watched, decider = mark{match: -1}, mark{match: -1}
	r := v.members(i)
	for n := uint16(0); r.next(); n++ {
		rank := v.policy.rankOf(zone, r.member.Feed)
		if rank == 0 {
			continue
		}
		action, ok := v.action(zone, &r.member)
		if !ok {
			continue
		}
		c := mark{match: i, member: n, rank: rank, action: action}
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

// action resolves what a member does in a zone for the query. It reports false if there is no such rule: for the type that is
// asked for, or in an excerpt.
func (v *listing) action(zone int, m *Member) (Action, bool) {
	z := &v.policy.zones[zone]
	a := z.action(m.Action)
	if !z.selects.takes(v.policy.manifest, m, a) {
		return a, false
	}
	if z.LocalDataOr == ActionDefault || a != ActionLocalData || v.policy.hasType(z, m, v.qtype) {
		return a, true
	}
	return z.LocalDataOr, z.LocalDataOr != ActionDisabled
}

// hasType reports whether the local data of a member have something for a type.
func (p *Policy) hasType(z *Zone, m *Member, qtype uint16) bool {
	data := z.data
	if m.Data != 0 && z.Override != ActionLocalData {
		data = &p.manifest.Data[m.Data-1]
	}
	if data == nil || qtype == wire.TypeANY {
		return data != nil
	}
	return slices.ContainsFunc(data.RRsets, func(s RRset) bool { return s.Type == qtype || s.Type == wire.TypeCNAME })
}

// action resolves what a member of the zone does, given what its feed says.
func (z *Zone) action(given Action) Action {
	switch {
	case z.Override != ActionDefault && given != ActionDisabled: // a row that is recorded only is not called to life by its zone
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
