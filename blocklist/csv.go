package blocklist

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"

	"cenote/policy"
)

// readCSV reads a table whose first row, or a comment above it, names the columns. Fields may be quoted, with blanks after the comma.
func readCSV(f *file) error {
	t := table{file: f}
	for {
		line, err := f.next()
		if err == io.EOF {
			return t.end()
		}
		if err != nil {
			return err
		}
		if line = trim(line); len(line) == 0 {
			continue
		}
		if err := t.line(line); err != nil {
			return err
		}
	}
}

// role is what a column holds.
type role uint8

const (
	roleIndicator role = iota
	roleType
	roleFamily
	roleThreat
	roleConfidence
	roleDate
	roleExpiry
	roleReference
	roleComment
	roleCompromised // the name belongs to a victim whose site was broken into
	roleEnd
)

// absent stands for a column that the table does not have.
const absent = -1

type table struct {
	*file
	columns [roleEnd]int
	ready   bool // columns are known
	fields  [][]byte
	scratch []byte
}

func (t *table) end() error {
	if t.failed == nil && !t.ready && t.lines.number > 0 {
		return t.noColumn(nil)
	}
	return t.failed
}

func (t *table) noColumn(header []byte) error {
	next := "set columns.name to the name of the column"
	if header != nil {
		next += "; the header is " + printable(header, faultTextMax)
	}
	return &SourceError{File: t.name, Err: ErrNoColumn, Next: next}
}

func (t *table) line(line []byte) error {
	switch {
	case line[0] == '#':
		if header := trim(line[1:]); !t.ready && bytes.IndexByte(header, ',') > 0 && t.split(header) {
			t.ready = t.readHeader()
		}
		return nil
	case t.ready:
		t.record(line)
		return nil
	case !t.split(line) || !t.readHeader():
		return t.noColumn(line)
	}
	t.ready = true
	t.skip()
	return nil
}

// readHeader finds the columns by name and reports whether there is one that holds names.
func (t *table) readHeader() bool {
	for r, names := range t.columnNames() {
		t.columns[r] = t.columnOf(names)
	}
	return t.columns[roleIndicator] != absent
}

// columnNames are the names that each column may have, in lower case: the one that is configured, or else the usual ones.
func (t *table) columnNames() [roleEnd][]string {
	names := usualColumns()
	for r, given := range t.config.Columns.byRole() {
		if given != "" {
			names[r] = []string{strings.ToLower(given)}
		}
	}
	return names
}

// columnOf returns the first column that has one of the names; the order of the names decides.
func (t *table) columnOf(names []string) int {
	for _, name := range names {
		for i, field := range t.fields {
			if equalFold(field, name) {
				return i
			}
		}
	}
	return absent
}

func (c *Columns) byRole() [roleEnd]string {
	return [roleEnd]string{roleIndicator: c.Indicator, roleType: c.Type, roleFamily: c.Family, roleThreat: c.Threat, roleConfidence: c.Confidence,
		roleDate: c.Date, roleExpiry: c.Expiry, roleReference: c.Reference, roleComment: c.Comment}
}

// usualColumns are the names that published tables give their columns, in lower case.
func usualColumns() [roleEnd][]string {
	return [roleEnd][]string{
		roleIndicator: {"ioc_value", "indicator", "ioc", "domain", "domain_name",
			"url", "dst_ip", "ip_address", // before what is said of them: a page's host, an address's name
			"hostname", "host", "fqdn", "value", "ip", "cidr"},
		roleType:        {"ioc_type", "indicator_type", "type"},
		roleFamily:      {"malware_printable", "malware_family", "malware", "family", "fk_malware", "app"},
		roleThreat:      {"threat_type", "threat", "category"},
		roleConfidence:  {"confidence_level", "confidence"},
		roleDate:        {"first_seen_utc", "first_seen", "date added", "date_added", "dateadded", "date"},
		roleExpiry:      {"valid_until", "expires", "expiry", "expiration", "expiration_date"},
		roleReference:   {"reference", "source", "urlhaus_link", "urlhaus_reference", "link", "sblid"},
		roleComment:     {"tags", "comment", "description", "notes"},
		roleCompromised: {"is_compromised"},
	}
}

func (t *table) record(line []byte) {
	if !t.split(line) || t.columns[roleIndicator] >= len(t.fields) {
		t.refuse(ReasonSyntax, line)
		return
	}
	t.entry(line)
}

// entry takes the present record, which is written in text.
func (t *table) entry(text []byte) {
	t.fill(t.begin())
	name := t.get(roleIndicator)
	switch why := reasonOfType(t.get(roleType)); {
	case why == ReasonIPAddress:
		t.listAddress(name)
	case why == ReasonURL, why == ReasonNone && isLink(name):
		t.listLink(name, t.match())
	case why != ReasonNone:
		t.refuse(why, text)
	default:
		t.listSeen(name)
	}
}

