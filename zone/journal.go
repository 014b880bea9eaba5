package zone

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cenote/dnsname"
)

// A journal is a file with what the server knows of a zone beyond its source: the steps of its history, and of a zone that has no master file its state
// too. It is only ever appended to, and written anew when most of it is no longer wanted. A step is written before it is published.
//
//	file      magic[8] length[1] apex, then chunks
//	chunk     kind[1] length[4] checksum[4] payload; the checksum (CRC-32C) is of kind, length and payload
//	step      from[4] to[4] sum[4] size[4] removed[4] added[4], then the records, as appendPacked writes them
//	state     the octets of Zone.data, as layout.go describes them
//
// sum and size are of the Zone.data that a step leads to, so that after a restart the history counts for the very same zone alone. What follows a chunk
// that is cut off or damaged is cut off too: each step needs the one before it.
type journal struct {
	path    string
	size    int64 // 0: what comes next is written into a new file
	trimmed int   // octets that were found damaged
	unread  bool  // the file could not be read to its end: it is put aside before another one takes its place
}

const (
	journalMagic  = "cenotez1"
	chunkHeader   = 9
	chunkStep     = 's'
	chunkState    = 'z'
	stepHeader    = 24
	stepChunkMax  = 1 << 30 // octets; more is damage
	journalSuffix = ".journal"
	unreadSuffix  = ".unread" // after the name of a file that could not be read
	unreadMax     = 4         // how many of them are kept of one
	// journalSlack is how many octets a journal may have that are not wanted any more, beside as many as are.
	journalSlack = 1 << 20
)

// errJournal is that a chunk is damaged, or the file is another zone's.
var errJournal = errors.New("damaged")

// errReading is that the disk, or who keeps it, does not give what is in a file.
var errReading = errors.New("it cannot be read")

// readFull fills b. A file that ends too early is damaged; every other error is of reading.
func readFull(in io.Reader, b []byte) error {
	switch _, err := io.ReadFull(in, b); {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errJournal
	default:
		return fmt.Errorf("%w: %w", errReading, err)
	}
}

// sum stands for the data of a zone.
type sum struct{ crc, size uint32 }

func sumOf(z *Zone) sum {
	return sum{crc32.Checksum(z.data, crc32.MakeTable(crc32.Castagnoli)), uint32(len(z.data))}
}

// journalPath is where the journal of a zone lies. Names that are no good file names have a hash in their place.
func journalPath(dir string, apex dnsname.Name) string {
	name := apex.String()
	plain := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	}) < 0
	if !plain || len(name) > 200 || apex.IsRoot() {
		hash := sha256.Sum256([]byte(apex))
		name = "=" + hex.EncodeToString(hash[:])
	}
	return filepath.Join(dir, name+journalSuffix)
}

// recorded is what a journal says.
type recorded struct {
	steps []*Step
	zone  *Zone // the state, with the steps behind it; nil if there is none
}

// openJournal reads the journal of a zone, and cuts off what is damaged. One that is not there is made by the first step. An error means that it cannot be
// read or written: then the file stays as it is, since a disk that fails says nothing of what is on it, and what could be read is returned.
func openJournal(path string, apex dnsname.Name) (*journal, recorded, error) {
	j := &journal{path: path}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return j, recorded{}, nil
	}
	if err != nil {
		j.unread = true
		return j, recorded{}, err
	}
	defer f.Close()
	r := journalReader{in: bufio.NewReaderSize(f, 1<<16), apex: apex}
	if err := r.read(); err != nil {
		j.unread = true
		return j, r.recorded, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != r.good {
		err = f.Truncate(r.good)
		_ = os.Chtimes(j.path, time.Time{}, info.ModTime()) // which says when a zone was confirmed last
	}
	if err != nil {
		return j, r.recorded, err
	}
	j.size, j.trimmed = r.good, int(info.Size()-r.good)
	return j, r.recorded, nil
}

// journalReader reads chunks.
type journalReader struct {
	in   io.Reader
	apex dnsname.Name
	good int64 // how many octets are sound
	recorded
	since int // how many steps stand before the state
}

// read reads all that is sound. An error is one of reading; a file that is damaged, or ends too early, gives none.
func (r *journalReader) read() error {
	err := r.header()
	for err == nil {
		err = r.chunk()
	}
	r.advance()
	if errors.Is(err, errReading) {
		return err
	}
	return nil
}

// advance brings the state to where the steps behind it lead. If they do not fit it, it stays, and they are dropped.
func (r *journalReader) advance() {
	after := r.steps[min(r.since, len(r.steps)):]
	if r.zone == nil || len(after) == 0 {
		return
	}
	next, err := Apply(r.zone, Condense(after))
	if err == nil && sumOf(next) == after[len(after)-1].sum {
		r.zone = next
		return
	}
	r.steps, r.good = r.steps[:r.since], 0 // the file is written anew
}

