package pace

import (
	"cmp"
	"runtime"
	"time"
)

// Pace is the rhythm of one goroutine, to which it belongs. The zero value is ready.
type Pace struct {
	// Work is how long the goroutine computes before it looks whether anybody waits. Default 200 us.
	Work  time.Duration
	began time.Time
}

// work is how long a goroutine computes if it does not say, rest how long it rests where somebody waits.
const (
	work = 200 * time.Microsecond
	rest = 20 * time.Microsecond
)

// Look is called after a piece of work of some microseconds. If it is time to, it lets go first what is ready to, and rests if the network has something
// that nobody has looked at.
func (p *Pace) Look() {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	if time.Since(p.began) < cmp.Or(p.Work, work) {
		return
	}
	if someoneWaits() {
		time.Sleep(rest)
	} else {
		runtime.Gosched()
	}
	p.began = time.Now()
}

// someoneWaits reports whether something has come that a goroutine waits for in the network, or whether this cannot be told.
var someoneWaits = networkWaits
