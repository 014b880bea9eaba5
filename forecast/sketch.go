package forecast

import (
	"math/bits"
	"slices"
)

// distinct counts different things by their hashes: exactly, up to max of them. Of more it keeps every second, then every fourth and so on, by
// the low bits of the hash, and multiplies. With max of n the estimate is off by 1.2/sqrt(n) (standard error).
type distinct struct {
	max   int
	level uint8 // so many low bits of what is kept are 0
	n     int
	table []uint64 // open addressing by the high bits; 0 is a free place
}

// Count is how many different things there are.
type Count struct {
	Count     uint64 `json:"count"`
	Estimated bool   `json:"estimated,omitempty"` // there are too many to count them exactly
}

const distinctLeast = 8 // places of the first table

// add counts the thing with that hash.
func (d *distinct) add(hash uint64) {
	if hash == 0 {
		hash = 1 << 63
	}
	if hash&(1<<d.level-1) != 0 {
		return
	}
	if 2*d.n >= len(d.table) {
		d.grow()
	}
	if i := d.place(hash); d.table[i] == 0 {
		d.table[i] = hash
		if d.n++; d.n > d.max {
			d.thin()
		}
	}
}

// place is where the hash is, or is to be.
func (d *distinct) place(hash uint64) int {
	i := int(hash >> (64 - bits.TrailingZeros(uint(len(d.table)))))
	for d.table[i] != 0 && d.table[i] != hash {
		i = (i + 1) % len(d.table)
	}
	return i
}

func (d *distinct) grow() { d.keep(max(distinctLeast, 2*len(d.table))) }

// thin drops half of what is kept.
func (d *distinct) thin() {
	for d.n > d.max {
		d.level++
		d.keep(len(d.table))
	}
}

// keep makes a table of what is in the present one, as far as it fits the level.
func (d *distinct) keep(size int) {
	old := d.table
	d.table, d.n = make([]uint64, size), 0
	for _, hash := range old {
		if hash != 0 && hash&(1<<d.level-1) == 0 {
			d.table[d.place(hash)] = hash
			d.n++
		}
	}
}

func (d *distinct) count() Count {
	return Count{uint64(d.n) << d.level, d.level > 0}
}

// tracked is what is counted of one thing among many.
type tracked struct {
	count uint64
	short uint64 // how many may have been missed before it was tracked
}

func (t *tracked) most() uint64 { return t.count + t.short }

// room drops the half of all that was counted least, and returns what anything dropped, or new from here on, may be short by (lossy counting,
// Manku and Motwani 2002): a thing whose true count is above that is never missing.
func room[K comparable, V interface{ most() uint64 }](all map[K]V) (short uint64) {
	counts := make([]uint64, 0, len(all))
	for _, v := range all {
		counts = append(counts, v.most())
	}
	slices.Sort(counts)
	short = counts[len(counts)/2]
	for k, v := range all {
		if v.most() <= short {
			delete(all, k)
		}
	}
	return short
}
