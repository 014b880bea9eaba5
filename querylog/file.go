package querylog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// retryEvery is how long a file that could not be opened or written is left alone.
const retryEvery = time.Second

// file is the log file that is open, and its rotation. It belongs to the writer.
type file struct {
	log      *Log
	archiver *archiver
	config   *Config
	f        *os.File
	size     int64
	began    time.Time // when its first line was written
	cut      bool      // its last line is not whole
	failing  bool      // a fault was logged, and its end is still to be
	retry    time.Time
}

func newFile(l *Log, a *archiver) *file {
	return &file{log: l, archiver: a, config: l.config.Load()}
}

// configure puts a new configuration in force. A file under another path is closed; it is not rotated.
func (f *file) configure(c *Config) {
	if c.Path != f.config.Path || c.Mode == ModeOff {
		f.close()
	}
	f.config, f.retry = c, time.Time{}
	f.archiver.tidy()
}

func (f *file) closed() bool { return f.f == nil }

func (f *file) close() {
	if f.f != nil {
		_ = f.f.Close() // every line was handed to the kernel by its write
		f.f = nil
	}
}

// errLater says that the last fault is too young to try again.
var errLater = errors.New("query log: the file is not tried again yet")

// write appends lines to the file, opening it or beginning a new one as need be. It returns how many octets the file took.
func (f *file) write(lines []byte) (int, error) {
	now := f.config.Now()
	if now.Before(f.retry) {
		return 0, errLater
	}
	n, err := f.tryWrite(lines, now)
	if err == nil {
		f.recovered()
		return n, nil
	}
	f.log.counters.writeErrors.Add(1)
	if !f.failing {
		f.config.Log.Error("the query log cannot be written; queries are answered, and lines wait until their queue is full", "err", err)
	}
	f.failing, f.retry = true, now.Add(retryEvery)
	return n, err
}

func (f *file) tryWrite(lines []byte, now time.Time) (int, error) {
	f.followRename()
	if f.due(now, len(lines)) {
		f.rotate(now)
	}
	if f.f == nil {
		if err := f.open(now); err != nil {
			return 0, err
		}
	}
	if f.cut {
		if _, err := f.log.appendTo(f.f, []byte{'\n'}); err != nil {
			return 0, err
		}
		f.cut = false
		f.size++
	}
	n, err := f.log.appendTo(f.f, lines)
	f.size += int64(n)
	return n, err
}

func (f *file) recovered() {
	if f.failing {
		f.config.Log.Info("the query log is written again")
	}
	f.failing = false
}

func (f *file) open(now time.Time) error {
	if err := os.MkdirAll(filepath.Dir(f.config.Path), 0o750); err != nil {
		return err
	}
	opened, err := os.OpenFile(f.config.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := opened.Stat()
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	f.f, f.size, f.began = opened, info.Size(), now
	if f.size > 0 {
		f.began = info.ModTime() // of an earlier run: as old as its last line, at least
		last := make([]byte, 1)
		_, err := opened.ReadAt(last, f.size-1)
		f.cut = err == nil && last[0] != '\n'
	}
	return nil
}

// followRename closes a file that somebody has renamed or removed, so that the next line begins a new one.
func (f *file) followRename() {
	if f.f == nil {
		return
	}
	ours, err := f.f.Stat()
	there, errThere := os.Stat(f.config.Path)
	if err != nil || errThere != nil || !os.SameFile(ours, there) {
		f.close()
		f.cut = false
	}
}

// due reports whether a new file is to be begun before more octets are written.
func (f *file) due(now time.Time, more int) bool {
	if f.f == nil || f.size == 0 {
		return false
	}
	r := &f.config.Rotate
	return r.Size > 0 && f.size+int64(more) > r.Size || r.Age > 0 && now.Sub(f.began) >= r.Age
}

// tend begins a new file when the open one is old, also if nothing is written.
func (f *file) tend() {
	if now := f.config.Now(); f.due(now, 0) && !now.Before(f.retry) {
		f.followRename()
		if f.f != nil {
			f.rotate(now)
		}
	}
}

// finishedLayout is the time in the names of finished files, to the microsecond, so that names sort by age.
const finishedLayout = "20060102T150405.000000Z"

// rotate puts the open file aside under a name of its own. If that fails the file goes on.
func (f *file) rotate(now time.Time) {
	name := fmt.Sprintf("%s.%s", f.config.Path, now.UTC().Format(finishedLayout))
	for n := 1; exists(name); n++ {
		name = fmt.Sprintf("%s.%s-%d", f.config.Path, now.UTC().Format(finishedLayout), n)
	}
	if err := os.Rename(f.config.Path, name); err != nil {
		f.log.counters.writeErrors.Add(1)
		f.config.Log.Error("putting the query log aside", "err", err)
		f.began, f.size = now, 0 // not tried again before another file's worth
		return
	}
	f.close()
	f.cut = false
	f.log.counters.rotations.Add(1)
	f.archiver.tidy()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
