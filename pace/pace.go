package pace

import (
	"cmp"
	"time"
)

// Pace is the rhythm of one goroutine, to which it belongs. The zero value is ready.
type Pace struct {
	// Work is how long the goroutine computes before it rests. Default 200 us.
	Work  time.Duration
	began time.Time
}

// work is how long a goroutine computes before it rests, rest how long it does.
const (
	work = 200 * time.Microsecond
	rest = 20 * time.Microsecond
)

// Look is called after a piece of work of some microseconds. It rests if it is time to.
func (p *Pace) Look() {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	if time.Since(p.began) >= cmp.Or(p.Work, work) {
		time.Sleep(rest)
		p.began = time.Now()
	}
}
