package querylog

import (
	"strconv"

	"cenote/wire"
)

func appendClass(b []byte, c uint16) []byte {
	switch c {
	case wire.ClassIN:
		return append(b, "IN"...)
	case wire.ClassCH:
		return append(b, "CH"...)
	case 4:
		return append(b, "HS"...)
	case 254:
		return append(b, "NONE"...)
	case wire.ClassANY:
		return append(b, "ANY"...)
	}
	return strconv.AppendUint(append(b, "CLASS"...), uint64(c), 10)
}

// rcodeMnemonic names a response code as IANA does; "" for those without a name, which are written RCODEnnn.
func rcodeMnemonic(code uint16) string {
	switch code {
	case wire.RcodeSuccess:
		return "NOERROR"
	case wire.RcodeFormErr:
		return "FORMERR"
	case wire.RcodeServFail:
		return "SERVFAIL"
	case wire.RcodeNXDomain:
		return "NXDOMAIN"
	case wire.RcodeNotImp:
		return "NOTIMP"
	case wire.RcodeRefused:
		return "REFUSED"
	case wire.RcodeYXDomain:
		return "YXDOMAIN"
	case 7:
		return "YXRRSET"
	case 8:
		return "NXRRSET"
	case wire.RcodeNotAuth:
		return "NOTAUTH"
	case 10:
		return "NOTZONE"
	case wire.RcodeBadVers:
		return "BADVERS"
	case wire.RcodeBadCookie:
		return "BADCOOKIE"
	}
	return ""
}

func appendRcode(b []byte, code uint16) []byte {
	if s := rcodeMnemonic(code); s != "" {
		return append(b, s...)
	}
	return strconv.AppendUint(append(b, "RCODE"...), uint64(code), 10)
}

// appendFlags writes the set bits of a header's flags, in the order in which they lie there, as one text with blanks between them.
func appendFlags(b []byte, key string, flags uint16) []byte {
	b = append(b, key...)
	empty := true
	for _, f := range [...]struct {
		bit  uint16
		name string
	}{
		{wire.FlagQR, "qr"}, {wire.FlagAA, "aa"}, {wire.FlagTC, "tc"}, {wire.FlagRD, "rd"}, {wire.FlagRA, "ra"}, {wire.FlagAD, "ad"}, {wire.FlagCD, "cd"},
	} {
		if flags&f.bit == 0 {
			continue
		}
		if !empty {
			b = append(b, ' ')
		}
		b, empty = append(b, f.name...), false
	}
	return append(b, '"')
}
