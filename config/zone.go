package config

import (
	"net/netip"
	"time"

	"cenote/dnsname"
)

// Policy says what happens to listed names.
type Policy struct {
	// AnswerEarly answers a listed name or client without first waiting for what the world says about it, as rules on addresses and name servers
	// in earlier zones would need to decide first. Without, such a query takes as long as any other, and its name's servers see it.
	AnswerEarly bool `yaml:"answer_early" default:"true"`
	// QNAMEWaitRecurse asks the world for a listed name before it is answered by rule, so that its name servers cannot tell that it is listed. What
	// earlier zones say about the answer then decides first.
	QNAMEWaitRecurse bool `yaml:"qname_wait_recurse" default:"false"`
	// MinNSDots is how many dots the name of a zone has at least for rules on name servers to look at its servers; 1 leaves out top-level
	// domains.
	MinNSDots int `yaml:"min_ns_dots" default:"1" min:"0" max:"15"`
	// NSDNAMEWaitRecurse has a query wait until the names of the name servers are known that rules look at. Without, only those count that the
	// cache holds; the others are asked for meanwhile.
	NSDNAMEWaitRecurse bool `yaml:"nsdname_wait_recurse" default:"true"`
	// NSIPWaitRecurse does the same for the addresses of the name servers.
	NSIPWaitRecurse bool `yaml:"nsip_wait_recurse" default:"true"`
	// ExtendedErrors tells clients why an answer is as it is (EDE, RFC 8914); each zone chooses its code.
	ExtendedErrors bool `yaml:"extended_errors" default:"true"`
	// Sinkhole are the addresses that zones answer with unless they have their own.
	Sinkhole Sinkhole `yaml:"sinkhole"`
	// Protect says which names and addresses no feed may stop, and what becomes of popular names.
	Protect Protect `yaml:"protect"`
	// NSRequired gives SERVFAIL where rules look at name servers and not all of them can be found out, because they do not answer or are too many.
	// Otherwise the rules look at those that are known, and who wants to get past them can try to hide others.
	NSRequired bool `yaml:"ns_required" default:"false"`
	// ServfailUntilReady gives SERVFAIL to whoever would be answered past a feed of which nothing has been loaded yet, at a first start say. What the rules of
	// other feeds stop is stopped all the same, and recorded: answers are looked for and judged, and only then withheld. Names of list servers must not be
	// looked up through this very server then, or nothing is ever loaded.
	ServfailUntilReady bool `yaml:"servfail_until_ready" default:"false"`
	// Strict follows the defaults of the RPZ draft and of BIND in all zones: only questions with recursion are acted on, signed answers go to those who ask
	// for signatures as they are, and every answer is waited for. Bots that set one bit get past it.
	Strict bool `yaml:"strict" default:"false"`
	// Zones are looked at in this order; the first whose feeds list the name decides.
	Zones []Zone `yaml:"zones"`
	// Views are groups of clients with zones of their own in the place of `zones`. The first that a question belongs to counts.
	Views []View `yaml:"views"`
}

// View is a group of clients with policy zones of its own. A question belongs to it if all that it says is so.
type View struct {
	// Name names the view in `cenote explain`.
	Name string `yaml:"name" required:"true" pattern:"^[a-z0-9][a-z0-9._-]{0,62}$" example:"guests"`
	// Clients are the networks whose clients are in it; without the key all are.
	Clients []netip.Prefix `yaml:"clients" shown:"true" example:"[10.1.0.0/16, '2001:db8:1::/48']"`
	// Transports are the ways on which the question came; without the key all.
	Transports []Transport `yaml:"transports" example:"[tcp]"`
	// Listeners are the addresses of this server that were asked, with or without a port; without the key all.
	Listeners []netip.AddrPort `yaml:"listeners" port:"0" example:"[192.0.2.53]"`
	// Keys are names of `keys`, by one of which the question was signed (TSIG); without the key all.
	Keys []dnsname.Name `yaml:"keys" example:"[branch.corp.example]"`
	// Schedule is when the view is there. At other times its clients are in the next one that they belong to.
	Schedule Schedule `yaml:"schedule"`
	// Shadow records the matches of all its zones and changes no answer.
	Shadow bool `yaml:"shadow" default:"false"`
	// Canary is the share of its clients for whom the zones do more than record, always the same ones: a way to try out zones on a few.
	Canary Percent `yaml:"canary" default:"100%" min:"0%" max:"100%" example:"5%"`
	// Zones are those of the view, in order. Without any nothing is acted on.
	Zones []Zone `yaml:"zones"`
}

// Schedule is a part of the week.
type Schedule struct {
	// Days are those on which it begins; without the key every day.
	Days []Day `yaml:"days" example:"[mon, tue, wed, thu, fri]"`
	// From is when it begins.
	From Clock `yaml:"from" default:"00:00" example:"08:00"`
	// To is when it ends: on the next day, if that is not after `from`.
	To Clock `yaml:"to" default:"24:00" example:"17:00"`
	// TimeZone is the clock by which it goes, a name of the IANA time zone database.
	TimeZone string `yaml:"time_zone" default:"UTC" example:"Europe/Berlin"`
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
	// looks at no later zone, `drop` gives no reply, `tcp-only` makes the client come over TCP and answers truthfully there, `cname` leads to `target`.
	Action Action `yaml:"action" default:"sinkhole"`
	// Override replaces the action that a row gives. `given` keeps it; `disabled` records a match and lets the next zone decide.
	// `local-data-or-passthru` and `local-data-or-disabled` keep it, but for local data that have nothing of the type that is asked for: the
	// first then answers truthfully, the second lets the next rule decide. Rows that are recorded only stay so, whatever it says.
	Override Override `yaml:"override" default:"given"`
	// Target is where `cname` leads to; `*.garden.example` puts the name that was asked for before `garden.example`.
	Target dnsname.Name `yaml:"target" example:"garden.example"`
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
	// RecursiveOnly acts only on questions with recursion (RD), as the RPZ draft has it. Bots that leave the bit out get past it.
	RecursiveOnly bool `yaml:"recursive_only" default:"false"`
	// QNAMEAsNS has rules on names count for name servers too: whatever a listed name serves is stopped, as by a rule of the kind rpz-nsdname. Those that are
	// written for name servers come first. Give it to zones of names that nobody else's zones are served by.
	QNAMEAsNS bool `yaml:"qname_as_ns" default:"false"`
	// IPAsNS has rules on addresses that are answered count for the addresses of name servers too, as rules of the kind rpz-nsip.
	IPAsNS bool `yaml:"ip_as_ns" default:"false"`
	// BreakDNSSEC acts on signed answers to clients that ask for signatures (DO), too. Otherwise those get what is signed.
	BreakDNSSEC bool `yaml:"break_dnssec" default:"true"`
	// EDEText is what else the extended error says, such as where to turn to. At most 120 octets.
	EDEText string `yaml:"ede_text" example:"\"see https://block.example\""`
	// AddSOA adds the SOA of the policy zone (RPZ) that decided, with its name and serial, to the answers; a zone whose name nobody says (`zone` of its feed) has none.
	AddSOA bool `yaml:"add_soa" default:"false"`
	// EDEReference adds an opaque reference to the extended error, which `cenote explain` resolves. It names no list.
	EDEReference bool `yaml:"ede_reference" default:"false"`
}