func (r *journalReader) header() error {
	want := journalHeader(r.apex)
	have := make([]byte, len(want))
	if err := readFull(r.in, have); err != nil {
		return err
	}
	if string(have) != string(want) {
		return errJournal
	}
	r.good = int64(len(have))
	return nil
}

func journalHeader(apex dnsname.Name) []byte {
	return append(append([]byte(journalMagic), byte(len(apex))), apex...)
}

func (r *journalReader) chunk() error {
	var head [chunkHeader]byte
	if err := readFull(r.in, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] == chunkStep && size > stepChunkMax {
		return errJournal
	}
	payload, err := readGrowing(r.in, int(size))
	if err != nil {
		return err
	}
	if chunkSum(head[:5], payload) != binary.BigEndian.Uint32(head[5:]) {
		return errJournal
	}
	if err := r.take(head[0], payload); err != nil {
		return err
	}
	r.good += chunkHeader + int64(size)
	return nil
}

// readGrowing reads so many octets, without making room for them on the word of a length alone.
func readGrowing(in io.Reader, size int) ([]byte, error) {
	out := make([]byte, 0, min(size, 1<<20))
	for len(out) < size {
		if len(out) == cap(out) {
			out = append(make([]byte, 0, min(size, 2*cap(out))), out...)
		}
		rest := out[len(out):cap(out)]
		if err := readFull(in, rest); err != nil {
			return nil, err
		}
		out = out[:cap(out)]
	}
	return out, nil
}

func chunkSum(head, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(head, table), table, payload)
}

// take takes one chunk in.
func (r *journalReader) take(kind byte, payload []byte) error {
	switch kind {
	case chunkStep:
		s, err := parseStep(payload)
		if err != nil {
			return err
		}
		if n := len(r.steps); n > 0 && r.steps[n-1].To != s.From {
			return errJournal
		}
		r.steps = append(r.steps, s)
	case chunkState:
		z, err := fromData(r.apex, payload)
		if err != nil {
			return err
		}
		r.zone, r.since = z, len(r.steps)
	default:
		return errJournal
	}
	return nil
}

// parseStep reads a step, whose data are a part of payload.
func parseStep(payload []byte) (*Step, error) {
	if len(payload) < stepHeader {
		return nil, errJournal
	}
	number := func(at int) uint32 { return binary.BigEndian.Uint32(payload[at:]) }
	s := &Step{From: number(0), To: number(4), sum: sum{number(8), number(12)}, removed: int(number(16)), added: int(number(20)), data: payload[stepHeader:]}
	count, rest := 0, s.data
	for len(rest) > 0 {
		var err error
		if _, _, rest, err = cutPacked(rest); err != nil {
			return nil, err
		}
		count++
	}
	if count != s.removed+s.added {
		return nil, errJournal
	}
	return s, nil
}

// appendStep appends a step as a chunk.
func appendStep(dst []byte, s *Step) []byte {
	payload := make([]byte, 0, stepHeader+len(s.data))
	for _, n := range []uint32{s.From, s.To, s.sum.crc, s.sum.size, uint32(s.removed), uint32(s.added)} {
		payload = binary.BigEndian.AppendUint32(payload, n)
	}
	payload = append(payload, s.data...)
	return append(appendChunkHeader(dst, chunkStep, payload), payload...)
}

func appendChunkHeader(dst []byte, kind byte, payload []byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(payload)))
	return binary.BigEndian.AppendUint32(append(dst, head...), chunkSum(head, payload))
}

// record writes a step down, and what is kept of the history in place of all if most of the file is not wanted any more. durable says that the zone itself
// has to be found again too. The data are on the disk when it returns.
func (j *journal) record(s *Step, h *History, z *Zone, durable bool) error {
	wanted := int64(h.Bytes())
	if durable {
		wanted += int64(len(z.data))
	}
	if j.size == 0 || s == nil || j.size > 2*wanted+journalSlack {
		return j.rewrite(h, z, durable)
	}
	return j.append(appendStep(nil, s))
}

// append appends a chunk. After a failure it may be cut off, so that the next step writes all anew.
func (j *journal) append(chunk []byte) error {
	size := j.size
	j.size = 0
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(chunk); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	j.size = size + int64(len(chunk))
	return nil
}

