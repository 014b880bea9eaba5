package zone

import (
	"hash/maphash"
	"slices"
	"weak"

	"cenote/dnsname"
)

// pair is a name in two versions of a zone: its nodes, or noNode where it is not, or has no records.
type pair struct{ from, to node }

// derivation says what Apply changed, so that whoever compares the two versions need not look at the rest.
type derivation struct {
	from    weak.Pointer[Zone]
	touched []pair // in canonical order
}

// compareDerived is Compare for a zone that Apply made of from; ok is false if it did not.
func compareDerived(from, to *Zone) (d Diff, ok bool) {
	made := to.derived
	if made == nil || made.from.Value() != from {
		return d, false
	}
	c := comparison{from: from, to: to, diff: Diff{From: from.serial, To: to.serial}}
	for _, p := range made.touched {
		switch {
		case p.from == noNode && p.to == noNode:
		case p.from == noNode:
			to.eachRecord(p.to, c.add)
		case p.to == noNode:
			from.eachRecord(p.from, c.remove)
		default:
			c.compareSets(p.from, p.to)
		}
	}
	soaFirst(c.diff.Removed)
	soaFirst(c.diff.Added)
	return c.diff, true
}

// run is a stretch of names that were copied from one version to the next.
type run struct{ from, end, to node }

// end makes what look-ups go by: of what the version before has, if nothing changed but names that stand for themselves; or else anew.
func (e *editor) end(records int) *Zone {
	e.z.records = records
	names := e.from.names - len(e.gone) + len(e.nodes)
	e.z.setApex()
	if e.structural || e.from.signed || e.z.hasKeys() || len(e.from.table)*2 < names*3 {
		e.anew()
		return e.z
	}
	e.z.names, e.z.seed = names, e.from.seed
	e.moveTable()
	for _, n := range e.nodes {
		e.settle(n)
	}
	for _, n := range e.nodes {
		e.settleAsterisk(e.z.prefix(n))
	}
	for _, n := range e.gone {
		e.settleAsterisk(e.from.prefix(n))
	}
	return e.z
}

// anew makes it as for a zone that was read.
func (e *editor) anew() {
	z := e.z
	e.nodes = e.nodes[:0]
	for n := node(0); int(n) < len(z.data); n = z.after(n) {
		z.data[int(n)+1+int(z.data[n])] = 0
		e.nodes = append(e.nodes, n)
	}
	e.index()
}

// moveTable makes the table of names from that of the version before: without those that are gone, and the others where they are now.
func (e *editor) moveTable() {
	table := slices.Clone(e.from.table)
	for _, n := range e.gone {
		if !e.from.isHash(n) {
			e.from.takeOut(table, n)
		}
	}
	for i, n := range table {
		if n != noNode {
			r := e.runOf(n)
			table[i] = n - r.from + r.to
		}
	}
	e.z.table = table
	var owner [dnsname.WireMax]byte
	for _, n := range e.nodes {
		if !e.z.isHash(n) {
			e.file(n, e.z.appendOwner(owner[:0], n))
		}
	}
}

// runOf is the run that a name was copied in.
func (e *editor) runOf(n node) *run {
	lo, hi := 0, len(e.runs)-1
	for lo < hi {
		if mid := (lo + hi) / 2; e.runs[mid].end > n {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return &e.runs[lo]
}

// home is the place of a name in a table as large as that of z, if nobody is there before it.
func (z *Zone) home(n node) uint64 {
	var owner [dnsname.WireMax]byte
	return maphash.Bytes(z.seed, z.appendOwner(owner[:0], n)) & uint64(len(z.table)-1)
}

// takeOut takes a name of z out of a table, and closes the gap for those that came behind it.
func (z *Zone) takeOut(table []node, n node) {
	mask := uint64(len(table) - 1)
	gap := z.home(n)
	for table[gap] != n {
		gap = (gap + 1) & mask
	}
	for at := (gap + 1) & mask; table[at] != noNode; at = (at + 1) & mask {
		if home := z.home(table[at]); (at-home)&mask >= (at-gap)&mask {
			table[gap] = table[at]
			gap = at
		}
	}
	table[gap] = noNode
}

// settle sets the flags of a node that was laid out anew.
func (e *editor) settle(n node) {
	var buf [dnsname.WireMax + 2]byte
	buf[0], buf[1] = 1, '*'
	owner := e.z.appendOwner(buf[:2], n)
	if e.isBelow(owner[2:]) {
		e.z.setFlag(n, flagBelow)
		return
	}
	if len(owner) <= dnsname.WireMax && e.z.find(owner) != noNode {
		e.z.setFlag(n, flagWild)
	}
}

// isBelow reports whether a cut or a DNAME record stands above a name, and not at the apex.
func (e *editor) isBelow(name []byte) bool {
	for name = parentPrefix(name); len(name) > len(e.z.apex); name = parentPrefix(name) {
		if n := e.z.find(name); n != noNode && e.z.flags(n)&(flagCut|flagDNAME) != 0 {
			return true
		}
	}
	return false
}

// settleAsterisk tells the parent of an asterisk, which came or went, whether it has one.
func (e *editor) settleAsterisk(prefix []byte) {
	if len(prefix) < 2 || prefix[0] != 1 || prefix[1] != '*' {
		return
	}
	owner := append(slices.Clone(prefix), e.z.apex...)
	parent := e.z.find(owner[2:])
	if parent == noNode {
		return
	}
	at := &e.z.data[int(parent)+1+int(e.z.data[parent])]
	*at &^= flagWild
	if e.z.find(owner) != noNode && !e.isBelow(owner) {
		*at |= flagWild
	}
}
