package querylog

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"

	"cenote/dnsname"
	"cenote/ring"
)

// ErrRan is what Run returns when it was called before, or after Close.
var ErrRan = errors.New("query log: Run was called twice, or after Close")

// Log is the query log. Make one with New.
type Log struct {
	config    atomic.Pointer[Config]
	want      atomic.Uint64 // mode in the upper, Sample in the lower 32 bits
	shared    *ring.MPSC[Record]
	keys      keyNames
	counters  counters
	changed   chan struct{} // one place: the writer is to look at config
	ran       atomic.Bool
	mu        sync.Mutex // guards the making of producers, and updates
	producers atomic.Pointer[[]*Producer]

	// appendTo writes to the open file; tests put a full disk in its place before Run.
	appendTo func(*os.File, []byte) (int, error)
}

// KeyNumber is the number by which a Record names a key, 0 for the zero name. It never waits for long, and may be called from many goroutines.
func (l *Log) KeyNumber(name dnsname.Name) uint16 { return l.keys.number(name) }

// New checks c and makes a Log. It touches no file: Run does.
func New(c Config) (*Log, error) {
	c, err := c.settle()
	if err != nil {
		return nil, err
	}
	l := &Log{shared: ring.NewMPSC[Record](c.Queue), changed: make(chan struct{}, 1), appendTo: (*os.File).Write}
	l.producers.Store(new([]*Producer))
	l.install(&c)
	return l, nil
}

func (l *Log) install(c *Config) {
	l.config.Store(c)
	l.want.Store(uint64(c.Mode)<<32 | uint64(uint32(c.Sample)))
}

// Update puts mode, sample, path, rotation, compression and the sizes of the queues of c in force; the rest of c is not looked at. On an error nothing has
// changed. Records that were taken before are written to the file of before. Finished files of a path that was left stay as they are.
func (l *Log) Update(c Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := *l.config.Load()
	next.Mode, next.Sample, next.Path, next.Rotate, next.Compression, next.Ring, next.Queue = c.Mode, c.Sample, c.Path, c.Rotate, c.Compression, c.Ring, c.Queue
	next, err := next.settle()
	if err != nil {
		return err
	}
	l.install(&next)
	for _, p := range *l.producers.Load() {
		p.ring.Resize(next.Ring)
	}
	l.shared.Ring().Resize(next.Queue)
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return nil
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

// Put records one query from any goroutine: fill sets every field of the record. It never waits for the disk; if the queue is full
// the record is dropped and counted, and fill is not called.
func (l *Log) Put(fill func(*Record)) {
	if !l.shared.Put(fill) {
		l.counters.droppedQueue.Add(1)
	}
}

// Producer makes a producer for one goroutine. It lives as long as the Log.
func (l *Log) Producer() *Producer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &Producer{log: l, ring: ring.NewSPSC[Record](l.config.Load().Ring)}
	old := *l.producers.Load()
	all := append(old[:len(old):len(old)], p)
	l.producers.Store(&all)
	return p
}

// rings calls visit with every queue, until it returns false.
func (l *Log) rings(visit func(*ring.SPSC[Record]) bool) {
	for _, p := range *l.producers.Load() {
		if !visit(p.ring) {
			return
		}
	}
	visit(l.shared.Ring())
}

// waiting counts the records in the queues.
func (l *Log) waiting() (n int) {
	l.rings(func(r *ring.SPSC[Record]) bool { n += r.Len(); return true })
	return n
}

// Run writes until ctx ends. Then it writes what is queued, and returns when the file is closed: end those who produce records
// first, and nothing is lost. A disk that is full or gone is no error of Run: it tries again until it can write.
func (l *Log) Run(ctx context.Context) error {
	if l.ran.Swap(true) {
		return ErrRan
	}
	archiver := newArchiver(l)
	var ended sync.WaitGroup
	ended.Go(func() { archiver.run(ctx) })
	newWriter(l, archiver).run(ctx)
	ended.Wait()
	return nil
}

// Close ends a Log that was never run: what is queued is counted as dropped. After Run it does nothing.
func (l *Log) Close() error {
	if l.ran.Swap(true) {
		return nil
	}
	l.want.Store(uint64(ModeOff) << 32)
	l.rings(func(r *ring.SPSC[Record]) bool {
		n := r.Len()
		r.Release(n)
		l.counters.droppedWrite.Add(uint64(n))
		return true
	})
	return nil
}
