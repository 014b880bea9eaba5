package blocklist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// document is one file of JSON while it is read: value by value, never as a whole. Rows have the line on which their value begins.
type document struct {
	*file
	src   *brokenLines
	dec   *json.Decoder
	raw   json.RawMessage // the value that next took; lives until the next one
	count int             // values taken
	held  int             // octets that wait for the end, about
}

// Bounds of one document.
const (
	valueMax = 32 << 20  // octets of one value that is read whole: an object of STIX, an attribute of MISP
	heldMax  = 256 << 20 // octets of rows that wait for what the rest of the document says of them

	blanksMax = 1 << 20 // blanks in a row, which are looked through again and again
)

func newDocument(f *file) *document {
	src := &brokenLines{src: f.lines.src, line: 1}
	return &document{file: f, src: src, dec: json.NewDecoder(src)}
}

// brokenLines knows on which line of src an offset lies.
type brokenLines struct {
	src    io.Reader
	at     int64   // octets handed out
	breaks []int64 // offsets of line feeds that were handed out, and lie after the last question
	line   int     // of the last question, from 1
	mark   int64   // where the present value begins
	open   bool    // the last octet was no line feed
	blanks int     // how many blanks the last octets were
}

// readMax is how far a decoder may read beyond its value.
const readMax = 32 << 10

// Read fails if a value does not end.
func (b *brokenLines) Read(p []byte) (int, error) {
	switch {
	case b.at-b.mark > valueMax+readMax:
		return 0, errValueTooLong
	case b.blanks > blanksMax:
		return 0, errBlanks
	}
	n, err := b.src.Read(p[:min(len(p), readMax)])
	for i, c := range p[:n] {
		if c == '\n' {
			b.breaks = append(b.breaks, b.at+int64(i))
		}
		if b.blanks++; !isBlank(c) {
			b.blanks = 0
		}
	}
	if n > 0 {
		b.open = p[n-1] != '\n'
	}
	b.at += int64(n)
	return n, err
}

var (
	errValueTooLong = fmt.Errorf("%w: one value of it has more than %d MiB", ErrTooLarge, valueMax>>20)
	errBlanks       = fmt.Errorf("%w: it has more than %d MiB of blanks in a row", ErrTooLarge, blanksMax>>20)
)

// lineAt returns the line of an offset, which must not lie before that of an earlier question.
func (b *brokenLines) lineAt(offset int64) int {
	n := 0
	for n < len(b.breaks) && b.breaks[n] < offset {
		n++
	}
	b.breaks = b.breaks[:copy(b.breaks, b.breaks[n:])]
	b.line += n
	return b.line
}

// read takes all values of the file, one after the other: a file has one, or one a line. It ends with the file or with what ends the reading.
func (d *document) read(value func(json.Token) error) error {
	for {
		token, err := d.token()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = value(token)
		}
		if err != nil {
			return d.wrong(err)
		}
	}
	d.lines.number = d.src.line + len(d.src.breaks)
	if !d.src.open {
		d.lines.number--
	}
	return d.failed
}

// wrong says what is the matter with a document that cannot be read on.
func (d *document) wrong(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF // inside a value
	}
	if err == errValueTooLong || err == errBlanks {
		return &SourceError{File: d.name, Err: err, Next: "ask the publisher to leave attachments out"}
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := d.src.lineAt(d.dec.InputOffset())
		return &SourceError{File: d.name, Err: ErrBadJSON,
			Next: fmt.Sprintf("from line %d on it cannot be read: %v; fetch it again, or select the feed's files by files", line, bad)}
	}
	return err
}

// step notes that one more value was begun. It ends the reading where somebody wants it to.
func (d *document) step() error {
	d.src.mark = d.dec.InputOffset()
	if d.count++; d.count&0x3ff == 0 {
		d.fail(d.done())
	}
	return d.failed
}

// next takes the next value whole, into d.raw. The line of the file is then that on which the value begins.
func (d *document) next() error {
	if err := d.step(); err != nil {
		return err
	}
	if err := d.dec.Decode(&d.raw); err != nil {
		return err
	}
	d.lines.number = d.src.lineAt(d.dec.InputOffset() - int64(len(d.raw)))
	return nil
}

// into reads the value that next took. What has another type than it should stays empty: the rest of it may be good.
func (d *document) into(value any) { _ = json.Unmarshal(d.raw, value) }

// token is the next token.
func (d *document) token() (json.Token, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	return d.dec.Token()
}

