package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The small feed beside the list.
const (
	smallFile  = "small.txt"
	smallNames = 1000
)

// deltaResult is the server at a steady rate while the names of the small feed are replaced by others again and again.
type deltaResult struct {
	during []outcome
	deltas int       // how many of the changes were served as a delta
	live   []float64 // milliseconds from when the feed was seen to rest until queries met the new policy, as the server tells
	times  []float64 // milliseconds from the replacement of the file to the first answer by it
}

// writeSmall puts the names of a round into the small feed.
func writeSmall(dir string, round int) error {
	path := filepath.Join(dir, smallFile)
	if err := writeSynced(path+".new", manyNames(smallSuffix(round), smallNames)); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func smallSuffix(round int) string { return fmt.Sprintf("small-%d.example", round) }

// measureDeltas replaces the small feed as often as the flag says how often the list is.
func (r *rig) measureDeltas(ctx context.Context) (*deltaResult, error) {
	result := &deltaResult{}
	before, err := r.server.metrics(ctx)
	if err != nil {
		return nil, err
	}
	err = r.slicesWhile(ctx, &result.during, func() error { return r.replaceSmall(ctx, result) })
	if err != nil {
		return nil, err
	}
	after, err := r.server.metrics(ctx)
	if err != nil {
		return nil, err
	}
	const deltas = "cenote_blocklist_deltas_total"
	result.deltas = int(after[deltas] - before[deltas])
	if result.deltas < r.reloads-1 { // the first one may have the delta of the list put into an index
		err = fmt.Errorf("of %d changes of the small feed %d were served as a delta", r.reloads, result.deltas)
	}
	return result, err
}

// deltaPause is how long the server is left alone between two changes.
const deltaPause = 1500 * time.Millisecond

func (r *rig) replaceSmall(ctx context.Context, result *deltaResult) error {
	for i := range r.reloads {
		if err := writeSmall(r.dir, i+1); err != nil {
			return err
		}
		began := time.Now()
		if err := r.server.await(ctx, "n0."+smallSuffix(i+1), reloadPoll); err != nil {
			return err
		}
		result.times = append(result.times, 1000*time.Since(began).Seconds())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(deltaPause):
		}
		now, err := r.server.metrics(ctx)
		if err != nil {
			return err
		}
		live, ok := now["cenote_blocklist_publish_seconds"]
		if !ok {
			return errors.New("the server does not tell how long a publication took")
		}
		result.live = append(result.live, 1000*live)
	}
	return nil
}

// text is a paragraph of the page; steady is the p99.9 of the server left alone.
func (d *deltaResult) text(steady float64) string {
	during := p999(d.during)
	lost, sent := lostOf(d.during)
	return fmt.Sprintf("\nA small feed beside the list, whose %s names are replaced by others, at the same rate: %d times, %d served as a delta, %s of %s queries lost or SERVFAIL; "+
		"live %.0f ms after the file was seen to rest (median; worst %.0f), %.0f ms after it was replaced. p99.9 meanwhile: %.0f us (median of %d runs; worst %.0f), ratio %.2f.\n",
		thousands(smallNames), len(d.live), d.deltas, thousands(float64(lost)), thousands(float64(sent)), median(d.live), slices.Max(d.live), median(d.times),
		median(during), len(during), during[len(during)-1], median(during)/steady)
}
