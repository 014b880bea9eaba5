package zone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cenote/dnsname"
	"cenote/pace"
)

// Copy is a zone that is taken from primaries for somebody else than those who ask for its names: no Keeper publishes it. A journal in a directory of its
// own keeps it over a restart. Methods may be called by many at once; looks come one after the other.
type Copy struct {
	apex   dnsname.Name
	bounds HistoryBounds
	now    func() time.Time

	look    sync.Mutex // held by the look under way
	journal *journal   // guarded by look

	mu      sync.Mutex // guards what follows
	zone    *Zone      // nil before the first
	history *History
}

// CopyLook says how a Copy is brought up to date.
type CopyLook struct {
	// Primaries are asked in this order, until one has an answer that can be taken.
	Primaries []Primary
	// Bounds are those of one transfer.
	Bounds TransferBounds
	// Told is whether somebody says that there is something new: then primaries are asked until one has it.
	Told bool
	// Older takes a version whose serial goes back.
	Older bool
	// Changing is told of a difference that has come and fits, before the version that it leads to is made, which takes longer. Nil: nobody asks.
	Changing func(*Change)
}

// Taken is the version of a zone that a look leads to.
type Taken struct {
	Zone    *Zone
	Primary string // that confirmed it or gave it
	Octets  int64  // of the messages of the transfer; 0: there was nothing newer
	Steps   int    // differences that it took; 0: the zone came whole, or is as it was
	Fresh   bool   // it is another version than before
	// Unkept is why the version will not outlast the server, or nil.
	Unkept error
}

// OpenCopy finds what a former run kept of a zone in dir, which is made if it is not there. What else lies in dir is removed: it is of another zone.
func OpenCopy(dir string, apex dnsname.Name, now func() time.Time) (*Copy, error) {
	c := &Copy{apex: apex.Canonical(), now: now, bounds: HistoryBounds{}.withDefaults()}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("making the directory of a journal: %w", err)
	}
	if err := removeOthers(dir, journalPath(dir, c.apex)); err != nil {
		return nil, fmt.Errorf("removing former journals: %w", err)
	}
	var j *journal
	var had recorded
	err := pace.Behind(func() (err error) {
		j, had, err = openJournal(journalPath(dir, c.apex), c.apex)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the journal of a zone: %w", err)
	}
	c.journal, c.zone = j, had.zone
	if had.zone != nil {
		c.history = newHistory(had.steps, c.bounds)
	}
	return c, nil
}

func removeOthers(dir, path string) error {
	all, err := os.ReadDir(dir)
	for _, e := range all {
		if other := filepath.Join(dir, e.Name()); other != path && !e.IsDir() {
			if gone := os.Remove(other); !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}
	return err
}

// Name is the apex.
func (c *Copy) Name() dnsname.Name { return c.apex }

// Present is the version that there is, nil before the first, and the history that leads to it.
func (c *Copy) Present() (*Zone, *History) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.zone, c.history
}

// Look asks the primaries for what is new, and keeps it. An error leaves all as it is; it has what each primary said.
func (c *Copy) Look(ctx context.Context, l *CopyLook) (Taken, error) {
	c.look.Lock()
	defer c.look.Unlock()
	var taken Taken
	err := askEach(ctx, l.Primaries, l.Told, func(p *Primary) (bool, error) {
		got, err := c.take(ctx, l, p)
		if err == nil {
			taken = got
		}
		return got.Fresh, err
	})
	return taken, err
}

// take asks one primary.
func (c *Copy) take(ctx context.Context, l *CopyLook, p *Primary) (Taken, error) {
	present, _ := c.Present()
	t := &transfer{apex: c.apex, primary: p, bounds: l.Bounds, older: l.Older, changing: l.Changing, now: c.now}
	next, err := t.run(ctx, present)
	if err != nil {
		return Taken{}, err
	}
	out := Taken{Zone: next, Primary: p.String(), Fresh: next != present}
	if out.Fresh {
		out.Octets, out.Steps = t.octets, t.steps
		out.Unkept = c.keep(present, next)
	}
	return out, nil
}

// keep makes next the present version, and returns why it is not in the journal. look is held.
func (c *Copy) keep(present, next *Zone) (err error) {
	_, history := c.Present()
	behind(int64(len(next.data)), func() {
		var p pace.Pace
		step := stepBetween(present, next, p.Look)
		if step == nil {
			history = nil
		} else if history = history.with(step, c.bounds); len(history.steps) == 0 {
			step = nil // too large to be kept
		}
		err = c.journal.record(step, history, next, true)
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.zone, c.history = next, history
	return err
}

// stepBetween is the step from one version of a zone to another; nil if there is none that a history keeps: it is too large, or the serial goes back, and
// nobody who has a later version asks for it. look is called every few microseconds of work.
func stepBetween(before, next *Zone, look func()) *Step {
	if before == nil || before.serial == next.serial || isBefore(next.serial, before.serial) {
		return nil
	}
	most := min(historyRecordsMax, max(next.records, 1000))
	d, ok := compareDerived(before, next)
	if !ok {
		d, ok = compare(before, next, most, look)
	}
	if !ok || len(d.Removed)+len(d.Added) > most {
		return nil
	}
	return newStep(&d, next)
}

// Timers are the times of the SOA record: how long after a look the next one comes, after one that failed, and how long the zone counts without any.
func (z *Zone) Timers() (refresh, retry, expire time.Duration) {
	return within(z.timer(refreshAt)), within(z.timer(retryAt)), z.timer(expireAt)
}

// Sum stands for the version: that with another one has other records, or another serial.
func (z *Zone) Sum() string {
	s := sumOf(z)
	return fmt.Sprintf("%d-%08x-%d", z.serial, s.crc, s.size)
}

// askEach asks primaries in turn until one has an answer. Whoever was told that there is something new asks on until one has it.
func askEach(ctx context.Context, primaries []Primary, told bool, take func(*Primary) (changed bool, err error)) error {
	var failures []error
	confirmed := false
	for i := range primaries {
		p := &primaries[i]
		changed, err := take(p)
		switch {
		case ctx.Err() != nil:
			return err
		case err != nil:
			failures = append(failures, fmt.Errorf("%v: %w", p, err))
		case changed || !told:
			return nil
		default:
			confirmed = true
		}
	}
	if confirmed {
		return nil
	}
	return errors.Join(failures...)
}
