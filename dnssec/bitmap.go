package dnssec

import (
	"slices"

	"cenote/wire"
)

// bitmap is the set of types of an NSEC or NSEC3 record (RFC 4034 section 4.1.2), well formed.
type bitmap []byte

// parseBitmap checks that windows are in order and hold 1 to 32 octets.
func parseBitmap(b []byte) (bitmap, bool) {
	last := -1
	for rest := b; len(rest) > 0; {
		if len(rest) < 2 || int(rest[0]) <= last || rest[1] == 0 || rest[1] > 32 || 2+int(rest[1]) > len(rest) {
			return nil, false
		}
		last = int(rest[0])
		rest = rest[2+int(rest[1]):]
	}
	return bitmap(b), true
}

// has reports whether the type is in the set.
func (m bitmap) has(rtype uint16) bool {
	window, octet := byte(rtype>>8), int(rtype&255/8)
	for len(m) > 0 {
		if m[0] == window {
			return octet < int(m[1]) && m[2+octet]&(0x80>>(rtype&7)) != 0
		}
		m = m[2+int(m[1]):]
	}
	return false
}

// delegates reports whether the set is that of the parent's side of a delegation.
func (m bitmap) delegates() bool { return m.has(wire.TypeNS) && !m.has(wire.TypeSOA) }

// hidesBelow reports whether a record with these types says nothing about names below its owner: they belong to another zone, or are made by a
// DNAME (RFC 6840 section 4.1, RFC 5155 section 8.3).
func (m bitmap) hidesBelow() bool { return m.delegates() || m.has(wire.TypeDNAME) }

// bare reports whether nothing but what DNSSEC itself adds is in the set.
func (m bitmap) bare() bool { return m.holdsNothingBut(wire.TypeRRSIG, wire.TypeNSEC) }

// absent reports whether the set says that there is no such name, and nothing else.
func (m bitmap) absent() bool { return wire.DeniesName(m) }

func (m bitmap) holdsNothingBut(types ...uint16) bool {
	for rest := m; len(rest) > 0; rest = rest[2+int(rest[1]):] {
		for i, octet := range rest[2 : 2+int(rest[1])] {
			for bit := range 8 {
				rtype := uint16(rest[0])<<8 | uint16(i*8+bit)
				if octet&(0x80>>bit) != 0 && !slices.Contains(types, rtype) {
					return false
				}
			}
		}
	}
	return true
}

// deny says whether a record with these types, whose owner is the name that was asked for or the wildcard that would answer, proves that there
// is nothing of a type. root is whether that name is the root.
func (m bitmap) deny(qtype uint16, root bool) Verdict {
	switch {
	case m.has(qtype) || qtype == wire.TypeANY && !m.bare():
		return bogus(CodeBogus, "the record of denial says that the type exists")
	case m.has(wire.TypeCNAME):
		return bogus(CodeBogus, "the record of denial says that the name is an alias")
	case qtype == wire.TypeDS && m.has(wire.TypeSOA) && !root:
		return bogus(CodeNoProof, "the record of denial is from below the delegation")
	case qtype != wire.TypeDS && m.delegates():
		return bogus(CodeNoProof, "the record of denial is from above the delegation")
	}
	return secure()
}

// cut says what a record with these types at a name says of a delegation there that has no DS.
func (m bitmap) cut() (Cut, Verdict) {
	switch {
	case m.has(wire.TypeDS):
		return CutUnknown, bogus(CodeBogus, "the record of denial says that there is a DS set")
	case m.has(wire.TypeSOA):
		return CutUnknown, bogus(CodeNoProof, "the record of denial is from below the delegation")
	case m.has(wire.TypeNS):
		return CutDelegation, secure()
	}
	return CutNone, secure()
}
