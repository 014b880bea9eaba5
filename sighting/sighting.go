package sighting

import (
	"net/netip"
	"time"
)

// Sighting is what the ledger knows of one client and one indicator: the sum of all hours that were asked for. Its JSON form is
// stable.
type Sighting struct {
	Client netip.Addr `json:"client"`
	Indicator
	Action    string    `json:"action"`  // what the rule did when it was first seen: sinkhole, nxdomain, …
	Trigger   string    `json:"trigger"` // what the rule looks at: qname, client-ip, …
	Count     uint64    `json:"count"`
	Enforced  uint64    `json:"enforced"` // of Count: the rule decided the answer; the others were only observed
	Verified  uint64    `json:"verified"` // of Count: the client's address could not be forged
	Stale     uint64    `json:"stale"`    // of Count: answered from the cache after its time
	FirstSeen time.Time `json:"first_seen"`
	FirstPort uint16    `json:"first_port"`
	LastSeen  time.Time `json:"last_seen"`
	LastPort  uint16    `json:"last_port"`
	Samples   []Sample  `json:"samples,omitempty"` // the earliest, up to 8
	Hours     []Hour    `json:"hours,omitempty"`   // by hour, if they were asked for
}

// Sample is one match of a Sighting.
type Sample struct {
	Time      time.Time `json:"time"`
	Port      uint16    `json:"port"`
	QName     string    `json:"qname"` // the name that matched
	QType     uint16    `json:"qtype"`
	Transport string    `json:"transport"`       // udp, tcp, tls, https, quic
	Stage     uint8     `json:"stage"`           // 0: QName was asked for; n: it is the n-th CNAME or DNAME target; that of an SVCB or HTTPS record counts as one more
	Enforced  bool      `json:"enforced"`        // the rule decided the answer
	Verified  bool      `json:"verified"`        // the client's address could not be forged
	Stale     bool      `json:"stale,omitempty"` // answered from the cache after its time
}

// Hour is what one hour adds to a Sighting.
type Hour struct {
	Hour      time.Time `json:"hour"` // its beginning
	Count     uint64    `json:"count"`
	Enforced  uint64    `json:"enforced"`
	Verified  uint64    `json:"verified"`
	Stale     uint64    `json:"stale"`
	FirstSeen time.Time `json:"first_seen"`
	FirstPort uint16    `json:"first_port"`
	LastSeen  time.Time `json:"last_seen"`
	LastPort  uint16    `json:"last_port"`
	Samples   []Sample  `json:"samples,omitempty"`
}

// Enforcement says which matches are asked for.
type Enforcement uint8

// The values of Enforcement.
const (
	AnyEnforcement Enforcement = iota
	EnforcedOnly               // at least one match decided an answer
	ObservedOnly               // none did
)

// Filter says which sightings are asked for. The zero value asks for all.
type Filter struct {
	Client      netip.Prefix // the clients in it; the zero Prefix: all
	Zone        string       // policy zone, feed and family as they are called; empty: any
	Feed        string
	Family      string
	Indicator   string    // the listed name in presentation form, and all listed names below it; empty: any
	Since       time.Time // matches from this time on, to the hour
	Until       time.Time // and before this time, to the hour; zero: no end
	Enforcement Enforcement
	Hours       bool   // give the hours of each sighting
	Limit       int    // sightings a page; default 1000, at most 10,000
	Cursor      string // Page.Next of the page before; empty: the first page
}

// Page is a part of the answer to a Filter, ordered by client and then by indicator.
type Page struct {
	Sightings []Sighting `json:"sightings"`
	Next      string     `json:"next,omitempty"` // cursor of the next page; empty: this was the last
}
