package config

import (
	"fmt"
	"net/netip"

	"cenote/dnsname"
)

// ZoneUpdate says who may change a zone by messages (RFC 2136).
type ZoneUpdate struct {
	// Grants say which keys may change what. Without any nobody may change the zone. Every message has to be signed (TSIG) by such a key: an address can be
	// forged. What is changed is kept in the state directory and not in the file: see docs/update.md for what a change of the file does then.
	Grants []UpdateGrant `yaml:"grants"`
	// Allow are the networks from which such messages are taken, beside being signed and whatever `access` says. Without any they are taken from where
	// `access` lets clients ask.
	Allow []netip.Prefix `yaml:"allow" example:"[192.0.2.67/32]"`
}

// UpdateGrant says what the holders of some keys may change.
type UpdateGrant struct {
	// Keys are the names of keys under `keys`.
	Keys []dnsname.Name `yaml:"keys" required:"true" example:"[transfer.corp.example]"`
	// Names are names that may be changed, none below them. Without `names`, `below` and `self` it is every name of the zone.
	Names []dnsname.Name `yaml:"names" example:"[vpn.corp.example]"`
	// Below are names that may be changed with all below them.
	Below []dnsname.Name `yaml:"below" example:"[dyn.corp.example]"`
	// Self lets each key change the name that is its own, so that a host needs no grant but a key of its name.
	Self bool `yaml:"self" default:"false"`
	// Types are the types of records that may be changed. Without any all may but SOA, NS, DNSKEY, CDS and CDNSKEY, which have to be named, and
	// the proofs and digests that are made of all the others, which nobody may change.
	Types []UpdateType `yaml:"types" example:"[A, AAAA, DHCID]"`
}

// UpdateType is a type of records that can be granted.
type UpdateType string

// String is the word in the file.
func (t UpdateType) String() string { return string(t) }

func (UpdateType) values() []string {
	return []string{
		"A", "AAAA", "AFSDB", "CAA", "CDNSKEY", "CDS", "CERT", "CNAME", "CSYNC", "DHCID", "DNAME", "DNSKEY", "DS", "EUI48", "EUI64", "HINFO", "HTTPS", "LOC", "MX",
		"NAPTR", "NS", "OPENPGPKEY", "PTR", "RP", "SMIMEA", "SOA", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "URI",
	}
}

// checkUpdate wants grants to name keys that there are, and names of the zone.
func (c *Config) checkUpdate(r *reader, key string, z *OwnZone) {
	u := &z.Update
	if len(u.Allow) > 0 && len(u.Grants) == 0 && !r.lost(key+".grants") {
		r.fault(r.at(key+".allow"), "an address alone lets nobody change the zone, since it can be forged", "name the keys under grants, such as grants: [{keys: [dhcp.corp.example]}]")
	}
	if len(u.Grants) > 0 && z.File == "" && !z.Name.IsZero() {
		r.fault(r.at(key+".grants"), "the zone has no file, and what it is made from would undo every change", "leave update out, or give the zone a file to begin with")
	}
	for i, g := range u.Grants {
		at := fmt.Sprintf("%s.grants[%d]", key, i)
		c.checkKeyNames(r, at+".keys", g.Keys)
		wantWithin(r, at+".names", g.Names, z.Name)
		wantWithin(r, at+".below", g.Below, z.Name)
	}
}

// wantWithin wants names to be in a zone.
func wantWithin(r *reader, at string, names []dnsname.Name, apex dnsname.Name) {
	for i, n := range names {
		if n, apex := n.Canonical(), apex.Canonical(); !n.IsZero() && !apex.IsZero() && n != apex && !n.IsBelow(apex) {
			r.fault(r.at(fmt.Sprintf("%s[%d]", at, i)), fmt.Sprintf("%s is not in the zone %s", n, apex), "write whole names")
		}
	}
}
