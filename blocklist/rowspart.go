package blocklist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"cenote/policy"
)

// finishPart is finish for rows that are not all: with them come those of the previous copy whose lines kept leads to others.
func (w *rowsWriter) finishPart(path string, generation uint64, report Report, source SourceState, previous *Rows, kept *lineMap) error {
	full := FeedReport{Report: report, Source: source, LabelsDropped: w.dropped}
	rows, err := w.sorter.finish()
	if err != nil {
		return err
	}
	m := w.maker(generation, &full)
	m.previous = &previousCursor{
		cursor: previous.cursor(), changes: w.changes,
		numbers: newTextNumbers(&previous.tables, w.families.texts, w.threats.texts),
	}
	p := &partMaker{rowsMaker: m, old: &m.previous.cursor.main, kept: kept, fresh: rows, times: make([]uint32, len(previous.tables.Times))}
	if err := p.run(); err != nil {
		return err
	}
	return m.commit(path)
}

// partMaker makes a rows file of the groups of the previous one and of rows that were read anew, both in the order of such a file.
type partMaker struct {
	*rowsMaker
	old   *blockCursor
	kept  *lineMap
	hash  uint64 // of the name at the beginning of the old block
	name  []byte // that name
	fresh rowSource
	next  sortedRow
	ended bool     // there is no next row
	times []uint32 // 1 + the number that a time of the previous copy has; 0: it has none yet
	lines []uint32 // of the rows of the old block from the present name on: what their lines have become
	block []uint32 // the same of all of its rows
	taken []rawRow
}

func (p *partMaker) run() error {
	if err := p.advance(); err != nil {
		return err
	}
	names := uint64(0)
	for {
		more, err := p.look()
		if err != nil {
			return err
		}
		for !p.ended && (!more || p.comesFirst()) {
			if err := p.freshName(); err != nil {
				return err
			}
		}
		if !more {
			break
		}
		names++
		if !p.ended && p.next.hash == p.hash && bytes.Equal(p.next.name, p.name) || !p.copy() {
			if err := p.together(); err != nil {
				return err
			}
		}
		if err := p.out.endFullBlock(); err != nil {
			return err
		}
	}
	if want := p.old.file.header.Names; names != want {
		return fmt.Errorf("%w: %d names instead of %d", ErrRowsDamaged, names, want)
	}
	return nil
}

// advance moves on in the rows that were read anew.
func (p *partMaker) advance() (err error) {
	p.next, err = p.fresh.next()
	if errors.Is(err, io.EOF) {
		p.ended, err = true, nil
	}
	return err
}

// look looks at the next name of the previous copy, if there is one.
func (p *partMaker) look() (more bool, err error) {
	c := p.old
	if len(c.block.b) == 0 {
		if c.at == c.file.blocks() {
			return false, nil
		}
		if err := c.nextBlock(); err != nil {
			return false, err
		}
		p.block = appendLines(p.block[:0], c.block)
		p.kept.become(p.block)
		p.lines = p.block
	}
	size := int(c.block.b[0])
	if size >= len(c.block.b) {
		return false, fmt.Errorf("%w: a name without rows", ErrRowsDamaged)
	}
	p.name = c.block.b[1 : 1+size]
	p.hash = nameHash(p.name)
	return true, nil
}

// appendLines appends the line of each row of a block.
func appendLines(lines []uint32, d rowBytes) []uint32 {
	for len(d.b) > 0 && !d.bad {
		d.take(int(d.octet()))
		for n := d.uvarint(); n > 0 && !d.bad; n-- {
			lines = append(lines, d.line())
		}
	}
	return lines
}

// comesFirst reports whether the next row that was read anew has a name before that of the previous copy.
func (p *partMaker) comesFirst() bool {
	return p.next.hash < p.hash || p.next.hash == p.hash && bytes.Compare(p.next.name, p.name) < 0
}

// freshName writes a name that the previous copy does not have.
func (p *partMaker) freshName() error {
	if err := p.gather(); err != nil {
		return err
	}
	return p.group(nil)
}

