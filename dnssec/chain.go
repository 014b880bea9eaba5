package dnssec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Owner is a name that a zone's chain of NSEC or NSEC3 records says something about.
type Owner struct {
	Name  dnsname.Name // canonical
	Types []uint16     // of the sets there, without RRSIG, NSEC and NSEC3; at a cut NS and DS alone, at an empty non-terminal none
	// Unsigned says that no set there is signed by the zone: a cut without DS records.
	Unsigned bool
}

// Link is one record of a chain.
type Link struct {
	Owner dnsname.Name
	Data  []byte // RDATA
}

// ErrCollision is that two names of a zone have one hash; another salt would help.
var ErrCollision = errors.New("two names of the zone have the same NSEC3 hash")

// NSECChain makes the NSEC records of a zone (RFC 4034 section 4). owners are all names with records of the zone, in canonical order, the apex first;
// empty non-terminals and what lies below cuts are not among them.
func NSECChain(owners []Owner) []Link {
	out := make([]Link, 0, len(owners))
	for i := range owners {
		types := append(slices.Clone(owners[i].Types), wire.TypeRRSIG, wire.TypeNSEC)
		out = append(out, Link{owners[i].Name, NSEC(owners[(i+1)%len(owners)].Name, types)})
	}
	return out
}

// NSEC is the RDATA of an NSEC record.
func NSEC(next dnsname.Name, types []uint16) []byte { return AppendTypes([]byte(next), types) }

// NSEC3Chain makes the NSEC3 records of a zone (RFC 5155 section 7.1), in the order of their hashes, with the hash SHA-1. owners are all names of the zone, with
// the empty non-terminals, in any order. optOut leaves those out that are not signed, and the empty non-terminals that are there for them alone.
func NSEC3Chain(zone dnsname.Name, owners []Owner, iterations uint16, salt []byte, optOut bool) ([]Link, error) {
	if optOut {
		owners = signedOwners(owners)
	}
	type hashed struct {
		hash  hash
		owner *Owner
	}
	all := make([]hashed, len(owners))
	for i := range owners {
		all[i] = hashed{HashName([]byte(owners[i].Name), iterations, salt), &owners[i]}
	}
	slices.SortFunc(all, func(a, b hashed) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	out := make([]Link, 0, len(all))
	for i := range all {
		next := &all[(i+1)%len(all)].hash
		if len(all) > 1 && *next == all[i].hash {
			return nil, ErrCollision
		}
		types := slices.Clone(all[i].owner.Types)
		if len(types) > 0 && !all[i].owner.Unsigned {
			types = append(types, wire.TypeRRSIG)
		}
		name, err := zone.Child(base32hex.EncodeToString(all[i].hash[:]))
		if err != nil {
			return nil, err
		}
		data := append(NSEC3PARAM(iterations, salt), hashLen)
		if optOut {
			data[1] |= flagOptOut
		}
		out = append(out, Link{name, AppendTypes(append(data, next[:]...), types)})
	}
	return out, nil
}

// signedOwners are the names that a chain with opt-out has records for.
func signedOwners(owners []Owner) []Owner {
	empty := map[dnsname.Name]bool{} // whether an empty non-terminal is above a name that stays
	for i := range owners {
		if len(owners[i].Types) == 0 {
			empty[owners[i].Name] = false
		}
	}
	for i := range owners {
		if len(owners[i].Types) == 0 || owners[i].Unsigned {
			continue
		}
		for name := owners[i].Name; len(empty) > 0 && !name.IsRoot(); name = name.Parent() {
			if _, is := empty[name]; is {
				empty[name] = true
			}
		}
	}
	var out []Owner
	for i := range owners {
		if o := &owners[i]; !o.Unsigned && (len(o.Types) > 0 || empty[o.Name]) {
			out = append(out, *o)
		}
	}
	return out
}

// NSEC3PARAM is the RDATA of the record that tells a zone's parameters (RFC 5155 section 4).
func NSEC3PARAM(iterations uint16, salt []byte) []byte {
	out := []byte{hashSHA1, 0, 0, 0, byte(len(salt))}
	binary.BigEndian.PutUint16(out[2:], iterations)
	return append(out, salt...)
}

// AppendTypes appends the bitmap of a set of types (RFC 4034 section 4.1.2). It sorts types.
func AppendTypes(dst []byte, types []uint16) []byte {
	slices.Sort(types)
	for len(types) > 0 {
		var window [32]byte
		high, size := types[0]>>8, 0
		for len(types) > 0 && types[0]>>8 == high {
			low := types[0] & 255
			window[low/8] |= 0x80 >> (low & 7)
			size = int(low/8) + 1
			types = types[1:]
		}
		dst = append(append(dst, byte(high), byte(size)), window[:size]...)
	}
	return dst
}
