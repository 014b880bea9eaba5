package zone

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"cenote/dnsname"
	"cenote/wire"

	"github.com/miekg/dns"
)

// parseFaultsMax is how many faults of syntax end a file.
const parseFaultsMax = 100

// readMaster reads a master file and hands on one record after the other, with the names relative to apex. It goes on behind what it cannot read, so
// that all faults are told at once. It returns an error if the file cannot be read any further.
func readMaster(r io.Reader, apex dnsname.Name, record func(Record) error, fault func(line int, text string)) error {
	p := &master{text: newEntries(r), origin: textOf(apex)}
	p.begin()
	for faults := 0; ; {
		rr, ok := p.parser.Next()
		switch {
		case ok:
			if why, err := p.take(rr, record); err != nil {
				return err
			} else if why != "" {
				fault(p.text.first, why)
			}
		case p.text.err != nil && !errors.Is(p.text.err, io.EOF):
			fault(p.text.line, p.text.err.Error())
			return nil
		case p.parser.Err() == nil:
			return nil
		default:
			fault(p.text.first, plainError(p.parser.Err()))
			if faults++; faults >= parseFaultsMax {
				fault(p.text.first, fmt.Sprintf("more than %d faults; the rest of the file was not read", parseFaultsMax))
				return nil
			}
			p.resume()
		}
	}
}

// master is a file while it is read. Names in presentation form stay within this file of the package.
type master struct {
	text   *entries
	parser *dns.ZoneParser
	origin string
	buf    [wire.MessageMax]byte
}

func textOf(n dnsname.Name) string {
	if n.IsRoot() {
		return "."
	}
	return n.String() + "."
}

func (p *master) begin() {
	p.parser = dns.NewZoneParser(p.text, p.origin, "")
	p.parser.SetIncludeAllowed(false)
}

// resume begins again behind an entry that could not be read.
func (p *master) resume() {
	p.text.resume()
	p.begin()
}

// take hands one record on. why says what is wrong with it alone.
func (p *master) take(rr dns.RR, record func(Record) error) (why string, err error) {
	h := rr.Header()
	if h.Class != dns.ClassINET {
		return fmt.Sprintf("a record of class %s in a zone of class IN", dns.Class(h.Class)), nil
	}
	if h.Name == "" {
		return "a record without an owner: it begins the file, and has no name before its type", nil
	}
	p.defaultTTL(rr)
	end, err := dns.PackRR(rr, p.buf[:], 0, nil, false)
	if err != nil {
		return "a record that has no wire form: " + plainError(err), nil
	}
	owner, err := dnsname.FromWire(p.buf[:end])
	if err != nil {
		return "an owner that is no name: " + err.Error(), nil
	}
	data := p.buf[len(owner)+10 : end]
	line := p.text.first
	if len(data) == 0 && (len(p.text.rest) > 0 || p.text.first > p.text.line) {
		line = p.text.prior // to see that there are no data, the parser looks beyond the end of the line
	}
	return "", record(Record{owner.Canonical(), h.Rrtype, h.Ttl, append([]byte(nil), data...), line})
}

// defaultTTL gives a zone without $TTL and without a TTL in its SOA record that record's last number, as others read such files (RFC 1035 section 5.1 has none
// for it, and 0 would have every answer asked for again).
func (p *master) defaultTTL(rr dns.RR) {
	soa, ok := rr.(*dns.SOA)
	if !ok || len(p.text.ttl) > 0 || p.text.saysTTL() {
		return
	}
	soa.Hdr.Ttl = min(soa.Minttl, ttlMax)
	p.parser.SetDefaultTTL(soa.Hdr.Ttl)
}

// plainError is an error of the parser without the place, which is that of its own reading.
func plainError(err error) string {
	text := strings.TrimPrefix(err.Error(), "dns: ")
	if at := strings.LastIndex(text, " at line: "); at >= 0 {
		text = text[:at]
	}
	return plainField(plainWords.Replace(strings.TrimSpace(strings.TrimPrefix(text, "dns: "))))
}

// badField is how the parser says which field of a record it cannot read: by the type and its own word for the field.
var badField = regexp.MustCompile(`^bad ([A-Z0-9-]+) ([A-Za-z]+): `)

// plainField says a fault of a field in words that people have for it.
func plainField(text string) string {
	m := badField.FindStringSubmatch(text)
	if m == nil || m[1] == "RFC3597" { // which is no type
		return text
	}
	field := m[2]
	switch strings.ToLower(field) {
	case "a":
		field = "IPv4 address"
	case "aaaa":
		field = "IPv6 address"
	case "ns", "target", "ptr", "mx", "mname", "rname", "mbox", "host":
		field = "name"
	case "pref":
		field = "preference"
	case "ttl", "minttl":
		field = "TTL"
	}
	return "bad " + field + " in a record of type " + m[1] + ": " + text[len(m[0]):]
}

// plainWords say what the parser means: a word that is no type, such as one that is misspelt, is "not a TTL" for it.
var plainWords = strings.NewReplacer("not a TTL: ", "neither a type that is known nor a TTL: ", "expecting RR ", "expecting ", ", not this...: ", ", not ")

// masterWriter writes records in presentation form.
type masterWriter struct {
	wire  []byte
	again [wire.MessageMax]byte
}

// text is a record in presentation form, if that reads as the same record again.
func (w *masterWriter) text(r *Record) (string, bool) {
	w.wire = wire.AppendRecord(w.wire[:0], []byte(r.Owner), r.Type, wire.ClassIN, r.TTL, r.Data)
	rr, _, err := dns.UnpackRR(w.wire, 0)
	if err != nil {
		return "", false
	}
	text := rr.String()
	read, err := dns.NewRR(text)
	if err != nil || read == nil {
		return "", false
	}
	end, err := dns.PackRR(read, w.again[:], 0, nil, false)
	return text, err == nil && bytes.Equal(w.again[:end], w.wire)
}
