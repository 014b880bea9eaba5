package blocklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"time"
)

// CompileConfig is one job: which feeds to read, and where the results go. It travels to the child as JSON.
type CompileConfig struct {
	// Dir is the state directory; see the layout in store.go. It must exist. Example: "/var/lib/cenote".
	Dir string `json:"dir"`
	// Generation numbers the compiled policy and the kept copies that this job makes. It must be new in Dir. Example: 17.
	Generation uint64 `json:"generation"`
	// Feeds are all feeds. The order of those that are served is the order of the manifest.
	Feeds []CompileFeed `json:"feeds"`
	// Force takes a feed that is empty, looks like a web page or has lost most of its entries for what it is. Default: false.
	Force bool `json:"force,omitempty"`
	// Merge makes an index even if no feed has changed: a zone holds other feeds than before. Default: false.
	Merge bool `json:"merge,omitempty"`
	// SortBytes bounds the rows that are sorted in memory, in octets. Default: 0, 128 MiB.
	SortBytes int `json:"sort_bytes,omitempty"`
	// Progress is told how far the work is, from the goroutine of Compile. Default: nil.
	Progress func(Progress) `json:"-"`
}

// CompileFeed is one feed of a job.
type CompileFeed struct {
	FeedConfig
	// ShrinkMax is the share of its entries that the feed may lose at once, from 0 to 1. Example: 0.5.
	ShrinkMax float64 `json:"shrink_max"`
	// Read is whether the feed has changed and is to be read; otherwise its kept copy serves.
	Read bool `json:"read,omitempty"`
	// Kept is the number of the last good copy; 0 for none.
	Kept uint64 `json:"kept,omitempty"`
	// Serve is whether a policy zone holds the feed.
	Serve bool `json:"serve,omitempty"`

	seen Stamp // the state in which the source is known to the publisher
}

// Stage is what a compilation is doing.
type Stage string

// The stages.
const (
	StageRead  Stage = "read"  // reading Progress.Feed
	StageMerge Stage = "merge" // merging the feeds' names
	StageWrite Stage = "write" // writing the index
)

// Progress says how far a compilation is.
type Progress struct {
	Stage Stage  `json:"stage"`
	Feed  string `json:"feed,omitempty"` // while reading
	Done  int    `json:"done"`           // rows read, or names merged
	Of    int    `json:"of,omitempty"`   // names to merge; 0 where it is not known
}

// Outcome is what became of one feed of a job.
type Outcome string

// The outcomes.
const (
	OutcomeKept      Outcome = "kept"      // it was not to be read
	OutcomeRead      Outcome = "read"      // there is a new copy
	OutcomeUnchanged Outcome = "unchanged" // it was read and says what it said before
	OutcomeFailed    Outcome = "failed"    // it could not be taken; a last good copy stays
)

// FeedResult is what a job did with one feed.
type FeedResult struct {
	Name    string       `json:"name"`
	Outcome Outcome      `json:"outcome"`
	Copy    uint64       `json:"copy,omitempty"`   // the number of the copy that is good now; 0 for none
	Report  *FeedReport  `json:"report,omitempty"` // of what was read, also where it was not taken; nil if it was not read
	Stamp   Stamp        `json:"stamp,omitzero"`   // of the source as it was read
	Failure *FeedFailure `json:"failure,omitempty"`
	Seconds float64      `json:"seconds"`
}

// CompileReport is what a job did.
type CompileReport struct {
	Feeds         []FeedResult `json:"feeds"`
	Compiled      bool         `json:"compiled"` // there is a new index; false: nothing that is served has changed
	Names         int          `json:"names"`
	Sets          int          `json:"sets"`
	LabelsDropped int          `json:"labels_dropped,omitempty"` // members whose family or threat found no number in the manifest
	Bytes         int64        `json:"bytes"`                    // of the index
	Seconds       float64      `json:"seconds"`
}

// FeedFailure is why a feed was not taken. It is an error that travels as JSON.
type FeedFailure struct {
	Text      string       `json:"text"`
	Shrink    *ShrinkError `json:"shrink,omitempty"`
	Missing   bool         `json:"missing,omitempty"`   // there is no such file
	Transient bool         `json:"transient,omitempty"` // the same file may be readable later
	Crash     bool         `json:"crash,omitempty"`     // the child that read it ended
}

// Error is the text for the operator.
func (f *FeedFailure) Error() string { return f.Text }

// Unwrap returns the ShrinkError or fs.ErrNotExist that caused the failure, if it was one of them.
func (f *FeedFailure) Unwrap() error {
	switch {
	case f.Shrink != nil:
		return f.Shrink
	case f.Missing:
		return fs.ErrNotExist
	}
	return nil
}

