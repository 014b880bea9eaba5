package zone

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// ErrDiff is that a difference does not fit the zone that it is to be applied to.
var ErrDiff = errors.New("the difference does not fit the zone")

// Diff is what makes one version of a zone another. The SOA records stand first, as in an IXFR (RFC 1995 section 4): they differ where the serials do.
// A record whose TTL alone has changed is in both lists.
type Diff struct {
	From, To uint32 // the serials
	Removed  []Record
	Added    []Record
}

// Compare finds the difference between two versions of a zone. It goes through both once, and owns nothing of them.
func Compare(from, to *Zone) Diff {
	d, _ := compare(from, to, math.MaxInt, func() {})
	return d
}

// compare is Compare; it gives up where the difference has more than max records. look is called every few microseconds of work.
func compare(from, to *Zone, max int, look func()) (d Diff, within bool) {
	c := comparison{from: from, to: to, diff: Diff{From: from.serial, To: to.serial}}
	o, n := node(0), node(0)
	for steps := 0; int(o) < len(from.data) || int(n) < len(to.data); steps++ {
		if steps%stepsPerLook == 0 {
			look()
		}
		if o, n = c.step(o, n); len(c.diff.Removed)+len(c.diff.Added) > max {
			return Diff{}, false
		}
	}
	soaFirst(c.diff.Removed)
	soaFirst(c.diff.Added)
	return c.diff, true
}

// stepsPerLook is how many names are worked on between two looks at the time: some tens of microseconds.
const stepsPerLook = 256

type comparison struct {
	from, to *Zone
	diff     Diff
}

// step compares the names at two nodes, and returns the next ones.
func (c *comparison) step(o, n node) (node, node) {
	order := 0
	switch {
	case int(o) == len(c.from.data):
		order = 1
	case int(n) == len(c.to.data):
		order = -1
	default:
		oEnd, nEnd := c.from.after(o), c.to.after(n)
		if sameNode(c.from.data[o:oEnd], c.to.data[n:nEnd]) {
			return oEnd, nEnd
		}
		order = comparePrefix(c.from.prefix(o), c.to.prefix(n))
	}
	switch {
	case order < 0:
		c.from.eachRecord(o, c.remove)
		return c.from.after(o), n
	case order > 0:
		c.to.eachRecord(n, c.add)
		return o, c.to.after(n)
	}
	c.compareSets(o, n)
	return c.from.after(o), c.to.after(n)
}

// sameNode reports whether two nodes are the same but for their flags, which others decide.
func sameNode(a, b []byte) bool {
	flags := 1 + int(a[0])
	return len(a) == len(b) && bytes.Equal(a[:flags], b[:flags]) && bytes.Equal(a[flags+1:], b[flags+1:])
}

// compareSets compares two nodes of one name. Sets lie by type.
func (c *comparison) compareSets(o, n node) {
	owner := dnsname.Name(c.from.appendOwner(make([]byte, 0, dnsname.WireMax), o))
	old, next := c.from.sets(o), c.to.sets(n)
	haveOld, haveNext := old.next(), next.next()
	for haveOld || haveNext {
		switch {
		case !haveNext || haveOld && old.set.rtype < next.set.rtype:
			old.set.eachRecord(owner, c.remove)
			haveOld = old.next()
		case !haveOld || next.set.rtype < old.set.rtype:
			next.set.eachRecord(owner, c.add)
			haveNext = next.next()
		default:
			c.compareRecords(owner, &old.set, &next.set)
			haveOld, haveNext = old.next(), next.next()
		}
	}
}

// compareRecords compares two sets of one name and type. Their records lie in order of their data, and so do their signatures.
func (c *comparison) compareRecords(owner dnsname.Name, old, next *set) {
	if old.ttl != next.ttl {
		old.eachRecord(owner, c.remove)
		next.eachRecord(owner, c.add)
		return
	}
	c.merge(owner, old.rtype, old.ttl, set{count: old.count, records: old.records}, set{count: next.count, records: next.records})
	c.merge(owner, wire.TypeRRSIG, old.ttl, set{count: old.sigs, records: old.signatures()}, set{count: next.sigs, records: next.signatures()})
}

func (c *comparison) merge(owner dnsname.Name, rtype uint16, ttl uint32, old, next set) {
	for old.count > 0 || next.count > 0 {
		order := 0
		switch {
		case old.count == 0:
			order = 1
		case next.count == 0:
			order = -1
		default:
			order = bytes.Compare(old.first(), next.first())
		}
		if order <= 0 {
			if order < 0 {
				c.remove(Record{Owner: owner, Type: rtype, TTL: ttl, Data: old.first()})
			}
			old.pop()
		}
		if order >= 0 {
			if order > 0 {
				c.add(Record{Owner: owner, Type: rtype, TTL: ttl, Data: next.first()})
			}
			next.pop()
		}
	}
}

// pop takes the first record of a set away.
func (s *set) pop() {
	_, s.records = cutRecord(s.records)
	s.count--
}

func (c *comparison) remove(r Record) bool {
	r.Data = bytes.Clone(r.Data)
	c.diff.Removed = append(c.diff.Removed, r)
	return true
}

func (c *comparison) add(r Record) bool {
	r.Data = bytes.Clone(r.Data)
	c.diff.Added = append(c.diff.Added, r)
	return true
}

// soaFirst brings the SOA record to the front, and leaves the order of the others.
func soaFirst(records []Record) {
	at := slices.IndexFunc(records, func(r Record) bool { return r.Type == wire.TypeSOA })
	if at <= 0 {
		return
	}
	soa := records[at]
	copy(records[1:at+1], records[:at])
	records[0] = soa
}
