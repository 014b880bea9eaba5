package policy

import (
	"bytes"
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/nameindex"
	"cenote/wire"
)

// ChainMax is how many CNAME and DNAME steps of an answer are followed. No resolver follows more.
const ChainMax = 16

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
	c := chain{msg: a.Msg}
	c.length = copy(c.names[0][:], r.Name)
	for number, more := 0, true; more; number++ {
		name := c.name()
		more = followed(r.Type) && c.next()
		p.checkStage(&d, &x, a, name, number, !more)
		if d.Matched() {
			break
		}
	}
	if !d.Matched() && isSVCB(r.Type) {
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
	for _, name := range Chain(r.Name, a.Msg) {
		if p.listsName(name) {
			return false
		}
	}
	for i := range a.Paths {
		if p.listsServer(&a.Paths[i]) {
			return false
		}
	}
	return !isSVCB(r.Type) || !p.listsTarget(a.Msg)
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

// Chain returns the names that an answer leads to: the query name, which is canonical and in wire form, and the target of each step.
func Chain(name, msg []byte) (names [][]byte) {
	c := chain{msg: msg}
	c.length = copy(c.names[0][:], name)
	names = append(names, name)
	for c.next() {
		names = append(names, bytes.Clone(c.name()))
	}
	return names
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

// followed reports whether an answer of the type has a chain: those who ask for the CNAME itself are not led on by it.
func followed(qtype uint16) bool {
	return qtype != wire.TypeCNAME && qtype != wire.TypeDNAME && qtype != wire.TypeANY
}

// chain follows the aliases of an answer from name to name. Records may come in any order.
type chain struct {
	msg    []byte
	steps  int
	used   [ChainMax]int                // where the CNAMEs lie that led here: one that leads in a circle is not followed twice
	length int                          // of the current name
	names  [2][2 * dnsname.WireMax]byte // the current name and the next, in turns; a DNAME may make one that is too long
	owner  [dnsname.WireMax]byte
}

// name returns where the chain is now, canonical.
func (c *chain) name() []byte { return c.names[c.steps%2][:c.length] }

// next moves to the name that the current one is an alias of. A CNAME of the very name comes before the DNAME that it was made from.
func (c *chain) next() bool {
	return c.steps < ChainMax && (c.find(wire.TypeCNAME) || c.find(wire.TypeDNAME))
}

// find looks through the answer for an alias of the given type and moves on by the first that it finds.
func (c *chain) find(rtype uint16) bool {
	w, err := wire.Records(c.msg)
	if err != nil {
		return false
	}
	for w.Next() && w.Section == wire.SectionAnswer {
		if w.Type == rtype && !slices.Contains(c.used[:c.steps], w.NameOff) && c.follow(&w) {
			return true
		}
	}
	return false
}

// follow moves on by the record that w stands at, if it is an alias of the current name.
func (c *chain) follow(w *wire.Walker) bool {
	owner, _, err := wire.AppendName(c.owner[:0], c.msg, w.NameOff)
	if err != nil {
		return false
	}
	dnsname.Lower(owner, owner)
	name := c.name()
	above := len(name) - len(owner)
	if w.Type == wire.TypeCNAME && above != 0 || w.Type == wire.TypeDNAME && !isBelow(name, above) || !bytes.Equal(name[above:], owner) {
		return false
	}
	next := append(c.names[(c.steps+1)%2][:0], name[:above]...) // RFC 6672 section 2.2: what lies below the owner is kept
	next, _, err = wire.AppendName(next, c.msg, w.DataOff)
	if err != nil || len(next) > dnsname.WireMax {
		return false
	}
	dnsname.Lower(next, next)
	if c.used[c.steps] = w.NameOff; w.Type == wire.TypeDNAME {
		c.used[c.steps] = 0 // which serves every name below its owner
	}
	c.length = len(next)
	c.steps++
	return true
}

// isBelow reports whether a label of name begins at the octet above, which is not its first.
func isBelow(name []byte, above int) bool {
	i := 0
	for i < above {
		i += 1 + int(name[i])
	}
	return i == above && above > 0
}
