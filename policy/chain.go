package policy

import (
	"bytes"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// ChainMax is how many CNAME and DNAME steps of an answer are followed. No resolver follows more.
const ChainMax = 16

// CheckAnswer decides about the names that the CNAME and DNAME records of the answer in msg lead to, one after the other, starting at
// r.Name. before is what CheckQuery decided: if that matched, it stands, because an earlier stage beats all later ones. The first
// stage with a rule that decides ends the search. It allocates nothing.
func (p *Policy) CheckAnswer(r *Request, msg []byte, before Decision) Decision {
	d := before
	d.Pending = false
	if d.Matched() || p.index == nil || !followed(r.Type) {
		return d
	}
	c := chain{msg: msg}
	c.length = copy(c.names[0][:], r.Name)
	for !d.Matched() && c.next() {
		p.check(&d, r, c.name(), uint8(c.steps))
	}
	return d
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
