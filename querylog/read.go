package querylog

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"cenote/dnsname"

	"github.com/klauspost/compress/zstd"
)

// Line is what a line of the log says about one query, for those who replay it. What it points to is valid until the next line is read.
type Line struct {
	Time   int64 // nanoseconds since the epoch
	Client netip.Addr
	Name   []byte // canonical, in wire form; none where the log has none
	RD     bool
	// Asked is whether the query was one for a policy: it had class IN, was well formed and was not refused.
	Asked bool
	// Action, Feed and Enforced are those of the rule that matched; no Action: none did.
	Action   string
	Feed     string
	Enforced bool
	// Event is what a line that is no query tells of. Lost is how many records were dropped, if that is it.
	Event string
	Lost  uint64
}

// lineMax is above the length of every line that the log has, in octets.
const lineMax = 64 << 10

// errLine says that a line is not one of the log. It is wrapped with what is wrong.
var errLine = errors.New("no line of the query log")

// LineError is about one line. The lines after it can be read.
type LineError struct {
	Line int // from 1
	Err  error
}

// Error has the line and what is wrong.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.Err }

// Reader reads a log line by line. It belongs to one goroutine, and holds one line at a time.
type Reader struct {
	in       *bufio.Reader
	line     int
	name     [dnsname.WireMax]byte
	text     []byte // scratch
	date     [10]byte
	midnight int64 // the second at which date begins
}

// NewReader reads the lines of in, which is not packed.
func NewReader(in io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, lineMax)}
}

// Next reads the next line into l. A line that cannot be read is a *LineError, after which the next can be read; io.EOF is the end.
func (r *Reader) Next(l *Line) error {
	line, err := r.in.ReadSlice('\n')
	full := errors.Is(err, bufio.ErrBufferFull)
	if err != nil && !full && (len(line) == 0 || !errors.Is(err, io.EOF)) {
		return err
	}
	if r.line++; full {
		return r.skip()
	}
	if err := r.parse(l, bytes.TrimSpace(line)); err != nil {
		return &LineError{r.line, err}
	}
	return nil
}

// skip passes over the rest of a line that is too long.
func (r *Reader) skip() error {
	for {
		switch _, err := r.in.ReadSlice('\n'); {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil, errors.Is(err, io.EOF):
			return &LineError{r.line, fmt.Errorf("%w: longer than %d octets", errLine, lineMax)}
		default:
			return err
		}
	}
}

// Lines is how many lines have been read, those that cannot be read among them.
func (r *Reader) Lines() int { return r.line }

func (r *Reader) parse(l *Line, line []byte) error {
	*l = Line{Asked: true}
	refused, named := false, false
	f := fieldReader{rest: line}
	for f.next() {
		var err error
		switch string(f.key) {
		case "time":
			l.Time, err = r.time(f.value)
		case "client":
			l.Client, err = netip.ParseAddr(string(f.value))
			l.Client = l.Client.Unmap()
		case "name":
			l.Name, err = r.wireName(&f)
			named = true
		case "class", "opcode":
			l.Asked = false
		case "flags":
			l.RD = bytes.Contains(f.value, []byte("rd"))
		case "source":
			refused = string(f.value) == SourceNone.String()
		case "action":
			l.Action = string(f.value)
		case "feed":
			l.Feed, err = f.string()
		case "enforced":
			l.Enforced = string(f.value) == "true"
		case "event":
			l.Event, err = f.string()
		case "records":
			l.Lost, err = strconv.ParseUint(string(f.value), 10, 64)
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", errLine, f.key, err)
		}
	}
	l.Asked = l.Asked && (!refused || l.Action != "")
	return cmp.Or(f.err, l.complete(named))
}

// complete reports what a query's line lacks that every one has. named says that it has a name, which may be empty.
func (l *Line) complete(named bool) error {
	switch {
	case l.Time == 0:
		return fmt.Errorf("%w: it has no time", errLine)
	case l.Event == "" && !l.Client.IsValid():
		return fmt.Errorf("%w: it has no client", errLine)
	case l.Event == "" && !named:
		return fmt.Errorf("%w: it has no name", errLine)
	}
	return nil
}

// time reads a time as the log writes it; another form of RFC 3339 will do.
func (r *Reader) time(text []byte) (int64, error) {
	clock, ok := clockOf(text)
	if !ok {
		t, err := time.Parse(time.RFC3339Nano, string(text))
		return t.UnixNano(), err
	}
	if r.date != [10]byte(text) {
		day, err := time.Parse(time.DateOnly, string(text[:10]))
		if err != nil {
			return 0, err
		}
		r.date, r.midnight = [10]byte(text), day.Unix()
	}
	return r.midnight*1e9 + clock, nil
}

