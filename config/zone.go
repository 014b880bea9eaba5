package config

import (
	"net/netip"
	"time"
)

// Policy says what happens to listed names.
type Policy struct {
	// AnswerEarly answers a listed name without first waiting for what the world says about it, as rules on addresses and name servers
	// in earlier zones would need. There are no such rules yet, so both settings answer alike.
	AnswerEarly bool `yaml:"answer_early" default:"true"`
	// ExtendedErrors tells clients why an answer is as it is (EDE, RFC 8914); each zone chooses its code.
	ExtendedErrors bool `yaml:"extended_errors" default:"true"`
	// Sinkhole are the addresses that zones answer with unless they have their own.
	Sinkhole Sinkhole `yaml:"sinkhole"`
	// Zones are looked at in this order; the first whose feeds list the name decides.
	Zones []Zone `yaml:"zones"`
}

// Sinkhole are the addresses given for a listed name.
type Sinkhole struct {
	// IPv4 are the addresses for questions of type A.
	IPv4 []netip.Addr `yaml:"ipv4" shown:"true" example:"[192.0.2.53]"`
	// IPv6 are the addresses for questions of type AAAA.
	IPv6 []netip.Addr `yaml:"ipv6" shown:"true" example:"['2001:db8::53']"`
}

// Zone is one ordered part of the policy: which feeds it holds and what a match in one of them does.
type Zone struct {
	// Name names the zone in logs, metrics, sightings and `cenote explain`.
	Name string `yaml:"name" required:"true" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"malware"`
	// Feeds are the names of the feeds whose rows this zone acts on.
	Feeds []string `yaml:"feeds" required:"true" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"[malware]"`
	// Action is what a match does unless the feed's row says its own (RPZ and adblock exceptions do): `sinkhole` answers A and
	// AAAA with the sinkhole's addresses and other types with no data, `nxdomain` and `nodata` deny, `passthru` answers truthfully and
	// looks at no later zone, `drop` gives no reply, `tcp-only` makes the client come over TCP and answers truthfully there.
	Action Action `yaml:"action" default:"sinkhole"`
	// Override replaces the action that a row gives. `given` keeps it; `disabled` records a match and lets the next zone decide.
	Override Override `yaml:"override" default:"given"`
	// LogOnly records matches and changes no answer: a shadow zone, for trying a feed on real traffic.
	LogOnly bool `yaml:"log_only" default:"false"`
	// Observe records matches of this zone even where the `passthru` of an earlier zone won.
	Observe bool `yaml:"observe" default:"false"`
	// Sinkhole are the addresses of this zone. A family that is left out is taken from `policy.sinkhole`.
	Sinkhole Sinkhole `yaml:"sinkhole"`
	// TTL is how long a client may keep an answer that the zone made. Short answers keep beacons visible.
	TTL time.Duration `yaml:"ttl" default:"10s" min:"0s" max:"1d"`
	// TTLMax caps how long a client may keep local data of an RPZ feed.
	TTLMax time.Duration `yaml:"ttl_max" default:"60s" min:"0s" max:"1w"`
	// EDE is the extended error (RFC 8914) that tells the client why: `blocked` (15) is the operator's own policy, `censored` (16)
	// one imposed from outside, `filtered` (17) one the client asked for, `prohibited` (18) and `forged-answer` (4) speak for
	// themselves, `none` sends none.
	EDE EDE `yaml:"ede" default:"blocked"`
	// EDEReference adds an opaque reference to the extended error, which `cenote explain` resolves. It names no list.
	EDEReference bool `yaml:"ede_reference" default:"false"`
}
