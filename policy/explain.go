package policy

import (
	"cmp"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
)

// Explanation says what a policy decides about a name, and why. It is made by the code that decides.
type Explanation struct {
	Name       string            `json:"name"` // escaped
	Generation uint64            `json:"generation"`
	Winner     *Candidate        `json:"winner"`           // null: no rule decides, and the truth is answered
	Clause     Clause            `json:"clause"`           // of precedence, by which the winner beats the next best
	Zones      []ZoneExplanation `json:"zones"`            // those that hold the name, in order of precedence
	Unheld     []Candidate       `json:"unheld,omitempty"` // what feeds say that no zone holds
	Overflowed bool              `json:"overflowed,omitempty"`
}

// ZoneExplanation is what one zone says about a name.
type ZoneExplanation struct {
	Zone       string      `json:"zone"`
	Position   int         `json:"position"` // in the order of zones, from 1
	LogOnly    bool        `json:"log_only,omitempty"`
	Observe    bool        `json:"observe,omitempty"`
	Candidates []Candidate `json:"candidates"` // in order of precedence
}

// Candidate is one member of a set with which the name, or one above it, is listed.
type Candidate struct {
	Zone       string    `json:"zone,omitempty"`
	Feed       string    `json:"feed"`
	FeedNumber uint16    `json:"feed_number"` // index into Manifest.Feeds
	Family     string    `json:"family,omitempty"`
	Threat     string    `json:"threat,omitempty"`
	Confidence int       `json:"confidence"` // 0 to 100; -1 where the feed does not say
	Expires    time.Time `json:"expires,omitzero"`
	Kind       Kind      `json:"kind"`
	Trigger    Trigger   `json:"trigger"`
	Listed     string    `json:"listed"` // the listed name, escaped
	ListedName []byte    `json:"-"`      // the same in wire form
	Labels     uint8     `json:"labels"` // of the listed name
	Action     Action    `json:"action"` // what the rule does in this zone
	Exception  bool      `json:"exception,omitempty"`
	Status     Status    `json:"status"`
	Clause     Clause    `json:"beaten_by,omitzero"` // the clause of precedence by which the winner beats it
	Recorded   bool      `json:"recorded"`           // a query for the name is recorded with this rule
	Hit        Hit       `json:"-"`

	rank  uint16 // of the feed in the zone
	whole bool   // the listed name is the name itself
}

// Explain says what the policy decides about a query and why: every zone that holds the name, and every rule in it.
func (p *Policy) Explain(r *Request) Explanation {
	e := Explanation{Name: text(r.Name), Generation: p.generation, Zones: []ZoneExplanation{}}
	if p.index == nil {
		return e
	}
	d := p.CheckQuery(r)
	e.Overflowed = d.Overflowed
	matches := make([]nameindex.Match, dnsname.LabelsMax+1)
	matches = matches[:p.index.Walk(r.Name, matches)]
	v := view{policy: p, matches: matches, labels: countLabels(r.Name), hour: r.Time.Unix() / secondsPerHour}
	for zone := range p.zones {
		if list := v.candidates(zone, r.Name, &d); len(list) > 0 {
			z := &p.zones[zone]
			e.Zones = append(e.Zones, ZoneExplanation{Zone: z.Name, Position: zone + 1, LogOnly: z.LogOnly, Observe: z.Observe, Candidates: list})
		}
	}
	e.Unheld = v.unheld(r.Name)
	e.compare()
	return e
}

func text(name []byte) string { return string(dnsname.AppendText(nil, name)) }

// candidates lists what the zone says, in order of precedence.
func (v *view) candidates(zone int, name []byte, d *Decision) (list []Candidate) {
	z := &v.policy.zones[zone]
	for i := range v.matches {
		r := v.members(i)
		for n := uint16(0); r.next(); n++ {
			rank := v.policy.rankOf(zone, r.member.Feed)
			if rank == 0 {
				continue
			}
			c := v.candidate(i, &r.member, name)
			c.Zone, c.Action, c.rank = z.Name, z.action(r.member.Action), rank
			c.Hit = Hit{Set: v.matches[i].Set, Zone: uint16(zone), Member: n, Labels: c.Labels, Trigger: TriggerQNAME, Action: c.Action}
			c.settle(z, d)
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Labels, a.Labels), cmp.Compare(a.rank, b.rank))
	})
	return list
}

