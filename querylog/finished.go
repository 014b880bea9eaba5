package querylog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stampForm is the time in the name of a finished file: when it was put aside, in UTC. It sorts as text.
const stampForm = "20060102T150405.000000Z"

// finishedPath is the name of a finished file: queries.jsonl becomes queries-20260102T150405.000000Z.jsonl.
func finishedPath(path string, at time.Time) string {
	before, ext := split(path)
	return before + at.UTC().Format(stampForm) + ext
}

func split(path string) (before, ext string) {
	ext = filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-", ext
}

// finished is a file that was put aside.
type finished struct {
	path  string // without the suffix of a compression
	forms []Compression
}

// isPlain reports whether the file is there unpacked.
func (f *finished) isPlain() bool { return slices.Contains(f.forms, CompressionNone) }

// remove removes the file in every form.
func (f *finished) remove() error {
	var errs []error
	for _, c := range f.forms {
		errs = append(errs, os.Remove(f.path+c.suffix()))
	}
	return errors.Join(errs...)
}

// listFinished returns the finished files of path, oldest first.
func listFinished(path string) ([]finished, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []finished
	for _, e := range entries { // in the order of their names
		plain, form, ok := readFinished(path, filepath.Join(filepath.Dir(path), e.Name()))
		switch {
		case !ok || !e.Type().IsRegular():
		case len(out) > 0 && out[len(out)-1].path == plain:
			out[len(out)-1].forms = append(out[len(out)-1].forms, form)
		default:
			out = append(out, finished{plain, []Compression{form}})
		}
	}
	return out, nil
}

// readFinished reads the name of a finished file of path. A name that only resembles one is left alone.
func readFinished(path, name string) (plain string, form Compression, ok bool) {
	for _, c := range [...]Compression{CompressionGzip, CompressionZstd} {
		if rest, found := strings.CutSuffix(name, c.suffix()); found && isStamped(path, rest) {
			return rest, c, true
		}
	}
	return name, CompressionNone, isStamped(path, name)
}

func isStamped(path, name string) bool {
	before, ext := split(filepath.Clean(path))
	stamp, ok := strings.CutPrefix(name, before)
	if !ok || !strings.HasSuffix(stamp, ext) {
		return false
	}
	_, err := time.Parse(stampForm, strings.TrimSuffix(stamp, ext))
	return err == nil
}
