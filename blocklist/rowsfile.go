package blocklist

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"cenote/pace"
	"cenote/policy"

	"github.com/zeebo/xxh3"
)

// A rows file is the kept, parsed copy of one feed. All numbers are little endian:
//
//	header   magic, counts, sum of the content, place of each section, CRC
//	blocks   each a CRC and about rowsBlockSize octets of names with their rows, in ascending order of (nameHash, name)
//	heap     references, comments and local data, each with its length and CRC; rows point into it
//	index    the nameHash of the first name and the place of each block
//	lines    of a layer over the copy of a list: runs of lines of that which the list still has, see lineRun
//	tables   JSON: the texts that rows hold by number
//	report   JSON: FeedReport
//
// A name is its length, its wire form, the number of its rows (varint) and the rows; see rawRow for a row.
//
// A layer is such a file of another magic, for the names of which a copy says something else than the whole one, its base, that it lies over: a name
// without rows is not listed. Its tables go on where those of the base end, its heap likewise, and its report is that of the copy. See rowslayer.go.
const (
	rowsMagic      = "cenrows\x01"
	layerMagic     = "cenlayr\x01"
	rowsHeaderSize = 192
	rowsBlockSize  = 2 << 10 // what Find reads and parses for one name; 16 octets of index in memory for each
	rowsIndexEntry = 16
	rowsJSONMax    = 256 << 20 // octets of tables or report that Open takes
)

// filePiece is how much of a file is read or written at once, in octets. Compilation shares a core with threads that answer queries,
// and a kernel that is not preemptible finishes a call before they have their turn.
const filePiece = 32 << 10

// ErrRowsDamaged says that a rows file is not as it was written.
var ErrRowsDamaged = errors.New("rows file is damaged")

// nameHash orders the names of a rows file. It has no seed, so that the files of all feeds have the same order and can be merged.
func nameHash(name []byte) uint64 { return xxh3.Hash(name) }

// section is the place of one part of a rows file.
type section struct {
	Offset, Size uint64
	CRC          uint32
}

// rowsHeader is the header as it is stored, without magic and CRC.
type rowsHeader struct {
	Generation uint64 // of the feed's source, counted by the store
	Names      uint64
	Rows       uint64 // without empty non-terminals
	Content    uint64 // xxh3 over blocks, heap, lines and tables: equal feeds have equal sums
	Blocks     section
	Heap       section
	Index      section
	Tables     section
	Report     section

	Base        uint64 // of a layer: the number of the copy that it lies over; 0: the file is whole
	BaseContent uint64 // the sum of the content of that
	Lines       section
}

// rowTables are the texts that rows hold by number. The first family and the first threat are "".
type rowTables struct {
	Families []string `json:"families"`
	Threats  []string `json:"threats"`
	Files    []string `json:"files"`
	Times    []int64  `json:"times"` // when rows were first seen, seconds since the epoch
}

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func (h *rowsHeader) encode() []byte {
	var buf bytes.Buffer
	buf.WriteString(h.magic())
	binary.Write(&buf, binary.LittleEndian, h) // a bytes.Buffer takes everything
	out := make([]byte, rowsHeaderSize)
	copy(out, buf.Bytes())
	binary.LittleEndian.PutUint32(out[rowsHeaderSize-4:], castagnoli(out[:rowsHeaderSize-4]))
	return out
}

func (h *rowsHeader) magic() string {
	if h.Base != 0 {
		return layerMagic
	}
	return rowsMagic
}

func decodeRowsHeader(b []byte, fileSize int64) (rowsHeader, error) {
	var h rowsHeader
	magic := string(b[:min(len(b), len(rowsMagic))])
	if len(b) != rowsHeaderSize || magic != rowsMagic && magic != layerMagic {
		return h, fmt.Errorf("%w: no rows file of this version", ErrRowsDamaged)
	}
	if binary.LittleEndian.Uint32(b[rowsHeaderSize-4:]) != castagnoli(b[:rowsHeaderSize-4]) {
		return h, fmt.Errorf("%w: header checksum", ErrRowsDamaged)
	}
	if err := binary.Read(bytes.NewReader(b[len(rowsMagic):]), binary.LittleEndian, &h); err != nil {
		return h, fmt.Errorf("%w: header: %v", ErrRowsDamaged, err)
	}
	if magic != h.magic() {
		return h, fmt.Errorf("%w: a layer over nothing, or a whole file over another", ErrRowsDamaged)
	}
	for _, s := range []section{h.Blocks, h.Heap, h.Index, h.Lines, h.Tables, h.Report} {
		if s.Offset > uint64(fileSize) || s.Size > uint64(fileSize)-s.Offset {
			return h, fmt.Errorf("%w: cut off", ErrRowsDamaged)
		}
	}
	return h, nil
}

// readSection reads a whole section and checks it.
func readSection(f io.ReaderAt, s section) ([]byte, error) {
	if s.Size > rowsJSONMax {
		return nil, fmt.Errorf("%w: section of %d octets", ErrRowsDamaged, s.Size)
	}
	b := make([]byte, s.Size)
	if _, err := f.ReadAt(b, int64(s.Offset)); err != nil {
		return nil, err
	}
	if castagnoli(b) != s.CRC {
		return nil, fmt.Errorf("%w: section checksum", ErrRowsDamaged)
	}
	return b, nil
}

