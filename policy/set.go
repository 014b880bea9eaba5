package policy

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrSet is wrapped by errors about sets that cannot be read, or that refer to what the manifest lacks.
var ErrSet = errors.New("set of members is damaged")

// MembersMax is how many members a set may have.
const MembersMax = 1<<16 - 1

// A stored member is an octet of these flags, the feed and the family as uvarints, and what the flags announce, in their order.
const (
	setKind       = 3 << 0
	setException  = 1 << 2
	setAction     = 1 << 3 // an octet
	setThreat     = 1 << 4 // a uvarint
	setConfidence = 1 << 5 // an octet; ConfidenceUnknown otherwise
	setData       = 1 << 6 // a uvarint
	setExpiry     = 1 << 7 // a uvarint
)

// EncodeSet returns the stored form of a set of members. It is canonical: neither their order nor repetitions matter, so equal sets
// are equal octets. Members are stored by feed, kind, exception, action, family, threat, confidence, data and expiry; that is
// also their order of precedence where nothing else decides between members of one feed.
func EncodeSet(members []Member) []byte {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, compareMembers)
	sorted = slices.Compact(sorted)
	b := make([]byte, 0, 6*len(sorted))
	for i := range sorted {
		b = sorted[i].append(b)
	}
	return b
}

func compareMembers(a, b Member) int {
	return cmp.Or(
		cmp.Compare(a.Feed, b.Feed), cmp.Compare(a.Kind, b.Kind), cmp.Compare(flag(a.Exception, 1), flag(b.Exception, 1)),
		cmp.Compare(a.Action, b.Action), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Threat, b.Threat),
		cmp.Compare(a.Confidence, b.Confidence), cmp.Compare(a.Data, b.Data), cmp.Compare(a.Expiry, b.Expiry))
}

func flag(set bool, bit uint8) uint8 {
	if set {
		return bit
	}
	return 0
}

func (m *Member) append(b []byte) []byte {
	flags := uint8(m.Kind)&setKind | flag(m.Exception, setException) | flag(m.Action != ActionDefault, setAction) |
		flag(m.Threat != 0, setThreat) | flag(m.Confidence != ConfidenceUnknown, setConfidence) | flag(m.Data != 0, setData) |
		flag(m.Expiry != 0, setExpiry)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(m.Feed))
	b = binary.AppendUvarint(b, uint64(m.Family))
	if flags&setAction != 0 {
		b = append(b, uint8(m.Action))
	}
	if flags&setThreat != 0 {
		b = binary.AppendUvarint(b, uint64(m.Threat))
	}
	if flags&setConfidence != 0 {
		b = append(b, m.Confidence)
	}
	if flags&setData != 0 {
		b = binary.AppendUvarint(b, uint64(m.Data))
	}
	if flags&setExpiry != 0 {
		b = binary.AppendUvarint(b, uint64(m.Expiry))
	}
	return b
}

// DecodeSet reads what EncodeSet wrote: the members in their canonical order, which is the one that Hit.Member counts.
func DecodeSet(b []byte) ([]Member, error) {
	var members []Member
	for r := (setReader{rest: b}); r.next(); {
		if r.member.Action > ActionDisabled {
			return nil, fmt.Errorf("%w: action %d", ErrSet, r.member.Action)
		}
		if n := len(members); n > 0 && compareMembers(members[n-1], r.member) >= 0 {
			return nil, fmt.Errorf("%w: member %d is out of order", ErrSet, n)
		}
		members = append(members, r.member)
	}
	if !slices.Equal(EncodeSet(members), b) {
		return nil, fmt.Errorf("%w: not as it was written", ErrSet)
	}
	if len(members) > MembersMax {
		return nil, fmt.Errorf("%w: %d members, at most %d", ErrSet, len(members), MembersMax)
	}
	return members, nil
}

// setReader reads the members of a stored set one by one, without allocation. It stops at the first fault, which DecodeSet finds
// when the Policy is made.
type setReader struct {
	member Member
	rest   []byte
	fault  bool
}

func (r *setReader) next() bool {
	if len(r.rest) == 0 {
		return false
	}
	m := &r.member
	flags := r.octet()
	m.Kind, m.Exception = Kind(flags&setKind), flags&setException != 0
	m.Feed, m.Family = uint16(r.number()), r.number()
	m.Action, m.Threat, m.Confidence, m.Data, m.Expiry = ActionDefault, 0, ConfidenceUnknown, 0, 0
	if flags&setAction != 0 {
		m.Action = Action(r.octet())
	}
	if flags&setThreat != 0 {
		m.Threat = uint16(r.number())
	}
	if flags&setConfidence != 0 {
		m.Confidence = r.octet()
	}
	if flags&setData != 0 {
		m.Data = r.number()
	}
	if flags&setExpiry != 0 {
		m.Expiry = r.number()
	}
	return !r.fault
}

func (r *setReader) octet() uint8 {
	if len(r.rest) == 0 {
		r.fault = true
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

func (r *setReader) number() uint32 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 {
		return uint32(r.octet())
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fault, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return uint32(v)
}
