package sighting

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// replay reads journals back into memories. It is used at the start, for what had not reached its day file, and when a day
// file was put aside, for what that had held.
type replay struct {
	s     *Store
	upTo  uint64                                 // the last batch that is wanted
	keep  func(day uint32, sequence uint64) bool // of which rows are wanted
	emit  func(m *memory) error                  // takes a memory when it is full, and at the end
	fresh func(m *memory, e *row, number uint32) // told of every new pair; may be nil

	m       *memory
	last    uint64              // the highest sequence that was read
	run     uint64              // of the segment being read
	numbers map[uint32]uint32   // of the run's terms, in the dictionary
	rules   map[uint32]uint32   // of the run's rules, in the ruleBook
	places  map[placeKey][]byte // of all runs
	torn    map[uint64]int64    // by run: when the last good batch before damage was written
	skipped int                 // rows whose term is not defined
	dict    *dictionary
}

type placeKey struct {
	run    uint64
	number uint32
}

// segments reads the segments of a directory, oldest first. Damage ends the reading of a segment, not of the others.
func (p *replay) segments(dir string, list []segment) error {
	p.places, p.torn = map[placeKey][]byte{}, map[uint64]int64{}
	for _, g := range list {
		p.scan(g.path(dir))
	}
	p.dict = newDictionary(0)
	p.begin()
	for _, g := range list {
		if err := p.read(g.path(dir)); err != nil {
			return err
		}
	}
	if p.skipped > 0 {
		p.s.log.Error("sighting journals lack definitions", "rows", p.skipped)
	}
	return p.finish()
}

func (p *replay) begin() {
	p.m = &memory{table: newTable(p.s.seed), dict: p.dict, losses: newLosses(), from: p.last, to: p.last}
}

func (p *replay) finish() error {
	if p.m.empty() {
		return nil
	}
	m := p.m
	m.needs = p.dict.records.len()
	p.begin()
	return p.emit(m)
}

// scan collects the places, which may stand behind the rows that need them. Faults are found by read.
func (p *replay) scan(path string) {
	_, _ = readJournalFile(path, func(h *segmentHeader, b *batch) error {
		return b.eachPlace(func(n uint32, place []byte) { p.places[placeKey{h.run, n}] = bytes.Clone(place) })
	})
}

func (p *replay) read(path string) error {
	var run uint64
	var through int64
	good, err := readJournalFile(path, func(h *segmentHeader, b *batch) error {
		run, through = h.run, b.through
		return p.batch(h, b)
	})
	if !errors.Is(err, errJournal) && !errors.Is(err, errRow) {
		return err
	}
	// The usual end of a journal whose process was killed; damage, if the same process wrote on.
	p.torn[run] = through
	p.s.log.Warn("sighting journal ends early", "file", path, "good_octets", good, "error", err)
	return nil
}

func (p *replay) batch(h *segmentHeader, b *batch) error {
	if b.sequence > p.upTo {
		return nil
	}
	if h.run != p.run || p.numbers == nil {
		p.run, p.numbers, p.rules = h.run, map[uint32]uint32{}, map[uint32]uint32{}
	}
	if err := p.define(b); err != nil {
		return err
	}
	if since, ok := p.torn[h.run]; ok {
		delete(p.torn, h.run)
		p.m.losses.add(lossKey{reason: LossDamage}, 0, since, b.through)
	}
	if err := p.count(b); err != nil {
		return err
	}
	p.last = max(p.last, b.sequence)
	p.m.to = p.last
	if p.m.pairs() >= p.s.live.Load().Limits.TablePairs || p.m.table.size() > freezeSize {
		return p.finish()
	}
	return nil
}

func (p *replay) define(b *batch) error {
	l := &p.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(
		b.eachRule(func(n uint32, r rule) { p.rules[n] = l.rule(r, p.s.seed) }),
		b.eachTerm(func(t *termDefinition) {
			p.numbers[t.number] = p.dict.restore(t, p.rules[t.rule], p.places[placeKey{p.run, t.number}])
		}))
}

func (p *replay) count(b *batch) error {
	err := b.eachRow(func(r *row) error {
		number, ok := p.numbers[r.indicator]
		if !ok {
			p.skipped++
			return nil
		}
		if !p.keep(r.hour/hoursPerDay, b.sequence) {
			return nil
		}
		e, fresh := p.m.table.upsert(p.m.table.tag(&r.client, number, r.hour), &r.client, number, r.hour)
		p.m.table.mergeRow(e, r)
		if fresh && p.fresh != nil {
			p.fresh(p.m, r, number)
		}
		return nil
	})
	return errors.Join(err, b.eachLoss(func(l *loss) {
		if p.keep(l.day(), b.sequence) {
			l.rule = p.rules[l.rule]
			p.m.losses.merge(l)
		}
	}))
}

