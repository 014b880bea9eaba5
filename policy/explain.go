package policy

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/wire"
)

// Explanation says what a policy decides about a query, and why. It is made by the code that decides.
type Explanation struct {
	Name       string             `json:"name"`           // escaped
	View       string             `json:"view,omitempty"` // the group of clients whose zones are asked; none is the default
	Generation uint64             `json:"generation"`
	Winner     *Candidate         `json:"winner"`            // null: no rule decides, and the truth is answered
	Clause     Clause             `json:"clause"`            // of precedence, by which the winner beats the next best
	Pending    bool               `json:"pending,omitempty"` // the winner holds only if the answer, which is not known, matches no earlier zone
	Zones      []ZoneExplanation  `json:"zones"`             // those that list something, in order of precedence
	Chain      []StageExplanation `json:"chain,omitempty"`   // the same for the names that the answer leads to
	Unheld     []Candidate        `json:"unheld,omitempty"`  // what feeds say that no zone holds
	Overflowed bool               `json:"overflowed,omitempty"`

	early bool // the winner decided before the answer was looked at
}

// StageExplanation is what the zones say about one name of the chain.
type StageExplanation struct {
	Stage  int               `json:"stage"`            // from 1
	Record int               `json:"record,omitempty"` // of the target of an SVCB or HTTPS record: its number in the answer, from 1
	Name   string            `json:"name"`             // escaped
	Zones  []ZoneExplanation `json:"zones"`
}

// ZoneExplanation is what one zone says about a name and what is known of it.
type ZoneExplanation struct {
	Zone       string      `json:"zone"`
	Position   int         `json:"position"` // in the order of zones, from 1
	LogOnly    bool        `json:"log_only,omitempty"`
	Observe    bool        `json:"observe,omitempty"`
	Candidates []Candidate `json:"candidates"` // in order of precedence
}

// Candidate is one member of a set with which the name, or one above it, an address or a name server is listed.
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
	Listed     string    `json:"listed"`           // the listed name, escaped, or address
	Server     string    `json:"server,omitempty"` // the name server that falls under it, escaped
	Key        []byte    `json:"-"`                // what the feed's rows have; see KeyText
	Labels     uint8     `json:"labels,omitempty"` // of the listed name
	Action     Action    `json:"action"`           // what the rule does in this zone
	Exception  bool      `json:"exception,omitempty"`
	Status     Status    `json:"status"`
	Clause     Clause    `json:"beaten_by,omitzero"` // the clause of precedence by which the winner beats it
	Recorded   bool      `json:"recorded"`           // a query for the name is recorded with this rule
	Hit        Hit       `json:"-"`

	place         place
	plain, signed bool // of the query; see Zone
}

// place is what orders candidates of one stage and zone.
type place struct {
	order  int          // of an address: where its rule comes among those of the trigger
	whole  bool         // the listed name is the name itself
	server dnsname.Name // that falls under the rule
	prefix netip.Prefix
	rank   uint16 // of the feed in the zone
}

// Explain says what the policy decides about a query and why: every zone that lists something of it, and every rule in it. answer is what would be
// answered, as far as it is known; nil if nothing is.
func (p *Policy) Explain(r *Request, answer *Answer) Explanation {
	e := Explanation{Name: text(r.Name), Generation: p.generation, Zones: []ZoneExplanation{}}
	if p.index == nil {
		return e
	}
	e.View = p.ViewOf(r)
	d := p.CheckQuery(r)
	x := p.ask(r)
	e.early = d.Matched() && !d.Pending
	if e.Pending = d.Pending && answer == nil; answer == nil {
		answer = &Answer{}
	} else if !e.early { // what is decided without the answer is so whatever signatures that has
		x.signed = x.signs(answer)
		d = p.CheckAnswer(r, answer, d)
	}
	e.Overflowed = d.Overflowed
	var c Chain
	c.Begin(r.Name, answer.Msg)
	for number, more := 0, true; more; number++ {
		name := bytes.Clone(c.Name())
		more = Followed(r.Type) && len(answer.Msg) > 0 && c.Next()
		s := x.stageOf(p, answer, name, number, !more)
		zones := s.explain(&d)
		if number == 0 {
			e.Zones, e.Unheld = zones, s.unheld()
		} else if len(zones) > 0 || more {
			e.Chain = append(e.Chain, StageExplanation{Stage: number, Name: text(name), Zones: zones})
		}
	}
	if wire.IsSVCB(r.Type) {
		e.explainTargets(p, &x, answer, &d, c.Steps()+1)
	}
	e.compare()
	return e
}

