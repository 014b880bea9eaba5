package blocklist

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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
	p.began = time.Now()
	job := p.plan(o)
	report, err := p.work(ctx, job)
	err = p.conclude(job, report, err)
	if errors.Is(err, errNoDelta) {
		p.log.Info("feeds are compiled anew", "why", err)
		report, err = p.workWhole(ctx, job, report)
	}
	p.settle(ctx, job, report, err)
	return p.reloadReport(job, report), err
}

// conclude notes what became of a job, which may have failed, and publishes. It runs behind what answers queries: files are opened, checked, synced and removed.
func (p *Publisher) conclude(job CompileConfig, report CompileReport, failed error) error {
	return pace.Behind(func() error {
		if failed == nil || len(report.Feeds) > 0 {
			p.absorb(job, report)
		}
		if failed != nil {
			return failed
		}
		return p.publishIfNew(job, report)
	})
}

// plan decides what the child is to do.
func (p *Publisher) plan(o ReloadOptions) CompileConfig {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	served := servedFeeds(p.order.zones())
	job := CompileConfig{Dir: p.store.dir, Generation: p.next, Force: o.Force, firm: o.restore != ""}
	job.Merge = p.trouble.merge || p.missesFeed(served) || p.current == nil && len(served) == 0
	p.planChanges(&job, served, p.deltaIsOld(now))
	if p.current != nil {
		m := p.current.Policy.Manifest()
		job.Families, job.Threats = m.Families, m.Threats
	}
	p.next++
	for _, f := range p.feeds {
		c := p.compileFeed(f, served[f.feed.Name])
		c.Read, c.Restore = o.wants(f, now), o.restores(f)
		job.Feeds = append(job.Feeds, c)
	}
	return job
}

// planChanges decides what may become of a change: an old delta goes into an index, with what has changed or with nothing. Called with mu held.
func (p *Publisher) planChanges(job *CompileConfig, served map[string]bool, old bool) {
	if job.DeltaMax, job.MergeMax = p.changeRoom(served); job.MergeMax == 0 {
		job.Merge = job.Merge || old
		return
	}
	job.Base = p.state.Current.storedFiles
	if job.Fold = old; old {
		return
	}
	job.FileMin, job.FileMax = p.fileRoom()
}

// compileFeed is a feed of a job. Called with mu held.
func (p *Publisher) compileFeed(f *feedState, served bool) CompileFeed {
	return CompileFeed{
		FeedConfig: f.feed.FeedConfig, ShrinkMax: orShare(f.feed.ShrinkMax, p.config.ShrinkMax),
		GrowMax: cmp.Or(f.feed.GrowMax, p.config.GrowMax), AllowOlder: f.feed.AllowOlder, Kept: f.kept(), Serve: served, seen: f.seen.stamp, Pinned: f.pin != nil,
	}
}

// restores returns the number of the copy that is to take the place of the last good one, or 0.
func (o *ReloadOptions) restores(f *feedState) uint64 {
	if o.restore != f.feed.Name || f.pin == nil || f.pin.Copy == f.kept() {
		return 0
	}
	return f.pin.Copy
}

// wants reports whether a feed is to be read: it is due, or whoever asked insists.
func (o *ReloadOptions) wants(f *feedState, now time.Time) bool {
	named := slices.Contains(o.Feeds, f.feed.Name)
	if len(o.Feeds) > 0 && !named || f.pin != nil || slices.Contains(o.restless, f.feed.Name) || f.seen.err != nil || f.seen.stamp.Sum == "" || f.ahead() {
		return false
	}
	insists := o.Force || named && f.failure.err != nil || o.asked && !f.failure.retry.IsZero()
	return insists || f.due(now)
}

