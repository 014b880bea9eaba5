package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// scaleRow is one row of the scaling table: what is measured, and what was found.
type scaleRow struct {
	what        string // what grows
	size        int    // to what
	names       int    // length of the list
	cache       int    // answers in the cache; 0: those of the usual load
	feeds       int    // among which the list is split; 0: one
	zones       int    // policy zones; 0: one
	lastDecides bool   // only the last zone holds the list
	views       int    // groups of clients with a policy of their own; 0: none

	failed        error         // why it could not be measured
	cold, restart time.Duration // from the start to the first answer by policy, without and with a compiled file
	octets        float64       // of the compiled file, a name
	started       memory        // of the server before any load
	loaded        memory        // and after all
	hits, cached  *loadResult   // nil: not part of the row
}

// cacheEach is how much room the cache is given for an answer, in octets: more than it needs, so that none has to go.
const cacheEach = 256

// cacheDefault is the size of the cache by default, in octets.
const cacheDefault = 256 << 20

// settleRSS is how long a server is left alone before its memory is read, so that what the start left over is gone.
const settleRSS = 2 * time.Second

// observedMax is how many matches of one query are counted beside the one that decides: policy.HitsMax.
const observedMax = 8

// measure fills in a row.
func (b *scaleBench) measure(ctx context.Context, row *scaleRow) (err error) {
	s, err := b.prepare(ctx, row)
	if err != nil {
		return err
	}
	own := *b.options
	own.names = row.names
	r := &rig{options: &own, tools: b.tools, setup: s, dir: b.dir, next: map[string]uint64{}}
	if r.server, err = startCenote(ctx, &own, s); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.server.stop()) }()
	row.cold = r.server.ready
	fmt.Printf("served from the text after %.1f s\n", row.cold.Seconds())
	if err := r.restart(ctx, s); err != nil {
		return err
	}
	row.restart = r.server.ready
	if row.octets, err = r.octetsOfName(ctx); err != nil {
		return err
	}
	time.Sleep(settleRSS)
	if row.started, err = r.server.memory(); err != nil {
		return err
	}
	if err := row.load(ctx, r); err != nil {
		return err
	}
	row.loaded, err = r.server.memory()
	return err
}

// load runs the loads of the row. A row about the cache is not about listed names.
func (row *scaleRow) load(ctx context.Context, r *rig) (err error) {
	hits, cached := kindNamed("hits"), kindNamed("cached")
	if row.zones > 1 && !row.lastDecides {
		hits.matchedMax = 1 + observedMax
	}
	if row.cache > 0 {
		cached.file, cached.warm = cacheFile, cacheWarmFile
	} else if row.hits, err = r.measureLoad(ctx, hits); err != nil {
		return fmt.Errorf("hits: %w", err)
	}
	if row.cached, err = r.measureLoad(ctx, cached); err != nil {
		return fmt.Errorf("cached: %w", err)
	}
	return nil
}

func kindNamed(name string) kind {
	return kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })]
}

// octetsOfName is the size of the newest compiled file, for each of its names.
func (r *rig) octetsOfName(ctx context.Context) (float64, error) {
	files, err := filepath.Glob(filepath.Join(r.dir, "state", "*", "policy", "*.index"))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("the server has no compiled file: %w", cmp.Or(err, os.ErrNotExist))
	}
	newest := int64(0)
	size := 0.0
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.ModTime().UnixNano() > newest {
			newest, size = info.ModTime().UnixNano(), float64(info.Size())
		}
	}
	now, err := r.server.metrics(ctx)
	if err != nil {
		return 0, err
	}
	return size / now["cenote_blocklist_names"], nil
}
