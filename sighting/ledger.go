package sighting

import (
	"sync"

	"github.com/zeebo/xxh3"
)

// ledger is the state that the collector changes and others read: what is in memory, and the list of what is on disk.
// Lock order: ledger.mu, then nothing.
type ledger struct {
	mu sync.Mutex

	book    *ruleBook
	hashes  []ruleHash // by number of rule
	dict    *dictionary
	active  *memory   // filled by the collector
	frozen  []*memory // oldest first; written, and taken off, by the writer
	spare   *table    // an empty one that has its memory already
	waiting []*dictionary

	interned, resolved uint64 // indicators, ever

	days map[uint32]*dayFile // written by the writer
}

// ruleHash are keyed hashes of what the bounds and the first sightings look at.
type ruleHash struct{ zone, family uint64 }

// rule returns the number of a rule. mu is held.
func (l *ledger) rule(r rule, seed uint64) uint32 {
	n := l.book.number(r)
	for int(n) >= len(l.hashes) {
		known := &l.book.list[len(l.hashes)]
		l.hashes = append(l.hashes, ruleHash{
			zone: xxh3.HashStringSeed(known.zone, seed), family: xxh3.HashStringSeed(known.familyKey(), seed),
		})
	}
	return n
}

// pairs counts what is in memory. mu is held.
func (l *ledger) pairs() int {
	n := l.active.pairs()
	for _, m := range l.frozen {
		n += m.pairs()
	}
	return n
}

// dictionaryMax is the size, in octets, at which a dictionary is replaced when the table beside it is frozen.
const dictionaryMax = 96 << 20

// freeze hands the active memory to the writer and begins a new one. mu is held.
func (l *ledger) freeze(hour uint32, seed uint64) {
	m := l.active
	if !m.empty() {
		m.needs = l.dict.records.len()
		l.frozen = append(l.frozen, m)
	}
	if l.dict.size() > dictionaryMax {
		l.dict = newDictionary(l.dict.next())
		l.waiting = append(l.waiting, l.dict)
	}
	t := l.spare
	l.spare = nil
	if t == nil {
		t = newTable(seed)
	}
	l.active = &memory{table: t, dict: l.dict, losses: newLosses(), from: m.to, to: m.to, since: hour}
}

// thaw takes the memory that has been written, the oldest, off the list. It returns its table, to be emptied without the lock and kept for reuse;
// or nil, if somebody reads it or there is one already. mu is held.
func (l *ledger) thaw() *table {
	m := l.frozen[0]
	l.frozen = l.frozen[1:]
	if l.spare != nil || !m.readers.TryLock() {
		return nil
	}
	return m.table
}

// keep takes a table that thaw gave out back.
func (l *ledger) keep(t *table) {
	t.reset()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = t
}

// snapshot is what a reader may look at without the lock. mu is held.
func (d *dictionary) snapshot() dictionary {
	return dictionary{base: d.base, seed: d.seed, records: d.records.snapshot(), names: d.names.snapshot(), places: d.places.snapshot(), resolved: d.resolved}
}
