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

	"cenote/nameindex"
	"cenote/policy"
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
	// DeltaMax is how many names may have changed for there to be no index, but the names in the report, of which the caller makes a delta. The
	// index that it has must be of the kept copies. Default: 0, always an index.
	DeltaMax int `json:"delta_max,omitempty"`
	// MergeMax is how many names may have changed for the index to be made of that which is served, in the files of Base, and of the changes. Default:
	// 0, the copies of all feeds are compiled together.
	MergeMax int `json:"merge_max,omitempty"`
	// Fold makes an index of that which is served, with its delta, even if no feed has changed, and no delta again. It needs MergeMax. Default: false.
	Fold bool `json:"fold,omitempty"`
	// FileMin is how many names must have changed for there to be no merged index but a delta of that which is served, in a file, if that has no more than FileMax names.
	// Default: 0 and 0, always an index.
	FileMin int `json:"file_min,omitempty"`
	FileMax int `json:"file_max,omitempty"`
	// Base are the files of the index that is served. Required with MergeMax.
	Base storedFiles `json:"base,omitzero"`
	// Families and Threats are the texts of the served policy, in the order of their numbers, which is that of precedence where nothing else decides
	// between members of one feed. Those that are still used keep their order, so that an index decides as the one before did, and as that with a
	// delta. Default: none, the order of the feeds.
	Families []string `json:"families,omitempty"`
	Threats  []string `json:"threats,omitempty"`
	// SortBytes bounds the rows that are sorted in memory, in octets. Default: 0, 16 MiB.
	SortBytes int `json:"sort_bytes,omitempty"`
	// Progress is told how far the work is, from the goroutine of Compile. Default: nil.
	Progress func(Progress) `json:"-"`

	firm bool // what cannot be stored is not to be served
}

// CompileFeed is one feed of a job.
type CompileFeed struct {
	FeedConfig
	// ShrinkMax is the share of its entries that the feed may lose at once, from 0 to 1. Example: 0.5.
	ShrinkMax float64 `json:"shrink_max"`
	// AllowOlder takes a policy zone (RPZ) whose serial is older than that of the last good copy.
	AllowOlder bool `json:"allow_older,omitempty"`
	// GrowMax is the share of its entries that the feed may gain at once, unless it has growLeast entries or fewer then. Default: 0, no bound; below 0 it
	// may gain none. Example: 10.
	GrowMax float64 `json:"grow_max,omitempty"`
	// Read is whether the feed has changed and is to be read; otherwise its kept copy serves.
	Read bool `json:"read,omitempty"`
	// Kept is the number of the last good copy; 0 for none.
	Kept uint64 `json:"kept,omitempty"`
	// Restore is the number of another kept copy that is to take its place, without a look at the source; 0 for none.
	Restore uint64 `json:"restore,omitempty"`
	// Pinned keeps the source from being read in any case, also where the copy is found damaged.
	Pinned bool `json:"pinned,omitempty"`
	// Serve is whether a policy zone holds the feed.
	Serve bool `json:"serve,omitempty"`

	seen Stamp // the state in which the source is known to the publisher
}

// Stage is what a compilation is doing.
type Stage string

// The stages.
const (
	StageRead    Stage = "read"    // reading Progress.Feed
	StageCompare Stage = "compare" // comparing the feed that was read last with what it said before
	StageMerge   Stage = "merge"   // merging the feeds' names
	StageWrite   Stage = "write"   // writing the index
)

// Progress says how far a compilation is.
type Progress struct {
	Stage Stage  `json:"stage"`
	Feed  string `json:"feed,omitempty"` // while reading
	Done  int    `json:"done"`           // rows read, names compared, or names merged
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
	OutcomeRestored  Outcome = "restored"  // an older copy took the place of the last good one
)

// FeedResult is what a job did with one feed.
type FeedResult struct {
	Name    string       `json:"name"`
	Outcome Outcome      `json:"outcome"`
	Copy    uint64       `json:"copy,omitempty"`   // the number of the copy that is good now; 0 for none
	Report  *FeedReport  `json:"report,omitempty"` // of what was read, also where it was not taken; nil if it was not read
	Stamp   Stamp        `json:"stamp,omitzero"`   // of the source as it was read
	Part    bool         `json:"part,omitempty"`   // only what differs from the list before was read
	Failure *FeedFailure `json:"failure,omitempty"`
	Seconds float64      `json:"seconds"`
}

