package zone

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// ttlMax is the longest TTL there is (RFC 2181 section 8).
const ttlMax = 1<<31 - 1

// checker gathers the records of a zone, and what is wrong with them.
type checker struct {
	apex    dnsname.Name
	file    string
	now     time.Time
	records []Record
	faults  []Fault
	errors  int
	lenient bool // what others have to mend keeps nothing from being served
}

// mendable is the severity of a fault with which a zone can be served, though its owner has to mend it.
func (c *checker) mendable() Severity {
	if c.lenient {
		return SeverityWarning
	}
	return SeverityError
}

func (c *checker) fault(line int, severity Severity, format string, args ...any) {
	if severity == SeverityError {
		c.errors++
	}
	if len(c.faults) < faultsMax || severity == SeverityError && c.errors == 1 {
		c.faults = append(c.faults, Fault{c.file, line, severity, fmt.Sprintf(format, args...)})
	}
}

// sorted are the faults by line.
func (c *checker) sorted() []Fault {
	slices.SortStableFunc(c.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return c.faults
}

// record takes one record as it is read.
func (c *checker) record(r Record) error {
	switch {
	case len(c.records) >= recordsMax:
		return fmt.Errorf("more than %d records", recordsMax)
	case r.Owner != c.apex && !r.Owner.IsBelow(c.apex):
		c.fault(r.Line, SeverityWarning, "%s lies outside of the zone %s; the record is left out", r.Owner, c.apex)
		return nil
	case isMeta(r.Type):
		c.fault(r.Line, SeverityError, "%s: records of type %s are in no zone", r.Owner, typeName(r.Type))
		return nil
	case !isWellFormed(&r):
		c.fault(r.Line, SeverityError, "%s %s: the data are not of the form that the type has", r.Owner, typeName(r.Type))
		return nil
	case r.TTL > ttlMax:
		c.fault(r.Line, SeverityError, "%s: a TTL of %d seconds; the longest is %d", r.Owner, r.TTL, ttlMax)
		return nil
	}
	c.records = append(c.records, r)
	return nil
}

// isMeta reports whether a type only lives in messages (RFC 6895 section 3.1).
func isMeta(t uint16) bool { return t == 0 || t == wire.TypeOPT || t >= 128 && t <= 255 }

// check looks at the records of each name. They are sorted, and none is there twice.
func (c *checker) check(records []Record) {
	if len(records) == 0 || records[0].Owner != c.apex {
		c.fault(0, SeverityError, "%s has no records of its own, not even SOA", c.apex)
		return
	}
	for rest := records; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Owner == rest[0].Owner {
			n++
		}
		c.checkName(rest[:n])
		rest = rest[n:]
	}
}

// doubles tells of records that are there twice. They are sorted.
func (c *checker) doubles() {
	for i := 1; i < len(c.records); i++ {
		if a, b := &c.records[i-1], &c.records[i]; isDouble(*a, *b) {
			c.fault(b.Line, SeverityWarning, "%s %s: the same record stands in line %d; it counts once", b.Owner, typeName(b.Type), a.Line)
		}
	}
}

// checkName looks at all records of one name.
func (c *checker) checkName(records []Record) {
	counts := map[uint16]int{}
	for i := range records {
		counts[records[i].Type]++
	}
	first := &records[0]
	if first.Owner == c.apex {
		c.checkApex(records, counts)
	} else if counts[wire.TypeSOA] > 0 {
		c.fault(lineOf(records, wire.TypeSOA), SeverityError, "%s: SOA is at the apex alone, which is %s", first.Owner, c.apex)
	}
	c.checkAlone(records, counts)
	for rest := records; len(rest) > 0; {
		n := 1
		for n < len(rest) && covered(&rest[n]) == covered(&rest[0]) {
			n++
		}
		c.checkSet(rest[:n])
		rest = rest[n:]
	}
}

func lineOf(records []Record, rtype uint16) int {
	for i := range records {
		if records[i].Type == rtype {
			return records[i].Line
		}
	}
	return 0
}

func (c *checker) checkApex(records []Record, counts map[uint16]int) {
	switch n := counts[wire.TypeSOA]; {
	case n == 0:
		c.fault(0, SeverityError, "%s has no SOA record", c.apex)
	case n > 1:
		c.fault(records[slices.IndexFunc(records, func(r Record) bool { return r.Type == wire.TypeSOA })+1].Line, SeverityError,
			"%s has %d SOA records; a zone has one", c.apex, n)
	default:
		c.checkSOA(&records[slices.IndexFunc(records, func(r Record) bool { return r.Type == wire.TypeSOA })])
	}
	if counts[wire.TypeNS] == 0 {
		c.fault(0, c.mendable(), "%s has no NS records", c.apex)
	}
}

