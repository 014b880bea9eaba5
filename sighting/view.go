package sighting

import (
	"bytes"
	"fmt"
	"slices"
)

// view is what a query looks at: a consistent choice of memories and runs, in which no row is there twice and none is missing.
type view struct {
	memories []memoryView  // frozen ones
	active   *memorySource // copied from the active memory, complete for clients before bound
	bound    *[16]byte     // nil: complete for all
	runs     []runView
	applied  map[uint32]uint64 // by day: batches up to here are in runs
}

type memoryView struct{ *memory }

type runView struct {
	file    *dayFile
	version uint64
	info    runInfo
}

// look chooses. Frozen memories are held until release, so that their tables are not used again.
func (s *Store) look(q *query) *view {
	l := &s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	v := &view{applied: map[uint32]uint64{}}
	for _, m := range l.frozen {
		m.readers.RLock()
		v.memories = append(v.memories, memoryView{m})
	}
	for day, f := range l.days {
		if f.bad {
			continue
		}
		v.applied[day] = f.applied
		version := f.versionNow()
		for _, info := range f.runs {
			if info.hour >= q.hourFrom && info.hour <= q.hourLast {
				v.runs = append(v.runs, runView{file: f, version: version, info: info})
			}
		}
	}
	active := memoryView{l.active}
	v.active, v.bound = active.copy(q, v.applied)
	active.explain(l, q, v.active)
	return v
}

func (f *dayFile) versionNow() uint64 {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.version
}

func (v *view) release() {
	for _, m := range v.memories {
		m.readers.RUnlock()
	}
}

// memorySource are rows copied out of a memory, by client.
type memorySource struct {
	rows     []row
	at       int
	meanings map[uint32]*meaning
}

func (s *memorySource) current() *row { return &s.rows[s.at] }

func (s *memorySource) term() (*meaning, error) { return s.meanings[s.current().indicator], nil }

func (s *memorySource) advance() (bool, error) {
	s.at++
	return s.at < len(s.rows), nil
}

// memoryRowsMin is how many rows are copied out of a memory at a time, at least.
const memoryRowsMin = 4096

// copy copies the rows of the lowest clients that q asks for. If there are more, bound is the first client left out.
func (m memoryView) copy(q *query, applied map[uint32]uint64) (src *memorySource, bound *[16]byte) {
	chosen, bound := m.choose(q, applied)
	src = &memorySource{rows: make([]row, len(chosen)), meanings: map[uint32]*meaning{}}
	for i, n := range chosen {
		r := &src.rows[i]
		m.table.row(m.table.entries.at(n), r)
		for j := range r.kept {
			r.samples[j].prefix = bytes.Clone(r.samples[j].prefix)
		}
		src.meanings[r.indicator] = nil
	}
	return src, bound
}

// explain looks up what the numbers in src stand for. ledger.mu is held.
func (m memoryView) explain(l *ledger, q *query, src *memorySource) {
	for n := range src.meanings {
		src.meanings[n] = m.meaning(l, q, n)
	}
}

// choose returns the entries, by client, that copy copies.
func (m memoryView) choose(q *query, applied map[uint32]uint64) (chosen []uint32, bound *[16]byte) {
	room := max(2*q.Limit, memoryRowsMin)
	entries := &m.table.entries
	byClient := func(a, b uint32) int { return bytes.Compare(entries.at(a).client[:], entries.at(b).client[:]) }
	for n := range uint32(entries.len()) {
		e := entries.at(n)
		if e.hour < q.hourFrom || e.hour > q.hourLast || bytes.Compare(e.client[:], q.from[:]) < 0 || bytes.Compare(e.client[:], q.to[:]) > 0 {
			continue
		}
		if bound != nil && bytes.Compare(e.client[:], bound[:]) >= 0 || m.to > m.from && applied[e.hour/hoursPerDay] >= m.to {
			continue
		}
		if chosen = append(chosen, n); len(chosen) < 2*room {
			continue
		}
		slices.SortFunc(chosen, byClient)
		end := entries.at(chosen[room]).client
		first, _ := slices.BinarySearchFunc(chosen, end, func(n uint32, c [16]byte) int { return bytes.Compare(entries.at(n).client[:], c[:]) })
		if first == 0 { // all of one client: there is no place to cut
			room *= 2
			continue
		}
		chosen, bound = chosen[:first], &end
	}
	slices.SortFunc(chosen, byClient)
	return chosen, bound
}

// meaning looks up a number. ledger.mu is held.
func (m memoryView) meaning(l *ledger, q *query, number uint32) *meaning {
	r := m.dict.at(number)
	t, err := newMeaning(q, &l.book.list[r.rule], r.action, r.trigger, string(m.dict.nameOf(r)), string(m.dict.placeOf(r)))
	if err != nil {
		return &meaning{} // not reached: places are encoded by this package
	}
	return t
}

// runSource are the rows of a run of a day file.
type runSource struct {
	*runReader
	q        *query
	meanings map[uint32]*meaning
}

// fileDamage is an error about a day file.
type fileDamage struct {
	file *dayFile
	err  error
}

// Error says which file and what is wrong with it.
func (d *fileDamage) Error() string { return fmt.Sprintf("reading %s: %v", d.file.path, d.err) }

// Unwrap returns the cause, which wraps ErrDamaged.
func (d *fileDamage) Unwrap() error { return d.err }

func (o runView) blame(err error) error {
	if isDamage(err) {
		return &fileDamage{file: o.file, err: err}
	}
	return err
}

// openRun returns the source of a run, or nil if it has no row that q asks for.
func openRun(q *query, o runView) (*runSource, error) {
	r, err := newRunReader(o.file, o.version, o.info, q.from, q.to)
	if err != nil {
		return nil, o.blame(err)
	}
	ok, err := r.next()
	if err != nil || !ok {
		return nil, o.blame(err)
	}
	return &runSource{runReader: r, q: q, meanings: map[uint32]*meaning{}}, nil
}

func (s *runSource) current() *row { return &s.row }

func (s *runSource) advance() (bool, error) {
	ok, err := s.next()
	return ok, runView{file: s.file}.blame(err)
}

// meaningsMax bounds the terms that a source remembers.
const meaningsMax = 4096

func (s *runSource) term() (*meaning, error) {
	if m, ok := s.meanings[s.row.indicator]; ok {
		return m, nil
	}
	t, r, err := s.runReader.term(s.row.indicator)
	if err != nil {
		return nil, runView{file: s.file}.blame(err)
	}
	m, err := newMeaning(s.q, r, t.action, t.trigger, t.name, t.place)
	if err != nil {
		return nil, runView{file: s.file}.blame(fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	if len(s.meanings) >= meaningsMax {
		clear(s.meanings)
	}
	s.meanings[s.row.indicator] = m
	return m, nil
}
