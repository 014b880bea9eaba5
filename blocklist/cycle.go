package blocklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"cenote/nameindex"
	"cenote/pace"
	"cenote/policy"

	"github.com/zeebo/xxh3"
)

// A cycle is one pass from changed feeds to a published policy: plan, compile (in the child), absorb, publish. Whoever runs one has the turn.

// cycle reads the feeds that are due, or those that o names, and publishes if anything served has changed.
func (p *Publisher) cycle(ctx context.Context, o ReloadOptions) (ReloadReport, error) {
	job := p.plan(o)
	report, err := p.work(ctx, job)
	if err == nil || len(report.Feeds) > 0 {
		p.absorb(job, report)
	}
	if err == nil {
		err = p.publishIfNew(job, report)
	}
	p.settle(ctx, job, report, err)
	return p.reloadReport(job, report), err
}

// plan decides what the child is to do.
func (p *Publisher) plan(o ReloadOptions) CompileConfig {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	served := servedFeeds(p.order.Zones)
	job := CompileConfig{Dir: p.store.dir, Generation: p.next, Force: o.Force}
	job.Merge = p.trouble.merge || p.missesFeed(served) || p.current == nil && len(served) == 0
	p.next++
	for _, f := range p.feeds {
		job.Feeds = append(job.Feeds, CompileFeed{
			FeedConfig: f.feed.FeedConfig, ShrinkMax: p.shrinkMax(&f.feed), Kept: f.kept(), Serve: served[f.feed.Name], seen: f.seen.stamp,
			Read: o.wants(f, now),
		})
	}
	return job
}

// wants reports whether a feed is to be read: it is due, or whoever asked insists.
func (o *ReloadOptions) wants(f *feedState, now time.Time) bool {
	named := slices.Contains(o.Feeds, f.feed.Name)
	if len(o.Feeds) > 0 && !named || slices.Contains(o.restless, f.feed.Name) || f.seen.err != nil || f.seen.stamp.Sum == "" {
		return false
	}
	insists := o.Force || named && f.failure.err != nil || o.asked && !f.failure.retry.IsZero()
	return insists || f.due(now)
}

func (p *Publisher) shrinkMax(f *Feed) float64 {
	switch {
	case f.ShrinkMax == 0:
		return p.config.ShrinkMax
	case f.ShrinkMax < 0:
		return 0
	}
	return f.ShrinkMax
}

// servedFeeds are the names of the feeds that some zone holds.
func servedFeeds(zones []policy.Zone) map[string]bool {
	served := map[string]bool{}
	for _, z := range zones {
		for _, name := range z.Feeds {
			served[name] = true
		}
	}
	return served
}

// missesFeed reports whether a zone holds a feed that has a copy but is not in the served index. Called with mu held.
func (p *Publisher) missesFeed(served map[string]bool) bool {
	in := map[string]bool{}
	if p.current != nil {
		for _, f := range p.current.Policy.Manifest().Feeds {
			in[f.Name] = true
		}
	}
	return slices.ContainsFunc(p.feeds, func(f *feedState) bool { return f.rows != nil && served[f.feed.Name] && !in[f.feed.Name] })
}

func toRead(job *CompileConfig) int {
	n := 0
	for _, f := range job.Feeds {
		if f.Read {
			n++
		}
	}
	return n
}

// work has the job done by a child. If the child ends while it reads a feed, that feed has failed and the others are read by another child.
func (p *Publisher) work(ctx context.Context, job CompileConfig) (CompileReport, error) {
	if toRead(&job) == 0 && !job.Merge {
		return CompileReport{}, nil
	}
	var failed []FeedResult
	for {
		report, err := p.child().compile(ctx, job)
		p.counts.compiled(report, err)
		var crash *ChildError
		if ctx.Err() != nil {
			return CompileReport{}, ctx.Err()
		}
		if !errors.As(err, &crash) || crash.During == "" {
			report.Feeds = mergeResults(report.Feeds, failed)
			return report, err
		}
		p.counts.childFailures.Add(1)
		job.Feeds = slices.Clone(job.Feeds)
		i := slices.IndexFunc(job.Feeds, func(f CompileFeed) bool { return f.Name == crash.During && f.Read })
		if i < 0 {
			return report, err
		}
		job.Feeds[i].Read = false
		failed = append(failed, FeedResult{
			Name: crash.During, Outcome: OutcomeFailed, Copy: job.Feeds[i].Kept,
			Failure: &FeedFailure{Text: crash.Error(), Crash: true},
		})
		if toRead(&job) == 0 && !job.Merge {
			return CompileReport{Feeds: failed}, nil
		}
	}
}

