package blocklist

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/zeebo/xxh3"
)

// lineMarks are the lines of a list from which a copy was made, for the next reading: a sum of each, and which of them are plain. A plain line lists one
// name that no other line lists, and the row says no more than kind, family and threat, and no guard had anything to say.
type lineMarks struct {
	seed   uint64
	lines  int
	sums   []uint64   // of all lines, unless they go to spool
	spool  *linesFile // nil: the sums are kept in memory
	plain  lineSet    // for at least so many lines
	plains int        // how many are in it
	most   int        // lines; of a list with more nothing is kept
	full   bool       // it has more, or is of no format that can be read in part
	whole  int64      // when the list was last read whole, in seconds since the epoch
}

// newLineMarks makes the marks of a list that is about to be read whole. Their sums go to a file in dir. Whoever makes them closes them.
func newLineMarks(dir string, now time.Time) *lineMarks {
	var seed [8]byte
	rand.Read(seed[:]) // which never fails
	m := &lineMarks{seed: binary.LittleEndian.Uint64(seed[:]), most: linesMax(), whole: now.Unix()}
	var err error
	if m.spool, err = newLinesFile(dir); err != nil {
		m.full = true // the next list is read whole, too
	}
	return m
}

// close removes what is temporary.
func (m *lineMarks) close() {
	if m.spool != nil {
		m.spool.close()
		m.spool = nil
	}
}

// Bounds of marks: the sums of two lists, 8 octets a line, take one part in linesShare of the memory that this process aims for, and are of linesMost lines each.
const (
	linesShare = 4
	linesMost  = 64 << 20
)

// linesMax is of how many lines marks are kept.
func linesMax() int { return int(min(debug.SetMemoryLimit(-1)/(2*8*linesShare), linesMost)) }

// add takes the next line, which is not plain until it is said so. No marks take none.
func (m *lineMarks) add(line []byte) {
	if m == nil || m.full {
		return
	}
	if m.lines == m.most {
		m.giveUp()
		return
	}
	m.lines++
	if sum := xxh3.HashSeed(line, m.seed); m.spool != nil {
		m.spool.word(sum)
	} else {
		m.sums = append(m.sums, sum)
	}
}

// giveUp has nothing kept.
func (m *lineMarks) giveUp() {
	if m != nil && !m.full {
		m.close()
		*m = lineMarks{full: true}
	}
}

// setPlain says that the line of a number, from 1, is plain.
func (m *lineMarks) setPlain(number int) {
	if m == nil || m.full || number < 1 || number > m.lines {
		return
	}
	for (number-1)/64 >= len(m.plain) {
		m.plain = append(m.plain, 0)
	}
	m.plain.set(number - 1)
	m.plains++
}

// unset says that the line of a number is not plain after all.
func (m *lineMarks) unset(number uint32) {
	if m == nil || !m.plain.has(int(number)-1) {
		return
	}
	m.plain.unset(int(number) - 1)
	m.plains--
}

// A lines file holds the marks of the list from which a copy was made. It helps the next reading, and nothing is lost without it: so it is not synced, and one
// that is not as it was written counts as none. In little endian:
//
//	magic, xxh3 of the sums and what follows them, and of the numbers and the key before them
//	the sum of the copy's content, the seed, when the list was read whole, how many lines, how many are plain
//	the key of 32 octets, see linesKey
//	the sums, 8 octets each
//	the set of plain lines, a bit each in words of 8 octets
const (
	linesMagic  = "cenline\x01"
	linesHeader = linesNumbers + 5*8 + sha256.Size

	linesNumbers = 8 + 8 // where they begin
)

// linesKey tells apart all that decides, beside a line itself, what is made of it. Lines that are alike are read alike where keys are equal.
type linesKey [sha256.Size]byte

// errNoLines says that there are no marks of the list from which a copy was made, or of no use.
var errNoLines = errors.New("nothing is known of the lines of the list before")

// linesHead are the numbers at the beginning of a lines file.
type linesHead struct{ content, seed, whole, lines, plains uint64 }

func (h *linesHead) fields() [5]*uint64 {
	return [...]*uint64{&h.content, &h.seed, &h.whole, &h.lines, &h.plains}
}

