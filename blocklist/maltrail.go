package blocklist

import (
	"bytes"
	"io"
	"strings"
)

// byTrail reads one file of a maltrail directory: a family's trails, each a name, an address, an address of a page or a path. The name of the file
// is the family, and each block of "# Reference:" lines belongs to the trails that follow it.
func byTrail(f *file) error {
	t := trails{file: f, family: printable([]byte(strings.TrimSuffix(f.base, ".txt")), CommentMax)}
	f.start.Family = t.family
	for {
		line, err := f.next()
		if err == io.EOF {
			return f.failed
		}
		if err != nil {
			return err
		}
		if line = trim(line); len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			t.comment(line)
			continue
		}
		t.inBlock = false
		t.trail(line)
	}
}

type trails struct {
	*file
	family  string
	kinds   *TrailKinds
	inBlock bool   // no trail came since the last reference
	buf     []byte // the references of the block
}

func (t *trails) comment(line []byte) {
	reference, ok := cutReference(line)
	if !t.inBlock { // a new block, or a heading that ends the old one: a wrong reference is worse than none
		t.buf, t.start.Reference = t.buf[:0], ""
	}
	if !ok || len(t.buf) > CommentMax {
		return
	}
	if t.inBlock {
		t.buf = append(t.buf, ' ')
	}
	t.buf, t.inBlock = append(t.buf, reference...), true
}

func cutReference(line []byte) (reference []byte, ok bool) {
	line = trim(line[1:])
	const mark = "reference:"
	if len(line) < len(mark) || !equalFold(line[:len(mark)], mark) {
		return nil, false
	}
	return trim(line[len(mark):]), true
}

// trail counts a row by its kind and lists it if it is a name.
func (t *trails) trail(line []byte) {
	row, comment := cutComment(line, '#')
	if t.start.Reference == "" && len(t.buf) > 0 {
		t.start.Reference = printable(t.buf, CommentMax)
	}
	t.begin().Comment = t.text(comment)
	kinds := t.counts()
	name, labels, ok := t.names.ascii(row)
	if ok && labels > 1 {
		kinds.Domain++
		t.serve(name, labels, t.match(), row)
		return
	}
	switch why := kindOfTrail(row, kinds); why {
	case ReasonNone:
		t.oddName(row, line, kinds)
	case ReasonIPAddress:
		t.listAddress(row)
	default:
		t.refuse(why, line)
	}
}

// oddName takes a row that is a name only after mapping, or none at all. Neither counts as a domain: whoever counts the file's lines sees none.
func (t *trails) oddName(row, line []byte, kinds *TrailKinds) {
	kinds.Other++
	name, labels, why := t.names.host(row)
	switch why {
	case ReasonNone:
		t.serve(name, labels, t.match(), line)
	case ReasonIPAddress:
		t.listAddress(row)
	default:
		t.refuse(why, line)
	}
}

func (t *trails) counts() *TrailKinds {
	if t.kinds != nil {
		return t.kinds
	}
	if t.report.Families == nil {
		t.report.Families = map[string]*TrailKinds{}
	}
	if t.report.Families[t.family] == nil {
		t.report.Families[t.family] = &TrailKinds{}
	}
	t.kinds = t.report.Families[t.family]
	return t.kinds
}

// kindOfTrail counts a trail that cannot be a name. ReasonNone leaves it to the parser of names.
func kindOfTrail(row []byte, kinds *TrailKinds) Reason {
	afterAddress, isV4 := cutIPv4(row)
	switch {
	case isV4 && len(afterAddress) == 0:
		kinds.IP++
	case isV4 && afterAddress[0] == ':' && allDigits(afterAddress[1:]):
		kinds.IPPort++
	case isHTTPAddress(row):
		kinds.HTTPIP++
	case isV4 && afterAddress[0] == '/' && allDigits(afterAddress[1:]):
		kinds.CIDR++
	case row[0] == '/':
		kinds.Path++
		return ReasonPath
	case bytes.IndexByte(row, '/') >= 0:
		kinds.URL++
		return ReasonURL
	default:
		return ReasonNone
	}
	return ReasonIPAddress
}

// isHTTPAddress reports whether row is "http://ADDRESS" or https, with or without a port and a final slash.
func isHTTPAddress(row []byte) bool {
	rest, ok := bytes.CutPrefix(row, []byte("http://"))
	if !ok {
		if rest, ok = bytes.CutPrefix(row, []byte("https://")); !ok {
			return false
		}
	}
	rest, ok = cutIPv4(bytes.TrimSuffix(rest, []byte("/")))
	return ok && (len(rest) == 0 || rest[0] == ':' && allDigits(rest[1:]))
}

// cutIPv4 cuts what is written like an IPv4 address off the beginning of b, whether or not its numbers are small enough.
func cutIPv4(b []byte) (rest []byte, ok bool) {
	for i := range 4 {
		n := 0
		for n < len(b) && n < 3 && b[n]-'0' < 10 {
			n++
		}
		if n == 0 {
			return nil, false
		}
		b = b[n:]
		if i == 3 {
			break
		}
		if len(b) == 0 || b[0] != '.' {
			return nil, false
		}
		b = b[1:]
	}
	return b, len(b) == 0 || b[0]-'0' > 9
}

func looksMaltrail(line []byte) evidence {
	if line[0] == '#' && (bytes.Contains(line, []byte("Maltrail developers")) || bytes.HasPrefix(line, []byte("# Reference: http"))) {
		return evidenceSignature
	}
	return evidenceNone
}