// CompileReport is what a job did.
type CompileReport struct {
	Feeds         []FeedResult `json:"feeds"`
	Compiled      bool         `json:"compiled"`             // there is a new index; false: nothing that is served has changed, or Delta
	Merged        bool         `json:"merged,omitempty"`     // it was made of that which is served, and of what has changed
	Delta         bool         `json:"delta,omitempty"`      // little that is served has changed: it is in Changes
	DeltaFile     bool         `json:"delta_file,omitempty"` // what has changed is in a delta of Base that was written
	Changes       []FeedChange `json:"changes,omitempty"`
	Names         int          `json:"names"`
	Sets          int          `json:"sets"`
	LabelsDropped int          `json:"labels_dropped,omitempty"` // members whose family or threat found no number in the manifest
	Bytes         int64        `json:"bytes"`                    // of the index
	Seconds       float64      `json:"seconds"`
}

// FeedChange is what a new copy of a feed changes.
type FeedChange struct {
	Feed string `json:"feed"`
	// Copy is the number of the new copy.
	Copy uint64 `json:"copy"`
	// Names are those of which the feed says something else than before, or may do so, one after the other in wire form.
	Names []byte `json:"names"`

	rows []byte // what the copy says of them, see rowsTold; nil: it is to be looked up there
}

// FeedFailure is why a feed was not taken. It is an error that travels as JSON.
type FeedFailure struct {
	Text      string       `json:"text"`
	Shrink    *ShrinkError `json:"shrink,omitempty"`
	Growth    *GrowthError `json:"growth,omitempty"`
	Older     *OlderError  `json:"older,omitempty"`
	Broken    bool         `json:"broken,omitempty"`    // too many rows cannot be read
	Missing   bool         `json:"missing,omitempty"`   // there is no such file
	Transient bool         `json:"transient,omitempty"` // the same file may be readable later
	Crash     bool         `json:"crash,omitempty"`     // the child that read it ended
}

// Error is the text for the operator.
func (f *FeedFailure) Error() string { return f.Text }

// Unwrap returns the ShrinkError, GrowthError, OlderError, ErrBroken or fs.ErrNotExist that caused the failure, if it was one of them.
func (f *FeedFailure) Unwrap() error {
	switch {
	case f.Shrink != nil:
		return f.Shrink
	case f.Growth != nil:
		return f.Growth
	case f.Older != nil:
		return f.Older
	case f.Broken:
		return ErrBroken
	case f.Missing:
		return fs.ErrNotExist
	}
	return nil
}

