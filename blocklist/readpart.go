package blocklist

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/zeebo/xxh3"
)

// A list that is replaced mostly says what the one before said, in nearly the same order. Of a list whose lines stand alone those are found again by the
// sums of its lines, and only the others are read: the new ones, and each time those that are not plain, so that whatever is to be counted or told of
// them is counted and told by the same code in the same order. The rows of all others are taken over from the copy before, with their new line numbers. What
// comes of it is the same, octet for octet, as if the whole list had been read, which is done as soon as anything is not as expected.

// Bounds of reading in part.
const (
	partShare  = 4              // of so many lines one may have to be read
	partAgeMax = 24 * time.Hour // then a list is read whole again, so that no fault of memory or disk stays for good
)

// errNoPart says that a list is to be read whole.
var errNoPart = errors.New("the list is read whole")

// readPart is readOnce for a list that says for the most part what the one before said.
func (k *compiler) readPart(ctx context.Context, f *CompileFeed, stamp Stamp, previous *Rows) (*Rows, error) {
	if previous == nil || previous.base != nil && len(previous.runs) == 0 || k.config.Force || previous.report.Files != 1 || len(previous.tables.Files) != 1 {
		return nil, errNoPart
	}
	key, err := keyOfLines(&f.FeedConfig)
	if err != nil {
		return nil, err
	}
	before, err := readLines(k.lines(f.Name, f.Kept), previous.header.Content, key)
	if err != nil {
		return nil, err
	}
	if age := k.now().Sub(time.Unix(before.whole, 0)); age < 0 || age > partAgeMax {
		return nil, errNoPart
	}
	fresh, err := k.sumLines(ctx, f, before, previous)
	if err != nil {
		return nil, err
	}
	runs, ok := matchLines(before.sums, fresh.sums, fresh.lines/k.partShare)
	if !ok {
		return nil, errNoPart
	}
	fresh.keep(before.plain, runs)
	if (fresh.lines-fresh.plains)*k.partShare > fresh.lines {
		return nil, errNoPart
	}
	return k.readLinesOf(ctx, f, stamp, fresh, k.newListPart(previous, before, fresh, runs))
}

// keyOfLines is the key of a feed: of its configuration, the lists that guard it, and this program, in which there are lists as well.
func keyOfLines(c *FeedConfig) (linesKey, error) {
	protect, err := c.Protect.key()
	if err != nil {
		return linesKey{}, err
	}
	others := &sourceScan{sum: xxh3.New(), identity: xxh3.New()}
	if c.SuffixList != "" {
		if err := others.root(c.SuffixList); err != nil {
			return linesKey{}, err
		}
	}
	program, err := identityOfProgram()
	if err != nil {
		return linesKey{}, err
	}
	return sha256.Sum256(fmt.Appendf(nil, "%s %s %x %s", fingerprint(*c), protect, others.sum.Sum64(), program)), nil
}

// identityOfProgram tells this program from another, and from the one that it replaces.
func identityOfProgram() (string, error) {
	path, err := runningProgram()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s: the system tells no inode", path)
	}
	return fmt.Sprintf("%d %d %d %d", st.Dev, st.Ino, info.Size(), info.ModTime().UnixNano()), nil
}

// sumLines returns the sums of the lines of a feed's list, unless that has little to do with the one before.
func (k *compiler) sumLines(ctx context.Context, f *CompileFeed, before *lineMarks, previous *Rows) (*lineMarks, error) {
	r, err := newGuardedReader(f.FeedConfig, checkSink{func(Fault) {}}, nil, nil) // which reads no row, but refuses lines that are too long
	if err != nil {
		return nil, err
	}
	fresh := &lineMarks{seed: before.seed, sums: make([]uint64, 0, before.lines+before.lines/16), most: k.partMost(before.lines), whole: before.whole}
	looked := false
	r.marks = fresh
	r.visit = func(f *file) error {
		if !r.format.alone || r.report.Files > 1 || r.format.name != previous.report.Format || f.name != previous.tables.Files[0] {
			return errNoPart
		}
		for !fresh.full {
			if _, err := f.next(); err != nil {
				return f.endOr(err)
			}
			if fresh.lines == alikeLines {
				if looked = true; !alike(before.sums, fresh.sums) {
					return errNoPart
				}
			}
		}
		return errNoPart
	}
	r.prepare(ctx)
	if err := r.readSource(f.Path); err != nil {
		return nil, err
	}
	if fresh.full || fresh.lines == 0 || !looked && !alike(before.sums, fresh.sums) {
		return nil, errNoPart
	}
	return fresh, nil
}

