package sighting

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/zeebo/xxh3"
	"go.etcd.io/bbolt"
)

// Export is everything that the ledger holds about one client.
type Export struct {
	Client    netip.Addr `json:"client"`
	Made      time.Time  `json:"made"`
	Sightings []Sighting `json:"sightings"` // with their hours
	Losses    []Loss     `json:"losses"`    // in which matches of the client may have been counted
}

// Erasure says what Erase removed.
type Erasure struct {
	Client   netip.Prefix `json:"client"` // the network of the client: an audit must not bring back what was erased
	Rows     int          `json:"rows"`   // of day files
	Days     int          `json:"days"`   // day files rewritten
	Journals int          `json:"journals"`
	Firsts   int          `json:"firsts"` // lines of the file of first sightings
	// Quarantined are the damaged files that were put aside. They may hold the client and cannot be rewritten; they go with the retention, or by hand.
	Quarantined int `json:"quarantined,omitempty"`
}

// Export returns everything about one client, and notes in the audit file that by asked for it.
func (s *Store) Export(ctx context.Context, client netip.Addr, by string) (Export, error) {
	client = client.Unmap()
	out := Export{Client: client, Made: s.now().UTC(), Sightings: []Sighting{}, Losses: []Loss{}}
	f := Filter{Client: netip.PrefixFrom(client, client.BitLen()), Hours: true}
	for g, err := range s.All(ctx, f) {
		if err != nil {
			return Export{}, err
		}
		out.Sightings = append(out.Sightings, g)
	}
	all, err := s.Losses(ctx, time.Time{})
	if err != nil {
		return Export{}, err
	}
	for _, l := range all {
		if !l.Client.IsValid() || l.Client.Contains(client) {
			out.Losses = append(out.Losses, l)
		}
	}
	as16 := client.As16()
	return out, s.audit("export", by, Erasure{Client: prefixOf(&as16), Rows: len(out.Sightings)})
}

// Erase removes one client from day files, memory, journals and the file of first sightings: files that hold it are written
// anew, so that nothing of it is left in free pages. It needs the Store's Run, and room for a copy of the largest day. What
// is recorded while it works stays. by goes into the audit file. Losses name only networks, and stay. Damaged files in the quarantine stay too, and
// are counted. When ctx ends it stops between two files.
func (s *Store) Erase(ctx context.Context, client netip.Addr, by string) (Erasure, error) {
	e := &eraser{s: s, client: client.As16()}
	e.done.Client = prefixOf(&e.client)
	if err := s.settle(ctx); err != nil {
		return Erasure{}, fmt.Errorf("erasing a client: %w", err)
	}
	// The writer tells the audit, since whoever asked may be gone by then.
	err := s.writer.do(ctx, func() error {
		if err := e.run(ctx); err != nil {
			return errors.Join(err, s.audit("erase failed", by, e.done))
		}
		return s.audit("erase", by, e.done)
	})
	if err == nil {
		err = s.forget(ctx, e)
	}
	if err != nil {
		return Erasure{}, fmt.Errorf("erasing a client: %w", err)
	}
	return e.done, nil
}

// ErrBusy is wrapped by the errors of what has to wait until the disk takes what was recorded: it may be tried again.
var ErrBusy = errors.New("sightings wait for the disk; try again when it takes them")

// settle brings everything that was committed before out of the rings and the table of the hour, and closes the journal's segment.
func (s *Store) settle(ctx context.Context) error {
	closed, busy := make(chan struct{}), false
	err := s.ask(ctx, func() {
		c := s.collector
		c.drain(s.now())
		c.seal()
		s.ledger.mu.Lock()
		c.freeze(s.now())
		s.ledger.mu.Unlock()
		busy = !c.endSegment(closed)
	})
	if err != nil {
		return err
	}
	if busy {
		return ErrBusy
	}
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask has f done by the collector.
func (s *Store) ask(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case s.collector.asked <- func() { f(); close(done) }:
		<-done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return ErrClosed
	}
}

// forget makes the client's families news again.
func (s *Store) forget(ctx context.Context, e *eraser) error {
	return s.ask(ctx, func() {
		for family := range e.families {
			if day, _ := s.collector.known.get(pairHash(xxh3.HashStringSeed(family, s.seed), &e.client, 0, 0)); day != nil {
				*day = 0
			}
		}
	})
}

