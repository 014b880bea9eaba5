package blocklist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/policy"
	"cenote/spelling"
)

// Config is what a Publisher needs.
type Config struct {
	// Dir is the state directory; it is made if need be and used by one Publisher at a time. Example: "/var/lib/cenote/blocklist".
	Dir string
	// Feeds are the feeds to watch, in the order in which they are reported. Names are unique. Default: none.
	Feeds []Feed
	// Order is in which order the feeds decide. Default: none does.
	Order
	// ShrinkMax is the share of its entries that a feed may lose in one change, if the feed does not say. Default: 0.5. Example: 0.8.
	ShrinkMax float64
	// GrowMax is the share by which a feed of more than growLeast entries may grow in one change, if the feed does not say. Default: 10. Example: 3.
	GrowMax float64
	// Settings are what Update changes later.
	Settings
	// Publish takes every new generation, from New (the stored one), Run, Reload and Reconfigure, one call at a time. The receiver closes each when it is superseded
	// and no event of it is left. It must not call the Publisher. Required.
	Publish func(*Generation)
	// Taker takes the policy zones of feeds that have primaries. Required if there may be any.
	Taker ZoneTaker
	// Progress is told how far a compilation is, from one goroutine at a time. Default: nil.
	Progress func(Progress)
	// Log takes what happens to feeds. Default: slog.Default().
	Log *slog.Logger
}

// Defaults of Config.
const (
	shrinkMaxDefault = 0.5
	growMaxDefault   = 10
	feedNameMax      = 80
)

// Publisher keeps a policy in step with its feeds. Its methods may be called from many goroutines; compilations never overlap.
type Publisher struct {
	config  Config
	log     *slog.Logger
	store   *store
	counts  counts
	now     atomic.Pointer[Settings] // in force
	rest    time.Duration            // restMax
	deltas  deltaBounds
	turn    chan struct{} // holds a token while a compilation or a change of the configuration is under way
	diffing chan struct{} // holds a token while copies are compared
	wake    chan struct{} // a feed may be due
	rewatch chan struct{} // the feeds, or how they are watched, have changed
	fetches *fetchers

	guards   changeGuards // used by whoever has the turn
	unsynced []string     // files of the policy in force that a loss of power may take yet; used by whoever has the turn
	began    time.Time    // when the reading began after which a policy is handed over; used by whoever has the turn

	mu        sync.Mutex // guards what follows
	feeds     []*feedState
	order     Order
	current   *Generation // nil until the first is published
	state     storedState
	next      uint64 // the next number
	trouble   compileTrouble
	decisions *decisions
	differs   time.Time // since when the served policy is more than its index: it has a delta; zero: it has none
	foldAt    time.Time // when the delta is to go into the index
}

// compileTrouble is what stands between the copies of the feeds and the served policy.
type compileTrouble struct {
	merge   bool // copies have changed, or were found at the start, that no index holds
	err     error
	retries int
	retry   time.Time
}

// ErrUnknownFeed says that a request names a feed that is not configured.
var ErrUnknownFeed = errors.New("no such feed")

// New opens the state directory and publishes, before it returns, the policy that was compiled last, whether or not any feed can be read. If that
// one is damaged it publishes the one before. Feeds are looked at by Run and Reload. Whoever does not call Run calls Close.
func New(c Config) (*Publisher, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		config: c, log: c.Log, order: c.Order, rest: restMax, deltas: deltaBounds{deltaLeast, deltaAgeMax, mergeShare, deltaTexts, fileShare, deltaRest},
		turn: make(chan struct{}, 1), diffing: make(chan struct{}, 1), wake: make(chan struct{}, 1), rewatch: make(chan struct{}, 1),
	}
	p.now.Store(&c.Settings)
	if p.store, err = openStore(c.Dir); err != nil {
		return nil, err
	}
	p.openDecisions()
	for _, f := range c.Feeds {
		p.feeds = append(p.feeds, newFeedState(p.decisions.apply(f)))
	}
	p.openFetches()
	if err := p.open(); err != nil {
		p.store.close()
		return nil, err
	}
	return p, nil
}