// gather takes the rows of the next name that was read anew.
func (p *partMaker) gather() error {
	p.rowsMaker.name = append(p.rowsMaker.name[:0], p.next.name...)
	p.taken = p.taken[:0]
	for !p.ended && bytes.Equal(p.next.name, p.rowsMaker.name) {
		d := rowBytes{b: p.next.row}
		p.taken = append(p.taken, d.row())
		if err := p.advance(); err != nil {
			return err
		}
	}
	return nil
}

// group writes the rows that were taken, of whose name the previous copy says what was says; none take the name out.
func (p *partMaker) group(was []rawRow) error {
	for _, r := range p.taken {
		p.take(r)
	}
	rows := p.rowsMaker.group()
	if c := p.previous; c.changes.know() && !c.numbers.sameMembers(was, rows, c.noData) {
		c.note(p.rowsMaker.name, rows)
	}
	if len(rows) == 0 {
		return nil
	}
	return p.write(rows, was)
}

// together writes the name of the previous copy with its rows that are kept and those that were read anew, in the order of their lines.
func (p *partMaker) together() error {
	hash := p.hash
	if err := p.old.parse(); err != nil {
		return err
	}
	was := p.old.rows
	if len(was) > len(p.lines) {
		return fmt.Errorf("%w: a row without a line", ErrRowsDamaged)
	}
	lines := p.lines[:len(was)]
	p.lines = p.lines[len(was):]
	p.rowsMaker.name, p.taken = append(p.rowsMaker.name[:0], p.old.name...), p.taken[:0]
	if !p.ended && p.next.hash == hash && bytes.Equal(p.next.name, p.rowsMaker.name) {
		if err := p.gather(); err != nil {
			return err
		}
	}
	for i := range was {
		if line := lines[i]; line != 0 {
			r := was[i]
			r.Line = line
			p.taken = append(p.taken, r)
		}
	}
	slices.SortStableFunc(p.taken, func(a, b rawRow) int { return cmp.Compare(a.Line, b.Line) })
	return p.group(was)
}

// copy writes the name of the previous copy as it is, but for the number of its line, if it has one row and that is kept. It does what together does
// for nearly all names, in a small part of the time.
func (p *partMaker) copy() bool {
	b := p.old.block.b
	at := 1 + len(p.name)
	const fixed = 5 // how many rows, the flags, family, threat and file, an octet each
	if len(b) < at+fixed || b[at] != 1 || (b[at+2]|b[at+3]|b[at+4]) >= 0x80 {
		return false
	}
	flags, family := b[at+1], int(b[at+2])
	if flags&(rowExpiry|rowNotes|rowData) != 0 || policy.Kind(flags&rowKind) == policy.KindENT {
		return false
	}
	tables := &p.old.file.tables
	if family >= len(tables.Families) || int(b[at+3]) >= len(tables.Threats) || int(b[at+4]) >= len(tables.Files) {
		return false
	}
	at += fixed
	_, n := binary.Uvarint(b[at:])
	if n <= 0 || len(p.lines) == 0 || p.lines[0] == 0 {
		return false
	}
	end := at + n
	if flags&rowAction != 0 {
		end++
	}
	if flags&rowConfidence != 0 {
		end++
	}
	if end >= len(b) {
		return false
	}
	added, size := binary.Uvarint(b[end:])
	if size <= 0 || added >= uint64(len(p.times)) {
		return false
	}
	if p.times[added] == 0 {
		p.times[added] = 1 + p.timeNumber(tables.Times[added])
	}
	o := p.out
	if len(o.block) == 0 {
		o.first = p.hash
	}
	o.block = append(o.block, b[:at]...)
	o.block = binary.AppendUvarint(o.block, uint64(p.lines[0]))
	o.block = append(o.block, b[at+n:end]...)
	o.block = binary.AppendUvarint(o.block, uint64(p.times[added]-1))
	o.header.Names++
	o.header.Rows++
	p.report.Names++
	p.counts[family]++
	p.old.block.b, p.lines = b[end+size:], p.lines[1:]
	return true
}
