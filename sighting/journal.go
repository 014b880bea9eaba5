package sighting

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

// A journal is a row of segments, files that are only ever appended to. A segment is a header and batches; a batch is what
// the collector gathered in some tens of milliseconds, summed up by pair, with a number that never comes again. Whatever a
// batch refers to (rules, terms, places) is defined in the same segment before it, so that a segment can be read alone.
//
//	header  magic[8] run[8] first[8] made[8] hash[8]
//	batch   length[4] hash[8] payload
//	payload sequence[8] through[8] hour[4] then five sections, each with its length: rules, terms, places, rows, losses
const (
	journalMagic      = "cenotej1"
	journalHeaderSize = 40
	batchHeaderSize   = 12
	batchFixedSize    = 20
	batchMax          = 1 << 28 // octets; more is damage
	journalSuffix     = ".journal"
)

// batch is what is appended to the journal at a time.
type batch struct {
	sequence uint64
	through  int64         // nanoseconds since the epoch: events up to here are in this batch or an earlier one
	hour     uint32        // rows give theirs as the distance from it
	rotate   bool          // begin a new segment with it
	closing  chan struct{} // if not nil, this is no batch: the segment is to be closed, and then this channel
	events   uint64
	batchSections
}

type batchSections struct{ rules, terms, places, rows, losses []byte }

func (b *batch) reset() {
	s := &b.batchSections
	s.rules, s.terms, s.places, s.rows, s.losses = s.rules[:0], s.terms[:0], s.places[:0], s.rows[:0], s.losses[:0]
	b.sequence, b.through, b.hour, b.rotate, b.closing, b.events = 0, 0, 0, false, nil, 0
}

func (b *batch) empty() bool { return len(b.rows) == 0 && len(b.losses) == 0 && len(b.places) == 0 }

func (b *batch) size() int {
	return len(b.rules) + len(b.terms) + len(b.places) + len(b.rows) + len(b.losses) + batchHeaderSize + batchFixedSize + 32
}

// addRow appends r, whose indicator is a number that a term of this segment defines.
func (b *batch) addRow(r *row) {
	if len(b.rows) == 0 {
		b.hour = r.hour
	}
	b.rows = binary.AppendVarint(b.rows, int64(r.hour)-int64(b.hour))
	b.rows = appendRow(b.rows, r)
}

func (b *batch) addRule(number uint32, r *rule) {
	b.rules = appendRule(appendUvarint(b.rules, uint64(number)), r)
}

func (b *batch) addTerm(number uint32, r *record, name []byte) {
	b.terms = appendUvarint(b.terms, uint64(number))
	b.terms = appendUvarint(b.terms, uint64(r.rule))
	b.terms = append(b.terms, r.action, r.trigger, r.labels, byte(len(name)))
	b.terms = append(b.terms, name...)
}

func (b *batch) addPlace(number uint32, p []byte) {
	b.places = appendUvarint(b.places, uint64(number))
	b.places = appendUvarint(b.places, uint64(len(p)))
	b.places = append(b.places, p...)
}

func (b *batch) addLoss(l *loss) {
	b.losses = appendLoss(appendUvarint(b.losses, uint64(l.rule)), l)
}

// appendFrame writes b as it stands in a segment of run.
func (b *batch) appendFrame(dst []byte, run uint64) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, batchHeaderSize)...)
	dst = binary.BigEndian.AppendUint64(dst, b.sequence)
	dst = binary.BigEndian.AppendUint64(dst, uint64(b.through))
	dst = binary.BigEndian.AppendUint32(dst, b.hour)
	for _, s := range [][]byte{b.rules, b.terms, b.places, b.rows, b.losses} {
		dst = append(appendUvarint(dst, uint64(len(s))), s...)
	}
	payload := dst[start+batchHeaderSize:]
	binary.BigEndian.PutUint32(dst[start:], uint32(len(payload)))
	binary.BigEndian.PutUint64(dst[start+4:], xxh3.HashSeed(payload, run))
	return dst
}

// parse reads a payload whose hash was right; the sections are slices of it.
func (b *batch) parse(payload []byte) error {
	if len(payload) < batchFixedSize {
		return errJournal
	}
	b.sequence = binary.BigEndian.Uint64(payload)
	b.through = int64(binary.BigEndian.Uint64(payload[8:]))
	b.hour = binary.BigEndian.Uint32(payload[16:])
	d := decoder{b: payload[batchFixedSize:]}
	for _, s := range []*[]byte{&b.rules, &b.terms, &b.places, &b.rows, &b.losses} {
		*s = d.octets(int(min(d.uint64(), batchMax)))
	}
	if d.bad || len(d.b) != 0 {
		return errJournal
	}
	return nil
}

// eachRow calls visit for every row. Slices of the row are valid during the call.
func (b *batch) eachRow(visit func(*row) error) error {
	var r row
	for rest := b.rows; len(rest) > 0; {
		delta, n := binary.Varint(rest)
		hour := int64(b.hour) + delta
		if n <= 0 || hour < 0 || hour > 1<<32-1 {
			return errJournal
		}
		var err error
		if rest, err = readRow(rest[n:], &r); err != nil {
			return err
		}
		r.hour = uint32(hour)
		if err := visit(&r); err != nil {
			return err
		}
	}
	return nil
}

// termDefinition is a term as a journal defines it.
type termDefinition struct {
	number, rule            uint32
	action, trigger, labels uint8
	name                    []byte
}