// openDecisions finds what operators decided of rows that are held.
func (p *Publisher) openDecisions() {
	var err error
	if p.decisions, err = openDecisions(p.store.layout); err != nil {
		p.counts.fallbacks.Add(1)
		p.log.Error("decisions about held rows cannot be read, and those rows are held", "error", err)
	}
}

// openFetches finds the lists that a former run fetched, and removes those that nobody wants any more.
func (p *Publisher) openFetches() {
	if err := p.store.removeFetched(p.config.Feeds); err != nil {
		p.log.Warn("lists of former feeds are not removed", "error", err)
	}
	p.fetches = newFetchers(p.store.layout, p.config.Taker, p.log, p.fetched, p.takeChange)
	p.fetches.set(p.config.Feeds)
}

func (c Config) checked() (Config, error) {
	if c.Dir == "" || c.Publish == nil {
		return c, errors.New("blocklist: Dir and Publish are required")
	}
	if err := checkFeeds(c.Feeds); err != nil {
		return c, err
	}
	if c.ShrinkMax == 0 {
		c.ShrinkMax = shrinkMaxDefault
	}
	if c.GrowMax == 0 {
		c.GrowMax = growMaxDefault
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.Feeds = Located(c.Dir, c.Feeds)
	var err error
	c.Settings, err = c.Settings.checked()
	return c, err
}

func checkFeeds(feeds []Feed) error {
	names := map[string]bool{}
	for _, f := range feeds {
		switch {
		case f.Name == "" || len(f.Name) > feedNameMax:
			return fmt.Errorf("the name of feed %q is empty or longer than %d octets", f.Name, feedNameMax)
		case names[f.Name]:
			return fmt.Errorf("two feeds have the name %q", f.Name)
		case f.Path == "" && !f.Fetch.on():
			return fmt.Errorf("feed %q has neither path, url nor primaries", f.Name)
		case f.Fetch.on():
			if err := f.Fetch.checkStatic(); err != nil {
				return fmt.Errorf("feed %q: %w", f.Name, err)
			}
		}
		names[f.Name] = true
	}
	return nil
}

// Run fetches and follows the feeds until ctx ends, then ends what it started and closes the Publisher.
func (p *Publisher) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { p.watch(ctx) })
	all.Go(func() { p.fetches.run(ctx) })
	p.follow(ctx)
	all.Wait()
	return p.Close()
}

// Close gives up the state directory and the copies of the feeds. Published generations stay usable until they are closed.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	closeCopies(p.feeds)
	return p.store.close()
}

// watch runs the watcher, anew after every change of the feeds and of how they are watched.
func (p *Publisher) watch(ctx context.Context) {
	for ctx.Err() == nil {
		round, cancel := context.WithCancel(ctx)
		var running sync.WaitGroup
		w := newWatcher(p.now.Load().watch(p.log), p.noticed)
		feeds, known := p.watched()
		running.Go(func() { w.run(round, feeds, known) })
		select {
		case <-ctx.Done():
		case <-p.rewatch:
		}
		cancel()
		running.Wait()
	}
}

func (p *Publisher) watched() ([]FeedConfig, map[string]Stamp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var feeds []FeedConfig
	known := map[string]Stamp{}
	for _, f := range p.feeds {
		feeds = append(feeds, f.feed.FeedConfig)
		known[f.feed.Name] = f.known()
	}
	return feeds, known
}

// noticed takes what the watcher saw of a feed. A source that cannot be looked at keeps its last good copy.
func (p *Publisher) noticed(feed string, stamp Stamp, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.feed(feed)
	if f == nil {
		return
	}
	p.see(f, outlook{stamp, err})
	p.wakeUp()
}

// wakeUp has follow look which feeds are due.
func (p *Publisher) wakeUp() {
	select {
	case p.wake <- struct{}{}:
	default: // it will anyway
	}
}

// fetched looks at a feed whose list has just been put in place. It need not come to rest: nobody writes to it. Of a zone, copy is the number of that which was
// made of what the list has changed, or 0, and serial that of the list: if it is the last good one and of that serial, the list need not be read, and its stamp is returned.
func (p *Publisher) fetched(feed string, copy uint64, serial uint32) (of Stamp) {
	p.mu.Lock()
	f := p.feed(feed)
	p.mu.Unlock()
	if f == nil {
		return of
	}
	seen, _ := look(&f.feed.FeedConfig, time.Now())
	p.mu.Lock()
	if f := p.feed(feed); f != nil && copy != 0 && f.kept() == copy && f.rows.report.Serial == serial && seen.err == nil && f.follows() {
		f.settled, of = seen.stamp, seen.stamp
	}
	p.mu.Unlock()
	p.noticed(feed, seen.stamp, seen.err)
	return of
}

