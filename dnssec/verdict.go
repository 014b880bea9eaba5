package dnssec

import "fmt"

// Status is what is known of data (RFC 4033 section 5).
type Status uint8

// The four states. The zero value claims nothing.
const (
	Indeterminate Status = iota
	Insecure
	Secure
	Bogus
)

// String returns the word of RFC 4033 in lower case.
func (s Status) String() string {
	switch s {
	case Indeterminate:
		return "indeterminate"
	case Insecure:
		return "insecure"
	case Secure:
		return "secure"
	case Bogus:
		return "bogus"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Extended DNS errors (RFC 8914 section 4) that a Verdict gives. CodeNone is none.
const (
	CodeAlgorithm     = 1
	CodeDigest        = 2
	CodeIndeterminate = 5
	CodeBogus         = 6
	CodeExpired       = 7
	CodeNotYetValid   = 8
	CodeNoKey         = 9
	CodeNoSignature   = 10
	CodeNoZoneKey     = 11
	CodeNoProof       = 12
	CodeIterations    = 27 // RFC 9276 section 3.2
	CodeNone          = 0xffff
)

// Verdict is what came of a check. Text is a short reason for whoever reads a trace; it is empty for what is simply Secure.
type Verdict struct {
	Status Status
	Code   uint16 // extended DNS error, CodeNone for none
	Text   string
}

// String returns status, code and reason in one line.
func (v Verdict) String() string {
	s := v.Status.String()
	if v.Code != CodeNone {
		s += fmt.Sprintf(" (%d)", v.Code)
	}
	if v.Text != "" {
		s += ": " + v.Text
	}
	return s
}

func secure() Verdict { return Verdict{Status: Secure, Code: CodeNone} }

func insecure(code uint16, format string, args ...any) Verdict {
	return Verdict{Insecure, code, fmt.Sprintf(format, args...)}
}

func bogus(code uint16, format string, args ...any) Verdict {
	return Verdict{Bogus, code, fmt.Sprintf(format, args...)}
}
