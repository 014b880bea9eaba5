package sighting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cenote/directory"
)

// Config is what a Store needs. The zero value of every field but Dir and Catalog stands for its default.
type Config struct {
	// Dir is the directory of the ledger, on a local disk; it is made if it is missing. One process at a time may
	// hold it. Example: /var/lib/cenote/sightings.
	Dir string
	// Catalog resolves the rules of events.
	Catalog Catalog
	// RetentionDays is how many UTC days are kept beside today; older day files are dropped whole. Default 90, at least 2.
	RetentionDays int
	// Ring is how many events each producer's ring holds, and the shared queue. Default 16384, which is 5.6 MB.
	Ring int
	// Limits bound what the ledger holds in memory and per client.
	Limits Limits
	// Evidence says for how long journals are kept after their sightings are in day files.
	Evidence EvidenceConfig
	// First says where first sightings are written.
	First FirstConfig
	// Log takes what an operator should see. Default: nothing is logged.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Limits bound the ledger. What they turn away is counted, and stored as a Loss where a match is concerned.
type Limits struct {
	// IndicatorsPerClient is how many distinct listed names of a policy zone a client may have recorded one by one in a
	// UTC day. Matches of further ones are counted by family. Default 1000.
	IndicatorsPerClient int
	// Pairs is how many (client, indicator, hour) may wait in memory for their day file, about 110 octets each. Matches of
	// further pairs are lost. Default 4,000,000.
	Pairs int
	// TablePairs is how many of them are written to a day file at a time. Default 1,048,576.
	TablePairs int
	// QueueOctets is how much may wait for the journal when the disk does not take it. Default 64 MiB.
	QueueOctets int64
}

// EvidenceConfig says for how long journals are kept as raw evidence.
type EvidenceConfig struct {
	// Age is how long a journal is kept after its last sighting went into a day file. Default 72 h.
	Age time.Duration
	// Bytes is how much disk the journals may take together. Default 1 GiB.
	Bytes int64
}

func (c *Config) defaults() {
	setDefault(&c.RetentionDays, 90)
	setDefault(&c.Ring, 1<<14)
	setDefault(&c.Limits.IndicatorsPerClient, 1000)
	setDefault(&c.Limits.Pairs, 4_000_000)
	setDefault(&c.Limits.TablePairs, 1<<20)
	setDefault(&c.Limits.QueueOctets, 64<<20)
	setDefault(&c.Evidence.Age, 72*time.Hour)
	setDefault(&c.Evidence.Bytes, 1<<30)
	setDefault(&c.First.Bytes, 64<<20)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func (c *Config) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("sighting: "+format, args...))
		}
	}
	fault(c.Dir == "", "no directory given")
	fault(c.Catalog == nil, "no catalog given")
	fault(c.RetentionDays < 2, "retention of %d days is less than 2", c.RetentionDays)
	fault(c.Ring < 2, "ring of %d events is less than 2", c.Ring)
	fault(c.Limits.IndicatorsPerClient < 1, "bound of %d indicators per client is less than 1", c.Limits.IndicatorsPerClient)
	fault(c.Limits.TablePairs < 1 || c.Limits.Pairs < c.Limits.TablePairs, "%d pairs a table and %d in memory do not fit", c.Limits.TablePairs, c.Limits.Pairs)
	fault(c.Limits.QueueOctets < 1<<16, "journal queue of %d octets is less than 65536", c.Limits.QueueOctets)
	return errors.Join(faults...)
}

// Update puts the retention, rings, limits, evidence and file of first sightings of c in force. The rest of c, which belongs to what Open took, is
// not looked at. After an error nothing has changed.
func (s *Store) Update(c Config) error {
	next := s.config
	next.RetentionDays, next.Ring, next.Limits, next.Evidence, next.First = c.RetentionDays, c.Ring, c.Limits, c.Evidence, c.First
	next.defaults()
	if err := next.check(); err != nil {
		return err
	}
	s.live.Store(&next)
	s.resizeRings(next.Ring)
	s.announcer.out.move(next.First)
	return nil
}

