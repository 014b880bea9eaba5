package blocklist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// Bounds of one feed's rows.
const (
	membersMax        = 64      // rows of one name that are kept: different families, kinds, exceptions
	labelsMax         = 65_535  // different families, and different threats
	familiesListedMax = 20_000  // in FeedReport.FamilyEntries
	filesMax          = 1 << 20 // different file names; above it rows keep their line but name the last file known
)

// rowsWriter makes the rows file of one feed: it is the Sink of ReadFeed, then finish sorts, removes duplicates and writes.
type rowsWriter struct {
	temp     *os.File // nil: the rows are wanted, and no file of them
	sorter   *rowSorter
	ents     *rowSorter
	heap     *heapWriter
	families labelTable
	threats  labelTable
	files    labelTable
	buf      []byte
	taken    int
	dropped  int
	progress func(rows int)
	changes  *rowsChanges // told what differs from the previous copy; nil: nobody asks
	marks    *lineMarks   // told which lines are not plain; nil: nobody asks
}

// newRowsWriter writes into dir, in files with temporary names until finish.
func newRowsWriter(dir string, sortBytes int, progress func(rows int)) (*rowsWriter, error) {
	temp, err := os.CreateTemp(dir, tempPattern)
	if err != nil {
		return nil, err
	}
	w := newRowsGatherer(dir, sortBytes, progress)
	w.temp = temp
	return w, nil
}

// newRowsGatherer takes rows for somebody who wants no file of them. What memory does not hold is in files of dir.
func newRowsGatherer(dir string, sortBytes int, progress func(rows int)) *rowsWriter {
	if progress == nil {
		progress = func(int) {}
	}
	return &rowsWriter{
		heap: newHeapWriter(dir), progress: progress,
		sorter: newRowSorter(dir, sortBytes), ents: newRowSorter(dir, sortBytes/4),
		families: newLabelTable(labelsMax, ""), threats: newLabelTable(labelsMax, ""), files: newLabelTable(filesMax),
	}
}

// close removes what is temporary. After finish it changes nothing that was written.
func (w *rowsWriter) close() {
	w.sorter.close()
	w.ents.close()
	w.heap.close()
	if w.temp != nil {
		w.temp.Close()
		os.Remove(w.temp.Name())
	}
}

// progressEvery is how many rows lie between two calls of progress.
const progressEvery = 50_000

// Indicator takes a row. It implements Sink.
func (w *rowsWriter) Indicator(i *Indicator) error {
	row, err := w.rawRow(i)
	if err != nil {
		return err
	}
	w.buf = append(w.buf[:0], i.Name...)
	n := len(w.buf)
	w.buf = row.append(w.buf)
	if w.taken++; w.taken%progressEvery == 0 {
		w.progress(w.taken)
	}
	return w.sorter.add(w.buf[:n:n], w.buf[n:])
}

// Fault does nothing: the Report counts faults and shows the first. It implements Sink.
func (w *rowsWriter) Fault(Fault) {}

func (w *rowsWriter) rawRow(i *Indicator) (rawRow, error) {
	family, familyOK := w.families.number(i.Family)
	threat, threatOK := w.threats.number(i.Threat)
	if !familyOK || !threatOK {
		w.dropped++
	}
	file, ok := w.files.number(i.File)
	if !ok {
		file = filesMax - 1
	}
	row := rawRow{
		Kind: i.Kind, Exception: i.Exception, Action: i.Action, Confidence: i.Confidence,
		Family: family, Threat: threat, File: file, Line: uint32(min(i.Line, math.MaxUint32)),
	}
	if !i.Expiry.IsZero() {
		row.Expiry = max(i.Expiry.Unix(), 1) // 0 is never
	}
	var err error
	if row.Reference, err = w.heap.text(i.Reference); err != nil {
		return row, err
	}
	if row.Comment, err = w.heap.text(i.Comment); err != nil {
		return row, err
	}
	if i.Data != nil {
		row.Data, err = w.localData(i.Data)
	}
	return row, err
}

func (w *rowsWriter) localData(d *policy.LocalData) (uint64, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return 0, err
	}
	return w.heap.text(string(b))
}

// finish writes the rows file and moves it to path. previous, which may be nil, is the feed's last good copy: rows that it holds keep
// the time at which they were first seen.
func (w *rowsWriter) finish(path string, generation uint64, report Report, source SourceState, previous *Rows) (FeedReport, error) {
	full := FeedReport{Report: report, Source: source, LabelsDropped: w.dropped}
	rows, err := w.sorted(report.ClosestEncloser)
	if err != nil {
		return full, err
	}
	m := w.maker(generation, &full)
	m.previous = newPreviousCursor(previous, w)
	if err := m.run(rows); err != nil {
		return full, err
	}
	return full, m.commit(path)
}

// commit ends the file and moves it to path.
func (m *rowsMaker) commit(path string) error {
	if err := m.close(); err != nil {
		return err
	}
	return commitFile(m.writer.temp, path)
}

