package querylog

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"cenote/ring"
)

// Mode says which queries are written down.
type Mode uint8

// The modes. ModeSampled keeps every match and, of the other queries, one in so many at random.
const (
	ModeOff Mode = iota
	ModeMatches
	ModeSampled
	ModeAll
)

// Config is what a Log needs.
type Config struct {
	// Mode says which queries are written down. Default ModeOff.
	Mode Mode
	// Sample is used with ModeSampled: of the queries that no rule matched, one in Sample is kept. Default 100.
	Sample int
	// Path is the file that is written. Example: /var/log/cenote/queries.jsonl.
	Path string
	// Ring is how many records each producer's ring holds. Default 8192.
	Ring int
}

// Log is the query log.
type Log struct {
	want      atomic.Uint64 // mode in the upper, Sample in the lower 32 bits
	ring      int
	shared    *ring.MPSC[Record]
	dropped   atomic.Uint64 // records that a full queue turned away
	mu        sync.Mutex    // guards the making of producers
	producers atomic.Pointer[[]*Producer]
}

// New makes a Log.
func New(c Config) (*Log, error) {
	if c.Ring <= 0 {
		c.Ring = 8192
	}
	if c.Sample <= 0 {
		c.Sample = 100
	}
	l := &Log{ring: c.Ring, shared: ring.NewMPSC[Record](c.Ring)}
	l.want.Store(uint64(c.Mode)<<32 | uint64(uint32(c.Sample)))
	l.producers.Store(new([]*Producer))
	return l, nil
}

// wants reports whether a query is to be written down; match says whether a rule decided or observed it.
func (l *Log) wants(match bool) bool {
	w := l.want.Load()
	switch Mode(w >> 32) {
	case ModeOff:
		return false
	case ModeMatches:
		return match
	case ModeSampled:
		return match || rand.Uint32N(uint32(w)) == 0
	case ModeAll:
		return true
	}
	return false
}

// Want reports whether a query is to be written down by Put; match says whether a rule decided or observed it.
func (l *Log) Want(match bool) bool { return l.wants(match) }

// Put records one query from any goroutine: fill sets every field of the record. It never waits; if the queue is full
// the record is dropped and counted, and fill is not called.
func (l *Log) Put(fill func(*Record)) {
	if !l.shared.Put(fill) {
		l.dropped.Add(1)
	}
}

// Producer makes a producer for one goroutine. It lives as long as the Log.
func (l *Log) Producer() *Producer {
	p := &Producer{log: l, ring: ring.NewSPSC[Record](l.ring)}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := *l.producers.Load()
	all := append(old[:len(old):len(old)], p)
	l.producers.Store(&all)
	return p
}
