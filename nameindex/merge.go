package nameindex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
)

// MergeFile writes to path an index of its own that lists what the base of b with b as its delta would list: see BuildOptions.Base and
// Index.With. Buckets in which nothing changes are copied as they are, so that a change of some of a hundred names costs a small part of what
// building anew does. Seed, buckets, code and the numbers of sets stay those of the base, also of sets that no name has any more; so the file slowly
// grows larger than a new one would be. It is refused with ErrCrowded where there are more names than its buckets are for, or a bucket becomes too full. For the rest it is as WriteFile, also in that b
// can be used for nothing else.
func (b *Builder) MergeFile(path string, manifest []byte) (Stats, error) {
	p, err := b.mergePlan(len(manifest))
	if err != nil {
		return Stats{}, fmt.Errorf("merging index %s: %w", path, err)
	}
	return b.put(path, p, manifest, true)
}

// mergeMean is how many names a bucket may come to have in the mean: a quarter more than in a new index.
const mergeMean = bucketMean + bucketMean/4

// errNoBase says that a builder was made for an index of its own.
var errNoBase = errors.New("there is no base to merge with")

// gone is the number in the file of the set of no octets: its names are not listed.
const gone = math.MaxUint32

// mergePlan lays out the file that MergeFile writes.
func (b *Builder) mergePlan(manifest int) (*plan, error) {
	if b.base == nil {
		return nil, errNoBase
	}
	p := &plan{shards: b.shards, lengths: b.base.lengths}
	p.header.buckets = b.base.header.buckets
	if p.header.buckets%(1<<shardBits) != 0 {
		p.shards = []shard{b.together()}
	}
	if err := b.mergeSets(p); err != nil {
		return nil, err
	}
	b.mergeApart(p)
	p.directory, p.names = make([]byte, dirEntryLen*p.header.buckets), make([][]byte, len(p.shards))
	parts := make([]merging, len(p.shards))
	err := each(len(p.shards), func(i int) error {
		m := merging{b: b, p: p}
		err := m.shard(i)
		parts[i] = merging{names: m.names, longest: m.longest}
		return err
	})
	if err != nil {
		return nil, err
	}
	size, err := p.join()
	if err != nil {
		return nil, err
	}
	b.mergeLabels()
	b.names = 0
	for i := range parts {
		b.names += parts[i].names
		p.longest = max(p.longest, parts[i].longest)
	}
	if b.names > mergeMean*p.header.buckets {
		return nil, fmt.Errorf("%w: %d names in %d of them", ErrCrowded, b.names, p.header.buckets)
	}
	runtime.KeepAlive(b.base) // all of it has been copied
	return p, b.layout(p, size, manifest)
}

// mergeSets puts the sets of the base before those that are new.
func (b *Builder) mergeSets(p *plan) error {
	own := b.payloads
	p.rank = make([]uint32, len(own))
	for id, text := range own {
		p.rank[id] = gone
		if text != "" {
			p.rank[id] = gone - 1 // until it is found
		}
	}
	b.payloads = make([]string, 0, int(b.base.header.sets)+len(own))
	for id := range b.base.header.sets {
		payload := b.base.Set(id)
		if own, ok := b.sets[string(payload)]; ok && len(payload) > 0 {
			p.rank[own] = id
		}
		b.payloads = append(b.payloads, string(payload))
	}
	for id, text := range own {
		if p.rank[id] == gone-1 {
			p.rank[id] = uint32(len(b.payloads))
			b.payloads = append(b.payloads, text)
		}
	}
	if len(b.payloads) >= gone-1 {
		return fmt.Errorf("%w: %d sets", ErrFull, len(b.payloads))
	}
	p.order = make([]uint32, len(b.payloads))
	for id := range p.order {
		p.order[id] = uint32(id)
	}
	return nil
}

// mergeLabels widens the range of labels to that of the base. It may stay wider than need be.
func (b *Builder) mergeLabels() {
	base := &b.base.header
	if b.names == 0 {
		b.labels = labelRange{min: base.labelsMin, max: base.labelsMax}
		return
	}
	if base.names > 0 {
		b.labels.min, b.labels.max = min(b.labels.min, base.labelsMin), max(b.labels.max, base.labelsMax)
	}
}

// mergeApart makes the names that are kept apart those of the base that are not changed, and those that are given a set.
func (b *Builder) mergeApart(p *plan) {
	changed := map[string]bool{}
	own := b.apart
	for rest := own; len(rest) > 0; rest = rest[1+rest[0]:] {
		changed[string(rest[:1+rest[0]])] = true
	}
	b.apart = nil
	for rest := b.base.apart; len(rest) > 0; rest = rest[1+rest[0]:] {
		if name := rest[:1+rest[0]]; !changed[string(name)] {
			b.apart = append(b.apart, name...)
		}
	}
	if len(own) == 0 {
		return
	}
	for i := range p.shards {
		s := &p.shards[i]
		for j := range s.records {
			r := &s.records[j]
			if stored := s.text[r.off:][:1+s.text[r.off]]; p.rank[r.set] != gone && changed[string(stored)] {
				b.apart = append(b.apart, stored...)
			}
		}
	}
}

