package blocklist

import (
	"time"
)

// Feed is one feed of a Publisher.
type Feed struct {
	FeedConfig
	// ShrinkMax is the share of its entries that the feed may lose in one change, from 0 to 1; a larger loss keeps the last good copy.
	// Default: 0, which stands for Config.ShrinkMax; a negative value lets it lose none. Example: 0.8.
	ShrinkMax float64
	// GrowMax is the share by which the feed may grow in one change. Default: 0, which stands for Config.GrowMax; a negative value lets it not grow at
	// all. Example: 3.
	GrowMax float64
	// AllowOlder takes a policy zone (RPZ) whose serial went back. Default: false, the last good copy stays. Example: true.
	AllowOlder bool
	// Fetch says from where the list is fetched; the Publisher chooses the Path then. Default: nothing is fetched.
	Fetch Fetch
}

// feedState is what a Publisher knows of one feed. Guarded by Publisher.mu.
type feedState struct {
	feed        Feed
	fingerprint string
	rows        *Rows     // the last good copy; nil where there is none
	copies      []uint64  // the numbers of all copies that are kept, newest first. The slice is not changed in place
	unlooked    uint64    // the copy of which it was logged that it cannot be looked at; 0 for none. Written only where the turn is held
	pin         *Pin      // the source is not read; nil for none
	seen        outlook   // the state in which the source was last seen at rest
	settled     Stamp     // the state that was last read, whatever came of it; zero: it must be read
	changed     time.Time // when a change was last taken
	good        time.Time // when the source was last found to be as the copy says
	failure     feedTrouble
	guarded     string     // the key of the lists that guarded the last change that was taken over
	stale       bool       // it was logged that the zone is older than its SOA lets it become
	result      FeedResult // what came of the last reading
	read        time.Time  // when that was
}

// feedTrouble is why the source is not what is served.
type feedTrouble struct {
	err     error // nil: it is
	since   time.Time
	report  *FeedReport // of what was read and not taken; nil if nothing was read
	retries int
	retry   time.Time // when to read it again although it has not changed; zero: not at all
}

// Delays before a feed is read again although it has not changed. They double up to their maximum.
const (
	retryTransient    = 2 * time.Second
	retryTransientMax = 5 * time.Minute
	retryCrash        = time.Minute
	retryCrashMax     = time.Hour
)

func newFeedState(f Feed) *feedState {
	return &feedState{feed: f, fingerprint: fingerprint(f.FeedConfig)}
}

// adopt takes a kept copy found at a start or carried over from a former configuration.
func (s *feedState) adopt(rows *Rows) {
	s.rows = rows
	s.good, s.changed = rows.report.Source.Read, rows.report.Source.Read
	if rows.report.Source.Fingerprint == s.fingerprint {
		s.settled = rows.report.Source.Stamp
	}
}

// adoptList takes over what a former run noted of the list that was fetched last: that the copy is of it, though it was made before.
func (s *feedState) adoptList(known *fetchedState) {
	if s.rows == nil || known.Copy == nil || known.Zone == nil {
		return
	}
	source := &s.rows.report.Source
	if source.Ahead && source.Fingerprint == s.fingerprint && known.Copy.Copy == s.kept() && known.Zone.Serial == s.rows.report.Serial {
		s.settled = known.Copy.Of
	}
}

// inherit takes over what had knows of the feed under its former configuration, and reports whether the source need not be read anew.
func (s *feedState) inherit(had *feedState) bool {
	feed, print := s.feed, s.fingerprint
	*s = *had
	s.feed, s.fingerprint = feed, print
	if s.rows != nil {
		s.rows.retain()
	}
	if had.fingerprint == print {
		return true
	}
	s.settled = Stamp{}
	return false
}

// notYet is for whoever waits for a change that is not whole yet.
func (s *feedState) notYet(why string) FeedResult {
	return FeedResult{Name: s.feed.Name, Outcome: OutcomeFailed, Copy: s.kept(), Failure: &FeedFailure{Text: s.feed.source() + ": " + why, Transient: true}}
}

// known is the stamp that the watcher need not report.
func (s *feedState) known() Stamp { return s.settled }

// due reports whether the feed is to be read.
func (s *feedState) due(now time.Time) bool {
	if s.pin != nil || s.seen.err != nil || s.seen.stamp.Sum == "" || s.ahead() {
		return false
	}
	return s.seen.stamp.Sum != s.settled.Sum || !s.failure.retry.IsZero() && !now.Before(s.failure.retry)
}

// looked reports whether anybody has looked at the source since the start, who saw more than that it is as it was.
func (s *feedState) looked() bool { return s.seen.err != nil || s.seen.stamp.Sum != "" }

// ahead reports whether the copy is of a newer version than the list, which is still to be written. It must not be read: it would take the feed back.
func (s *feedState) ahead() bool {
	if s.rows == nil {
		return false
	}
	source, seen := &s.rows.report.Source, &s.seen.stamp
	return source.Ahead && source.Stamp.isOfSameFiles(seen) // its guards may have changed meanwhile, and with them the sum
}

// follows reports whether the copy is of the version that follows that of the list which was read last, and of the settings and guards of now.
func (s *feedState) follows() bool {
	source := &s.rows.report.Source
	key, err := s.feed.Protect.key()
	return err == nil && key == s.guarded && source.Ahead && source.Stamp.Sum == s.settled.Sum && source.Fingerprint == s.fingerprint
}

// kept is the number of the last good copy, 0 for none.
func (s *feedState) kept() uint64 {
	if s.rows == nil {
		return 0
	}
	return s.rows.Generation()
}

// healthy notes that the source is what the copy says.
func (s *feedState) healthy(now time.Time) {
	s.good, s.failure = now, feedTrouble{}
}

// trouble notes why the source was not taken, and returns whether that is news.
func (s *feedState) trouble(err error, report *FeedReport, now time.Time) bool {
	news := s.failure.err == nil || s.failure.err.Error() != err.Error()
	if s.failure.err == nil {
		s.failure.since = now
	}
	s.failure.err, s.failure.report = err, report
	return news
}

// retryAfter sets when to read the feed again: first after d, then at doubling intervals up to most.
func (s *feedState) retryAfter(now time.Time, d, most time.Duration) {
	s.failure.retry = now.Add(min(d<<min(s.failure.retries, 20), most))
	s.failure.retries++
}
