package blocklist

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// fetcher keeps the list of one feed as new as its server has it, by one set of settings.
type fetcher struct {
	feed   Feed
	layout layout
	record *fetchRecord
	slots  chan struct{} // shared by all: how many fetch at a time
	// installed is told of each new list, and for a zone of the copy that changing has returned for it, and of its serial. If the list need not be read, since that copy is of it, it
	// returns the stamp of the list.
	installed func(feed string, copy uint64, serial uint32) (of Stamp)
	// changing takes over what changes in a zone while its list is still to be written, and returns the number of the copy that has it, or 0.
	changing func(ctx context.Context, feed string, c *ZoneChange) (copy uint64)
	log      *slog.Logger
	wake     chan struct{}
	zones    ZoneTaker
	told     atomic.Bool // a zone may have changed, and nobody has looked since

	turn sync.Mutex   // held by whoever fetches
	list *fetchedList // guarded by turn
	copy uint64       // guarded by turn: what changing returned during the attempt under way

	mu       sync.Mutex    // guards what follows
	underway chan struct{} // closed when the attempt under way has ended; nil if there is none
	wanted   chan struct{} // the same of the next one, if somebody waits for it
	next     time.Time
	rested   lookRest
}

// Delays before a fetch is tried again after one that failed. They double up to the maximum, or the feed's interval if that is shorter.
const (
	retryFetch    = 5 * time.Second
	retryFetchMax = time.Hour
)

// run fetches whenever it is time, or somebody asks for it, until ctx ends.
func (f *fetcher) run(ctx context.Context) {
	f.resume()
	f.openZone()
	for {
		if !f.await(ctx) {
			f.end(f.begin()) // nobody is left waiting
			return
		}
		f.now(ctx)
	}
}

// now fetches at once.
func (f *fetcher) now(ctx context.Context) {
	ended := f.begin()
	defer f.end(ended)
	f.turn.Lock()
	defer f.turn.Unlock()
	f.attempt(ctx)
}

// resume looks at what is there, and plans the first fetch where the last run, or the fetcher before, would have had it.
func (f *fetcher) resume() {
	f.turn.Lock()
	defer f.turn.Unlock()
	if f.planned() {
		return // somebody has fetched before there was a run
	}
	f.list = openFetched(f.layout, &f.feed)
	now := time.Now()
	if known := f.list.known(); known.SHA256 != "" && known.Fetched.Before(now) && !f.feed.Fetch.Transfer.on() {
		now = known.Fetched.Add(jittered(f.pauseAfter(&known), 0.1, rand.Float64()))
	}
	f.plan(now)
}

func (f *fetcher) planned() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.next.IsZero()
}

// await returns when a fetch is due or asked for; false: ctx has ended.
func (f *fetcher) await(ctx context.Context) bool {
	for {
		f.mu.Lock()
		wait, asked := time.Until(f.next), f.wanted != nil
		if f.told.Load() {
			wait = min(wait, time.Until(f.rested.until))
		}
		f.mu.Unlock()
		if ctx.Err() != nil {
			return false
		}
		if asked || wait <= 0 {
			return true
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-f.wake:
		}
		timer.Stop()
	}
}

// ask returns a channel that is closed at the end of the attempt under way, or of one that begins now.
func (f *fetcher) ask() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.underway != nil {
		return f.underway
	}
	if f.wanted == nil {
		f.wanted = make(chan struct{})
	}
	select {
	case f.wake <- struct{}{}:
	default: // it is awake
	}
	return f.wanted
}

// begin makes whoever waits wait for the attempt that begins.
func (f *fetcher) begin() (ended chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ended = f.wanted; ended == nil {
		ended = make(chan struct{})
	}
	f.underway, f.wanted = ended, nil
	return ended
}

func (f *fetcher) end(ended chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.underway = nil
	close(ended)
}

// plan sets when the next attempt begins.
func (f *fetcher) plan(next time.Time) {
	f.mu.Lock()
	f.next = next
	f.mu.Unlock()
	f.record.schedule(next)
}

// attempt fetches once, when there is room beside other fetches, and notes what came of it. One that ctx ends says nothing about the server.
func (f *fetcher) attempt(ctx context.Context) {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return
	}
	began, had := time.Now(), f.list.state.Zone != nil
	outcome, secrets, err := f.once(ctx)
	f.rest(began, !had && f.list.state.Zone != nil)
	switch {
	case err != nil && ctx.Err() != nil:
	case err != nil:
		f.failed(began, err, secrets)
	default:
		f.succeeded(outcome, began)
	}
}

// rest notes from when on a notice is followed; first is that the zone has come for the first time.
func (f *fetcher) rest(began time.Time, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rested.look(began, time.Now(), first)
}

