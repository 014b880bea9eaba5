package policy

import (
	"bytes"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// ChainMax is how many CNAME and DNAME steps of an answer are followed. No resolver follows more.
const ChainMax = 16

// Followed reports whether an answer of the type has a chain: those who ask for the CNAME itself are not led on by it.
func Followed(qtype uint16) bool {
	return qtype != wire.TypeCNAME && qtype != wire.TypeDNAME && qtype != wire.TypeANY
}

// Names returns the names that an answer leads to: the query name, which is canonical and in wire form, and the target of each step.
func Names(name, msg []byte) (names [][]byte) {
	var c Chain
	c.Begin(name, msg)
	names = append(names, name)
	for c.Next() {
		names = append(names, bytes.Clone(c.Name()))
	}
	return names
}

// Chain follows the aliases of an answer from name to name. Records may come in any order. It allocates nothing; Begin makes it ready.
type Chain struct {
	msg    []byte
	steps  int
	ttl    uint32                       // of the record that led here
	used   [ChainMax]int                // where the CNAMEs lie that led here: one that leads in a circle is not followed twice
	length int                          // of the current name
	names  [2][2 * dnsname.WireMax]byte // the current name and the next, in turns; a DNAME may make one that is too long
	owner  [dnsname.WireMax]byte
}

// Begin puts the chain at a name, canonical and in wire form, in front of an answer, of which nothing is kept after the last step.
func (c *Chain) Begin(name, msg []byte) {
	c.msg, c.steps = msg, 0
	c.length = copy(c.names[0][:], name)
}

// Name returns where the chain is now, canonical. It holds until the next step but one.
func (c *Chain) Name() []byte { return c.names[c.steps%2][:c.length] }

// Steps is how many aliases led here.
func (c *Chain) Steps() int { return c.steps }

// TTL is for how many seconds the alias holds that led here.
func (c *Chain) TTL() uint32 { return c.ttl }

// Next moves to the name that the current one is an alias of. A CNAME of the very name comes before the DNAME that it was made from.
func (c *Chain) Next() bool {
	return c.steps < ChainMax && (c.find(wire.TypeCNAME) || c.find(wire.TypeDNAME))
}

// find looks through the answer for an alias of the given type and moves on by the first that it finds.
func (c *Chain) find(rtype uint16) bool {
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
func (c *Chain) follow(w *wire.Walker) bool {
	owner, _, err := wire.AppendName(c.owner[:0], c.msg, w.NameOff)
	if err != nil {
		return false
	}
	dnsname.Lower(owner, owner)
	name := c.Name()
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
	c.length, c.ttl = len(next), w.TTL
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
