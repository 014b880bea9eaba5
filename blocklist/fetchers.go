package blocklist

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
)

// fetchers are those of all feeds that have a URL. Its methods may be called from many goroutines.
type fetchers struct {
	layout    layout
	installed func(feed string, copy uint64, serial uint32) (of Stamp)            // told of each new list, see fetcher
	changing  func(ctx context.Context, feed string, c *ZoneChange) (copy uint64) // the same
	log       *slog.Logger
	slots     chan struct{}
	zones     ZoneTaker     // nil: there are no zones to take
	looks     chan struct{} // as slots, for zones
	heard     atomic.Pointer[map[dnsname.Name][]*fetcher]
	changed   chan struct{} // run is to look at all

	mu      sync.Mutex // guards what follows
	all     map[string]*fetcher
	running bool
}

// fetchesMax is how many lists are fetched at a time.
const fetchesMax = 4

func newFetchers(l layout, zones ZoneTaker, log *slog.Logger, installed func(string, uint64, uint32) Stamp, changing func(context.Context, string, *ZoneChange) uint64) *fetchers {
	return &fetchers{
		layout: l, zones: zones, installed: installed, changing: changing, log: log, all: map[string]*fetcher{}, looks: make(chan struct{}, zoneLooksMax),
		slots: make(chan struct{}, fetchesMax), changed: make(chan struct{}, 1),
	}
}

// set makes feeds those that are fetched. A fetch under way goes on if nothing about it has changed; what is known of a feed stays in any case.
func (s *fetchers) set(feeds []Feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]*fetcher{}
	for _, f := range feeds {
		if !f.Fetch.on() {
			continue
		}
		had := s.all[f.Name]
		if had == nil || !had.does(&f) {
			had = s.newFetcher(f, had)
		}
		next[f.Name] = had
	}
	s.all = next
	s.hear()
	select {
	case s.changed <- struct{}{}:
	default: // it will look anyway
	}
}

func (s *fetchers) newFetcher(f Feed, had *fetcher) *fetcher {
	out := &fetcher{
		feed: f, layout: s.layout, list: openFetched(s.layout, &f), record: &fetchRecord{}, slots: s.slots, installed: s.installed, changing: s.changing, log: s.log,
		wake: make(chan struct{}, 1), zones: s.zones,
	}
	if f.Fetch.Transfer.on() {
		out.slots = s.looks
	}
	if had != nil {
		out.record = had.record
	} else {
		out.record.resume(out.list.state)
	}
	return out
}

// does reports whether the fetcher does what f wants.
func (f *fetcher) does(feed *Feed) bool {
	return f.feed.Fetch.same(&feed.Fetch) && f.feed.Limits.orDefault() == feed.Limits.orDefault() && f.feed.Path == feed.Path && f.feed.AllowOlder == feed.AllowOlder
}

// run runs the fetchers until ctx ends. One whose settings change is ended before the next one begins.
func (s *fetchers) run(ctx context.Context) {
	ends := map[*fetcher]func(){}
	s.setRunning(true)
	defer s.setRunning(false)
	for ctx.Err() == nil {
		wanted := s.list(nil)
		for f, end := range ends {
			if !slices.Contains(wanted, f) {
				end()
				delete(ends, f)
			}
		}
		for _, f := range wanted {
			if ends[f] == nil {
				ends[f] = f.start(ctx)
			}
		}
		select {
		case <-ctx.Done():
		case <-s.changed:
		}
	}
	for _, end := range ends {
		end()
	}
}

// start runs a fetcher until ctx ends or end is called, which waits for its end.
func (f *fetcher) start(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

func (s *fetchers) setRunning(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = on
}

// list are the fetchers of the named feeds; all if there are no names.
func (s *fetchers) list(names []string) []*fetcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*fetcher
	for name, f := range s.all {
		if len(names) == 0 || slices.Contains(names, name) {
			out = append(out, f)
		}
	}
	return out
}

// of is the record of a feed; nil if it is not fetched.
func (s *fetchers) of(feed string) *fetchRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.all[feed]; f != nil {
		return f.record
	}
	return nil
}

// known is what a former run noted of the list of a feed; nothing if none is fetched. It is for the start, when nobody fetches yet.
func (s *fetchers) known(feed string) *fetchedState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.all[feed]; f != nil {
		return &f.list.state
	}
	return &fetchedState{}
}

// now fetches the named feeds at once (all if there are no names), and returns those that are not done after wait. Fetches go on without whoever
// waited, unless nobody runs them.
func (s *fetchers) now(ctx context.Context, names []string, wait time.Duration) (unfinished []string) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, f := range s.list(names) {
		all.Go(func() {
			if !running {
				f.now(ctx)
				return
			}
			select {
			case <-f.ask():
			case <-ctx.Done():
				mu.Lock()
				defer mu.Unlock()
				unfinished = append(unfinished, f.feed.Name)
			}
		})
	}
	all.Wait()
	slices.Sort(unfinished)
	return unfinished
}
