package sighting

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cenote/pace"
)

// writer is the one goroutine that changes day files: it commits what the collector froze, drops days that are too old, puts
// damaged files aside, and does what Erase asks for. All that takes long or waits for the disk is done behind the threads that answer queries.
type writer struct {
	s        *Store
	wake     chan struct{}
	jobs     chan func(context.Context)
	commit   commit
	transfer transfer
	failing  bool
}

const (
	resolvePoll    = 20 * time.Millisecond // between looks at whether a table's places are known
	commitRetry    = time.Second
	retentionEvery = time.Minute
)

func newWriter(s *Store) *writer {
	return &writer{s: s, wake: make(chan struct{}, 1), jobs: make(chan func(context.Context))}
}

// run works until stop is closed, then writes what is left; what cannot be written by then is in the journal.
func (w *writer) run(ctx context.Context, stop <-chan struct{}) {
	tick := time.NewTicker(retentionEvery)
	defer tick.Stop()
	w.retain()
	for {
		select {
		case <-w.wake:
			w.mend()
			w.flush(ctx)
		case job := <-w.jobs:
			w.flush(ctx)
			_ = pace.Behind(func() error { job(ctx); return nil })
		case <-tick.C:
			_ = pace.Behind(func() error { w.retain(); return nil })
		case <-stop:
			w.flush(ctx)
			return
		}
	}
}

// mend puts files aside that a reader found damaged.
func (w *writer) mend() {
	l := &w.s.ledger
	l.mu.Lock()
	var bad []uint32
	for day, f := range l.days {
		if f.bad {
			bad = append(bad, day)
		}
	}
	l.mu.Unlock()
	if len(bad) == 0 {
		return
	}
	_ = pace.Behind(func() error {
		for _, day := range bad {
			w.putAside(day, ErrDamaged, w.s.durable.Load())
		}
		return nil
	})
}

// flush commits all frozen memories, in their order. When ctx has ended, a commit that fails is not tried again.
func (w *writer) flush(ctx context.Context) {
	for {
		m := w.head()
		if m == nil {
			return
		}
		if !w.resolved(m) {
			time.Sleep(resolvePoll)
			continue
		}
		err := pace.Behind(func() error {
			err := w.write(m)
			if err == nil {
				w.settled(m)
			}
			return err
		})
		if err == nil {
			continue
		}
		w.fail(err)
		if ctx.Err() != nil {
			return
		}
		pause(ctx, commitRetry)
	}
}

func (w *writer) head() *memory {
	l := &w.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.frozen) == 0 {
		return nil
	}
	return l.frozen[0]
}

func (w *writer) resolved(m *memory) bool {
	l := &w.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return m.dict.resolved >= m.needs
}

func (w *writer) fail(err error) {
	w.s.counters.commitFailures.Add(1)
	if !w.failing {
		w.s.log.Error("sightings cannot be written to their day file; they wait in memory and in the journal", "error", err)
	}
	w.failing = true
	w.s.scribe.dropOldest()
}

// settled takes a memory off the list of what is waiting.
func (w *writer) settled(m *memory) {
	if w.failing {
		w.s.log.Info("sightings are written to their day file again")
	}
	w.failing = false
	if t := w.release(m); t != nil {
		w.s.ledger.keep(t)
	}
}

// release notes that a memory is durable, and returns its table if it can be used again.
func (w *writer) release(m *memory) *table {
	l := &w.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	w.s.durable.Store(m.to)
	if len(l.frozen) > 0 && l.frozen[0] == m {
		return l.thaw()
	}
	return nil
}

// write commits a memory, day by day. A day that has it already is passed over, so that it may be called again.
func (w *writer) write(m *memory) error {
	l := &w.s.ledger
	l.mu.Lock()
	dict, book := m.dict.snapshot(), l.book.list
	l.mu.Unlock()
	w.commit.begin(m, dict, book)
	days := w.commit.days()
	for i, day := range days {
		durable := w.s.durable.Load()
		if i == len(days)-1 {
			durable = m.to
		}
		if err := w.writeDay(day, durable); err != nil {
			return err
		}
	}
	return nil
}

// writeDay commits what the current memory has of a day. A file that turns out to be damaged is put aside, once, and begun anew.
func (w *writer) writeDay(day uint32, durable uint64) error {
	if day+uint32(w.s.live.Load().RetentionDays) < w.s.today() {
		return nil // late by more than the retention: it would be dropped at once
	}
	err := w.commitDay(&w.commit, day, durable)
	if errors.Is(err, ErrDamaged) {
		w.putAside(day, err, w.commit.m.from)
		err = w.commitDay(&w.commit, day, durable)
	}
	return err
}