// see is called with mu held.
func (p *Publisher) see(f *feedState, seen outlook) {
	f.seen = seen
	if seen.err != nil {
		f.settled = Stamp{} // when it is back it is read, even if it is what it was
		if f.feed.Fetch.on() && errors.Is(seen.err, errNotFetched) {
			return // there will be something as soon as it is fetched, and the fetch says why it is not
		}
		p.reject(f, newFeedFailure(fmt.Errorf("looking at feed %q: %w", f.feed.Name, seen.err)), nil)
	}
}

// feed is called with mu held.
func (p *Publisher) feed(name string) *feedState {
	i := slices.IndexFunc(p.feeds, func(f *feedState) bool { return f.feed.Name == name })
	if i < 0 {
		return nil
	}
	return p.feeds[i]
}

// follow brings the policy up to date whenever a feed is due, until ctx ends.
func (p *Publisher) follow(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		if p.takeTurn(ctx) != nil {
			return
		}
		if p.anyDue(time.Now()) {
			p.cycle(ctx, ReloadOptions{})
		}
		p.endTurn()
		p.noteStale(time.Now())
		timer.Reset(p.untilRetry(time.Now()))
	}
}

func (p *Publisher) takeTurn(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Publisher) endTurn() { <-p.turn }

func (p *Publisher) anyDue(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if (p.trouble.merge || p.deltaIsOld(now)) && !now.Before(p.trouble.retry) {
		return true
	}
	return slices.ContainsFunc(p.feeds, func(f *feedState) bool { return f.due(now) }) && !now.Before(p.trouble.retry)
}

// untilRetry is how long nothing has to be tried again.
func (p *Publisher) untilRetry(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := now.Add(time.Hour)
	earlier := func(t time.Time) {
		if t.After(now) && t.Before(next) {
			next = t
		}
	}
	earlier(p.trouble.retry)
	if !p.foldAt.IsZero() && p.foldAt.After(p.trouble.retry) && p.foldAt.Before(next) {
		next = p.foldAt // which may be now
	}
	for _, f := range p.feeds {
		earlier(f.failure.retry)
		earlier(f.expires(p.fetches.of(f.feed.Name)))
	}
	return next.Sub(now) + time.Millisecond
}

// Current is the generation that was published last; nil if there is none yet.
func (p *Publisher) Current() *Generation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

// ReloadOptions say what to read.
type ReloadOptions struct {
	// Force reads feeds although they have not changed, and takes what the guards would keep back. Default: false.
	Force bool
	// Feeds are the names of the feeds to look at. Default: all.
	Feeds []string
	// FetchWait is how long to wait for the feeds with a URL to be fetched before; 0 fetches none. What takes longer goes on, and is read when it is
	// whole. Default: 0. Example: 1m.
	FetchWait time.Duration

	asked    bool     // somebody waits: what is to be tried again later is tried now
	restless []string // the feeds that are being written, and not to be read by any means
	restore  string   // the feed that is to go back to the copy that it is pinned to

	unfetched []string // the feeds whose lists are on their way
}

// ReloadReport is what came of a Reload or Reconfigure.
type ReloadReport struct {
	Generation uint64       `json:"generation"` // that is served now; 0 for none
	Published  bool         `json:"published"`  // it is a new one
	Feeds      []FeedResult `json:"feeds"`      // of the feeds that were looked at
	Seconds    float64      `json:"seconds"`
}

// Reload looks at the feeds now, waits until they rest, reads those that have changed or failed before, and publishes. A feed that fails is in
// the report; an error means that nothing could be done.
func (p *Publisher) Reload(ctx context.Context, o ReloadOptions) (ReloadReport, error) {
	began, before := time.Now(), p.number()
	if o.FetchWait > 0 {
		o.unfetched = p.fetches.now(ctx, o.Feeds, o.FetchWait)
	}
	return p.reload(ctx, o, began, before)
}

