package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// TypeMnemonic names the types that are asked for in practice (IANA DNS RR TYPEs); "" for all others, which are written TYPEnnn
// (RFC 3597 section 5).
func TypeMnemonic(t uint16) string {
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
	case 49:
		return "DHCID"
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

// AppendType appends the name of a type, or TYPEnnn.
func AppendType(b []byte, t uint16) []byte {
	if s := TypeMnemonic(t); s != "" {
		return append(b, s...)
	}
	return strconv.AppendUint(append(b, "TYPE"...), uint64(t), 10)
}

// mnemonicsEnd is above the types that have a name here.
const mnemonicsEnd = 258

// ParseType reads a type as AppendType writes it, in any letter case, or its number alone.
func ParseType(text string) (uint16, error) {
	upper := strings.ToUpper(text)
	for t := range uint16(mnemonicsEnd) {
		if upper != "" && TypeMnemonic(t) == upper {
			return t, nil
		}
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(upper, "TYPE"), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("unknown type %q: use a name such as AAAA or HTTPS, or TYPE and a number", text)
	}
	return uint16(n), nil
}
