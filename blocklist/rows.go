package blocklist

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cenote/dnsname"
	"cenote/policy"
)

// Row is one row of a feed as its kept copy holds it: what the hot index leaves out.
type Row struct {
	Name       dnsname.Name
	Kind       policy.Kind
	Action     policy.Action
	Exception  bool
	Family     string
	Threat     string
	Confidence uint8
	Expiry     time.Time // the zero time for never
	File       string
	Line       int // 0 where nobody knows it: the copy was changed by a difference of a policy zone, and no list was read
	Reference  string
	Comment    string
	Added      time.Time         // when this feed was first read with the row in it
	Data       *policy.LocalData // nil unless Action is ActionLocalData
}

// ErrNoRow says that a feed does not list a name.
var ErrNoRow = errors.New("the feed has no such row")

// Rows is an open copy of a feed: a rows file, or a layer over one. It may be used from many goroutines; look-ups read the file and are meant for
// explanations and records, not for the path of a query. Whoever opens it closes it; a replaced or removed file stays readable until then.
type Rows struct {
	rowsFile       // of a layer its own, whose tables and report are those of the copy
	base     *Rows // what the layer lies over, which is whole; nil: the file is whole itself
	users    atomic.Int32
}

// rowsFile is one open rows file.
type rowsFile struct {
	f      *os.File
	header rowsHeader
	index  []byte
	runs   []lineRun // of a layer over the copy of a list: what has become of its lines
	tables rowTables
	report FeedReport
}

// OpenRows opens a rows file, with that which it lies over, and checks everything but the rows themselves, which are checked when they are read.
func OpenRows(path string) (*Rows, error) { return openRowsBeside(path, nil) }

// openRowsBeside is OpenRows where another copy of the feed is open: what that lies over, or itself, may be what this one lies over.
func openRowsBeside(path string, near *Rows) (*Rows, error) {
	r, err := openRowsFile(path)
	if err != nil {
		return nil, err
	}
	if r.header.Base == 0 {
		return r, nil
	}
	base, err := openBase(path, r.header.Base, near)
	if err != nil {
		r.f.Close()
		return nil, fmt.Errorf("rows file %s: what it lies over: %w", path, err)
	}
	if err := r.lieOver(base); err != nil {
		base.Close()
		r.f.Close()
		return nil, fmt.Errorf("rows file %s: %w", path, err)
	}
	return r, nil
}

// openBase opens the copy of a number that the one at path lies over, by sharing it where it is open.
func openBase(path string, number uint64, near *Rows) (*Rows, error) {
	if near != nil && near.whole().Generation() == number {
		return near.whole().retain(), nil
	}
	return openRowsFile(filepath.Join(filepath.Dir(path), rowsName(number)))
}

// openRowsFile opens a rows file alone.
func openRowsFile(path string) (*Rows, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &Rows{rowsFile: rowsFile{f: f}}
	r.users.Store(1)
	if err := r.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("rows file %s: %w", path, err)
	}
	return r, nil
}

func (r *rowsFile) load() error {
	info, err := r.f.Stat()
	if err != nil {
		return err
	}
	head := make([]byte, rowsHeaderSize)
	if _, err := io.ReadFull(io.NewSectionReader(r.f, 0, rowsHeaderSize), head); err != nil {
		return fmt.Errorf("%w: %v", ErrRowsDamaged, err)
	}
	if r.header, err = decodeRowsHeader(head, info.Size()); err != nil {
		return err
	}
	if r.index, err = readSection(r.f, r.header.Index); err != nil {
		return err
	}
	if len(r.index)%rowsIndexEntry != 0 {
		return fmt.Errorf("%w: index of %d octets", ErrRowsDamaged, len(r.index))
	}
	lines, err := readSection(r.f, r.header.Lines)
	if err != nil {
		return err
	}
	if r.runs, err = decodeRuns(lines); err != nil {
		return err
	}
	if err := readJSONSection(r.f, r.header.Tables, &r.tables); err != nil {
		return err
	}
	return readJSONSection(r.f, r.header.Report, &r.report)
}

// retain adds a user; each user calls Close once.
func (r *Rows) retain() *Rows {
	r.users.Add(1)
	return r
}

