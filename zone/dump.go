package zone

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"cenote/wire"
)

// WriteMaster writes the zone as a master file (RFC 1035 section 5), a record a line, its SOA record first and the others in canonical order. What the library cannot write so that it reads the
// same again is written in the notation of RFC 3597 section 5, which all name servers read.
func (z *Zone) WriteMaster(to io.Writer) error {
	out := bufio.NewWriterSize(to, 1<<16)
	w := masterWriter{}
	var line []byte
	put := func(r *Record) {
		line = w.append(line[:0], r)
		out.Write(line) // an error stays, and Flush has it
		out.WriteByte('\n')
	}
	z.soa.eachRecord(z.apex, func(r Record) bool { put(&r); return r.Type != wire.TypeSOA })
	for r := range z.All() {
		if r.Type != wire.TypeSOA {
			put(&r)
		}
	}
	return out.Flush()
}

// append appends a record in presentation form.
func (w *masterWriter) append(dst []byte, r *Record) []byte {
	if line, plain := appendPlain(dst, r); plain {
		return line
	}
	return append(dst, w.line(r)...)
}

// appendPlain appends a record as the library writes it, if it is of a type with one name or address alone and its names have nothing that would have to be
// escaped: nearly all records of a policy zone, of which there are millions.
func appendPlain(dst []byte, r *Record) (line []byte, plain bool) {
	var name string
	switch r.Type {
	case wire.TypeCNAME:
		name = "CNAME"
	case wire.TypeNS:
		name = "NS"
	case wire.TypeA:
		name = "A"
	case wire.TypeAAAA:
		name = "AAAA"
	default:
		return dst, false
	}
	if dst, plain = appendPlainName(dst, []byte(r.Owner)); !plain {
		return dst, false
	}
	dst = append(dst, '\t')
	dst = strconv.AppendUint(dst, uint64(r.TTL), 10)
	dst = append(append(append(dst, "\tIN\t"...), name...), '\t')
	if r.Type == wire.TypeCNAME || r.Type == wire.TypeNS {
		return appendPlainName(dst, r.Data)
	}
	a, ok := netip.AddrFromSlice(r.Data)
	if !ok || a.Is4() != (r.Type == wire.TypeA) || a.Is4In6() {
		return dst, false
	}
	return a.AppendTo(dst), true
}

// appendPlainName appends a whole name in presentation form, unless something in it would have to be escaped.
func appendPlainName(dst, name []byte) (text []byte, plain bool) {
	if len(name) <= 1 {
		return append(dst, '.'), true
	}
	for at := 0; at < len(name) && name[at] != 0; at += 1 + int(name[at]) {
		for _, c := range name[at+1 : at+1+int(name[at])] {
			if c-'a' >= 26 && c-'A' >= 26 && c-'0' >= 10 && c != '-' && c != '_' && c != '*' {
				return dst, false
			}
			dst = append(dst, c)
		}
		dst = append(dst, '.')
	}
	return dst, true
}

// line is a record in presentation form, or in the notation of RFC 3597.
func (w *masterWriter) line(r *Record) string {
	if text, ok := w.text(r); ok {
		return text
	}
	return fmt.Sprintf("%s\t%d\tIN\tTYPE%d\t\\# %d %X", textOf(r.Owner), r.TTL, r.Type, len(r.Data), r.Data)
}
