package wire

import (
	"encoding/binary"

	"cenote/dnsname"
)

// The sections that hold records.
const (
	SectionAnswer = iota
	SectionAuthority
	SectionAdditional
)

// Walker visits the records of a message in order. Use it as
//
//	w, err := wire.Records(msg)
//	for w.Next() { … w.Type, w.RData() … }
//	if w.Err != nil { … }
//
// The fields describe the record that Next stopped at.
type Walker struct {
	Section int // SectionAnswer, SectionAuthority or SectionAdditional
	NameOff int // where the owner name begins; see AppendName
	Type    uint16
	Class   uint16
	TTL     uint32
	TTLOff  int // where the TTL lies, for those who age it
	DataOff int // where RDATA begins
	DataLen int
	Err     error // why Next stopped early

	msg  []byte
	off  int
	left [3]int
}

// Records returns a Walker before the first record of msg, behind its questions.
func Records(msg []byte) (Walker, error) {
	if len(msg) < HeaderLen {
		return Walker{}, ErrCut
	}
	off := HeaderLen
	for range Count(msg, 0) {
		end, err := SkipName(msg, off)
		if err != nil {
			return Walker{}, err
		}
		if off = end + 4; off > len(msg) {
			return Walker{}, ErrCut
		}
	}
	return Walker{msg: msg, off: off, left: [3]int{Count(msg, 1), Count(msg, 2), Count(msg, 3)}}, nil
}

// Next moves to the next record. It returns false at the end and at the first fault, which is then in Err.
func (w *Walker) Next() bool {
	for w.Section < SectionAdditional && w.left[w.Section] == 0 {
		w.Section++
	}
	if w.left[w.Section] == 0 || w.Err != nil {
		return false
	}
	w.left[w.Section]--
	end, err := SkipName(w.msg, w.off)
	if err == nil && end+10 > len(w.msg) {
		err = ErrCut
	}
	if err != nil {
		w.Err = err
		return false
	}
	w.NameOff = w.off
	w.Type, w.Class = binary.BigEndian.Uint16(w.msg[end:]), binary.BigEndian.Uint16(w.msg[end+2:])
	w.TTLOff, w.TTL = end+4, binary.BigEndian.Uint32(w.msg[end+4:])
	w.DataOff, w.DataLen = end+10, int(binary.BigEndian.Uint16(w.msg[end+8:]))
	if w.off = w.DataOff + w.DataLen; w.off > len(w.msg) {
		w.Err = ErrCut
		return false
	}
	return true
}

// RData returns the record's data as it lies in the message: names in it may be compressed.
func (w *Walker) RData() []byte { return w.msg[w.DataOff : w.DataOff+w.DataLen] }

// Offset returns where the next record begins; after the last one, where the records end.
func (w *Walker) Offset() int { return w.off }

// NameLen returns how many octets the owner name takes in msg, compressed or not.
func (w *Walker) NameLen(msg []byte) int { return w.TTLOff - 4 - w.NameOff }

// SkipName returns where the possibly compressed name at off ends.
func SkipName(msg []byte, off int) (int, error) {
	for start := off; off < len(msg); {
		c := int(msg[off])
		switch {
		case c == 0:
			return off + 1, nil
		case c >= 0xc0:
			if off+2 > len(msg) {
				return 0, ErrCut
			}
			return off + 2, nil
		case c > dnsname.LabelMax:
			return 0, ErrName
		}
		if off += 1 + c; off-start >= dnsname.WireMax {
			return 0, ErrName
		}
	}
	return 0, ErrCut
}

// AppendName appends the name at off to dst, expanded, in its own letter case, and returns where the name ends in msg. Pointers must
// point backwards, which also bounds the work (RFC 1035 section 4.1.4; RFC 9267 section 2).
func AppendName(dst, msg []byte, off int) (name []byte, end int, err error) {
	start, floor := len(dst), off
	for hops := 0; off < len(msg); {
		c := int(msg[off])
		switch {
		case c == 0:
			if end == 0 {
				end = off + 1
			}
			return append(dst, 0), end, nil
		case c >= 0xc0:
			if off+2 > len(msg) {
				return dst[:start], 0, ErrCut
			}
			if end == 0 {
				end = off + 2
			}
			to := int(binary.BigEndian.Uint16(msg[off:]) & 0x3fff)
			if hops++; to >= floor || to < HeaderLen || hops > pointersMax {
				return dst[:start], 0, ErrPointer
			}
			off, floor = to, to
			continue
		case c > dnsname.LabelMax:
			return dst[:start], 0, ErrName
		case off+1+c > len(msg):
			return dst[:start], 0, ErrCut
		case len(dst)-start+1+c >= dnsname.WireMax:
			return dst[:start], 0, ErrName
		}
		dst = append(dst, msg[off:off+1+c]...)
		off += 1 + c
	}
	return dst[:start], 0, ErrCut
}
