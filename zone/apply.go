package zone

import (
	"fmt"
	"slices"
	"weak"

	"cenote/dnsname"
	"cenote/wire"
)

// Apply makes the next version of a zone. Every record that is removed has to be there, whatever its TTL, every one that is added must not, and what
// results has one SOA record with the serial that the difference leads to; otherwise err wraps ErrDiff and says what does not fit.
func Apply(from *Zone, d Diff) (*Zone, error) { return apply(from, d, func() {}) }

// apply is Apply; look is called every few microseconds of work.
func apply(from *Zone, d Diff, look func()) (*Zone, error) {
	if from.serial != d.From {
		return nil, fmt.Errorf("%w: it begins with serial %d, and the zone has %d", ErrDiff, d.From, from.serial)
	}
	e := &editor{from: from, look: look, builder: newBuilder(from.apex)}
	var err error
	if e.removed, err = e.ordered(d.Removed); err != nil {
		return nil, err
	}
	if e.added, err = e.ordered(d.Added); err != nil {
		return nil, err
	}
	e.z.data = make([]byte, 0, len(from.data)+roomOf(e.added))
	if err := e.run(); err != nil {
		return nil, err
	}
	if len(e.z.data) == 0 || len(e.z.prefix(0)) > 0 {
		return nil, fmt.Errorf("%w: it leaves %s with no records of its own", ErrDiff, from.apex)
	}
	z := e.end(from.records - len(d.Removed) + len(d.Added) - e.left)
	z.derived = &derivation{weak.Make(from), e.touched}
	switch {
	case z.soa.count != 1:
		return nil, fmt.Errorf("%w: it leaves %s with %d SOA records", ErrDiff, from.apex, z.soa.count)
	case z.serial != d.To:
		return nil, fmt.Errorf("%w: it leads to serial %d, and leaves %d", ErrDiff, d.To, z.serial)
	}
	return z, nil
}

// roomOf is about how many octets records take in a zone.
func roomOf(records []Record) (n int) {
	for i := range records {
		n += len(records[i].Owner) + 3 + setHeader + 2 + len(records[i].Data)
	}
	return n
}

// editor lays out a zone that is another with a difference: what is not touched is copied.
type editor struct {
	*builder
	from           *Zone
	removed, added []Record // what is left of them, in the order of sort
	left           int      // signatures that were left out, since what they are of is gone
	look           func()
	touched        []pair
	pending        node // the first of the empty names before at, which stay if the name behind them does; at itself where there are none
	runs           []run
	gone           []node // of from, that were not copied
	structural     bool   // cuts or DNAME records come, go or change
}

// ordered is a copy of records that can be in the zone, in the order of sort.
func (e *editor) ordered(records []Record) ([]Record, error) {
	out := slices.Clone(records)
	for i := range out {
		r := &out[i]
		r.Owner = r.Owner.Canonical()
		if r.Owner != e.from.apex && !r.Owner.IsBelow(e.from.apex) || isMeta(r.Type) || !isWellFormed(r) || r.TTL > ttlMax {
			return nil, fmt.Errorf("%w: %s %s is no record of %s", ErrDiff, r.Owner, typeName(r.Type), e.from.apex)
		}
	}
	sort(out)
	return out, nil
}

// run goes through the names of the zone and those of the difference at once.
func (e *editor) run() error {
	for at, end, steps := node(0), node(len(e.from.data)), 0; ; steps++ {
		if steps%stepsPerLook == 0 {
			e.look()
		}
		owner, more := e.next()
		if !more && at == end {
			e.drop(at)
			return e.fits()
		}
		order := e.compare(at, end, owner, more)
		if order < 0 {
			at = e.keep(at)
			continue
		}
		e.drop(at)
		existing := noNode
		if order == 0 {
			existing, at = at, e.from.after(at)
			e.gone = append(e.gone, existing)
		}
		if e.pending = at; existing != noNode && e.from.flags(existing)&(flagCut|flagDNAME) != 0 {
			e.structural = true
		}
		if err := e.edit(owner, existing); err != nil {
			return err
		}
	}
}

// keep copies the name at a node, with the empty names directly before it, and returns the node behind it. An empty name waits for the one that it is there for.
func (e *editor) keep(at node) node {
	after := e.from.after(at)
	if e.from.sets(at).left == 0 {
		return after
	}
	to := node(len(e.z.data))
	if n := len(e.runs); n > 0 && e.runs[n-1].end == e.pending && e.runs[n-1].to+(e.runs[n-1].end-e.runs[n-1].from) == to {
		e.runs[n-1].end = after
	} else {
		e.addMissing(e.from.prefix(e.pending)) // those above that were dropped with a name before
		to = node(len(e.z.data))
		e.runs = append(e.runs, run{e.pending, after, to})
	}
	e.z.data = append(e.z.data, e.from.data[e.pending:after]...)
	e.last = e.z.prefix(node(len(e.z.data)) - (after - at))
	e.pending = after
	return after
}

