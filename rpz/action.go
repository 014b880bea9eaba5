package rpz

import (
	"net/netip"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
)

// The targets that stand for actions (RPZ draft section 3), in wire form.
const (
	targetNXDOMAIN = "\x00"
	targetNODATA   = "\x01*\x00"
	targetPassthru = "\x0crpz-passthru\x00"
	targetDrop     = "\x08rpz-drop\x00"
	targetTCPOnly  = "\x0crpz-tcp-only\x00"
)

// Answer is what a zone says in place of the actions of a policy that stop something.
type Answer struct {
	Action policy.Action // ActionDefault: what the policy says
	IPv4   []netip.Addr  // of ActionSinkhole: for A
	IPv6   []netip.Addr  // and for AAAA
	Target dnsname.Name  // of ActionLocalData: where a CNAME leads; "*.name" puts the query name before it
	TTL    uint32        // seconds, of the records of both
}

// said is what an owner says: the same for all whose rules do the same. A nil said is nothing.
type said struct {
	records []data
	passes  bool // it says rpz-passthru
	typed   bool // it cannot be said
}

// data is a record without its owner.
type data struct {
	rtype uint16
	ttl   uint32
	rdata []byte
}

func alias(target string, ttl uint32) *said {
	return &said{records: []data{{wire.TypeCNAME, ttl, []byte(target)}}, passes: target == targetPassthru}
}

// deed is what decides how a hit is said.
type deed struct {
	zone   uint16
	action policy.Action
	data   uint32
}

// say finds what a ruling says in a policy zone. Rulings that do the same have the same said, so that they can be compared.
func (g *Generator) say(h policy.Hit) *said {
	if h.Trigger == policy.TriggerNone {
		return nil
	}
	rule := g.policy.Rule(h)
	d := deed{zone: h.Zone, action: h.Action}
	if h.Action == policy.ActionLocalData && rule.Zone.Override != policy.ActionLocalData {
		d.data = rule.Member.Data
	}
	if s, ok := g.deeds[d]; ok {
		return s
	}
	s := g.unify(g.render(&rule, h.Action))
	g.deeds[d] = s
	return s
}

// unify returns the said that has the same records, if there is one.
func (g *Generator) unify(s *said) *said {
	key := s.text()
	if have := g.byText[key]; have != nil {
		return have
	}
	g.byText[key] = s
	return s
}

// render makes the records of a rule.
func (g *Generator) render(r *policy.Rule, a policy.Action) *said {
	z := r.Zone
	if a == policy.ActionPassthru {
		return alias(targetPassthru, z.TTL)
	}
	if g.answer.Action != policy.ActionDefault {
		return g.answer.said(g.answer.Action)
	}
	if a == policy.ActionLocalData {
		if z.LocalDataOr != policy.ActionDefault {
			return &said{typed: true}
		}
		return localData(r.Data, z.TTLMax)
	}
	own := Answer{IPv4: z.IPv4, IPv6: z.IPv6, TTL: z.TTL}
	return own.said(a)
}

// said makes the records of an action.
func (w *Answer) said(a policy.Action) *said {
	switch a {
	case policy.ActionNXDOMAIN:
		return alias(targetNXDOMAIN, w.TTL)
	case policy.ActionNODATA:
		return alias(targetNODATA, w.TTL)
	case policy.ActionPassthru:
		return alias(targetPassthru, w.TTL)
	case policy.ActionDrop:
		return alias(targetDrop, w.TTL)
	case policy.ActionTCPOnly:
		return alias(targetTCPOnly, w.TTL)
	case policy.ActionLocalData:
		return alias(string(w.Target), w.TTL)
	case policy.ActionSinkhole:
		return w.sinkhole()
	case policy.ActionDefault, policy.ActionDisabled:
	}
	return &said{}
}

// sinkhole has addresses; without any, no type has data.
func (w *Answer) sinkhole() *said {
	s := &said{}
	for _, a := range w.IPv4 {
		s.records = append(s.records, data{wire.TypeA, w.TTL, a.AsSlice()})
	}
	for _, a := range w.IPv6 {
		s.records = append(s.records, data{wire.TypeAAAA, w.TTL, a.AsSlice()})
	}
	if len(s.records) == 0 {
		return alias(targetNODATA, w.TTL)
	}
	return s
}

func localData(d *policy.LocalData, ttlMax uint32) *said {
	s := &said{}
	for _, set := range d.RRsets {
		for _, rdata := range set.RData {
			s.records = append(s.records, data{set.Type, min(set.TTL, ttlMax), rdata})
		}
	}
	return s
}

// text tells saids apart.
func (s *said) text() string {
	var b []byte
	if s.typed {
		b = append(b, "typed"...)
	}
	for _, d := range s.records {
		b = append(b, byte(d.rtype>>8), byte(d.rtype), byte(d.ttl>>24), byte(d.ttl>>16), byte(d.ttl>>8), byte(d.ttl), byte(len(d.rdata)>>8), byte(len(d.rdata)))
		b = append(b, d.rdata...)
	}
	return string(b)
}
