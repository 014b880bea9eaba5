package sighting

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cenote/pace"
)

// scribe writes the journal: a goroutine that appends batches in their order, and one that syncs what was appended. The
// collector never waits for either. A write that fails is tried again, at the same offset, until it succeeds; what
// comes meanwhile waits in a queue bounded by Limits.QueueOctets.
type scribe struct {
	dir  string
	run  uint64
	log  *slog.Logger
	now  func() time.Time
	live *atomic.Pointer[Config]
	backlog
	progress *progress
	durable  *atomic.Uint64 // batches up to here are in day files; set with ledger.mu held
	writeAt  func(f *os.File, b []byte, off int64) (int, error)
	syncFile func(f *os.File) error

	appending

	syncing  sync.Mutex // held during a sync, so that none is taken for done that is not, and no file is closed before its own; before mu
	unsynced bool       // guarded by syncing: the last one failed

	mu       sync.Mutex
	file     *os.File  // guarded by mu, written by Run
	segments []segment // guarded by mu, oldest first; the last one is being written
	changed  bool      // guarded by mu: appended to since the last sync

	octets   atomic.Uint64 // written, ever
	failures atomic.Uint64
}

// backlog is what waits for the scribe.
type backlog struct {
	in      chan *batch
	free    chan *batch  // written, to be filled anew
	pending atomic.Int64 // octets in the queue
}

// appending is what Run alone knows.
type appending struct {
	frame    []byte
	offset   int64 // in the file
	failing  bool
	farewell time.Time // when writes that fail are given up; zero before the end
}

// segment is one file of the journal.
type segment struct {
	first uint64
	size  int64
	made  time.Time
}

func (s segment) path(dir string) string { return filepath.Join(dir, segmentName(s.first)) }

// The rhythm of the scribe: after power loss nothing older than a second is missing, so what was written is synced
// twice in that time; a failed write is tried again four times a second.
const (
	syncEvery   = 400 * time.Millisecond
	retryEvery  = 250 * time.Millisecond
	batchesMax  = 1 << 10
	farewellMax = 2 * time.Second
)

// accepts reports whether the queue has room for n more octets.
func (s *scribe) accepts(n int) bool {
	return s.pending.Load()+int64(n) <= s.live.Load().Limits.QueueOctets && len(s.in) < cap(s.in)
}

// append hands a batch over; accepts was asked before.
func (s *scribe) append(b *batch) {
	s.pending.Add(int64(b.size()))
	s.in <- b
}

// buffer returns an empty batch.
func (s *scribe) buffer() *batch {
	select {
	case b := <-s.free:
		b.reset()
		return b
	default:
		return new(batch)
	}
}

// write writes until in is closed. When ctx ends, writes that fail are given up after farewellMax, for all batches together.
func (s *scribe) write(ctx context.Context) {
	for b := range s.in {
		size := int64(b.size())
		if b.closing != nil {
			s.closeSegment()
			close(b.closing)
			s.pending.Add(-size)
			continue
		}
		s.frame = b.appendFrame(s.frame[:0], s.run)
		if s.persist(ctx, b) {
			s.progress.wrote(b.sequence, b.through)
		}
		s.pending.Add(-size)
		select {
		case s.free <- b:
		default:
		}
	}
	s.closeSegment()
}

// closeSegment closes the file that is written; the next batch begins a new one.
func (s *scribe) closeSegment() {
	_ = s.sync() // what failed is counted
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
	}
	s.file = nil
}

// persist appends the frame, as often as it takes. It reports whether it did.
func (s *scribe) persist(ctx context.Context, b *batch) bool {
	for {
		err := s.try(b)
		if err == nil {
			if s.failing {
				s.log.Info("sighting journal is written again")
			}
			s.failing = false
			return true
		}
		s.fail(err)
		if ctx.Err() != nil && s.farewell.IsZero() {
			s.farewell = time.Now().Add(farewellMax)
		}
		if !s.farewell.IsZero() && time.Now().After(s.farewell) {
			s.log.Error("sighting journal lacks its last batch", "events", b.events, "error", err)
			return false
		}
		pause(ctx, retryEvery)
	}
}

