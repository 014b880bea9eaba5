package blocklist

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cenote/directory"
)

// watcher sees when the source of a feed has changed and has come to rest. A poll of each source's Stamp decides; notices from the kernel only
// make the next look come sooner, since they get lost in every second way in which a file can be replaced. It looks at each feed
// from a goroutine of its own, so that a file system that hangs stops one feed and not the others.
type watcher struct {
	config  watchConfig
	changed func(feed string, stamp Stamp, err error)
	mu      sync.Mutex
	wake    map[string]chan struct{} // by feed; guarded by mu
	notices *notices
}

// watchConfig is the part of Config that the watcher needs.
type watchConfig struct {
	poll     time.Duration
	debounce time.Duration
	pollOnly bool
	log      *slog.Logger
}

// newWatcher returns a watcher that calls changed, from many goroutines, whenever a source has come to rest in a state other than
// the last one reported. err says that the source cannot be looked at; then stamp is zero.
func newWatcher(c watchConfig, changed func(feed string, stamp Stamp, err error)) *watcher {
	return &watcher{config: c, changed: changed, wake: map[string]chan struct{}{}}
}

// run watches feeds until ctx ends. known are the stamps that need no report.
func (w *watcher) run(ctx context.Context, feeds []FeedConfig, known map[string]Stamp) {
	var all sync.WaitGroup
	defer all.Wait()
	w.notices = w.openNotices()
	if w.notices != nil {
		all.Go(func() { w.notices.Run(ctx, func(string) { w.wakeAll() }) })
	}
	w.mu.Lock()
	w.wake = map[string]chan struct{}{}
	for _, f := range feeds {
		w.wake[f.Name] = make(chan struct{}, 1)
	}
	w.mu.Unlock()
	for _, f := range feeds {
		all.Go(func() { w.watch(ctx, f, known[f.Name]) })
	}
}

func (w *watcher) openNotices() *notices {
	if w.config.pollOnly {
		return nil
	}
	n, err := directory.Listen()
	if err != nil {
		w.config.log.Warn("no notices from the kernel, feeds are polled", "error", err, "poll", w.config.poll)
		return nil
	}
	return &notices{Notices: n, wanted: map[string][]string{}}
}

// wakeAll makes every feed be looked at soon. A notice says too little to tell which feed it is about.
func (w *watcher) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.wake {
		select {
		case c <- struct{}{}:
		default: // it will look soon anyway
		}
	}
}

// lookGap is the shortest time between two looks at one source, however many notices come.
const lookGap = 20 * time.Millisecond

// watch looks at one feed until ctx ends.
func (w *watcher) watch(ctx context.Context, feed FeedConfig, known Stamp) {
	w.mu.Lock()
	wake := w.wake[feed.Name]
	w.mu.Unlock()
	rest := settling{debounce: w.config.debounce, poll: w.config.poll, reported: outlook{stamp: known}}
	for ctx.Err() == nil {
		now := time.Now()
		if w.notices != nil {
			w.notices.want(feed.Name, watchedDirs(feed.Path))
		}
		seen, writing := look(&feed, now)
		ready, wait := rest.observe(now, seen, writing)
		if ready {
			w.changed(feed.Name, seen.stamp, seen.err)
		}
		pause(ctx, max(wait, lookGap), wake)
	}
}

// pause waits for d, or less if wake has something, but never less than lookGap.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	gap := time.NewTimer(lookGap)
	defer gap.Stop()
	select {
	case <-ctx.Done():
		return
	case <-gap.C:
	}
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
}

// outlook is what one look at a source showed.
type outlook struct {
	stamp Stamp
	err   error
}

func (o outlook) same(p outlook) bool {
	return o.stamp.Sum == p.stamp.Sum && (o.err == nil) == (p.err == nil)
}

func look(feed *FeedConfig, now time.Time) (outlook, func() writerState) {
	scan, err := scanSource(feed, now)
	if err != nil {
		return outlook{err: err}, func() writerState { return writerNone }
	}
	return outlook{stamp: scan.stamp}, scan.writers
}

