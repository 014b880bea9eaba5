package zone

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Bounds of a master file.
const (
	lineMax    = 1 << 20 // octets of one line
	entryLines = 4096    // lines of one entry, in parentheses
	headMax    = 2048    // octets before the data of an entry: owner, TTL, class and type, with room for blanks
)

// entries gives the text of a master file out octet by octet, as the parser asks for it, and knows on which line the entry begins that was given
// out last. Directives that read other files or make up records are refused here, before a parser sees them.
type entries struct {
	in    *bufio.Reader
	line  int    // of the last line that was read
	first int    // on which the present entry begins
	prior int    // and the one before
	rest  []byte // of the present entry, not yet given out
	text  []byte // room for an entry
	owner []byte // the first word of the last entry that had an owner
	again bool   // the parser is new: it does not know the owner of an entry that begins with a blank
	err   error

	origins []byte // the $ORIGIN lines that are in force: the last absolute one and what came after it
	ttl     []byte // the last $TTL line
	pending []byte // a directive of the present entry, in force if the parser takes it
}

func newEntries(r io.Reader) *entries { return &entries{in: bufio.NewReaderSize(r, 1<<16)} }

// ReadByte gives the next octet (io.ByteReader, which keeps the parser from reading ahead).
func (e *entries) ReadByte() (byte, error) {
	for len(e.rest) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.next()
	}
	c := e.rest[0]
	e.rest = e.rest[1:]
	return c, nil
}

// Read is there because the parser asks for an io.Reader.
func (e *entries) Read(p []byte) (int, error) {
	for n := range p {
		c, err := e.ReadByte()
		if err != nil {
			return n, err
		}
		p[n] = c
	}
	return len(p), nil
}

// next reads the next entry whole.
func (e *entries) next() {
	e.commit()
	e.text, e.prior, e.first = e.text[:0], e.first, e.line+1
	state := nesting{}
	for lines := 0; ; lines++ {
		line, err := e.readLine()
		e.text = append(e.text, line...)
		state.follow(line)
		if err != nil {
			e.err = err
		}
		if lines > entryLines || len(e.text) > lineMax {
			e.err = fmt.Errorf("an entry of more than %d lines or %d octets", entryLines, lineMax)
		}
		if e.err != nil || state.depth <= 0 {
			break
		}
	}
	if n := len(e.text); n > 0 && e.text[n-1] != '\n' && e.err == io.EOF {
		e.text = append(e.text, '\n') // the last line need not have an end
	}
	e.rest = e.text
	if bytes.IndexByte(e.text, '"') >= 0 && e.hasType("X25") {
		unquoteDigits(e.text)
	}
	e.inspect()
}

// hasType reports whether the present entry is a record of a type, by the words before its data: an owner, unless it begins with a blank, and TTL and class.
func (e *entries) hasType(rtype string) bool {
	words := bytes.FieldsFunc(e.text[:min(len(e.text), headMax)], func(r rune) bool { return r <= ' ' || r == '(' })
	if len(words) > 0 && !isBlank(e.text[0]) {
		words = words[1:]
	}
	for _, w := range words[:min(len(words), 3)] {
		if bytes.EqualFold(w, []byte(rtype)) {
			return true
		}
		if !isDigit(w[0]) && !isClass(w) {
			return false // another type: what follows is data
		}
	}
	return false
}

// isClass reports whether a word of a master file names a class (RFC 1035 section 3.2.4, RFC 3597 section 5).
func isClass(word []byte) bool {
	return slices.Contains([]string{"IN", "CS", "CH", "HS", "NONE", "ANY"}, strings.ToUpper(string(word))) ||
		len(word) > len("CLASS") && bytes.EqualFold(word[:len("CLASS")], []byte("CLASS")) && isDigit(word[len("CLASS")])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// unquoteDigits puts blanks in place of the quotes around digits: the parser knows X.25 addresses without quotes alone, and others write them with (RFC 1183 section 3.1
// has them as character strings, which may have either form).
func unquoteDigits(text []byte) {
	for at := 0; ; {
		begin := bytes.IndexByte(text[at:], '"')
		if begin < 0 {
			return
		}
		begin += at
		end := begin + 1
		for end < len(text) && isDigit(text[end]) {
			end++
		}
		if at = end; end > begin+1 && end < len(text) && text[end] == '"' {
			text[begin], text[end] = ' ', ' '
			at++
		}
	}
}

// readLine reads one line with its end.
func (e *entries) readLine() ([]byte, error) {
	line, err := e.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		long := append([]byte(nil), line...)
		for errors.Is(err, bufio.ErrBufferFull) && len(long) <= lineMax {
			line, err = e.in.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if len(line) > 0 {
		e.line++
	}
	return line, err
}

// inspect refuses directives that are not followed here, and notes the owner.
func (e *entries) inspect() {
	if len(e.text) == 0 {
		return
	}
	if isBlank(e.text[0]) {
		if e.again && len(bytes.TrimSpace(e.text)) > 0 {
			e.text = append(append([]byte(nil), e.owner...), e.text...)
			e.rest, e.again = e.text, false
		}
		return
	}
	word := e.text
	if at := bytes.IndexFunc(word, func(r rune) bool { return r <= ' ' || r == ';' || r == '(' }); at >= 0 {
		word = word[:at]
	}
	switch {
	case len(word) == 0:
	case word[0] != '$':
		e.owner, e.again = append(e.owner[:0], word...), false
	case bytes.EqualFold(word, []byte("$ORIGIN")), bytes.EqualFold(word, []byte("$TTL")):
		e.pending = append(e.pending[:0], e.text...)
	default:
		e.refuse(word)
	}
}

// saysTTL reports whether the present entry, of a SOA record, has a TTL before its type.
func (e *entries) saysTTL() bool {
	words := bytes.Fields(e.text)
	if len(e.text) > 0 && !isBlank(e.text[0]) && len(words) > 0 {
		words = words[1:]
	}
	for _, w := range words {
		if bytes.EqualFold(w, []byte("SOA")) {
			return false
		}
		if isDigit(w[0]) {
			return true
		}
	}
	return false
}

// commit notes the directive of an entry that the parser has taken.
func (e *entries) commit() {
	words := bytes.Fields(e.pending)
	switch {
	case len(words) < 2:
	case len(words[0]) == len("$TTL"):
		e.ttl = append(e.ttl[:0], e.pending...)
	default:
		if words[1][len(words[1])-1] == '.' {
			e.origins = e.origins[:0]
		}
		e.origins = append(e.origins, e.pending...)
	}
	e.pending = e.pending[:0]
}

// resume goes on behind the present entry, for a parser that has to be told what was in force.
func (e *entries) resume() {
	e.pending, e.again = e.pending[:0], true
	e.rest = append(append([]byte(nil), e.origins...), e.ttl...)
}

// refuse ends the file at a directive. Its text is not shown beyond the directive's name.
func (e *entries) refuse(word []byte) {
	e.rest = nil
	why := "is not known"
	if bytes.EqualFold(word, []byte("$INCLUDE")) {
		why = "is not followed: put the records into this file"
	} else if bytes.EqualFold(word, []byte("$GENERATE")) {
		why = "is not expanded: write the records out"
	}
	e.err = fmt.Errorf("the directive %.20q %s", word, why)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// nesting follows the parentheses of an entry, outside of quotes and comments.
type nesting struct {
	depth  int
	quoted bool
}

func (s *nesting) follow(line []byte) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			i++
		case c == '"':
			s.quoted = !s.quoted
		case s.quoted:
		case c == ';':
			return
		case c == '(':
			s.depth++
		case c == ')':
			s.depth--
		}
	}
}
