package sighting

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what a Store needs. The zero value of every field but Dir and Catalog stands for its default.
type Config struct {
	// Dir is the directory of the ledger; it is made if it is missing. One process at a time may hold it.
	// Example: /var/lib/cenote/sightings.
	Dir string
	// Catalog resolves the rules of events.
	Catalog Catalog
	// RetentionDays is how many UTC days are kept beside today; older day files are dropped whole. Default 90.
	RetentionDays int
	// Ring is how many events each producer's ring holds. Default 16384.
	Ring int
	// Log takes what an operator should see. Default: nothing is logged.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// The defaults of a Config.
const (
	RetentionDaysDefault = 90
	RingDefault          = 1 << 14
)

// Store is the ledger.
type Store struct {
	config    Config
	shared    *shared
	mu        sync.Mutex // guards the making of producers
	producers atomic.Pointer[[]*Producer]
}

// Open opens the ledger in c.Dir.
func Open(c Config) (*Store, error) {
	switch {
	case c.Dir == "":
		return nil, errors.New("sighting: no directory given")
	case c.Catalog == nil:
		return nil, errors.New("sighting: no catalog given")
	}
	if c.Ring <= 0 {
		c.Ring = RingDefault
	}
	s := &Store{config: c, shared: newShared(c.Ring)}
	s.producers.Store(new([]*Producer))
	return s, nil
}

// Producer makes a producer for one goroutine. It lives as long as the Store.
func (s *Store) Producer() *Producer {
	p := newProducer(s.config.Ring)
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append((*s.producers.Load())[:len(*s.producers.Load()):len(*s.producers.Load())], p)
	s.producers.Store(&all)
	return p
}

// Put records one event from any goroutine: fill sets every field of the event, and may be called twice. It never waits
// for the ledger.
func (s *Store) Put(fill func(*Event)) { s.shared.put(fill) }
