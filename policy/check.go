package policy

import (
	"cmp"
	"slices"

	"cenote/dnsname"
	"cenote/nameindex"
)

const secondsPerHour = 3600

// fewMatches is how many listed names above a name the short path takes; hardly a name has more than three.
const fewMatches = 6

// CheckQuery decides about the client's address and the query name. It allocates nothing, but for a client that many rules list, and for a name that patterns match.
func (p *Policy) CheckQuery(r *Request) Decision {
	var d Decision
	x := p.ask(r)
	p.checkFirst(&d, &x)
	d.Pending = d.Matched() && p.waits(&d, &x)
	return d
}

// checkFirst adds to d what the policy says about the client and the query name.
func (p *Policy) checkFirst(d *Decision, x *asking) {
	if p.addresses.any(TriggerClientIP, x.request.Client.Addr()) {
		p.checkClient(d, x)
		return
	}
	p.check(d, x, x.request.Name, 0)
}

// checkClient does so for a client that rules list.
func (p *Policy) checkClient(d *Decision, x *asking) {
	s := stage{policy: p, asking: *x}
	s.rename(x.request.Name)
	s.client()
	s.check(d)
}

// waits reports whether the answer may still change a decision.
func (p *Policy) waits(d *Decision, x *asking) bool {
	z := &p.zones[d.Winner.Zone]
	return p.recurse || !p.early && int(d.Winner.Zone) > x.scope.firstWait || x.request.DO && z.KeepSigned && d.Winner.Action != ActionPassthru
}

// check adds to d what the policy says about name, the stageNumber-th of the chain.
func (p *Policy) check(d *Decision, x *asking, name []byte, stageNumber uint8) {
	if p.index == nil {
		return
	}
	if p.patterns != nil && p.patterns.any(name) {
		p.checkPatterns(d, x, name, stageNumber)
		return
	}
	var few [fewMatches]nameindex.Match
	n := p.index.Walk(name, few[:])
	if n == 0 {
		return
	}
	v := x.listing(p, countLabels(name))
	v.matches = few[:n]
	switch {
	case n == fewMatches:
		p.checkMany(d, x, name, stageNumber)
	case v.settled():
		v.merge(d, stageNumber)
	default:
		v.judgeAll(d, stageNumber)
	}
}

// checkPatterns does so for a name that patterns may match.
func (p *Policy) checkPatterns(d *Decision, x *asking, name []byte, stageNumber uint8) {
	s := stage{policy: p, asking: *x, number: stageNumber}
	s.rename(name)
	s.check(d)
}

func countLabels(name []byte) (n uint8) {
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		n++
	}
	return n
}

// checkMany serves names with so many listed ones above them that there may be more than check has room for.
func (p *Policy) checkMany(d *Decision, x *asking, name []byte, stage uint8) {
	var many [dnsname.LabelsMax + 1]nameindex.Match
	v := x.listing(p, countLabels(name))
	v.matches = many[:p.index.Walk(name, many[:])]
	v.judgeAll(d, stage)
}

// settled reports whether the verdicts of the matches' sets can simply be merged. It first drops the matches that have no part in
// the decision: those with the fewest labels that say nothing themselves and so only could stop or be stopped by each other.
func (v *listing) settled() bool {
	if v.policy.typed {
		return false
	}
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
func (v *listing) merge(d *Decision, stage uint8) {
	if len(v.matches) == 1 {
		for _, h := range v.said(0) {
			v.take(d, mark{member: h.member, action: h.action}, int(h.zone), stage, h.decides)
		}
		return
	}
	var said [fewMatches][]zoneHit
	for i := range v.matches {
		said[i] = v.said(i)
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

// said is what the i-th match says in the zones that are asked.
func (v *listing) said(i int) []zoneHit {
	hits := v.policy.said(v.matches[i], v.labels)
	if v.to-v.from == len(v.policy.zones) {
		return hits
	}
	byZone := func(h zoneHit, zone int) int { return cmp.Compare(int(h.zone), zone) }
	from, _ := slices.BinarySearchFunc(hits, v.from, byZone)
	to, _ := slices.BinarySearchFunc(hits, v.to, byZone)
	return hits[from:to]
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
func (v *listing) judgeAll(d *Decision, stage uint8) {
	for zone := v.from; zone < v.to; zone++ {
		watched, decider := v.consult(zone)
		if watched.match >= 0 {
			v.take(d, watched, zone, stage, false)
		}
		if decider.match >= 0 {
			v.take(d, decider, zone, stage, true)
		}
	}
}

// take adds a candidate to the decision, unless its zone is not for the query; see Policy.take.
func (v *listing) take(d *Decision, c mark, zone int, stage uint8, decides bool) {
	if !v.policy.zones[zone].spares(v.plain, v.signed) {
		v.policy.take(d, v.hit(c, zone, stage), decides)
	}
}

// spares reports whether the zone is not for a query: one without recursion, or one whose answer is signed.
func (z *Zone) spares(plain, signed bool) bool {
	return z.RecursiveOnly && plain || z.KeepSigned && signed
}

// hit is what a candidate is in a decision.
func (v *listing) hit(c mark, zone int, stage uint8) Hit {
	m := v.matches[c.match]
	return Hit{Set: m.Set, Zone: uint16(zone), Member: c.member, Labels: m.Labels, Stage: stage, Trigger: TriggerQNAME, Action: c.action}
}

// take adds a hit to the decision: as its winner, if it can decide and none has before, or as observed. Behind a PASSTHRU that won, only
// zones that observe are recorded.
func (p *Policy) take(d *Decision, h Hit, decides bool) {
	if d.Winner.Action == ActionPassthru && d.Matched() && !p.zones[h.Zone].Observe {
		return
	}
	switch {
	case decides && !d.Matched():
		d.Winner = h
	case d.NObserved == HitsMax:
		d.Overflowed = true
	default:
		d.Observed[d.NObserved] = h
		d.NObserved++
	}
}
