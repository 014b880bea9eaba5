package zone

import (
	"cenote/dnsname"
	"cenote/wire"
)

// isWellFormed reports whether a record's data have the form of its type, as far as anything here, or a resolver's cache, relies on it. In the notation
// of RFC 3597 anything can be written for any type.
func isWellFormed(r *Record) bool {
	fixed, names := 0, 0
	switch r.Type {
	case wire.TypeA:
		return len(r.Data) == 4
	case wire.TypeAAAA:
		return len(r.Data) == 16
	case wire.TypeRRSIG:
		fixed, names = 18, 1
	case wire.TypeSRV:
		fixed, names = 6, 1
	case wire.TypeDNAME, wire.TypeNSEC:
		names = 1
	case wire.TypeDS, wire.TypeDNSKEY:
		return len(r.Data) > 4
	case wire.TypeNSEC3, typeNSEC3PAR:
		return len(r.Data) >= 5 && len(r.Data) >= 5+int(r.Data[4])
	case typeNULL, typeAPL:
		return true
	default:
		if fixed, names = compressible(r.Type); names == 0 {
			return len(r.Data) > 0 || !isKnown(r.Type)
		}
	}
	return hasNames(r, fixed, names)
}

const (
	typeNULL = 10
	typeAPL  = 42
)

// isKnown reports whether records of a type cannot be empty, as far as anybody has defined it (RFC 6895 section 3.1 leaves the rest for private use).
func isKnown(t uint16) bool { return wire.TypeMnemonic(t) != "" }

// hasNames reports whether names stand behind a fixed part, and behind them nothing, or what belongs there.
func hasNames(r *Record, fixed, names int) bool {
	rest := r.Data[min(fixed, len(r.Data)):]
	for range names {
		n, _, err := dnsname.Check(rest)
		if err != nil {
			return false
		}
		rest = rest[n:]
	}
	switch r.Type {
	case wire.TypeSOA:
		return len(rest) == 20
	case wire.TypeRRSIG, wire.TypeNSEC:
		return len(rest) > 0
	}
	return len(rest) == 0
}