func newFeedFailure(err error) *FeedFailure {
	f := &FeedFailure{Text: err.Error(), Missing: errors.Is(err, fs.ErrNotExist), Broken: errors.Is(err, ErrBroken)}
	guarded := errors.As(err, &f.Shrink) || errors.As(err, &f.Growth) || errors.As(err, &f.Older)
	var source *SourceError
	f.Transient = errors.Is(err, ErrChanged) || !f.Missing && !guarded && !errors.As(err, &source)
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

// GrowthError says that a feed has gained so many entries that its last good copy stays.
type GrowthError struct {
	Feed string  `json:"feed"`
	Was  int     `json:"was"` // entries of the last good copy
	Now  int     `json:"now"`
	Max  float64 `json:"max"` // the share that may be gained
}

// Error has the counts and the next move.
func (e *GrowthError) Error() string {
	return fmt.Sprintf("it has %d entries and the last good copy has %d: it grew by more than %.0f%%, so the last good copy stays; "+
		"if it is right run `cenote reload --force %s` or raise feeds[].grow_max", e.Now, e.Was, e.Max*100, e.Feed)
}

// OlderError says that a policy zone has an older serial than its last good copy, which stays.
type OlderError struct {
	Feed string `json:"feed"`
	Was  uint32 `json:"was"` // the serial of the last good copy
	Now  uint32 `json:"now"`
}

// Error has the serials and the next move.
func (e *OlderError) Error() string {
	return fmt.Sprintf("its serial went back from %d to %d, so it is an older zone, and the last good copy stays; "+
		"if it is right run `cenote reload --force %s` or set allow_older on the feed", e.Was, e.Now, e.Feed)
}

// olderSerial reports whether a serial comes before another one (RFC 1982 section 3.2). Where that is not defined it does not.
func olderSerial(now, was uint32) bool { return was != now && was-now < 1<<31 }

// growLeast is how many entries a feed may have whatever it had before: on the day of an operation a small list may grow to the 20,000 names of it, and
// must not be kept back then.
const growLeast = 50_000

// Compile does a job: it reads the feeds that are to be read into kept copies, and if anything served has changed merges all of them
// into one index. A feed that fails is in the report, and neither stops the others nor replaces its last good copy. An error means that there
// is no new index; copies that were made may be used all the same.
func Compile(ctx context.Context, c CompileConfig) (CompileReport, error) {
	began := time.Now()
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	k := newCompiler(c)
	err := k.run(ctx)
	k.report.Seconds = time.Since(began).Seconds()
	return k.report, err
}

func newCompiler(c CompileConfig) *compiler {
	return &compiler{config: c, layout: layout{c.Dir}, room: max(c.DeltaMax, c.MergeMax), whole: c.Merge || c.DeltaMax == 0 && c.MergeMax == 0,
		protected: map[string]*protection{}, now: time.Now, partShare: partShare, layerFrom: listLayerFrom, layerShare: listLayerShare}
}

// compiler is one job while it is done.
type compiler struct {
	layout
	config CompileConfig
	now    func() time.Time // the clock

	partShare  int       // see the constant
	layerFrom  int       // as listLayerFrom
	layerShare int       // as listLayerShare
	suffixes   *suffixes // those that are compiled in, once they are needed
	report     CompileReport
	room       int  // how many names may still have changed
	moved      int  // how many have
	whole      bool // all copies are to be compiled together

	changes *rowsChanges // of the feed that was read last

	protected map[string]*protection // what was read of lists of protected and popular names, by what they are and their state
}

func (k *compiler) run(ctx context.Context) error {
	changed := k.config.Merge || k.config.Fold
	for i := range k.config.Feeds {
		f := &k.config.Feeds[i]
		result := k.feed(ctx, f)
		if err := ctx.Err(); err != nil {
			return err
		}
		changed = changed || f.Serve && (result.Outcome == OutcomeRead || result.Outcome == OutcomeRestored)
		k.report.Feeds = append(k.report.Feeds, result)
	}
	k.config.Progress(Progress{Stage: StageMerge}) // no feed is to be blamed for what fails from here on
	if k.report.Delta = changed && !k.whole && k.moved <= k.config.DeltaMax && !k.config.Fold; !changed || k.report.Delta {
		return nil
	}
	if !k.whole && k.mergeChanges() == nil {
		return nil
	}
	k.report.Changes = nil
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
		if f := &k.config.Feeds[i]; f.Name == damaged.feed && !f.Read && !f.Pinned {
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
	if !f.Read && f.Restore == 0 {
		return result
	}
	began := time.Now()
	k.config.Progress(Progress{Stage: StageRead, Feed: f.Name})
	work := k.read
	if f.Restore != 0 {
		work = k.restore
	}
	if err := work(ctx, f, &result); err != nil {
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
		k.removeCopy(f)
		return err
	}
	if previous != nil && saysTheSame(previous, fresh) && previous.report.sameFindings(&fresh.report.Report) {
		result.Outcome = OutcomeUnchanged
		os.Rename(k.lines(f.Name, k.config.Generation), k.lines(f.Name, f.Kept)) // of the same rows; there may be none
		return os.Remove(k.rows(f.Name, k.config.Generation))
	}
	result.Outcome, result.Copy = OutcomeRead, k.config.Generation
	if f.Serve && !k.whole {
		k.compare(ctx, f, previous, fresh)
	}
	return nil
}

// restore puts an older copy, which must be whole, in the place of the last good one.
func (k *compiler) restore(ctx context.Context, f *CompileFeed, result *FeedResult) error {
	restored, err := OpenRows(k.rows(f.Name, f.Restore))
	if err != nil {
		return err
	}
	defer restored.Close()
	if err := restored.Verify(); err != nil {
		return err
	}
	previous := k.openKept(f)
	if previous != nil {
		defer previous.Close()
	}
	result.Report, result.Outcome, result.Copy = &restored.report, OutcomeRestored, f.Restore
	if f.Serve && !k.whole {
		k.compare(ctx, f, previous, restored)
	}
	return nil
}

// compare notes what a new copy changes, or that there is to be an index: there is nothing to compare with, too much has changed, or the
// last good copy is damaged.
func (k *compiler) compare(ctx context.Context, f *CompileFeed, previous, fresh *Rows) {
	k.whole = previous == nil || previous.report.ClosestEncloser != fresh.report.ClosestEncloser
	if k.whole {
		return
	}
	change := FeedChange{Feed: f.Name, Copy: fresh.Generation()}
	n, err := 0, error(nil)
	if c := k.changes; c.know() {
		change.Names, change.rows, n = c.names, c.rows, c.count
	} else {
		change.Names, n, err = changedNames(ctx, previous, fresh, k.room, func(done int) {
			k.config.Progress(Progress{Stage: StageCompare, Done: done})
		})
	}
	k.changes = nil
	if k.whole = err != nil; k.whole {
		return
	}
	k.room, k.moved = k.room-n, k.moved+n
	k.report.Changes = append(k.report.Changes, change)
}

// saysTheSame reports whether a new copy adds nothing to the last good one, which must be whole for that.
func saysTheSame(previous, fresh *Rows) bool {
	return previous.header.Content == fresh.header.Content && previous.header.BaseContent == fresh.header.BaseContent && previous.report.ClosestEncloser == fresh.report.ClosestEncloser &&
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
			k.removeCopy(f)
		}
		if try == readTries-1 || ctx.Err() != nil {
			return nil, &SourceError{File: f.source(), Err: ErrChanged, Next: "it is read again when it rests"}
		}
	}
}

