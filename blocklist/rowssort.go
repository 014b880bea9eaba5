package blocklist

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// rowSorter sorts rows by (nameHash, name, order of arrival) in bounded memory: what does not fit is sorted and written to
// temporary files, which are merged at the end.
type rowSorter struct {
	dir    string
	budget int // octets of arena before it is spilled
	arena  []byte
	keys   []rowKey
	runs   []*os.File // already unlinked: they vanish with the process
}

// rowKey is one record of the arena: name length, name, row length (varint), row.
type rowKey struct {
	hash uint64
	off  uint32
}

// sortedRow is one record on its way out. Its slices live until the next call.
type sortedRow struct {
	hash uint64
	name []byte
	row  []byte
}

// sortBytesDefault is the arena of a rowSorter: with its keys and a spill in flight about three times as much memory.
const sortBytesDefault = 128 << 20

func newRowSorter(dir string, budget int) *rowSorter {
	if budget <= 0 {
		budget = sortBytesDefault
	}
	return &rowSorter{dir: dir, budget: budget}
}

func (s *rowSorter) add(name, row []byte) error {
	if len(s.arena)+len(name)+len(row)+8 > s.budget && len(s.keys) > 0 {
		if err := s.spill(); err != nil {
			return fmt.Errorf("sorting rows: %w", err)
		}
	}
	s.keys = append(s.keys, rowKey{nameHash(name), uint32(len(s.arena))})
	s.arena = append(s.arena, byte(len(name)))
	s.arena = append(s.arena, name...)
	s.arena = binary.AppendUvarint(s.arena, uint64(len(row)))
	s.arena = append(s.arena, row...)
	return nil
}

func (s *rowSorter) nameAt(off uint32) []byte {
	return s.arena[off+1 : off+1+uint32(s.arena[off])]
}

func (s *rowSorter) recordAt(off uint32) sortedRow {
	d := rowBytes{b: s.arena[off:]}
	name := d.take(int(d.octet()))
	return sortedRow{name: name, row: d.take(int(d.uvarint()))}
}

func (s *rowSorter) sort() {
	slices.SortFunc(s.keys, func(a, b rowKey) int {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		if c := bytes.Compare(s.nameAt(a.off), s.nameAt(b.off)); c != 0 {
			return c
		}
		return cmp.Compare(a.off, b.off)
	})
}

func (s *rowSorter) spill() error {
	if len(s.keys) == 0 {
		return nil
	}
	f, err := os.CreateTemp(s.dir, tempPattern)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, f)
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	s.sort()
	w := bufio.NewWriterSize(f, filePiece)
	for _, k := range s.keys {
		r := s.recordAt(k.off)
		w.Write(s.arena[k.off : k.off+1+uint32(len(r.name))])
		w.Write(binary.AppendUvarint(nil, uint64(len(r.row))))
		w.Write(r.row) // the first error sticks and comes out of Flush
	}
	s.arena, s.keys = s.arena[:0], s.keys[:0]
	return w.Flush()
}

// finish returns the rows in order. After it nothing may be added.
func (s *rowSorter) finish() (rowSource, error) {
	if len(s.runs) == 0 {
		s.sort()
		return &memorySource{sorter: s}, nil
	}
	if err := s.spill(); err != nil {
		return nil, fmt.Errorf("sorting rows: %w", err)
	}
	s.arena, s.keys = nil, nil
	return newRunMerge(s.runs)
}

func (s *rowSorter) close() {
	for _, f := range s.runs {
		f.Close()
	}
	s.runs, s.arena, s.keys = nil, nil, nil
}

// rowSource yields sorted rows until io.EOF.
type rowSource interface {
	next() (sortedRow, error)
}

type memorySource struct {
	sorter *rowSorter
	at     int
}

func (m *memorySource) next() (sortedRow, error) {
	if m.at == len(m.sorter.keys) {
		return sortedRow{}, io.EOF
	}
	k := m.sorter.keys[m.at]
	m.at++
	r := m.sorter.recordAt(k.off)
	r.hash = k.hash
	return r, nil
}

// runReader reads one spilled run.
type runReader struct {
	r    *bufio.Reader
	age  int // earlier runs hold rows that arrived earlier
	row  sortedRow
	name [256]byte
	buf  []byte
}

func (r *runReader) advance() error {
	n, err := r.r.ReadByte()
	if err != nil {
		return err // io.EOF between two records is the end
	}
	r.row.name = r.name[:n]
	if _, err := io.ReadFull(r.r, r.row.name); err != nil {
		return io.ErrUnexpectedEOF
	}
	size, err := binary.ReadUvarint(r.r)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	r.buf = slices.Grow(r.buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return io.ErrUnexpectedEOF
	}
	r.row.row, r.row.hash = r.buf, nameHash(r.row.name)
	return nil
}

// runMerge merges spilled runs.
type runMerge struct {
	queue   mergeQueue[*runReader]
	started bool
}

func newRunMerge(runs []*os.File) (*runMerge, error) {
	m := &runMerge{queue: mergeQueue[*runReader]{less: runLess}}
	for age, f := range runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		r := &runReader{r: bufio.NewReaderSize(f, filePiece), age: age}
		switch err := r.advance(); {
		case errors.Is(err, io.EOF):
		case err != nil:
			return nil, err
		default:
			m.queue.push(r)
		}
	}
	return m, nil
}

func runLess(a, b *runReader) bool {
	if a.row.hash != b.row.hash {
		return a.row.hash < b.row.hash
	}
	if c := bytes.Compare(a.row.name, b.row.name); c != 0 {
		return c < 0
	}
	return a.age < b.age
}

func (m *runMerge) next() (sortedRow, error) {
	if m.started && len(m.queue.items) > 0 {
		switch err := m.queue.top().advance(); {
		case err == io.EOF:
			m.queue.pop()
		case err != nil:
			return sortedRow{}, fmt.Errorf("reading sorted rows back: %w", err)
		default:
			m.queue.fix()
		}
	}
	m.started = true
	if len(m.queue.items) == 0 {
		return sortedRow{}, io.EOF
	}
	return m.queue.top().row, nil
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
