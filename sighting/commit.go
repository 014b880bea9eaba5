package sighting

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
	"sync"
)

// memory is a table that is, or was, filled by the collector, with what belongs to it. Once frozen it does not change.
type memory struct {
	table    *table
	dict     *dictionary
	losses   *losses
	firsts   []firstSeen
	needs    int          // records of dict that must be resolved before this can be written
	from, to uint64       // sequences of the batches in it: after from, up to to
	readers  sync.RWMutex // held for reading while a query looks at the frozen table
	octets   int64        // of journal that those batches took
	since    uint32       // the hour in which it was begun
}

func (m *memory) pairs() int { return m.table.pairs() }

func (m *memory) empty() bool { return m.pairs() == 0 && len(m.losses.m) == 0 }

// firstSeen is the first sighting of a client and a family.
type firstSeen struct {
	client [16]byte
	hour   uint32
	at     uint32 // microseconds in the hour
	rule   uint32
}

// commit writes a frozen memory into day files. It is reused from one to the next, and belongs to the writer.
type commit struct {
	m     *memory
	book  []rule     // of the Store, as it was when the last event of m was taken
	dict  dictionary // likewise; its slices are copies of the headers
	order order
	local numbering // of terms in the run being written
	rules numbering // of rules
	row   row
	merge row
}

// begin sorts the entries of m.
func (c *commit) begin(m *memory, dict dictionary, book []rule) {
	c.m, c.dict, c.book = m, dict, book
	m.dict.canon.extend(&c.dict, c.dict.resolved)
	c.order.sort(&m.table.entries, c.dict.resolved, func(e *entry) uint32 { return m.dict.canon.first[e.indicator-c.dict.base] })
}

// days lists the days that m has anything of, oldest first.
func (c *commit) days() []uint32 {
	var days []uint32
	for keys := c.order.keys; len(keys) > 0; {
		d := c.hour(&keys[0]) / hoursPerDay
		days = append(days, d)
		keys = keys[c.before(keys, (d+1)*hoursPerDay):]
	}
	for _, l := range c.m.losses.m {
		days = append(days, l.day())
	}
	slices.Sort(days)
	return slices.Compact(days)
}

func (c *commit) hour(k *sortKey) uint32 { return c.m.table.entries.at(k.entry).hour }

// hours cuts the keys of a day into those of each hour.
func (c *commit) hours(day uint32) [][]sortKey {
	var out [][]sortKey
	keys := c.order.keys
	for hour := day * hoursPerDay; hour < (day+1)*hoursPerDay; hour++ {
		if from, to := c.before(keys, hour), c.before(keys, hour+1); from < to {
			out = append(out, keys[from:to])
		}
	}
	return out
}

// before is how many keys, which are in order, are of an earlier hour.
func (c *commit) before(keys []sortKey, hour uint32) int {
	return sort.Search(len(keys), func(i int) bool { return c.hour(&keys[i]) >= hour })
}

// write puts the runs that m has of a day, and its first sightings. The runs are numbered from number on; their entries are the caller's to
// put, with the losses, when all else is there.
func (c *commit) write(to *packer, day, number uint32) ([]runInfo, error) {
	var runs []runInfo
	for _, keys := range c.hours(day) {
		info, err := c.writeRun(to, keys, number+uint32(len(runs)))
		if err != nil {
			return nil, err
		}
		runs = append(runs, info)
	}
	return runs, c.writeFirsts(to.put, day, number)
}

// writeRun writes the entries of one hour; those of one client and canonical term are one row.
func (c *commit) writeRun(to *packer, keys []sortKey, number uint32) (runInfo, error) {
	w := newRunWriter(to, c.hour(&keys[0]), number)
	c.local.reset(c.dict.resolved)
	c.rules.reset(len(c.book))
	for len(keys) > 0 {
		n := c.gather(keys)
		keys = keys[n:]
		if err := w.add(&c.row); err != nil {
			return runInfo{}, err
		}
	}
	terms := func(i int, dst []byte) []byte {
		r := c.dict.records.at(c.local.used[i])
		return appendTerm(dst, c.rules.number(r.rule), r.action, r.trigger, c.dict.nameOf(r), c.dict.placeOf(r))
	}
	for _, i := range c.local.used {
		c.rules.number(c.dict.records.at(i).rule)
	}
	rules := make([]rule, len(c.rules.used))
	for i, n := range c.rules.used {
		rules[i] = c.book[n]
	}
	return w.info, w.finish(len(c.local.used), terms, rules)
}

// gather fills c.row from the entries at the front of keys that make one row, and returns their number.
func (c *commit) gather(keys []sortKey) int {
	t := c.m.table
	t.row(t.entries.at(keys[0].entry), &c.row)
	n := 1
	for ; n < len(keys) && keys[n].rank == keys[0].rank; n++ {
		t.row(t.entries.at(keys[n].entry), &c.merge)
		c.row.merge(&c.merge)
	}
	c.row.indicator = c.local.number(keys[0].term)
	return n
}

func (c *commit) writeFirsts(put putter, day, number uint32) error {
	firsts := newListWriter(put, bucketFirst, number)
	for i := range c.m.firsts {
		f := &c.m.firsts[i]
		if f.hour/hoursPerDay != day {
			continue
		}
		if err := firsts.add(func(dst []byte) []byte { return appendFirst(dst, f, c.book[f.rule].familyKey()) }); err != nil {
			return err
		}
	}
	return firsts.flush()
}

func (c *commit) writeLosses(put putter, day, number uint32) error {
	lost := newListWriter(put, bucketLosses, number)
	for _, l := range c.m.losses.m {
		if l.day() != day {
			continue
		}
		if err := lost.add(func(dst []byte) []byte { return appendLoss(appendRule(dst, &c.book[l.rule]), l) }); err != nil {
			return err
		}
	}
	return lost.flush()
}

// numbering gives small numbers, from 0 on, to those of a range that are asked for.
type numbering struct {
	of   []uint32 // 1 + number
	used []uint32
}

func (n *numbering) reset(size int) {
	for _, i := range n.used {
		n.of[i] = 0
	}
	n.used = n.used[:0]
	if len(n.of) < size {
		n.of = make([]uint32, size)
	}
}

func (n *numbering) number(i uint32) uint32 {
	if n.of[i] == 0 {
		n.used = append(n.used, i)
		n.of[i] = uint32(len(n.used))
	}
	return n.of[i] - 1
}

func appendFirst(dst []byte, f *firstSeen, family string) []byte {
	dst = append(dst, f.client[:]...)
	dst = binary.BigEndian.AppendUint32(dst, f.hour)
	dst = binary.BigEndian.AppendUint32(dst, f.at)
	return appendText(dst, family)
}

// readFirsts reads a block of first sightings.
func readFirsts(b []byte, visit func(f firstSeen, family []byte) error) error {
	b, err := opened(b)
	if err != nil {
		return err
	}
	d := decoder{b: b}
	for len(d.b) > 0 && !d.bad {
		var f firstSeen
		copy(f.client[:], d.octets(16))
		if t := d.octets(8); t != nil {
			f.hour, f.at = binary.BigEndian.Uint32(t), binary.BigEndian.Uint32(t[4:])
		}
		family := d.octets(int(min(d.uint64(), 1<<16)))
		if !d.bad {
			if err := visit(f, bytes.Clone(family)); err != nil {
				return err
			}
		}
	}
	if d.bad {
		return errRow
	}
	return nil
}
