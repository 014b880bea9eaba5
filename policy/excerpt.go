package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/wire"
)

// Selection says which rules of a policy an excerpt has. What lets names through always belongs to it: an excerpt that left those rules out would stop what
// the policy does not. The zero value takes all rules of the default's zones.
type Selection struct {
	View       string   // whose zones; none is the default
	Feeds      []string // only rules of these feeds; none: of all
	Threats    []string // only rules with one of these threat types; none: whatever it is
	Confidence uint8    // only rules that are at least so sure; 0: all, and those too that do not say
}

// ErrSelection is the fault of a selection that the policy has nothing for.
var ErrSelection = errors.New("nothing in the policy is so named")

// Excerpt returns the policy that has the zones of one view alone, of which those are left out that only record, and the rules that s selects. It answers
// early, and a canary counts as the whole view; the schedule and the clients of the view do not count.
func (p *Policy) Excerpt(s Selection) (*Policy, error) {
	from, err := p.scopeOf(s.View)
	if err != nil {
		return nil, err
	}
	c := Config{Generation: p.generation, Index: p.index, AnswerEarly: true}
	for _, z := range p.zones[from.from:from.to] {
		if z.LogOnly {
			continue
		}
		z.selects = &s
		c.Zones = append(c.Zones, z)
	}
	for _, f := range s.Feeds {
		if !slices.ContainsFunc(c.Zones, func(z Zone) bool { return slices.Contains(z.Feeds, f) }) {
			return nil, fmt.Errorf("%w: no zone that answers holds the feed %q", ErrSelection, f)
		}
	}
	return New(c)
}

// scopeOf finds the zones of a view, with those of its canary.
func (p *Policy) scopeOf(view string) (scope, error) {
	if view == "" {
		return p.scopes[0], nil
	}
	at := slices.IndexFunc(p.views, func(v View) bool { return v.Name == view })
	if at < 0 {
		return scope{}, fmt.Errorf("%w: view %q", ErrSelection, view)
	}
	return p.scopes[1+2*at], nil
}

// takes reports whether a rule with the action is selected.
func (s *Selection) takes(m *Manifest, k *Member, a Action) bool {
	switch {
	case s == nil, a == ActionPassthru:
		return true
	case len(s.Feeds) > 0 && !slices.Contains(s.Feeds, m.Feeds[k.Feed].Name):
		return false
	case len(s.Threats) > 0 && !slices.Contains(s.Threats, m.Threats[k.Threat]):
		return false
	}
	return s.Confidence == 0 || k.Confidence != ConfidenceUnknown && k.Confidence >= s.Confidence
}

// Ruling returns what the zones of everybody decide about what a key stands for and nothing else: a name, a name server, or all addresses of a prefix; or,
// if below is set, about the names that lie below it and below no longer listed name. Its Trigger is TriggerNone where no rule decides.
// Patterns are not asked. The Labels of the hit are those of the key if the key itself is listed, and fewer if the rule reaches down to it; 0 for a prefix.
func (p *Policy) Ruling(key []byte, below bool, at time.Time) Hit {
	if p.index == nil {
		return Hit{}
	}
	x := asking{request: &Request{Time: at, Type: wire.TypeANY, RD: true}, scope: &p.scopes[0]}
	t := TriggerOf(key)
	if t.ByAddress() {
		return p.rulingOnPrefix(&x, t, key, below)
	}
	labels := countLabels(key)
	if below {
		labels++
	}
	v := x.listing(p, labels)
	var many [dnsname.LabelsMax + 1]nameindex.Match
	v.matches = many[:p.index.Walk(key, many[:])]
	var d Decision
	if v.settled() && len(v.matches) <= fewMatches {
		v.merge(&d, 0)
	} else {
		v.judgeAll(&d, 0)
	}
	if d.Matched() {
		d.Winner.Trigger = t
	}
	return d.Winner
}

func (p *Policy) rulingOnPrefix(x *asking, t Trigger, key []byte, below bool) Hit {
	prefix, ok := KeyPrefix(key)
	if !ok || below || !p.addresses.has(t) {
		return Hit{}
	}
	var hits addressHits
	p.addresses.cover(&hits, t, prefix)
	s := stage{policy: p, asking: *x}
	hits.settle()
	for zone := range p.zones {
		if _, decider := s.askAddresses(t, hits.list(), zone); decider.Trigger != TriggerNone {
			return decider
		}
	}
	return Hit{}
}

// NextExpiry returns when, after the given time, the first member expires; false if none does.
func (p *Policy) NextExpiry(after time.Time) (next time.Time, ok bool) {
	hour, least := after.Unix()/secondsPerHour, int64(math.MaxInt64)
	for id := range p.sets {
		if p.sets[id].until == math.MaxUint32 {
			continue
		}
		for r := (setReader{rest: p.index.Set(uint32(id))}); r.next(); {
			if e := int64(r.member.Expiry); e > hour {
				least = min(least, e)
			}
		}
	}
	if least == math.MaxInt64 {
		return time.Time{}, false
	}
	return time.Unix(least*secondsPerHour, 0), true
}

// Expired reports, of each set of the index, whether members of it expire after a time and not after another.
func (p *Policy) Expired(after, until time.Time) []bool {
	from, to := after.Unix()/secondsPerHour, until.Unix()/secondsPerHour
	out := make([]bool, len(p.sets))
	for id := range p.sets {
		if p.sets[id].until == math.MaxUint32 {
			continue
		}
		for r := (setReader{rest: p.index.Set(uint32(id))}); r.next(); {
			e := int64(r.member.Expiry)
			out[id] = out[id] || e > from && e <= to
		}
	}
	return out
}
