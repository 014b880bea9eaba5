package dnsserver

import (
	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
)

// policy writes what the winning rule says. A rule that matched further down the answer's CNAME chain rewrites from its own step on: the
// steps before it stay, as if the client had asked for the target itself (RPZ draft section 5.3), and end in the rule's data. Nothing
// here is signed, and the AD bit is never set.
func (m *writer) policy(w *worker, q *Query) {
	h, z := &q.decision.Winner, q.zone()
	steps := min(int(h.Stage), q.chase.stages)
	owner := m.chain(q, steps, z.TTL)
	switch h.Action {
	case policy.ActionNXDOMAIN:
		q.draft.rcode = wire.RcodeNXDomain
	case policy.ActionSinkhole:
		m.sinkhole(owner, q.request.Type, z)
	case policy.ActionLocalData:
		m.localData(q, owner, z)
	case policy.ActionNODATA, policy.ActionDefault, policy.ActionPassthru, policy.ActionDrop, policy.ActionTCPOnly, policy.ActionDisabled:
	}
	if m.counts[wire.SectionAnswer] == steps && q.draft.rcode != wire.RcodeYXDomain && q.draft.rcode != wire.RcodeServFail {
		m.soa(wire.SectionAuthority, owner, z.TTL)
	}
	if z.AddSOA {
		m.policySOA(q, z)
	}
}

// policySOA writes the SOA of the policy zone, which tells who decided and by which state of the feed. It is left out where it does not fit, and where
// nobody says the name of the zone.
func (m *writer) policySOA(q *Query, z *policy.Zone) {
	soa := q.policy.SOA(&q.decision.Winner)
	if soa == nil || len(soa.Name) == 0 || m.full || len(m.buf)+len(soa.Name)+10+len(soa.Data) > m.limit {
		return
	}
	m.record(wire.SectionAdditional, soa.Name, wire.TypeSOA, wire.ClassIN, min(soa.TTL, z.TTLMax), soa.Data)
}

// chain writes the given number of steps from the query name as CNAME records, for no longer than the rule's own answer holds,
// and returns the owner of what follows.
func (m *writer) chain(q *Query, steps int, ttlMax uint32) []byte {
	first := pointerTo(0)
	owner := append(m.owner[:0], first[:]...)
	rest := q.chase.chain
	for range steps {
		var ttl uint32
		var target []byte
		ttl, target, rest = cutStep(rest)
		m.record(wire.SectionAnswer, owner, wire.TypeCNAME, wire.ClassIN, min(ttl, ttlMax), target)
		owner = append(m.owner[:0], target...)
	}
	return owner
}

// sinkhole writes the zone's addresses of the family that was asked for. Every other type has no data: an HTTPS or SVCB record would lead
// the client past the sinkhole.
func (m *writer) sinkhole(owner []byte, rtype uint16, z *policy.Zone) {
	if rtype == wire.TypeA || rtype == wire.TypeANY {
		for _, addr := range z.IPv4 {
			a := addr.As4()
			m.record(wire.SectionAnswer, owner, wire.TypeA, wire.ClassIN, z.TTL, append(m.scratch[:0], a[:]...))
		}
	}
	if rtype == wire.TypeAAAA || rtype == wire.TypeANY {
		for _, addr := range z.IPv6 {
			a := addr.As16()
			m.record(wire.SectionAnswer, owner, wire.TypeAAAA, wire.ClassIN, z.TTL, append(m.scratch[:0], a[:]...))
		}
	}
}

// localData writes the rule's own records as the whole data of the name: the type that was asked for, else a CNAME, else none; all of
// them for ANY (RPZ draft section 3.6).
func (m *writer) localData(q *Query, owner []byte, z *policy.Zone) {
	data := q.policy.Rule(q.decision.Winner).Data
	if data == nil {
		return
	}
	if q.request.Type == wire.TypeANY {
		for i := range data.RRsets {
			m.rrset(q, owner, &data.RRsets[i], z)
		}
		return
	}
	if set := findRRset(data, q.request.Type); set != nil {
		m.rrset(q, owner, set, z)
		return
	}
	if set := findRRset(data, wire.TypeCNAME); set != nil {
		m.rrset(q, owner, set, z)
		m.target(q)
	}
}

func (m *writer) rrset(q *Query, owner []byte, set *policy.RRset, z *policy.Zone) {
	ttl := min(set.TTL, z.TTLMax)
	for _, rdata := range set.RData {
		if set.Type == wire.TypeCNAME {
			var target [dnsname.WireMax]byte
			n, ok := expandTarget(&target, rdata, q.nameOf(&q.decision.Winner))
			if !ok { // to answer without the record would let the client past the rule (RFC 6672 section 2.2 gives the code)
				q.draft.rcode = wire.RcodeYXDomain
				return
			}
			rdata = append(m.scratch[:0], target[:n]...)
		}
		m.record(wire.SectionAnswer, owner, set.Type, wire.ClassIN, ttl, rdata)
	}
}

// target writes what step 3 found at the target of the rule's CNAME. If it found nothing, the client gets SERVFAIL and no records, as wherever an alias leads
// to no answer, unless it did not ask for recursion: then it may follow by itself.
func (m *writer) target(q *Query) {
	s := &q.source
	switch {
	case !q.chase.wanted || !s.done:
	case s.msg == nil && s.rcode == wire.RcodeServFail, s.msg != nil && wire.Rcode(s.msg) == wire.RcodeServFail:
		m.withdraw(q)
		q.draft.rcode = wire.RcodeServFail
	case s.msg != nil:
		q.draft.rcode = wire.Rcode(s.msg)
		m.expand(s.msg, wire.SectionAnswer, 0)
		m.expand(s.msg, wire.SectionAuthority, wire.TypeSOA) // by which the client keeps that there is nothing (RFC 2308 section 2)
	}
}

// expand writes the records of one section of a message to another question, all or those of one type: names in it are compressed against offsets that do
// not hold here.
func (m *writer) expand(msg []byte, section int, rtype uint16) {
	records, err := wire.Records(msg)
	for err == nil && records.Next() && records.Section <= section {
		if records.Section != section || rtype != 0 && records.Type != rtype {
			continue
		}
		owner, _, nameErr := wire.AppendName(m.owner[:0], msg, records.NameOff)
		rdata, dataErr := wire.AppendData(m.scratch[:0], msg, records.Type, records.DataOff, records.Offset())
		if nameErr != nil || dataErr != nil {
			continue
		}
		m.record(section, owner, records.Type, records.Class, records.TTL, rdata)
	}
}