// partMost is how many lines a list may have of which only those are read that one of so many lines did not have.
func (k *compiler) partMost(lines int) int {
	if k.partShare > 1 {
		return min(lines*k.partShare/(k.partShare-1)+1, linesMax())
	}
	return linesMax()
}

// endOr is the error that ended the lines of a file; nil for its end.
func (f *file) endOr(err error) error {
	if err == io.EOF {
		return f.failed
	}
	return err
}

// keep takes over the lines of runs that were plain in the list before.
func (m *lineMarks) keep(before lineSet, runs []lineRun) {
	m.plain, m.plains = make(lineSet, plainWords(m.lines)), 0
	for _, r := range runs {
		for i := range int(r.n) {
			if before.has(int(r.old) + i) {
				m.plain.set(int(r.fresh) + i)
				m.plains++
			}
		}
	}
}

// readLinesOf reads the lines that are not plain in marks, and makes a rows file of them and of those rows of the previous copy whose lines are still there.
func (k *compiler) readLinesOf(ctx context.Context, f *CompileFeed, stamp Stamp, marks *lineMarks, part *listPart) (*Rows, error) {
	previous := part.before
	w, err := k.writer(f)
	if err != nil {
		return nil, err
	}
	defer w.close()
	w.families, w.threats = newLabelTable(labelsMax, previous.tables.Families...), newLabelTable(labelsMax, previous.tables.Threats...)
	w.files, w.marks = newLabelTable(filesMax, previous.tables.Files...), marks
	if part.layer {
		w.heap.below = previous.whole().header.Heap.Size
	}
	r, err := k.reader(f.FeedConfig, w)
	if err != nil {
		return nil, err
	}
	r.marks, r.part, r.only = marks, true, complement(marks.plain)
	if r.report.Parsed, r.report.Live = marks.plains, marks.plains; marks.plains > r.limits.Rows {
		return nil, errNoPart
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	if r.report.Lines != marks.lines {
		return nil, ErrChanged // the whole is read again, too, if it is true
	}
	if marks.plains == 0 && w.taken == 0 {
		return nil, errNoPart // then there are no texts either
	}
	source := SourceState{Stamp: stamp, Fingerprint: fingerprint(f.FeedConfig), Read: k.now().UTC(), Shown: f.source()}
	r.report.since(previous, source.Read)
	path := k.rows(f.Name, k.config.Generation)
	if err := w.finishPart(path, k.config.Generation, r.report, source, part); err != nil {
		return nil, err
	}
	fresh, err := OpenRows(path)
	if err == nil {
		k.keepLines(f, fresh, marks)
	}
	return fresh, err
}

func complement(s lineSet) lineSet {
	out := slices.Clone(s)
	for i := range out {
		out[i] = ^out[i]
	}
	return out
}

// keepLines keeps the marks of the list from which a copy was made. Without them the next list is read whole.
func (k *compiler) keepLines(f *CompileFeed, fresh *Rows, marks *lineMarks) {
	path := k.lines(f.Name, k.config.Generation)
	key, err := keyOfLines(&f.FeedConfig)
	if err == nil {
		err = writeLines(path, marks, fresh.header.Content, key)
	}
	if err != nil {
		os.Remove(path) // there mostly is none
	}
}
