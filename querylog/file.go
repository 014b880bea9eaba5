package querylog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// dirMode and fileMode keep the log from other users of the machine: it says who asked for what.
	dirMode  = 0o750
	fileMode = 0o640
	// deviceWait bounds a write to a pipe or terminal that nobody reads.
	deviceWait = time.Second
	// tailMax is how far back the beginning of a torn line is looked for, in octets. It is above the longest line.
	tailMax = 64 << 10
)

// lineStart is how every line begins; the time follows.
const lineStart = `{"time":"`

// file is the file that is written. The zero value is closed. It belongs to the writer.
type file struct {
	f       *os.File
	path    string
	regular bool // not a pipe, terminal or device: it can be rotated
	size    int64
	began   time.Time // time of its first line
}

// openFile opens path for appending, and makes it and its directory if they are missing.
func openFile(path string, now time.Time) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, err
	}
	flags := os.O_RDWR | os.O_APPEND | os.O_CREATE
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		flags = os.O_WRONLY | syscall.O_NONBLOCK // a pipe without a reader is an error, not a wait
	}
	f, err := os.OpenFile(path, flags, fileMode)
	if err != nil {
		return nil, err
	}
	out := &file{f: f, path: path}
	if err := out.look(now); err != nil {
		f.Close()
		return nil, err
	}
	return out, nil
}

// look finds out what is in the file already, and takes a torn line off its end.
func (f *file) look(now time.Time) error {
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	f.regular, f.size, f.began = info.Mode().IsRegular(), info.Size(), now
	if !f.regular || f.size == 0 {
		return nil
	}
	if t := f.firstTime(info.ModTime()); t.Before(now) {
		f.began = t
	}
	return f.mend()
}

// firstTime reads the time of the first line; otherwise is returned if it has none.
func (f *file) firstTime(otherwise time.Time) time.Time {
	var b [len(lineStart) + len("2006-01-02T15:04:05.000000Z")]byte
	if n, _ := f.f.ReadAt(b[:], 0); n == len(b) && string(b[:len(lineStart)]) == lineStart {
		if t, err := time.Parse(time.RFC3339, string(b[len(lineStart):])); err == nil {
			return t
		}
	}
	return otherwise
}

// mend makes the file end with a whole line: the end of power or a full disk may have torn the last one. A tail that is not ours is kept
// and closed with a line feed.
func (f *file) mend() error {
	tail := make([]byte, min(f.size, tailMax))
	if _, err := f.f.ReadAt(tail, f.size-int64(len(tail))); err != nil {
		return err
	}
	torn := tail[bytes.LastIndexByte(tail, '\n')+1:]
	start := lineStart[:min(len(torn), len(lineStart))]
	switch {
	case len(torn) == 0:
		return nil
	case len(torn) < tailMax && strings.HasPrefix(string(torn), start):
		f.size -= int64(len(torn))
		return f.f.Truncate(f.size)
	}
	f.size++
	_, err := f.f.WriteString("\n")
	return err
}

// moved reports whether path leads to another file, or to none: a log rotation from outside renamed or removed ours. It also takes notice of
// a file that was cut from outside.
func (f *file) moved() bool {
	ours, err := f.f.Stat()
	if err != nil {
		return true
	}
	if f.regular {
		f.size = ours.Size()
	}
	there, err := os.Stat(f.path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, there)
}

// append writes b at the end by write and returns how much of it lies in the file.
func (f *file) append(b []byte, write func(*os.File, []byte) (int, error)) (int, error) {
	if !f.regular {
		_ = f.f.SetWriteDeadline(time.Now().Add(deviceWait)) // not all devices have deadlines; those do not need one
	}
	n, err := write(f.f, b)
	f.size += int64(n)
	return n, err
}

// full reports whether a new file is to be begun before the next line: this one has lines, and is too old or has no room for a line of n
// octets.
func (f *file) full(r *Rotate, n int, now time.Time) bool {
	switch {
	case !f.regular || f.size == 0:
		return false
	case r.Age > 0 && now.Sub(f.began) >= r.Age:
		return true
	}
	return r.Size > 0 && f.size+int64(n) > r.Size
}

// room returns how many octets fit before the file has its size.
func (f *file) room(r *Rotate) int64 {
	if !f.regular || r.Size == 0 {
		return math.MaxInt64
	}
	return max(0, r.Size-f.size)
}

// putAside gives the file the name of a finished one and closes it. If that fails, it stays as it is.
func (f *file) putAside(now time.Time) error {
	for at := now; ; at = at.Add(time.Microsecond) {
		to := finishedPath(f.path, at)
		if taken(to) {
			continue
		}
		if err := os.Rename(f.path, to); err != nil {
			return fmt.Errorf("putting a finished file aside: %w", err)
		}
		f.close()
		return nil
	}
}

func (f *file) close() { _ = f.f.Close() } // what was written is with the kernel; there is nobody to tell

// taken reports whether a finished file of that name is there, packed or not.
func taken(path string) bool {
	for _, c := range [...]Compression{CompressionNone, CompressionGzip, CompressionZstd} {
		if _, err := os.Lstat(path + c.suffix()); err == nil {
			return true
		}
	}
	return false
}
