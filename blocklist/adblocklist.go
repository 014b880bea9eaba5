package blocklist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"

	"cenote/policy"
)

// adblockList is a list for content blockers while it is read: its lines, and what of them must be known before the first of them counts.
type adblockList struct {
	*file
	kept       [][]byte        // pieces with lines: each is the distance of its number, its length and its text
	last       int             // the number of the last line that is kept
	held       int             // octets that wait, about
	cancelled  map[stixID]bool // rules that $badfilter cancels
	ordered    bool            // there is an $important rule
	important  adblockNames    // the hosts of $important rules
	exceptions adblockNames    // the hosts that other exceptions and $denyallow take out
}

// read gathers the lines of the file, and what must be known of all of them.
func (l *adblockList) read() error {
	if err := l.gather(); err != nil || !l.ordered {
		return err
	}
	for _, line := range l.lines() {
		if l.learnHosts(line); l.failed != nil {
			return l.failed
		}
	}
	l.exceptions.removeCovered(l.important)
	return nil
}

// gather reads the file to its end.
func (l *adblockList) gather() error {
	for {
		line, err := l.next()
		switch {
		case err == io.EOF:
			return l.failed
		case err != nil:
			return err
		}
		if line = trim(line); len(line) == 0 || isAdblockComment(line) {
			continue
		}
		l.keep(line)
		l.learn(line)
		if l.failed != nil {
			return l.failed
		}
	}
}

// hold counts octets that wait for the end of the file.
func (l *adblockList) hold(octets int) {
	if l.held += octets; l.held > heldMax {
		l.fail(&SourceError{File: l.name, Err: fmt.Errorf("%w: more than %d MiB of rules wait for its end", ErrTooLarge, heldMax>>20), Next: "have it written in parts"})
	}
}

// adblockPiece is how large the pieces are in which lines are kept.
const adblockPiece = 1 << 20

// keep keeps a line until the end of the file.
func (l *adblockList) keep(line []byte) {
	need := len(line) + 2*binary.MaxVarintLen32
	if n := len(l.kept); n == 0 || cap(l.kept[n-1])-len(l.kept[n-1]) < need {
		l.hold(adblockPiece)
		l.kept = append(l.kept, make([]byte, 0, adblockPiece))
	}
	at := &l.kept[len(l.kept)-1]
	*at = binary.AppendUvarint(*at, uint64(l.file.lines.number-l.last))
	*at = binary.AppendUvarint(*at, uint64(len(line)))
	*at = append(*at, line...)
	l.last = l.file.lines.number
}

// lines are those that were kept, with their numbers.
func (l *adblockList) lines() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		number := 0
		for _, piece := range l.kept {
			for len(piece) > 0 {
				distance, n := binary.Uvarint(piece)
				size, m := binary.Uvarint(piece[n:])
				piece = piece[n+m:]
				number += int(distance)
				if !yield(number, piece[:size:size]) {
					return
				}
				piece = piece[size:]
			}
		}
	}
}

// learn takes what a line says of others.
func (l *adblockList) learn(line []byte) {
	if bytes.IndexByte(line, '$') < 0 {
		return // nearly all
	}
	r := parseAdblockRule(line)
	l.ordered = l.ordered || r.important
	if r.cancels {
		l.hold(entrySize)
		l.cancelled[r.sum()] = true
	}
}

// learnHosts takes the hosts of rules of which one may go before another.
func (l *adblockList) learnHosts(line []byte) {
	r := parseAdblockRule(line)
	if r.cancels || r.why != ReasonNone || l.cancelled[r.sum()] {
		return
	}
	switch {
	case r.important && !r.exception:
		l.learnHost(l.important, r.pattern)
	case r.exception && !r.important:
		l.learnHost(l.exceptions, r.pattern)
	}
	if text, kind := hostOfPattern(r.pattern); text != nil && r.outside != nil {
		below, _ := l.namesBelow(text, l.matchOr(kind), r.outside)
		for _, name := range below {
			l.learnHost(l.exceptions, append([]byte("||"), name...))
		}
	}
}

// learnHost adds the host of a pattern to a set, if it stands for one.
func (l *adblockList) learnHost(to adblockNames, pattern []byte) {
	text, kind := hostOfPattern(pattern)
	if text == nil {
		return
	}
	if name, _, why := l.names.host(text); why == ReasonNone {
		l.hold(entrySize + len(name))
		to.add(name, l.matchOr(kind))
	}
}

// overruled reports whether a rule is not served because of another one: an exception whose names are all of an $important rule has no effect; an
// $important rule whose names are all of an exception that has one would have none, since exceptions take names out of the whole list.
func (l *adblockList) overruled(r *adblockRule, text []byte, kind policy.Kind) bool {
	by := l.important
	switch {
	case r.important && r.exception, !r.important && !r.exception:
		return false
	case r.important:
		by = l.exceptions
	}
	if len(by) == 0 {
		return false
	}
	name, _, why := l.names.host(text)
	return why == ReasonNone && by.cover(name, kind)
}

// adblockNames are canonical names, each with the kinds in which it was named, a bit a kind.
type adblockNames map[string]uint8

func (s adblockNames) add(name []byte, kind policy.Kind) { s[string(name)] |= 1 << kind }

// cover reports whether one of the names takes in all that a name of a kind does.
func (s adblockNames) cover(name []byte, kind policy.Kind) bool {
	kinds := s[string(name)]
	if kinds&(1<<policy.KindSubtree|1<<kind) != 0 {
		return true
	}
	for name[0] != 0 {
		name = name[1+name[0]:]
		if s[string(name)]&(1<<policy.KindSubtree|1<<policy.KindBelow) != 0 {
			return true
		}
	}
	return false
}

// removeCovered takes those names away that others cover.
func (s adblockNames) removeCovered(others adblockNames) {
	for name, kinds := range s {
		for _, kind := range []policy.Kind{policy.KindExact, policy.KindBelow, policy.KindSubtree} {
			if kinds&(1<<kind) != 0 && others.cover([]byte(name), kind) {
				kinds &^= 1 << kind
			}
		}
		s[name] = kinds
	}
}

// namesBelow are the names of $denyallow that a rule about a name takes in. It reports false where one is none, takes in all of the rule, or may not be an
// exception: the rule would stop more than it says.
func (f *file) namesBelow(text []byte, kind policy.Kind, list []byte) (below [][]byte, ok bool) {
	name, _, why := f.names.host(text)
	if why != ReasonNone {
		return nil, true // the rule is refused for it
	}
	rule := bytes.Clone(name)
	for one := range bytes.SplitSeq(list, []byte("|")) {
		one = trim(one)
		name, labels, why := f.names.host(one)
		switch {
		case why != ReasonNone, isBelow(rule, name):
			return nil, false
		case kind == policy.KindExact || !isBelow(name, rule):
			continue // the rule does not reach it
		}
		f.begin().Exception = true
		if f.guarded(name, labels, policy.KindSubtree).why != ReasonNone {
			return nil, false
		}
		below = append(below, one)
	}
	return below, true
}

// isBelow reports whether a name in wire form is another one, or lies below it.
func isBelow(name, above []byte) bool {
	for len(name) > len(above) {
		name = name[1+name[0]:]
	}
	return bytes.Equal(name, above)
}
