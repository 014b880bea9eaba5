package zone

import (
	"fmt"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Change is a difference that fits a version of a zone, while the version that it leads to has not been laid out yet: what takes a small part of the time,
// and tells all about the names that the difference touches. It never changes.
type Change struct {
	// From and To are the serials.
	From, To uint32
	from     *Zone
	owners   []dnsname.Name
	after    map[dnsname.Name][]Record
}

// changeRecordsMax is how many records a difference has at most that a Change is made of.
const changeRecordsMax = 100_000

// changeOf is what a difference will have changed in a zone. It fails where Apply does, and for a signed zone, which proves what it does not have.
func changeOf(from *Zone, d Diff) (*Change, error) {
	if from.serial != d.From || from.signed || len(d.Removed)+len(d.Added) > changeRecordsMax {
		return nil, fmt.Errorf("%w: it is of serial %d, and has %d records", ErrDiff, d.From, len(d.Removed)+len(d.Added))
	}
	e := &editor{from: from}
	var err error
	if e.removed, err = e.ordered(d.Removed); err != nil {
		return nil, err
	}
	if e.added, err = e.ordered(d.Added); err != nil {
		return nil, err
	}
	if int64(len(from.data))+int64(roomOf(e.added)) > dataMax {
		return nil, fmt.Errorf("%w: it leads to a zone that is too large", ErrDiff)
	}
	c := &Change{From: d.From, To: d.To, from: from, after: map[dnsname.Name][]Record{}}
	for owner, more := e.next(); more; owner, more = e.next() {
		records, err := e.records(owner, from.find([]byte(owner)))
		if err != nil {
			return nil, err
		}
		c.owners, c.after[owner] = append(c.owners, owner), withoutOrphans(records)
	}
	return c, c.check()
}

// check looks at the apex, as Apply does.
func (c *Change) check() error {
	soas, serial, keys := 0, c.from.serial, false
	for _, r := range c.records(c.from.apex, true) {
		switch {
		case r.Type == wire.TypeSOA:
			soas, serial = soas+1, serialOf(&r)
		case r.Type == wire.TypeDNSKEY, r.Type == typeNSEC3PAR:
			keys = true
		}
	}
	if soas != 1 || serial != c.To || keys {
		return fmt.Errorf("%w: it leaves %s with %d SOA records and serial %d, or with keys", ErrDiff, c.from.apex, soas, serial)
	}
	return nil
}

// Owners are the names that the difference touches, in canonical order. They must not be changed.
func (c *Change) Owners() []dnsname.Name { return c.owners }

// records are those of a name in the version before or after.
func (c *Change) records(owner dnsname.Name, after bool) (records []Record) {
	if fresh, touched := c.after[owner]; after && touched {
		return fresh
	}
	if n := c.from.find([]byte(owner)); n != noNode {
		c.from.eachRecord(n, func(r Record) bool { records = append(records, r); return true })
	}
	return records
}

// AppendMaster appends the records of a canonical name at or below the apex, in the version before the difference or after it, as WriteMaster writes them.
func (c *Change) AppendMaster(text []byte, owner dnsname.Name, after bool) []byte {
	all := slices.Clone(c.records(owner, after))
	soaFirst(all)
	for i := range all {
		line, plain := appendPlain(text, &all[i])
		if !plain {
			line = new(masterWriter).append(text, &all[i]) // which is large, and hardly ever needed
		}
		text = append(line, '\n')
	}
	return text
}

// Kept visits names with records below a name, of those that the difference does not touch, until visit returns false. What it hands over lives until visit returns.
func (c *Change) Kept(below dnsname.Name, visit func(owner []byte) bool) {
	n := c.from.find([]byte(below))
	if n == noNode {
		return
	}
	top := slices.Clone(c.from.prefix(n))
	var room [dnsname.WireMax]byte
	for n = c.from.after(n); int(n) < len(c.from.data) && (len(top) == 0 || endsBelow(c.from.prefix(n), top)); n = c.from.after(n) {
		if c.from.sets(n).left == 0 {
			continue
		}
		owner := c.from.appendOwner(room[:0], n)
		if _, touched := c.after[dnsname.Name(owner)]; !touched && !visit(owner) {
			return
		}
	}
}
