package blocklist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"cenote/pace"
)

// The history of a feed are the copies of it that were good once and are still kept, newest first. Each is a rows file, so that any two can be
// compared, and each can be served again; see Rollback. The record of what is kept is a part of the stored state, and goes with it.

// KeptCopy is one copy of a feed.
type KeptCopy struct {
	Copy    uint64    `json:"copy"`
	Served  bool      `json:"served,omitempty"` // it is the last good one
	Read    time.Time `json:"read,omitzero"`    // when it was read
	Entries int       `json:"entries"`
	Names   int       `json:"names"`
	Bytes   int64     `json:"bytes"` // on the disk
	Format  string    `json:"format,omitempty"`
	Source  Stamp     `json:"source,omitzero"` // of the list that was read
	Error   string    `json:"error,omitempty"` // why it cannot be used
}

// FeedHistory are the kept copies of one feed, newest first.
type FeedHistory struct {
	Feed   string     `json:"feed"`
	Pin    *Pin       `json:"pin,omitempty"`
	Copies []KeptCopy `json:"copies"`
}

// History tells which copies are kept of the named feed, or of all for "".
func (p *Publisher) History(feed string) ([]FeedHistory, error) {
	out, err := p.historyOf(feed)
	if err != nil {
		return nil, err
	}
	err = pace.Behind(func() error {
		for i := range out {
			for j := range out[i].Copies {
				p.describe(out[i].Feed, &out[i].Copies[j])
			}
		}
		return nil
	})
	return out, err
}

