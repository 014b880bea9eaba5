package wire

import "errors"

// ErrData is that the data of a record have not the form of its type.
var ErrData = errors.New("data of a record are malformed")

// Layout says where the names in the data of a type are.
type Layout struct {
	Before   int  // octets before the first name
	Names    int  // how many
	After    int  // octets after the last one; AnyLength: what is left
	Compress bool // may be compressed in replies (RFC 3597 section 4: the types of RFC 1035)
}

// AnyLength is the After of types that end with as many octets as there are.
const AnyLength = -1

const (
	typeMD, typeMF, typeMB, typeMG, typeMR, typeMINFO              = 3, 4, 7, 8, 9, 14
	typeRP, typeAFSDB, typeRT, typeSIG, typePX, typeNXT, typeNAPTR = 17, 18, 21, 24, 26, 30, 35
	typeKX                                                         = 36
)

// LayoutOf returns the layout of the types that have names in their data, which of NAPTR alone depends on the data. All others are octets, which cannot be
// compressed. ErrData: the data have not even the form that a layout could be read of, or, of an address, not its length.
func LayoutOf(rtype uint16, data []byte) (l Layout, hasNames bool, err error) {
	switch rtype {
	case TypeA:
		return l, false, dataUnless(len(data) == 4)
	case TypeAAAA:
		return l, false, dataUnless(len(data) == 16)
	case TypeNS, TypeCNAME, TypePTR, typeMD, typeMF, typeMB, typeMG, typeMR:
		return Layout{Names: 1, Compress: true}, true, nil
	case TypeSOA:
		return Layout{Names: 2, After: 20, Compress: true}, true, nil
	case typeMINFO:
		return Layout{Names: 2, Compress: true}, true, nil
	case TypeMX:
		return Layout{Before: 2, Names: 1, Compress: true}, true, nil
	case TypeDNAME:
		return Layout{Names: 1}, true, nil
	case typeRP:
		return Layout{Names: 2}, true, nil
	case typeAFSDB, typeRT, typeKX:
		return Layout{Before: 2, Names: 1}, true, nil
	case typePX:
		return Layout{Before: 2, Names: 2}, true, nil
	case TypeSRV:
		return Layout{Before: 6, Names: 1}, true, nil
	case typeSIG, TypeRRSIG:
		return Layout{Before: 18, Names: 1, After: AnyLength}, true, nil
	case typeNXT, TypeNSEC:
		return Layout{Names: 1, After: AnyLength}, true, nil
	case TypeSVCB, TypeHTTPS:
		return Layout{Before: 2, Names: 1, After: AnyLength}, true, nil
	case typeNAPTR:
		before, ok := naptrBefore(data)
		return Layout{Before: before, Names: 1}, true, dataUnless(ok)
	}
	return l, false, nil
}

func dataUnless(ok bool) error {
	if ok {
		return nil
	}
	return ErrData
}

// naptrBefore returns how many octets lie before the name in a NAPTR record: two numbers and three strings (RFC 3403 section 4.1).
func naptrBefore(data []byte) (n int, ok bool) {
	n = 4
	for range 3 {
		if n >= len(data) {
			return 0, false
		}
		n += 1 + int(data[n])
	}
	return n, n <= len(data)
}

// AppendData appends the data of a record, which lie in msg from off to end, with the names in them written out: those that may be compressed, and those that
// some compress all the same. An error leaves what it appended behind dst.
func AppendData(dst, msg []byte, rtype uint16, off, end int) ([]byte, error) {
	l, hasNames, err := LayoutOf(rtype, msg[off:end])
	switch {
	case err != nil:
		return dst, err
	case !hasNames:
		return append(dst, msg[off:end]...), nil
	case off+l.Before > end:
		return dst, ErrData
	}
	dst = append(dst, msg[off:off+l.Before]...)
	off += l.Before
	for range l.Names {
		if dst, off, err = AppendName(dst, msg, off); err != nil {
			return dst, err
		}
		if off > end {
			return dst, ErrData
		}
	}
	if l.After != AnyLength && end-off != l.After {
		return dst, ErrData
	}
	return append(dst, msg[off:end]...), nil
}
