package sighting

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Names are the feeds and the policy zones that the ledger knows, in order.
type Names struct{ Feeds, Zones []string }

// Names returns the feeds and policy zones of which something was recorded within the retention, a loss among it, and those of which something was recorded
// since the start. It reads what the runs of the day files say of their rules, and no row.
func (s *Store) Names(ctx context.Context) (Names, error) {
	feeds, zones := map[string]bool{}, map[string]bool{}
	add := func(r *rule) { feeds[r.feed], zones[r.zone] = true, true }
	for try := 1; ; try++ {
		err := s.eachRule(ctx, add)
		if err == nil {
			break
		}
		if !errors.Is(err, errMoved) || s.isEnded() || try == pageRestartsMax {
			return Names{}, fmt.Errorf("reading the feeds and zones of sightings: %w", err)
		}
	}
	losses, err := s.Losses(ctx, time.Time{})
	for _, l := range losses {
		feeds[l.Feed], zones[l.Zone] = true, true
	}
	delete(feeds, "")
	delete(zones, "")
	return Names{slices.Sorted(maps.Keys(feeds)), slices.Sorted(maps.Keys(zones))}, err
}

// eachRule calls visit for the rules in memory and those of all runs. A day file that is found damaged is left out, and put aside.
func (s *Store) eachRule(ctx context.Context, visit func(*rule)) error {
	l := &s.ledger
	l.mu.Lock()
	book := l.book.list[:len(l.book.list):len(l.book.list)] // which only grows
	var runs []runView
	for _, f := range l.days {
		if f.bad {
			continue
		}
		for _, info := range f.runs {
			runs = append(runs, runView{file: f, version: f.versionNow(), info: info})
		}
	}
	l.mu.Unlock()
	for i := range book {
		visit(&book[i])
	}
	for _, o := range runs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := o.eachRule(visit); err != nil && !s.suspect(o.file, err) {
			return err
		}
	}
	return nil
}

func (o runView) eachRule(visit func(*rule)) error {
	return o.file.viewVersion(o.version, func(tx *bbolt.Tx) error {
		rules, err := readRules(tx.Bucket(bucketRules).Get(runKey(o.info.hour, o.info.number)))
		for i := range rules {
			visit(&rules[i])
		}
		return err
	})
}
