package sighting

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// order brings the entries of a table into the order of rows: by hour, client and term. Each entry's key is packed into one number, with
// clients by their rank among those that are there, and sorted digit by digit. Its memory is kept from one table to the next.
type order struct {
	keys, spare []sortKey
	ranks       clientRanks
}

// sortKey stands for an entry. Those of the same hour, client and term have the same rank.
type sortKey struct {
	rank  uint64
	entry uint32
	term  uint32 // index of the canonical record
}

// sort orders entries; term gives each its term, below terms.
func (o *order) sort(entries *chunks[entry], terms int, term func(*entry) uint32) {
	n := entries.len()
	o.keys, o.spare = room(o.keys, n)[:0], room(o.spare, n)
	hour := hoursOf(entries)
	o.ranks.read(entries)
	termBits, clientBits := bits.Len(uint(terms)), bits.Len(uint(len(o.ranks.clients)))
	highest := uint64(0)
	for i := range uint32(n) {
		e := entries.at(i)
		k := sortKey{entry: i, term: term(e)}
		k.rank = (uint64(e.hour-hour)<<clientBits|uint64(o.ranks.of(&e.client)))<<termBits | uint64(k.term)
		highest = max(highest, k.rank)
		o.keys = append(o.keys, k)
	}
	for shift := 0; shift < bits.Len64(highest); shift += digitBits {
		o.pass(shift)
	}
}

// hoursOf returns the first hour of entries.
func hoursOf(entries *chunks[entry]) uint32 {
	first := ^uint32(0)
	for i := range uint32(entries.len()) {
		first = min(first, entries.at(i).hour)
	}
	return first
}

// room returns n elements, those of s if it has room for as many. Their content is not kept.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// digitBits is the size of a digit: its counts fit into the nearest cache.
const digitBits = 11

// pass sorts keys by one digit and keeps the order of those that agree in it.
func (o *order) pass(shift int) {
	var ends [1<<digitBits + 1]uint32
	for i := range o.keys {
		ends[o.keys[i].rank>>shift&(1<<digitBits-1)+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	for i := range o.keys {
		k := &o.keys[i]
		to := &ends[k.rank>>shift&(1<<digitBits-1)]
		o.spare[*to] = *k
		*to++
	}
	o.keys, o.spare = o.spare, o.keys
}

// clientRanks numbers the clients of a table in their order.
type clientRanks struct {
	clients [][16]byte
	slots   []uint32 // 1 + index into clients, then 1 + rank
	ranks   []uint32 // by index into clients
	seed    uint64   // never 0, with which all IPv4 clients would share a slot
}

// read collects the clients of entries.
func (r *clientRanks) read(entries *chunks[entry]) {
	r.clients = r.clients[:0]
	clear(r.slots)
	for i := range uint32(entries.len()) {
		if 2*len(r.clients) >= len(r.slots) {
			r.grow()
		}
		client := &entries.at(i).client
		if at := r.probe(client); r.slots[at] == 0 {
			r.clients = append(r.clients, *client)
			r.slots[at] = uint32(len(r.clients))
		}
	}
	byOrder := make([]uint32, len(r.clients))
	for i := range byOrder {
		byOrder[i] = uint32(i)
	}
	slices.SortFunc(byOrder, func(a, b uint32) int {
		return bytes.Compare(r.clients[a][:], r.clients[b][:])
	})
	r.ranks = room(r.ranks, len(byOrder))
	for rank, i := range byOrder {
		r.ranks[i] = uint32(rank)
	}
}

// of returns the rank of a client that was read.
func (r *clientRanks) of(client *[16]byte) uint32 { return r.ranks[r.slots[r.probe(client)]-1] }

func (r *clientRanks) probe(client *[16]byte) uint64 {
	mask := uint64(len(r.slots) - 1)
	i := pairHash(r.seed, client, 0, 0) & mask
	for r.slots[i] != 0 && r.clients[r.slots[i]-1] != *client {
		i = (i + 1) & mask
	}
	return i
}

func (r *clientRanks) grow() {
	if r.seed == 0 {
		r.seed = rand.Uint64() | 1
	}
	r.slots = make([]uint32, max(1<<10, 4*len(r.slots)))
	for i := range r.clients {
		r.slots[r.probe(&r.clients[i])] = uint32(i + 1)
	}
}