// once asks the server and takes what it gives. secrets are what no text may show.
func (f *fetcher) once(ctx context.Context) (outcome FetchOutcome, secrets []string, failure *fetchError) {
	if f.feed.Fetch.Transfer.on() {
		outcome, failure = f.transfer(ctx, f.told.Swap(false))
		return outcome, nil, failure
	}
	timed, cancel := context.WithTimeoutCause(ctx, f.feed.Fetch.Timeout, errTimeUp)
	defer cancel()
	d, err := newDownload(&f.feed.Fetch, f.feed.Limits.orDefault())
	if err != nil {
		return 0, nil, &fetchError{outcome: FetchMisconfigured, text: err.Error()}
	}
	known := f.list.known()
	got, file, err := f.receive(timed, d, known)
	f.record.received(d.bytes)
	if err == nil {
		outcome, err = f.take(got, file, known)
	}
	if err != nil {
		return 0, d.secrets(), f.feed.Fetch.judge(timed, f.feed.Limits.orDefault(), err)
	}
	return outcome, nil, nil
}

// receive asks for the list, or for what is new of a collection or a directory.
func (f *fetcher) receive(ctx context.Context, d *download, known fetchedState) (fetchedState, *os.File, error) {
	if f.feed.Fetch.TAXII {
		return d.collection(ctx, known, f.feed.Fetch.Resync, f.list)
	}
	if f.feed.Fetch.MISP {
		return d.events(ctx, known, f.list)
	}
	return d.list(ctx, known, f.list.create)
}

// take puts a list in the place of the one before, unless it is the same.
func (f *fetcher) take(got fetchedState, file *os.File, known fetchedState) (FetchOutcome, error) {
	got.Place = f.feed.Fetch.fingerprint()
	switch {
	case file == nil:
		return FetchUnchanged, f.list.confirm(got)
	case got.SHA256 == known.SHA256:
		discard(file)
		return FetchUnchanged, f.list.confirm(got)
	}
	return FetchNew, f.list.install(file, got)
}

func (f *fetcher) succeeded(outcome FetchOutcome, began time.Time) {
	state := f.list.state
	failures := f.record.success(outcome, began, state)
	f.plan(began.Add(jittered(f.pauseAfter(&state), 0.1, rand.Float64())))
	switch z := state.Zone; {
	case outcome == FetchNew && z != nil:
		f.log.Info("policy zone taken", "feed", f.feed.Name, "zone", f.feed.Shown, "primary", z.Primary, "serial", z.Serial, "seconds", time.Since(began).Seconds())
		if of := f.installed(f.feed.Name, f.copy, z.Serial); of.Sum != "" {
			f.note(&listCopy{Copy: f.copy, Of: of})
		}
	case outcome == FetchNew:
		f.log.Info("feed fetched", "feed", f.feed.Name, "url", f.feed.Shown, "octets", state.Size, "seconds", time.Since(began).Seconds())
		f.installed(f.feed.Name, 0, 0)
	}
	if failures > 0 {
		f.log.Info("feed can be fetched again", "feed", f.feed.Name, "url", f.feed.Shown, "failures", failures)
	}
}

// note notes that a copy is of the list, for the next start.
func (f *fetcher) note(c *listCopy) {
	state := f.list.state
	state.Copy = c
	if err := f.list.confirm(state); err != nil {
		f.log.Warn("the next start reads a policy zone whole", "feed", f.feed.Name, "error", err)
	}
}

func (f *fetcher) failed(began time.Time, err *fetchError, secrets []string) {
	text := f.feed.Shown + ": " + shownText(err.text, secrets)
	failures, news := f.record.failure(err.outcome, began, text)
	wait := max(err.retryAfter, jittered(f.pauseFailed(failures), 0.25, rand.Float64()))
	f.plan(time.Now().Add(wait))
	if news {
		f.log.Warn("feed not fetched, what was fetched last stays", "feed", f.feed.Name, "error", text, "failures", failures, "retry", wait.Round(time.Second))
	}
}

// backoff is the pause after so many failures in a row.
func backoff(failures int, interval time.Duration) time.Duration {
	return min(retryFetch<<min(failures-1, 20), retryFetchMax, interval)
}

// jittered moves d by up to a share of it in both directions, so that servers which began together do not ask together. random is from 0 to 1.
func jittered(d time.Duration, share, random float64) time.Duration {
	return time.Duration(float64(d) * (1 - share + 2*share*random))
}

// errorTextMax is how many octets the reason of a failed fetch has.
const errorTextMax = 400

// shownText is a text without secrets, for one line of a log.
func shownText(text string, secrets []string) string {
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, "…")
	}
	return printable([]byte(text), errorTextMax)
}

// secretMin is how many octets a secret has that is looked for in texts.
const secretMin = 6

// secrets are the parts of a request that no text may show.
func (d *download) secrets() []string {
	password, _ := d.url.User.Password()
	parts := []string{d.url.String(), d.url.RequestURI(), d.url.RawQuery, d.url.User.Username(), password, d.auth.value}
	parts = append(parts, strings.Fields(d.auth.value)...)
	parts = append(parts, strings.Split(strings.Trim(d.url.EscapedPath(), "/"), "/")...)
	for _, values := range d.url.Query() {
		parts = append(parts, values...)
	}
	var out []string
	for _, s := range parts {
		if len(s) >= secretMin && s != d.url.Host {
			out = append(out, s, url.QueryEscape(s))
		}
	}
	return out
}