// ErrClosed is returned for what is asked of a Store whose Run has ended.
var ErrClosed = errors.New("the ledger of sightings is closed")

// Store is the ledger. Make one with Open. Producers, Put and all queries may be used from any goroutine, before, during
// and after Run; what is recorded when Run does not work is drained when it does.
type Store struct {
	config Config                 // as Open was given it; of what Update changes, live has the truth
	live   atomic.Pointer[Config] // never changed in place
	log    *slog.Logger
	now    func() time.Time
	seed   uint64 // of the hashes of everything that clients can choose
	lock   *directory.Lock

	shared    *shared
	producers producers

	progress  progress
	durable   atomic.Uint64 // batches up to here are in day files; set with ledger.mu held
	ledger    ledger
	collector *collector
	resolver  *resolver
	scribe    *scribe
	writer    *writer
	announcer *announcer
	counters  counters
	faults    faults
	running   atomic.Bool
	ended     chan struct{} // closed when Run has ended
}

// producers are all that were ever given out.
type producers struct {
	mu   sync.Mutex // guards changes
	list atomic.Pointer[[]*Producer]
}

// faults lets tests break what a full or failing disk breaks.
type faults struct {
	commit func() error // nil breaks nothing
	part   int          // octets of one transaction of a transfer
}

func (f *faults) commitFault() error {
	if f.commit == nil {
		return nil
	}
	return f.commit()
}

const journalDirectory = "journal"

// Open opens the ledger in c.Dir and brings it up to what was recorded before: sightings that were only in journals
// go into their day files, each exactly once; damaged files are put aside.
func Open(c Config) (*Store, error) {
	c.defaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Store{config: c, log: c.Log, now: c.Now, seed: rand.Uint64(), shared: newShared(c.Ring), ended: make(chan struct{})}
	s.live.Store(&s.config)
	s.faults.part = transferPart
	s.producers.list.Store(new([]*Producer))
	s.counters.init()
	if err := s.openDirectory(); err != nil {
		return nil, err
	}
	if err := s.openLedger(); err != nil {
		s.closeFiles()
		return nil, err
	}
	return s, nil
}

// openDirectory makes the directories and takes the lock that keeps a second process out.
func (s *Store) openDirectory() error {
	for _, d := range []string{dayDirectory, journalDirectory, quarantine} {
		if err := os.MkdirAll(filepath.Join(s.config.Dir, d), 0o700); err != nil {
			return fmt.Errorf("opening the ledger of sightings: %w", err)
		}
	}
	var err error
	switch s.lock, err = directory.TakeLock(filepath.Join(s.config.Dir, "lock"), 0o600); {
	case errors.Is(err, directory.ErrLocked):
		return fmt.Errorf("the ledger of sightings in %s is held by another process: %w", s.config.Dir, err)
	case err != nil:
		return fmt.Errorf("opening the ledger of sightings: %w", err)
	}
	return nil
}

func (s *Store) openLedger() error {
	l := &s.ledger
	l.book, l.dict, l.days = newRuleBook(), newDictionary(0), map[uint32]*dayFile{}
	l.rule(rule{confidence: -1}, s.seed)
	l.waiting = []*dictionary{l.dict}
	l.active = &memory{table: newTable(s.seed), dict: l.dict, losses: newLosses(), since: hourOf(s.now())}
	s.collector, s.resolver, s.writer, s.announcer = newCollector(s), newResolver(s), newWriter(s), newAnnouncer(s)
	s.scribe = newScribe(s)
	aside, err := s.openDays()
	if err != nil {
		return err
	}
	if err := s.learnFirsts(); err != nil {
		return err
	}
	last, err := s.recover(aside)
	if err != nil {
		return err
	}
	s.collector.sequence = last
	l.active.from, l.active.to = last, last
	s.progress.drainedTo(0, last)
	s.progress.wrote(last, 0)
	return s.learnBounds()
}

