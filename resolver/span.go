package resolver

import (
	"context"
	"sync"
	"time"
)

// span is the context of a flight: it ends with the life of the resolver, or at a moment. Most flights land without anybody having waited for
// their end, and those pay neither for a timer nor for a place among the contexts that end with the resolver.
type span struct {
	life  context.Context
	until time.Time

	mu     sync.Mutex // guards the rest
	full   context.Context
	cancel context.CancelFunc
}

func newSpan(life context.Context, most time.Duration) *span {
	return &span{life: life, until: time.Now().Add(most)}
}

// end frees what the span holds. It does not end it for those who have not waited for that.
func (s *span) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
}

// waited is the context that stands for the span once somebody waits for its end.
func (s *span) waited() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full == nil {
		s.full, s.cancel = context.WithDeadline(s.life, s.until)
	}
	return s.full
}

// Deadline returns when the span ends at the latest.
func (s *span) Deadline() (time.Time, bool) { return s.until, true }

// Done returns what is closed when the span ends.
func (s *span) Done() <-chan struct{} { return s.waited().Done() }

// Err returns why the span has ended, nil if it has not.
func (s *span) Err() error {
	if err := s.life.Err(); err != nil {
		return err
	}
	if !time.Now().Before(s.until) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value makes contexts that derive from the span find the one that stands for it.
func (s *span) Value(key any) any { return s.waited().Value(key) }
