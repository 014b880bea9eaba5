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

// reloadResult is the server at a steady rate: first left alone, then while its list is replaced again and again. Each number is of one
// slice of time.
type reloadResult struct {
	rate, count    int
	every          time.Duration // between two replacements, at least
	core           string        // of the child that compiles
	steady, during []outcome
	times          []float64 // seconds from the replacement of the list to the first answer by the new one
	deltas         *deltaResult
	witness        *witness // beside the load, during the reloads
	before, after  memory   // of the server, the child that compiles apart; the peak of after is that during the reloads
}

// sliceLen is how long one run of the load generator is, in seconds.
const sliceLen = 3.0

// slicesSteady is how many runs show the server left alone.
const slicesSteady = 10

// measureReloads asks at the flag's rate, first for a while and then until the list was replaced as often as the flag says.
func (r *rig) measureReloads(ctx context.Context) (*reloadResult, error) {
	result := &reloadResult{rate: r.rate, count: r.reloads, every: r.reloadEvery, core: r.compileCore}
	if err := r.prepareLists(); err != nil {
		return nil, err
	}
	for range slicesSteady {
		if err := r.slice(ctx, &result.steady); err != nil {
			return nil, err
		}
	}
	if err := r.server.forgetPeak(); err != nil {
		return nil, err
	}
	var err error
	if result.before, err = r.server.memory(); err != nil {
		return nil, err
	}
	if result.witness, err = r.newWitness(); err != nil {
		return nil, err
	}
	if err := r.slicesWhile(ctx, &result.during, func() error { return r.replaceWatched(ctx, result) }); err != nil {
		return nil, err
	}
	if result.after, err = r.server.memory(); err != nil {
		return nil, err
	}
	result.deltas, err = r.measureDeltas(ctx)
	return result, err
}

// slicesWhile asks at the flag's rate until what is done has ended.
func (r *rig) slicesWhile(ctx context.Context, to *[]outcome, do func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- do() }()
	for {
		select {
		case err := <-ended:
			return err
		default:
			if err := r.slice(ctx, to); err != nil {
				return err
			}
		}
	}
}

func (r *rig) slice(ctx context.Context, to *[]outcome) error {
	o, err := r.blast(ctx, "q.mix", load{server: cenoteAddr, seconds: sliceLen, rate: r.rate})
	*to = append(*to, o)
	return err
}

// replacements are lists like the server's, each with other names besides: so many of a hundred that all is merged anew.
const (
	replacements = 2
	otherNames   = 2 // of a hundred
)

func (r *rig) list() string             { return filepath.Join(r.dir, "domains.txt") }
func (r *rig) replacement(i int) string { return fmt.Sprintf("%s.%d", r.list(), i%replacements) }
func marker(i int) string               { return fmt.Sprintf("round-%d.marker.example", i%replacements) }

// prepareLists writes the replacements, so that writing them takes no time of the server nor of the load later.
func (r *rig) prepareLists() error {
	list, err := os.ReadFile(r.list())
	if err != nil {
		return err
	}
	for i := range replacements {
		others := manyNames(fmt.Sprintf("round-%d.others.example", i), r.names*otherNames/100)
		if err := writeSynced(r.replacement(i), list, others, []byte(marker(i)+"\n")); err != nil {
			return err
		}
	}
	return nil
}

// manyNames are lines of n names below one.
func manyNames(below string, n int) (lines []byte) {
	for i := range n {
		lines = fmt.Appendf(lines, "n%d.%s\n", i, below)
	}
	return lines
}

func writeSynced(path string, parts ...[]byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for _, b := range parts {
		_, e := f.Write(b)
		err = errors.Join(err, e)
	}
	return errors.Join(err, f.Sync(), f.Close())
}

// replaceWatched replaces the list while the witness looks at answers.
func (r *rig) replaceWatched(ctx context.Context, result *reloadResult) error {
	watching, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result.witness.watch(watching)
	}()
	err := r.replaceLists(ctx, result)
	end()
	<-ended
	return err
}

// replaceLists replaces the list by another, and waits for it to be served, each time.
func (r *rig) replaceLists(ctx context.Context, result *reloadResult) error {
	for i := range r.reloads {
		if err := os.Link(r.replacement(i), r.list()+".new"); err != nil {
			return err
		}
		if err := os.Rename(r.list()+".new", r.list()); err != nil {
			return err
		}
		began := time.Now()
		if err := r.server.await(ctx, marker(i), reloadPoll); err != nil {
			return err
		}
		result.times = append(result.times, time.Since(began).Seconds())
		fmt.Printf("reload %d: %.1f s\n", i+1, result.times[i])
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(began.Add(r.reloadEvery))):
		}
	}
	return nil
}

// p999 are the 99.9th percentiles of runs, in order.
func p999(runs []outcome) []float64 {
	var out []float64
	for _, o := range runs {
		out = append(out, o.P999)
	}
	slices.Sort(out)
	return out
}

func lostOf(runs []outcome) (lost, sent uint64) {
	for _, o := range runs {
		lost, sent = lost+o.Lost+o.ServFail, sent+o.Sent
	}
	return lost, sent
}

// onCore says whose core the child compiled on.
func (l *reloadResult) onCore() string {
	switch l.core {
	case "", serverCore:
		return "the server's"
	case loadCore:
		return "the load's"
	}
	return "another"
}

// pauses says how far apart the replacements were.
func (l *reloadResult) pauses() string {
	if l.every == 0 {
		return ""
	}
	return fmt.Sprintf(", one every %v at the soonest", l.every)
}

// text is the paragraph of the page.
func (l *reloadResult) text() string {
	steady, during := p999(l.steady), p999(l.during)
	lost, sent := lostOf(l.during)
	return fmt.Sprintf("\nReloads at %s queries/s, the child that compiles on %s core, while nothing else wants it: %d reloads%s, %s of %s queries lost or SERVFAIL; %s; the new list, of which %d %% are other names, "+
		"answers after %.1f s (median). p99.9 in runs of %.0f s: %.0f us left alone, %.0f us during reloads (medians of %d and %d runs; worst %.0f and %.0f us), ratio %.2f. ",
		thousands(float64(l.rate)), l.onCore(), l.count, l.pauses(), thousands(float64(lost)), thousands(float64(sent)), l.witness.text(), otherNames, median(l.times), sliceLen, median(steady), median(during),
		len(steady), len(during), steady[len(steady)-1], during[len(during)-1], median(during)/median(steady)) +
		fmt.Sprintf("Memory of the server: %.0f MiB before, reload peak %.0f MiB, %.0f MiB after; the child that compiles has its own.\n", l.before.rss/mib, l.after.peak/mib, l.after.rss/mib) +
		l.deltas.text(median(steady))
}
