package blocklist

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"sync"
	"time"

	"cenote/dnsname"
)

// ListVersion is what reading one version of a list gave.
type ListVersion struct {
	Report  *FeedReport
	Content uint64 // the sum of the copy
	Rows    []Row
	Names   []byte // that have changed
	Changed []byte // and their rows
	Part    bool   // only what differs was read
	Layer   bool   // the copy is a layer
}

// Reading is how a version of a list is read.
type Reading struct {
	// Whole has nothing known of the lines of the list before.
	Whole bool
	// LayerShare is listLayerShare, for lists of any length. Default: 0, no layers.
	LayerShare int
}

// suffixesForTests are made once, since fuzzing makes many compilers.
var suffixesForTests = sync.OnceValues(func() (*suffixes, error) { return newSuffixes("") })

// ReadListVersion makes copy number of a feed, whose last good copy is kept, at the time now.
func ReadListVersion(ctx context.Context, dir string, c FeedConfig, kept, number uint64, now time.Time, how Reading) (v ListVersion, err error) {
	k := newCompiler(CompileConfig{Dir: dir, Generation: number, MergeMax: 1 << 30, Progress: func(Progress) {}})
	if k.suffixes, err = suffixesForTests(); err != nil {
		return v, err
	}
	k.now, k.partShare = func() time.Time { return now }, 1
	if k.layerFrom, k.layerShare = 0, how.LayerShare; how.LayerShare == 0 {
		k.layerFrom = math.MaxInt
	}
	f := &CompileFeed{FeedConfig: c, Kept: kept, Serve: true}
	if err := os.MkdirAll(k.feedDir(c.Name), 0o750); err != nil {
		return v, err
	}
	if how.Whole {
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
	v.Report, v.Content, v.Part, v.Layer = rows.Report(), rows.header.Content, result.Part, rows.IsLayer()
	if c := k.changes; c.know() {
		v.Names, v.Changed = c.names, c.rows
	}
	if err := rows.Verify(); err != nil {
		return v, err
	}
	err = rows.All(func(r Row) bool {
		v.Rows = append(v.Rows, r)
		return true
	})
	return v, errors.Join(err, v.findAll(rows))
}

// findAll reports whether the rows of each name are found as they come in order, and none of changed names that are not listed.
func (v *ListVersion) findAll(r *Rows) error {
	rest := v.Rows
	for len(rest) > 0 {
		n := 1
		for n < len(rest) && rest[n].Name == rest[0].Name {
			n++
		}
		if found, err := r.Find([]byte(rest[0].Name)); err != nil || !reflect.DeepEqual(found, rest[:n]) {
			return fmt.Errorf("%s: found are %+v, %v; want %+v", rest[0].Name, found, err, rest[:n])
		}
		rest = rest[n:]
	}
	seeker, listed := r.seeker(), map[dnsname.Name][]Row{}
	for _, row := range v.Rows {
		listed[row.Name] = append(listed[row.Name], row)
	}
	for names := v.Names; len(names) > 0; {
		n, _, err := dnsname.Check(names)
		if err != nil {
			return err
		}
		name := names[:n]
		raw, err := seeker.find(name, nameHash(name))
		if err != nil {
			return err
		}
		if found, err := r.resolve(name, raw); err != nil || len(found) != len(listed[dnsname.Name(name)]) || len(found) > 0 && !reflect.DeepEqual(found, listed[dnsname.Name(name)]) {
			return fmt.Errorf("%s has changed: found are %+v, %v; want %+v", dnsname.Name(name), found, err, listed[dnsname.Name(name)])
		}
		names = names[n:]
	}
	return nil
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
