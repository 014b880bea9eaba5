package policy

import (
	"cenote/dnsname"
	"cenote/nameindex"
)

const secondsPerHour = 3600

// fewMatches is how many listed names above a name the short path takes; hardly a name has more than three.
const fewMatches = 6

// CheckQuery decides about the query name. It allocates nothing.
func (p *Policy) CheckQuery(r *Request) Decision {
	var d Decision
	p.check(&d, r, r.Name, 0)
	return d
}

// check adds to d what the policy says about name, the stage-th of the chain.
func (p *Policy) check(d *Decision, r *Request, name []byte, stage uint8) {
	if p.index == nil {
		return
	}
	var few [fewMatches]nameindex.Match
	n := p.index.Walk(name, few[:])
	if n == 0 {
		return
	}
	v := view{policy: p, matches: few[:n], labels: countLabels(name), hour: r.Time.Unix() / secondsPerHour}
	switch {
	case n == fewMatches:
		p.checkMany(d, name, stage, v.hour)
	case v.settled():
		v.merge(d, stage)
	default:
		v.judgeAll(d, stage)
	}
}

func countLabels(name []byte) (n uint8) {
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		n++
	}
	return n
}

// checkMany serves names with so many listed ones above them that there may be more than check has room for.
func (p *Policy) checkMany(d *Decision, name []byte, stage uint8, hour int64) {
	var many [dnsname.LabelsMax + 1]nameindex.Match
	v := view{policy: p, matches: many[:p.index.Walk(name, many[:])], labels: countLabels(name), hour: hour}
	v.judgeAll(d, stage)
}

// settled reports whether the verdicts of the matches' sets can simply be merged. It first drops the matches that have no part in
// the decision: those with the fewest labels that say nothing themselves and so only could stop or be stopped by each other.
func (v *view) settled() bool {
	sets := v.policy.sets
	for len(v.matches) > 0 && v.matches[0].Labels != v.labels && sets[v.matches[0].Set].nothing {
		v.matches = v.matches[1:]
	}
	for _, m := range v.matches {
		if s := &sets[m.Set]; v.hour >= int64(s.until) || s.bound && len(v.matches) > 1 {
			return false
		}
	}
	return true
}

// merge decides from the verdicts: zone by zone, the longest listed name first. In each zone it takes the first that is watched, and
// the first that decides, and is done.
func (v *view) merge(d *Decision, stage uint8) {
	if len(v.matches) == 1 {
		for _, h := range v.policy.said(v.matches[0], v.labels) {
			v.take(d, mark{member: h.member, action: h.action}, int(h.zone), stage, h.decides)
		}
		return
	}
	var said [fewMatches][]zoneHit
	for i, m := range v.matches {
		said[i] = v.policy.said(m, v.labels)
	}
	for {
		zone, ok := nextZone(said[:len(v.matches)])
		if !ok {
			return
		}
		watched, decided := false, false
		for i := len(v.matches) - 1; i >= 0; i-- {
			for len(said[i]) > 0 && said[i][0].zone == zone {
				h := &said[i][0]
				said[i] = said[i][1:]
				if decided || watched && !h.decides {
					continue
				}
				watched, decided = watched || !h.decides, h.decides
				v.take(d, mark{match: i, member: h.member, action: h.action}, int(zone), stage, h.decides)
			}
		}
	}
}

// nextZone returns the first zone that any of the lists still speaks of.
func nextZone(said [][]zoneHit) (zone uint16, ok bool) {
	for i := range said {
		if len(said[i]) > 0 && (!ok || said[i][0].zone < zone) {
			zone, ok = said[i][0].zone, true
		}
	}
	return zone, ok
}

// judgeAll decides by judging every member of every match.
func (v *view) judgeAll(d *Decision, stage uint8) {
	for zone := range v.policy.zones {
		watched, decider := v.consult(zone)
		if watched.match >= 0 {
			v.take(d, watched, zone, stage, false)
		}
		if decider.match >= 0 {
			v.take(d, decider, zone, stage, true)
		}
	}
}

// take adds a hit to the decision: as its winner, if it can decide and none has before, or as observed. Behind a PASSTHRU that won, only
// zones that observe are recorded.
func (v *view) take(d *Decision, c mark, zone int, stage uint8, decides bool) {
	if d.Winner.Action == ActionPassthru && d.Matched() && !v.policy.zones[zone].Observe {
		return
	}
	m := v.matches[c.match]
	h := Hit{Set: m.Set, Zone: uint16(zone), Member: c.member, Labels: m.Labels, Stage: stage, Trigger: TriggerQNAME, Action: c.action}
	switch {
	case decides && !d.Matched():
		h.Enforced = true
		d.Winner = h
	case d.NObserved == HitsMax:
		d.Overflowed = true
	default:
		d.Observed[d.NObserved] = h
		d.NObserved++
	}
}
