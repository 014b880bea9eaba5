package blocklist

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Held is a row that waits for an operator, and of which feed it is.
type Held struct {
	Feed string `json:"feed"`
	HeldRow
}

// HeldRows are the rows of all feeds of which an operator may decide, in the order of the feeds. unlisted is how many more there are than the reports
// of the feeds list.
func (p *Publisher) HeldRows() (rows []Held, unlisted int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.feeds {
		if f.rows == nil {
			continue
		}
		r := &f.rows.report.Report
		unlisted += r.Held + r.Popular - len(r.HeldRows) - len(r.PopularRows)
		for _, row := range r.waiting() {
			rows = append(rows, Held{f.feed.Name, row})
		}
	}
	return rows, unlisted
}

// GuardedRows are the rows of all feeds that guards refuse for their names, in the order of the feeds, as far as the reports of the feeds list them.
func (p *Publisher) GuardedRows() (rows []Held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.feeds {
		if f.rows == nil {
			continue
		}
		for _, row := range f.rows.report.GuardedRows {
			rows = append(rows, Held{f.feed.Name, row})
		}
	}
	return rows
}

// Decisions are those of all operators that are in force, in the order of time.
func (p *Publisher) Decisions() []Decision {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.decisions.all)
}

// DecideReport is what came of a decision.
type DecideReport struct {
	Decisions []Decision   `json:"decisions"` // one for each feed; those that are forgotten, too
	Reload    ReloadReport `json:"reload"`
}

// Decide stores what an operator decided and reads the feeds anew that it is about. Without a feed the decision is about all that hold the name now, or
// for VerdictForget about all of which it was decided. An error means that nothing was decided; what came of the feeds is in the report. One that cannot
// be read now has the decision at its next reading.
func (p *Publisher) Decide(ctx context.Context, d Decision) (DecideReport, error) {
	began := time.Now()
	d, err := d.checked()
	if err != nil {
		return DecideReport{}, err
	}
	if err := p.takeTurn(ctx); err != nil {
		return DecideReport{}, err
	}
	defer p.endTurn()
	d.When = began.UTC().Truncate(time.Second)
	report := DecideReport{}
	if report.Decisions, err = p.decide(d); err != nil {
		return DecideReport{}, err
	}
	o := ReloadOptions{asked: true}
	for _, one := range report.Decisions {
		o.Feeds = append(o.Feeds, one.Feed)
		p.log.Info("held row decided", "feed", one.Feed, "name", one.Name, "verdict", string(one.Verdict), "who", one.Who, "why", one.Why)
	}
	o.restless = p.lookAtAll(ctx, o.Feeds)
	report.Reload, err = p.cycle(ctx, o)
	report.Reload.Feeds = append(append(report.Reload.Feeds, p.notRead(o.restless)...), p.pinned(o.Feeds)...)
	report.Reload.Seconds = time.Since(began).Seconds()
	if err != nil {
		p.wakeUp() // whoever asked may have gone
		return report, fmt.Errorf("the decision is stored, but not in force yet: %w", err)
	}
	return report, nil
}

// pinned tells whoever decides of the feeds that are not read.
func (p *Publisher) pinned(names []string) (results []FeedResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		if f := p.feed(name); f != nil && f.pin != nil {
			results = append(results, f.notYet("it is pinned to an older copy; what was decided is in force once it is unpinned"))
		}
	}
	return results
}

// decide stores a decision for each feed that it is about, and gives them to the feeds.
func (p *Publisher) decide(d Decision) ([]Decision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	feeds, err := p.concerned(&d)
	if err != nil {
		return nil, err
	}
	var made []Decision
	for _, d.Feed = range feeds {
		made = append(made, d)
	}
	next, err := p.decisions.with(made)
	if err != nil {
		return nil, err
	}
	if err := next.write(); err != nil {
		p.counts.commitFailures.Add(1)
		return nil, err
	}
	p.decisions = next
	for _, name := range feeds {
		if f := p.feed(name); f != nil {
			f.decided(next.apply(f.feed))
		}
	}
	return made, nil
}

// concerned are the feeds that a decision is about. Called with mu held.
func (p *Publisher) concerned(d *Decision) ([]string, error) {
	var feeds []string
	was := func(feed string) bool {
		return slices.ContainsFunc(p.decisions.all, func(o Decision) bool { return o.Feed == feed && o.Name == d.Name })
	}
	switch {
	case d.Verdict == VerdictForget:
		for _, o := range p.decisions.all {
			if o.Name == d.Name && (d.Feed == "" || d.Feed == o.Feed) {
				feeds = append(feeds, o.Feed)
			}
		}
		if len(feeds) == 0 {
			return nil, fmt.Errorf("%w: nothing was decided of %s; see `cenote held --decisions`", ErrDecision, d.Name)
		}
	case d.Feed != "" && p.feed(d.Feed) == nil:
		return nil, p.unknownFeed(d.Feed)
	case d.Feed != "":
		feeds = []string{d.Feed}
	default:
		for _, f := range p.feeds {
			if was(f.feed.Name) || f.waits(d.Name) {
				feeds = append(feeds, f.feed.Name)
			}
		}
		if len(feeds) == 0 {
			return nil, fmt.Errorf("%w: no feed holds %s; see `cenote held`, and name a feed to decide beforehand", ErrDecision, d.Name)
		}
	}
	return feeds, nil
}

// waits reports whether a row of the feed with that name waits for an operator.
func (s *feedState) waits(name string) bool {
	if s.rows == nil {
		return false
	}
	is := func(row HeldRow) bool { return row.Name == name }
	return slices.ContainsFunc(s.rows.report.HeldRows, is) || slices.ContainsFunc(s.rows.report.PopularRows, is)
}

// decided gives the feed what was decided of its rows. If that is something new the source is to be read anew.
func (s *feedState) decided(f Feed) {
	s.feed = f
	if print := fingerprint(f.FeedConfig); print != s.fingerprint {
		s.fingerprint, s.settled = print, Stamp{}
	}
}
