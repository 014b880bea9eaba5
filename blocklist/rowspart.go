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

// finishPart is finish for rows that are not all: with them come those of the previous copy whose lines are still there.
func (w *rowsWriter) finishPart(path string, generation uint64, report Report, source SourceState, part *listPart) error {
	full := FeedReport{Report: report, Source: source, LabelsDropped: w.dropped}
	rows, err := w.sorter.finish()
	if err != nil {
		return err
	}
	previous := part.before
	m := w.maker(generation, &full)
	m.previous = &previousCursor{
		cursor: previous.cursor(), changes: w.changes,
		numbers: newTextNumbers(&previous.tables, w.families.texts, w.threats.texts),
	}
	p := &partMaker{
		rowsMaker: m, listPart: part, old: &m.previous.cursor.main, over: m.previous.cursor.layer, overEnds: previous.base == nil,
		fresh: rows, times: make([]uint32, len(previous.tables.Times)),
	}
	p.old.moved = nil // kept says what becomes of them
	if p.layer {
		m.overLayer(part)
	}
	if err := p.run(); err != nil {
		return err
	}
	return m.commit(path)
}

// partMaker makes a rows file of the groups of the previous copy and of rows that were read anew, both in the order of such a file. The previous copy is one
// file, or a layer over one: what the layer says of a name holds then. What is made is a whole file or a layer over the same one.
type partMaker struct {
	*rowsMaker
	*listPart
	old    *blockCursor // of the file that the previous copy is or lies over
	hash   uint64       // of the name at the beginning of the old block
	name   []byte       // that name
	lines  []uint32     // of the rows of the old block from that name on: what their lines have become
	block  []uint32     // the same of all of its rows
	passed uint64       // names of the blocks that were looked at

	over     *blockCursor // of the layer
	overEnds bool
	fresh    rowSource
	next     sortedRow // of those that were read anew
	ended    bool      // there is no next row

	first changedName // the next name of the layer or of the rows that were read anew
	last  bool        // there is none
	taken []rawRow
	was   []rawRow // rows of a name in the previous copy
	moved []uint32 // what their lines have become
	times []uint32 // 1 + the number that a time of the previous copy has; 0: it has none yet
}