// keys calls value for each key of an object whose beginning was taken; value takes what stands under the key.
func (d *document) keys(value func(key string) error) error {
	for d.dec.More() {
		token, err := d.token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := d.dec.Token()
	return err
}

// values calls value for each value of an array whose beginning was taken.
func (d *document) values(value func() error) error {
	for d.dec.More() {
		if err := value(); err != nil {
			return err
		}
	}
	_, err := d.dec.Token()
	return err
}

// array is values for an array that has not begun, and reports whether it was one. Anything else that stands there is passed over.
func (d *document) array(value func() error) (bool, error) {
	token, err := d.token()
	if err != nil {
		return false, err
	}
	if token == json.Delim('[') {
		return true, d.values(value)
	}
	return false, d.rest(token)
}

// rest passes over what is left of a value whose first token was taken.
func (d *document) rest(token json.Token) error {
	switch token {
	case json.Delim('{'):
		return d.keys(func(string) error { return d.next() })
	case json.Delim('['):
		return d.values(d.next)
	}
	return nil
}

// hold counts octets that wait for the end of the document.
func (d *document) hold(octets int) {
	if d.held += octets; d.held > heldMax {
		d.fail(&SourceError{File: d.name, Err: fmt.Errorf("%w: more than %d MiB of it wait for its end", ErrTooLarge, heldMax>>20), Next: "have it written in parts"})
	}
}

// jsonText is a string, number or truth value, as text; several in an array are one text with commas, and whatever else is empty.
type jsonText string

// UnmarshalJSON never fails.
func (t *jsonText) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		*t = jsonText(strings.Join(plainTexts(raw), ","))
		return nil
	}
	*t = jsonText(plainText(raw))
	return nil
}

// jsonTexts is an array of texts. A single text is an array of one.
type jsonTexts []string

// UnmarshalJSON never fails.
func (t *jsonTexts) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		*t = plainTexts(raw)
	} else if s := plainText(raw); s != "" {
		*t = []string{s}
	}
	return nil
}

// plainTexts are the texts of an array that are not empty.
func plainTexts(raw []byte) (texts []string) {
	var list []json.RawMessage
	_ = json.Unmarshal(raw, &list)
	for _, item := range list {
		if s := plainText(item); s != "" {
			texts = append(texts, s)
		}
	}
	return texts
}

// plainText is a string, number or truth value as text.
func plainText(raw []byte) string {
	switch raw[0] {
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s)
		return s
	case '{', '[', 'n':
		return ""
	}
	return string(raw)
}

// jsonFlag is a truth value; some write it as a number or a text.
type jsonFlag bool

// UnmarshalJSON never fails.
func (b *jsonFlag) UnmarshalJSON(raw []byte) error {
	word := bytes.Trim(raw, `"`)
	*b = jsonFlag(equalFold(word, "true") || string(word) == "1")
	return nil
}

// jsonShape is what the beginning of a document shows: the keys of its first object, and those of the first object inside.
type jsonShape struct {
	array        bool // the document is an array
	outer, inner []string
}

// shapeKeysMax is how many keys of an object are looked at.
const shapeKeysMax = 64

// shapeOfJSON looks at the beginning of a document, which may be cut anywhere.
func shapeOfJSON(head []byte) (s jsonShape) {
	dec := json.NewDecoder(bytes.NewReader(head))
	token, err := dec.Token()
	if err != nil {
		return s
	}
	if s.array = token == json.Delim('['); s.array {
		if token, err = dec.Token(); err != nil {
			return s
		}
	}
	if token == json.Delim('{') {
		s.object(dec, &s.outer)
	}
	return s
}

// object gathers the keys of an object into keys, and reports whether it could be read to its end.
func (s *jsonShape) object(dec *json.Decoder, keys *[]string) bool {
	for dec.More() && len(*keys) < shapeKeysMax {
		key, err := dec.Token()
		if err != nil {
			return false
		}
		*keys = append(*keys, strings.ToLower(fmt.Sprint(key)))
		if !s.value(dec, keys == &s.outer) {
			return false
		}
	}
	_, err := dec.Token()
	return err == nil
}

// value passes over a value, and looks into the first object that lies in the outer one or in an array of it.
func (s *jsonShape) value(dec *json.Decoder, outer bool) bool {
	token, err := dec.Token()
	depth := 0
	for ; err == nil; token, err = dec.Token() {
		switch token {
		case json.Delim('{'):
			if outer && s.inner == nil {
				if !s.object(dec, &s.inner) {
					return false
				}
				break
			}
			depth++
		case json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return true
		}
	}
	return false
}