func readJSONSection(f io.ReaderAt, s section, into any) error {
	b, err := readSection(f, s)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %v", ErrRowsDamaged, err)
	}
	return nil
}

// rawRow is a row as it is stored: texts by number or by place in the heap. Stored are a flags octet, the varints Family, Threat, File
// and Line, then what the flags announce, and last the varint Added.
type rawRow struct {
	Kind       policy.Kind
	Exception  bool
	Action     policy.Action
	Confidence uint8
	Expiry     int64 // seconds since the epoch; 0 for never
	Family     uint32
	Threat     uint32
	File       uint32
	Line       uint32
	Reference  uint64 // 1 + offset in the heap; 0 for none
	Comment    uint64
	Data       uint64
	Added      uint32 // index of rowTables.Times
}

// The flags of a stored row; the two low bits are its kind.
const (
	rowKind       = 0x03
	rowException  = 0x04
	rowAction     = 0x08
	rowConfidence = 0x10
	rowExpiry     = 0x20
	rowNotes      = 0x40
	rowData       = 0x80
)

func (r *rawRow) flags() byte {
	f := byte(r.Kind) & rowKind
	for _, b := range [...]struct {
		set bool
		bit byte
	}{
		{r.Exception, rowException},
		{r.Action != policy.ActionDefault, rowAction},
		{r.Confidence != policy.ConfidenceUnknown, rowConfidence},
		{r.Expiry != 0, rowExpiry},
		{r.Reference != 0 || r.Comment != 0, rowNotes},
		{r.Data != 0, rowData},
	} {
		if b.set {
			f |= b.bit
		}
	}
	return f
}

func (r *rawRow) append(b []byte) []byte {
	flags := r.flags()
	b = append(b, flags)
	for _, v := range [...]uint32{r.Family, r.Threat, r.File, r.Line} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	if flags&rowAction != 0 {
		b = append(b, byte(r.Action))
	}
	if flags&rowConfidence != 0 {
		b = append(b, r.Confidence)
	}
	if flags&rowExpiry != 0 {
		b = binary.AppendVarint(b, r.Expiry)
	}
	if flags&rowNotes != 0 {
		b = binary.AppendUvarint(b, r.Reference)
		b = binary.AppendUvarint(b, r.Comment)
	}
	if flags&rowData != 0 {
		b = binary.AppendUvarint(b, r.Data)
	}
	return binary.AppendUvarint(b, uint64(r.Added))
}

// rowBytes reads fields from the octets of a block; the first fault sticks.
type rowBytes struct {
	b   []byte
	bad bool
}

func (d *rowBytes) octet() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *rowBytes) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *rowBytes) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *rowBytes) take(n int) []byte {
	if n > len(d.b) {
		d.bad = true
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *rowBytes) row() rawRow {
	flags := d.octet()
	r := rawRow{Kind: policy.Kind(flags & rowKind), Exception: flags&rowException != 0, Confidence: policy.ConfidenceUnknown}
	for _, p := range [...]*uint32{&r.Family, &r.Threat, &r.File, &r.Line} {
		*p = uint32(d.uvarint())
	}
	if flags&rowAction != 0 {
		r.Action = policy.Action(d.octet())
	}
	if flags&rowConfidence != 0 {
		r.Confidence = d.octet()
	}
	if flags&rowExpiry != 0 {
		r.Expiry = d.varint()
	}
	if flags&rowNotes != 0 {
		r.Reference = d.uvarint()
		r.Comment = d.uvarint()
	}
	if flags&rowData != 0 {
		r.Data = d.uvarint()
	}
	r.Added = uint32(d.uvarint())
	return r
}

// line passes over a row and returns its line.
func (d *rowBytes) line() uint32 {
	const plain = rowExpiry | rowNotes | rowData
	if len(d.b) < 4 || d.b[0]&plain != 0 || (d.b[1]|d.b[2]|d.b[3]) >= 0x80 {
		r := d.row()
		return r.Line
	}
	flags := d.b[0]
	d.b = d.b[4:]
	line := uint32(d.uvarint())
	if flags&rowAction != 0 {
		d.octet()
	}
	if flags&rowConfidence != 0 {
		d.octet()
	}
	d.uvarint()
	return line
}

// writeAtomic writes a file under a temporary name beside path, syncs it and moves it into place, so that path holds the old or the new
// content and never a part of it.
func writeAtomic(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPattern)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has been moved
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	return commitFile(f, path)
}

// tempPattern names files in the making; what is left of them after a crash is removed by the store.
const tempPattern = ".tmp-*"

// commitFile syncs f, closes it, gives it its name and syncs the directory.
func commitFile(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := nameFile(f, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// nameFile closes f and gives it its name. Before syncFiles was told of it a loss of power may take it.
func nameFile(f *os.File, path string) error {
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncFiles syncs files and the directories that they lie in, all at once. What has gone meanwhile is wanted by nobody.
func syncFiles(paths []string) error {
	wanted := slices.Clone(paths)
	for _, path := range paths {
		wanted = append(wanted, filepath.Dir(path))
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	failed := make([]error, len(wanted))
	var all sync.WaitGroup
	for i, path := range wanted {
		all.Go(func() { failed[i] = syncPath(path) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// syncPath syncs a file or a directory.
func syncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return pace.Sync(f)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
