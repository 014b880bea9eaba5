package rrcache

// queue is a ring of records, oldest first. Between tail and head its octets are tiled by records, live, dead or fillers; a record
// never wraps around the end. head and tail count octets ever used and so never go back; modulo the size they are places.
type queue struct {
	base       uint32 // where the ring begins in the arena of its shard
	size       uint64
	head, tail uint64
}

// used returns how many octets lie between tail and head, dead ones included.
func (q *queue) used() uint64 { return q.head - q.tail }

// at returns the place in the arena of a position between tail and head.
func (q *queue) at(pos uint64) uint32 { return q.base + uint32(pos%q.size) }

// gap returns how many octets a filler must take so that n octets after it lie in one piece.
func (q *queue) gap(n uint32) uint64 {
	if left := q.size - q.head%q.size; left < uint64(n) {
		return left
	}
	return 0
}

// fits reports whether n octets in one piece are free behind head.
func (q *queue) fits(n uint32) bool {
	return q.size-q.used() >= q.gap(n)+uint64(n)
}

// take returns the place of n octets for which fits was true, with a filler before them if they begin a new round.
func (q *queue) take(arena []byte, n uint32) uint32 {
	if gap := q.gap(n); gap > 0 {
		filler := record(arena[q.at(q.head):])
		filler.setSize(uint32(gap))
		filler[4] = flagDead
		q.head += gap
	}
	off := q.at(q.head)
	q.head += uint64(n)
	return off
}
