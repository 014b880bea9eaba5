package blocklist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"cenote/radix"
)

// rowSorter sorts rows by (nameHash, name, order of arrival) in bounded memory. As they come they are put into parts by the first bits of
// their hash, and what does not fit goes, part by part, into a temporary file. At the end one part after the other is read back and sorted,
// each while the one before is being used. So a row is touched while it is in the processor's caches, and nothing is merged.
type rowSorter struct {
	dir       string
	budget    int // octets in memory before they are written
	size      int // in memory
	parts     [sortParts]rowPart
	file      *os.File // already unlinked: it vanishes with the process
	end       int64    // of the file
	free      [][]byte
	spills    chan spill // the end of what was written last
	err       error
	preparing chan *sortedPart
}

// rowPart are the records of one part: name length, name, row length (varint), row. The oldest are in the file.
type rowPart struct {
	extents []extent
	blocks  [][]byte // full
	last    []byte
}

// extent is a place in the file.
type extent struct {
	offset int64
	size   int
}

// spill is what the end of writing to the file tells: the blocks that can be used again.
type spill struct {
	blocks [][]byte
	err    error
}

// rowKey is one record of a part.
type rowKey struct {
	hash uint64
	off  uint32
}

func (k *rowKey) key() uint64 { return k.hash }

// sortedRow is one record on its way out. Its slices live until the next call.
type sortedRow struct {
	hash uint64
	name []byte
	row  []byte
}

const (
	sortBytesDefault = 16 << 20 // octets of records in memory; while older ones are being written, twice as many
	sortBits         = 8
	sortParts        = 1 << sortBits
	sortBlock        = filePiece
)

func newRowSorter(dir string, budget int) *rowSorter {
	if budget <= 0 {
		budget = sortBytesDefault
	}
	return &rowSorter{dir: dir, budget: budget, spills: make(chan spill, 1)}
}

func (s *rowSorter) add(name, row []byte) error {
	size := len(name) + len(row) + 1 + binary.MaxVarintLen32
	if s.size+size > s.budget && s.size > 0 {
		if err := s.spill(); err != nil {
			return fmt.Errorf("sorting rows: %w", err)
		}
	}
	p := &s.parts[nameHash(name)>>(64-sortBits)]
	if len(p.last)+size > sortBlock && len(p.last) > 0 {
		p.blocks = append(p.blocks, p.last)
		p.last = s.block()
	}
	if p.last == nil && len(s.free) > 0 {
		p.last = s.block()
	}
	before := len(p.last)
	b := append(p.last, byte(len(name)))
	b = append(b, name...)
	b = binary.AppendUvarint(b, uint64(len(row)))
	p.last = append(b, row...)
	s.size += len(p.last) - before
	return nil
}

// block returns an empty block. The first one of a part grows as it is filled, as long as none is free.
func (s *rowSorter) block() (b []byte) {
	if n := len(s.free); n > 0 {
		b, s.free = s.free[n-1], s.free[:n-1]
		return b[:0]
	}
	return make([]byte, 0, sortBlock)
}

// spill has all that is in memory written to the file, in the background, when what was so before is there.
func (s *rowSorter) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, tempPattern)
		if err != nil {
			return err
		}
		s.file = f
		s.spills <- spill{}
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	if err := s.wait(); err != nil {
		return err
	}
	var blocks [][]byte
	at := s.end
	for i := range s.parts {
		p := &s.parts[i]
		from := s.end
		for _, b := range append(p.blocks, p.last) {
			blocks, s.end = append(blocks, b), s.end+int64(len(b))
		}
		if s.end > from {
			p.extents = append(p.extents, extent{from, int(s.end - from)})
		}
		p.blocks, p.last = nil, nil
	}
	s.size = 0
	go func() { s.spills <- spill{blocks, writeBlocks(s.file, at, blocks)} }()
	return nil
}

// wait waits for the end of what is being written. Afterwards the next may be, unless there is an error, which every later call returns too.
func (s *rowSorter) wait() error {
	done := <-s.spills
	for _, b := range done.blocks {
		if cap(b) >= sortBlock {
			s.free = append(s.free, b)
		}
	}
	if s.err = cmp.Or(s.err, done.err); s.err != nil {
		s.spills <- spill{}
	}
	return s.err
}