// checkSOA looks at the numbers of the SOA record: nothing of them keeps a zone from being served.
func (c *checker) checkSOA(r *Record) {
	n := r.Data[len(r.Data)-20:]
	serial, refresh, retry, expire := binary.BigEndian.Uint32(n), binary.BigEndian.Uint32(n[4:]), binary.BigEndian.Uint32(n[8:]), binary.BigEndian.Uint32(n[12:])
	if serial == 0 {
		c.fault(r.Line, SeverityWarning, "%s: the serial is 0; some secondaries take that for none", r.Owner)
	}
	if retry == 0 || refresh == 0 {
		c.fault(r.Line, SeverityWarning, "%s: refresh or retry is 0", r.Owner)
	}
	if expire < refresh || expire < retry || uint64(expire) < uint64(refresh)+uint64(retry) {
		c.fault(r.Line, SeverityWarning, "%s: expire (%d) is less than refresh and retry (%d and %d): secondaries drop the zone before they ask again", r.Owner, expire, refresh, retry)
	}
	if minimum := binary.BigEndian.Uint32(n[16:]); minimum > 86400 {
		c.fault(r.Line, SeverityWarning, "%s: a minimum of %d seconds; negative answers should be kept for no more than a day (RFC 2308 section 5)", r.Owner, minimum)
	}
}

// checkAlone looks at types that stand alone (RFC 1034 section 3.6.2, RFC 6672 section 2.4).
func (c *checker) checkAlone(records []Record, counts map[uint16]int) {
	owner := records[0].Owner
	for t, n := range counts {
		switch {
		case t == wire.TypeCNAME && n > 1:
			c.fault(lastLine(records, wire.TypeCNAME), SeverityError, "%s has %d CNAME records; a name has one", owner, n)
		case t == wire.TypeDNAME && n > 1:
			c.fault(lastLine(records, wire.TypeDNAME), SeverityError, "%s has %d DNAME records; a name has one", owner, n)
		case counts[wire.TypeCNAME] > 0 && t != wire.TypeCNAME && t != wire.TypeRRSIG && t != wire.TypeNSEC:
			c.fault(lineOf(records, t), c.mendable(), "%s has a CNAME record and others (%s)", owner, typeName(t))
		case t == wire.TypeDS && counts[wire.TypeNS] == 0 && owner != c.apex:
			c.fault(lineOf(records, t), SeverityWarning, "%s has DS records, and no NS records: it is no delegation", owner)
		case t == wire.TypeDS && owner == c.apex:
			c.fault(lineOf(records, t), c.mendable(), "%s: DS records of the apex are for the zone above", owner)
		}
	}
}

func lastLine(records []Record, rtype uint16) (line int) {
	for i := range records {
		if records[i].Type == rtype {
			line = max(line, records[i].Line)
		}
	}
	return line
}

// checkSet looks at the records of one type, with their signatures.
func (c *checker) checkSet(records []Record) {
	first := &records[0]
	if len(records) > setRecordsMax {
		c.fault(first.Line, SeverityError, "%s %s has more than %d records", first.Owner, typeName(first.Type), setRecordsMax)
	}
	if first.Type == wire.TypeRRSIG {
		c.fault(first.Line, SeverityWarning, "%s: a signature of %s records that are not there", first.Owner, typeName(covered(first)))
	}
	for i := range records {
		r := &records[i]
		if r.TTL != first.TTL {
			c.fault(max(r.Line, first.Line), SeverityWarning, "%s %s: TTLs of %d and %d in one set; the shortest counts for all", r.Owner, typeName(r.Type), first.TTL, r.TTL)
			first = r
		}
		c.checkHost(r)
	}
}

// checkHost looks at names that have to be those of hosts (RFC 952, RFC 1123 section 2.1).
func (c *checker) checkHost(r *Record) {
	if mustBeHost(r.Type) && !isHostname([]byte(r.Owner), true) && !isReserved(r.Owner) {
		c.fault(r.Line, c.mendable(), "%s: the owner of %s records is no name of a host", r.Owner, typeName(r.Type))
	}
	if target := hostTarget(r); target != nil && !isHostname(target, false) {
		name, _ := dnsname.FromWire(target)
		c.fault(r.Line, c.mendable(), "%s %s: %s is no name of a host", r.Owner, typeName(r.Type), name)
	}
}

// mustBeHost reports whether records of a type belong to hosts.
func mustBeHost(t uint16) bool { return t == wire.TypeA || t == wire.TypeAAAA || t == wire.TypeMX }

// isReserved reports whether a name has a label that begins with an underscore, which marks names that are no hosts on purpose (RFC 8552), such as
// _spf and the gc._msdcs of Active Directory.
func isReserved(n dnsname.Name) bool {
	for ; len(n) > 1; n = n.Parent() {
		if n[1] == '_' {
			return true
		}
	}
	return false
}

// hostTarget is the name in a record that has to be that of a host, or nil.
func hostTarget(r *Record) []byte {
	switch {
	case r.Type == wire.TypeNS:
		return r.Data
	case r.Type == wire.TypeMX && len(r.Data) > 2:
		return r.Data[2:]
	case r.Type == wire.TypeSRV && len(r.Data) > 6:
		return r.Data[6:]
	}
	return nil
}

// isHostname reports whether a name is made of letters, digits and hyphens, which are not at the ends of labels. wild lets the first label be an asterisk.
func isHostname(name []byte, wild bool) bool {
	for at := 0; at < len(name) && name[at] != 0; at += 1 + int(name[at]) {
		label := name[at+1 : at+1+int(name[at])]
		if at == 0 && wild && string(label) == "*" {
			continue
		}
		for i, b := range label {
			if b-'0' < 10 || (b|0x20)-'a' < 26 || b == '-' && i > 0 && i < len(label)-1 {
				continue
			}
			return false
		}
	}
	return true
}