// Close ends the use of r. The file is closed when its last user is gone.
func (r *Rows) Close() error {
	if r.users.Add(-1) > 0 {
		return nil
	}
	err := r.f.Close()
	if r.base != nil {
		err = errors.Join(err, r.base.Close())
	}
	return err
}

// Report is what was found when the feed was read.
func (r *Rows) Report() *FeedReport { return &r.report }

// Generation is the number of the copy.
func (r *Rows) Generation() uint64 { return r.header.Generation }

// Size is the length of the file in octets, of a layer without that which it lies over.
func (r *rowsFile) Size() int64 {
	return int64(r.header.Report.Offset + r.header.Report.Size)
}

// Find returns all rows of a name, which is canonical and in wire form, in the order of the feed; none is no error.
func (r *Rows) Find(name []byte) ([]Row, error) {
	buf := blockBuffers.Get().(*[]byte)
	defer blockBuffers.Put(buf)
	raw, err := r.find(name, nameHash(name), buf)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	return r.resolve(name, raw)
}

// find returns the rows of a name with the given nameHash, which live until *buf is used again.
func (r *Rows) find(name []byte, hash uint64, buf *[]byte) (rows []rawRow, err error) {
	for _, file := range r.files() {
		seeker := fileSeeker{file: file, buf: *buf, moved: r.movedIn(file)}
		rows, found, err := seeker.find(name, hash)
		if *buf = seeker.buf; found || err != nil {
			return rows, err
		}
	}
	return nil, nil
}

// blockFor returns the first block that may hold a name with this hash.
func (r *rowsFile) blockFor(hash uint64) int {
	i := sort.Search(r.blocks(), func(i int) bool { return r.blockHash(i) >= hash })
	return max(i-1, 0)
}

func (r *rowsFile) blocks() int { return len(r.index) / rowsIndexEntry }

func (r *rowsFile) blockHash(i int) uint64 {
	return binary.LittleEndian.Uint64(r.index[i*rowsIndexEntry:])
}

func (r *rowsFile) blockSpan(i int) (from, to uint64) {
	place := func(i int) uint64 { return binary.LittleEndian.Uint64(r.index[i*rowsIndexEntry+8:]) }
	to = r.header.Blocks.Offset + r.header.Blocks.Size
	if i+1 < r.blocks() {
		to = place(i + 1)
	}
	return place(i), to
}

// blockMax is above the size of any block: one group of names more than what blocks had when they were largest.
const blockMax = 8<<10 + 2*256 + membersMax*128

// blockBuffers are for what Find reads: one that was new for each name would have the kernel clear as much memory again.
var blockBuffers = sync.Pool{New: func() any { return new([]byte) }}

// readBlock reads a block into *buf, which grows if need be.
func (r *rowsFile) readBlock(i int, buf *[]byte) ([]byte, error) {
	from, to := r.blockSpan(i)
	if to < from+4 || to-from > blockMax {
		return nil, fmt.Errorf("%w: block %d of %d octets", ErrRowsDamaged, i, to-from)
	}
	*buf = slices.Grow((*buf)[:0], int(to-from))
	b := (*buf)[:to-from]
	if _, err := r.f.ReadAt(b, int64(from)); err != nil {
		return nil, err
	}
	return checkBlock(b, i)
}

func checkBlock(b []byte, i int) ([]byte, error) {
	if binary.LittleEndian.Uint32(b) != castagnoli(b[4:]) {
		return nil, fmt.Errorf("%w: checksum of block %d", ErrRowsDamaged, i)
	}
	return b[4:], nil
}

func (r *Rows) resolve(name []byte, raw []rawRow) ([]Row, error) {
	rows := make([]Row, len(raw))
	for i := range raw {
		row, err := r.row(name, &raw[i])
		if err != nil {
			return nil, err
		}
		rows[i] = row
	}
	return rows, nil
}

