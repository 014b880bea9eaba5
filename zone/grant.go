package zone

import (
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Updates says who may change a zone by UPDATE messages (RFC 2136). Each has to be signed by a key that a grant names.
type Updates struct {
	// Allow says whether an update may come from an address. Nil: from every one that the server admits.
	Allow func(netip.Addr) bool
	// Grants say what the keys may change; what one of them allows is allowed.
	Grants []Grant
}

// Grant says what the holders of some keys may change.
type Grant struct {
	// Keys are their names, canonical.
	Keys []dnsname.Name
	// Names are those that may be changed, Below those with all below them, canonical. Self is the name of the key that signed. Without any of the three it is
	// every name of the zone.
	Names, Below []dnsname.Name
	Self         bool
	// Types are those of sets that may be changed. None: all but those that IsStructure names.
	Types []uint16
}

// IsStructure reports whether a type is one of those that hold a zone together or prove what it says, which no grant covers that does not name them.
func IsStructure(t uint16) bool {
	const cds, cdnskey = 59, 60
	switch t {
	case wire.TypeSOA, wire.TypeNS, wire.TypeDNSKEY, cds, cdnskey:
		return true
	}
	return IsProof(t)
}

// IsProof reports whether a type is one that is made of all the others, by signing or as a digest, and that nobody is granted.
func IsProof(t uint16) bool {
	return t == wire.TypeRRSIG || t == wire.TypeNSEC || t == wire.TypeNSEC3 || t == typeNSEC3PAR || t == typeZONEMD
}

// has reports whether a key is in a grant.
func (u *Updates) has(key dnsname.Name) bool {
	return !key.IsZero() && slices.ContainsFunc(u.Grants, func(g Grant) bool { return slices.Contains(g.Keys, key) })
}

// grants reports whether a key may change a name's set of a type; ANY asks for the name alone.
func (u *Updates) grants(key, owner dnsname.Name, rtype uint16) bool {
	return slices.ContainsFunc(u.Grants, func(g Grant) bool { return slices.Contains(g.Keys, key) && g.covers(key, owner) && g.coversType(rtype) })
}

func (g *Grant) covers(key, owner dnsname.Name) bool {
	switch {
	case len(g.Names)+len(g.Below) == 0 && !g.Self, g.Self && owner == key, slices.Contains(g.Names, owner):
		return true
	}
	return slices.ContainsFunc(g.Below, func(top dnsname.Name) bool { return owner == top || owner.IsBelow(top) })
}

func (g *Grant) coversType(t uint16) bool {
	switch {
	case t == wire.TypeANY:
		return true
	case len(g.Types) > 0:
		return slices.Contains(g.Types, t) && !IsProof(t)
	}
	return !IsStructure(t)
}

// TakesUpdates reports whether the zone is one that is changed by UPDATE messages.
func (s *Served) TakesUpdates() bool { return s.Updates != nil }

// ListsUpdates reports whether an address is on the zone's own list of those whose updates are taken.
func (s *Served) ListsUpdates(client netip.Addr) bool {
	return s.Updates != nil && s.Updates.Allow != nil && s.Updates.Allow(client)
}

// WhyNoUpdate says why no update may come from an address, signed with a key, of which "" stands for none; "" where one may. What it may change is another question.
func (s *Served) WhyNoUpdate(client netip.Addr, key dnsname.Name) string {
	switch {
	case s.Updates == nil:
		return "the zone takes no updates"
	case key.IsZero():
		return "there is no signature"
	case !s.Updates.has(key):
		return "the key may change nothing in the zone"
	case s.Updates.Allow != nil && !s.Updates.Allow(client):
		return "none are taken from this address"
	}
	return ""
}
