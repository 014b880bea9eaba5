package querylog

import "math/bits"

// The numbers of pieces of lines that are remembered: of clients, and of each other kind. They are powers of two.
const (
	clientsMax = 1 << 10
	piecesMax  = 1 << 7
)

// pieces remembers parts of lines by what decides them, so that what repeats is rendered once. A piece whose place another one wants is
// forgotten, and its memory is used again. So what clients choose may have pieces forgotten, which costs the time of rendering them anew.
type pieces[K comparable] struct {
	places []piece[K]
	shift  int
}

// piece is a part of lines. The zero value is free.
type piece[K comparable] struct {
	key  K
	held bool
	text []byte
}

func newPieces[K comparable](most int) pieces[K] {
	return pieces[K]{places: make([]piece[K], most), shift: 64 - bits.Len(uint(most-1))}
}

// at returns the place of a key, whose hash need not be a good one. If it does not hold its piece, the caller renders that there.
func (p *pieces[K]) at(hash uint64, key *K) *piece[K] {
	const spread = 0x9e3779b97f4a7c15
	s := &p.places[hash*spread>>(p.shift&63)]
	if !s.held || s.key != *key {
		s.key, s.text, s.held = *key, s.text[:0], false
	}
	return s
}
