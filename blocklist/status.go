package blocklist

import (
	"time"
)

// FeedState is how a feed stands.
type FeedState string

// The states.
const (
	FeedWaiting FeedState = "waiting" // it has not been read yet
	FeedGood    FeedState = "good"    // what is kept is what the source says
	FeedKept    FeedState = "kept"    // the source is missing or bad; the last good copy stays
	FeedFailed  FeedState = "failed"  // the source is missing or bad, and there is no copy
)

// FeedStatus is what an operator wants to know of a feed.
type FeedStatus struct {
	Name   string    `json:"name"`
	Path   string    `json:"path"`
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
	// Error is why the source is not taken, since when, and what was found in it, if it was read.
	Error       string      `json:"error,omitempty"`
	ErrorSince  time.Time   `json:"error_since,omitzero"`
	ErrorReport *FeedReport `json:"error_report,omitempty"`
}

// Status tells how each feed stands, in the order of the configuration. What it points to must not be changed.
func (p *Publisher) Status() []FeedStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	served := servedFeeds(p.order.Zones)
	var out []FeedStatus
	for _, f := range p.feeds {
		out = append(out, f.status(served[f.feed.Name]))
	}
	return out
}

// status is called with the Publisher's mu held.
func (s *feedState) status(served bool) FeedStatus {
	out := FeedStatus{
		Name: s.feed.Name, Path: s.feed.Path, State: s.state(), Served: served, Copy: s.kept(),
		LastChange: s.changed, LastGood: s.good,
	}
	if s.rows != nil {
		out.Report, out.SourceChanged = &s.rows.report, s.rows.report.Source.Stamp.Changed
	}
	if s.failure.err != nil {
		out.Error, out.ErrorSince, out.ErrorReport = s.failure.err.Error(), s.failure.since, s.failure.report
	}
	return out
}

func (s *feedState) state() FeedState {
	switch {
	case s.failure.err == nil && s.rows == nil:
		return FeedWaiting
	case s.failure.err == nil:
		return FeedGood
	case s.rows == nil:
		return FeedFailed
	}
	return FeedKept
}

// CompileStatus is how the work as a whole stands.
type CompileStatus struct {
	Generation uint64    `json:"generation"`        // that is served; 0 for none
	Built      time.Time `json:"built,omitzero"`    // when its index was compiled
	Names      int       `json:"names"`             // in it
	Sets       int       `json:"sets"`              // different sets of members
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
	}
	return out
}