func writeBlocks(f *os.File, at int64, blocks [][]byte) error {
	for _, b := range blocks {
		if _, err := f.WriteAt(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}

// finish returns the rows in order. After it nothing may be added; it may be called again, when its source is at its end.
func (s *rowSorter) finish() (rowSource, error) {
	if s.file != nil {
		if err := s.wait(); err != nil {
			return nil, fmt.Errorf("sorting rows: %w", err)
		}
		s.spills <- spill{}
	}
	s.free = nil
	s.prepare(0, new(sortedPart))
	return &partSource{sorter: s, part: new(sortedPart)}, nil
}

func (s *rowSorter) close() {
	_ = s.prepared() // whoever reads or writes has the file
	if s.file != nil {
		_ = s.wait()
		s.file.Close()
	}
	*s = rowSorter{}
}

// rowSource yields sorted rows until io.EOF.
type rowSource interface {
	next() (sortedRow, error)
}

// sortedPart is a part that was read and sorted. Its memory is used for the next but one.
type sortedPart struct {
	records []byte
	keys    []rowKey
	spare   []rowKey
	err     error
}

// read fills o with the records of p.
func (o *sortedPart) read(f *os.File, p *rowPart) error {
	size := len(p.last)
	for _, e := range p.extents {
		size += e.size
	}
	for _, b := range p.blocks {
		size += len(b)
	}
	if uint64(size) > 1<<32-1 {
		return errors.New("too many rows whose names have hashes that begin alike")
	}
	o.records, o.keys = slices.Grow(o.records[:0], size), o.keys[:0]
	for _, e := range p.extents {
		for at := 0; at < e.size; {
			n := min(filePiece, e.size-at)
			from := len(o.records)
			o.records = o.records[:from+n]
			if _, err := f.ReadAt(o.records[from:], e.offset+int64(at)); err != nil {
				return fmt.Errorf("reading sorted rows back: %w", err)
			}
			at += n
		}
	}
	for _, b := range p.blocks {
		o.records = append(o.records, b...)
	}
	o.records = append(o.records, p.last...)
	return nil
}

// sort brings the keys of the records into order.
func (o *sortedPart) sort() {
	for off := 0; off < len(o.records); {
		r, size := o.at(uint32(off))
		o.keys = append(o.keys, rowKey{nameHash(r.name), uint32(off)})
		off += size
	}
	o.spare = radix.Sort(o.keys, o.spare, sortBits, (*rowKey).key, func(a, b rowKey) int {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		first, _ := o.at(a.off)
		second, _ := o.at(b.off)
		return cmp.Or(bytes.Compare(first.name, second.name), cmp.Compare(a.off, b.off))
	})
}

// at returns the record at off, without its hash, and its size.
func (o *sortedPart) at(off uint32) (r sortedRow, size int) {
	d := rowBytes{b: o.records[off:]}
	r.name = d.take(int(d.octet()))
	r.row = d.take(int(d.uvarint()))
	return r, len(o.records) - int(off) - len(d.b)
}

// partSource yields the rows of one part after the other. While one is used, the next is read and sorted.
type partSource struct {
	sorter *rowSorter
	part   *sortedPart
	at     int // in its keys
	taken  int // parts
	err    error
}

func (m *partSource) next() (sortedRow, error) {
	for m.err == nil && m.at == len(m.part.keys) {
		if m.taken == sortParts {
			return sortedRow{}, io.EOF
		}
		used := m.part
		if m.part, m.at = m.sorter.prepared(), 0; m.part.err != nil {
			m.err = m.part.err
			break
		}
		if m.taken++; m.taken < sortParts {
			m.sorter.prepare(m.taken, used)
		}
	}
	if m.err != nil {
		return sortedRow{}, m.err
	}
	k := m.part.keys[m.at]
	m.at++
	r, _ := m.part.at(k.off)
	r.hash = k.hash
	return r, nil
}

// prepare reads and sorts a part in the background.
func (s *rowSorter) prepare(part int, o *sortedPart) {
	s.preparing = make(chan *sortedPart, 1)
	done := s.preparing
	go func() {
		if o.err = o.read(s.file, &s.parts[part]); o.err == nil {
			o.sort()
		}
		done <- o
	}()
}

// prepared waits for the part that is being prepared, if one is.
func (s *rowSorter) prepared() (o *sortedPart) {
	if s.preparing != nil {
		o, s.preparing = <-s.preparing, nil
	}
	return o
}

// mergeQueue is a binary heap: top is the least. A cursor that moved on is put right by fix.
type mergeQueue[T any] struct {
	items []T
	less  func(a, b T) bool
}

func (q *mergeQueue[T]) top() T { return q.items[0] }

func (q *mergeQueue[T]) push(item T) {
	q.items = append(q.items, item)
	for i := len(q.items) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.less(q.items[i], q.items[parent]) {
			return
		}
		q.items[i], q.items[parent] = q.items[parent], q.items[i]
		i = parent
	}
}

func (q *mergeQueue[T]) pop() {
	last := len(q.items) - 1
	q.items[0] = q.items[last]
	clear(q.items[last:])
	q.items = q.items[:last]
	q.fix()
}

func (q *mergeQueue[T]) fix() {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q.items); child++ {
			if q.less(q.items[child], q.items[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.items[i], q.items[least] = q.items[least], q.items[i]
		i = least
	}
}