// row gives a stored row its texts. The cursor has checked the numbers.
func (r *Rows) row(name []byte, raw *rawRow) (Row, error) {
	row := Row{
		Name: dnsname.Name(name), Kind: raw.Kind, Action: raw.Action, Exception: raw.Exception,
		Family: r.tables.Families[raw.Family], Threat: r.tables.Threats[raw.Threat], Confidence: raw.Confidence,
		Expiry: unixTime(raw.Expiry), File: r.tables.Files[raw.File], Line: r.line(raw), Added: unixTime(r.tables.Times[raw.Added]),
	}
	var err error
	if row.Reference, err = r.text(raw.Reference); err != nil {
		return row, err
	}
	if row.Comment, err = r.text(raw.Comment); err != nil {
		return row, err
	}
	row.Data, err = r.localData(raw.Data)
	return row, err
}

// heapTextMax is above every text of the heap. The largest is the local data of one owner name.
const heapTextMax = 16 << 20

// text reads the entry of the heap that begins at at-1; 0 is the empty text.
func (r *rowsFile) text(at uint64) (string, error) {
	if at == 0 {
		return "", nil
	}
	if at > r.header.Heap.Size {
		return "", fmt.Errorf("%w: text outside the heap", ErrRowsDamaged)
	}
	rest := io.NewSectionReader(r.f, int64(r.header.Heap.Offset+at-1), int64(r.header.Heap.Size-at+1))
	in := bufio.NewReaderSize(rest, 1<<10)
	size, err := binary.ReadUvarint(in)
	if err != nil || size > heapTextMax {
		return "", fmt.Errorf("%w: length of a text", ErrRowsDamaged)
	}
	b := make([]byte, size+4)
	if _, err := io.ReadFull(in, b); err != nil {
		return "", fmt.Errorf("%w: text: %v", ErrRowsDamaged, err)
	}
	if binary.LittleEndian.Uint32(b[size:]) != castagnoli(b[:size]) {
		return "", fmt.Errorf("%w: checksum of a text", ErrRowsDamaged)
	}
	return string(b[:size]), nil
}

func (r *Rows) localData(at uint64) (*policy.LocalData, error) {
	text, err := r.text(at)
	if err != nil || text == "" {
		return nil, err
	}
	data := new(policy.LocalData)
	if err := json.Unmarshal([]byte(text), data); err != nil {
		return nil, fmt.Errorf("%w: local data: %v", ErrRowsDamaged, err)
	}
	return data, nil
}

// All calls visit for every row in the order of the file, empty non-terminals included, until it returns false.
func (r *Rows) All(visit func(Row) bool) error {
	c := r.cursor()
	for {
		switch err := c.next(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		rows, err := r.resolve(c.name, c.rows)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if !visit(row) {
				return nil
			}
		}
	}
}