// settling decides when a changed source has come to rest. It holds no clock and reads no file.
type settling struct {
	debounce time.Duration
	poll     time.Duration
	reported outlook // what was reported last
	pending  bool    // something else has been seen since
	first    time.Time
	since    time.Time // when last was first seen
	last     outlook
	growing  bool // the last change made the same files longer: somebody is writing them
}

// A source that is replaced all the time never rests for a whole debounce. After restlessAfter debounces it is read in the first
// short pause, a restlessShare of a debounce, unless it is growing: then somebody may be writing it slowly, and only the kernel's word that nobody
// has it open, or growingMax, ends the wait. One that is open for writing but does not change is given writingMax. racyAge is above
// the step of a file system's clock: until a change is as old as that, a second one may hide behind it.
const (
	restlessAfter  = 4
	restlessShare  = 8
	growingMax     = time.Minute
	writingMax     = time.Minute
	racyAge        = 20 * time.Millisecond
	samplesPerWait = 4
)

// observe takes what a look showed and returns whether the source is at rest in a new state, and when to look again.
func (s *settling) observe(now time.Time, seen outlook, writers func() writerState) (ready bool, wait time.Duration) {
	switch {
	case !s.pending && seen.same(s.reported):
		return false, s.poll
	case !s.pending:
		s.pending, s.first, s.growing = true, now, false
		s.since, s.last = now, seen
	case !seen.same(s.last):
		s.growing = seen.stamp.Identity == s.last.stamp.Identity && seen.stamp.Size > s.last.stamp.Size
		s.since, s.last = now, seen
	}
	if !s.rested(now, seen, writers) {
		return false, s.debounce / samplesPerWait
	}
	ready = !seen.same(s.reported)
	s.pending, s.reported = false, seen
	return ready, s.poll
}

// rested reports whether the state that was last seen has lasted long enough.
func (s *settling) rested(now time.Time, seen outlook, writers func() writerState) bool {
	age := now.Sub(s.since)
	if age < s.debounce/restlessShare || s.racy(now, seen) {
		return false
	}
	if age < s.debounce && now.Sub(s.first) <= restlessAfter*s.debounce {
		return false
	}
	state := writers()
	if age < s.debounce && s.growing && state != writerNone {
		return now.Sub(s.first) > growingMax
	}
	return state != writerActive || age > writingMax
}

func (s *settling) racy(now time.Time, seen outlook) bool {
	age := now.Sub(seen.stamp.Changed)
	return age >= 0 && age < racyAge
}

// watchedDirs are the directories whose notices may be about path: its own, that of what it points to, and itself if it is one.
func watchedDirs(path string) []string {
	dirs := []string{filepath.Dir(path)}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		dirs = append(dirs, filepath.Dir(resolved))
		path = resolved
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		dirs = append(dirs, path)
	}
	return dirs
}

// notices are the kernel's hints that something happened in the directories of feeds.
type notices struct {
	*directory.Notices
	mu     sync.Mutex
	wanted map[string][]string // by feed; guarded by mu
}

// want sets the directories of a feed. One that hangs stops its own feed alone.
func (n *notices) want(feed string, dirs []string) {
	n.dropUnwanted(feed, dirs)
	for _, dir := range dirs {
		n.Watch(dir)
	}
}

func (n *notices) dropUnwanted(feed string, dirs []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wanted[feed] = dirs
	all := map[string]bool{}
	for _, dirs := range n.wanted {
		for _, dir := range dirs {
			all[dir] = true
		}
	}
	n.Only(all)
}

// atRest looks at a source until it rests, for somebody who waits for it, and returns whether it does. One whose last change is older than a
// debounce rests already.
func atRest(ctx context.Context, feed *FeedConfig, debounce time.Duration) (seen outlook, rests bool) {
	rest := settling{debounce: debounce, poll: debounce, reported: outlook{err: os.ErrInvalid}} // like nothing that is seen
	for {
		now := time.Now()
		seen, writers := look(feed, now)
		age := now.Sub(seen.stamp.Changed)
		if seen.err != nil || (age < 0 || age > debounce) && writers() != writerActive {
			return seen, true
		}
		ready, wait := rest.observe(now, seen, writers)
		if ready || ctx.Err() != nil {
			return seen, ready
		}
		pause(ctx, wait, nil)
	}
}