func (b *batch) eachRule(visit func(number uint32, r rule)) error {
	d := decoder{b: b.rules}
	for len(d.b) > 0 && !d.bad {
		n, r := d.uint32(), d.rule()
		if !d.bad {
			visit(n, r)
		}
	}
	return d.fault()
}

func (b *batch) eachTerm(visit func(*termDefinition)) error {
	d := decoder{b: b.terms}
	for len(d.b) > 0 && !d.bad {
		t := termDefinition{number: d.uint32(), rule: d.uint32(), action: d.octet(), trigger: d.octet(), labels: d.octet()}
		t.name = d.octets(int(d.octet()))
		if !validName(t.name) {
			d.bad = true
		}
		if !d.bad {
			visit(&t)
		}
	}
	return d.fault()
}

func (b *batch) eachPlace(visit func(number uint32, p []byte)) error {
	d := decoder{b: b.places}
	for len(d.b) > 0 && !d.bad {
		n, p := d.uint32(), d.octets(int(min(d.uint64(), placeMax+1)))
		if _, err := readPlace(p); err != nil {
			d.bad = true
		}
		if !d.bad {
			visit(n, p)
		}
	}
	return d.fault()
}

// eachLoss gives the losses with the journal's number of their rule.
func (b *batch) eachLoss(visit func(*loss)) error {
	d := decoder{b: b.losses}
	for len(d.b) > 0 && !d.bad {
		rule := d.uint32()
		l := d.loss()
		l.rule = rule
		if !d.bad {
			visit(&l)
		}
	}
	return d.fault()
}

func (d *decoder) fault() error {
	if d.bad {
		return errJournal
	}
	return nil
}

var (
	errJournal = errors.New("journal is damaged")
	// errTorn is where the last write before a crash ended, or where damage begins: everything before it is good.
	errTorn = fmt.Errorf("%w: a batch is cut off or its checksum is wrong", errJournal)
)

// segmentHeader stands at the start of a segment. run is the number of the process that wrote it, drawn at random, and keys
// its checksums, so that blocks of an older file that a crash left in a new one are never taken for its own.
type segmentHeader struct {
	run, first uint64
	made       int64 // microseconds since the epoch
}

func (h *segmentHeader) encode() []byte {
	b := append(make([]byte, 0, journalHeaderSize), journalMagic...)
	b = binary.BigEndian.AppendUint64(b, h.run)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = binary.BigEndian.AppendUint64(b, uint64(h.made))
	return binary.BigEndian.AppendUint64(b, xxh3.Hash(b))
}

func (h *segmentHeader) decode(b []byte) error {
	if len(b) < journalHeaderSize || string(b[:8]) != journalMagic || binary.BigEndian.Uint64(b[32:]) != xxh3.Hash(b[:32]) {
		return fmt.Errorf("%w: its header is not one", errJournal)
	}
	h.run, h.first, h.made = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:]), int64(binary.BigEndian.Uint64(b[24:]))
	return nil
}

// readJournal reads a segment and calls visit for each batch, whose sections are valid during the call. It returns how
// many octets were good. The error is errTorn if more follow them, or what visit returned.
func readJournal(r io.Reader, visit func(h *segmentHeader, b *batch) error) (good int64, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	var head [journalHeaderSize]byte
	var h segmentHeader
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, fmt.Errorf("%w: its header is cut off", errJournal)
	}
	if err := h.decode(head[:]); err != nil {
		return 0, err
	}
	good = journalHeaderSize
	var payload []byte
	for {
		payload, err = readFrame(in, payload, h.run)
		if err == io.EOF {
			return good, nil
		}
		if err != nil {
			return good, err
		}
		var b batch
		if err := b.parse(payload); err != nil {
			return good, err
		}
		if err := visit(&h, &b); err != nil {
			return good, err
		}
		good += int64(batchHeaderSize + len(payload))
	}
}

// readFrame reads the next payload into buf, which it may grow. It returns io.EOF at the end of a whole file.
func readFrame(in io.Reader, buf []byte, run uint64) ([]byte, error) {
	var head [batchHeaderSize]byte
	if _, err := io.ReadFull(in, head[:]); err == io.EOF {
		return buf, io.EOF
	} else if err != nil {
		return buf, errTorn
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > batchMax {
		return buf, errTorn
	}
	buf, err := readGrowing(in, buf[:0], int(n))
	if err != nil || xxh3.HashSeed(buf, run) != binary.BigEndian.Uint64(head[4:]) {
		return buf, errTorn
	}
	return buf, nil
}

// readGrowing reads n octets and takes memory only for what has come, so that a damaged length costs nothing.
func readGrowing(in io.Reader, buf []byte, n int) ([]byte, error) {
	for len(buf) < n {
		step := min(n-len(buf), 1<<20)
		at := len(buf)
		if cap(buf) < at+step {
			buf = append(buf, make([]byte, step)...)
		} else {
			buf = buf[:at+step]
		}
		if _, err := io.ReadFull(in, buf[at:]); err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// validName reports whether b is a whole name in wire form, or empty.
func validName(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	return b[len(b)-1] == 0 && wholeLabels(b[:len(b)-1])
}

// segmentName is how the segment is called whose first batch has this number.
func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, journalSuffix) }

func parseSegmentName(name string) (first uint64, ok bool) {
	s, ok := strings.CutSuffix(name, journalSuffix)
	if !ok || len(s) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(s, 16, 64)
	return first, err == nil
}

func readJournalFile(path string, visit func(h *segmentHeader, b *batch) error) (good int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return readJournal(f, visit)
}