// linesFile is a lines file while it is written. The first error sticks.
type linesFile struct {
	f     *os.File
	sum   *xxh3.Hasher
	piece []byte
	err   error
}

func newLinesFile(dir string) (*linesFile, error) {
	f, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return nil, err
	}
	l := &linesFile{f: f, sum: xxh3.New(), piece: make([]byte, 0, filePiece)}
	_, l.err = f.Write(make([]byte, linesHeader)) // it comes last, when everything is known
	return l, nil
}

func (l *linesFile) word(v uint64) {
	l.piece = binary.LittleEndian.AppendUint64(l.piece, v)
	if len(l.piece) == cap(l.piece) {
		l.flush()
	}
}

func (l *linesFile) flush() {
	l.sum.Write(l.piece)
	if l.err == nil {
		_, l.err = l.f.Write(l.piece)
	}
	l.piece = l.piece[:0]
}

// close ends the use of the file. One that has not been put in place is removed.
func (l *linesFile) close() {
	l.f.Close()
	os.Remove(l.f.Name())
}

// finish puts the file, which has the sums of m, in place.
func (l *linesFile) finish(path string, m *lineMarks, content uint64, key linesKey) error {
	for i := range plainWords(m.lines) {
		word := uint64(0)
		if i < len(m.plain) {
			word = m.plain[i]
		}
		l.word(word)
	}
	l.flush()
	var head []byte
	h := linesHead{content, m.seed, uint64(m.whole), uint64(m.lines), uint64(m.plains)}
	for _, v := range h.fields() {
		head = binary.LittleEndian.AppendUint64(head, *v)
	}
	head = append(head, key[:]...)
	l.sum.Write(head)
	if l.err != nil {
		return l.err
	}
	if _, err := l.f.WriteAt(append(binary.LittleEndian.AppendUint64([]byte(linesMagic), l.sum.Sum64()), head...), 0); err != nil {
		return err
	}
	return os.Rename(l.f.Name(), path)
}

// writeLines writes the marks of the list from which the copy with that content was made.
func writeLines(path string, m *lineMarks, content uint64, key linesKey) error {
	if m == nil || m.full {
		return errNoLines
	}
	if m.spool != nil {
		return m.spool.finish(path, m, content, key)
	}
	l, err := newLinesFile(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer l.close()
	for _, sum := range m.sums {
		l.word(sum)
	}
	return l.finish(path, m, content, key)
}

func plainWords(lines int) int { return (lines + 63) / 64 }

// readLines reads the marks of the list from which the copy with that content was made.
func readLines(path string, content uint64, key linesKey) (*lineMarks, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head := make([]byte, linesHeader)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:len(linesMagic)]) != linesMagic {
		return nil, errNoLines
	}
	var h linesHead
	for i, v := range h.fields() {
		*v = binary.LittleEndian.Uint64(head[linesNumbers+8*i:])
	}
	if h.content != content || linesKey(head[linesHeader-sha256.Size:]) != key || h.lines > uint64(linesMax()) || h.plains > h.lines ||
		uint64(info.Size()) != linesHeader+8*(h.lines+uint64(plainWords(int(h.lines)))) {
		return nil, errNoLines
	}
	sum := xxh3.New()
	m := &lineMarks{seed: h.seed, whole: int64(h.whole), lines: int(h.lines), plains: int(h.plains)}
	if m.sums, err = readWords(f, sum, m.lines); err != nil {
		return nil, err
	}
	if m.plain, err = readWords(f, sum, plainWords(m.lines)); err != nil {
		return nil, err
	}
	sum.Write(head[linesNumbers:])
	if binary.LittleEndian.Uint64(head[len(linesMagic):]) != sum.Sum64() {
		return nil, fmt.Errorf("%s: %w: it is damaged", path, errNoLines)
	}
	return m, nil
}

func readWords(f io.Reader, sum *xxh3.Hasher, n int) ([]uint64, error) {
	words, piece := make([]uint64, 0, n), make([]byte, filePiece)
	for len(words) < n {
		some := piece[:8*min(filePiece/8, n-len(words))]
		if _, err := io.ReadFull(f, some); err != nil {
			return nil, err
		}
		sum.Write(some)
		for ; len(some) > 0; some = some[8:] {
			words = append(words, binary.LittleEndian.Uint64(some))
		}
	}
	return words, nil
}
