package querylog

import (
	"strconv"

	"cenote/wire"
)

// typeMnemonic names the types that are asked for in practice (IANA DNS RR TYPEs); "" for all others, which are written TYPEnnn
// (RFC 3597 section 5).
func typeMnemonic(t uint16) string {
	switch t {
	case 1:
		return "A"
	case 2:
		return "NS"
	case 5:
		return "CNAME"
	case 6:
		return "SOA"
	case 10:
		return "NULL"
	case 12:
		return "PTR"
	case 13:
		return "HINFO"
	case 15:
		return "MX"
	case 16:
		return "TXT"
	case 17:
		return "RP"
	case 18:
		return "AFSDB"
	case 28:
		return "AAAA"
	case 29:
		return "LOC"
	case 33:
		return "SRV"
	case 35:
		return "NAPTR"
	case 37:
		return "CERT"
	case 39:
		return "DNAME"
	}
	return newerMnemonic(t)
}

// newerMnemonic names types of DNSSEC and after, and those that only questions have.
func newerMnemonic(t uint16) string {
	switch t {
	case 43:
		return "DS"
	case 44:
		return "SSHFP"
	case 46:
		return "RRSIG"
	case 47:
		return "NSEC"
	case 48:
		return "DNSKEY"
	case 50:
		return "NSEC3"
	case 51:
		return "NSEC3PARAM"
	case 52:
		return "TLSA"
	case 53:
		return "SMIMEA"
	case 59:
		return "CDS"
	case 60:
		return "CDNSKEY"
	case 61:
		return "OPENPGPKEY"
	case 62:
		return "CSYNC"
	case 63:
		return "ZONEMD"
	case 64:
		return "SVCB"
	case 65:
		return "HTTPS"
	case 99:
		return "SPF"
	case 108:
		return "EUI48"
	case 109:
		return "EUI64"
	case 251:
		return "IXFR"
	case 252:
		return "AXFR"
	case 255:
		return "ANY"
	case 256:
		return "URI"
	case 257:
		return "CAA"
	}
	return ""
}

func appendType(b []byte, t uint16) []byte {
	if s := typeMnemonic(t); s != "" {
		return append(b, s...)
	}
	return strconv.AppendUint(append(b, "TYPE"...), uint64(t), 10)
}

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