func (p *partMaker) run() error {
	if err := errors.Join(p.advance(), p.advanceOver()); err != nil {
		return err
	}
	p.settle()
	for {
		more, err := p.look()
		if err != nil {
			return err
		}
		for !p.last && (!more || compareNames(p.first, changedName{p.hash, p.name}) < 0) {
			if err := p.say(p.first, false); err != nil {
				return err
			}
		}
		if !more {
			break
		}
		if p.isFirst(p.hash, p.name) || !p.pass() {
			if err := p.say(changedName{p.hash, p.name}, true); err != nil {
				return err
			}
		}
		if err := p.out.endFullBlock(); err != nil {
			return err
		}
	}
	if want := p.old.file.header.Names; p.passed != want {
		return fmt.Errorf("%w: %d names instead of %d", ErrRowsDamaged, p.passed, want)
	}
	if p.layer {
		p.report.Names += p.before.report.Names
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

// advanceOver moves on in the layer.
func (p *partMaker) advanceOver() error {
	passed := true
	return p.over.follow(&passed, &p.overEnds)
}

// settle finds the first of the names that the layer has and those that were read anew.
func (p *partMaker) settle() {
	p.last = p.ended && p.overEnds
	if !p.ended {
		p.first = changedName{p.next.hash, p.next.name}
	}
	if over := p.over; !p.overEnds && (p.ended || compareNames(changedName{over.hash, over.name}, p.first) < 0) {
		p.first = changedName{over.hash, over.name}
	}
}

func (p *partMaker) isFirst(hash uint64, name []byte) bool {
	return !p.last && p.first.hash == hash && bytes.Equal(p.first.name, name)
}

// look looks at the next name of the old file that may have to do with what is written, if there is one.
func (p *partMaker) look() (more bool, err error) {
	c := p.old
	for len(c.block.b) == 0 {
		if c.at == c.file.blocks() {
			return false, nil
		}
		if err := c.nextBlock(); err != nil {
			return false, err
		}
		names := 0
		p.block, names = appendLines(p.block[:0], c.block)
		p.passed += uint64(names)
		p.kept.become(p.block)
		if p.lines = p.block; p.layer && p.stays() {
			c.block.b = nil
		}
	}
	size := int(c.block.b[0])
	if size >= len(c.block.b) {
		return false, fmt.Errorf("%w: a name without rows", ErrRowsDamaged)
	}
	p.name = c.block.b[1 : 1+size]
	p.hash = nameHash(p.name)
	return true, nil
}

// stays reports whether all names of the block, which was read last, say what they said.
func (p *partMaker) stays() bool {
	r := p.old.file
	before := p.last || p.old.at < r.blocks() && r.blockHash(p.old.at) < p.first.hash
	return before && !slices.Contains(p.lines, 0)
}

// appendLines appends the line of each row of a block, which has so many names.
func appendLines(lines []uint32, d rowBytes) (all []uint32, names int) {
	for len(d.b) > 0 && !d.bad {
		names++
		if line, end := soleLine(d.b); end > 0 {
			lines, d.b = append(lines, line), d.b[end:]
			continue
		}
		d.take(int(d.octet()))
		for n := d.uvarint(); n > 0 && !d.bad; n-- {
			lines = append(lines, d.line())
		}
	}
	return lines, names
}

// soleLine is the line of the row of the first name, if it has one that says little, as nearly all have; end is how long name and row are, or 0.
func soleLine(b []byte) (line uint32, end int) {
	const most = 5 + 2*binary.MaxVarintLen32 + 2 // octets behind the name
	at := 1 + int(b[0])
	if len(b) < at+most || b[at] != 1 || b[at+1]&(rowExpiry|rowNotes|rowData) != 0 || (b[at+2]|b[at+3]|b[at+4]) >= 0x80 {
		return 0, 0
	}
	flags := b[at+1]
	line, n := varint32(b[at+5:])
	at += 5 + n
	if flags&rowAction != 0 {
		at++
	}
	if flags&rowConfidence != 0 {
		at++
	}
	_, last := varint32(b[at:])
	if n == 0 || last == 0 {
		return 0, 0
	}
	return line, at + last
}

// varint32 is binary.Uvarint for numbers of 32 bits; n is 0 for others.
func varint32(b []byte) (v uint32, n int) {
	for shift := 0; shift < 32; shift += 7 {
		c := b[n]
		n++
		if v |= uint32(c&0x7f) << shift; c < 0x80 {
			return v, n
		}
	}
	return 0, 0
}

// say writes a name with the rows that the previous copy has of it and that are kept, and with those that were read anew, in the order of their lines. It is at the
// beginning of the old block, or the old file does not have it.
func (p *partMaker) say(name changedName, old bool) error {
	p.rowsMaker.name, p.taken, p.was = append(p.rowsMaker.name[:0], name.name...), p.taken[:0], p.was[:0]
	if old {
		if err := p.takeOld(); err != nil {
			return err
		}
	}
	if !p.overEnds && p.over.hash == name.hash && bytes.Equal(p.over.name, p.rowsMaker.name) {
		if err := p.takeOver(); err != nil {
			return err
		}
	}
	for !p.ended && p.next.hash == name.hash && bytes.Equal(p.next.name, p.rowsMaker.name) {
		d := rowBytes{b: p.next.row}
		p.taken = append(p.taken, d.row())
		if err := p.advance(); err != nil {
			return err
		}
	}
	p.settle()
	for i, line := range p.moved[:len(p.was)] {
		if line != 0 {
			r := p.was[i]
			r.Line = line
			p.taken = append(p.taken, r)
		}
	}
	slices.SortStableFunc(p.taken, func(a, b rawRow) int { return cmp.Compare(a.Line, b.Line) })
	return p.group(old)
}

// takeOld takes the rows of the name at the beginning of the old block.
func (p *partMaker) takeOld() error {
	if err := p.old.parse(); err != nil {
		return err
	}
	n := len(p.old.rows)
	if n > len(p.lines) {
		return fmt.Errorf("%w: a row without a line", ErrRowsDamaged)
	}
	p.was = append(p.was, p.old.rows...)
	p.moved = append(p.moved[:0], p.lines[:n]...)
	p.lines = p.lines[n:]
	return nil
}

// takeOver takes what the layer says of its next name, in the place of what the old file says.
func (p *partMaker) takeOver() error {
	p.was, p.moved = append(p.was[:0], p.over.rows...), p.moved[:0]
	for i := range p.was {
		p.moved = append(p.moved, p.was[i].Line)
	}
	p.again.become(p.moved)
	return p.advanceOver()
}

// group writes the rows that were taken, of whose name the previous copy has others; none take the name out. old: the old file has the name.
func (p *partMaker) group(old bool) error {
	for _, r := range p.taken {
		p.take(r)
	}
	rows := p.rowsMaker.group()
	if c := p.previous; c.changes.know() && !c.numbers.sameMembers(p.was, rows, c.noData) {
		c.note(p.rowsMaker.name, rows)
	}
	if p.layer {
		p.uncount()
	}
	switch {
	case len(rows) > 0:
		return p.write(rows, p.was)
	case p.layer && old:
		return p.out.group(p.rowsMaker.name, nil)
	}
	return nil
}

// uncount takes the rows of a name in the previous copy out of the counts, which begin with those of that copy.
func (p *partMaker) uncount() {
	if len(p.was) > 0 {
		p.report.Names--
	}
	for i := range p.was {
		p.counts[p.was[i].Family]--
	}
}

// pass goes on behind the name at the beginning of the old block, of which neither the layer nor what was read says anything, if its rows stay.
func (p *partMaker) pass() bool {
	if !p.layer {
		return p.copy()
	}
	d := p.old.block
	if _, end := soleLine(d.b); end > 0 && p.lines[0] != 0 {
		p.old.block.b, p.lines = d.b[end:], p.lines[1:]
		return true
	}
	d.take(int(d.octet()))
	n := d.uvarint()
	if n > uint64(len(p.lines)) || slices.Contains(p.lines[:n], 0) {
		return false
	}
	for range n {
		d.line()
	}
	if !d.bad {
		p.old.block, p.lines = d, p.lines[n:]
	}
	return !d.bad
}

// copy writes the name of the previous copy as it is, but for the number of its line, if it has one row and that is kept. It does what say does
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