// removeCopy removes the copy that this job made of a feed.
func (k *compiler) removeCopy(f *CompileFeed) {
	os.Remove(k.rows(f.Name, k.config.Generation))
	os.Remove(k.lines(f.Name, k.config.Generation)) // there may be none
}

// restingStamp stamps a source whose last change is older than a file system's clock can hide another.
func restingStamp(ctx context.Context, c *FeedConfig) (Stamp, error) {
	for {
		now := time.Now()
		scan, err := scanSource(c, now)
		if err != nil {
			return Stamp{}, err
		}
		age := min(now.Sub(scan.stamp.Changed), now.Sub(scan.listed))
		if age < 0 || age >= racyAge || ctx.Err() != nil {
			return scan.stamp, ctx.Err()
		}
		pause(ctx, racyAge-age, nil)
	}
}

// readOnce reads a feed as it is into a new rows file.
func (k *compiler) readOnce(ctx context.Context, f *CompileFeed, result *FeedResult, stamp Stamp, previous *Rows) (*Rows, error) {
	fresh, err := k.readPart(ctx, f, stamp, previous)
	if result.Part = err == nil; result.Part {
		return fresh, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := k.writer(f)
	if err != nil {
		return nil, err
	}
	defer w.close()
	feed := f.FeedConfig
	feed.AllowEmpty = feed.AllowEmpty || k.config.Force
	feed.AllowHTML = feed.AllowHTML || k.config.Force
	if k.config.Force {
		feed.ErrorMax = 0
	}
	source := SourceState{Stamp: stamp, Fingerprint: fingerprint(f.FeedConfig), Read: k.now().UTC(), Shown: f.source()}
	w.marks = newLineMarks(k.feedDir(f.Name), source.Read)
	defer w.marks.close()
	report, err := k.readFeed(ctx, feed, w)
	if err != nil {
		result.Report = &FeedReport{Report: report, Source: source}
		return nil, err
	}
	report.since(previous, source.Read)
	path := k.rows(f.Name, k.config.Generation)
	if _, err := w.finish(path, k.config.Generation, report, source, previous); err != nil {
		return nil, fmt.Errorf("keeping a copy of feed %q: %w", f.Name, err)
	}
	if fresh, err = OpenRows(path); err == nil && !k.config.Force {
		k.keepLines(f, fresh, w.marks)
	}
	return fresh, err
}

// writer makes a writer of the copy of a feed, which notes what that changes if somebody asks.
func (k *compiler) writer(f *CompileFeed) (*rowsWriter, error) {
	w, err := newRowsWriter(k.feedDir(f.Name), k.config.SortBytes, func(rows int) {
		k.config.Progress(Progress{Stage: StageRead, Feed: f.Name, Done: rows})
	})
	if k.changes = nil; err == nil && f.Serve && !k.whole {
		k.changes = &rowsChanges{most: k.room}
		w.changes = k.changes
	}
	return w, err
}

// reader makes a reader of a feed. Lists of protected and popular names are read once for all feeds that have the same, and so is the suffix list that is
// compiled in.
func (k *compiler) reader(c FeedConfig, s Sink) (*reader, error) {
	protect, err := k.protection(&c.Protect)
	if err != nil {
		return nil, err
	}
	if c.SuffixList != "" {
		return newProtectedReader(c, s, protect)
	}
	if k.suffixes == nil {
		if k.suffixes, err = newSuffixes(""); err != nil {
			return nil, err
		}
	}
	return newGuardedReader(c, s, k.suffixes, protect)
}

// readFeed is ReadFeed into a writer, whose marks it makes.
func (k *compiler) readFeed(ctx context.Context, c FeedConfig, w *rowsWriter) (Report, error) {
	r, err := k.reader(c, w)
	if err != nil {
		return Report{}, fmt.Errorf("reading feed %q: %w", c.Name, err)
	}
	r.marks = w.marks
	if err := r.read(ctx); err != nil {
		return r.report, fmt.Errorf("reading feed %q: %w", c.Name, err)
	}
	return r.report, nil
}

func (k *compiler) protection(c *Protection) (*protection, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	read, ok := k.protected[key]
	if !ok {
		if read, err = newProtection(c); err != nil {
			return nil, err
		}
		k.protected[key] = read
	}
	return read, nil
}

// guard compares a new copy with the last good one.
func (k *compiler) guard(f *CompileFeed, previous, fresh *Rows) error {
	if previous == nil || k.config.Force {
		return nil
	}
	was, now := previous.report.Live, fresh.report.Live
	const rounding = 1e-6
	switch {
	case !f.AllowOlder && previous.report.SOA != nil && fresh.report.SOA != nil && olderSerial(fresh.report.Serial, previous.report.Serial):
		return &OlderError{Feed: f.Name, Was: previous.report.Serial, Now: fresh.report.Serial}
	case float64(now) < float64(was)*(1-f.ShrinkMax)-rounding:
		return &ShrinkError{Feed: f.Name, Was: was, Now: now, Max: f.ShrinkMax}
	case f.GrowMax != 0 && was > 0 && now > growLeast && float64(now) > float64(was)*(1+max(f.GrowMax, 0))+rounding:
		return &GrowthError{Feed: f.Name, Was: was, Now: now, Max: max(f.GrowMax, 0)}
	}
	return nil
}

// rowsVersion is part of every fingerprint: raise it when the reading of feeds or the rows file changes, and all feeds are read anew.
const rowsVersion = 5

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

// tooManyPatterns says that the feeds together have more patterns than a policy.
func tooManyPatterns(feeds []policy.Feed) error {
	sum := 0
	for i := range feeds {
		sum += feeds[i].Triggers.Pattern
	}
	if sum > policy.PatternsMax {
		return fmt.Errorf("the feeds list %d patterns, and a policy has at most %d; list names instead, or take a feed out of its zone", sum, policy.PatternsMax)
	}
	return nil
}

// mergeChanges makes the index of that which is served and of what has changed, or a delta.
func (k *compiler) mergeChanges() error {
	base, err := k.openAgain(k.config.Base)
	if err != nil {
		return err
	}
	manifest, err := policy.ReadManifest(base)
	if err != nil {
		return err
	}
	d := newDeltaMaker(manifest, base, k.config.Generation)
	defer d.close()
	for i := range k.report.Changes {
		c := &k.report.Changes[i]
		rows, err := OpenRows(k.rows(c.Feed, c.Copy))
		if err != nil {
			return err
		}
		if err := d.open(c, rows); err != nil {
			return err
		}
	}
	if err := d.fill(); err != nil {
		return err
	}
	k.config.Progress(Progress{Stage: StageWrite, Done: k.moved, Of: k.moved})
	var stats nameindex.Stats
	asDelta := k.moved >= k.config.FileMin && d.builder.Len() <= k.config.FileMax && k.config.FileMax > 0
	if asDelta {
		stats, err = d.writeFile(k.delta(k.config.Generation))
	} else {
		stats, err = d.merge(k.index(k.config.Generation))
	}
	if err != nil {
		return err
	}
	k.report.Compiled, k.report.Merged, k.report.DeltaFile, k.report.Changes = !asDelta, !asDelta, asDelta, nil
	k.report.Names, k.report.Sets, k.report.Bytes = stats.Names, stats.Sets, stats.Sizes.Total
	return nil
}

// merge makes the index of all copies that are served.
func (k *compiler) merge(ctx context.Context) error {
	m := newMerger(&k.config)
	defer m.close()
	for i, f := range k.config.Feeds {
		if kept := k.report.Feeds[i].Copy; f.Serve && kept != 0 {
			if err := m.open(f.Name, k.rows(f.Name, kept)); err != nil {
				return &copyError{f.Name, err}
			}
		}
	}
	if err := tooManyPatterns(m.manifest.Feeds); err != nil {
		return err
	}
	stats, err := m.run(ctx, k.index(k.config.Generation))
	if err != nil {
		return fmt.Errorf("compiling policy %d: %w", k.config.Generation, err)
	}
	k.report.Compiled, k.report.LabelsDropped = true, m.dropped
	k.report.Names, k.report.Sets, k.report.Bytes = stats.Names, stats.Sets, stats.Bytes
	return nil
}
