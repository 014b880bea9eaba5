package blocklist

import (
	"io"

	"cenote/dnsname"
)

// masterFile cuts a file in master format (RFC 1035 section 5.1) into entries: it joins lines in parentheses, drops comments and
// keeps quoted strings together.
type masterFile struct {
	*file
	buf []byte // the entry without comments and parentheses
	rec masterRecord
}

// masterRecord is one entry. Its slices live until the next one.
type masterRecord struct {
	line      int    // on which it begins
	text      []byte // as cleaned
	words     [][]byte
	comment   []byte // of its last line
	sameOwner bool   // it begins with a blank
	broken    bool   // quotes or parentheses do not match, or it is too long
	owner     []byte
	ttl       uint32
	rdata     [][]byte
}

// next returns the next entry that has any words.
func (m *masterFile) next() (*masterRecord, error) {
	for {
		if err := m.join(); err != nil {
			return nil, err
		}
		m.rec.text = trim(m.buf)
		if m.rec.broken {
			return &m.rec, nil
		}
		if m.split(); len(m.rec.words) > 0 {
			return &m.rec, nil
		}
	}
}

// join gathers the lines of one entry into buf.
func (m *masterFile) join() error {
	m.buf, m.rec.comment, m.rec.broken = m.buf[:0], m.rec.comment[:0], false
	for depth := 0; ; {
		line, err := m.file.next()
		if err == io.EOF && len(m.buf) > 0 {
			m.rec.broken = true // it ends within parentheses
			return nil
		}
		if err != nil {
			return err
		}
		if len(m.buf) == 0 && depth == 0 {
			m.rec.line = m.lines.number
			m.rec.sameOwner = len(line) > 0 && isBlank(line[0])
		}
		var ok bool
		if depth, ok = m.addLine(line, depth); !ok || len(m.buf) > LineMax {
			m.rec.broken = true
			return nil
		}
		if depth == 0 {
			return nil
		}
		m.buf = append(m.buf, ' ')
	}
}

// addLine appends what a line says to buf and follows its parentheses.
func (m *masterFile) addLine(line []byte, depth int) (int, bool) {
	quoted := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line):
			m.buf = append(m.buf, c)
			i++
			c = line[i]
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			m.rec.comment = append(m.rec.comment[:0], trim(line[i+1:])...)
			return depth, true
		case c == '(':
			depth, c = depth+1, ' '
		case c == ')':
			if depth--; depth < 0 {
				return 0, false
			}
			c = ' '
		}
		m.buf = append(m.buf, c)
	}
	return depth, !quoted
}

// split cuts buf into words at blanks outside quotes. Quotes and escapes stay in the words.
func (m *masterFile) split() {
	m.rec.words = m.rec.words[:0]
	start, quoted := -1, false
	for i := 0; i < len(m.buf); i++ {
		c := m.buf[i]
		switch {
		case !quoted && isBlank(c):
			if start >= 0 {
				m.rec.words = append(m.rec.words, m.buf[start:i])
			}
			start = -1
			continue
		case c == '\\':
			if start < 0 {
				start = i
			}
			i++
			continue
		case c == '"':
			quoted = !quoted
		}
		if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		m.rec.words = append(m.rec.words, m.buf[start:])
	}
}

// masterName appends the labels of a name in master format to dst, without the root's octet. "@" is no label at all. Absolute is whether it ends
// with a dot. Any octet may stand in a label; letter case is kept.
func masterName(dst, text []byte) (labels []byte, absolute bool, why Reason) {
	switch string(text) {
	case "@":
		return dst, false, ReasonNone
	case ".":
		return dst, true, ReasonNone
	}
	label := len(dst)
	start := label
	dst = append(dst, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '.' {
			if !closeLabel(dst, label) {
				return nil, false, labelFault(dst, label)
			}
			if i == len(text)-1 {
				return dst, true, ReasonNone
			}
			label = len(dst)
			dst = append(dst, 0)
			continue
		}
		if c == '\\' {
			var n int
			if c, n = unescape(text[i+1:]); n == 0 {
				return nil, false, ReasonSyntax
			}
			i += n
		}
		if dst = append(dst, c); len(dst)-start >= dnsname.WireMax {
			return nil, false, ReasonTooLong
		}
	}
	if !closeLabel(dst, label) {
		return nil, false, labelFault(dst, label)
	}
	return dst, false, ReasonNone
}

func closeLabel(dst []byte, label int) bool {
	n := len(dst) - label - 1
	if n == 0 || n > dnsname.LabelMax {
		return false
	}
	dst[label] = byte(n)
	return true
}

func labelFault(dst []byte, label int) Reason {
	if len(dst)-label-1 > dnsname.LabelMax {
		return ReasonTooLong
	}
	return ReasonSyntax
}

// unescape reads what follows a backslash: an octet in three decimal digits, or any other octet as it is. It returns how many octets it took.
func unescape(text []byte) (c byte, n int) {
	switch {
	case len(text) == 0:
		return 0, 0
	case text[0]-'0' > 9:
		return text[0], 1
	case len(text) < 3 || !allDigits(text[:3]):
		return 0, 0
	}
	v := int(text[0]-'0')*100 + int(text[1]-'0')*10 + int(text[2]-'0')
	if v > 255 {
		return 0, 0
	}
	return byte(v), 3
}

// readTTL reads a number of seconds, or of units as in 1h30m.
func readTTL(word []byte) (uint32, bool) {
	if len(word) == 0 || word[0]-'0' > 9 {
		return 0, false
	}
	var total, n uint64
	digits := false
	for _, c := range word {
		if c-'0' < 10 {
			n = n*10 + uint64(c-'0')
			digits = true
		} else {
			unit := ttlUnit(c)
			if unit == 0 || !digits {
				return 0, false
			}
			total, n, digits = total+n*unit, 0, false
		}
		if n > 1<<32 || total > 1<<32 {
			return 0, false
		}
	}
	total += n
	return uint32(min(total, 1<<31-1)), total < 1<<32
}

func ttlUnit(c byte) uint64 {
	switch c | 0x20 {
	case 's':
		return 1
	case 'm':
		return 60
	case 'h':
		return 3600
	case 'd':
		return 86400
	case 'w':
		return 604800
	}
	return 0
}