// mergeResults puts the failures of earlier children in the place of what the last child says of the same feeds.
func mergeResults(results, failed []FeedResult) []FeedResult {
	for _, f := range failed {
		i := slices.IndexFunc(results, func(r FeedResult) bool { return r.Name == f.Name })
		if i < 0 {
			results = append(results, f)
		} else {
			results[i] = f
		}
	}
	return results
}

// absorb notes what became of each feed.
func (p *Publisher) absorb(job CompileConfig, report CompileReport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for i := range report.Feeds {
		r := &report.Feeds[i]
		f := p.feed(r.Name)
		if f == nil || r.Outcome == OutcomeKept {
			continue
		}
		asked := job.Feeds[slices.IndexFunc(job.Feeds, func(c CompileFeed) bool { return c.Name == r.Name })]
		if f.settled = r.Stamp; r.Stamp.Sum == "" {
			f.settled = asked.seen // not what is seen now: that may be newer, and unread
		}
		if r.Outcome == OutcomeRead {
			p.take(f, r, asked.Serve, now)
		}
		if r.Failure == nil {
			f.healthy(now)
		} else {
			p.fail(f, r, now)
		}
	}
}

// take makes a new copy the last good one. Called with mu held.
func (p *Publisher) take(f *feedState, r *FeedResult, served bool, now time.Time) {
	rows, err := OpenRows(p.store.rows(r.Name, r.Copy))
	if err != nil {
		r.Outcome, r.Failure = OutcomeFailed, newFeedFailure(err)
		return
	}
	if f.rows != nil {
		f.rows.Close()
	}
	f.rows, f.changed = rows, now
	if served {
		p.trouble.merge = true // until an index holds it
	}
	p.log.Info("feed read", "feed", r.Name, "format", rows.report.Format, "entries", rows.report.Live, "names", rows.report.Names,
		"duplicates", rows.report.Duplicates.Count, "refused", rows.report.Refused, "held", rows.report.Held, "seconds", r.Seconds)
}

// fail notes that a feed was not taken. Called with mu held.
func (p *Publisher) fail(f *feedState, r *FeedResult, now time.Time) {
	p.reject(f, r.Failure, r.Report)
	switch {
	case r.Failure.Crash:
		f.retryAfter(now, retryCrash, retryCrashMax)
	case r.Failure.Transient:
		f.retryAfter(now, retryTransient, retryTransientMax)
	default:
		f.failure.retry = time.Time{}
	}
}

// reject notes and logs trouble with a feed, the same trouble once. Called with mu held.
func (p *Publisher) reject(f *feedState, failure *FeedFailure, report *FeedReport) {
	if !f.trouble(failure, report, time.Now()) {
		return
	}
	entries := 0
	if f.rows != nil {
		entries = f.rows.report.Live
	}
	p.counts.rejected.Add(1)
	p.log.Warn("feed not taken, its last good copy stays", "feed", f.feed.Name, "error", failure.Text, "entries", entries)
}

// publishIfNew publishes the compiled index, or the old one in a changed order.
func (p *Publisher) publishIfNew(job CompileConfig, report CompileReport) error {
	p.mu.Lock()
	current, order := p.current, p.order
	sameOrder := current != nil && p.state.Current.Zones == order.fingerprint()
	p.mu.Unlock()
	switch {
	case report.Compiled:
		index, err := pace.Behind(func() (*nameindex.Index, error) {
			return nameindex.Open(p.store.index(job.Generation), nameindex.OpenOptions{Rest: new(pace.Pace).Look, Beside: current != nil})
		})
		if err != nil {
			return fmt.Errorf("opening policy %d: %w", job.Generation, err)
		}
		return p.publish(index, job.Generation, job.Generation, order)
	case current != nil && !sameOrder:
		return p.publish(current.Policy.Index(), job.Generation, p.state.Current.Index, order)
	}
	return p.storeCopies()
}

// storeCopies records new copies of feeds that no zone holds, for which nothing is published.
func (p *Publisher) storeCopies() error {
	copies := p.copies()
	if p.current == nil || p.trouble.merge || maps.Equal(copies, p.state.Current.Feeds) {
		return nil
	}
	state := p.state
	state.Current.Feeds = copies
	p.save(state)
	p.mu.Lock()
	p.state = state
	p.mu.Unlock()
	return nil
}

// save stores the state and removes what it does not need. If that fails the policy is served all the same: it is good, only a restart would
// not find it.
func (p *Publisher) save(state storedState) {
	if err := p.store.commit(state); err != nil {
		p.counts.commitFailures.Add(1)
		p.log.Error("policy is served but not stored", "error", err)
		return
	}
	if err := p.store.prune(state); err != nil {
		p.log.Warn("old policies are not removed", "error", err)
	}
}