// maker makes a maker of the rows file for the copy of that number.
func (w *rowsWriter) maker(generation uint64, full *FeedReport) *rowsMaker {
	return &rowsMaker{
		out: newRowsOutput(w.temp, generation), now: full.Source.Read.Unix(), times: map[int64]uint32{}, writer: w, report: full,
		counts: make([]int, len(w.families.texts)),
	}
}

// sorted returns all rows in order, with the empty non-terminals of an RPZ source among them.
func (w *rowsWriter) sorted(closestEncloser bool) (rowSource, error) {
	rows, err := w.sorter.finish()
	if err != nil || !closestEncloser {
		return rows, err
	}
	if err := w.addEmptyNonTerminals(rows); err != nil {
		return nil, err
	}
	if rows, err = w.sorter.finish(); err != nil {
		return nil, err
	}
	ents, err := w.ents.finish()
	if err != nil {
		return nil, err
	}
	return newSourceMerge(rows, ents)
}

// entSeenMax bounds the names remembered so that an ancestor is not sorted once for every name below it.
const entSeenMax = 1 << 18

// addEmptyNonTerminals adds a row of kind ENT for every ancestor of every name, up to the zone's apex. Those that have rules of their own
// are dropped where rows are grouped. They name the place of the row that made them exist.
func (w *rowsWriter) addEmptyNonTerminals(rows rowSource) error {
	seen := map[dnsname.Name]bool{}
	for {
		r, err := rows.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		d := rowBytes{b: r.row}
		from := d.row()
		if policy.TriggerOf(r.name).ByAddress() {
			continue // prefixes are no names, and stop nothing
		}
		ent := rawRow{Kind: policy.KindENT, Confidence: policy.ConfidenceUnknown, File: from.File, Line: from.Line}
		for name := dnsname.Name(r.name).Parent(); !name.IsRoot() && !seen[name]; name = name.Parent() {
			if len(seen) >= entSeenMax {
				clear(seen)
			}
			seen[name] = true
			if err := w.ents.add([]byte(name), ent.append(nil)); err != nil {
				return err
			}
		}
	}
}

// labelTable numbers texts in order of arrival.
type labelTable struct {
	numbers map[string]uint32
	texts   []string
	max     int
	last    string
	lastN   uint32
}

func newLabelTable(limit int, first ...string) labelTable {
	t := labelTable{numbers: map[string]uint32{}, max: limit}
	for _, s := range first {
		t.number(s)
	}
	return t
}

// number returns the number of s, or 0 and false where the table is full.
func (t *labelTable) number(s string) (uint32, bool) {
	if s == t.last && len(t.texts) > 0 {
		return t.lastN, true
	}
	n, ok := t.numbers[s]
	if !ok {
		if len(t.texts) >= t.max {
			return 0, false
		}
		n = uint32(len(t.texts))
		s = strings.Clone(s) // the caller's may be part of a large buffer
		t.numbers[s], t.texts = n, append(t.texts, s)
	}
	t.last, t.lastN = s, n
	return n, true
}

// rowsMaker groups sorted rows by name and hands them to the output.
type rowsMaker struct {
	out      *rowsOutput
	writer   *rowsWriter
	report   *FeedReport
	previous *previousCursor
	now      int64
	times    map[int64]uint32
	table    []int64
	lastTime int64 // whose number is lastNumber
	name     []byte
	rows     []rawRow
	counts   []int // live entries by family number
	ent      *rawRow
	firstDup rawRow
	firstOdd rawRow

	lastNumber uint32
}

