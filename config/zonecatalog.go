package config

import (
	"fmt"
	"net/netip"
	"slices"

	"cenote/dnsname"
)

// ZoneCatalog says which zones a catalog lists.
type ZoneCatalog struct {
	// Groups are the groups whose zones it lists: those with one of them as their `group`.
	Groups []string `yaml:"groups" required:"true" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"[edge]"`
}

// ZoneMembers says how the zones of a catalog are served.
type ZoneMembers struct {
	// Enabled has the zones served that the catalog lists. They are taken from the catalog's primaries, with its keys and by TLS where it is, and kept like others;
	// they end when it lists them no more. A catalog that is broken changes nothing.
	Enabled bool `yaml:"enabled" default:"false"`
	// Most is how many zones the catalog may list. One with more is broken.
	Most int `yaml:"most" default:"10000" min:"1" max:"100000"`
	// ShrinkMax is the largest share of its zones that the catalog may lose in one change, of those that are served here as its own; up to five may go in any case, if it
	// lists one that may be, and those that another catalog lists do not count. One that loses more, or is suddenly empty, changes nothing until `cenote transfer --force` for that catalog, or `cenote reload --force`;
	// 100% accepts everything but an empty one.
	ShrinkMax Percent `yaml:"shrink_max" default:"50%" min:"0%" max:"100%" example:"20%"`
	// Below are names that the zones may have, or be below. Without any they may have every name: then whoever writes the catalog decides what this server says
	// of any name in the world.
	Below []dnsname.Name `yaml:"below" root:"true" example:"[corp.example, 2.0.192.in-addr.arpa]"`
	MemberSettings
	// Groups say how those zones are served that the catalog has in a group, in place of all the keys above. The first that fits counts.
	Groups []MemberGroup `yaml:"groups"`
}

// MemberGroup says how the zones of a group are served.
type MemberGroup struct {
	// Group is the group, as whoever writes the catalog calls it.
	Group string `yaml:"group" required:"true" example:"edge"`
	MemberSettings
}

// MemberSettings say how a zone of a catalog is served.
type MemberSettings struct {
	// Allow are the networks that may ask for names of the zones, in place of those of `access`.
	Allow []netip.Prefix `yaml:"allow" example:"[0.0.0.0/0, '::/0']"`
	// AllowTransfer are the networks whose servers may take the zones. The default is nobody.
	AllowTransfer []netip.Prefix `yaml:"allow_transfer" example:"[192.0.2.53/32, '2001:db8::53/128']"`
	// TransferKeys are the names of keys by one of which such a request has to be signed (TSIG). Without any it need not be signed.
	TransferKeys []dnsname.Name `yaml:"transfer_keys" example:"[transfer.corp.example]"`
	// RequireTLS has the zones sent over TLS alone (RFC 9103).
	RequireTLS bool `yaml:"require_tls" default:"false"`
	// Notify are the secondaries that are told when a zone has changed.
	Notify []Notified `yaml:"notify"`
	// ZONEMD says what is wanted of the digests of the zones (RFC 8976), as `zonemd` of a zone does.
	ZONEMD Verify `yaml:"zonemd" default:"check"`
}

// catalogApexMax is how long the name of a catalog that is made here may be, in octets on the wire: labels of up to 45 octets stand before it.
const catalogApexMax = 200

// IsCatalog reports whether the zone is a catalog that is made here.
func (z *OwnZone) IsCatalog() bool { return len(z.Catalog.Groups) > 0 }

// Lists reports whether a catalog that is made here lists a zone.
func (z *OwnZone) Lists(o *OwnZone) bool {
	return o.Group != "" && !o.Name.IsZero() && o.Name.Canonical() != z.Name.Canonical() && slices.Contains(z.Catalog.Groups, o.Group)
}

