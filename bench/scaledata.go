package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files of questions of a row about the cache.
const (
	cacheFile     = "q.cache"
	cacheWarmFile = "q.cache.warm"
)

// unused are files that gen makes and no row needs; those of long lists take gigabytes.
var unused = [...]string{"hosts", "rpz.zone", "unbound.conf", "dnsmasq.servers", "adblock.txt", "q.miss", "up.zone"}

// prepare lays out what the row needs, with no state of a server, and says how the server is to be started.
func (b *scaleBench) prepare(ctx context.Context, row *scaleRow) (*setup, error) {
	if err := os.RemoveAll(filepath.Join(b.dir, "state")); err != nil {
		return nil, err
	}
	if err := b.list(ctx, row.names); err != nil {
		return nil, err
	}
	s := &setup{dir: b.dir, upstream: b.upstream, views: row.views}
	if row.cache > 0 {
		s.cache = max(cacheDefault, row.cache*cacheEach)
		if err := writeClean(b.dir, row.cache, cacheFile, cacheWarmFile); err != nil {
			return nil, err
		}
	}
	if row.feeds > 1 {
		var err error
		if s.feeds, err = splitList(b.dir, row.names, row.feeds); err != nil {
			return nil, err
		}
	}
	if row.zones > 1 {
		return s, addZones(s, row)
	}
	return s, nil
}

// list makes the list of n names and its questions, unless they are what lies there.
func (b *scaleBench) list(ctx context.Context, n int) error {
	if b.made == n {
		return nil
	}
	b.made = 0
	if err := os.RemoveAll(b.dir); err != nil {
		return err
	}
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		return err
	}
	fmt.Printf("making a list of %s names\n", thousands(float64(n)))
	if err := b.tools.makeData(ctx, n, b.dir); err != nil {
		return err
	}
	for _, name := range unused {
		os.Remove(filepath.Join(b.dir, name)) // the worst that can come of it is a full disk, which says so itself
	}
	b.made = n
	return nil
}

// addZones gives the row's number of zones. Each holds the list, so that the first one decides; or all but the last hold another list,
// of one name, so that each of them is asked before the last one decides.
func addZones(s *setup, row *scaleRow) error {
	s.feeds = []feed{{"bench", "domains.txt"}}
	held := "bench"
	if row.lastDecides {
		held = "other"
		s.feeds = append(s.feeds, feed{"other", "other.txt"})
		if err := os.WriteFile(filepath.Join(s.dir, "other.txt"), []byte("name.other.example\n"), 0o644); err != nil {
			return err
		}
	}
	for range row.zones - 1 {
		s.zones = append(s.zones, []string{held})
	}
	s.zones = append(s.zones, []string{"bench"})
	return nil
}

// splitList splits the list of n names into so many feeds, each a part of it in one piece.
func splitList(dir string, n, parts int) (feeds []feed, err error) {
	list, err := os.Open(filepath.Join(dir, "domains.txt"))
	if err != nil {
		return nil, err
	}
	defer list.Close()
	lines := bufio.NewReaderSize(list, 1<<20)
	for i := range parts {
		f := feed{fmt.Sprintf("feed-%d", i+1), fmt.Sprintf("feed-%d.txt", i+1)}
		if err := copyLines(filepath.Join(dir, f.file), lines, n*(i+1)/parts-n*i/parts); err != nil {
			return nil, fmt.Errorf("splitting the list: %w", err)
		}
		feeds = append(feeds, f)
	}
	return feeds, nil
}

func copyLines(path string, from *bufio.Reader, n int) error {
	var b bytes.Buffer
	for range n {
		line, err := from.ReadSlice('\n')
		if err != nil && !(errors.Is(err, io.EOF) && len(line) > 0) {
			return err
		}
		b.Write(line)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}
