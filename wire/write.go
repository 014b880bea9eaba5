package wire

import "encoding/binary"

// AppendRecord appends a record with an uncompressed or precompressed owner name and ready RDATA. It does not touch the section counts.
func AppendRecord(dst, owner []byte, rtype, class uint16, ttl uint32, rdata []byte) []byte {
	dst = append(dst, owner...)
	dst = binary.BigEndian.AppendUint16(dst, rtype)
	dst = binary.BigEndian.AppendUint16(dst, class)
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(rdata)))
	return append(dst, rdata...)
}

// AppendOPT appends an OPT record (RFC 6891 section 6.1.2) with the options already encoded. rcode is the whole extended
// response code; its upper eight bits go here.
func AppendOPT(dst []byte, udpSize uint16, rcode int, do bool, options []byte) []byte {
	ttl := uint32(rcode>>4&0xff) << 24
	if do {
		ttl |= 0x8000
	}
	return AppendRecord(dst, []byte{0}, TypeOPT, udpSize, ttl, options)
}

// SetCO sets the flag CO (RFC 9824 section 5.1) of an OPT record without options.
func SetCO(opt []byte) { opt[OPTLen-4] |= 0x40 }

// AppendOption appends one EDNS option.
func AppendOption(dst []byte, code uint16, data []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}