// reload is Reload without the fetches, which began then, when before was the number of the policy.
func (p *Publisher) reload(ctx context.Context, o ReloadOptions, began time.Time, before uint64) (ReloadReport, error) {
	if err := p.takeTurn(ctx); err != nil {
		return ReloadReport{}, err
	}
	defer p.endTurn()
	return p.reloadInTurn(ctx, o, began, before)
}

// reloadInTurn is reload for whoever has the turn.
func (p *Publisher) reloadInTurn(ctx context.Context, o ReloadOptions, began time.Time, before uint64) (ReloadReport, error) {
	if err := p.checkNames(o.Feeds); err != nil {
		p.counts.reloadFailed.Add(1)
		return ReloadReport{}, err
	}
	o.restless = p.lookAtAll(ctx, o.Feeds)
	o.asked = true
	report, err := p.cycle(ctx, o)
	report.Feeds = append(report.Feeds, p.notRead(o.restless)...)
	report.Feeds = append(report.Feeds, p.stillPinned(o.Feeds)...)
	if o.FetchWait > 0 {
		p.tellOfFetches(&report, &o, began)
		report.Published = report.Published || report.Generation != before
	}
	report.Seconds = time.Since(began).Seconds()
	p.counts.reloaded(err)
	return report, err
}

func (p *Publisher) checkNames(names []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		if p.feed(name) == nil {
			return p.unknownFeed(name)
		}
	}
	return nil
}

// unknownFeed says that there is no such feed, which may have been meant, and what there is. Called with mu held.
func (p *Publisher) unknownFeed(name string) error {
	known := make([]string, len(p.feeds))
	for i, f := range p.feeds {
		known[i] = f.feed.Name
	}
	return fmt.Errorf("%w: %q; %s", ErrUnknownFeed, name, spelling.Known(name, known))
}

// restMax is how long Reload waits for a source to come to rest.
const restMax = 15 * time.Second

// lookAtAll waits for the named feeds (all if there are no names) to rest and notes how they are. It returns those that are still being written.
func (p *Publisher) lookAtAll(ctx context.Context, names []string) (restless []string) {
	ctx, cancel := context.WithTimeout(ctx, p.rest)
	defer cancel()
	p.mu.Lock()
	feeds := slices.Clone(p.feeds)
	p.mu.Unlock()
	var all sync.WaitGroup
	for _, f := range feeds {
		if len(names) == 0 || slices.Contains(names, f.feed.Name) {
			all.Go(func() {
				seen, rests := atRest(ctx, &f.feed.FeedConfig, p.now.Load().Debounce)
				p.mu.Lock()
				defer p.mu.Unlock()
				if !rests && seen.stamp.Sum != f.settled.Sum {
					restless = append(restless, f.feed.Name)
					return
				}
				if p.see(f, seen); f.ahead() {
					restless = append(restless, f.feed.Name) // its list will follow
				}
			})
		}
	}
	all.Wait()
	return restless
}

// notRead tells whoever waits of the feeds that are being written. The watcher sees when they rest.
func (p *Publisher) notRead(restless []string) (results []FeedResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range restless {
		p.log.Warn("feed is being written, it is read when it rests", "feed", name)
		if f := p.feed(name); f != nil {
			results = append(results, f.notYet("it is being written; it is read when it rests"))
		}
	}
	return results
}

// tellOfFetches completes the report for whoever waited for feeds to be fetched.
func (p *Publisher) tellOfFetches(report *ReloadReport, o *ReloadOptions, began time.Time) {
	for _, s := range p.Status() {
		if s.Fetch == nil || len(o.Feeds) > 0 && !slices.Contains(o.Feeds, s.Name) {
			continue
		}
		at := slices.IndexFunc(report.Feeds, func(r FeedResult) bool { return r.Name == s.Name })
		result, tell := p.fetchResult(&s, o, began, at < 0)
		switch {
		case tell && at < 0:
			report.Feeds = append(report.Feeds, result)
		case tell:
			report.Feeds[at] = result
		}
	}
}

