package querylog

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// archiveRetry is how long a compression that failed is left alone.
const archiveRetry = time.Minute

// archiver compresses finished files, one at a time, and removes those beyond the number that is kept.
type archiver struct {
	log  *Log
	wake chan struct{}
}

func newArchiver(l *Log) *archiver { return &archiver{log: l, wake: make(chan struct{}, 1)} }

// tidy asks for a look at the finished files. It never waits.
func (a *archiver) tidy() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run tidies when asked, until ctx ends. A compression under way is given up then; it is begun anew after the next start.
func (a *archiver) run(ctx context.Context) {
	a.tidy()
	retry := time.NewTicker(archiveRetry)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-retry.C:
		}
		if err := a.work(ctx, a.log.config.Load()); err != nil && ctx.Err() == nil {
			a.log.counters.archiveErrors.Add(1)
			a.log.config.Load().Log.Warn("tidying the finished files of the query log; it is tried again", "err", err)
		}
	}
}

func (a *archiver) work(ctx context.Context, c *Config) error {
	if c.Path == "" {
		return nil
	}
	finished, err := finishedFiles(c.Path)
	if err != nil {
		return err
	}
	var failed []error
	for i, name := range finished {
		switch {
		case len(finished)-i > c.Rotate.Keep:
			failed = append(failed, os.Remove(name))
		case c.Compression != CompressionNone && !packed(name):
			failed = append(failed, pack(ctx, name, c.Compression))
		}
	}
	return errors.Join(failed...)
}

// finishedFiles lists the finished files of a log, oldest first. What an earlier run left half packed is removed.
func finishedFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		if !ok || len(rest) < len(finishedLayout) {
			continue
		}
		if _, err := time.Parse(finishedLayout, rest[:len(finishedLayout)]); err != nil {
			continue
		}
		name := filepath.Join(filepath.Dir(path), e.Name())
		if strings.HasSuffix(name, partSuffix) {
			_ = os.Remove(name)
			continue
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out, err
}

const partSuffix = ".part"

func packed(name string) bool {
	return strings.HasSuffix(name, CompressionGzip.suffix()) || strings.HasSuffix(name, CompressionZstd.suffix())
}

// pack replaces a file by its compressed form: written under another name, synced, renamed, and only then is the plain one removed.
func pack(ctx context.Context, name string, c Compression) error {
	from, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	part := name + c.suffix() + partSuffix
	to, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	err = errors.Join(compressTo(to, &stoppable{ctx, from}, c), to.Sync(), to.Close())
	if err == nil {
		err = os.Rename(part, name+c.suffix())
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Remove(name)
}

func compressTo(to io.Writer, from io.Reader, c Compression) error {
	var packer io.WriteCloser
	switch c {
	case CompressionNone:
		return errors.New("query log: nothing to compress with")
	case CompressionGzip:
		packer = gzip.NewWriter(to)
	case CompressionZstd:
		z, err := zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
		if err != nil {
			return err
		}
		packer = z
	}
	_, err := io.Copy(packer, from)
	return errors.Join(err, packer.Close())
}

// stoppable ends a copy when its context ends.
type stoppable struct {
	ctx  context.Context
	from io.Reader
}

// Read reads on while the context lasts.
func (s *stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.from.Read(b)
}