// publish makes a generation of an index, stores that it is the current one, and hands it over.
func (p *Publisher) publish(index *nameindex.Index, number, indexNumber uint64, o order) error {
	g, err := p.generation(index, number, o)
	if err != nil {
		return err
	}
	state := p.nextState(storedPolicy{
		Number: number, Index: indexNumber, Zones: o.fingerprint(), Feeds: p.copies(),
	})
	p.save(state)
	p.mu.Lock()
	p.current, p.state, p.trouble = g, state, compileTrouble{}
	p.mu.Unlock()
	p.counts.published.Add(1)
	p.log.Info("policy published", "generation", number, "names", g.Policy.Index().Len(), "feeds", len(g.Policy.Manifest().Feeds))
	p.config.Publish(g)
	return nil
}

// nextState puts fresh before what is current now. The policy before stays on disk for the case that fresh is found damaged.
func (p *Publisher) nextState(fresh storedPolicy) storedState {
	state := storedState{Current: fresh}
	switch old := p.state.Current; {
	case old.Number == 0:
	case old.Index == fresh.Index:
		state.Previous = p.state.Previous
	default:
		state.Previous = &old
	}
	return state
}

// copies are the numbers of the last good copies.
func (p *Publisher) copies() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]uint64{}
	for _, f := range p.feeds {
		if f.rows != nil {
			out[f.feed.Name] = f.rows.Generation()
		}
	}
	return out
}

// generation makes a generation of an index and opens the copies that it was compiled from.
func (p *Publisher) generation(index *nameindex.Index, number uint64, o order) (*Generation, error) {
	pol, err := policy.New(policy.Config{Zones: o.Zones, Index: index, AnswerEarly: o.AnswerEarly, Generation: number})
	if err != nil {
		return nil, fmt.Errorf("policy %d: %w", number, err)
	}
	g := &Generation{Number: number, Policy: pol}
	for _, f := range pol.Manifest().Feeds {
		g.rows = append(g.rows, p.openCopy(f))
	}
	return g, nil
}

// openCopy opens the copy that an index was compiled from, by sharing it where it is open already. A copy that cannot be read costs the
// explanations, not the policy.
func (p *Publisher) openCopy(f policy.Feed) *Rows {
	p.mu.Lock()
	defer p.mu.Unlock()
	if state := p.feed(f.Name); state != nil && state.kept() == f.SourceGeneration && f.SourceGeneration != 0 {
		return state.rows.retain()
	}
	rows, err := OpenRows(p.store.rows(f.Name, f.SourceGeneration))
	if err != nil {
		p.log.Warn("no rows for explanations", "feed", f.Name, "error", err)
		return nil
	}
	return rows
}

// order is what a policy is made of beside the feeds: which zone decides before which, and whether a match waits for the world's answer.
type order struct {
	Zones       []policy.Zone
	AnswerEarly bool
}

// checkOrder reports whether o makes a policy.
func (p *Publisher) checkOrder(o order) error {
	c := policy.Config{Zones: o.Zones, AnswerEarly: o.AnswerEarly}
	if g := p.Current(); g != nil {
		c.Index = g.Policy.Index()
	}
	_, err := policy.New(c)
	return err
}

// fingerprint tells one order from another. It is in the stored state, so that a start knows its policy again: the names of the fields count.
func (o order) fingerprint() string {
	b, err := json.Marshal(o)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%016x", xxh3.Hash(b))
}

// settle notes how the cycle ended. A job that failed as a whole is tried again later.
func (p *Publisher) settle(ctx context.Context, job CompileConfig, report CompileReport, err error) {
	if !report.Compiled || err != nil {
		os.Remove(p.store.index(job.Generation)) // there mostly is none
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.trouble = compileTrouble{merge: p.trouble.merge}
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	now := time.Now()
	p.trouble.err = err
	p.trouble.retry = now.Add(min(retryTransient<<min(p.trouble.retries, 20), retryTransientMax))
	p.trouble.retries++
	p.log.Error("policy not compiled, the last good one stays", "error", err, "retry", p.trouble.retry)
}

func (p *Publisher) reloadReport(job CompileConfig, report CompileReport) ReloadReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := ReloadReport{}
	if p.current != nil {
		out.Generation, out.Published = p.current.Number, p.current.Number == job.Generation
	}
	for _, r := range report.Feeds {
		if r.Outcome != OutcomeKept {
			out.Feeds = append(out.Feeds, r)
		}
	}
	return out
}
