package nameindex

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"

	"cenote/dnsname"
	"cenote/hugepage"
)

// Reasons for which Open refuses a file. Its errors wrap one of them.
var (
	ErrDamaged = errors.New("index file is damaged")
	ErrFormat  = errors.New("not an index file of a known version")
	ErrSize    = errors.New("index file is larger than allowed")
)

// sizeMaxDefault holds more names than the offsets of the format can reach.
const sizeMaxDefault = 8 << 30

// OpenOptions bound what Open accepts.
type OpenOptions struct {
	// SizeMax is the largest file that is read, in octets. Default: 8 GiB. Example: 1 << 30.
	SizeMax int64
	// Rest is called after each small piece of the work, so that a caller beside whom queries are answered can let them through. Default:
	// nothing. Example: (*pace.Pace).Look.
	Rest func()
	// Beside says that queries are answered meanwhile from another index. The memory then comes in small pages, which the kernel may gather into
	// huge ones later; otherwise it asks for huge ones at once. Default: false. Example: true.
	Beside bool
	// Mapped uses the file where it is, through the kernel's cache of it, in place of reading it into memory that is this process's own. All of it
	// is checked all the same. The file must not be changed in place, which is never done here. Default: false. Example: true.
	Mapped bool
	// Again says that the file was opened before, here or by whoever asks for this work, and cannot have been changed in place: its blocks are compared with their checksums, and nothing else is
	// checked. Default: false. Example: true.
	Again bool
}

// Open reads the file at path into memory and checks all of it: lengths, checksums, and that every entry lies where it must, so that
// no look-up can read out of bounds. It may be replaced or removed afterwards.
func Open(path string, o OpenOptions) (*Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening index: %w", err)
	}
	defer f.Close()
	x, err := read(f, o)
	if err != nil {
		return nil, fmt.Errorf("opening index %s: %w", path, err)
	}
	return x, nil
}

func read(f *os.File, o OpenOptions) (*Index, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	limit := o.SizeMax
	if limit == 0 {
		limit = sizeMaxDefault
	}
	switch size := info.Size(); {
	case size > limit:
		return nil, fmt.Errorf("%w: %d octets, at most %d", ErrSize, size, limit)
	case size < headerLen+footerLen:
		return nil, fmt.Errorf("%w: only %d octets", ErrDamaged, size)
	case o.Mapped:
		return openMapped(f, size, o)
	default:
		return load(f, size, o)
	}
}

func (o *OpenOptions) rest() func() {
	if o.Rest == nil {
		return func() {}
	}
	return o.Rest
}

func (o *OpenOptions) memory(size int) (file []byte, ready func()) {
	if o.Beside {
		return hugepage.MakeLater[byte](size)
	}
	return hugepage.Make[byte](size), func() {}
}

// pieceLen is how many octets are read, hashed or written at once. A kernel that is not preemptible finishes a call before another thread has
// the core, and each page of a file that it must first find room for costs it some ten microseconds on a virtual machine.
const pieceLen = 32 << 10

// load reads size octets from r. The header is checked first, so that a foreign file costs no memory.
func load(r io.Reader, size int64, o OpenOptions) (*Index, error) {
	head := make([]byte, headerLen)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	h, err := decodeHeader(head, size)
	if err != nil {
		return nil, err
	}
	file, ready := o.memory(int(size))
	copy(file, head)
	rest := o.rest()
	for piece := range slices.Chunk(file[headerLen:], pieceLen) {
		if _, err := io.ReadFull(r, piece); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		rest()
	}
	ready()
	return parse(file, h, o)
}

// parse checks file, whose header is h, and returns its Index.
func parse(file []byte, h *header, o OpenOptions) (*Index, error) {
	rest := o.rest()
	if err := checkBlocks(file, h, rest); err != nil {
		return nil, err
	}
	if !o.Again {
		if err := checkWhole(file, h, rest); err != nil {
			return nil, err
		}
	}
	x := newIndex(file, h)
	if err := x.checkSets(); err != nil {
		return nil, err
	}
	if err := x.checkApart(); err != nil {
		return nil, err
	}
	if err := x.lengths.check(); err != nil {
		return nil, err
	}
	x.coder = newCoder(&x.lengths)
	if o.Again {
		return x, nil
	}
	if err := x.checkNames(rest); err != nil {
		return nil, err
	}
	return x, nil
}

// checkBlocks compares every block with its checksum.
func checkBlocks(file []byte, h *header, rest func()) error {
	sums := h.sections[sectionChecksums]
	table := castagnoli()
	for i := range blocks(sums.off) {
		block := file[i*blockLen : min((i+1)*blockLen, sums.off)]
		got, want := crc32.Checksum(block, table), binary.LittleEndian.Uint32(file[sums.off+4*i:])
		if got != want {
			return fmt.Errorf("%w: block %d has checksum %08x, want %08x", ErrDamaged, i, got, want)
		}
		rest()
	}
	return nil
}

