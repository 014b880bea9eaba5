package dnssec

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

const (
	anchorTextMax   = 1 << 20 // octets of a text with trust anchors
	anchorFaultsMax = 20      // faults of a text that are listed
)

// AnchorRecord is a trust anchor as an operator wrote it: a DS or DNSKEY record.
type AnchorRecord struct {
	Zone        []byte // canonical
	Type        uint16 // wire.TypeDS or wire.TypeDNSKEY
	RData       []byte
	From, Until time.Time // when it may be used; zero for no limit
	Line        int       // where it begins
}

// ValidAt reports whether the record may be used at a time.
func (r *AnchorRecord) ValidAt(now time.Time) bool {
	return !now.Before(r.From) && (r.Until.IsZero() || now.Before(r.Until))
}

// ParseAnchors reads trust anchors: DS and DNSKEY records in presentation form, as dig prints them, or the XML of IANA (RFC 9718). file is what
// errors call the text. All faults are reported, up to a bound, each with file and line; then there are no records.
func ParseAnchors(file string, text []byte) ([]AnchorRecord, error) {
	if len(text) > anchorTextMax {
		return nil, fmt.Errorf("%s: file has more than %d octets", file, anchorTextMax)
	}
	var records []AnchorRecord
	var faults []error
	if bytes.HasPrefix(bytes.TrimLeft(text, "\ufeff \t\r\n"), []byte("<")) {
		records, faults = readAnchorXML(file, text)
	} else {
		r := anchorReader{file: file}
		r.read(string(text))
		records, faults = r.records, r.faults
	}
	if len(faults) == 0 && len(records) == 0 {
		faults = []error{fmt.Errorf("%s: there is no trust anchor", file)}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults[:min(len(faults), anchorFaultsMax)]...)
	}
	return records, nil
}

// AnchorsOf makes Anchors, one a zone, of the records that may be used at a time.
func AnchorsOf(records []AnchorRecord, now time.Time) []*Anchors {
	var zones []string
	ds, keys := map[string][][]byte{}, map[string][][]byte{}
	for i := range records {
		r := &records[i]
		if !r.ValidAt(now) {
			continue
		}
		zone := string(r.Zone)
		if ds[zone] == nil && keys[zone] == nil {
			zones = append(zones, zone)
		}
		if r.Type == wire.TypeDS {
			ds[zone] = append(ds[zone], r.RData)
		} else {
			keys[zone] = append(keys[zone], r.RData)
		}
	}
	out := make([]*Anchors, len(zones))
	for i, zone := range zones {
		out[i] = NewAnchors([]byte(zone), ds[zone], keys[zone], now)
	}
	return out
}

// anchorReader reads records in presentation form (RFC 1035 section 5.1), as far as DS and DNSKEY records need it: comments, parentheses, and
// an owner that is left out.
type anchorReader struct {
	file    string
	records []AnchorRecord
	faults  []error

	owner  []byte   // of the record before
	fields []string // of the record that is being read
	line   int      // where it began
	blank  bool     // it began with a blank: its owner is that of the record before
	depth  int      // of parentheses
}

func (r *anchorReader) read(text string) {
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		line, _, _ = strings.Cut(strings.TrimSuffix(line, "\r"), ";")
		if r.depth == 0 {
			r.fields, r.line, r.blank = nil, n, strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		}
		r.split(line)
		if r.depth == 0 && len(r.fields) > 0 {
			r.record()
		}
		if len(r.faults) >= anchorFaultsMax {
			return
		}
	}
	if r.depth > 0 {
		r.fault(errors.New("a parenthesis is not closed"))
	}
}

// split adds the fields of a line.
func (r *anchorReader) split(line string) {
	line = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(line)
	for field := range strings.FieldsSeq(line) {
		switch field {
		case "(":
			r.depth++
		case ")":
			if r.depth == 0 {
				r.fault(errors.New("a parenthesis is closed that was not opened"))
				continue
			}
			r.depth--
		default:
			r.fields = append(r.fields, field)
		}
	}
}

func (r *anchorReader) fault(err error) {
	r.faults = append(r.faults, fmt.Errorf("%s:%d: %w", r.file, r.line, err))
}

// record reads the fields of one record.
func (r *anchorReader) record() {
	rec := AnchorRecord{Line: r.line}
	fields, err := r.takeOwner()
	if err == nil {
		rec.Zone = r.owner
		rec.Type, rec.RData, err = readAnchor(fields)
	}
	if err != nil {
		r.fault(err)
		return
	}
	r.records = append(r.records, rec)
}

// takeOwner reads the owner, unless it is left out, and returns what follows.
func (r *anchorReader) takeOwner() ([]string, error) {
	if r.blank {
		if r.owner == nil {
			return nil, errors.New("the record has no name, and none is before it")
		}
		return r.fields, nil
	}
	if r.fields[0][0] == '$' || r.fields[0] == "@" {
		return nil, fmt.Errorf("%.20q is not read here: write names in full", r.fields[0])
	}
	name, err := dnsname.Parse(r.fields[0])
	if err != nil {
		return nil, err
	}
	r.owner = []byte(name.Canonical())
	return r.fields[1:], nil
}

// readAnchor reads type and RDATA behind an optional TTL and class.
func readAnchor(fields []string) (uint16, []byte, error) {
	for len(fields) > 0 && skipped(fields[0]) {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return 0, nil, errors.New("the record has no type")
	}
	switch strings.ToUpper(fields[0]) {
	case "DS":
		rdata, err := readDS(fields[1:])
		return wire.TypeDS, rdata, err
	case "DNSKEY":
		rdata, err := readKey(fields[1:])
		if err == nil && rdata[1]&FlagRevoke != 0 {
			err = errors.New("the key is revoked")
		}
		return wire.TypeDNSKEY, rdata, err
	}
	return 0, nil, fmt.Errorf("%.20q is no trust anchor: only DS and DNSKEY records of class IN are", fields[0])
}

// skipped reports whether a field is a TTL or the class IN.
func skipped(field string) bool {
	_, err := strconv.ParseUint(field, 10, 32)
	return err == nil || strings.EqualFold(field, "IN")
}
