package resolver

import (
	"slices"
	"sync"

	"cenote/dnsname"
)

// lane is the one place in which checks of costly zones are computed. Who waits for it stands in a line of the zone's owner, and the lines take turns: whoever has many questions asked
// for his zones waits for himself. Where all lines together are full the longest one loses its last.
//
// Whose a zone is says Config.Owner: whoever has a zone can make as many below it as he likes.
type lane struct {
	mu      sync.Mutex // guards the rest
	taken   bool
	lines   map[dnsname.Name][]chan bool // by owner, who came first is first; each is told once whether it has the place
	turns   []dnsname.Name               // owners with a line, who is next is first
	waiting int                          // in all lines
}

func newLane() *lane { return &lane{lines: map[dnsname.Name][]chan bool{}} }

// enter waits for the place in the line of an owner; leave gives the place on. False if it is not to be had.
func (l *lane) enter(owner dnsname.Name, done <-chan struct{}) bool {
	told := l.join(owner)
	select {
	case got := <-told:
		return got
	case <-done:
		if !l.quit(owner, told) && <-told {
			l.leave()
		}
		return false
	}
}

// join takes the place, or stands in line for it, or is turned away at once.
func (l *lane) join(owner dnsname.Name) (told chan bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	told = make(chan bool, 1)
	line := l.lines[owner]
	switch {
	case !l.taken:
		l.taken = true
		told <- true
	case len(line) >= costlyEach || l.waiting >= gateWaiting && !l.shorten(len(line)+1):
		told <- false
	default:
		if len(line) == 0 {
			l.turns = append(l.turns, owner)
		}
		l.lines[owner] = append(line, told)
		l.waiting++
	}
	return told
}

// shorten turns away the last of the longest line, if that is longer than one of n is. mu is held.
func (l *lane) shorten(n int) bool {
	longest := slices.MaxFunc(l.turns, func(a, b dnsname.Name) int { return len(l.lines[a]) - len(l.lines[b]) })
	line := l.lines[longest]
	if len(line) <= n {
		return false
	}
	line[len(line)-1] <- false
	l.lines[longest] = line[:len(line)-1]
	l.waiting--
	return true
}

// quit leaves the line; false if it was told something meanwhile.
func (l *lane) quit(owner dnsname.Name, told chan bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.lines[owner], told)
	if i < 0 {
		return false
	}
	l.waiting--
	if l.lines[owner] = slices.Delete(l.lines[owner], i, i+1); len(l.lines[owner]) == 0 {
		delete(l.lines, owner)
		l.turns = slices.DeleteFunc(l.turns, func(n dnsname.Name) bool { return n == owner })
	}
	return true
}

// leave gives the place to the first of the line whose turn it is.
func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.turns) == 0 {
		l.taken = false
		return
	}
	owner := l.turns[0]
	l.turns = l.turns[1:]
	line := l.lines[owner]
	line[0] <- true
	l.waiting--
	if len(line) == 1 {
		delete(l.lines, owner)
		return
	}
	l.lines[owner] = line[1:]
	l.turns = append(l.turns, owner)
}