func newFeedFailure(err error) *FeedFailure {
	f := &FeedFailure{Text: err.Error(), Missing: errors.Is(err, fs.ErrNotExist)}
	errors.As(err, &f.Shrink)
	var source *SourceError
	f.Transient = errors.Is(err, ErrChanged) || !f.Missing && f.Shrink == nil && !errors.As(err, &source)
	return f
}

// ShrinkError says that a feed has lost so many entries that its last good copy stays.
type ShrinkError struct {
	Feed string  `json:"feed"`
	Was  int     `json:"was"` // entries of the last good copy
	Now  int     `json:"now"`
	Max  float64 `json:"max"` // the share that may be lost
}

// Error has the counts and the next move.
func (e *ShrinkError) Error() string {
	return fmt.Sprintf("it has %d entries and the last good copy has %d: more than %.0f%% would be lost, so the last good copy stays; "+
		"if it is right run `cenote reload --force %s` or raise feeds[].shrink_max", e.Now, e.Was, e.Max*100, e.Feed)
}

// Compile does a job: it reads the feeds that are to be read into kept copies, and if anything served has changed merges all of them
// into one index. A feed that fails is in the report, and neither stops the others nor replaces its last good copy. An error means that there
// is no new index; copies that were made may be used all the same.
func Compile(ctx context.Context, c CompileConfig) (CompileReport, error) {
	began := time.Now()
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	k := &compiler{config: c, layout: layout{c.Dir}}
	err := k.run(ctx)
	k.report.Seconds = time.Since(began).Seconds()
	return k.report, err
}

// compiler is one job while it is done.
type compiler struct {
	layout
	config CompileConfig
	report CompileReport
}

func (k *compiler) run(ctx context.Context) error {
	changed := k.config.Merge
	for i := range k.config.Feeds {
		f := &k.config.Feeds[i]
		result := k.feed(ctx, f)
		if err := ctx.Err(); err != nil {
			return err
		}
		changed = changed || f.Serve && result.Outcome == OutcomeRead
		k.report.Feeds = append(k.report.Feeds, result)
	}
	if !changed {
		return nil
	}
	for {
		err := k.merge(ctx)
		if err == nil || !k.mend(ctx, err) {
			return err
		}
	}
}

// mend reads a feed anew whose kept copy was found damaged, and reports whether that gave a good one.
func (k *compiler) mend(ctx context.Context, err error) bool {
	var damaged *copyError
	if !errors.As(err, &damaged) {
		return false
	}
	for i := range k.config.Feeds {
		if f := &k.config.Feeds[i]; f.Name == damaged.feed && !f.Read {
			f.Read = true
			k.report.Feeds[i] = k.feed(ctx, f)
			return k.report.Feeds[i].Outcome == OutcomeRead
		}
	}
	return false
}

// feed brings the copy of one feed up to date.
func (k *compiler) feed(ctx context.Context, f *CompileFeed) FeedResult {
	result := FeedResult{Name: f.Name, Outcome: OutcomeKept, Copy: f.Kept}
	if !f.Read {
		return result
	}
	began := time.Now()
	k.config.Progress(Progress{Stage: StageRead, Feed: f.Name})
	if err := k.read(ctx, f, &result); err != nil {
		result.Outcome, result.Copy, result.Failure = OutcomeFailed, f.Kept, newFeedFailure(err)
	}
	result.Seconds = time.Since(began).Seconds()
	return result
}

// read reads a feed into a new copy and decides whether to take it.
func (k *compiler) read(ctx context.Context, f *CompileFeed, result *FeedResult) error {
	previous := k.openKept(f)
	if previous != nil {
		defer previous.Close()
	}
	if err := os.MkdirAll(k.feedDir(f.Name), 0o750); err != nil {
		return err
	}
	fresh, err := k.readWhole(ctx, f, result, previous)
	if err != nil {
		return err
	}
	defer fresh.Close()
	result.Report = &fresh.report
	if err := k.guard(f, previous, fresh); err != nil {
		os.Remove(k.rows(f.Name, k.config.Generation))
		return err
	}
	if previous != nil && saysTheSame(previous, fresh) {
		result.Outcome = OutcomeUnchanged
		return os.Remove(k.rows(f.Name, k.config.Generation))
	}
	result.Outcome, result.Copy = OutcomeRead, k.config.Generation
	return nil
}

// saysTheSame reports whether a new copy adds nothing to the last good one, which must be whole for that.
func saysTheSame(previous, fresh *Rows) bool {
	return previous.header.Content == fresh.header.Content && previous.report.ClosestEncloser == fresh.report.ClosestEncloser &&
		previous.Verify() == nil
}

