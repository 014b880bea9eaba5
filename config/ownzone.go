package config

import (
	"fmt"
	"net/netip"

	"cenote/dnsname"
)

// OwnZone is a zone that is served with authority.
type OwnZone struct {
	// Name is the apex of the zone.
	Name dnsname.Name `yaml:"name" required:"true" example:"corp.example"`
	// File is the master file (RFC 1035) with the zone's records. It is read again within two seconds of a change, however it is made. Put a new file in
	// place by renaming it, so that nobody sees half of it: a file that changes while it is read is not taken, and one whose last line has no end is read only
	// when it has stayed so for ten seconds, but of one that pauses between two lines nobody can know. A file with faults, or with a serial that goes back,
	// changes nothing: the last good state is served.
	File Path `yaml:"file" required:"true" shown:"true" example:"/etc/cenote/zones/corp.example"`
	// Allow are the networks that may ask for names of the zone, in place of those of `access`. Those that `access` does not admit get answers from this
	// zone alone, without recursion; to serve it to the world, write `[0.0.0.0/0, '::/0']`.
	Allow []netip.Prefix `yaml:"allow" example:"[0.0.0.0/0, '::/0']"`
	// Sign has the server sign the zone (DNSSEC); `sign: {enabled: true}` is all that it takes.
	Sign ZoneSign `yaml:"sign"`
}

// ownZonesMax is how many zones there may be.
const ownZonesMax = 100_000

// checkOwnZones wants zones to have names and files of their own.
func (c *Config) checkOwnZones(r *reader) {
	if len(c.Zones) > ownZonesMax {
		r.fault(r.at("zones"), fmt.Sprintf("there are %d zones; %d is the most", len(c.Zones), ownZonesMax), "serve some of them elsewhere")
	}
	names, files := map[dnsname.Name]int{}, map[Path]int{}
	for i, z := range c.Zones {
		key := fmt.Sprintf("zones[%d]", i)
		z.Sign.check(r, key+".sign")
		name := z.Name.Canonical()
		if first, twice := names[name]; twice && !z.Name.IsZero() {
			r.fault(r.at(key+".name"), "two zones are named "+quoted(z.Name.String()), fmt.Sprintf("the other is on line %d", r.at(fmt.Sprintf("zones[%d].name", first)).Line))
		} else {
			names[name] = i
		}
		if first, twice := files[z.File]; twice && z.File != "" {
			r.warn(r.at(key+".file"), "two zones are read from "+quoted(string(z.File)), fmt.Sprintf("the other is on line %d; records with whole names fit but one", r.at(fmt.Sprintf("zones[%d].file", first)).Line))
		} else {
			files[z.File] = i
		}
	}
}
