package blocklist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cenote/pace"
)

// A rollback makes an older copy of a feed the last good one, and pins the feed there: until it is unpinned its source is not read, whatever
// comes, since what comes is most often what was wrong. The pin is stored together with the policy, so that there is never one without the other.

// Pin says that a feed stays at a copy.
type Pin struct {
	Copy  uint64    `json:"copy"`
	Since time.Time `json:"since"`
	By    string    `json:"by,omitempty"`  // who asked for it, in their own words
	Why   string    `json:"why,omitempty"` // and why
}

// ErrNotPinned says that a feed was not rolled back.
var ErrNotPinned = errors.New("the feed is not pinned: it was not rolled back")

// RollbackOptions say which feed goes back to which copy, and who wants it.
type RollbackOptions struct {
	// Feed is the name of the feed. Required.
	Feed string
	// To is the number of the copy; it may be the one that is served, which pins the feed there. Default: 0, the newest that is older than that one.
	To uint64
	// By and Why go into the log and the pin. Default: "".
	By, Why string
}

// Rollback makes an older copy of a feed the one that is served, all or nothing, and pins the feed there. The source is not looked at.
func (p *Publisher) Rollback(ctx context.Context, o RollbackOptions) (ReloadReport, error) {
	began := time.Now()
	if err := p.takeTurn(ctx); err != nil {
		return ReloadReport{}, err
	}
	defer p.endTurn()
	before, err := p.pin(o)
	if err != nil {
		return ReloadReport{}, err
	}
	report, err := p.cycle(ctx, ReloadOptions{restore: o.Feed, Feeds: []string{o.Feed}})
	if i := slices.IndexFunc(report.Feeds, func(r FeedResult) bool { return r.Name == o.Feed && r.Failure != nil }); err == nil && i >= 0 {
		err = report.Feeds[i].Failure
	}
	if err != nil {
		p.takeBack(before)
		err = errors.Join(err, p.storePins(false)) // a policy that was published all the same has the pin
		return report, fmt.Errorf("feed %q stays at copy %d: rolling back: %w", o.Feed, before.rows.Generation(), err)
	}
	from := before.rows.Generation()
	before.rows.Close()
	p.log.Warn("feed rolled back, its source is not read until it is unpinned", "feed", o.Feed, "from", from, "to", before.to, "by", o.By, "why", o.Why,
		"generation", report.Generation)
	report.Seconds = time.Since(began).Seconds()
	return report, nil
}

// beforePin is what a rollback takes back if it fails.
type beforePin struct {
	feed    string
	to      uint64
	rows    *Rows
	copies  []uint64
	pin     *Pin
	changed time.Time
	trouble compileTrouble
}

// pin pins a feed to the copy that it is to go back to.
func (p *Publisher) pin(o RollbackOptions) (*beforePin, error) {
	if err := p.checkNames([]string{o.Feed}); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.feed(o.Feed)
	if f.rows == nil {
		return nil, errNoCopy(o.Feed, "copy that could be served", f.copies)
	}
	to, err := f.before(f.kept())
	if o.To != 0 {
		to, err = f.numbered(o.To)
	}
	if err != nil {
		return nil, err
	}
	before := &beforePin{feed: o.Feed, to: to, rows: f.rows.retain(), copies: f.copies, pin: f.pin, changed: f.changed, trouble: p.trouble}
	f.pin = &Pin{Copy: to, Since: time.Now().UTC().Truncate(time.Second), By: o.By, Why: o.Why}
	return before, nil
}

// takeBack undoes a rollback that failed.
func (p *Publisher) takeBack(before *beforePin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.feed(before.feed)
	if f.rows != nil {
		f.rows.Close()
	}
	f.rows, f.copies, f.pin, f.changed, p.trouble = before.rows, before.copies, before.pin, before.changed, before.trouble
}

// absorbRestored notes that a feed went back to an older copy, or could not. Called with mu held.
func (p *Publisher) absorbRestored(f *feedState, r *FeedResult, served bool, now time.Time) {
	if r.Outcome != OutcomeRestored {
		return // whoever asked is told; the source is not to blame
	}
	rows, err := OpenRows(p.store.rows(r.Name, r.Copy))
	if err != nil {
		r.Outcome, r.Failure = OutcomeFailed, newFeedFailure(err)
		return
	}
	p.adoptNew(f, rows, served, now)
	f.result, f.read = *r, now
}

// UnpinOptions say which feed follows its source again, and who wants it.
type UnpinOptions struct {
	Feed    string // required
	By, Why string // for the log
}

// Unpin lets the source of a feed be read again, and reads it. That it cannot be taken is in the report, and leaves the feed unpinned at the copy
// that it has. It keeps the turn between the two, or Run would read the source meanwhile and there were nothing to report.
func (p *Publisher) Unpin(ctx context.Context, o UnpinOptions) (ReloadReport, error) {
	began, number := time.Now(), p.number()
	if err := p.takeTurn(ctx); err != nil {
		return ReloadReport{}, err
	}
	defer p.endTurn()
	if err := p.unpin(o); err != nil {
		return ReloadReport{}, err
	}
	return p.reloadInTurn(ctx, ReloadOptions{Feeds: []string{o.Feed}}, began, number)
}

// unpin takes the pin away and stores that. Whoever calls it has the turn.
func (p *Publisher) unpin(o UnpinOptions) error {
	if err := p.checkNames([]string{o.Feed}); err != nil {
		return err
	}
	p.mu.Lock()
	f := p.feed(o.Feed)
	pin := f.pin
	f.pin = nil
	p.mu.Unlock()
	if pin == nil {
		return fmt.Errorf("%q: %w", o.Feed, ErrNotPinned)
	}
	err := p.storePins(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		f.pin = pin
		return fmt.Errorf("feed %q stays pinned: %w", o.Feed, err)
	}
	f.settled = Stamp{} // what the source says was not looked at meanwhile
	p.log.Warn("feed unpinned, its source is read again", "feed", o.Feed, "copy", pin.Copy, "by", o.By, "why", o.Why)
	return nil
}

// stillPinned tells whoever names feeds for a reload of those whose source is not read.
func (p *Publisher) stillPinned(named []string) (results []FeedResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range named {
		if f := p.feed(name); f != nil && f.pin != nil {
			text := fmt.Sprintf("it is pinned to copy %d since %s and not read; `cenote feeds unpin %s` lets it follow its source again",
				f.pin.Copy, f.pin.Since.Format(time.RFC3339), name)
			results = append(results, FeedResult{Name: name, Outcome: OutcomeFailed, Copy: f.kept(), Failure: &FeedFailure{Text: text}})
		}
	}
	return results
}

// storePins is storeCopies for a pin that came or went, behind what answers queries.
func (p *Publisher) storePins(firm bool) error {
	return pace.Behind(func() error { return p.storeCopies(firm) })
}