// restore adds a term that a journal defined. Equal terms get numbers of their own; canon brings them together.
func (d *dictionary) restore(t *termDefinition, rule uint32, place []byte) uint32 {
	n := d.next()
	d.records.append(record{
		rule: rule, name: addOctets(&d.names, t.name), nameLen: uint8(len(t.name)),
		labels: t.labels, action: t.action, trigger: t.trigger, byFamily: len(t.name) == 0,
	})
	d.setPlace(place)
	return n
}

// recover brings what is only in journals into day files, and of days whose file was put aside all that journals have. It
// returns the number of the last batch that ever was.
func (s *Store) recover(aside []uint32) (last uint64, err error) {
	dir := filepath.Join(s.config.Dir, journalDirectory)
	unfinished, _ := filepath.Glob(filepath.Join(dir, "*.new")) // of an erasure that a crash ended; the pattern is right
	for _, path := range unfinished {
		s.removeLeftover(path)
	}
	list, err := listSegments(dir)
	if err != nil {
		return 0, err
	}
	applied := map[uint32]uint64{}
	durable := uint64(0)
	for day, f := range s.ledger.days {
		applied[day] = f.applied
		durable, last = max(durable, f.durable), max(last, f.applied, f.durable)
	}
	s.durable.Store(durable)
	list = s.dropStubs(dir, list)
	s.scribe.segments = list
	for _, day := range aside {
		s.admitDamage(day)
	}
	wanted := list
	for len(aside) == 0 && len(wanted) > 1 && wanted[1].first <= durable+1 {
		wanted = wanted[1:]
	}
	oldest := int64(s.today()) - int64(s.live.Load().RetentionDays)
	p := &replay{
		s: s, fresh: s.greetReplayed, upTo: 1<<64 - 1,
		keep: func(day uint32, sequence uint64) bool { return sequence > applied[day] && int64(day) >= oldest },
		emit: s.takeReplayed,
	}
	if err := p.segments(dir, wanted); err != nil {
		return 0, fmt.Errorf("replaying sighting journals: %w", err)
	}
	if len(s.ledger.frozen) == 0 {
		s.durable.Store(max(durable, p.last))
	}
	return max(last, p.last), nil
}

// admitDamage stores that a day may lack matches, unless the journals that are left reach back to before it.
func (s *Store) admitDamage(day uint32) {
	s.scribe.mu.Lock()
	list := s.scribe.segments
	begin := hourTime(day * hoursPerDay)
	whole := len(list) > 0 && (list[0].first <= 1 || list[0].made.Before(begin))
	s.scribe.mu.Unlock()
	if whole {
		return
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.collector.pending.add(lossKey{reason: LossDamage}, 0, begin.UnixNano(), begin.Add(24*time.Hour-time.Microsecond).UnixNano())
}

// takeReplayed hands a memory to the writer and lets it try at once. If the disk is full it stays in memory, and the journal stays.
func (s *Store) takeReplayed(m *memory) error {
	s.ledger.frozen = append(s.ledger.frozen, m)
	s.writer.flush(endedContext())
	return nil
}

// dropStubs removes segments that a crash left without a whole header.
func (s *Store) dropStubs(dir string, list []segment) []segment {
	var kept []segment
	for _, g := range list {
		if g.size >= journalHeaderSize {
			kept = append(kept, g)
			continue
		}
		if err := os.Remove(g.path(dir)); err != nil {
			s.log.Warn("empty sighting journal cannot be removed", "error", err)
		}
	}
	return kept
}

// restoreDay writes into the file of a day what the journals still have of it in batches up to upTo.
func (w *writer) restoreDay(day uint32, upTo uint64) error {
	w.s.scribe.mu.Lock()
	list := append([]segment(nil), w.s.scribe.segments...)
	w.s.scribe.mu.Unlock()
	var c commit
	rows := 0
	p := &replay{
		s: w.s, upTo: upTo,
		keep: func(d uint32, _ uint64) bool { return d == day },
		emit: func(m *memory) error {
			l := &w.s.ledger
			l.mu.Lock()
			dict, book := m.dict.snapshot(), l.book.list
			l.mu.Unlock()
			c.begin(m, dict, book)
			rows += m.pairs()
			return w.commitDay(&c, day, 0)
		},
	}
	err := p.segments(w.s.scribe.dir, list)
	w.s.log.Info("damaged day of sightings restored from journals", "day", dayName(day), "rows", rows)
	return err
}
