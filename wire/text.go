package wire

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"
)

// TypeText returns the word for a type, as AppendType writes it.
func TypeText(rtype uint16) string { return string(AppendType(nil, rtype)) }

// RcodeText returns the word for a response code, as RFC 1035 and its successors spell it.
func RcodeText(rcode int) string {
	if words := []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}; rcode < len(words) {
		return words[rcode]
	}
	return "RCODE" + strconv.Itoa(rcode)
}

// RDataText returns the data of a record in presentation form. What it cannot read, or has no form for, is written as RFC 3597 section 5 does.
// All that a terminal could take for a command is escaped.
func RDataText(msg []byte, w *Walker) string {
	t := textReader{msg: msg, off: w.DataOff, end: w.DataOff + w.DataLen}
	t.read(w.Type)
	if t.bad || t.off != t.end {
		return strings.TrimSpace(fmt.Sprintf(`\# %d %s`, w.DataLen, hex.EncodeToString(w.RData())))
	}
	return strings.Join(t.words, " ")
}

// textReader reads data field by field.
type textReader struct {
	msg      []byte
	off, end int
	words    []string
	bad      bool
}

// read reads the fields of a type.
func (t *textReader) read(rtype uint16) {
	switch rtype {
	case TypeA:
		t.address(4)
	case TypeAAAA:
		t.address(16)
	case TypeNS, TypeCNAME, TypePTR, TypeDNAME:
		t.name()
	case TypeSOA:
		t.name()
		t.name()
		t.numbers(4, 4, 4, 4, 4)
	case TypeMX:
		t.numbers(2)
		t.name()
	case TypeSRV:
		t.numbers(2, 2, 2)
		t.name()
	case TypeTXT, TypeHINFO, 99:
		for t.off < t.end && !t.bad {
			t.quoted()
		}
	case TypeDS, 59:
		t.numbers(2, 1, 1)
		t.word(strings.ToUpper(hex.EncodeToString(t.rest())))
	case TypeDNSKEY, 60:
		t.numbers(2, 1, 1)
		t.word(base64.StdEncoding.EncodeToString(t.rest()))
	case TypeRRSIG:
		t.signature()
	case TypeNSEC:
		t.name()
		t.types()
	default:
		t.bad = true
	}
}

func (t *textReader) word(s string) { t.words = append(t.words, s) }

// take returns the next n octets, nil if there are not so many.
func (t *textReader) take(n int) []byte {
	if t.bad || t.off+n > t.end {
		t.bad = true
		return nil
	}
	t.off += n
	return t.msg[t.off-n : t.off]
}

func (t *textReader) rest() []byte { return t.take(max(t.end-t.off, 0)) }

func (t *textReader) address(n int) {
	if addr, ok := netip.AddrFromSlice(t.take(n)); ok {
		t.word(addr.String())
	}
}

func (t *textReader) name() {
	if t.bad {
		return
	}
	name, end, err := AppendName(nil, t.msg, t.off)
	if err != nil || end > t.end {
		t.bad = true
		return
	}
	t.off = end
	text := dnsname.Name(name).String()
	if text != "." {
		text += "."
	}
	t.word(text)
}

// numbers reads numbers of so many octets.
func (t *textReader) numbers(sizes ...int) {
	for _, n := range sizes {
		var v uint64
		for _, b := range t.take(n) {
			v = v<<8 | uint64(b)
		}
		t.word(strconv.FormatUint(v, 10))
	}
}

// quoted reads a character-string.
func (t *textReader) quoted() {
	n := t.take(1)
	if n == nil {
		return
	}
	var b strings.Builder
	for _, c := range t.take(int(n[0])) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c > 0x7e:
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	t.word(`"` + b.String() + `"`)
}

// signature reads an RRSIG record (RFC 4034 section 3.2).
func (t *textReader) signature() {
	if covered := t.take(2); covered != nil {
		t.word(TypeText(binary.BigEndian.Uint16(covered)))
	}
	t.numbers(1, 1, 4)
	for range 2 {
		if at := t.take(4); at != nil {
			t.word(time.Unix(int64(binary.BigEndian.Uint32(at)), 0).UTC().Format("20060102150405"))
		}
	}
	t.numbers(2)
	t.name()
	t.word(base64.StdEncoding.EncodeToString(t.rest()))
}

// types reads the map of types of an NSEC record (RFC 4034 section 4.1.2).
func (t *textReader) types() {
	for t.off < t.end && !t.bad {
		head := t.take(2)
		if head == nil {
			return
		}
		window := uint16(head[0]) << 8
		for i, octet := range t.take(int(head[1])) {
			for bit := range 8 {
				if octet&(0x80>>bit) != 0 {
					t.word(TypeText(window | uint16(8*i+bit)))
				}
			}
		}
	}
}