// merging writes the buckets of one shard.
type merging struct {
	b        *Builder
	p        *plan
	out      []byte
	names    uint64
	longest  int
	count    int
	prints   [bucketMax]uint8 // fingerprints of the bucket that is being written
	entries  []byte           // and its entries
	codes    []byte           // of the changed names of the bucket
	ends     []int            // where they end
	replaced []bool           // which of them the base has
}

// shard writes the buckets of shard i, with offsets from the first.
func (m *merging) shard(i int) error {
	p, base := m.p, m.b.base
	if err := p.sortShard(i); err != nil {
		return err
	}
	m.out = make([]byte, 0, len(base.names)/len(p.shards)+codeLenMean*len(p.shards[i].records))
	coder := base.coder
	for bucket, run := range p.runs(i) {
		slot := p.directory[dirEntryLen*bucket:][:dirEntryLen]
		old := base.directory[dirEntryLen*bucket:][:dirEntryLen]
		binary.LittleEndian.PutUint32(slot, uint32(len(m.out)))
		if len(run.records) > 0 {
			if err := m.bucket(coder, slot, old, &run); err != nil {
				return err
			}
			continue
		}
		from, to := base.bucketSpan(bucket)
		copy(slot[4:], old[4:])
		m.out = append(m.out, base.names[from:to]...)
		m.note(int(base.names[from]))
	}
	p.names[i], p.shards[i] = m.out, shard{}
	if len(m.out) > math.MaxUint32 {
		return ErrFull
	}
	return nil
}

// bucketSpan returns where a bucket lies in the names.
func (x *Index) bucketSpan(bucket uint64) (from, to int) {
	to = len(x.names)
	if bucket+1 < x.header.buckets {
		to = int(binary.LittleEndian.Uint32(x.directory[dirEntryLen*(bucket+1):]))
	}
	return int(binary.LittleEndian.Uint32(x.directory[dirEntryLen*bucket:])), to
}

func (m *merging) note(names int) {
	m.names += uint64(names)
	m.longest = max(m.longest, names)
}

// bucket writes a bucket of which some names change: those that stay, and behind them those that come.
func (m *merging) bucket(coder *coder, slot, oldSlot []byte, run *shard) error {
	m.codes, m.ends, m.replaced = m.codes[:0], m.ends[:0], m.replaced[:0]
	for j := range run.records {
		m.codes = coder.append(m.codes, run.name(&run.records[j]))
		m.ends, m.replaced = append(m.ends, len(m.codes)), append(m.replaced, false)
	}
	m.count, m.entries = 0, m.entries[:0]
	old := bucketAt(m.b.base.names, binary.LittleEndian.Uint32(oldSlot))
	far := old.far
	for at := range old.count {
		set, code := old.next()
		print := uint8(0)
		if at < dirFPs {
			print = oldSlot[4+at]
		} else {
			print = far[at-dirFPs]
		}
		if j := m.changed(code); j >= 0 {
			m.replaced[j] = true
			set = m.p.rank[run.records[j].set]
		}
		if !m.entry(print, set, code) {
			return ErrCrowded
		}
	}
	for j := range run.records {
		r := &run.records[j]
		_, print := m.b.keys.place(r.hash, m.p.header.buckets)
		if !m.replaced[j] && !m.entry(print, m.p.rank[r.set], m.code(j)) {
			return ErrCrowded
		}
	}
	m.endBucket(slot)
	return nil
}

// code is that of the j-th changed name.
func (m *merging) code(j int) []byte {
	from := 0
	if j > 0 {
		from = m.ends[j-1]
	}
	return m.codes[from:m.ends[j]]
}

// changed returns which of the changed names has that code; -1 for none.
func (m *merging) changed(code []byte) int {
	for j := range m.ends {
		if bytes.Equal(m.code(j), code) {
			return j
		}
	}
	return -1
}

// entry adds a name to the bucket, unless it has gone. It reports whether there was room.
func (m *merging) entry(print uint8, set uint32, code []byte) bool {
	if set == gone {
		return true
	}
	if m.count == bucketMax {
		return false
	}
	m.prints[m.count] = print
	m.count++
	m.entries = append(appendHead(m.entries, set, len(code)), code...)
	return true
}

// endBucket writes what was gathered.
func (m *merging) endBucket(slot []byte) {
	near := min(m.count, dirFPs)
	copy(slot[4:], m.prints[:near])
	m.out = append(m.out, uint8(m.count))
	m.out = append(m.out, m.prints[near:m.count]...)
	m.out = append(m.out, m.entries...)
	m.note(m.count)
}

// Sets returns how many sets AddSet has made.
func (b *Builder) Sets() int { return len(b.payloads) }

// Set returns the payload of a set that AddSet has made.
func (b *Builder) Set(id uint32) string { return b.payloads[id] }
