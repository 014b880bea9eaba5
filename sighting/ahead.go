package sighting

import (
	"cenote/hugepage"
	"cenote/pace"
)

// ahead makes the memory that a large table will grow into before it has to. The kernel gives out memory as it is first written to, a huge page
// at a time where it was asked to, and on some machines each takes it milliseconds: so a thread that gives way to queries is the one that
// writes there first. T has no pointers.
type ahead[T any] struct {
	n    int // elements that were asked for; 0 if none are
	made chan []T
}

// prepare begins to make n elements, unless it has begun.
func (a *ahead[T]) prepare(n int) {
	if a.n == n || !hugepage.Fits[T](n) {
		return
	}
	made := make(chan []T, 1)
	a.n, a.made = n, made
	go func() {
		s, _ := pace.Behind(func() ([]T, error) { // it cannot fail
			s := hugepage.Make[T](n)
			hugepage.Populate(s)
			return s, nil
		})
		made <- s
	}()
}

// take returns n elements. If those that were prepared are not ready, they are in small pages, and full is to be called when they have been
// written to.
func (a *ahead[T]) take(n int) (s []T, full func()) {
	if a.n == n {
		select {
		case s = <-a.made:
			a.n, a.made = 0, nil
			return s, func() {}
		default:
		}
	}
	a.n, a.made = 0, nil
	return hugepage.MakeLater[T](n)
}