func (s *scribe) try(b *batch) error {
	if b.rotate || s.file == nil {
		if err := s.rotate(b.sequence); err != nil {
			return err
		}
		b.rotate = false
	}
	if _, err := s.writeAt(s.file, s.frame, s.offset); err != nil {
		return err
	}
	s.offset += int64(len(s.frame))
	s.octets.Add(uint64(len(s.frame)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = true
	s.segments[len(s.segments)-1].size = s.offset
	return nil
}

// fail counts, logs the first of a row, and makes room: evidence is worth less than what is happening now.
func (s *scribe) fail(err error) {
	s.failures.Add(1)
	if !s.failing {
		s.log.Error("sighting journal cannot be written; matches wait in memory", "error", err)
	}
	s.failing = true
	if freed := s.dropOldest(); freed > 0 {
		s.log.Warn("old sighting journal removed to make room", "octets", freed)
	}
}

// rotate closes the segment and begins the one whose first batch is first.
func (s *scribe) rotate(first uint64) error {
	if s.file != nil {
		if err := s.sync(); err != nil { // once it is closed nobody could
			return err
		}
	}
	h := segmentHeader{run: s.run, first: first, made: s.now().UnixMicro()}
	path := filepath.Join(s.dir, segmentName(first))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if _, err := s.writeAt(f, h.encode(), 0); err != nil {
		f.Close()
		os.Remove(path)
		return err
	}
	if err := syncDir(s.dir); err != nil {
		f.Close()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.offset = f, journalHeaderSize
	s.segments = append(s.segments, segment{first: first, size: journalHeaderSize, made: s.now()})
	return nil
}

// syncLoop makes what was written survive a power loss.
func (s *scribe) syncLoop(ctx context.Context) {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = s.sync() // what failed is counted, and done by the next
		}
	}
}

// sync brings to the disk what was written. What could not be synced is still to be.
func (s *scribe) sync() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	f, changed := s.file, s.changed
	s.changed = false
	s.mu.Unlock()
	through := s.progress.writtenThrough()
	if f == nil {
		return nil
	}
	if changed {
		if err := s.syncFile(f); err != nil {
			s.unsyncedAgain(err)
			return err
		}
		s.unsynced = false
	}
	s.progress.synced(through)
	return nil
}

// unsyncedAgain counts, logs the first of a row, and has the next sync do it. syncing is held.
func (s *scribe) unsyncedAgain(err error) {
	s.failures.Add(1)
	if !s.unsynced {
		s.log.Error("sighting journal cannot be synced; trying again", "error", err)
	}
	s.unsynced = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = true
}

// prune removes segments whose batches are all in day files and which are older, or beyond more octets, than evidence is kept.
func (s *scribe) prune(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep, total := s.live.Load().Evidence, int64(0)
	for _, g := range s.segments {
		total += g.size
	}
	for s.settled(0) {
		g := s.segments[0]
		if total <= keep.Bytes && now.Sub(g.made) <= keep.Age {
			return
		}
		if err := os.Remove(g.path(s.dir)); err != nil {
			s.log.Warn("old sighting journal cannot be removed", "error", err)
			return
		}
		total -= g.size
		s.segments = slices.Delete(s.segments, 0, 1)
	}
}

// settled reports whether all batches of segment i are in day files, and none is to come. mu is held.
func (s *scribe) settled(i int) bool {
	if i+1 < len(s.segments) {
		return s.segments[i+1].first <= s.durable.Load()+1
	}
	return i < len(s.segments) && s.file == nil && s.progress.written() <= s.durable.Load()
}

// rewrote notes the size of a segment that another goroutine has written anew, or removes it if it was dropped meanwhile.
func (s *scribe) rewrote(first uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := segment{first: first}.path(s.dir)
	i := slices.IndexFunc(s.segments, func(g segment) bool { return g.first == first })
	if i < 0 {
		return os.Remove(path)
	}
	info, err := os.Stat(path)
	if err == nil {
		s.segments[i].size = info.Size()
	}
	return err
}

// dropOldest removes the oldest settled segment and returns its size.
func (s *scribe) dropOldest() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settled(0) {
		return 0
	}
	g := s.segments[0]
	if os.Remove(g.path(s.dir)) != nil {
		return 0
	}
	s.segments = slices.Delete(s.segments, 0, 1)
	return g.size
}

// stored returns how many segments there are and what they take, in octets.
func (s *scribe) stored() (segments int, octets int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		octets += g.size
	}
	return len(s.segments), octets
}

// listSegments reads the names of the segments in dir, oldest first.
func listSegments(dir string) ([]segment, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing sighting journals: %w", err)
	}
	var out []segment
	for _, n := range names {
		first, ok := parseSegmentName(n.Name())
		if !ok {
			continue
		}
		if info, err := n.Info(); err == nil {
			out = append(out, segment{first: first, size: info.Size(), made: info.ModTime()})
		}
	}
	return out, nil
}

// syncDir makes names that were created or renamed in dir survive a power loss.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// pause waits for d, or less if ctx ends; a tenth of it if ctx has ended.
func pause(ctx context.Context, d time.Duration) {
	if ctx.Err() != nil {
		time.Sleep(d / 10)
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func newScribe(s *Store) *scribe {
	return &scribe{
		dir: filepath.Join(s.config.Dir, journalDirectory), run: rand.Uint64(), log: s.log, now: s.now,
		live:     &s.live,
		backlog:  backlog{in: make(chan *batch, batchesMax), free: make(chan *batch, 8)},
		progress: &s.progress, durable: &s.durable, writeAt: (*os.File).WriteAt, syncFile: pace.Sync,
	}
}
