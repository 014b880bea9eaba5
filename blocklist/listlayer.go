package blocklist

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sort"
)

// Of a large list that is read in part a layer is written, too: the names that it says something else of than the whole copy below, and what has become of the
// lines of all others, whose rows stay where they are. The layer of the next version is made of the same copy, of the layer before and of the lines that were
// read; so there is one at most, and it has the lines of the list as it is. When it would have too many names or runs of lines, a copy is written whole, from
// the same three.

// Bounds of the layers of lists.
const (
	listLayerFrom  = 10_000  // names: a shorter list is written whole, which costs no more
	listLayerShare = 4       // it may have one name for so many of its base
	listLayerRuns  = 1 << 16 // and so many runs of lines, which are in memory while the copy is open
)

// listPart is what a copy of a list that was read in part is made of, beside the lines that were read.
type listPart struct {
	before *Rows     // the previous copy
	kept   *lineMap  // of the lines of the whole copy below it, or of itself
	again  *lineMap  // of its own lines, if it is a layer
	runs   []lineRun // the lines of the whole copy that are in the list
	layer  bool      // a layer is written
}

// newListPart tells what becomes of a copy whose list had the marks before. The runs lead to the lines of the new list, whose marks are fresh.
func (k *compiler) newListPart(previous *Rows, before, fresh *lineMarks, runs []lineRun) *listPart {
	p := &listPart{before: previous, runs: runs}
	plain, lines := before.plain, before.lines
	if previous.base != nil {
		p.again = newLineMap(plain, runs, lines)
		lines = previous.base.report.Lines
		plain = plainBefore(plain, previous.runs, lines)
		p.runs = chainRuns(previous.runs, runs)
	}
	p.kept = newLineMap(plain, p.runs, lines)
	p.layer = k.worthLayer(p, fresh, lines)
	return p
}

// worthLayer reports whether a layer is to be written, over a copy of a list of so many lines.
func (k *compiler) worthLayer(p *listPart, fresh *lineMarks, lines int) bool {
	previous := p.before
	base := previous.whole()
	names := fresh.lines - fresh.plains + lines - p.kept.count() // at most, of those that were read and those that have gone
	if previous.base != nil {
		names += int(previous.header.Rows)
	}
	unchanged := previous.base == nil && lines == fresh.lines && len(p.runs) == 1 && int(p.runs[0].n) == lines // then it is compared with the one before
	return !unchanged && previous.report.FamilyEntriesUnlisted == 0 && base.names() >= k.layerFrom && names <= base.names()/k.layerShare &&
		len(p.runs) > 0 && len(p.runs) <= listLayerRuns
}

// plainBefore takes the lines that are plain back over runs, to those of a list of so many lines.
func plainBefore(plain lineSet, runs []lineRun, lines int) lineSet {
	out := make(lineSet, plainWords(lines))
	for _, r := range runs {
		for i := range int(r.n) {
			if plain.has(int(r.fresh) + i) {
				out.set(int(r.old) + i)
			}
		}
	}
	return out
}

// chainRuns are the runs from the first list to the third, of those from the first to the second and from there to the third.
func chainRuns(first, then []lineRun) (runs []lineRun) {
	for len(first) > 0 && len(then) > 0 {
		a, b := first[0], then[0]
		from, to := max(a.fresh, b.old), min(a.fresh+a.n, b.old+b.n)
		if from < to {
			runs = append(runs, lineRun{a.old + from - a.fresh, b.fresh + from - b.old, to - from})
		}
		if a.fresh+a.n <= b.old+b.n {
			first = first[1:]
		} else {
			then = then[1:]
		}
	}
	return runs
}

// count is how many lines are kept.
func (m *lineMap) count() (n int) {
	for i := range m.parts {
		n += bits.OnesCount64(m.parts[i].kept)
	}
	return n
}

// runSize is how many octets a run has in a rows file: old, fresh and n.
const runSize = 3 * 4

func appendRuns(b []byte, runs []lineRun) []byte {
	for _, r := range runs {
		for _, v := range [...]uint32{r.old, r.fresh, r.n} {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	return b
}

// decodeRuns reads what appendRuns wrote: runs in the order of both lists.
func decodeRuns(b []byte) ([]lineRun, error) {
	if len(b)%runSize != 0 || len(b)/runSize > listLayerRuns {
		return nil, fmt.Errorf("%w: runs of lines in %d octets", ErrRowsDamaged, len(b))
	}
	var runs []lineRun
	old, fresh := uint64(0), uint64(0)
	for ; len(b) > 0; b = b[runSize:] {
		r := lineRun{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])}
		if uint64(r.old) < old || uint64(r.fresh) < fresh || r.n == 0 {
			return nil, fmt.Errorf("%w: runs of lines are not in order", ErrRowsDamaged)
		}
		old, fresh = uint64(r.old)+uint64(r.n), uint64(r.fresh)+uint64(r.n)
		runs = append(runs, r)
	}
	return runs, nil
}

// movedLine is the line, from 1, that runs made of a line; 0 for one that they do not have.
func movedLine(runs []lineRun, line uint32) uint32 {
	at := line - 1
	i := sort.Search(len(runs), func(i int) bool { return runs[i].old > at })
	if i == 0 || at-runs[i-1].old >= runs[i-1].n {
		return 0
	}
	return runs[i-1].fresh + at - runs[i-1].old + 1
}

// moveLines gives rows the lines that runs made of theirs; no runs leave them as they are.
func moveLines(rows []rawRow, runs []lineRun) {
	if len(runs) == 0 {
		return
	}
	for i := range rows {
		rows[i].Line = movedLine(runs, rows[i].Line)
	}
}

// overLayer has what is written be a layer over the copy that the previous one is or lies over.
func (m *rowsMaker) overLayer(p *listPart) {
	base := p.before.whole()
	m.out.header.Base, m.out.header.BaseContent = base.Generation(), base.header.Content
	m.out.lines = appendRuns(nil, p.runs)
	m.goOnTimes(p.before.tables.Times)
	for n, family := range m.writer.families.texts[:len(m.counts)] {
		m.counts[n] = p.before.report.FamilyEntries[family]
	}
}

// goOnTimes has the times of rows numbered on from those of the copy before.
func (m *rowsMaker) goOnTimes(times []int64) {
	m.table = slices.Clone(times)
	for i, at := range m.table {
		m.times[at] = uint32(i)
	}
}
