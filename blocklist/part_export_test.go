package blocklist

import (
	"context"
	"os"
	"sync"
	"time"
)

// ListVersion is what reading one version of a list gave.
type ListVersion struct {
	Report  *FeedReport
	Content uint64 // the sum of the copy
	Rows    []Row
	Names   []byte // that have changed
	Changed []byte // and their rows
	Part    bool   // only what differs was read
}

// suffixesForTests are made once, since fuzzing makes many compilers.
var suffixesForTests = sync.OnceValues(func() (*suffixes, error) { return newSuffixes("") })

// ReadListVersion makes copy number of a feed, whose last good copy is kept, at the time now. whole has nothing known of the lines of the list before.
func ReadListVersion(ctx context.Context, dir string, c FeedConfig, kept, number uint64, now time.Time, whole bool) (v ListVersion, err error) {
	k := newCompiler(CompileConfig{Dir: dir, Generation: number, MergeMax: 1 << 30, Progress: func(Progress) {}})
	if k.suffixes, err = suffixesForTests(); err != nil {
		return v, err
	}
	k.now, k.partShare = func() time.Time { return now }, 1
	f := &CompileFeed{FeedConfig: c, Kept: kept, Serve: true}
	if err := os.MkdirAll(k.feedDir(c.Name), 0o750); err != nil {
		return v, err
	}
	if whole {
		os.Remove(k.lines(c.Name, kept))
	}
	previous := k.openKept(f)
	if previous != nil {
		defer previous.Close()
	}
	var result FeedResult
	rows, err := k.readOnce(ctx, f, &result, Stamp{}, previous)
	if err != nil {
		return v, err
	}
	defer rows.Close()
	v.Report, v.Content, v.Part = rows.Report(), rows.header.Content, result.Part
	if c := k.changes; c.know() {
		v.Names, v.Changed = c.names, c.rows
	}
	if err := rows.Verify(); err != nil {
		return v, err
	}
	return v, rows.All(func(r Row) bool {
		v.Rows = append(v.Rows, r)
		return true
	})
}

// LinesFile is where the marks of the list of a copy lie.
func LinesFile(dir, feed string, number uint64) string { return layout{dir}.lines(feed, number) }

// PartAgeMax is partAgeMax.
const PartAgeMax = partAgeMax

// MatchLines is matchLines; each run is its two places and its length.
func MatchLines(old, fresh []uint64, most int) (runs [][3]int, ok bool) {
	found, ok := matchLines(old, fresh, most)
	for _, r := range found {
		runs = append(runs, [3]int{int(r.old), int(r.fresh), int(r.n)})
	}
	return runs, ok
}