func (w *writer) commitDay(c *commit, day uint32, durable uint64) error {
	f, err := w.file(day, c.m.from)
	if err != nil {
		return err
	}
	applied := c.m.to
	if f.applied >= applied {
		return nil
	}
	begun := time.Now()
	t := &w.transfer
	t.begin(f, f.numberFor(c.m), &w.s.faults)
	runs, err := c.write(&t.blocks, day, t.number)
	if err == nil {
		err = t.finish(func(put putter) error {
			for i := range runs {
				if err := put(bucketRuns, runKey(runs[i].hour, runs[i].number), sealed(runs[i].encode())); err != nil {
					return err
				}
			}
			return c.writeLosses(put, day, t.number)
		}, applied, durable)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	w.s.counters.commits.Observe(time.Since(begun).Seconds())
	w.publish(f, runs, applied, durable)
	return nil
}

// publish shows readers the runs of a commit, and hides them in the memory that they came from.
func (w *writer) publish(f *dayFile, runs []runInfo, applied, durable uint64) {
	l := &w.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append(slices.Clone(f.runs), runs...)
	slices.SortFunc(all, compareRuns)
	f.runs, f.published, f.applied, f.durable = all, f.next, applied, durable
}

func compareRuns(a, b runInfo) int {
	if a.hour != b.hour {
		return int(int64(a.hour) - int64(b.hour))
	}
	return int(int64(a.number) - int64(b.number))
}

// file returns the file of a day, which it makes if there is none. One that a reader found damaged is put aside first; what it
// held of batches up to upTo is restored as far as journals go.
func (w *writer) file(day uint32, upTo uint64) (*dayFile, error) {
	l := &w.s.ledger
	l.mu.Lock()
	f := l.days[day]
	bad := f != nil && f.bad
	l.mu.Unlock()
	if bad {
		w.putAside(day, ErrDamaged, upTo)
		l.mu.Lock()
		f = l.days[day]
		l.mu.Unlock()
	}
	if f != nil {
		return f, nil
	}
	f, err := createDay(w.s.dayPath(day), day)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.days[day] = f
	return f, nil
}

// putAside takes a damaged file out of use and renames it, then restores from the journals that are still kept what it held
// of batches up to upTo. bbolt is not asked to close it: on a damaged file that can fail or wait for ever.
func (w *writer) putAside(day uint32, cause error, upTo uint64) {
	l := &w.s.ledger
	l.mu.Lock()
	f := l.days[day]
	delete(l.days, day)
	l.mu.Unlock()
	if f == nil {
		return
	}
	w.s.log.Error("damaged day file of sightings put aside", "file", f.path, "error", cause)
	w.s.setAside(f.path)
	fresh, err := createDay(w.s.dayPath(day), day)
	if err != nil {
		w.s.log.Error("day file of sightings cannot be made anew", "error", err)
		return
	}
	l.mu.Lock()
	l.days[day] = fresh
	l.mu.Unlock()
	w.s.admitDamage(day)
	if err := w.restoreDay(day, upTo); err != nil {
		w.s.log.Error("damaged day of sightings cannot be restored from journals", "error", err)
	}
}

// retain drops day files, journals and damaged files that are older than they are kept.
func (w *writer) retain() {
	now := w.s.now()
	w.s.scribe.prune(now)
	w.s.pruneQuarantine(now)
	oldest := int64(w.s.today()) - int64(w.s.live.Load().RetentionDays)
	l := &w.s.ledger
	l.mu.Lock()
	var old []*dayFile
	for day, f := range l.days {
		if int64(day) < oldest {
			old = append(old, f)
			delete(l.days, day)
		}
	}
	l.mu.Unlock()
	for _, f := range old {
		f.close()
		if err := os.Remove(f.path); err != nil {
			w.s.log.Error("old day file of sightings cannot be removed", "error", err)
			continue
		}
		w.s.log.Info("old day of sightings dropped", "day", dayName(f.day))
	}
}

// do runs job on the writer's goroutine and waits for it.
func (w *writer) do(ctx context.Context, job func() error) error {
	done := make(chan error, 1)
	select {
	case w.jobs <- func(context.Context) { done <- job() }:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.s.ended:
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) dayPath(day uint32) string {
	return filepath.Join(s.config.Dir, dayDirectory, dayName(day)+daySuffix)
}

func (s *Store) today() uint32 { return hourOf(s.now()) / hoursPerDay }