// Verify reads the whole file, and that which it lies over.
func (r *Rows) Verify() error {
	c := r.cursor()
	names := 0
	for {
		switch err := c.next(); {
		case err == io.EOF && names != r.names():
			return fmt.Errorf("%w: %d names instead of %d", ErrRowsDamaged, names, r.names())
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		names++
	}
}

// blockCursor walks a rows file name by name, in order. name and rows live until the next step.
type blockCursor struct {
	file  *rowsFile
	in    *bufio.Reader
	at    int // number of the next block
	buf   []byte
	block rowBytes
	hash  uint64
	name  []byte
	rows  []rawRow
	moved []lineRun // what has become of the lines of rows; nil: they are as they were
}

func (r *rowsFile) cursor() blockCursor {
	blocks := io.NewSectionReader(r.f, int64(r.header.Blocks.Offset), int64(r.header.Blocks.Size))
	return blockCursor{file: r, in: bufio.NewReaderSize(blocks, filePiece)}
}

// next moves to the next name; io.EOF is the end.
func (c *blockCursor) next() error {
	if len(c.block.b) == 0 {
		if c.at == c.file.blocks() {
			return io.EOF
		}
		if err := c.nextBlock(); err != nil {
			return err
		}
	}
	if err := c.parse(); err != nil {
		return err
	}
	c.hash = nameHash(c.name)
	return nil
}

// fileSeeker finds the rows of names that come in the order of the file, and reads no block twice. What it returns lives until the next call.
type fileSeeker struct {
	file  *rowsFile
	begun bool
	at    int      // number of the block that was read last
	block rowBytes // what of it comes behind the names that were found
	buf   []byte
	rows  []rawRow
	moved []lineRun // as in blockCursor
}

// find returns the rows of a name with the given nameHash, and whether the file has that name.
func (s *fileSeeker) find(name []byte, hash uint64) (rows []rawRow, found bool, err error) {
	first := s.file.blockFor(hash)
	if s.begun {
		first = max(first, s.at)
	}
	for at := first; at < s.file.blocks(); at++ { // names of one hash may lie across blocks
		if err = s.read(at); err != nil {
			return nil, false, err
		}
		if found, err = s.inBlock(name); found || err != nil {
			return s.rows, found, err
		}
		if at+1 == s.file.blocks() || s.file.blockHash(at+1) > hash {
			s.begun = at == first // otherwise the next name may lie before what was read
			return nil, false, nil
		}
	}
	return nil, false, nil
}

// read reads a block, unless it is the one that was read last.
func (s *fileSeeker) read(at int) (err error) {
	if !s.begun || at > s.at {
		s.begun, s.at = true, at
		s.block.b, err = s.file.readBlock(at, &s.buf)
	}
	return err
}

// inBlock looks for a name in what is left of a block, and reads the rows of no other.
func (s *fileSeeker) inBlock(name []byte) (found bool, err error) {
	d := s.block
	for len(d.b) > 0 {
		has := bytes.Equal(d.take(int(d.octet())), name)
		n := d.uvarint()
		if d.bad || n == 0 && s.file.header.Base == 0 || n > membersMax {
			return false, fmt.Errorf("%w: a name with %d rows", ErrRowsDamaged, n)
		}
		if has {
			s.rows, err = d.rows(s.rows[:0], int(n), &s.file.tables)
			moveLines(s.rows, s.moved)
			s.block = d
			return true, err
		}
		for range n {
			d.line()
		}
	}
	if d.bad {
		return false, fmt.Errorf("%w: a row that ends too early", ErrRowsDamaged)
	}
	return false, nil
}

// rows appends the next n rows to dst, whose texts are in t.
func (d *rowBytes) rows(dst []rawRow, n int, t *rowTables) ([]rawRow, error) {
	for range n {
		row := d.row()
		if d.bad || !t.hold(&row) {
			return nil, fmt.Errorf("%w: a row whose texts are not there", ErrRowsDamaged)
		}
		dst = append(dst, row)
	}
	return dst, nil
}

func (c *blockCursor) nextBlock() error {
	from, to := c.file.blockSpan(c.at)
	if to < from+5 || to-from > blockMax {
		return fmt.Errorf("%w: block %d of %d octets", ErrRowsDamaged, c.at, to-from)
	}
	size := int(to - from)
	c.buf = slices.Grow(c.buf[:0], size)[:size]
	if _, err := io.ReadFull(c.in, c.buf); err != nil {
		return fmt.Errorf("%w: block %d: %v", ErrRowsDamaged, c.at, err)
	}
	b, err := checkBlock(c.buf, c.at)
	c.block.b = b
	c.at++
	return err
}

// parse reads the group at the beginning of block.
func (c *blockCursor) parse() error {
	d := &c.block
	c.name = d.take(int(d.octet()))
	n := d.uvarint()
	if d.bad || n == 0 && c.file.header.Base == 0 || n > membersMax {
		return fmt.Errorf("%w: a name with %d rows", ErrRowsDamaged, n)
	}
	if size, _, err := dnsname.Check(c.name); err != nil || size != len(c.name) {
		return fmt.Errorf("%w: a name that is none", ErrRowsDamaged)
	}
	rows, err := d.rows(c.rows[:0], int(n), &c.file.tables)
	if err != nil {
		return fmt.Errorf("%w, of %s", err, strings.ToValidUTF8(dnsname.Name(c.name).String(), "?"))
	}
	c.rows = rows
	moveLines(rows, c.moved)
	return nil
}

// hold reports whether the numbers of a row have texts.
func (t *rowTables) hold(r *rawRow) bool {
	return int(r.Family) < len(t.Families) && int(r.Threat) < len(t.Threats) && int(r.File) < len(t.Files) && int(r.Added) < len(t.Times)
}