// checkWhole compares the whole with the footer.
func checkWhole(file []byte, h *header, rest func()) error {
	sums := h.sections[sectionChecksums]
	body, footer := file[:sums.end()], file[sums.end():]
	whole := sha256.New()
	for piece := range slices.Chunk(body, pieceLen) {
		whole.Write(piece)
		rest()
	}
	switch {
	case binary.LittleEndian.Uint64(footer) != footerMagic:
		return fmt.Errorf("%w: no footer", ErrDamaged)
	case binary.LittleEndian.Uint64(footer[8:]) != uint64(len(file)):
		return fmt.Errorf("%w: %d octets, want %d", ErrDamaged, len(file), binary.LittleEndian.Uint64(footer[8:]))
	case !bytes.Equal(footer[16:], whole.Sum(nil)):
		return fmt.Errorf("%w: sha256 does not agree", ErrDamaged)
	}
	return nil
}

func (x *Index) checkSets() error {
	before := uint32(0)
	for i := range x.Sets() + 1 {
		off := binary.LittleEndian.Uint32(x.setOffsets[4*i:])
		if off < before || uint64(off) > uint64(len(x.sets)) || i == 0 && off != 0 {
			return fmt.Errorf("%w: set %d lies outside its section", ErrDamaged, i)
		}
		before = off
	}
	if int(before) != len(x.sets) {
		return fmt.Errorf("%w: %d octets of sets belong to no set", ErrDamaged, len(x.sets)-int(before))
	}
	return nil
}

// checkApart reads the names that are kept apart. Whether they are listed is asked when they are used.
func (x *Index) checkApart() error {
	for rest := x.apart; len(rest) > 0; {
		size := int(rest[0])
		if size == 0 || size > len(rest)-1 || size >= dnsname.WireMax {
			return fmt.Errorf("%w: a name of %d octets that is kept apart", ErrDamaged, size)
		}
		rest = rest[1+size:]
	}
	return nil
}

// bucketsAtOnce is how many buckets are checked before a rest: some ten microseconds of work.
const bucketsAtOnce = 64

// checkNames reads every bucket as a look-up would, but trusts nothing.
func (x *Index) checkNames(pause func()) error {
	rest, names := x.names, uint64(0)
	for i := range x.header.buckets {
		slot := x.directory[dirEntryLen*i:][:dirEntryLen]
		off := uint64(binary.LittleEndian.Uint32(slot))
		if at := uint64(len(x.names) - len(rest)); off != at {
			return fmt.Errorf("%w: bucket %d begins at %d, want %d", ErrDamaged, i, off, at)
		}
		count, after, err := x.checkBucket(rest)
		if err == nil && !marks(slot[4:], count) {
			err = fmt.Errorf("%w: fingerprints for another number of entries than %d", ErrDamaged, count)
		}
		if err != nil {
			return fmt.Errorf("bucket %d: %w", i, err)
		}
		rest, names = after, names+uint64(count)
		if i%bucketsAtOnce == 0 {
			pause()
		}
	}
	if len(rest) > 0 || names != x.header.names {
		return fmt.Errorf("%w: %d names and %d octets left over, want %d names", ErrDamaged, names, len(rest), x.header.names)
	}
	return nil
}

// marks reports whether the fingerprints are those of a bucket of count entries: a look-up reads an entry for each that is not 0.
func marks(fingerprints []byte, count int) bool {
	for i, fp := range fingerprints {
		if (fp != 0) != (i < count) {
			return false
		}
	}
	return true
}

func (x *Index) checkBucket(b []byte) (count int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, fmt.Errorf("%w: names end too early", ErrDamaged)
	}
	count = int(b[0])
	far := max(0, count-dirFPs)
	if count > bucketMax || len(b) < 1+far {
		return 0, nil, fmt.Errorf("%w: %d entries", ErrDamaged, count)
	}
	b = b[1+far:]
	for range count {
		if b, err = x.checkEntry(b); err != nil {
			return 0, nil, err
		}
	}
	return count, b, nil
}

func (x *Index) checkEntry(b []byte) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: an entry is missing", ErrDamaged)
	}
	head, b := b[0], b[1:]
	set, b, ok := checkPart(uint64(head&headSet), headSet, b)
	if !ok || set >= uint64(x.header.sets) {
		return nil, fmt.Errorf("%w: entry of set %d, there are %d", ErrDamaged, set, x.header.sets)
	}
	length, b, ok := checkPart(uint64(head>>headShift), headLen, b)
	if !ok || length > uint64(len(b)) || length > codeLenMax {
		return nil, fmt.Errorf("%w: name of %d octets", ErrDamaged, length)
	}
	return b[length:], nil
}

// checkPart reads what lies above the most that the head of an entry can say.
func checkPart(n, most uint64, b []byte) (value uint64, rest []byte, ok bool) {
	if n < most {
		return n, b, true
	}
	more, size := binary.Uvarint(b)
	if size <= 0 || more > math.MaxUint32-most {
		return 0, b, false
	}
	return most + more, b[size:], true
}