// openKept opens the last good copy. One that cannot be opened is as good as none: what is read now replaces it.
func (k *compiler) openKept(f *CompileFeed) *Rows {
	if f.Kept == 0 {
		return nil
	}
	previous, err := OpenRows(k.rows(f.Name, f.Kept))
	if err != nil {
		return nil
	}
	return previous
}

// readTries is how often a source that changes while it is read is read again.
const readTries = 5

// readWhole reads a feed in a state that was the same before and after.
func (k *compiler) readWhole(ctx context.Context, f *CompileFeed, result *FeedResult, previous *Rows) (*Rows, error) {
	for try := 0; ; try++ {
		before, err := restingStamp(ctx, &f.FeedConfig)
		if err != nil {
			return nil, err
		}
		fresh, readErr := k.readOnce(ctx, f, result, before, previous)
		after, err := scanSource(&f.FeedConfig, time.Now())
		if err == nil && after.stamp.Sum == before.Sum && !errors.Is(readErr, ErrChanged) {
			result.Stamp = before
			return fresh, readErr
		}
		if fresh != nil {
			fresh.Close()
			os.Remove(k.rows(f.Name, k.config.Generation))
		}
		if try == readTries-1 || ctx.Err() != nil {
			return nil, &SourceError{File: f.Path, Err: ErrChanged, Next: "it is read again when it rests"}
		}
	}
}

// restingStamp stamps a source whose last change is older than a file system's clock can hide another.
func restingStamp(ctx context.Context, c *FeedConfig) (Stamp, error) {
	for {
		now := time.Now()
		scan, err := scanSource(c, now)
		if err != nil {
			return Stamp{}, err
		}
		age := now.Sub(scan.stamp.Changed)
		if age < 0 || age >= racyAge || ctx.Err() != nil {
			return scan.stamp, ctx.Err()
		}
		pause(ctx, racyAge-age, nil)
	}
}

// readOnce reads a feed as it is into a new rows file.
func (k *compiler) readOnce(ctx context.Context, f *CompileFeed, result *FeedResult, stamp Stamp, previous *Rows) (*Rows, error) {
	w, err := newRowsWriter(k.feedDir(f.Name), k.config.SortBytes, func(rows int) {
		k.config.Progress(Progress{Stage: StageRead, Feed: f.Name, Done: rows})
	})
	if err != nil {
		return nil, err
	}
	defer w.close()
	feed := f.FeedConfig
	feed.AllowEmpty = feed.AllowEmpty || k.config.Force
	feed.AllowHTML = feed.AllowHTML || k.config.Force
	source := SourceState{Stamp: stamp, Fingerprint: fingerprint(f.FeedConfig), Read: time.Now().UTC()}
	report, err := ReadFeed(ctx, feed, w)
	if err != nil {
		result.Report = &FeedReport{Report: report, Source: source}
		return nil, err
	}
	path := k.rows(f.Name, k.config.Generation)
	if _, err := w.finish(path, k.config.Generation, report, source, previous); err != nil {
		return nil, fmt.Errorf("keeping a copy of feed %q: %w", f.Name, err)
	}
	return OpenRows(path)
}

// guard compares a new copy with the last good one.
func (k *compiler) guard(f *CompileFeed, previous, fresh *Rows) error {
	if previous == nil || k.config.Force {
		return nil
	}
	was, now := previous.report.Live, fresh.report.Live
	const rounding = 1e-6
	if float64(now) >= float64(was)*(1-f.ShrinkMax)-rounding {
		return nil
	}
	return &ShrinkError{Feed: f.Name, Was: was, Now: now, Max: f.ShrinkMax}
}

// rowsVersion is part of every fingerprint: raise it when the reading of feeds or the rows file changes, and all feeds are read anew.
const rowsVersion = 2

// fingerprint changes with everything but the source's content that decides what a feed's copy holds.
func fingerprint(c FeedConfig) string {
	b, err := json.Marshal(c)
	if err != nil {
		return "" // matches nothing: the feed is read
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", rowsVersion, b)
	return fmt.Sprintf("%016x", h.Sum64())
}

// merge makes the index of all copies that are served.
func (k *compiler) merge(ctx context.Context) error {
	m := newMerger(k.config.Generation, k.config.Progress)
	defer m.close()
	for i, f := range k.config.Feeds {
		if kept := k.report.Feeds[i].Copy; f.Serve && kept != 0 {
			if err := m.open(f.Name, k.rows(f.Name, kept)); err != nil {
				return &copyError{f.Name, err}
			}
		}
	}
	stats, err := m.run(ctx, k.index(k.config.Generation))
	if err != nil {
		return fmt.Errorf("compiling policy %d: %w", k.config.Generation, err)
	}
	k.report.Compiled, k.report.LabelsDropped = true, m.dropped
	k.report.Names, k.report.Sets, k.report.Bytes = stats.Names, stats.Sets, stats.Bytes
	return nil
}
