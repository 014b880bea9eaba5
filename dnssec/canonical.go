package dnssec

import (
	"bytes"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Record types that wire does not name.
const (
	typeMD     = 3
	typeMF     = 4
	typeMB     = 7
	typeMG     = 8
	typeMR     = 9
	typeMINFO  = 14
	typeRP     = 17
	typeAFSDB  = 18
	typeRT     = 21
	typeSIG    = 24
	typePX     = 26
	typeNXT    = 30
	typeNAPTR  = 35
	typeKX     = 36
	typeA6     = 38
	typeZONEMD = 63
)

// canonicalRData returns RDATA in canonical form (RFC 4034 section 6.2): the names of the types that are listed there in lower case, with the
// corrections of RFC 6840 section 5.1. What cannot be read stays as it is. The result may be rdata itself.
func canonicalRData(rtype uint16, rdata []byte) []byte {
	skip, names := rdataNames(rtype, rdata)
	if names == 0 || skip > len(rdata) {
		return rdata
	}
	out := bytes.Clone(rdata)
	for off := skip; names > 0; names-- {
		n, _, err := dnsname.Check(out[off:])
		if err != nil {
			break
		}
		dnsname.Lower(out[off:off+n], out[off:off+n])
		off += n
	}
	return out
}

// rdataNames says where the names of a type's RDATA begin that canonical form writes in lower case, and how many follow each other.
func rdataNames(rtype uint16, rdata []byte) (skip, names int) {
	switch rtype {
	case wire.TypeNS, wire.TypeCNAME, wire.TypePTR, wire.TypeDNAME, typeMD, typeMF, typeMB, typeMG, typeMR, typeNXT:
		return 0, 1
	case wire.TypeSOA, typeMINFO, typeRP:
		return 0, 2
	case wire.TypeMX, typeAFSDB, typeRT, typeKX:
		return 2, 1
	case typePX:
		return 2, 2
	case wire.TypeSRV:
		return 6, 1
	case wire.TypeRRSIG, typeSIG:
		return rrsigFixed, 1
	case typeNAPTR:
		return naptrName(rdata), 1
	case typeA6:
		return a6Name(rdata), 1
	}
	return 0, 0
}

// naptrName is where the replacement of a NAPTR record begins: behind order, preference and three strings (RFC 3403 section 4.1).
func naptrName(rdata []byte) int {
	off := 4
	for range 3 {
		if off >= len(rdata) {
			return len(rdata) + 1
		}
		off += 1 + int(rdata[off])
	}
	return off
}

// a6Name is where the prefix name of an A6 record begins: behind its length and as much of the address as that leaves (RFC 2874 section 3.1).
func a6Name(rdata []byte) int {
	if len(rdata) == 0 || rdata[0] == 0 || rdata[0] > 128 {
		return len(rdata) + 1
	}
	return 1 + (128-int(rdata[0])+7)/8
}

// canonicalSet returns the RDATA of a set in canonical form and order, each once (RFC 4034 section 6.3). The input stays as it is.
func canonicalSet(rtype uint16, rdata [][]byte) [][]byte {
	out := make([][]byte, len(rdata))
	for i, r := range rdata {
		out[i] = canonicalRData(rtype, r)
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// appendCanonical appends a set's records in canonical form to dst.
func appendCanonical(dst, owner []byte, rtype, class uint16, ttl uint32, canonical [][]byte) []byte {
	for _, r := range canonical {
		dst = wire.AppendRecord(dst, owner, rtype, class, ttl, r)
	}
	return dst
}
