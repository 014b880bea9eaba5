package blocklist

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"

	"cenote/policy"

	"github.com/zeebo/xxh3"
)

// rowsOutput writes the sections of a rows file to f, from its beginning.
type rowsOutput struct {
	f       *os.File
	w       *bufio.Writer
	at      uint64
	content *xxh3.Hasher
	header  rowsHeader
	block   []byte
	first   uint64 // nameHash of the first name of block
	index   []byte
	lines   []byte // see rowsHeader.Lines
}

func newRowsOutput(f *os.File, generation uint64) *rowsOutput {
	o := &rowsOutput{f: f, w: bufio.NewWriterSize(f, filePiece), content: xxh3.New()}
	o.header.Generation = generation
	o.write(make([]byte, rowsHeaderSize)) // the header comes last, when everything is known
	o.header.Blocks.Offset = o.at
	return o
}

// write keeps the place; an error sticks in w and comes out of Flush.
func (o *rowsOutput) write(b []byte) {
	for piece := range slices.Chunk(b, filePiece) { // w would pass on what is larger than its buffer as it is
		o.w.Write(piece)
	}
	o.at += uint64(len(b))
}

// group adds a name with its rows.
func (o *rowsOutput) group(name []byte, rows []rawRow) error {
	if len(o.block) == 0 {
		o.first = nameHash(name)
	}
	o.block = append(append(o.block, byte(len(name))), name...)
	o.block = binary.AppendUvarint(o.block, uint64(len(rows)))
	for i := range rows {
		o.block = rows[i].append(o.block)
		if rows[i].Kind != policy.KindENT {
			o.header.Rows++
		}
	}
	o.header.Names++
	return o.endFullBlock()
}

// endFullBlock ends the block if it is large enough.
func (o *rowsOutput) endFullBlock() error {
	if len(o.block) >= rowsBlockSize {
		return o.endBlock()
	}
	return nil
}

func (o *rowsOutput) endBlock() error {
	if len(o.block) == 0 {
		return nil
	}
	o.index = binary.LittleEndian.AppendUint64(o.index, o.first)
	o.index = binary.LittleEndian.AppendUint64(o.index, o.at)
	o.content.Write(o.block)
	o.write(binary.LittleEndian.AppendUint32(nil, castagnoli(o.block)))
	_, err := o.w.Write(o.block)
	o.at += uint64(len(o.block))
	o.block = o.block[:0]
	return err
}

// close writes everything after the blocks, and the header.
func (o *rowsOutput) close(heap *heapWriter, tables rowTables, report *FeedReport) error {
	if err := o.endBlock(); err != nil {
		return err
	}
	o.header.Blocks.Size = o.at - o.header.Blocks.Offset
	if err := o.copyHeap(heap); err != nil {
		return err
	}
	o.header.Index = o.section(o.index)
	if len(o.lines) > 0 {
		o.content.Write(o.lines)
		o.header.Lines = o.section(o.lines)
	}
	b, err := json.Marshal(tables)
	if err != nil {
		return err
	}
	o.content.Write(b)
	o.header.Tables = o.section(b)
	if b, err = json.Marshal(report); err != nil {
		return err
	}
	o.header.Report = o.section(b)
	if err := o.w.Flush(); err != nil {
		return err
	}
	o.header.Content = o.content.Sum64()
	_, err = o.f.WriteAt(o.header.encode(), 0)
	return err
}

func (o *rowsOutput) section(b []byte) section {
	s := section{Offset: o.at, Size: uint64(len(b)), CRC: castagnoli(b)}
	o.write(b)
	return s
}

func (o *rowsOutput) copyHeap(heap *heapWriter) error {
	r, err := heap.reader()
	if err != nil {
		return err
	}
	o.header.Heap = section{Offset: o.at, Size: heap.size}
	n, err := io.Copy(io.MultiWriter(o.w, o.content), r)
	o.at += uint64(n)
	return err
}

// heapWriter collects references, comments and local data in a temporary file, which is there when there are some. An entry is its length (varint), its octets and their CRC;
// entries are found by place, so equal texts may share one.
type heapWriter struct {
	f         unlinkedFile
	w         *bufio.Writer
	size      uint64
	below     uint64 // the size of the heap that this one goes on from
	seen      map[string]uint64
	seenBytes int
}

// heapSeenMax bounds the memory of the texts that may still be shared; above it sharing begins anew.
const heapSeenMax = 16 << 20

func newHeapWriter(dir string) *heapWriter {
	h := &heapWriter{f: unlinkedFile{dir: dir}, seen: map[string]uint64{}}
	h.w = bufio.NewWriterSize(&h.f, filePiece)
	return h
}

// unlinkedFile is a file without a name in a directory, which is made when it is first written to.
type unlinkedFile struct {
	dir string
	f   *os.File // nil: nothing was written
}

// Write makes the file if there is none yet.
func (u *unlinkedFile) Write(b []byte) (int, error) {
	if u.f == nil {
		f, err := os.CreateTemp(u.dir, tempPattern)
		if err != nil {
			return 0, err
		}
		u.f = f
		if err := os.Remove(f.Name()); err != nil {
			return 0, err
		}
	}
	return u.f.Write(b)
}

// reader returns what was written, from the beginning.
func (u *unlinkedFile) reader() (io.Reader, error) {
	if u.f == nil {
		return strings.NewReader(""), nil
	}
	_, err := u.f.Seek(0, io.SeekStart)
	return u.f, err
}

func (u *unlinkedFile) close() {
	if u.f != nil {
		u.f.Close()
	}
}

// text returns 1 + the place of s, or 0 for the empty text.
func (h *heapWriter) text(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	if at, ok := h.seen[s]; ok {
		return at, nil
	}
	if h.seenBytes += len(s) + 64; h.seenBytes > heapSeenMax {
		clear(h.seen)
		h.seenBytes = len(s)
	}
	at := h.below + h.size + 1
	h.seen[strings.Clone(s)] = at
	b := binary.AppendUvarint(nil, uint64(len(s)))
	b = append(b, s...)
	b = binary.LittleEndian.AppendUint32(b, castagnoli([]byte(s)))
	h.size += uint64(len(b))
	_, err := h.w.Write(b)
	return at, err
}

func (h *heapWriter) reader() (io.Reader, error) {
	if err := h.w.Flush(); err != nil {
		return nil, err
	}
	return h.f.reader()
}

func (h *heapWriter) close() { h.f.close() }
