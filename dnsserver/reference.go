package dnsserver

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"strings"

	"cenote/policy"
)

// Reference is what the text of an extended error stands for, if a policy zone asks for one: the rule that decided, by its place in one
// generation of the policy. It tells the operator everything and the client nothing.
type Reference struct {
	Generation uint64
	Set        uint32
	Zone       uint16
	Member     uint16
	Trigger    policy.Trigger
	Labels     uint8 // of the listed name; 0 for an address
}

// referenceOther marks the octet for the labels of a name as that for a trigger other than the query name.
const referenceOther = 0x80

const (
	referencePrefix = "ref:"
	referenceOctets = 8 + 4 + 2 + 2 + 1 + 1
	referenceLen    = len(referencePrefix) + (referenceOctets*8+4)/5
)

// referenceText is how the octets of a reference are written. It is never changed.
var referenceText = base32.StdEncoding.WithPadding(base32.NoPadding)

// ErrReference is the fault of a text that is no reference, or was copied wrongly.
var ErrReference = errors.New("not a reference of this server")

// EncodeReference returns r as the text of an extended error.
func EncodeReference(r Reference) string { return string(appendReference(nil, r)) }

// DecodeReference reads what EncodeReference wrote; white space around it, letter case and a missing prefix do not matter.
func DecodeReference(text string) (Reference, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	text = strings.TrimPrefix(text, strings.ToUpper(referencePrefix))
	b, err := referenceText.DecodeString(text)
	if err != nil || len(b) != referenceOctets || b[17] != referenceCheck(b[:17]) {
		return Reference{}, ErrReference
	}
	r := Reference{
		Generation: binary.BigEndian.Uint64(b), Set: binary.BigEndian.Uint32(b[8:]),
		Zone: binary.BigEndian.Uint16(b[12:]), Member: binary.BigEndian.Uint16(b[14:]), Labels: b[16], Trigger: policy.TriggerQNAME,
	}
	if b[16]&referenceOther != 0 {
		r.Labels, r.Trigger = 0, policy.Trigger(b[16]&^referenceOther)
	}
	return r, nil
}

func appendReference(dst []byte, r Reference) []byte {
	var b [referenceOctets]byte
	binary.BigEndian.PutUint64(b[:], r.Generation)
	binary.BigEndian.PutUint32(b[8:], r.Set)
	binary.BigEndian.PutUint16(b[12:], r.Zone)
	binary.BigEndian.PutUint16(b[14:], r.Member)
	if b[16] = r.Labels; r.Trigger != policy.TriggerQNAME {
		b[16] = referenceOther | uint8(r.Trigger)
	}
	b[17] = referenceCheck(b[:17])
	return referenceText.AppendEncode(append(dst, referencePrefix...), b[:])
}

// referenceCheck is an octet by which a mistyped reference is told from a real one: FNV-1a, folded.
func referenceCheck(b []byte) byte {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return byte(h ^ h>>8 ^ h>>16 ^ h>>24)
}

func referenceTo(generation uint64, h *policy.Hit) Reference {
	return Reference{Generation: generation, Set: h.Set, Zone: h.Zone, Member: h.Member, Labels: h.Labels, Trigger: h.Trigger}
}
