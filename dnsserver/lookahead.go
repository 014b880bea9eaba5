package dnsserver

import (
	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
	"cenote/zone"
)

// lookahead fetches, for a whole batch of messages, what answering them will look at in large tables. It belongs to one goroutine.
type lookahead struct {
	policy policy.Lookahead
	zones  zone.Lookahead
	name   [dnsname.WireMax]byte
}

// add notes the name that msg asks for. A message that is no question is passed over: whoever reads it in earnest says so.
func (l *lookahead) add(p *policy.Policy, zones *zone.Set, msg []byte) {
	if len(msg) <= wire.HeaderLen {
		return
	}
	n, _, err := dnsname.Check(msg[wire.HeaderLen:])
	if err != nil {
		return
	}
	name := l.name[:n]
	dnsname.Lower(name, msg[wire.HeaderLen:wire.HeaderLen+n])
	if p != nil {
		l.policy.Add(p, name)
	}
	if zones != nil {
		l.zones.Add(zones, name)
	}
}

// fetch fetches what was noted.
func (l *lookahead) fetch(p *policy.Policy) {
	if p != nil {
		l.policy.Fetch(p)
	}
	l.zones.Fetch()
}