// rewrite writes a new file in the place of the old one.
func (j *journal) rewrite(h *History, z *Zone, durable bool) error {
	j.size = 0
	f, err := os.CreateTemp(filepath.Dir(j.path), filepath.Base(j.path)+".*.tmp")
	if err != nil {
		return err
	}
	size, err := writeJournal(f, h, z, durable)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = j.putAside() // not before: until there is another one its name is its own
	}
	if err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	j.size = size
	return syncDir(filepath.Dir(j.path))
}

// putAside keeps a file that could not be read from being replaced. Those that were put aside before it get the next number, and the last of them goes.
func (j *journal) putAside() error {
	if !j.unread {
		return nil
	}
	if err := makeWay(j.path, 1); err != nil {
		return err
	}
	if err := os.Rename(j.path, unreadPath(j.path, 1)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	j.unread = false
	return nil
}

// unreadPath is where the n-th of the files lies that could not be read; the first is the latest.
func unreadPath(path string, n int) string {
	if n == 1 {
		return path + unreadSuffix
	}
	return fmt.Sprintf("%s%s.%d", path, unreadSuffix, n)
}

// makeWay takes a file that was put aside to the next number, if there is one.
func makeWay(path string, n int) error {
	if _, err := os.Lstat(unreadPath(path, n)); errors.Is(err, os.ErrNotExist) || n == unreadMax {
		return nil // the last one is replaced
	}
	if err := makeWay(path, n+1); err != nil {
		return err
	}
	return os.Rename(unreadPath(path, n), unreadPath(path, n+1))
}

// journalOfFile is the name of the journal that a file belongs to: it itself, one that was put aside, or one that is being written.
func journalOfFile(name string) string {
	if end := strings.LastIndex(name, journalSuffix+"."); end >= 0 && !strings.HasSuffix(name, journalSuffix) {
		return name[:end] + journalSuffix
	}
	return name
}

// writeJournal writes a whole journal, and syncs it.
func writeJournal(f *os.File, h *History, z *Zone, durable bool) (size int64, err error) {
	out := bufio.NewWriterSize(f, 1<<16)
	put := func(b []byte) {
		n, _ := out.Write(b) // an error stays, and Flush has it
		size += int64(n)
	}
	put(journalHeader(z.apex))
	for _, s := range h.Steps() {
		put(appendStep(nil, s))
	}
	if durable {
		put(appendChunkHeader(nil, chunkState, z.data))
		put(z.data)
	}
	if err := out.Flush(); err != nil {
		return size, err
	}
	return size, f.Sync()
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// fromData makes a zone of its data, after looking whether they are whole.
func fromData(apex dnsname.Name, data []byte) (*Zone, error) {
	b := newBuilder(apex)
	b.z.data = data
	records := 0
	for at := 0; at < len(data); {
		end, n, err := checkNode(data, at, len(apex))
		if err != nil {
			return nil, err
		}
		b.nodes = append(b.nodes, node(at))
		records += n
		data[at+1+int(data[at])] = 0 // the flags, which finish sets
		at = end
	}
	if len(b.nodes) == 0 || data[0] != 0 {
		return nil, fmt.Errorf("%w: no apex", errJournal)
	}
	if z := b.finish(records); z.soa.count == 1 && len(z.soa.first()) >= 22 {
		return z, nil
	}
	return nil, fmt.Errorf("%w: no SOA record", errJournal)
}

// checkNode looks whether the node at an offset is whole, and returns where it ends and how many records it has.
func checkNode(data []byte, at, apex int) (end, records int, err error) {
	size := int(data[at])
	name := at + 1
	if at = name + size; at+3 > len(data) || size+apex > dnsname.WireMax || !isPrefix(data[name:at]) {
		return 0, 0, errJournal
	}
	sets := int(binary.BigEndian.Uint16(data[at+1:]))
	at += 3
	for range sets {
		if at+setHeader > len(data) {
			return 0, 0, errJournal
		}
		n := int(binary.BigEndian.Uint16(data[at+6:])) + int(binary.BigEndian.Uint16(data[at+8:]))
		end := at + setHeader + int(binary.BigEndian.Uint32(data[at+10:]))
		if at += setHeader; end > len(data) {
			return 0, 0, errJournal
		}
		for range n {
			if at+2 > end || at+2+int(binary.BigEndian.Uint16(data[at:])) > end {
				return 0, 0, errJournal
			}
			at += 2 + int(binary.BigEndian.Uint16(data[at:]))
			records++
		}
		if at != end {
			return 0, 0, errJournal
		}
	}
	return at, records, nil
}

// isPrefix reports whether a name without its apex is made of whole labels.
func isPrefix(prefix []byte) bool {
	at := 0
	for at < len(prefix) && prefix[at] != 0 && prefix[at] <= dnsname.LabelMax {
		at += 1 + int(prefix[at])
	}
	return at == len(prefix)
}
