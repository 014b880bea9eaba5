package blocklist

import (
	"context"
	"log/slog"
	"time"
)

// Doors for the tests of the publishing half.

// RowsWriter is the Sink that makes rows files.
type RowsWriter = rowsWriter

// NewRowsWriter is newRowsWriter.
func NewRowsWriter(dir string, sortBytes int) (*RowsWriter, error) {
	return newRowsWriter(dir, sortBytes, nil)
}

// Finish is finish; report.Live and Parsed are counted by the writer's caller.
func (w *rowsWriter) Finish(path string, report Report, read time.Time, previous *Rows) (FeedReport, error) {
	return w.finish(path, 1, report, SourceState{Read: read}, previous)
}

// Close is close.
func (w *rowsWriter) Close() { w.close() }

// Content is the sum of what the file says.
func (r *Rows) Content() uint64 { return r.header.Content }

// NameHash is nameHash.
func NameHash(name []byte) uint64 { return nameHash(name) }

// MembersMax is membersMax.
const MembersMax = membersMax

// SetRest sets how long Reload waits for a source to rest.
func (p *Publisher) SetRest(d time.Duration) { p.rest = d }

// WakeUp has whoever follows the feeds look which are due.
func (p *Publisher) WakeUp() { p.wakeUp() }

// SetDeltas sets how many names a delta may always have, and how old it may be.
// All else is compiled whole.
func (p *Publisher) SetDeltas(least int, age time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deltas = deltaBounds{least, age, 0, deltaTexts, 0, deltaRest}
	if p.current != nil {
		p.noteDelta(p.current.Policy.Index())
	}
}

// SetMerges has every change merged into the served index, however large it is.
func (p *Publisher) SetMerges() { p.deltas = deltaBounds{0, time.Hour, 1, 1 << 20, 0, deltaRest} }

// SetDeltaFiles has the child make deltas, of up to one name for so many of the index, of changes that are large enough.
func (p *Publisher) SetDeltaFiles(share int) {
	p.deltas = deltaBounds{0, time.Hour, 1, 1 << 20, share, deltaRest}
}

// Deltas is how many deltas were published.
func (p *Publisher) Deltas() uint64 { return p.counts.deltas.Load() }

// Merged is how many policies were made by merging.
func (p *Publisher) Merged() uint64 { return p.counts.merged.Load() }

// ReloadTimed is Reload, and tells how long it took from when the feeds were seen to rest.
func (p *Publisher) ReloadTimed(ctx context.Context) (ReloadReport, time.Duration, error) {
	if err := p.takeTurn(ctx); err != nil {
		return ReloadReport{}, 0, err
	}
	defer p.endTurn()
	o := ReloadOptions{restless: p.lookAtAll(ctx, nil), asked: true}
	began := time.Now()
	report, err := p.cycle(ctx, o)
	return report, time.Since(began), err
}

// OpenStoredDuring is OpenStored for a reader that is held up by publish between reading which policy is the current one and opening it.
func OpenStoredDuring(c Config, publish func()) (*Generation, error) {
	p := newOnlooker(c)
	return p.openNewest(func() (storedState, error) {
		state, err := p.store.load()
		if publish != nil {
			publish()
			publish = nil
		}
		return state, err
	})
}

// Settling is settling with its fields set.
type Settling struct{ s settling }

// NewSettling returns a Settling that has reported stamp.
func NewSettling(debounce, poll time.Duration, reported Stamp) *Settling {
	return &Settling{settling{debounce: debounce, poll: poll, reported: outlook{stamp: reported}}}
}

// WriterState is writerState.
type WriterState = writerState

// The states of a writer.
const (
	WriterUnknown = writerUnknown
	WriterNone    = writerNone
	WriterActive  = writerActive
)

// Observe is observe.
func (s *Settling) Observe(now time.Time, stamp Stamp, err error, writers WriterState) (bool, time.Duration) {
	return s.s.observe(now, outlook{stamp, err}, func() writerState { return writers })
}

// WriterOf is writerOf.
func WriterOf(path string) WriterState { return writerOf(path) }

// StampOf stamps a source.
func StampOf(c FeedConfig) (Stamp, error) {
	s, err := scanSource(&c, time.Now())
	if err != nil {
		return Stamp{}, err
	}
	return s.stamp, nil
}

