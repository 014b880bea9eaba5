package policy

import (
	"fmt"
	"math"
	"slices"

	"cenote/nameindex"
)

// verdict is what a set decides alone, while none of its members has expired.
type verdict struct {
	at      [2]span // of zoneHits, by position
	until   uint32  // the hour at which a member expires and the verdict no longer holds; math.MaxUint32 for never
	bound   bool    // other matches may matter to its members, or its members to them
	nothing bool    // below the listed name it neither matches nor excepts
}

// span is a part of Policy.zoneHits.
type span struct {
	from uint32
	n    uint16
}

// The positions of a name to the listed name.
const (
	positionWhole = iota // it is the listed name
	positionBelow
)

// zoneHit is what a set says in one zone. They are sorted by zone; within a zone, what is only watched comes before what decides.
type zoneHit struct {
	zone    uint16
	member  uint16
	action  Action
	decides bool
}

// weigh checks the sets from the given one on and computes their verdicts.
func (p *Policy) weigh(from int) error {
	if p.index == nil {
		return nil
	}
	p.sets = slices.Grow(p.sets, p.index.Sets()-from)[:p.index.Sets()]
	for id := from; id < len(p.sets); id++ {
		members, err := DecodeSet(p.index.Set(uint32(id)))
		if err == nil {
			err = p.manifest.check(members)
		}
		if err != nil {
			return fmt.Errorf("set %d of %d: %w", id, len(p.sets), err)
		}
		p.sets[id] = p.verdict(uint32(id), members)
	}
	return nil
}

// check reports whether all that members refer to is in the manifest.
func (m *Manifest) check(members []Member) error {
	for i := range members {
		k := &members[i]
		switch {
		case int(k.Feed) >= len(m.Feeds), int(k.Family) >= len(m.Families), int(k.Threat) >= len(m.Threats), int(k.Data) > len(m.Data):
			return fmt.Errorf("%w: member %d refers to feed %d, family %d, threat %d, data %d", ErrSet, i, k.Feed, k.Family, k.Threat, k.Data)
		case (k.Action == ActionLocalData) != (k.Data != 0):
			return fmt.Errorf("%w: member %d has the action %s and data %d", ErrSet, i, k.Action, k.Data)
		}
	}
	return nil
}

func (p *Policy) verdict(id uint32, members []Member) verdict {
	w := verdict{until: math.MaxUint32}
	exceptions := false
	for i := range members {
		m := &members[i]
		if m.Expiry != 0 {
			w.until = min(w.until, m.Expiry)
		}
		exceptions = exceptions || m.Exception
		w.bound = w.bound || m.Exception || p.manifest.Feeds[m.Feed].ClosestEncloser
	}
	w.at[positionWhole] = p.alone(nameindex.Match{Set: id, Labels: 1}, 1)
	w.at[positionBelow] = p.alone(nameindex.Match{Set: id, Labels: 1}, 2)
	w.nothing = w.at[positionBelow].n == 0 && !exceptions
	return w
}

// alone asks every zone about a name of the given number of labels for which m is the only match.
func (p *Policy) alone(m nameindex.Match, labels uint8) span {
	v := listing{policy: p, matches: []nameindex.Match{m}, labels: labels, hour: neverHour, to: len(p.zones)}
	s := span{from: uint32(len(p.zoneHits))}
	for zone := range p.zones {
		watched, decider := v.consult(zone)
		for _, c := range []*mark{&watched, &decider} {
			if c.match >= 0 {
				p.zoneHits = append(p.zoneHits, zoneHit{zone: uint16(zone), member: c.member, action: c.action, decides: c == &decider})
				s.n++
			}
		}
	}
	return s
}

// said returns what a match says about a name of the given number of labels.
func (p *Policy) said(m nameindex.Match, labels uint8) []zoneHit {
	position := positionBelow
	if m.Labels == labels {
		position = positionWhole
	}
	s := p.sets[m.Set].at[position]
	return p.zoneHits[s.from:][:s.n]
}
