package blocklist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// rowsChanges gathers, while a copy of a feed is written, the names of which it says something else than the one before.
type rowsChanges struct {
	most  int
	names []byte // as FeedChange.Names
	rows  []byte // see rowsTold
	count int
	given bool // up: there are more than most, or it takes another look to tell
}

// know reports whether the changes are known; those of nobody are not.
func (c *rowsChanges) know() bool { return c != nil && !c.given }

// giveUp forgets everything.
func (c *rowsChanges) giveUp() { *c = rowsChanges{given: true} }

// note adds a name and what the new copy says of it, which may be nothing.
func (c *rowsChanges) note(name []byte, rows []rawRow) {
	if c.count++; c.count > c.most {
		c.giveUp()
		return
	}
	c.names = append(c.names, name...)
	c.rows = append(append(c.rows, byte(len(name))), name...)
	c.rows = binary.AppendUvarint(c.rows, uint64(len(rows)))
	for i := range rows {
		c.rows = rows[i].append(c.rows)
	}
}

// rowsTold finds rows in the rows of a FeedChange: for each of its names, in the order of a rows file, its length, the name, the number of its rows
// (varint) and the rows.
type rowsTold struct {
	rest rowBytes
	rows []rawRow
}

// find returns the rows of a name, if it is the one that comes next.
func (t *rowsTold) find(name []byte) (rows []rawRow, known bool, err error) {
	if len(t.rest.b) == 0 {
		return nil, false, nil
	}
	before := t.rest
	if stored := t.rest.take(int(t.rest.octet())); !bytes.Equal(stored, name) {
		t.rest = before
		return nil, false, nil
	}
	t.rows = t.rows[:0]
	for range t.rest.uvarint() {
		t.rows = append(t.rows, t.rest.row())
	}
	if t.rest.bad {
		return nil, false, fmt.Errorf("%w: what was told of changed names", ErrRowsDamaged)
	}
	return t.rows, true, nil
}

// previousCursor walks the previous copy of a feed beside the new one: rows that both have keep the time at which they were first seen, and
// changes are noted. A previous copy that cannot be read costs only those.
type previousCursor struct {
	cursor  *rowsCursor
	ok      bool
	had     bool // the new copy has the name where the cursor stands
	numbers textNumbers
	changes *rowsChanges // nil: nobody asks
}

func newPreviousCursor(previous *Rows, w *rowsWriter) *previousCursor {
	if previous == nil {
		if w.changes != nil {
			w.changes.giveUp()
		}
		return &previousCursor{}
	}
	c := &previousCursor{
		cursor: previous.cursor(), changes: w.changes,
		numbers: newTextNumbers(&previous.tables, w.families.texts, w.threats.texts),
	}
	c.next()
	return c
}

// pass moves on in the previous copy. A name that the new one does not have has changed.
func (c *previousCursor) pass() {
	if !c.had {
		c.note(c.cursor.name, nil)
	}
	c.next()
}

func (c *previousCursor) next() {
	c.had = false
	err := c.cursor.next()
	if c.ok = err == nil; !c.ok && !errors.Is(err, io.EOF) && c.changes != nil {
		c.changes.giveUp()
	}
}

// group returns the rows of name in the previous copy, which live until the next call, and notes what has changed up to that name. Names must
// come in the order of the file.
func (c *previousCursor) group(name []byte, fresh []rawRow) (was []rawRow) {
	if !c.ok && !c.changes.know() {
		return nil
	}
	hash := nameHash(name)
	for c.ok && c.before(hash, name) {
		c.pass()
	}
	if c.had = c.ok && bytes.Equal(c.cursor.name, name); c.had {
		was = c.cursor.rows
	}
	if c.changes.know() && !c.numbers.sameMembers(was, fresh, c.noData) {
		c.note(name, fresh)
	}
	return was
}

func (c *previousCursor) before(hash uint64, name []byte) bool {
	return c.cursor.hash < hash || c.cursor.hash == hash && bytes.Compare(c.cursor.name, name) < 0
}

// noData gives up where there is local data to be compared.
func (c *previousCursor) noData(a, b *rawRow) bool {
	if a.Data != 0 || b.Data != 0 {
		c.changes.giveUp()
	}
	return true
}

func (c *previousCursor) note(name []byte, fresh []rawRow) {
	if c.changes.know() {
		c.changes.note(name, fresh)
	}
}

// end notes the names that only the previous copy has.
func (c *previousCursor) end() {
	for c.ok && c.changes.know() {
		c.pass()
	}
}

// added returns when a row was first seen, in seconds since the epoch; 0 if it is not among those of the previous copy.
func (c *previousCursor) added(was []rawRow, r *rawRow) int64 {
	for i := range was {
		a := &was[i]
		if a.Kind == r.Kind && a.Exception == r.Exception && c.numbers.families[a.Family] == r.Family {
			return c.cursor.file.tables.Times[a.Added]
		}
	}
	return 0
}
