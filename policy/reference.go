package policy

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

// Reference is what the text of an extended error stands for, if a policy zone asks for one, and what the query log says of a match: the rule, by its place in
// one generation of the policy. It tells the operator everything and the client nothing.
type Reference struct {
	Generation uint64 // below 1 << 48
	Set        uint32
	Listed     uint32 // a hash of what the rule lists, since many names share a set; 0: not known
	Zone       uint16
	Member     uint16
	Trigger    Trigger
	Labels     uint8 // of the listed name; 0 for an address
}

// referenceOther marks the octet for the labels of a name as that for a trigger other than the query name.
const referenceOther = 0x80

const (
	referencePrefix = "ref:"
	referenceOctets = 6 + 4 + 4 + 2 + 2 + 1 + 1
	// ReferenceLen is how many octets the text of a Reference has. Replies of 512 octets have room for few more.
	ReferenceLen = len(referencePrefix) + (referenceOctets*8+4)/5
)

// referenceText is how the octets of a reference are written. It is never changed.
var referenceText = base32.StdEncoding.WithPadding(base32.NoPadding)

// ErrReference is the fault of a text that is no reference, or was copied wrongly.
var ErrReference = errors.New("not a reference of this server")

// Reference returns what refers to the rule of a hit. name is the name that the hit is about, as for AppendKey. It allocates for patterns alone.
func (p *Policy) Reference(h *Hit, name []byte) Reference {
	r := Reference{Generation: p.generation, Set: h.Set, Zone: h.Zone, Member: h.Member, Labels: h.Labels, Trigger: h.Trigger}
	switch {
	case h.Trigger.ByAddress():
		r.Listed = listedPrefix(p.Prefix(h))
	case h.row() == TriggerNSDNAME:
		listed := lastLabels(name, int(h.Labels)-1)
		r.Listed = notNone(hashOf(hashOf(hashStart, listed[:len(listed)-1]), []byte(realmNSDNAME)))
	case h.Trigger == TriggerPattern:
		r.Listed = notNone(hashOf(hashStart, p.AppendKey(nil, h, name)))
	default:
		r.Listed = notNone(hashOf(hashStart, lastLabels(name, int(h.Labels))))
	}
	return r
}

// RefersTo reports whether a reference can stand for a rule that lists key, which is of its set.
func (r *Reference) RefersTo(key []byte) bool {
	row := TriggerOf(key)
	implied := row == TriggerQNAME && r.Trigger == TriggerNSDNAME || row == TriggerIP && r.Trigger == TriggerNSIP
	if row != r.Trigger && !implied || r.Trigger == TriggerQNAME && int(countLabels(key)) != int(r.Labels) {
		return false
	}
	if r.Listed == 0 {
		return true
	}
	if prefix, ok := KeyPrefix(key); ok {
		return r.Listed == listedPrefix(prefix)
	}
	return r.Listed == notNone(hashOf(hashStart, key))
}

// lastLabels returns the last labels labels of a name in wire form.
func lastLabels(name []byte, labels int) []byte {
	for n := int(countLabels(name)); n > labels && len(name) > 1; n-- {
		name = name[1+int(name[0]):]
	}
	return name
}

func listedPrefix(p netip.Prefix) uint32 {
	if !p.IsValid() {
		return 0
	}
	octets := p.Addr().As16()
	return notNone(hashOf(hashOf(hashStart, octets[:]), []byte{byte(p.Bits()), byte(p.Addr().BitLen())}))
}

// hashStart begins a hash (FNV-1a).
const hashStart = 2166136261

// hashOf goes on with a hash.
func hashOf(h uint32, b []byte) uint32 {
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// notNone keeps a hash from being none.
func notNone(h uint32) uint32 { return max(h, 1) }

// String returns r as the text of an extended error.
func (r Reference) String() string { return string(AppendReference(nil, &r)) }

// DecodeReference reads what String wrote; white space around it, letter case and a missing prefix do not matter.
func DecodeReference(text string) (Reference, error) {
	text = strings.ToUpper(strings.TrimSpace(text))
	text = strings.TrimPrefix(text, strings.ToUpper(referencePrefix))
	b, err := referenceText.DecodeString(text)
	if err != nil || len(referencePrefix)+len(text) != ReferenceLen || len(b) != referenceOctets || b[referenceOctets-1] != referenceCheck(b[:referenceOctets-1]) {
		return Reference{}, ErrReference
	}
	r := Reference{
		Generation: binary.BigEndian.Uint64(append([]byte{0, 0}, b...)), Set: binary.BigEndian.Uint32(b[6:]), Listed: binary.BigEndian.Uint32(b[10:]),
		Zone: binary.BigEndian.Uint16(b[14:]), Member: binary.BigEndian.Uint16(b[16:]), Labels: b[18], Trigger: TriggerQNAME,
	}
	if r.Labels&referenceOther != 0 {
		r.Labels, r.Trigger = 0, Trigger(r.Labels&^referenceOther)
	}
	return r, nil
}

// AppendReference appends the text of r to dst.
func AppendReference(dst []byte, r *Reference) []byte {
	var b [referenceOctets]byte
	binary.BigEndian.PutUint16(b[:], uint16(r.Generation>>32))
	binary.BigEndian.PutUint32(b[2:], uint32(r.Generation))
	binary.BigEndian.PutUint32(b[6:], r.Set)
	binary.BigEndian.PutUint32(b[10:], r.Listed)
	binary.BigEndian.PutUint16(b[14:], r.Zone)
	binary.BigEndian.PutUint16(b[16:], r.Member)
	if b[18] = r.Labels; r.Trigger != TriggerQNAME {
		b[18] = referenceOther | uint8(r.Trigger)
	}
	b[referenceOctets-1] = referenceCheck(b[:referenceOctets-1])
	return referenceText.AppendEncode(append(dst, referencePrefix...), b[:])
}

// referenceCheck is an octet by which a mistyped reference is told from a real one: a hash, folded.
func referenceCheck(b []byte) byte {
	h := hashOf(hashStart, b)
	return byte(h ^ h>>8 ^ h>>16 ^ h>>24)
}
