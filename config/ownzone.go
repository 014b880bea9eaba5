package config

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"cenote/dnsname"
)

// OwnZone is a zone that is served with authority, from a file or from other servers.
type OwnZone struct {
	// Name is the apex of the zone.
	Name dnsname.Name `yaml:"name" required:"true" example:"corp.example"`
	// File is the master file (RFC 1035) with the zone's records. It is read again within two seconds of a change, however it is made. Put a new file in
	// place by renaming it, so that nobody sees half of it: a file that changes while it is read is not taken, and one whose last line has no end is read only
	// when it has stayed so for ten seconds, but of one that pauses between two lines nobody can know. A file with faults, or with a serial that goes back,
	// changes nothing: the last good state is served.
	File Path `yaml:"file" shown:"true" example:"/etc/cenote/zones/corp.example"`
	// Primaries are the servers that the zone is taken from, in place of `file`: the first that has an answer counts. They are asked as often as the SOA record
	// says, for what has changed (IXFR) or for all of it (AXFR). The zone is kept in the state directory and served at a start without them; once none
	// has confirmed it for as long as its SOA record lets it be (expire), its names get SERVFAIL.
	Primaries []Primary `yaml:"primaries"`
	// Transfer bounds one transfer of the zone. What goes over a bound changes nothing.
	Transfer TransferBounds `yaml:"transfer"`
	// Allow are the networks that may ask for names of the zone, in place of those of `access`. Those that `access` does not admit get answers from this
	// zone alone, without recursion; to serve it to the world, write `[0.0.0.0/0, '::/0']`.
	Allow []netip.Prefix `yaml:"allow" example:"[0.0.0.0/0, '::/0']"`
	// Sign has the server sign the zone (DNSSEC); `sign: {enabled: true}` is all that it takes.
	Sign ZoneSign `yaml:"sign"`
}

// Primary is a server that a zone is taken from.
type Primary struct {
	// Address is the IP address and port of the server. Without a port it is 53.
	Address netip.AddrPort `yaml:"address" port:"53" required:"true" short:"true" example:"192.0.2.54:53"`
	// Key is the name of the key under `keys` that signs what is asked. What comes is then taken only if it is signed by it as well.
	Key dnsname.Name `yaml:"key" example:"transfer.corp.example"`
	// TLS is the name in the certificate of the server, which is then asked by TLS 1.3 alone (RFC 9103, mostly at port 853), and not at all if its
	// certificate is not for that name.
	TLS string `yaml:"tls" pattern:"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?[.]?)+$" example:"primary.corp.example"`
	// CAFile holds the certificates, as PEM, that may vouch for the server in place of those that the host trusts.
	CAFile Path `yaml:"ca_file" example:"/etc/cenote/primaries-ca.pem"`
}

// TransferBounds bound one transfer.
type TransferBounds struct {
	// Size is how many octets its messages may have.
	Size Size `yaml:"size" default:"1GiB" min:"1KiB" max:"16GiB"`
	// Records is how many records it may have.
	Records int `yaml:"records" default:"10000000" min:"1" max:"50000000"`
	// Time is how long it may take.
	Time time.Duration `yaml:"time" default:"10m" min:"1s" max:"1d"`
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
		c.checkSource(r, key, &z)
		if first, twice := files[z.File]; twice && z.File != "" {
			r.warn(r.at(key+".file"), "two zones are read from "+quoted(string(z.File)), fmt.Sprintf("the other is on line %d; records with whole names fit but one", r.at(fmt.Sprintf("zones[%d].file", first)).Line))
		} else {
			files[z.File] = i
		}
	}
}

// checkSource wants a zone to have one source, and its primaries to be asked with keys that there are.
func (c *Config) checkSource(r *reader, key string, z *OwnZone) {
	switch {
	case z.File == "" && len(z.Primaries) == 0 && !r.lost(key+".file"):
		r.fault(r.at(key), "the zone has neither a file nor primaries", "name its master file, or the servers to take it from: primaries: [192.0.2.54]")
	case z.File != "" && len(z.Primaries) > 0:
		r.fault(r.at(key+".primaries"), "the zone has a file and primaries", "keep one of them")
	}
	if len(z.Primaries) > 0 && z.Sign.Enabled {
		r.fault(r.at(key+".sign"), "the zone is taken from primaries, which sign it themselves", "leave out sign, or sign the zone where its file is")
	}
	for i, p := range z.Primaries {
		at := fmt.Sprintf("%s.primaries[%d]", key, i)
		known := slices.ContainsFunc(c.Keys, func(k SharedKey) bool { return k.Name.Canonical() == p.Key.Canonical() })
		if !p.Key.IsZero() && !known {
			r.fault(r.at(at+".key"), "there is no key "+quoted(p.Key.String()), "describe it under keys")
		}
		if p.TLS == "" && p.CAFile != "" {
			r.fault(r.at(at+".ca_file"), "the server is not asked by TLS", "name it under tls, or leave out ca_file")
		}
	}
}
