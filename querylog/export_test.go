package querylog

import (
	"os"
	"path/filepath"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Lines are what tests read lines by.
type (
	Encoder = encoder
	Cache   = matchCache
)

// LineStart, EventKey and MatchesMax are for tests.
const (
	LineStart  = lineStart
	EventKey   = eventKey
	MatchesMax = matchesMax
	BufferMax  = bufferMax
)

// NewEncoder makes an encoder that asks names.
func NewEncoder(names Names) *Encoder { return new(newEncoder(names, new(keyNames))) }

// AppendLine is appendLine.
func (e *encoder) AppendLine(b []byte, r *Record) []byte { return e.appendLine(b, r) }

// Remembered counts the rules whose names are known.
func (e *encoder) Remembered() int { return len(e.matches.pieces) }

// AppendText is appendText.
func AppendText(b []byte, key, s string) []byte { return appendText(b, key, s) }

// TypeMnemonic and RcodeMnemonic are the tables.
func TypeMnemonic(t uint16) string  { return wire.TypeMnemonic(t) }
func RcodeMnemonic(c uint16) string { return rcodeMnemonic(c) }

// SetAppend puts write in the place of the file's own. Call it before Run.
func (l *Log) SetAppend(write func(*os.File, []byte) (int, error)) { l.appendTo = write }

// Counts are the counters, and what waits.
type Counts struct{ Written, Octets, DroppedQueue, DroppedWrite, WriteErrors, Rotations, ArchiveErrors, Waiting uint64 }

// Counts reads the counters.
func (l *Log) Counts() Counts {
	c := &l.counters
	return Counts{
		c.written.Load(), c.octets.Load(), c.droppedQueue.Load(), c.droppedWrite.Load(),
		c.writeErrors.Load(), c.rotations.Load(), c.archiveErrors.Load(), uint64(l.waiting()),
	}
}

// Finished names the finished files of path, oldest first.
func Finished(path string) ([]string, error) {
	files, err := listFinished(path)
	var out []string
	for _, f := range files {
		for _, form := range f.forms {
			out = append(out, filepath.Base(f.path+form.suffix()))
		}
	}
	return out, err
}

// Full reports whether the ring of p is full.
func (p *Producer) Full() bool { return p.ring.Len() == p.ring.Cap() }

// Pump is the writer of a Log whose Run does not work.
type Pump struct{ w *writer }

// NewPump makes one.
func NewPump(l *Log) *Pump { return &Pump{newWriter(l, newArchiver(l))} }

// Pass does what the writer does between two pauses.
func (p *Pump) Pass(now time.Time) int {
	taken := p.w.drain()
	p.w.tend(now)
	return taken
}

// Close closes the file.
func (p *Pump) Close() { p.w.finish() }

// KeyNumber is the number by which the encoder knows a key.
func (e *encoder) KeyNumber(name dnsname.Name) uint16 { return e.keys.number(name) }
