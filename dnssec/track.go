package dnssec

import (
	"slices"
	"sort"
	"time"
)

// row is a record that is kept until a time.
type row[S any] struct {
	one   S
	until time.Time
}

// track is records in the order of their owners.
type track[S any] struct {
	rows   []row[S]
	order  func(a, b *S) int
	inside func(outer, inner *S) bool // whether the owner of inner cannot exist if outer is right
}

// before returns where the last record is whose owner is probe's or comes before it; -1 if there is none.
func (t *track[S]) before(probe *S) int {
	return sort.Search(len(t.rows), func(i int) bool { return t.order(&t.rows[i].one, probe) > 0 }) - 1
}

// put adds a record in the place of the one with the same owner, and drops those that follow and contradict it, for it is younger.
func (t *track[S]) put(r row[S]) {
	i := t.before(&r.one)
	if i < 0 || t.order(&t.rows[i].one, &r.one) != 0 {
		i++
		t.rows = slices.Insert(t.rows, i, r)
	}
	t.rows[i] = r
	end := i + 1
	for end < len(t.rows) && t.inside(&r.one, &t.rows[end].one) {
		end++
	}
	t.rows = slices.Delete(t.rows, i+1, end)
}

// drop removes the records whose end is such.
func (t *track[S]) drop(such func(until time.Time) bool) {
	t.rows = slices.DeleteFunc(t.rows, func(r row[S]) bool { return such(r.until) })
}
