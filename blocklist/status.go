package blocklist

import (
	"strings"
	"time"
)

// FeedState is how a feed stands.
type FeedState string

// The states.
const (
	FeedWaiting FeedState = "waiting" // it has not been read yet
	FeedGood    FeedState = "good"    // what is kept is what the source says
	FeedStale   FeedState = "stale"   // the same, but it is a policy zone that is older than its SOA lets it become
	FeedKept    FeedState = "kept"    // the source is missing or bad; the last good copy stays
	FeedFailed  FeedState = "failed"  // the source is missing or bad, and there is no copy
	FeedPinned  FeedState = "pinned"  // it was rolled back; the source is not read
)

// FeedStatus is what an operator wants to know of a feed.
type FeedStatus struct {
	Name   string    `json:"name"`
	Path   string    `json:"path"`
	URL    string    `json:"url,omitempty"` // where it is fetched from, without keys; Path is the list that was fetched last
	State  FeedState `json:"state"`
	Served bool      `json:"served"` // a policy zone holds it
	// Copy numbers the last good copy; 0 where there is none.
	Copy uint64 `json:"copy"`
	// Report is what is in the last good copy; nil where there is none.
	Report *FeedReport `json:"report,omitempty"`
	// LastChange is when a change was last taken, LastGood when the source was last found to be as the copy says.
	LastChange time.Time `json:"last_change,omitzero"`
	LastGood   time.Time `json:"last_good,omitzero"`
	// SourceChanged is when the source of the copy was last changed, by the clock of its file system.
	SourceChanged time.Time `json:"source_changed,omitzero"`
	// Expired is since when a policy zone is older than its SOA lets it become; zero if it is not. It is served all the same.
	Expired time.Time `json:"expired,omitzero"`
	// Error is why the source is not taken, since when, and what was found in it, if it was read.
	Error       string      `json:"error,omitempty"`
	ErrorSince  time.Time   `json:"error_since,omitzero"`
	ErrorReport *FeedReport `json:"error_report,omitempty"`
	// Pin says to which copy the feed was rolled back, and why; nil for none.
	Pin *Pin `json:"pin,omitempty"`
	// Fetch is how the fetching stands; nil for a feed with a path. If it fails, Error says so too.
	Fetch *FetchStatus `json:"fetch,omitempty"`
}

// Status tells how each feed stands, in the order of the configuration. What it points to must not be changed.
func (p *Publisher) Status() []FeedStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	served := servedFeeds(p.order.zones())
	var out []FeedStatus
	for _, f := range p.feeds {
		out = append(out, f.status(served[f.feed.Name], p.fetches.of(f.feed.Name)))
	}
	return out
}

// status is called with the Publisher's mu held. fetches is nil for a feed that is not fetched.
func (s *feedState) status(served bool, fetches *fetchRecord) FeedStatus {
	out := FeedStatus{
		Name: s.feed.Name, Path: s.feed.Path, URL: s.feed.Shown, Served: served, Copy: s.kept(),
		LastChange: s.changed, LastGood: s.good, Pin: s.pin,
	}
	if fetches != nil {
		fetch := fetches.now()
		fetch.Zone = s.feed.Fetch.Transfer.status(fetch.Zone)
		out.Fetch, out.Error, out.ErrorSince = &fetch, fetch.Error, fetch.ErrorSince
	}
	if s.rows != nil {
		out.Report, out.SourceChanged = &s.rows.report, s.rows.report.Source.Stamp.Changed
	}
	if s.failure.err != nil {
		text := s.failure.err.Error()
		if !strings.Contains(text, s.feed.Shown) {
			text = s.feed.Shown + ": " + text
		}
		if out.Error != "" {
			text = out.Error + "; what was fetched before: " + text
		}
		out.Error, out.ErrorSince, out.ErrorReport = text, s.failure.since, s.failure.report
	}
	if at := s.expires(fetches); !at.IsZero() && at.Before(time.Now()) {
		out.Expired = at
	}
	if out.State = s.state(out.Error != ""); out.State == FeedGood && !out.Expired.IsZero() {
		out.State = FeedStale
	}
	return out
}

// expires is when a policy zone becomes older than its SOA lets it, counted from when its server last confirmed it, or from the last change of its file; zero
// for never. Called with the Publisher's mu held.
func (s *feedState) expires(fetches *fetchRecord) time.Time {
	if s.rows == nil || s.rows.report.Expire == 0 {
		return time.Time{}
	}
	since := s.rows.report.Source.Stamp.Changed
	if s.settled.Changed.After(since) {
		since = s.settled.Changed
	}
	if fetches != nil {
		if at := fetches.now().LastSuccess; at.After(since) {
			since = at
		}
	}
	return since.Add(time.Duration(s.rows.report.Expire) * time.Second)
}

// noteStale logs which policy zones have become older than their SOA lets them, each once.
func (p *Publisher) noteStale(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.feeds {
		at := f.expires(p.fetches.of(f.feed.Name))
		stale := !at.IsZero() && !at.After(now) && f.pin == nil
		if stale && !f.stale {
			p.log.Warn("policy zone is older than its SOA lets it become, and served all the same", "feed", f.feed.Name, "serial", f.rows.report.Serial, "since", at)
		}
		f.stale = stale
	}
}

func (s *feedState) state(trouble bool) FeedState {
	switch {
	case s.pin != nil:
		return FeedPinned
	case !trouble && s.rows == nil:
		return FeedWaiting
	case !trouble:
		return FeedGood
	case s.rows == nil:
		return FeedFailed
	}
	return FeedKept
}

// CompileStatus is how the work as a whole stands.
type CompileStatus struct {
	Generation uint64    `json:"generation"`        // that is served; 0 for none
	Built      time.Time `json:"built,omitzero"`    // when its index was compiled, or its delta made
	Names      int       `json:"names"`             // in it
	Sets       int       `json:"sets"`              // different sets of members
	DeltaNames int       `json:"delta_names"`       // names that have changed since the index was compiled
	Pending    bool      `json:"pending,omitempty"` // copies have changed that it does not hold yet
	Error      string    `json:"error,omitempty"`   // why the last compilation failed
	Retry      time.Time `json:"retry,omitzero"`    // when it is tried again
}

// CompileStatus tells how the served policy stands.
func (p *Publisher) CompileStatus() CompileStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := CompileStatus{Pending: p.trouble.merge, Retry: p.trouble.retry}
	if p.trouble.err != nil {
		out.Error = p.trouble.err.Error()
	}
	if p.current != nil {
		index := p.current.Policy.Index()
		out.Generation, out.Built = p.current.Number, p.current.Policy.Manifest().Built
		out.Names, out.Sets = index.Len(), index.Sets()
		if delta := index.Delta(); delta != nil {
			out.DeltaNames = delta.Len()
		}
	}
	return out
}
