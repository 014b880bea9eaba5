package zone

import (
	"hash/maphash"

	"cenote/prefetch"
)

// aheadMax is how many names are noted; the others are looked up without.
const aheadMax = 64

// Lookahead fetches what Answer is about to look at for the queries of a batch, so that the processor waits for many of its cache lines at once. It changes no
// answer. The zero value is ready; it belongs to one goroutine.
type Lookahead struct {
	noted [aheadMax]aheadPlace
	count int
}

// aheadPlace is where the table of a zone has a name, if it has it.
type aheadPlace struct {
	z  *Zone
	at uint64
}

// Add notes the name of a query, canonical and in wire form.
func (l *Lookahead) Add(s *Set, name []byte) {
	z := s.find(name, false)
	if z == nil || l.count == aheadMax || len(z.Zone.table) == 0 {
		return
	}
	at := maphash.Bytes(z.Zone.seed, name) & uint64(len(z.Zone.table)-1)
	prefetch.Line(&z.Zone.table[at])
	l.noted[l.count] = aheadPlace{z.Zone, at}
	l.count++
}

// Fetch fetches what was noted since the last call.
func (l *Lookahead) Fetch() {
	for _, p := range l.noted[:l.count] {
		if n := p.z.table[p.at]; n != noNode {
			prefetch.Line(&p.z.data[n])
			prefetch.Line(&p.z.data[min(int(n)+63, len(p.z.data)-1)])
		}
	}
	clear(l.noted[:l.count]) // what they point to may be replaced
	l.count = 0
}
