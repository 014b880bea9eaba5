package resolver

import (
	"fmt"
	"time"
)

// silence is how long a server of zones has not said a word. One that is silent is asked now and then, and else it is known at once that it
// cannot be reached: a flood of names under a zone whose servers are dead must hold neither sockets nor clients (RFC 9520 section 3.1). Any
// word from it ends that, so that whoever knows what a server does not answer cannot take it from others for long.
type silence struct {
	misses int       // attempts in a row that got no word
	tried  time.Time // when it was last asked since it is silent
	heard  bool      // it has said something
}

const (
	silentAfter = 16                    // attempts in a row without a word
	silentEvery = 50 * time.Millisecond // a silent server is asked once in so long
)

// errSilent is a server that is not asked now because it has been silent.
var errSilent = fmt.Errorf("%w: it has been silent, and was asked a moment ago", errNetwork)

func (s *silence) missed() { s.misses = min(s.misses+1, silentAfter) }

// mayTry reports whether the server may be asked now; with take it is.
func (s *silence) mayTry(now time.Time, take bool) bool {
	if s.misses < silentAfter {
		return true
	}
	if age := now.Sub(s.tried); age >= 0 && age < silentEvery {
		return false
	}
	if take {
		s.tried = now
	}
	return true
}

// spoke notes that a server said something.
func (u *upstream) spoke() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.silence = silence{heard: true}
}

// unheardMax is how many attempts may be under way at a server of zones that has never said a word: many zones may be delegated to one that
// does not exist.
const unheardMax = 256

// room is how many attempts may be under way at a server.
func (u *upstream) room(most int) int {
	if !u.authority {
		return most
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.silence.heard {
		return most
	}
	return min(most, unheardMax)
}