// eraser removes one client. It works on the writer's goroutine.
type eraser struct {
	s        *Store
	client   [16]byte
	families map[string]bool
	done     Erasure
}

// run ends between two files if nobody waits for it any more.
func (e *eraser) run(ctx context.Context) error {
	if e.s.writer.head() != nil {
		return ErrBusy
	}
	e.families = map[string]bool{}
	l := &e.s.ledger
	l.mu.Lock()
	var days []*dayFile
	for _, f := range l.days {
		days = append(days, f)
	}
	l.mu.Unlock()
	for _, f := range days {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.day(f); err != nil {
			return err
		}
	}
	if err := e.journals(ctx); err != nil {
		return err
	}
	quarantined, err := listQuarantine(e.s.config.Dir)
	e.done.Quarantined = len(quarantined)
	return errors.Join(err, e.firsts())
}

func (e *eraser) day(f *dayFile) error {
	held, err := e.holds(f)
	if err != nil || !held {
		return err
	}
	n, err := e.s.writer.rewrite(f, e.client)
	if err != nil {
		return err
	}
	e.done.Rows += n
	e.done.Days++
	return nil
}

// holds reports whether a day has anything of the client, and learns its families.
func (e *eraser) holds(f *dayFile) (bool, error) {
	held := false
	for _, info := range f.runs {
		r, err := newRunReader(f, f.version, info, e.client, e.client)
		if err != nil {
			return false, err
		}
		ok, err := r.next()
		if err != nil {
			return false, err
		}
		held = held || ok
	}
	err := eachBlock(f, bucketFirst, nil, func(_, v []byte) error {
		return readFirsts(v, func(o firstSeen, family []byte) error {
			if o.client == e.client {
				held = true
				e.families[string(family)] = true
			}
			return nil
		})
	})
	return held, err
}

// rewrite copies a day file without a client and puts the copy in its place. It returns how many rows were left out.
func (w *writer) rewrite(f *dayFile, without [16]byte) (dropped int, err error) {
	g, err := unnamedDay(f.path, f.day)
	if err != nil {
		return 0, err
	}
	temporary := g.path
	defer func() {
		if err != nil {
			g.close()
			os.Remove(temporary)
		}
	}()
	for _, info := range f.runs {
		n, err := copyRun(g, f, info, without)
		if err != nil {
			return 0, err
		}
		dropped += n
	}
	if err := copyLists(g, f, without); err != nil {
		return 0, err
	}
	g.next = f.next
	if err := g.update(func(tx *bbolt.Tx) error { return g.putProgress(tx, f.applied, f.durable) }); err != nil {
		return 0, err
	}
	if err := g.moveTo(f.path); err != nil {
		return 0, err
	}
	w.exchange(f, g)
	return dropped, nil
}

// exchange gives f the database and the runs of g, and closes its own.
func (w *writer) exchange(f, g *dayFile) {
	w.s.ledger.mu.Lock()
	defer w.s.ledger.mu.Unlock()
	f.mu.Lock()
	f.db, g.db = g.db, f.db
	f.format = g.format

	f.version++
	f.mu.Unlock()
	f.runs = g.runs
	if err := g.close(); err != nil {
		w.s.log.Error("day file of sightings cannot be closed", "file", f.path, "error", err)
	}
}

// copyRun copies a run from f to g, but for the rows of one client. Terms keep their numbers.
func copyRun(g, f *dayFile, info runInfo, without [16]byte) (dropped int, err error) {
	r, err := newRunReader(f, f.version, info, [16]byte{}, lastClient)
	if err != nil {
		return 0, err
	}
	key := runKey(info.hour, info.number)
	err = g.update(func(tx *bbolt.Tx) error {
		var to packer
		to.begin(g, g.putInto(tx), packOctets)
		w := newRunWriter(&to, info.hour, info.number)
		for {
			ok, err := r.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if r.row.client == without {
				dropped++
				continue
			}
			if err := w.add(&r.row); err != nil {
				return err
			}
		}
		if w.info.rows == 0 {
			return nil
		}
		w.info.terms = info.terms
		if err := errors.Join(w.endRows(), copyBlocks(&to, f, bucketTerms, key), copyBlocks(&to, f, bucketRules, key)); err != nil {
			return err
		}
		g.runs = append(g.runs, w.info)
		return to.put(bucketRuns, key, sealed(w.info.encode()))
	})
	return dropped, err
}