// isLink reports whether text is a link and no address of a host alone.
func isLink(text []byte) bool { return bytes.Contains(text, []byte("://")) }

// listSeen hands the row that begin returned to the sink under a name as it was seen; "*.name" is what lies below it.
func (f *file) listSeen(name []byte) {
	if wild, ok := bytes.CutPrefix(name, []byte("*.")); ok {
		f.list(wild, f.matchOr(policy.KindBelow))
		return
	}
	f.list(name, f.match())
}

// fill sets what the row says beside its name.
func (t *table) fill(row *Indicator) {
	if b := t.get(roleFamily); len(b) > 0 {
		row.Family = t.text(b)
	}
	if b := t.get(roleThreat); len(b) > 0 {
		row.Threat = t.text(b)
	}
	if b := t.get(roleConfidence); allDigits(b) {
		if n, err := strconv.Atoi(string(b)); err == nil && n <= 100 {
			row.Confidence = uint8(n)
		}
	}
	if t.config.TTL > 0 {
		if from, ok := readTime(t.get(roleDate)); ok {
			row.Expiry = from.Add(t.config.TTL)
		}
	}
	if until, ok := readTime(t.get(roleExpiry)); ok {
		row.Expiry = until
	}
	if equalFold(t.get(roleCompromised), "true") {
		row.Action = t.config.Compromised.action()
	}
	row.Reference, row.Comment = t.text(t.get(roleReference)), t.text(t.get(roleComment))
}

// get returns a field of the present record; "None" is how some exports write an empty one.
func (t *table) get(r role) []byte {
	i := t.columns[r]
	if i == absent || i >= len(t.fields) || string(t.fields[i]) == "None" {
		return nil
	}
	return t.fields[i]
}

func reasonOfType(kind []byte) Reason {
	switch string(kind) {
	case "", "domain", "domain-name", "domain_name", "hostname", "fqdn", "host":
		return ReasonNone
	case "url", "uri":
		return ReasonURL
	case "ip", "ip:port", "ipv4", "ipv6", "ip-dst", "ip-src", "cidr", "ipv4-addr", "ipv6-addr":
		return ReasonIPAddress
	}
	return ReasonOtherType
}

// readTime reads a date as tables write it; without a zone it is UTC.
func readTime(b []byte) (time.Time, bool) {
	if len(b) < len(time.DateOnly) || len(b) > 40 {
		return time.Time{}, false
	}
	for _, layout := range []string{time.DateTime, time.DateOnly, time.RFC3339, "2006-01-02 15:04:05 MST", "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, string(b)); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// fieldsMax is how many columns of a table are looked at.
const fieldsMax = 256

// split cuts a line into t.fields, which live until the next call. It reports whether the quotes are in order.
func (t *table) split(line []byte) bool {
	t.fields, t.scratch = t.fields[:0], t.scratch[:0]
	for len(t.fields) < fieldsMax {
		line = trim(line)
		var rest []byte
		if len(line) > 0 && line[0] == '"' {
			var ok bool
			if rest, ok = t.quoted(line[1:]); !ok {
				return false
			}
		} else {
			rest = t.bare(line)
		}
		if len(rest) == 0 {
			return true
		}
		line = rest[1:]
	}
	return true
}

// bare takes a field without quotes; the rest begins with the comma, if there is one.
func (t *table) bare(line []byte) (rest []byte) {
	i := bytes.IndexByte(line, ',')
	if i < 0 {
		i = len(line)
	}
	t.fields = append(t.fields, trim(line[:i]))
	return line[i:]
}

// quoted takes a field up to its closing quote; two quotes are one.
func (t *table) quoted(line []byte) (rest []byte, ok bool) {
	start := len(t.scratch)
	for {
		i := bytes.IndexByte(line, '"')
		if i < 0 {
			return nil, false
		}
		t.scratch = append(t.scratch, line[:i]...)
		line = line[i+1:]
		if len(line) == 0 || line[0] != '"' {
			break
		}
		t.scratch = append(t.scratch, '"')
		line = line[1:]
	}
	t.fields = append(t.fields, trim(t.scratch[start:len(t.scratch):len(t.scratch)]))
	rest = trim(line)
	return rest, len(rest) == 0 || rest[0] == ','
}

func looksCSV(line []byte) evidence {
	header := trim(bytes.TrimPrefix(line, []byte("#")))
	if bytes.IndexByte(header, ',') < 0 {
		return evidenceNone
	}
	t := table{file: &file{reader: &reader{}}}
	if t.split(header) && len(t.fields) > 1 && t.readHeader() && t.knownColumns() > 1 {
		return evidenceSignature
	}
	return evidenceNone
}

func (t *table) knownColumns() int {
	n := 0
	for _, at := range t.columns {
		if at != absent {
			n++
		}
	}
	return n
}