// checkCatalogs wants zones to be in catalogs, and to be some, so that somebody has something of it.
func (c *Config) checkCatalogs(r *reader) {
	listed, used := map[string]bool{}, map[string]bool{}
	for i := range c.Zones {
		used[c.Zones[i].Group] = true
		for _, g := range c.Zones[i].Catalog.Groups {
			listed[g] = true
		}
	}
	for i := range c.Zones {
		key, z := fmt.Sprintf("zones[%d]", i), &c.Zones[i]
		switch {
		case z.Group != "" && !listed[z.Group] && !r.lostWithin("zones"):
			r.warn(r.at(key+".group"), "no catalog lists the group "+quoted(z.Group), "name it under the catalog.groups of a zone")
		case z.Group != "" && listed[z.Group] && len(z.AllowTransfer) == 0:
			r.warn(r.at(key+".group"), "a catalog lists the zone, and nobody may take it", "name the networks of the secondaries under allow_transfer")
		case z.Group == "" && !z.COO.IsZero() && !r.lost(key+".group"):
			r.fault(r.at(key+".coo"), "no catalog lists the zone, so none can hand it over", "give it a group")
		}
		if z.IsCatalog() {
			c.checkListing(r, key, z, used)
		}
		c.checkMembers(r, key, z)
	}
}

// checkListing wants a catalog that is made here to be one that can be.
func (c *Config) checkListing(r *reader, key string, z *OwnZone, used map[string]bool) {
	if len(z.Name) > catalogApexMax {
		r.fault(r.at(key+".catalog"), fmt.Sprintf("the name of the zone has %d octets; %d is the most for a catalog", len(z.Name), catalogApexMax), "choose a short one, such as catalog.corp.example")
	}
	if z.Sign.Enabled {
		r.fault(r.at(key+".sign"), "the zone is a catalog, which nobody validates", "leave out sign; keys for transfers say whom it is from")
	}
	if slices.Contains(z.Catalog.Groups, z.Group) && z.Group != "" {
		r.fault(r.at(key+".group"), "the catalog would list itself", "leave out group, or give it another one")
	}
	for i, g := range z.Catalog.Groups {
		if !used[g] && !r.lostWithin("zones") {
			r.warn(r.at(fmt.Sprintf("%s.catalog.groups[%d]", key, i)), "no zone has the group "+quoted(g), "give it to zones with group: "+g)
		}
	}
}

// checkMembers wants a catalog that is followed to be taken from somewhere, and its zones to be served by keys that there are.
func (c *Config) checkMembers(r *reader, key string, z *OwnZone) {
	m := &z.Members
	if m.Enabled && len(z.Primaries) == 0 && !r.lostWithin(key+".primaries") {
		r.fault(r.at(key+".members"), "the zones of a catalog are taken from its primaries, and it has none", "name its primaries, or leave out members")
	}
	c.checkMemberSettings(r, key+".members", &m.MemberSettings)
	for i := range m.Groups {
		at := fmt.Sprintf("%s.members.groups[%d]", key, i)
		c.checkMemberSettings(r, at, &m.Groups[i].MemberSettings)
		if slices.ContainsFunc(m.Groups[:i], func(g MemberGroup) bool { return g.Group == m.Groups[i].Group }) {
			r.fault(r.at(at+".group"), "two entries are about the group "+quoted(m.Groups[i].Group), "keep one of them")
		}
	}
	_, said := r.places[key+".members.enabled"]
	if written := len(m.Allow)+len(m.AllowTransfer)+len(m.TransferKeys)+len(m.Notify)+len(m.Groups)+len(m.Below) > 0; written && !said && !r.lost(key+".members") {
		r.warn(r.at(key+".members"), "the zones of the catalog are not served", "write enabled: true beside")
	}
}

func (c *Config) checkMemberSettings(r *reader, key string, s *MemberSettings) {
	c.checkKeyNames(r, key+".transfer_keys", s.TransferKeys)
	for i, n := range s.Notify {
		c.checkKeyName(r, fmt.Sprintf("%s.notify[%d].key", key, i), n.Key)
	}
	if s.RequireTLS && !slices.ContainsFunc(c.Listen, Listen.Encrypted) && !r.lost("listen") {
		r.fault(r.at(key+".require_tls"), "no address serves TLS, so nobody could take the zones", "give an address under listen a certificate: tls: {cert: …, key: …}")
	}
}