// copyBlocks copies the blocks of a bucket of f whose keys begin with prefix.
func copyBlocks(to *packer, f *dayFile, bucket, prefix []byte) error {
	err := eachBlock(f, bucket, prefix, func(k, v []byte) error {
		if _, err := opened(v); err != nil {
			return err
		}
		return to.add(bucket, k, v)
	})
	return errors.Join(err, to.flush())
}

func copyLists(g, f *dayFile, without [16]byte) error {
	return g.update(func(tx *bbolt.Tx) error {
		var to packer
		to.begin(g, g.putInto(tx), packOctets)
		if err := copyBlocks(&to, f, bucketLosses, nil); err != nil {
			return err
		}
		return eachBlock(f, bucketFirst, nil, func(k, v []byte) error {
			var b []byte
			err := readFirsts(v, func(o firstSeen, family []byte) error {
				if o.client != without {
					b = appendFirst(b, &o, string(family))
				}
				return nil
			})
			if err != nil || len(b) == 0 {
				return err
			}
			return tx.Bucket(bucketFirst).Put(k, sealed(b))
		})
	})
}

// journals rewrites the segments that hold the client, but for the one that is being written, which was begun later.
func (e *eraser) journals(ctx context.Context) error {
	s := e.s.scribe
	s.mu.Lock()
	list := append([]segment(nil), s.segments...)
	if s.file != nil {
		list = list[:len(list)-1]
	}
	s.mu.Unlock()
	for _, g := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := g.path(s.dir)
		held, err := journalHolds(path, e.client)
		if err != nil && !errors.Is(err, errJournal) && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if !held {
			continue
		}
		err = rewriteJournal(path, e.client)
		if errors.Is(err, os.ErrNotExist) {
			continue // it was removed to make room
		}
		if err := errors.Join(err, s.rewrote(g.first)); err != nil {
			return err
		}
		e.done.Journals++
	}
	return nil
}

func journalHolds(path string, client [16]byte) (held bool, err error) {
	_, err = readJournalFile(path, func(_ *segmentHeader, b *batch) error {
		return b.eachRow(func(r *row) error {
			held = held || r.client == client
			return nil
		})
	})
	return held, err
}

// rewriteJournal copies the good part of a segment without a client, and puts the copy in its place.
func rewriteJournal(path string, without [16]byte) error {
	var out []byte
	_, err := readJournalFile(path, func(h *segmentHeader, b *batch) error {
		if out == nil {
			out = h.encode()
		}
		kept := *b
		kept.rows = nil
		err := b.eachRow(func(r *row) error {
			if r.client != without {
				kept.addRow(r)
			}
			return nil
		})
		out = kept.appendFrame(out, h.run)
		return err
	})
	if err != nil && !errors.Is(err, errJournal) {
		return err
	}
	return replaceFile(path, out)
}

// replaceFile puts b in the place of a file, whole or not at all.
func replaceFile(path string, b []byte) error {
	temporary := path + ".new"
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		os.Remove(temporary)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// firsts rewrites the file of first sightings.
func (e *eraser) firsts() error {
	a := e.s.announcer
	a.drain()
	client := clientAddr(&e.client)
	var err error
	e.done.Firsts, err = a.out.rewrite(func(line []byte) bool {
		var f struct{ Client netip.Addr }
		return json.Unmarshal(line, &f) != nil || f.Client != client
	})
	return err
}

// rewriteLines passes each line of a file through keep.
func rewriteLines(path string, keep func(line []byte) bool) (dropped int, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var out []byte
	for line := range bytes.Lines(b) {
		if keep(line) {
			out = append(out, line...)
		} else {
			dropped++
		}
	}
	if dropped == 0 {
		return 0, nil
	}
	return dropped, replaceFile(path, out)
}

// auditEntry is a line of the audit file.
type auditEntry struct {
	Time   time.Time `json:"time"`
	Action string    `json:"action"` // export, erase, erase failed
	By     string    `json:"by"`
	Erasure
}

// audit appends to the file that says who had what exported and erased. It names networks, not clients.
func (s *Store) audit(action, by string, e Erasure) error {
	line, err := json.Marshal(auditEntry{Time: s.now().UTC(), Action: action, By: by, Erasure: e})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.config.Dir, "audit.jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the audit of sightings: %w", err)
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}
