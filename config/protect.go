package config

import "cenote/dnsname"

// Protect says what no feed may stop: a row that would do so is refused, by the name itself or by one above it with all below. Rows that let a name through
// are not touched, nor feeds that are only in zones that do.
type Protect struct {
	// Builtin protects the names that Cenote brings: servers of the root and of top-level domains, lists of revoked certificates and OCSP, updates of
	// systems, checks for captive portals, and sites that everybody uses, among them those where malware leaves word of its servers.
	Builtin bool `yaml:"builtin" default:"true"`
	// Names are names of yours that stay reachable; what lies below them can still be listed.
	Names []dnsname.Name `yaml:"names" example:"[www.own.example]"`
	// Domains are names of yours that stay reachable with all below.
	Domains []dnsname.Name `yaml:"domains" example:"[own.example]"`
	// Lists are files of further names: warninglists of MISP (JSON, of type string, hostname or cidr; substring and regex are not taken) or one name or
	// network a line. A dot before a name takes in all below. Rows of addresses in a network of a list are held for review, since much else is there. They
	// are watched: a change is followed as one of a feed. Lists of services under which anybody can have a name, such as dynamic DNS, let all of those through.
	Lists []Path `yaml:"lists" example:"[/etc/cenote/protect/crl-hostname.json]"`
	// Popular says what becomes of rows with popular names.
	Popular Popular `yaml:"popular"`
}

// Popular says what becomes of a row whose very name is popular, and of a pattern that matches popular names, of the first million of them. A name can be popular because so many are infected, so none is let through for it: the row
// waits in `cenote held` for somebody who looks at it.
type Popular struct {
	// Lists are files of popular names: one a line, with a rank before or behind it after a comma, or without.
	Lists []Path `yaml:"lists" example:"[/etc/cenote/top-1m.csv]"`
	// Hold is the last rank that counts. Names without a rank count all.
	Hold int `yaml:"hold" default:"100000" min:"1" max:"100000000" example:"10000"`
	// Action is what becomes of such a row: `hold` keeps it back until an operator decides, `log-only` records it without changing an answer, `serve` acts on
	// it. All three list it in `cenote held`.
	Action PopularAction `yaml:"action" default:"hold" example:"log-only"`
}