// historyOf tells the numbers of the copies, and which is served.
func (p *Publisher) historyOf(feed string) ([]FeedHistory, error) {
	if feed != "" {
		if err := p.checkNames([]string{feed}); err != nil {
			return nil, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := []FeedHistory{}
	for _, f := range p.feeds {
		if feed != "" && f.feed.Name != feed {
			continue
		}
		h := FeedHistory{Feed: f.feed.Name, Pin: f.pin, Copies: []KeptCopy{}}
		for _, number := range f.copies {
			h.Copies = append(h.Copies, KeptCopy{Copy: number, Served: number == f.kept()})
		}
		out = append(out, h)
	}
	return out, nil
}

// describe fills in what a copy says of itself.
func (p *Publisher) describe(feed string, c *KeptCopy) {
	rows, err := OpenRows(p.store.rows(feed, c.Copy))
	if err != nil {
		c.Error = err.Error()
		return
	}
	defer rows.Close()
	c.Read, c.Entries, c.Names, c.Bytes = rows.report.Source.Read, rows.report.Live, rows.report.Names, rows.Size()
	c.Format, c.Source = rows.report.Format, rows.report.Source.Stamp
}

// withHistory returns state with the copies and pins as they are now, without the copies above the bounds, and with the feeds that have left.
func (p *Publisher) withHistory(state storedState) storedState {
	p.mu.Lock()
	feeds := slices.Clone(p.feeds)
	p.mu.Unlock()
	state.History, state.Pins = map[string][]uint64{}, map[string]Pin{}
	var names []string
	for _, f := range feeds {
		names = append(names, f.feed.Name)
	}
	state.Former = former(p.state.Former, p.state.Current.Feeds, names)
	for _, f := range feeds { // copies change only where the turn is held, which it is
		copies := p.within(f)
		p.mu.Lock()
		f.copies = copies
		if len(copies) > 0 {
			state.History[f.feed.Name] = copies
		}
		if f.pin != nil {
			state.Pins[f.feed.Name] = *f.pin
		}
		p.mu.Unlock()
	}
	return state
}

// within are the copies of a feed that the bounds leave: that which is served, and of the others the newest.
func (p *Publisher) within(f *feedState) []uint64 {
	bounds := p.now.Load()
	left, room := bounds.History-1, bounds.HistoryBytes
	var out []uint64
	there := map[uint64]bool{} // files that are kept for copies before
	if f.rows != nil {
		there[f.rows.whole().Generation()] = true
	}
	for _, number := range f.copies {
		if number == f.kept() {
			out = append(out, number)
			continue
		}
		size, base, err := p.sizeOf(f.feed.Name, number, there)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // somebody has removed it
		case err != nil: // it may be there again when the disk is
			p.unlooked(f, number, err)
		case f.unlooked == number:
			f.unlooked = 0
		}
		if left <= 0 || room < size {
			left = 0 // an older one is not kept in its place
			continue
		}
		out = append(out, number)
		left, room, there[number], there[base] = left-1, room-size, true, true
	}
	if !slices.Contains(out, f.unlooked) {
		f.unlooked = 0 // it has left the history; the next one is logged again
	}
	return out
}

// unlooked counts that a kept copy cannot be looked at, and logs it once for the newest of a feed.
func (p *Publisher) unlooked(f *feedState, number uint64, err error) {
	p.counts.lookFailures.Add(1)
	if f.unlooked == 0 {
		f.unlooked = number
		p.log.Warn("a kept copy cannot be looked at, and stays in the history", "feed", f.feed.Name, "copy", number, "error", err)
	}
}

// sizeOf is how many octets a copy takes on the disk beside files that are there anyway, and what it lies over, or 0.
func (p *Publisher) sizeOf(feed string, number uint64, there map[uint64]bool) (size int64, base uint64, err error) {
	path := p.store.rows(feed, number)
	base, _ = layerBase(path) // where that cannot be known prune keeps all
	for _, n := range []uint64{number, base} {
		if n == 0 || there[n] {
			continue
		}
		info, err := os.Stat(p.store.rows(feed, n))
		if err != nil {
			return 0, base, err
		}
		size += info.Size()
	}
	return size, base, nil
}

// adoptHistory finds the copies that a former run kept, and its pin. Where no record of them can be read, they are all that there are.
func (p *Publisher) adoptHistory(f *feedState) {
	name := f.feed.Name
	if pin, ok := p.state.Pins[name]; ok {
		f.pin = &pin
	}
	known := p.recorded(name)
	there, err := p.store.newestRows(name)
	if err != nil {
		p.counts.lookFailures.Add(1)
		p.log.Error("the kept copies of a feed cannot be listed; those that are recorded stay in the history", "feed", name, "error", err)
		f.copies = known
		return
	}
	f.copies = slices.DeleteFunc(there, func(number uint64) bool { return p.state.Current.Number != 0 && !slices.Contains(known, number) })
}

// recorded are the copies of a feed that the stored state names, newest first.
func (p *Publisher) recorded(feed string) []uint64 {
	known := append([]uint64{p.state.Current.Feeds[feed]}, p.state.History[feed]...)
	if p.state.Previous != nil {
		known = append(known, p.state.Previous.Feeds[feed])
	}
	slices.Sort(known)
	slices.Reverse(known)
	return slices.DeleteFunc(slices.Compact(known), func(number uint64) bool { return number == 0 })
}

// bestCopies are the copies of which the first that can be opened is the last good one: that which is recorded, then the newest. A feed that was
// rolled back does not go forward by itself.
func (p *Publisher) bestCopies(f *feedState) []uint64 {
	numbers, err := p.store.newestRows(f.feed.Name)
	if err != nil {
		numbers = p.recorded(f.feed.Name)
	}
	if f.pin != nil {
		return slices.DeleteFunc(numbers, func(number uint64) bool { return number > f.pin.Copy })
	}
	if recorded := p.state.Current.Feeds[f.feed.Name]; recorded != 0 {
		numbers = append([]uint64{recorded}, numbers...)
	}
	return numbers
}

// errNoCopy says that a feed does not keep such a copy.
func errNoCopy(feed string, what string, kept []uint64) error {
	numbers := make([]string, len(kept))
	for i, n := range kept {
		numbers[i] = strconv.FormatUint(n, 10)
	}
	return fmt.Errorf("feed %q keeps no %s; it keeps %s (see `cenote feeds history %s`)", feed, what, strings.Join(numbers, ", "), feed)
}

// numbered returns the number that is asked for, if such a copy is kept.
func (s *feedState) numbered(number uint64) (uint64, error) {
	if !slices.Contains(s.copies, number) {
		return 0, errNoCopy(s.feed.Name, fmt.Sprintf("copy %d", number), s.copies)
	}
	return number, nil
}

// before returns the newest copy that is older than number.
func (s *feedState) before(number uint64) (uint64, error) {
	for _, n := range s.copies {
		if n < number {
			return n, nil
		}
	}
	return 0, errNoCopy(s.feed.Name, fmt.Sprintf("copy older than %d", number), s.copies)
}
