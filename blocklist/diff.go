package blocklist

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math"
)

// errTooMany says that two copies of a feed differ in too many names for a delta.
var errTooMany = errors.New("too many names have changed")

// rowsPair walks two copies of a feed side by side.
type rowsPair struct {
	old, fresh       *rowsCursor
	oldEnds, newEnds bool
	textNumbers
}

// newRowsPair stands before the first names.
func newRowsPair(old, fresh *rowsCursor) (*rowsPair, error) {
	p := &rowsPair{
		old: old, fresh: fresh, textNumbers: newTextNumbers(&old.file.tables, fresh.file.tables.Families, fresh.file.tables.Threats),
	}
	return p, errors.Join(advance(p.old, &p.oldEnds), advance(p.fresh, &p.newEnds))
}

// walk calls see for every name, with the cursors that have it, and progress now and then.
func (p *rowsPair) walk(ctx context.Context, progress func(done int), see func(old, fresh *rowsCursor) error) error {
	for done := 0; !(p.oldEnds && p.newEnds); done++ {
		if done%mergeStep == 0 {
			progress(done)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := p.step(see); err != nil {
			return err
		}
	}
	return nil
}

// rowsDiff gathers the names of which two copies say different things.
type rowsDiff struct {
	*rowsPair
	most  int
	names []byte
	count int
}

// changedNames returns the names of which two copies of a feed tell an index different things, one after the other in wire form; a few that
// it would take for equal may be among them. It gives up with errTooMany.
func changedNames(ctx context.Context, old, fresh *Rows, most int, progress func(done int)) ([]byte, int, error) {
	pair, err := newRowsPair(old.cursor(), fresh.cursor())
	if err != nil {
		return nil, 0, err
	}
	d := &rowsDiff{rowsPair: pair, most: most}
	err = pair.walk(ctx, progress, d.see)
	return d.names, d.count, err
}

func newTextNumbers(old *rowTables, families, threats []string) textNumbers {
	return textNumbers{sameTexts(old.Families, families), sameTexts(old.Threats, threats)}
}

// sameTexts returns for each text of old the number that fresh has for it, or one that it has for none.
func sameTexts(old, fresh []string) []uint32 {
	numbers := map[string]uint32{}
	for i, s := range fresh {
		numbers[s] = uint32(i)
	}
	out := make([]uint32, len(old))
	for i, s := range old {
		n, ok := numbers[s]
		if !ok {
			n = math.MaxUint32
		}
		out[i] = n
	}
	return out
}

func advance(c *rowsCursor, ends *bool) error {
	err := c.next()
	if *ends = errors.Is(err, io.EOF); *ends {
		return nil
	}
	return err
}

// step calls see for the next name.
func (p *rowsPair) step(see func(old, fresh *rowsCursor) error) error {
	switch order := p.order(); {
	case order < 0:
		return cmp.Or(see(p.old, nil), advance(p.old, &p.oldEnds))
	case order > 0:
		return cmp.Or(see(nil, p.fresh), advance(p.fresh, &p.newEnds))
	}
	return cmp.Or(see(p.old, p.fresh), advance(p.old, &p.oldEnds), advance(p.fresh, &p.newEnds))
}

// see compares the rows of a name.
func (d *rowsDiff) see(old, fresh *rowsCursor) error {
	switch {
	case fresh == nil:
		return d.note(old.name)
	case old == nil:
		return d.note(fresh.name)
	}
	same, err := d.same()
	if err == nil && !same {
		err = d.note(fresh.name)
	}
	return err
}

// order compares where the cursors stand: the one that is behind has a name that the other one has not.
func (p *rowsPair) order() int {
	switch {
	case p.oldEnds:
		return 1
	case p.newEnds:
		return -1
	}
	return cmp.Or(cmp.Compare(p.old.hash, p.fresh.hash), bytes.Compare(p.old.name, p.fresh.name))
}

func (d *rowsDiff) note(name []byte) error {
	if d.count++; d.count > d.most {
		return errTooMany
	}
	d.names = append(d.names, name...)
	return nil
}

// same reports whether the rows of both cursors make the same members.
func (d *rowsDiff) same() (bool, error) {
	var failed error
	equal := d.sameMembers(d.old.rows, d.fresh.rows, func(a, b *rawRow) bool {
		same, err := d.sameData(a, b)
		failed = cmp.Or(failed, err)
		return same
	})
	return equal, failed
}

// textNumbers maps the numbers of the texts of an old copy to those of a fresh one.
type textNumbers struct{ families, threats []uint32 }

// sameMembers reports whether rows of a name of an old and of a fresh copy make the same members, if data tells whether their local data are.
func (n *textNumbers) sameMembers(old, fresh []rawRow, data func(a, b *rawRow) bool) bool {
	if len(old) != len(fresh) {
		return false
	}
	for i := range old {
		a, b := &old[i], &fresh[i]
		if a.Kind != b.Kind || a.Action != b.Action || a.Exception != b.Exception || a.Confidence != b.Confidence ||
			n.families[a.Family] != b.Family || n.threats[a.Threat] != b.Threat || a.Expiry != b.Expiry && expiryHours(a.Expiry) != expiryHours(b.Expiry) ||
			!data(a, b) {
			return false
		}
	}
	return true
}

// sameData reports whether two rows have the same local data, or none.
func (p *rowsPair) sameData(a, b *rawRow) (bool, error) {
	if a.Data == 0 && b.Data == 0 {
		return true, nil
	}
	one, err := p.old.file.text(a.Data)
	two, err2 := p.fresh.file.text(b.Data)
	return one == two, cmp.Or(err, err2)
}
