package dnssec

import "encoding/binary"

// KeyRef names a key, or what a DS record says of one, for whoever reads a trace.
type KeyRef struct {
	Tag       uint16
	Algorithm uint8
	Digest    uint8  // of a DS record: the type of its digest
	Flags     uint16 // of a key
}

// KeyRefs names the keys of the zone.
func (z *Zone) KeyRefs() []KeyRef {
	var out []KeyRef
	for i := range z.keys {
		out = append(out, KeyRef{Tag: z.keys[i].tag, Algorithm: z.keys[i].algorithm, Flags: z.keys[i].flags})
	}
	return out
}

// DSRefs names what DS records (their RDATA) stand for, at most DSMax of them. Malformed ones are passed over.
func DSRefs(ds [][]byte) []KeyRef {
	var out []KeyRef
	for _, r := range ds {
		if len(r) > dsFixed && len(out) < DSMax {
			out = append(out, KeyRef{Tag: binary.BigEndian.Uint16(r), Algorithm: r[2], Digest: r[3]})
		}
	}
	return out
}

// SignatureRefs names the keys that signed a set, as its RRSIG records (their RDATA) say, at most TriedPerSetMax of them.
func SignatureRefs(sigs [][]byte) []KeyRef {
	const tagOff = 16 // RFC 4034 section 3.1
	var out []KeyRef
	for _, r := range sigs {
		if len(r) >= tagOff+2 && len(out) < TriedPerSetMax {
			out = append(out, KeyRef{Tag: binary.BigEndian.Uint16(r[tagOff:]), Algorithm: r[2]})
		}
	}
	return out
}