// fetchResult is what is to be told of a feed: that its list is on its way, that it could not be fetched, or, where nothing is told of it yet, what came
// of reading it meanwhile, which begins as soon as it is fetched and waits for nobody.
func (p *Publisher) fetchResult(s *FeedStatus, o *ReloadOptions, began time.Time, untold bool) (result FeedResult, tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.feed(s.Name)
	switch {
	case f == nil:
		return result, false
	case slices.Contains(o.unfetched, s.Name):
		return f.notYet("it is still being fetched; it is read when it is whole"), true
	case s.Fetch.Error != "":
		failure := &FeedFailure{Text: s.Error, Transient: true}
		return FeedResult{Name: s.Name, Outcome: OutcomeFailed, Copy: s.Copy, Report: s.Report, Failure: failure}, true
	}
	return f.result, untold && f.read.After(began)
}

// number is that of the generation that was published last, 0 for none.
func (p *Publisher) number() uint64 {
	if g := p.Current(); g != nil {
		return g.Number
	}
	return 0
}

// Reconfigure changes feeds and order, all or nothing: if the new ones cannot be served, the old ones stay. A change of order alone compiles
// nothing. New and changed feeds are read before it returns; one that fails does not stop the others.
func (p *Publisher) Reconfigure(ctx context.Context, feeds []Feed, next Order) (ReloadReport, error) {
	began := time.Now()
	if err := checkFeeds(feeds); err != nil {
		return ReloadReport{}, err
	}
	feeds = Located(p.config.Dir, feeds)
	if err := p.takeTurn(ctx); err != nil {
		return ReloadReport{}, err
	}
	defer p.endTurn()
	if err := p.checkOrder(next); err != nil {
		return ReloadReport{}, err
	}
	swap := p.swapConfig(feeds, next)
	var o ReloadOptions
	if len(swap.fresh) > 0 {
		o.restless = p.lookAtAll(ctx, swap.fresh)
	}
	report, err := p.cycle(ctx, o)
	report.Feeds = append(report.Feeds, p.notRead(o.restless)...)
	p.finishSwap(swap, err == nil)
	if err == nil {
		p.fetches.set(feeds)
	}
	p.watchAnew()
	report.Seconds = time.Since(began).Seconds()
	p.counts.reloaded(err)
	return report, err
}

// SetFeeds is Reconfigure with the zones as they are.
func (p *Publisher) SetFeeds(ctx context.Context, feeds []Feed) (ReloadReport, error) {
	p.mu.Lock()
	o := p.order
	p.mu.Unlock()
	return p.Reconfigure(ctx, feeds, o)
}

// SetZones is Reconfigure with the feeds as they are.
func (p *Publisher) SetZones(ctx context.Context, zones []policy.Zone) (ReloadReport, error) {
	p.mu.Lock()
	var feeds []Feed
	for _, f := range p.feeds {
		feeds = append(feeds, f.feed)
	}
	next := p.order
	p.mu.Unlock()
	next.Zones = zones
	return p.Reconfigure(ctx, feeds, next)
}

// configSwap is a change of configuration that can still be taken back.
type configSwap struct {
	oldFeeds []*feedState
	oldOrder Order
	fresh    []string // the feeds that are new or read differently
}

// swapConfig puts feeds and their order in place. What is known of feeds that stay is carried over.
func (p *Publisher) swapConfig(feeds []Feed, next Order) configSwap {
	p.mu.Lock()
	defer p.mu.Unlock()
	swap := configSwap{oldFeeds: p.feeds, oldOrder: p.order}
	var states []*feedState
	for _, f := range feeds {
		state := newFeedState(p.decisions.apply(f))
		if had := p.feed(f.Name); had == nil || !state.inherit(had) {
			swap.fresh = append(swap.fresh, f.Name)
		}
		states = append(states, state)
	}
	p.feeds, p.order = states, next
	return swap
}

// finishSwap keeps the new configuration or brings the old one back.
func (p *Publisher) finishSwap(swap configSwap, keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	unused := swap.oldFeeds
	if !keep {
		unused = p.feeds
		p.feeds, p.order = swap.oldFeeds, swap.oldOrder
	}
	closeCopies(unused)
}

func closeCopies(feeds []*feedState) {
	for _, f := range feeds {
		if f.rows != nil {
			f.rows.Close()
			f.rows = nil
		}
	}
}