// candidate describes m, a member of the i-th match.
func (v *view) candidate(i int, m *Member, name []byte) Candidate {
	manifest := v.policy.manifest
	listed := []byte(dnsname.Name(name).Suffix(int(v.matches[i].Labels)))
	c := Candidate{
		Feed: manifest.Feeds[m.Feed].Name, FeedNumber: m.Feed, Family: manifest.Families[m.Family], Threat: manifest.Threats[m.Threat],
		Confidence: -1, Kind: m.Kind, Trigger: TriggerQNAME, Listed: text(listed), ListedName: listed, Labels: v.matches[i].Labels,
		Exception: m.Exception, Status: v.judge(i, m).status(), whole: v.matches[i].Labels == v.labels,
	}
	if m.Confidence != ConfidenceUnknown {
		c.Confidence = int(m.Confidence)
	}
	if m.Expiry != 0 {
		c.Expires = time.Unix(int64(m.Expiry)*secondsPerHour, 0).UTC()
	}
	return c
}

// settle tells what became of a candidate that might have been the winner.
func (c *Candidate) settle(z *Zone, d *Decision) {
	if c.Status != StatusBeaten {
		return
	}
	won, seen := c.Hit, c.Hit
	won.Enforced = true
	c.Recorded = d.Winner == won || slices.Contains(d.Observed[:d.NObserved], seen)
	switch {
	case d.Winner == won:
		c.Status = StatusWins
	case z.LogOnly:
		c.Status = StatusLogOnly
	case c.Action == ActionDisabled:
		c.Status = StatusDisabled
	}
}

// unheld lists what feeds say that no zone holds.
func (v *view) unheld(name []byte) (list []Candidate) {
	for i := len(v.matches) - 1; i >= 0; i-- {
		for r := v.members(i); r.next(); {
			if v.policy.heldNowhere(r.member.Feed) && r.member.Kind != KindENT {
				c := v.candidate(i, &r.member, name)
				c.Action, c.Status = r.member.Action, StatusUnheld
				list = append(list, c)
			}
		}
	}
	return list
}

func (p *Policy) heldNowhere(feed uint16) bool {
	for zone := range p.zones {
		if p.rankOf(zone, feed) != 0 {
			return false
		}
	}
	return true
}

// compare names the clauses of precedence: by which each rule that could have decided was beaten, and by which the winner won, which is
// the one that beat the next best.
func (e *Explanation) compare() {
	e.eachCandidate(func(c *Candidate) {
		if c.Status == StatusWins {
			winner := *c
			e.Winner, e.Clause = &winner, ClauseAlone
		}
	})
	if e.Winner == nil {
		return
	}
	e.eachCandidate(func(c *Candidate) {
		if c.Status == StatusBeaten {
			if c.Clause = e.Winner.beats(c); e.Clause == ClauseAlone {
				e.Clause = c.Clause
			}
		}
	})
}

func (e *Explanation) eachCandidate(visit func(*Candidate)) {
	for i := range e.Zones {
		for j := range e.Zones[i].Candidates {
			visit(&e.Zones[i].Candidates[j])
		}
	}
}

// beats returns the clause of precedence that puts c before loser.
func (c *Candidate) beats(loser *Candidate) Clause {
	switch {
	case c.Hit.Zone != loser.Hit.Zone:
		return ClauseZoneOrder
	case c.whole && !loser.whole:
		return ClauseExact
	case c.Labels != loser.Labels:
		return ClauseLabels
	case c.rank != loser.rank:
		return ClauseFeedOrder
	}
	return ClauseSetOrder
}