// drop leaves out the empty names that wait: they come again if a name that is added needs them.
func (e *editor) drop(at node) {
	for n := e.pending; n < at; n = e.from.after(n) {
		e.gone = append(e.gone, n)
	}
	e.pending = at
}

// next is the next name of the difference, and whether there is one.
func (e *editor) next() (owner dnsname.Name, more bool) {
	switch {
	case len(e.removed) == 0 && len(e.added) == 0:
		return "", false
	case len(e.removed) == 0:
		return e.added[0].Owner, true
	case len(e.added) == 0 || dnsname.Compare(e.removed[0].Owner, e.added[0].Owner) <= 0:
		return e.removed[0].Owner, true
	}
	return e.added[0].Owner, true
}

// compare is the order of the zone's name at a node to the next of the difference, either of which there may be no more.
func (e *editor) compare(at, end node, owner dnsname.Name, more bool) int {
	switch {
	case !more:
		return -1
	case at == end:
		return 1
	}
	return comparePrefix(e.from.prefix(at), []byte(owner[:len(owner)-len(e.from.apex)]))
}

// edit lays out a name that the difference touches. existing is its node, or noNode.
func (e *editor) edit(owner dnsname.Name, existing node) error {
	records, err := e.records(owner, existing)
	if err != nil {
		return err
	}
	all := len(records)
	records = withoutOrphans(records)
	if e.left += all - len(records); len(records) == 0 {
		e.touched = append(e.touched, pair{existing, noNode})
		return nil
	}
	e.structural = e.structural || slices.ContainsFunc(records, func(r Record) bool {
		return r.Type == wire.TypeDNAME || r.Type == wire.TypeNS && owner != e.from.apex
	})
	err = e.add(records)
	e.touched = append(e.touched, pair{existing, e.nodes[len(e.nodes)-1]})
	return err
}

// records are those that the difference leaves a name with, which is the next that it touches. existing is its node, or noNode.
func (e *editor) records(owner dnsname.Name, existing node) (records []Record, err error) {
	if existing != noNode {
		e.from.eachRecord(existing, func(r Record) bool { records = append(records, r); return true })
	}
	sort(records)
	records, e.removed = without(records, e.removed)
	if len(e.removed) > 0 && e.removed[0].Owner == owner {
		return nil, fmt.Errorf("%w: %s %s is to be removed, and is not there", ErrDiff, owner, typeName(e.removed[0].Type))
	}
	for ; len(e.added) > 0 && e.added[0].Owner == owner; e.added = e.added[1:] {
		records = append(records, e.added[0])
	}
	sort(records)
	for i := 1; i < len(records); i++ {
		if isDouble(records[i-1], records[i]) {
			return nil, fmt.Errorf("%w: %s %s is to be added, and is there already", ErrDiff, owner, typeName(records[i].Type))
		}
	}
	if excess := largestSet(records); excess > setRecordsMax {
		return nil, fmt.Errorf("%w: it leaves %s with a set of %d records; %d is the most", ErrDiff, owner, excess, setRecordsMax)
	}
	return records, nil
}

// without leaves out of the records of one name what is to be removed, as far as it is there; removed is what is left of that. Both are in the order of sort.
func without(records, removed []Record) (kept, left []Record) {
	kept = records[:0]
	for _, r := range records {
		if len(removed) > 0 && isDouble(r, removed[0]) {
			removed = removed[1:]
		} else {
			kept = append(kept, r)
		}
	}
	return kept, removed
}

// largestSet is how many records, with signatures, the largest set of one name has. They are sorted.
func largestSet(records []Record) (most int) {
	for n := 0; len(records) > 0; records = records[n:] {
		for n = 1; n < len(records) && covered(&records[n]) == covered(&records[0]); n++ {
		}
		most = max(most, n)
	}
	return most
}

// withoutOrphans leaves out the signatures of what is not there. Records are sorted, each signature behind what it is of.
func withoutOrphans(records []Record) []Record {
	out := records[:0]
	for i := range records {
		r := &records[i]
		if isSignature(r) == 1 && (len(out) == 0 || out[len(out)-1].Owner != r.Owner || covered(&out[len(out)-1]) != covered(r)) {
			continue
		}
		out = append(out, *r)
	}
	return out
}