// openDays opens the day files. Those that are damaged are put aside.
func (s *Store) openDays() (aside []uint32, err error) {
	dir := filepath.Join(s.config.Dir, dayDirectory)
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing day files of sightings: %w", err)
	}
	for _, n := range names {
		path := filepath.Join(dir, n.Name())
		base, isDay := strings.CutSuffix(n.Name(), daySuffix)
		day, ok := parseDay(base)
		if !isDay || !ok {
			s.removeLeftover(path)
			continue
		}
		f, err := openDay(path, day)
		switch {
		case err == nil:
			s.ledger.days[day] = f
		case isDamage(err):
			s.log.Error("damaged day file of sightings put aside", "file", path, "error", err)
			s.setAside(path)
			aside = append(aside, day)
		default:
			return nil, err
		}
	}
	return aside, nil
}

// removeLeftover removes what a crash left of a file that was being made.
func (s *Store) removeLeftover(path string) {
	if !strings.HasSuffix(path, ".new") {
		return
	}
	if err := os.Remove(path); err != nil {
		s.log.Warn("unfinished file of sightings cannot be removed", "file", path, "error", err)
	}
}

// Run drains, writes and keeps the ledger until ctx ends, then writes down what was committed before, and closes its files.
// It may be called once.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("sighting: Run was called before")
	}
	defer close(s.ended)
	defer s.closeFiles()
	var writing, resolving, announcing sync.WaitGroup
	stopResolver, stopWriter, stopAnnouncer := make(chan struct{}), make(chan struct{}), make(chan struct{})
	writing.Go(func() { s.scribe.write(ctx) })
	writing.Go(func() { s.scribe.syncLoop(ctx) })
	writing.Go(func() { s.writer.run(ctx, stopWriter) })
	resolving.Go(func() { s.resolver.run(stopResolver) })
	announcing.Go(func() { s.announcer.run(stopAnnouncer) })
	s.wakeWriter()
	s.collector.run(ctx)
	close(s.scribe.in)
	close(stopResolver)
	resolving.Wait()
	close(stopWriter)
	writing.Wait()
	close(stopAnnouncer)
	announcing.Wait()
	return nil
}

// Close closes a Store whose Run was never called. It does nothing otherwise, since Run closes what it used.
func (s *Store) Close() error {
	if s.running.CompareAndSwap(false, true) {
		s.closeFiles()
		close(s.ended)
	}
	return nil
}

func (s *Store) closeFiles() {
	s.ledger.mu.Lock()
	days := s.ledger.days
	s.ledger.days = map[uint32]*dayFile{}
	s.ledger.mu.Unlock()
	for _, f := range days {
		if err := f.close(); err != nil {
			s.log.Error("day file of sightings cannot be closed", "file", f.path, "error", err)
		}
	}
	if err := s.lock.Release(); err != nil {
		s.log.Error("the lock of the ledger of sightings cannot be given up", "error", err)
	}
}

// Producer makes a producer for one goroutine. It lives as long as the Store.
func (s *Store) Producer() *Producer {
	s.producers.mu.Lock()
	defer s.producers.mu.Unlock()
	p := newProducer(s.live.Load().Ring, s.collector.pressed)
	old := *s.producers.list.Load()
	all := append(old[:len(old):len(old)], p)
	s.producers.list.Store(&all)
	return p
}

// resizeRings is called after the size is in live.
func (s *Store) resizeRings(size int) {
	s.producers.mu.Lock()
	defer s.producers.mu.Unlock()
	for _, p := range *s.producers.list.Load() {
		p.ring.Resize(size)
	}
	s.shared.queue.Ring().Resize(size)
}

// Put records one event from any goroutine: fill sets every field of the event. It never waits for the ledger.
func (s *Store) Put(fill func(*Event)) { s.shared.put(fill) }

func isDamage(err error) bool { return errors.Is(err, ErrDamaged) }

func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