func (m *rowsMaker) run(rows rowSource) error {
	for {
		r, err := rows.next()
		if errors.Is(err, io.EOF) {
			if err := m.flush(); err != nil {
				return err
			}
			m.previous.end()
			return nil
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(r.name, m.name) {
			if err := m.flush(); err != nil {
				return err
			}
			m.name = append(m.name[:0], r.name...)
		}
		d := rowBytes{b: r.row}
		m.take(d.row())
	}
}

// take adds one row to the group of m.name.
func (m *rowsMaker) take(r rawRow) {
	if r.Kind == policy.KindENT {
		if m.ent == nil {
			first := r // so that only this one is moved to the heap
			m.ent = &first
		}
		return
	}
	if len(m.rows) > 0 { // lines with the same name must be read together
		m.writer.marks.unset(m.rows[0].Line)
		m.writer.marks.unset(r.Line)
	}
	for i := range m.rows {
		if have := &m.rows[i]; have.Kind == r.Kind && have.Family == r.Family && have.Exception == r.Exception {
			have.Expiry = laterExpiry(have.Expiry, r.Expiry)
			m.count(&m.report.Duplicates, &m.firstDup, r)
			return
		}
	}
	m.rows = append(m.rows, r)
	if len(m.rows) > membersMax {
		m.crowd()
	}
}

// crowd takes a row out of a group that has one too many: the last of those without which the rest blocks as much for as long. So a name that
// gets one more row never loses what an earlier one blocked.
func (m *rowsMaker) crowd() {
	out := len(m.rows) - 1
	for out > 0 && !m.covered(out) {
		out--
	}
	m.count(&m.report.Crowded, &m.firstOdd, m.rows[out])
	m.rows = slices.Delete(m.rows, out, out+1)
}

// covered reports whether another row of the group does what row i does.
func (m *rowsMaker) covered(i int) bool {
	r := &m.rows[i]
	for j := range m.rows {
		other := &m.rows[j]
		if j != i && other.Kind == r.Kind && other.Exception == r.Exception && other.Action == r.Action && laterExpiry(other.Expiry, r.Expiry) == other.Expiry {
			return true
		}
	}
	return false
}

func laterExpiry(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// count adds r to c; the first of c is the one that came first in the feed, not in the order of hashes.
func (m *rowsMaker) count(c *FaultCount, first *rawRow, r rawRow) {
	c.Count++
	if c.Count > 1 && (r.File > first.File || r.File == first.File && r.Line >= first.Line) {
		return
	}
	*first = r
	c.First = Fault{File: m.writer.files.texts[r.File], Line: int(r.Line), Text: string(dnsname.AppendText(nil, m.name))}
}

// flush writes the group of m.name, if there is one.
func (m *rowsMaker) flush() error {
	rows := m.group()
	if len(rows) == 0 {
		return nil
	}
	return m.write(rows, m.previous.group(m.name, rows))
}

// group returns the rows of m.name, and counts that name.
func (m *rowsMaker) group() []rawRow {
	rows := m.rows
	switch {
	case len(rows) > 0:
		m.report.Names++
	case m.ent != nil:
		rows = append(rows, *m.ent)
		m.report.EmptyNonTerminals++
	}
	return rows
}

// write writes the group of m.name, of which the previous copy says what was says.
func (m *rowsMaker) write(rows, was []rawRow) error {
	for i := range rows {
		rows[i].Added = m.timeNumber(m.previous.added(was, &rows[i]))
		if rows[i].Kind != policy.KindENT {
			m.counts[rows[i].Family]++
		}
	}
	m.rows, m.ent = m.rows[:0], nil
	return m.out.group(m.name, rows)
}

// timeNumber numbers the time at which a row was first seen: now for 0.
func (m *rowsMaker) timeNumber(at int64) uint32 {
	if at == 0 {
		at = m.now
	}
	if len(m.table) > 0 && at == m.lastTime {
		return m.lastNumber
	}
	n, ok := m.times[at]
	if !ok {
		n = uint32(len(m.table))
		m.times[at], m.table = n, append(m.table, at)
	}
	m.lastTime, m.lastNumber = at, n
	return n
}

// close writes what follows the blocks.
func (m *rowsMaker) close() error {
	r := m.report
	r.Live -= r.Duplicates.Count + r.Crowded.Count
	r.FamilyEntries = map[string]int{}
	for n, count := range m.counts {
		switch {
		case count == 0:
		case n < familiesListedMax:
			r.FamilyEntries[m.writer.families.texts[n]] = count
		default:
			r.FamilyEntriesUnlisted += count
		}
	}
	if err := r.reconcile(); err != nil {
		return err
	}
	w := m.writer
	tables := rowTables{Families: w.families.texts, Threats: w.threats.texts, Files: w.files.texts, Times: m.table}
	return m.out.close(w.heap, tables, r)
}

// unixTime is the zero time for 0.
func unixTime(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// newSourceMerge merges two sorted sources; of equal names those of a come first.
func newSourceMerge(a, b rowSource) (rowSource, error) {
	m := &sourceMerge{sources: [2]rowSource{a, b}}
	for i := range m.sources {
		if err := m.advance(i); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// sourceMerge merges two sources.
type sourceMerge struct {
	sources [2]rowSource
	rows    [2]sortedRow
	ended   [2]bool
	pending int // 1 + the source whose row was handed out and must move on
}

func (m *sourceMerge) advance(i int) error {
	var err error
	m.rows[i], err = m.sources[i].next()
	if errors.Is(err, io.EOF) {
		m.ended[i], err = true, nil
	}
	return err
}

func (m *sourceMerge) next() (sortedRow, error) {
	if m.pending > 0 {
		if err := m.advance(m.pending - 1); err != nil {
			return sortedRow{}, fmt.Errorf("merging sorted rows: %w", err)
		}
	}
	i := 0
	switch {
	case m.ended[0] && m.ended[1]:
		return sortedRow{}, io.EOF
	case m.ended[0]:
		i = 1
	case !m.ended[1]:
		i = m.lower()
	}
	m.pending = i + 1
	return m.rows[i], nil
}

func (m *sourceMerge) lower() int {
	a, b := &m.rows[0], &m.rows[1]
	if b.hash < a.hash || b.hash == a.hash && bytes.Compare(b.name, a.name) < 0 {
		return 1
	}
	return 0
}