// Watch runs a watcher until ctx ends. overflow, if it is not nil, is a notice, such as that of an overflow of the kernel's queue, whenever it yields.
func Watch(ctx context.Context, poll, debounce time.Duration, pollOnly bool, feeds []FeedConfig, known map[string]Stamp,
	overflow <-chan struct{}, changed func(string, Stamp, error)) {
	w := newWatcher(watchConfig{poll, debounce, pollOnly, slog.New(slog.DiscardHandler)}, changed)
	if overflow != nil {
		go func() {
			for range overflow {
				w.wakeAll()
			}
		}()
	}
	w.run(ctx, feeds, known)
}

// EscapeFeed is escapeFeed.
func EscapeFeed(feed string) string { return escapeFeed(feed) }

// ReadBlock reads b as the octets of a block whose checksum was right, and returns the names in it.
func ReadBlock(b []byte) ([]string, error) {
	file := &rowsFile{tables: rowTables{Families: []string{"", "f"}, Threats: []string{""}, Files: []string{"list.txt"}, Times: []int64{1}}}
	c := blockCursor{file: file, block: rowBytes{b: b}}
	var names []string
	for len(c.block.b) > 0 {
		if err := c.parse(); err != nil {
			return names, err
		}
		names = append(names, string(c.name))
	}
	return names, nil
}

// BlockOf writes one name with one row of every kind as a block has it.
func BlockOf(name []byte) []byte {
	row := rawRow{Action: 3, Confidence: 50, Expiry: 1 << 33, Family: 1, Line: 300, Reference: 1, Comment: 9, Data: 7}
	b := append([]byte{byte(len(name))}, name...)
	return row.append(append(b, 1))
}

// SortOnBrokenDisk sorts rows where every write fails, and returns the error that the rows met. It does not return if close waits for what does
// not come.
func SortOnBrokenDisk(dir string) (err error) {
	s := newRowSorter(dir, 64)
	defer s.close()
	for i := 0; err == nil && i < 1000; i++ {
		err = s.add([]byte{1, byte('a' + i%26), 0}, []byte("a row of some length"))
		if s.file != nil {
			s.file.Close()
		}
	}
	return err
}

// OwnThreads is ownThreads.
func OwnThreads() []int { return ownThreads() }

// Copy is the copy that a feed, by its number in the manifest, was compiled from.
func (g *Generation) Copy(feed uint16) *Rows { return g.rows[feed] }

// IsLayer reports whether the copy is a layer over another.
func (r *Rows) IsLayer() bool { return r.base != nil }

// TakeChange is takeChange.
func (p *Publisher) TakeChange(ctx context.Context, feed string, c *ZoneChange) uint64 {
	return p.takeChange(ctx, feed, c)
}

// HoldTurn takes the turn, as a compilation does.
func (p *Publisher) HoldTurn(ctx context.Context) (end func(), err error) {
	return p.endTurn, p.takeTurn(ctx)
}

// Prune removes what a policy needs of which nothing is kept but the served copies.
func (p *Publisher) Prune() error { return p.store.prune(storedState{Current: p.state.Current}) }

// FormerMax is formerMax.
const FormerMax = formerMax

// FormerOf is former.
func FormerOf(known []string, copies map[string]uint64, configured []string) []string {
	return former(known, copies, configured)
}

// SetDeltaAge has deltas go into an index at an age, in place of deltaAgeMax.
func (p *Publisher) SetDeltaAge(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deltas.age, p.deltas.rest = d, d
	p.noteDelta(p.current.Policy.Index())
}

// NumberGap is how far the numbers of policies jump at a start.
const NumberGap = numberGap

// SetDeltaRest has deltas that leave little room go into an index when nothing has changed for a time, in place of deltaRest.
func (p *Publisher) SetDeltaRest(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deltas.rest = d
}

// SetDeltaRoom has deltas of so many names made without the child.
func (p *Publisher) SetDeltaRoom(names int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deltas.least = names
}

// FoldsAt reports whether the delta would go into an index at a time.
func (p *Publisher) FoldsAt(at time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deltaIsOld(at)
}
