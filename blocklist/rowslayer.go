package blocklist

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// A change of few rows of a large feed is not worth a new copy of all others. What is written is a layer: a small file of all names of which the feed says
// something else than a copy that is whole, its base, said. A look-up looks into the layer first. The next change makes another layer over the same
// base, which has the names of the one before as well, so that there is one at most; a copy that is written whole ends it. What is said of the layers of lists is in listlayer.go. Layers are copies like others: they have a
// number, a report, a place in the history, and are damaged where they or their bases are.

// line is the line of a row, 0 where nobody knows: what the list was like when the rows of the base were read, it is no more, and it is not known what has
// become of its lines.
func (r *Rows) line(raw *rawRow) int {
	if r.base != nil && len(r.runs) == 0 {
		return 0
	}
	return int(raw.Line)
}

// movedIn is what has become of the lines of rows in one of the files of r.
func (r *Rows) movedIn(file *rowsFile) []lineRun {
	if file == &r.rowsFile {
		return nil
	}
	return r.runs
}

// lieOver makes r, which is a layer, lie over base.
func (r *Rows) lieOver(base *Rows) error {
	t, b := &r.tables, &base.tables
	if base.header.Base != 0 || base.header.Generation != r.header.Base || base.header.Content != r.header.BaseContent ||
		!begins(t.Families, b.Families) || !begins(t.Threats, b.Threats) || !begins(t.Files, b.Files) || !begins(t.Times, b.Times) {
		return fmt.Errorf("%w: it lies over another copy than %d", ErrRowsDamaged, r.header.Base)
	}
	if n := len(r.runs); n > 0 && uint64(r.runs[n-1].old)+uint64(r.runs[n-1].n) > uint64(base.report.Lines) {
		return fmt.Errorf("%w: it has more lines than the copy that it lies over", ErrRowsDamaged)
	}
	r.base = base
	return nil
}

// begins reports whether all begins with first.
func begins[T comparable](all, first []T) bool {
	return len(all) >= len(first) && slices.Equal(all[:len(first)], first)
}

// whole is the copy that a layer lies over; r itself if it is whole.
func (r *Rows) whole() *Rows {
	if r.base != nil {
		return r.base
	}
	return r
}

// files are where rows are looked for, in this order.
func (r *Rows) files() []*rowsFile {
	if r.base != nil {
		return []*rowsFile{&r.rowsFile, &r.base.rowsFile}
	}
	return []*rowsFile{&r.rowsFile}
}

// names is how many names the copy has, empty non-terminals included.
func (r *Rows) names() int {
	if r.base != nil {
		return r.report.Names + r.report.EmptyNonTerminals
	}
	return int(r.header.Names)
}

// text reads a text of the heap, by its place in that of the base and behind it that of the layer.
func (r *Rows) text(at uint64) (string, error) {
	if r.base == nil {
		return r.rowsFile.text(at)
	}
	below := r.base.header.Heap.Size
	if at <= below {
		return r.base.rowsFile.text(at)
	}
	return r.rowsFile.text(at - below)
}

// rowsCursor walks a copy name by name, in order. hash, name and rows live until the next step.
type rowsCursor struct {
	file *Rows
	hash uint64
	name []byte
	rows []rawRow

	main  blockCursor  // of the file, or of what the layer lies over
	layer *blockCursor // nil: there is none

	passed, layerPassed bool // the name where the one stands, or the other, has been told: it is to move on
	ends, layerEnds     bool
}

func (r *Rows) cursor() *rowsCursor {
	c := &rowsCursor{file: r, main: r.whole().rowsFile.cursor(), passed: true, layerPassed: true}
	if r.base != nil {
		layer := r.rowsFile.cursor()
		c.layer, c.main.moved = &layer, r.runs
	}
	return c
}

// begin has a cursor that has not moved yet begin before the first name with a hash, or a little earlier.
func (c *rowsCursor) begin(hash uint64) {
	c.main.begin(hash)
	if c.layer != nil {
		c.layer.begin(hash)
	}
}

func (c *blockCursor) begin(hash uint64) {
	r := c.file
	if r.blocks() == 0 {
		return
	}
	c.at = r.blockFor(hash)
	from, _ := r.blockSpan(c.at)
	end := r.header.Blocks.Offset + r.header.Blocks.Size
	c.in = bufio.NewReaderSize(io.NewSectionReader(r.f, int64(from), int64(end-from)), filePiece)
}

// next moves to the next name; io.EOF is the end.
func (c *rowsCursor) next() error {
	at := &c.main
	var err error
	if c.layer == nil {
		err = at.next()
	} else {
		at, err = c.nextOfBoth()
	}
	if err != nil {
		return err
	}
	c.hash, c.name, c.rows = at.hash, at.name, at.rows
	return nil
}

// nextOfBoth is next of a layer and its base. It returns that which has the name.
func (c *rowsCursor) nextOfBoth() (*blockCursor, error) {
	for {
		if err := errors.Join(c.main.follow(&c.passed, &c.ends), c.layer.follow(&c.layerPassed, &c.layerEnds)); err != nil {
			return nil, err
		}
		order := 0
		switch {
		case c.ends && c.layerEnds:
			return nil, io.EOF
		case c.ends:
			order = 1
		case c.layerEnds:
			order = -1
		default:
			order = cmp.Or(cmp.Compare(c.main.hash, c.layer.hash), bytes.Compare(c.main.name, c.layer.name))
		}
		c.passed, c.layerPassed = order <= 0, order >= 0
		switch {
		case order < 0:
			return &c.main, nil
		case len(c.layer.rows) > 0:
			return c.layer, nil
		}
	}
}

// follow moves on if the name was passed.
func (c *blockCursor) follow(passed, ends *bool) error {
	if !*passed || *ends {
		return nil
	}
	*passed = false
	err := c.next()
	if *ends = errors.Is(err, io.EOF); *ends {
		return nil
	}
	return err
}

// rowsSeeker finds the rows of names that come in the order of a copy, and reads no block twice. What it returns lives until the next call.
type rowsSeeker struct{ files []fileSeeker }

func (r *Rows) seeker() *rowsSeeker {
	s := &rowsSeeker{}
	for _, f := range r.files() {
		s.files = append(s.files, fileSeeker{file: f, moved: r.movedIn(f)})
	}
	return s
}

// find returns the rows of a name with the given nameHash; none is no error.
func (s *rowsSeeker) find(name []byte, hash uint64) ([]rawRow, error) {
	for i := range s.files {
		if rows, found, err := s.files[i].find(name, hash); found || err != nil {
			return rows, err
		}
	}
	return nil, nil
}

// baseSeeker finds the rows of names in what a layer lies over.
func (r *Rows) baseSeeker() fileSeeker { return fileSeeker{file: &r.whole().rowsFile} }

// layerBase is the number of the copy that the rows file at path lies over; 0 if it is whole, is not there, or is damaged, so that it lies over nothing. An error says that it could not be
// looked at.
func layerBase(path string) (uint64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	head := make([]byte, rowsHeaderSize)
	switch _, err := io.ReadFull(f, head); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, nil
	case err != nil:
		return 0, err
	}
	h, err := decodeRowsHeader(head, info.Size())
	if err != nil {
		return 0, nil
	}
	return h.Base, nil
}
