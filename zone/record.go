package zone

import (
	"fmt"

	"cenote/dnsname"
	"cenote/wire"
)

// Record is one record of a master file.
type Record struct {
	Owner dnsname.Name // canonical
	Type  uint16
	TTL   uint32
	Data  []byte // in wire form, names in it uncompressed
	Line  int    // where it begins in its file
}

// Severity is how much a fault of a zone matters.
type Severity uint8

// The severities.
const (
	SeverityWarning Severity = iota // the zone is served all the same
	SeverityError                   // the zone is not served
)

// String names the severity.
func (s Severity) String() string {
	if s == SeverityError {
		return "error"
	}
	return "warning"
}

// MarshalText is String, for JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Severity) UnmarshalText(text []byte) error {
	switch string(text) {
	case "error":
		*s = SeverityError
	case "warning":
		*s = SeverityWarning
	default:
		return fmt.Errorf("severity %q is neither error nor warning", text)
	}
	return nil
}

// Fault is something wrong with a zone, and where.
type Fault struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"` // 0: the zone as a whole
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
}

// String is the fault on one line, as compilers write theirs.
func (f Fault) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", f.File, f.Severity, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Severity, f.Text)
}

// typeName is how messages name a type.
func typeName(t uint16) string { return string(wire.AppendType(nil, t)) }
