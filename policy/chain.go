package policy

import (
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/wire"
)

// CheckAnswer decides about an answer: the query name, the names that its CNAME and DNAME records lead to, one after the other, and of each the
// addresses and name servers. before is what CheckQuery decided: if that is not pending, a match stands, because an earlier stage beats all
// later ones. The first stage with a rule that decides ends the search. It allocates nothing, but for addresses that many
// rules list, and for name servers that rules list.
func (p *Policy) CheckAnswer(r *Request, a *Answer, before Decision) Decision {
	d := before
	d.Pending = false
	if p.index == nil || before.Matched() && !before.Pending {
		return d
	}
	x := p.ask(r)
	if x.signed = x.signs(a); x.signed {
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
		var room [dnsname.WireMax]byte
		key, labels := serverKey(room[:0], s.Name)
		var few [fewMatches]nameindex.Match
		if n := p.index.Walk(key, few[:]); n == fewMatches || p.saysAny(few[:n], labels) {
			return true
		}
		for _, addr := range s.Addrs {
			if p.addresses.any(TriggerNSIP, addr) || p.ipAsNS && p.addresses.any(TriggerIP, addr) {
				return true
			}
		}
		if p.qnameAsNS && p.listsName(s.Name) {
			return true
		}
	}
	return false
}

func (p *Policy) listsTarget(msg []byte) bool {
	for targets := targetsIn(msg); targets.next(); {
		if p.listsName(targets.name) {
			return true
		}
	}
	return false
}

// checkStage adds to d what the policy says about one name of the chain. What CheckQuery said of the first is in d already.
func (p *Policy) checkStage(d *Decision, x *asking, a *Answer, name []byte, number int, last bool) {
	if p.response && (p.listsAnyOf(a) || number < len(a.Paths)) && p.checkAround(d, x, a, name, number, last) {
		return
	}
	if number > 0 {
		p.check(d, x, name, uint8(number))
	}
}

// checkAround does so if rules list more than the name: an address or a name server. It reports whether they do.
func (p *Policy) checkAround(d *Decision, x *asking, a *Answer, name []byte, number int, last bool) bool {
	s := stage{policy: p, asking: *x, number: uint8(number)}
	s.rename(name)
	s.answered(a, last)
	if number < len(a.Paths) {
		s.path(&a.Paths[number])
	}
	if !s.found() {
		return false
	}
	if number == 0 {
		*d = Decision{} // all triggers have their say together
		s.client()
	}
	s.check(d)
	return true
}

// checkTargets adds to d what the policy says about the names that SVCB and HTTPS records lead to. They count as one stage more; a hit has the
// number of its record in the answer as its Link.
func (p *Policy) checkTargets(d *Decision, x *asking, msg []byte, number int) {
	targets := targetsIn(msg)
	for !d.Matched() && targets.next() {
		observed := d.NObserved
		p.check(d, x, targets.name, uint8(number))
		for i := observed; i < d.NObserved; i++ {
			d.Observed[i].Link = targets.record
		}
		if d.Matched() {
			d.Winner.Link = targets.record
		}
	}
}

// targets walks over the names that the SVCB and HTTPS records of an answer lead to, but for ".", which stands for the owner.
type targets struct {
	msg     []byte
	records wire.Walker
	fault   error
	record  uint16 // the number of the current one, from 1
	name    []byte // where it leads to, canonical
	buf     [dnsname.WireMax]byte
}

func targetsIn(msg []byte) (t targets) {
	t.msg = msg
	t.records, t.fault = wire.Records(msg)
	return t
}

// next moves to the next target; it returns false after the last.
func (t *targets) next() bool {
	for t.fault == nil && t.records.Next() && t.records.Section == wire.SectionAnswer {
		t.record++
		if t.name = appendSVCTarget(t.buf[:0], t.msg, &t.records); len(t.name) > 1 {
			return true
		}
	}
	return false
}

// SVCTarget returns the name that the SVCB or HTTPS record leads to which is the number-th of the answer, from 1, canonical, or no octets.
func SVCTarget(dst, msg []byte, number uint16) []byte {
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
