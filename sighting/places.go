package sighting

// places are the slots of a hash table that grows by one part at a time (linear hashing, W. Litwin, VLDB 1980), so that growth is not felt: a table
// of millions that moved into one of twice the size would hold its core for tens of milliseconds, and one in many parts that all double would,
// since hashes fill them evenly, have all of them do so in the same second.
//
// Growth goes in rounds. A round begins with a power of two of parts, six tenths full, and splits them one after the other while they fill to
// eight tenths; then all are four tenths full, and there are twice as many. A hash of 32 bits tells the part with its low bits and the
// place in it, where the search begins, with its high ones. The zero S is a free slot; it has no pointers.
type places[S any] struct {
	parts []*part[S]
	whole uint32    // how many parts the round began with; those before len(parts)-whole are split
	spare *part[S]  // empty
	slab  []part[S] // those that no part was made of yet
}

const (
	partBits = 12
	partLen  = 1 << partBits
	slabMax  = 8 // parts that are made together; no huge pages, each of which is cleared in one piece
)

type part[S any] [partLen]S

func newPlaces[S any]() places[S] {
	return places[S]{parts: []*part[S]{new(part[S])}, whole: 1, spare: new(part[S])}
}

// of returns the part of a hash.
func (p *places[S]) of(hash uint32) *part[S] {
	n := hash & (2*p.whole - 1)
	missing := uint32(int64(len(p.parts)-1-int(n)) >> 63) // all ones or zero: a branch would be taken at random
	return p.parts[n-p.whole&missing]
}

// first is where in its part the search for a hash begins.
func first(hash uint32) uint32 { return hash >> (32 - partBits) }

// next is where it goes on.
func next(i uint32) uint32 { return (i + 1) % partLen }

// size is what p takes, in slots.
func (p *places[S]) size() int { return len(p.parts) * partLen }

// crowded reports whether p is to split a part, with so many slots used.
func (p *places[S]) crowded(used int) bool {
	return (len(p.parts)+2*int(p.whole))*partLen < 5*used
}

// split moves about half of the slots of one part into a new one. hash tells that of a slot, or that it is free.
func (p *places[S]) split(hash func(*S) (h uint32, used bool)) {
	if len(p.slab) == 0 {
		p.slab = make([]part[S], min(len(p.parts), slabMax))
	}
	p.parts = append(p.parts, &p.slab[0])
	p.slab = p.slab[1:]
	p.tidy(len(p.parts)-1-int(p.whole), hash)
	if len(p.parts) == 2*int(p.whole) {
		p.whole *= 2
	}
}

// tidy puts the slots of one part, of which some were freed, where a search finds them.
func (p *places[S]) tidy(at int, hash func(*S) (h uint32, used bool)) {
	old := p.parts[at]
	p.parts[at] = p.spare
	p.refill(old, hash)
	p.spare = old
}

// sparse reports whether p is to join two parts, with so many slots used: less than a quarter. No part is then more than half full.
func (p *places[S]) sparse(used int) bool {
	return len(p.parts) > 1 && 4*used < p.size()
}

// join undoes the last split.
func (p *places[S]) join(hash func(*S) (h uint32, used bool)) {
	if len(p.parts) == int(p.whole) {
		p.whole /= 2
	}
	last := len(p.parts) - 1
	old := p.parts[last]
	p.parts[last] = nil
	p.parts = p.parts[:last]
	p.refill(old, hash)
	p.spare = old
}

// refill puts the slots of a part that p no longer has into their places, and empties it.
func (p *places[S]) refill(old *part[S], hash func(*S) (h uint32, used bool)) {
	for i := range old {
		h, used := hash(&old[i])
		if !used {
			continue
		}
		to := p.of(h)
		at := first(h)
		for {
			if _, taken := hash(&to[at]); !taken {
				break
			}
			at = next(at)
		}
		to[at] = old[i]
	}
	clear(old[:])
}
