package blocklist

import (
	"fmt"
	"io"
)

// Bounds of a layer, which is written anew with each change. Above them a copy is written whole.
const (
	layerShare    = 8       // it may have one name for so many of its base
	layerLeast    = 4096    // but always so many
	layerMost     = 20_000  // and never more
	layerBytesMax = 8 << 20 // octets of texts in it
)

// layerRoom is how many names a layer over a base of so many may have.
func layerRoom(base int) int { return min(max(base/layerShare, layerLeast), layerMost) }

// changedRows is what becomes of a name.
type changedRows struct {
	changedName
	was []rawRow // in the copy before
	is  []rawRow // none: it is not listed any more
}

// layerWriter writes the copy of a feed that follows before as a layer. It is the Sink of the rows that come: their texts go on where those of before end.
type layerWriter struct {
	*rowsWriter
	before *Rows
	below  fileSeeker // of what the layer lies over
}

// newLayerWriter writes into dir, in files with temporary names.
func newLayerWriter(dir string, before *Rows) (*layerWriter, error) {
	w, err := newRowsWriter(dir, 0, nil)
	if err != nil {
		return nil, err
	}
	t := &before.tables
	w.families, w.threats, w.files = newLabelTable(labelsMax, t.Families...), newLabelTable(labelsMax, t.Threats...), newLabelTable(filesMax, t.Files...)
	w.heap.below = before.whole().header.Heap.Size
	if before.base != nil {
		err = w.heap.goOn(before.f, before.header.Heap)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return &layerWriter{rowsWriter: w, before: before, below: before.baseSeeker()}, nil
}

// goOn begins the heap with that of the layer before.
func (h *heapWriter) goOn(f io.ReaderAt, s section) error {
	if s.Size > layerBytesMax {
		return fmt.Errorf("%w: a layer with %d octets of texts", errWhole, s.Size)
	}
	n, err := io.Copy(h.w, io.NewSectionReader(f, int64(s.Offset), int64(s.Size)))
	h.size += uint64(n)
	return err
}

// finish writes the layer with what has changed, in the order of rows files, and with what the layer before says of other names, and moves it to path. Who needs it after a
// loss of power has it synced (syncFiles).
func (w *layerWriter) finish(path string, number uint64, report *FeedReport, changed []changedRows) error {
	m := w.maker(number, report)
	m.goOnTimes(w.before.tables.Times)
	m.previous = &previousCursor{cursor: w.before.cursor(), numbers: newTextNumbers(&w.before.tables, w.families.texts, w.threats.texts)}
	if err := w.merge(m, changed); err != nil {
		return err
	}
	base := w.before.whole()
	if names := m.out.header.Names; names > uint64(layerRoom(base.names())) {
		return fmt.Errorf("%w: a layer of %d names", errWhole, names)
	}
	m.out.header.Base, m.out.header.BaseContent = base.Generation(), base.header.Content
	tables := rowTables{Families: w.families.texts, Threats: w.threats.texts, Files: w.files.texts, Times: m.table}
	if err := m.out.close(w.heap, tables, report); err != nil {
		return err
	}
	return nameFile(w.temp, path)
}

// merge writes the names.
func (w *layerWriter) merge(m *rowsMaker, changed []changedRows) error {
	var old blockCursor
	passed, ends := true, w.before.base == nil
	if !ends {
		old = w.before.rowsFile.cursor()
	}
	for {
		if err := old.follow(&passed, &ends); err != nil {
			return err
		}
		order := 1
		if len(changed) == 0 && ends {
			return nil
		}
		if !ends {
			order = -1
			if len(changed) > 0 {
				order = compareNames(changedName{old.hash, old.name}, changed[0].changedName)
			}
		}
		if passed = order <= 0; order < 0 {
			if err := m.out.group(old.name, old.rows); err != nil {
				return err
			}
			continue
		}
		if err := w.add(m, &changed[0]); err != nil {
			return err
		}
		changed = changed[1:]
	}
}

// add writes a name that has changed, unless it is one that came and has gone again, of which the base says nothing.
func (w *layerWriter) add(m *rowsMaker, c *changedRows) error {
	if len(c.is) == 0 && w.before.base != nil {
		if _, listed, err := w.below.find(c.name, c.hash); err != nil || !listed {
			return err
		}
	}
	for i := range c.is {
		c.is[i].Added = m.timeNumber(m.previous.added(c.was, &c.is[i]))
	}
	return m.out.group(c.name, c.is)
}
