package policy

import "cenote/nameindex"

// Lookahead fetches what CheckQuery is about to look at for the queries of a batch, so that the processor waits for many of its cache
// lines at once. It changes no decision. The zero value is ready; it belongs to one goroutine.
type Lookahead struct{ index nameindex.Lookahead }

// Add notes the name of a query, canonical and in wire form.
func (l *Lookahead) Add(p *Policy, name []byte) {
	if p.index != nil {
		l.index.Add(p.index, name)
	}
}

// Fetch fetches what was noted since the last call, all of the same policy.
func (l *Lookahead) Fetch(p *Policy) {
	if p.index != nil {
		l.index.Fetch(p.index)
	}
}
