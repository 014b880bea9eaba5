package querylog

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	// archiveRetry is when work on finished files that failed is tried again.
	archiveRetry = time.Minute
	// archiveChunk is after how many octets compression pauses for as long as they took: it never has more than half a core.
	archiveChunk = 1 << 20
	// temporarySuffix ends the name of a file that is being packed; a dot is in front of it.
	temporarySuffix = ".tmp"
)

// archiver packs finished files and removes old ones, one at a time. What is to be done it finds in the directory, so that nothing is
// forgotten when the process ends in between, and no queue can grow.
type archiver struct {
	log   *Log
	woken chan struct{}
}

func newArchiver(l *Log) *archiver { return &archiver{log: l, woken: make(chan struct{}, 1)} }

// wake tells the archiver that there is something to do. It never waits.
func (a *archiver) wake() {
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

// run works until ctx ends. A file that is half packed by then is packed by the next start.
func (a *archiver) run(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.woken:
		case <-again:
		}
		again = nil
		if err := a.work(ctx); err != nil && ctx.Err() == nil {
			a.log.counters.archiveErrors.Add(1)
			a.log.config.Load().Log.Error("finished files of the query log cannot be dealt with; trying again", "err", err)
			again = time.After(archiveRetry)
		}
	}
}

// work brings the finished files into the state that the configuration asks for.
func (a *archiver) work(ctx context.Context) error {
	c := a.log.config.Load()
	if c.Path == "" {
		return nil
	}
	if err := removeTemporary(c.Path); err != nil {
		return err
	}
	files, err := listFinished(c.Path)
	if err != nil {
		return err
	}
	for len(files) > c.Rotate.Keep {
		if err := files[0].remove(); err != nil {
			return fmt.Errorf("removing an old query log: %w", err)
		}
		files = files[1:]
	}
	for i := range files {
		if err := settleFinished(ctx, &files[i], c.Compression); err != nil {
			return err
		}
	}
	return nil
}

// settleFinished packs f, if it is not.
func settleFinished(ctx context.Context, f *finished, c Compression) error {
	switch {
	case !f.isPlain():
		return nil
	case len(f.forms) > 1: // packed, but the process ended before the source was removed
		return os.Remove(f.path)
	case c == CompressionNone:
		return nil
	}
	if err := pack(ctx, f.path, c); err != nil {
		return fmt.Errorf("packing a query log: %w", err)
	}
	return os.Remove(f.path)
}

// removeTemporary removes what an earlier process left half packed.
func removeTemporary(path string) error {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), temporarySuffix)
		if !ok || !strings.HasPrefix(name, ".") {
			continue
		}
		if _, form, ok := readFinished(path, filepath.Join(dir, name[1:])); ok && form != CompressionNone {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return err
}

// pack writes the packed form of path under a temporary name, and gives it its own once it is whole and on disk.
func pack(ctx context.Context, path string, c Compression) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	to := path + c.suffix()
	temporary := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+temporarySuffix)
	out, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer func() {
		out.Close()
		if err != nil {
			os.Remove(temporary)
		}
	}()
	if err := packInto(ctx, out, in, c); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	if err := os.Rename(temporary, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func packInto(ctx context.Context, out io.Writer, in io.Reader, c Compression) error {
	packer, err := newPacker(out, c)
	if err != nil {
		return err
	}
	if err := copyPaced(ctx, packer, in); err != nil {
		_ = packer.Close() // the error before says more
		return err
	}
	return packer.Close()
}

func newPacker(out io.Writer, c Compression) (io.WriteCloser, error) {
	if c == CompressionGzip {
		return gzip.NewWriter(out), nil
	}
	return zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
}

// copyPaced copies a chunk at a time, and after each waits for as long as it took.
func copyPaced(ctx context.Context, out io.Writer, in io.Reader) error {
	for {
		began := time.Now()
		_, err := io.CopyN(out, in, archiveChunk)
		switch {
		case err == io.EOF:
			return ctx.Err()
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Since(began)):
		}
	}
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