// clockOf returns the nanoseconds since midnight of a time as appendTime writes it.
func clockOf(text []byte) (ns int64, ok bool) {
	const form = "2006-01-02T15:04:05.000000Z"
	if len(text) != len(form) || text[10] != 'T' || text[26] != 'Z' {
		return 0, false
	}
	for i, unit := range [...]int64{11: 36000e9, 12: 3600e9, 14: 600e9, 15: 60e9, 17: 10e9, 18: 1e9, 20: 1e8, 21: 1e7, 22: 1e6, 23: 1e5, 24: 1e4, 25: 1e3} {
		c := text[i]
		if unit == 0 {
			ok = i < 11 || c == ':' || c == '.'
		} else {
			ok = c-'0' <= 9
			ns += int64(c-'0') * unit
		}
		if !ok {
			return 0, false
		}
	}
	return ns, true
}

// wireName reads the query name; an empty one is none.
func (r *Reader) wireName(f *fieldReader) ([]byte, error) {
	text := f.value
	if f.escaped {
		s, err := f.string()
		if err != nil {
			return nil, err
		}
		r.text = append(r.text[:0], s...)
		text = r.text
	}
	if len(text) == 0 {
		return nil, nil
	}
	var wire [dnsname.WireMax + 1]byte
	name, err := dnsname.AppendWire(wire[:0], text)
	if err != nil {
		return nil, err
	}
	dnsname.Lower(r.name[:len(name)], name)
	return r.name[:len(name)], nil
}

// fieldReader walks over the fields of a flat object in JSON. key and value are as they are written, without quotes.
type fieldReader struct {
	rest       []byte
	key, value []byte
	escaped    bool // value is a text with escapes
	begun      bool
	err        error
}

// next moves to the next field.
func (f *fieldReader) next() bool {
	switch f.blank(); {
	case !f.begun:
		f.expect('{')
	case len(f.rest) > 0 && f.rest[0] == ',':
		f.expect(',')
	default:
		if f.expect('}'); len(f.rest) > 0 {
			f.fail()
		}
		return false
	}
	f.begun = true
	f.blank()
	f.key, _ = f.quoted()
	f.expect(':')
	f.blank()
	if len(f.rest) > 0 && f.rest[0] == '"' {
		f.value, f.escaped = f.quoted()
	} else {
		f.value, f.escaped = f.bare(), false
	}
	return f.err == nil
}

func (f *fieldReader) fail() {
	if f.err == nil {
		f.err = fmt.Errorf("%w: it is not a flat object in JSON", errLine)
	}
}

func (f *fieldReader) blank() {
	for len(f.rest) > 0 && (f.rest[0] == ' ' || f.rest[0] == '\t') {
		f.rest = f.rest[1:]
	}
}

func (f *fieldReader) expect(c byte) {
	if f.blank(); len(f.rest) == 0 || f.rest[0] != c {
		f.fail()
		return
	}
	f.rest = f.rest[1:]
}

// quoted takes a text, and reports whether it has escapes.
func (f *fieldReader) quoted() (text []byte, escaped bool) {
	if len(f.rest) == 0 || f.rest[0] != '"' {
		f.fail()
		return nil, false
	}
	for i := 1; ; i++ {
		n := bytes.IndexByte(f.rest[i:], '"')
		if n < 0 {
			f.fail()
			return nil, false
		}
		if i += n; backslashes(f.rest[1:i])%2 == 0 {
			text, f.rest = f.rest[1:i], f.rest[i+1:]
			return text, bytes.IndexByte(text, '\\') >= 0
		}
	}
}

// backslashes counts those at the end of b.
func backslashes(b []byte) (n int) {
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}

// bare takes a number or a word.
func (f *fieldReader) bare() []byte {
	n := 0
	for n < len(f.rest) && (f.rest[n]-'0' <= 9 || f.rest[n]-'a' < 26 || f.rest[n] == '-' || f.rest[n] == '+' || f.rest[n] == '.' || f.rest[n] == 'E') {
		n++
	}
	if n == 0 {
		f.fail()
	}
	word := f.rest[:n]
	f.rest = f.rest[n:]
	return word
}

// string is the value as a text.
func (f *fieldReader) string() (string, error) {
	if !f.escaped {
		return string(f.value), nil
	}
	var s string
	quoted := slices.Concat([]byte{'"'}, f.value, []byte{'"'})
	if err := json.Unmarshal(quoted, &s); err != nil {
		return "", err
	}
	return s, nil
}

// unpackMax bounds the memory that a packed log may ask for, in octets.
const unpackMax = 64 << 20

// Unpack returns what in holds, unpacked if it is packed by gzip or zstd, whatever its name is. The caller closes it, and in after it.
func Unpack(in io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(in, lineMax)
	switch head, _ := buffered.Peek(4); {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		d, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(unpackMax))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}