// explainTargets adds the names that SVCB and HTTPS records lead to, as far as anything lists them.
func (e *Explanation) explainTargets(p *Policy, x *asking, a *Answer, d *Decision, number int) {
	for targets := targetsIn(a.Msg); targets.next(); {
		s := &stage{policy: p, asking: *x, number: uint8(number), link: targets.record}
		s.rename(targets.name)
		if zones := s.explain(d); len(zones) > 0 {
			e.Chain = append(e.Chain, StageExplanation{Stage: number, Record: int(s.link), Name: text(s.name()), Zones: zones})
		}
	}
}

// stageOf gathers all that is known at one name of the chain.
func (x *asking) stageOf(p *Policy, a *Answer, name []byte, number int, last bool) *stage {
	s := &stage{policy: p, asking: *x, number: uint8(number)}
	s.rename(name)
	s.answered(a, last)
	if number == 0 {
		s.client()
	}
	if number < len(a.Paths) {
		s.path(&a.Paths[number])
	}
	return s
}

func text(name []byte) string { return string(dnsname.AppendText(nil, name)) }

// explain lists the zones that say something.
func (s *stage) explain(d *Decision) []ZoneExplanation {
	zones := []ZoneExplanation{}
	s.look()
	for zone := s.scope.from; zone < s.scope.to; zone++ {
		if list := s.candidates(zone, d); len(list) > 0 {
			z := &s.policy.zones[zone]
			zones = append(zones, ZoneExplanation{Zone: z.Name, Position: zone - s.scope.from + 1, LogOnly: z.LogOnly, Observe: z.Observe, Candidates: list})
		}
	}
	return zones
}

// candidates lists what the zone says, in order of precedence.
func (s *stage) candidates(zone int, d *Decision) (list []Candidate) {
	z := &s.policy.zones[zone]
	names := s.names()
	s.eachMember(func(c Candidate, m *Member) {
		rank := s.policy.rankOf(zone, m.Feed)
		if rank == 0 || c.Hit.Implied && !z.implies(c.Trigger) {
			return
		}
		action, ok := names.action(zone, m)
		if !ok {
			return
		}
		c.Zone, c.Action, c.place.rank = z.Name, action, rank
		c.Hit.Zone, c.Hit.Action, c.Hit.Stage, c.Hit.Link, c.Hit.Trigger = uint16(zone), c.Action, s.number, s.link, c.Trigger
		c.plain, c.signed = !s.request.RD, s.signed
		c.settle(z, d)
		list = append(list, c)
	})
	slices.SortStableFunc(list, func(a, b Candidate) int { return a.compare(&b) })
	return list
}

// compare orders candidates of one zone.
func (c *Candidate) compare(o *Candidate) int {
	before := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(c.Trigger, o.Trigger), cmp.Compare(c.place.order, o.place.order), before(c.place.whole, o.place.whole),
		cmp.Compare(o.labels(), c.labels()), dnsname.Compare(o.place.server, c.place.server), before(!c.Hit.Implied, !o.Hit.Implied),
		cmp.Compare(c.place.rank, o.place.rank))
}

// labels is how many labels the listed name has, as far as that counts.
func (c *Candidate) labels() uint8 {
	h := Hit{Labels: c.Labels, Implied: c.Hit.Implied && c.Trigger == TriggerNSDNAME}
	return h.serverLabels()
}

// implies reports whether rules that are not about name servers count for them too, as those of the trigger.
func (z *Zone) implies(t Trigger) bool {
	return t == TriggerNSDNAME && z.QNAMEAsNS || t == TriggerNSIP && z.IPAsNS
}

// eachMember calls visit for every member of every set that lists something at the stage.
func (s *stage) eachMember(visit func(Candidate, *Member)) {
	s.eachAddress(TriggerClientIP, s.clients.list(), visit)
	names := s.names()
	for i := range names.matches {
		listed := []byte(dnsname.Name(s.name()).Suffix(int(names.matches[i].Labels)))
		names.each(i, Candidate{Trigger: TriggerQNAME, Listed: text(listed), Key: listed}, visit)
	}
	s.eachAddress(TriggerPattern, s.patterns, visit)
	s.eachAddress(TriggerIP, s.ips.list(), visit)
	for i := range s.servers {
		v := &s.servers[i]
		for j := range v.matches {
			listed := []byte(dnsname.Name(v.key).Suffix(int(v.matches[j].Labels)))
			c := Candidate{Trigger: TriggerNSDNAME, Listed: KeyText(listed), Key: listed, Server: text(v.name)}
			c.Hit.Entry, c.Hit.Implied, c.place.server = v.entry, v.implied, dnsname.Name(v.name)
			v.each(j, c, visit)
		}
	}
	s.eachAddress(TriggerNSIP, s.nsips.list(), visit)
}

