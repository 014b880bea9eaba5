package policy

import (
	"bytes"
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/wire"
)

// CheckAnswer decides about an answer: the query name, the names that its CNAME and DNAME records lead to, one after the other, and of each the
// addresses and name servers. before is what CheckQuery decided: if that is not pending, a match stands, because an earlier stage beats all
// later ones. The first stage with a rule that decides ends the search. It allocates nothing, but for addresses and servers that rules list.
func (p *Policy) CheckAnswer(r *Request, a *Answer, before Decision) Decision {
	d := before
	d.Pending = false
	if p.index == nil || before.Matched() && !before.Pending {
		return d
	}
	x := p.ask(r)
	if x.signed = x.scope.keepsSigned && r.DO && isSigned(a.Msg); x.signed {
		d = Decision{} // what zones said that spare signed answers is void
		p.checkFirst(&d, &x)
	}
	var c Chain
	c.Begin(r.Name, a.Msg)
	for number, more := 0, true; more; number++ {
		name := c.Name()
		more = Followed(r.Type) && c.Next()
		p.checkStage(&d, &x, a, name, number, !more)
		if d.Matched() {
			break
		}
	}
	if !d.Matched() && wire.IsSVCB(r.Type) {
		p.checkTargets(&d, &x, a.Msg, c.steps+1)
	}
	return d
}

// Clean reports whether an answer in which CheckAnswer found nothing for one query holds nothing for any other either, whoever asks and however.
func (p *Policy) Clean(r *Request, a *Answer) bool {
	if !p.uneven || p.index == nil {
		return true
	}
	if p.listsAnyOf(a) {
		return false
	}
	for _, name := range Names(r.Name, a.Msg) {
		if p.listsName(name) {
			return false
		}
	}
	for i := range a.Paths {
		if p.listsServer(&a.Paths[i]) {
			return false
		}
	}
	return !wire.IsSVCB(r.Type) || !p.listsTarget(a.Msg)
}

// listsName reports whether the index says anything of a name.
func (p *Policy) listsName(name []byte) bool {
	var few [fewMatches]nameindex.Match
	n := p.index.Walk(name, few[:])
	return n == fewMatches || p.saysAny(few[:n], countLabels(name)) || p.patterns.any(name)
}

func (p *Policy) listsServer(path *Path) bool {
	for i := range path.Servers {
		s := &path.Servers[i]
		key, labels := serverKey(s.Name)
		var few [fewMatches]nameindex.Match
		if n := p.index.Walk(key, few[:]); n == fewMatches || p.saysAny(few[:n], labels) {
			return true
		}
		for _, addr := range s.Addrs {
			if p.addresses.any(TriggerNSIP, addr) {
				return true
			}
		}
	}
	return false
}

func (p *Policy) listsTarget(msg []byte) bool {
	var buf [dnsname.WireMax]byte
	records, err := wire.Records(msg)
	for err == nil && records.Next() && records.Section == wire.SectionAnswer {
		if target := appendSVCTarget(buf[:0], msg, &records); len(target) > 1 && p.listsName(target) {
			return true
		}
	}
	return false
}

// checkStage adds to d what the policy says about one name of the chain. What CheckQuery said of the first is in d already.
func (p *Policy) checkStage(d *Decision, x *asking, a *Answer, name []byte, number int, last bool) {
	if p.response && (p.listsAnyOf(a) || number < len(a.Paths)) {
		s := stage{policy: p, asking: *x, name: bytes.Clone(name), number: uint8(number)}
		s.answered(a, last)
		if number < len(a.Paths) {
			s.path(&a.Paths[number])
		}
		if s.found() {
			if number == 0 {
				*d = Decision{} // all triggers have their say together
				s.client()
			}
			s.check(d)
			return
		}
	}
	if number > 0 {
		p.check(d, x, name, uint8(number))
	}
}

// checkTargets adds to d what the policy says about the names that SVCB and HTTPS records lead to. They count as one stage more; a hit has the
// number of its record in the answer as its Entry.
func (p *Policy) checkTargets(d *Decision, x *asking, msg []byte, number int) {
	var buf [dnsname.WireMax]byte
	records, err := wire.Records(msg)
	for record := uint32(0); err == nil && !d.Matched() && records.Next() && records.Section == wire.SectionAnswer; {
		record++
		target := appendSVCTarget(buf[:0], msg, &records)
		if len(target) <= 1 { // "." stands for the owner
			continue
		}
		observed := d.NObserved
		p.check(d, x, target, uint8(number))
		for i := observed; i < d.NObserved; i++ {
			d.Observed[i].linkTo(record)
		}
		if d.Matched() {
			d.Winner.linkTo(record)
		}
	}
}

// linkTo notes the record by which a name was come to.
func (h *Hit) linkTo(record uint32) {
	if h.Trigger == TriggerQNAME {
		h.Entry = record
	}
}

// SVCTarget returns the name that the SVCB or HTTPS record leads to which is the number-th of the answer, from 1, canonical, or no octets.
func SVCTarget(dst, msg []byte, number uint32) []byte {
	records, err := wire.Records(msg)
	for err == nil && number > 0 && records.Next() && records.Section == wire.SectionAnswer {
		if number--; number == 0 {
			return appendSVCTarget(dst, msg, &records)
		}
	}
	return dst
}

// isSigned reports whether the answer section holds a signature.
func isSigned(msg []byte) bool {
	w, err := wire.Records(msg)
	for err == nil && w.Next() && w.Section == wire.SectionAnswer {
		if w.Type == wire.TypeRRSIG {
			return true
		}
	}
	return false
}

// AddressesIn returns the addresses of an answer, each once.
func AddressesIn(msg []byte) (addrs []netip.Addr) {
	for a := addressesIn(msg); a.next(); {
		if !slices.Contains(addrs, a.addr) {
			addrs = append(addrs, a.addr)
		}
	}
	return addrs
}
