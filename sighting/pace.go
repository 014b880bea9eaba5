package sighting

import "time"

// pace keeps a goroutine that has much to compute from holding a processor that queries wait for. On a machine with as many workers as
// processors, Go's scheduler looks at the network only when a goroutine stops by itself, or has had its processor for 10 ms. So work
// in the background is cut into slices of paceWork, each followed by a rest in which whatever has come is answered. The zero value
// is ready. It belongs to one goroutine.
type pace struct {
	steps int
	began time.Time
}

const (
	paceWork  = 200 * time.Microsecond
	paceRest  = 20 * time.Microsecond
	paceSteps = 64 // between looks at the clock: some microseconds
)

// step is called after each small piece of work, of less than a microsecond.
func (p *pace) step() {
	if p.steps++; p.steps >= paceSteps {
		p.steps = 0
		p.look()
	}
}

// look is called after a piece of work of some microseconds.
func (p *pace) look() {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	if time.Since(p.began) >= paceWork {
		time.Sleep(paceRest)
		p.began = time.Now()
	}
}
