package wire

// TypesNoName is the types of the NSEC record of a name that is not there where a zone denies compactly, as a bitmap (RFC 4034 section 4.1.2): RRSIG, NSEC, and NXNAME, which says that there
// is no such name (RFC 9824 sections 2 and 3).
const TypesNoName = "\x00\x11\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80"

// DeniesName reports whether the types of an NSEC or NSEC3 record, a bitmap, say that there is no such name and nothing else: NXNAME, beside which there may be RRSIG and NSEC alone. It is false of
// a bitmap that is malformed.
func DeniesName(types []byte) bool {
	denied, last := false, -1
	for len(types) > 0 {
		if len(types) < 2 || int(types[0]) <= last || types[1] == 0 || types[1] > 32 || len(types) < 2+int(types[1]) {
			return false
		}
		window, octets := types[0], types[2:2+int(types[1])]
		for i, octet := range octets {
			if octet&^mayBeside(window, i) != 0 {
				return false
			}
		}
		denied = denied || window == 0 && len(octets) > 16 && octets[16] != 0
		last, types = int(window), types[2+int(types[1]):]
	}
	return denied
}

// mayBeside is the bits that may be in an octet of a bitmap that denies a name.
func mayBeside(window uint8, octet int) byte {
	switch {
	case window == 0 && octet == 5:
		return 0x03 // RRSIG, NSEC
	case window == 0 && octet == 16:
		return 0x80 // NXNAME
	}
	return 0
}
