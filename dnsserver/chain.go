package dnsserver

import (
	"encoding/binary"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
)

// follow notes the names of the answer's CNAME chain as far as rules matched, for the reply, which keeps the steps before the match, and for
// the record of matches. It does so before another answer takes the buffer.
func (q *Query) follow() {
	last := int(q.decision.Winner.Stage)
	for i := range q.decision.NObserved {
		last = max(last, int(q.decision.Observed[i].Stage))
	}
	if q.chase.stages >= last || q.source.msg == nil {
		return
	}
	var c policy.Chain
	c.Begin(q.request.Name, q.source.msg)
	for q.chase.stages < last && c.Next() {
		if c.Steps() > q.chase.stages {
			q.chase.chain = append(binary.BigEndian.AppendUint32(q.chase.chain, c.TTL()), c.Name()...)
			q.chase.stages++
		}
	}
}

// link notes the names of SVCB and HTTPS records that rules matched, for the same ends as follow.
func (q *Query) link() {
	if !wire.IsSVCB(q.request.Type) || q.source.msg == nil {
		return
	}
	q.linkTo(&q.decision.Winner)
	for i := range q.decision.NObserved {
		q.linkTo(&q.decision.Observed[i])
	}
}

func (q *Query) linkTo(h *policy.Hit) {
	if h.Link != 0 && q.linked(h.Link) == nil {
		q.chase.linked = binary.BigEndian.AppendUint16(q.chase.linked, h.Link)
		q.chase.linked = policy.SVCTarget(q.chase.linked, q.source.msg, h.Link)
	}
}

// linked returns the name that the SVCB record of that number leads to, or nil if it was not noted.
func (q *Query) linked(number uint16) []byte {
	for rest := q.chase.linked; len(rest) > 2; {
		n, _, err := dnsname.Check(rest[2:])
		if err != nil {
			return nil
		}
		if binary.BigEndian.Uint16(rest) == number {
			return rest[2 : 2+n]
		}
		rest = rest[2+n:]
	}
	return nil
}

// nameOf is the name that a match is about, canonical: that of its stage, or the one that an SVCB record leads to.
func (q *Query) nameOf(h *policy.Hit) []byte {
	if h.Link != 0 {
		if name := q.linked(h.Link); name != nil {
			return name
		}
	}
	return q.nameAt(int(h.Stage))
}

// nameAt is the name at a stage of the chain, canonical: the query name at stage 0, then the target of each step.
func (q *Query) nameAt(stage int) []byte {
	name := q.request.Name
	for chain := q.chase.chain; stage > 0 && len(chain) > 0; stage-- {
		_, name, chain = cutStep(chain)
	}
	return name
}

// cutStep reads the first step of a chain as follow writes it.
func cutStep(chain []byte) (ttl uint32, name, rest []byte) {
	n, _, _ := dnsname.Check(chain[4:])
	return binary.BigEndian.Uint32(chain), chain[4 : 4+n], chain[4+n:]
}

// aim finds out whether the winning rule's own records lead to a name whose data belong into the reply, and makes step 3 look for it.
// Names that are answered here are left to the client: asking for them would be to ask ourselves.
func (w *worker) aim(q *Query) bool {
	if q.request.Type == wire.TypeCNAME || q.request.Type == wire.TypeANY || q.decision.Winner.Action != policy.ActionLocalData {
		return false
	}
	data := q.policy.Rule(q.decision.Winner).Data
	if data == nil || findRRset(data, q.request.Type) != nil {
		return false
	}
	cname := findRRset(data, wire.TypeCNAME)
	if cname == nil || len(cname.RData) == 0 {
		return false
	}
	n, ok := expandTarget(&q.chase.target, cname.RData[0], q.nameOf(&q.decision.Winner))
	if !ok || q.settings.local.holds(q.chase.target[:n]) {
		return false
	}
	q.chase.targetLen, q.chase.wanted = n, true
	q.source.retarget()
	return true
}

func findRRset(data *policy.LocalData, rtype uint16) *policy.RRset {
	for i := range data.RRsets {
		if data.RRsets[i].Type == rtype {
			return &data.RRsets[i]
		}
	}
	return nil
}

// expandTarget writes the target of a rule's CNAME for the name that matched. *.garden.example stands for the name below garden.example
// (RPZ draft section 3.6). It returns false if that is longer than a name may be.
func expandTarget(dst *[dnsname.WireMax]byte, target, matched []byte) (n int, ok bool) {
	if len(target) > 2 && target[0] == 1 && target[1] == '*' {
		stem := matched[:len(matched)-1]
		if len(stem)+len(target)-2 > len(dst) {
			return 0, false
		}
		n = copy(dst[:], stem)
		target = target[2:]
	}
	n += copy(dst[n:], target)
	dnsname.Lower(dst[:n], dst[:n])
	return n, true
}