func (s *stage) eachAddress(t Trigger, hits []addressHit, visit func(Candidate, *Member)) {
	names := s.names()
	for i := range hits {
		h := &hits[i]
		v := s.listing(s.policy, 1)
		v.matches = []nameindex.Match{{Set: h.set, Labels: 1}}
		if h.trigger == TriggerPattern {
			v.beside = &names
		}
		c := Candidate{Trigger: t, Key: s.policy.AppendKey(nil, &Hit{Trigger: h.trigger, Entry: h.entry}, nil)}
		c.Listed = KeyText(c.Key)
		c.Hit.Implied = h.trigger != t
		c.Hit.Entry, c.place.order, c.place.prefix = h.entry, i, h.prefix()
		v.each(0, c, func(c Candidate, m *Member) {
			c.Labels, c.Hit.Labels = 0, 0
			visit(c, m)
		})
	}
}

// each describes the members of the i-th match.
func (v *listing) each(i int, start Candidate, visit func(Candidate, *Member)) {
	manifest := v.policy.manifest
	r := v.members(i)
	for n := uint16(0); r.next(); n++ {
		m := r.member
		c := start
		c.Feed, c.FeedNumber, c.Family, c.Threat = manifest.Feeds[m.Feed].Name, m.Feed, manifest.Families[m.Family], manifest.Threats[m.Threat]
		c.Confidence, c.Kind, c.Labels, c.Exception = -1, m.Kind, v.matches[i].Labels, m.Exception
		c.Status, c.place.whole = v.judge(i, &m).status(), v.matches[i].Labels == v.labels
		c.Hit.Set, c.Hit.Member, c.Hit.Labels = v.matches[i].Set, n, c.Labels
		if m.Confidence != ConfidenceUnknown {
			c.Confidence = int(m.Confidence)
		}
		if m.Expiry != 0 {
			c.Expires = time.Unix(int64(m.Expiry)*secondsPerHour, 0).UTC()
		}
		visit(c, &m)
	}
}

// settle tells what became of a candidate that might have been the winner.
func (c *Candidate) settle(z *Zone, d *Decision) {
	if c.Status != StatusBeaten {
		return
	}
	if z.spares(c.plain, c.signed) {
		c.Status = StatusSpared
		return
	}
	won := d.Winner == c.Hit
	c.Recorded = won || slices.Contains(d.Observed[:d.NObserved], c.Hit)
	switch {
	case won:
		c.Status = StatusWins
	case z.LogOnly:
		c.Status = StatusLogOnly
	case c.Action == ActionDisabled:
		c.Status = StatusDisabled
	}
}

// unheld lists what feeds say that no zone holds.
func (s *stage) unheld() (list []Candidate) {
	s.eachMember(func(c Candidate, m *Member) {
		if s.heldNowhere(m.Feed) && m.Kind != KindENT && !c.Hit.Implied {
			c.Action, c.Status = m.Action, StatusUnheld
			list = append(list, c)
		}
	})
	slices.SortStableFunc(list, func(a, b Candidate) int { return a.compare(&b) })
	return list
}

// heldNowhere reports whether none of the zones that are asked holds a feed.
func (s *stage) heldNowhere(feed uint16) bool {
	for zone := s.scope.from; zone < s.scope.to; zone++ {
		if s.policy.rankOf(zone, feed) != 0 {
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
			if c.Clause = e.Winner.beats(c); e.early && c.Trigger >= TriggerIP && c.Hit.Stage == 0 && c.Hit.Zone < e.Winner.Hit.Zone {
				c.Clause = ClauseEarly
			}
			if e.Clause == ClauseAlone {
				e.Clause = c.Clause
			}
		}
	})
}

func (e *Explanation) eachCandidate(visit func(*Candidate)) {
	for i := range e.Zones {
		e.Zones[i].each(visit)
	}
	for i := range e.Chain {
		for j := range e.Chain[i].Zones {
			e.Chain[i].Zones[j].each(visit)
		}
	}
}

func (z *ZoneExplanation) each(visit func(*Candidate)) {
	for i := range z.Candidates {
		visit(&z.Candidates[i])
	}
}

// beats returns the clause of precedence that puts c before loser.
func (c *Candidate) beats(loser *Candidate) Clause {
	p, q := &c.place, &loser.place
	switch {
	case c.Hit.Stage != loser.Hit.Stage, c.Hit.Link != loser.Hit.Link:
		return ClauseChain
	case c.Hit.Zone != loser.Hit.Zone:
		return ClauseZoneOrder
	case c.Trigger != loser.Trigger:
		return ClauseTrigger
	case p.prefix != q.prefix && internalBits(p.prefix) != internalBits(q.prefix):
		return ClausePrefix
	case p.prefix != q.prefix:
		return ClauseAddress
	case p.whole && !q.whole:
		return ClauseExact
	case c.labels() != loser.labels():
		return ClauseLabels
	case p.server != q.server:
		return ClauseServer
	case c.Hit.Implied != loser.Hit.Implied:
		return ClauseStated
	case p.rank != q.rank:
		return ClauseFeedOrder
	}
	return ClauseSetOrder
}