// orShare is a share of a feed, where 0 stands for that of the Config and a negative one for none.
func orShare(share, otherwise float64) float64 {
	if share == 0 {
		share = otherwise
	}
	return max(share, 0)
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

// missesFeed reports whether a zone holds a feed whose copy is not the one in the served index: it was in no zone when it changed. Called with mu
// held.
func (p *Publisher) missesFeed(served map[string]bool) bool {
	in := map[string]uint64{}
	if p.current != nil {
		for _, f := range p.current.Policy.Manifest().Feeds {
			in[f.Name] = f.SourceGeneration
		}
	}
	return slices.ContainsFunc(p.feeds, func(f *feedState) bool { return f.rows != nil && served[f.feed.Name] && in[f.feed.Name] != f.kept() })
}

func toRead(job *CompileConfig) int {
	n := 0
	for _, f := range job.Feeds {
		if f.Read || f.Restore != 0 {
			n++
		}
	}
	return n
}

// work has the job done by a child. If the child ends while it reads a feed, that feed has failed and the others are read by another child.
func (p *Publisher) work(ctx context.Context, job CompileConfig) (CompileReport, error) {
	if toRead(&job) == 0 && !job.Merge && !job.Fold {
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
		if errors.As(err, &crash) && crash.During == "" && job.DeltaMax+job.MergeMax > 0 { // perhaps while it compared: nothing need be compared
			p.counts.childFailures.Add(1)
			job.DeltaMax, job.MergeMax = 0, 0
			continue
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
		os.Remove(p.store.lines(crash.During, job.Feeds[i].Kept)) // so that it is read whole the next time; there may be none
		failed = append(failed, FeedResult{
			Name: crash.During, Outcome: OutcomeFailed, Copy: job.Feeds[i].Kept,
			Failure: &FeedFailure{Text: crash.Error(), Crash: true},
		})
		if toRead(&job) == 0 && !job.Merge && !job.Fold {
			return CompileReport{Feeds: failed}, nil
		}
	}
}

// workWhole has an index made of the copies that a job left, for which no delta could be made.
func (p *Publisher) workWhole(ctx context.Context, job CompileConfig, before CompileReport) (CompileReport, error) {
	job.Merge, job.DeltaMax, job.MergeMax, job.Feeds = true, 0, 0, slices.Clone(job.Feeds)
	for i := range job.Feeds {
		job.Feeds[i].Read, job.Feeds[i].Kept = false, before.Feeds[i].Copy
	}
	report, err := p.work(ctx, job)
	err = p.conclude(job, report, err)
	report.Feeds = before.Feeds
	return report, err
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
		if asked.Restore != 0 {
			p.absorbRestored(f, r, asked.Serve, now)
			continue
		}
		if f.settled = r.Stamp; r.Stamp.Sum == "" {
			f.settled = asked.seen // not what is seen now: that may be newer, and unread
		}
		if r.Part {
			p.counts.inPart.Add(1)
		}
		if r.Outcome == OutcomeRead {
			p.take(f, r, asked.Serve, now)
		}
		if r.Failure == nil {
			f.healthy(now)
		} else {
			p.fail(f, r, now)
		}
		f.result, f.read = *r, now
	}
}

// take makes a new copy the last good one. Called with mu held.
func (p *Publisher) take(f *feedState, r *FeedResult, served bool, now time.Time) {
	rows, err := openRowsBeside(p.store.rows(r.Name, r.Copy), f.rows)
	if err != nil {
		r.Outcome, r.Failure = OutcomeFailed, newFeedFailure(err)
		return
	}
	p.adoptNew(f, rows, served, now)
	p.log.Info("feed read", "feed", r.Name, "format", rows.report.Format, "entries", rows.report.Live, "names", rows.report.Names,
		"duplicates", rows.report.Duplicates.Count, "refused", rows.report.Refused, "held", rows.report.Held, "part", r.Part, "seconds", r.Seconds)
}

// adoptNew puts a copy in the place of the last good one. Called with mu held.
func (p *Publisher) adoptNew(f *feedState, rows *Rows, served bool, now time.Time) {
	if f.rows != nil {
		f.rows.Close()
	}
	f.rows, f.changed = rows, now
	if !slices.Contains(f.copies, rows.Generation()) {
		f.copies = append([]uint64{rows.Generation()}, f.copies...)
	}
	if served {
		p.trouble.merge = true // until an index holds it
	}
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
	p.counts.guarded(failure)
	p.log.Warn("feed not taken, its last good copy stays", "feed", f.feed.Name, "error", failure.Text, "entries", entries)
}

// publishIfNew publishes the compiled index, or the old one in a changed order. It is called behind what answers queries, see conclude.
func (p *Publisher) publishIfNew(job CompileConfig, report CompileReport) error {
	p.mu.Lock()
	current, order := p.current, p.order
	sameOrder := current != nil && p.state.Current.Zones == order.fingerprint()
	p.mu.Unlock()
	switch {
	case report.Compiled:
		index, err := nameindex.Open(p.store.index(job.Generation), nameindex.OpenOptions{
			Rest: new(pace.Pace).Look, Beside: current != nil, Mapped: p.now.Load().Mapped,
		})
		if err != nil {
			return fmt.Errorf("opening policy %d: %w", job.Generation, err)
		}
		if err := p.publish(index, &job, storedFiles{Index: job.Generation}, order); err != nil {
			return err
		}
		if report.Merged {
			p.counts.merged.Add(1)
		}
		return nil
	case report.DeltaFile:
		return p.publishDeltaFile(&job, order)
	case report.Delta:
		return p.publishDelta(&job, report.Changes, order)
	case current != nil && !sameOrder:
		return p.publish(current.Policy.Index(), &job, p.state.Current.storedFiles, order)
	}
	return p.storeCopies(job.firm)
}

// storeCopies records what has changed of copies and pins, where nothing is published: they are those of feeds that no zone holds, or nothing but a
// pin. What must not be lost is firm: that it cannot be stored is an error then.
func (p *Publisher) storeCopies(firm bool) error {
	state := p.withHistory(p.state)
	if p.current != nil && !p.trouble.merge {
		state.Current.Feeds = p.copies()
	}
	if p.current == nil && !firm || state.sameCopies(&p.state) {
		return nil
	}
	if err := p.save(state, firm); err != nil {
		return err
	}
	p.mu.Lock()
	p.state = state
	p.mu.Unlock()
	return nil
}

// save stores the state and removes what it does not need. If that fails the policy is served all the same, unless it is firm: it is good, only a
// restart would not find it.
func (p *Publisher) save(state storedState, firm bool) error {
	if err := p.store.commit(state, p.unsynced); err != nil {
		p.counts.commitFailures.Add(1)
		if firm {
			return err
		}
		p.log.Error("policy is served but not stored", "error", err)
		return nil
	}
	p.unsynced = nil
	if err := p.store.prune(state); err != nil {
		p.log.Warn("old policies are not removed", "error", err)
	}
	return nil
}

// publish makes a generation of an index, hands it over, and stores that it is the current one, which takes several syncs: what is good need not wait for them, and a crash between the
// two is one before. What is firm is stored first.
func (p *Publisher) publish(index *nameindex.Index, job *CompileConfig, files storedFiles, o Order) error {
	number := job.Generation
	g, err := p.generation(index, number, o)
	if err != nil {
		return err
	}
	state := p.withHistory(p.nextState(storedPolicy{
		Number: number, storedFiles: files, Zones: o.fingerprint(), Feeds: p.copies(),
	}))
	if job.firm {
		if err := p.save(state, true); err != nil {
			return errors.Join(err, g.Close())
		}
	}
	p.mu.Lock()
	p.current, p.state, p.trouble = g, state, compileTrouble{}
	p.noteDelta(index)
	p.mu.Unlock()
	p.counts.published.Add(1)
	names, feeds := g.Policy.Index().Len(), len(g.Policy.Manifest().Feeds) // while it is ours
	p.counts.publishSeconds.Store(math.Float64bits(time.Since(p.began).Seconds()))
	p.config.Publish(g)
	p.log.Info("policy published", "generation", number, "names", names, "feeds", feeds)
	if job.firm {
		return nil
	}
	return p.save(state, false)
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
func (p *Publisher) generation(index *nameindex.Index, number uint64, o Order) (*Generation, error) {
	pol, err := p.policyOf(index, number, o)
	if err != nil {
		return nil, fmt.Errorf("policy %d: %w", number, err)
	}
	g := &Generation{Number: number, Policy: pol}
	for _, f := range pol.Manifest().Feeds {
		g.rows = append(g.rows, p.openCopy(f))
	}
	return g, nil
}

// policyOf makes a policy of an index. Over the base that is served already it costs only what the delta costs.
func (p *Publisher) policyOf(index *nameindex.Index, number uint64, o Order) (*policy.Policy, error) {
	p.mu.Lock()
	current := p.current
	sameOrder := current != nil && p.state.Current.Zones == o.fingerprint()
	p.mu.Unlock()
	if sameOrder && index.Base() == current.Policy.Index().Base() {
		return current.Policy.With(index, number)
	}
	return policy.New(policy.Config{Zones: o.Zones, Views: o.Views, Index: index, AnswerEarly: o.AnswerEarly, WaitRecurse: o.WaitRecurse, Paths: o.Paths, Generation: number})
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

// Order is what a policy is made of beside the feeds: which zone decides before which, for whom, and whether a match waits for the world's answer.
// See policy.Config.
type Order struct {
	Zones       []policy.Zone // they may name feeds that are not there
	Views       []policy.View
	AnswerEarly bool
	WaitRecurse bool
	Paths       policy.PathWants // a change makes a new policy, so that answers which were found clean are looked at again
}

// zones are those of all views.
func (o *Order) zones() []policy.Zone {
	all := slices.Clone(o.Zones)
	for i := range o.Views {
		all = append(all, o.Views[i].Zones...)
	}
	return all
}

// checkOrder reports whether o makes a policy.
func (p *Publisher) checkOrder(o Order) error {
	c := policy.Config{Zones: o.Zones, Views: o.Views, AnswerEarly: o.AnswerEarly}
	if g := p.Current(); g != nil {
		c.Index = g.Policy.Index()
	}
	_, err := policy.New(c)
	return err
}

// fingerprint tells one order from another. It is in the stored state, so that a start knows its policy again: the names of the fields count.
func (o Order) fingerprint() string {
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
