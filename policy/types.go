package policy

import (
	"net/netip"
	"time"

	"cenote/dnsname"
)

// Trigger is what a rule looks at (RPZ draft section 4). The order of the constants is the order of precedence between
// triggers of one zone at one stage (section 5.3).
type Trigger uint8

// The triggers. TriggerNone marks a Decision without a match.
const (
	TriggerNone Trigger = iota
	TriggerClientIP
	TriggerQNAME
	TriggerPattern // of the query name; lists know it, RPZ does not
	TriggerIP
	TriggerNSDNAME
	TriggerNSIP
)

// Action is what happens to a query that a rule matched.
type Action uint8

// The actions. ActionDefault is only found in a Member, where it stands for the action of the policy zone, and in a Zone's
// Override, where it stands for the action that the feed gives.
const (
	ActionDefault   Action = iota
	ActionSinkhole         // A and AAAA with the zone's sinkhole addresses, NODATA for other types
	ActionNXDOMAIN         // the name does not exist
	ActionNODATA           // the name exists, the type does not
	ActionPassthru         // answer truthfully, and look at no later zone
	ActionDrop             // no reply
	ActionTCPOnly          // TC=1 over UDP, the truth over TCP
	ActionLocalData        // the rule's own records
	ActionDisabled         // recorded only; the next best match decides
)

// Kind is how far below the listed name a Member reaches.
type Kind uint8

// The kinds. ENT is no match: it marks a name that exists in an RPZ source only because others lie below it, and so stops a
// wildcard further up in the same feed (RFC 4592 section 2.2.2).
const (
	KindExact   Kind = iota // the listed name alone
	KindBelow               // every name under it, not itself: a wildcard
	KindSubtree             // itself and every name under it
	KindENT
)

// Member is one feed's word about a listed name. The names of one set of members share one set id in the index.
type Member struct {
	Feed       uint16 // index into Manifest.Feeds
	Family     uint32 // index into Manifest.Families
	Threat     uint16 // index into Manifest.Threats
	Kind       Kind
	Action     Action // ActionDefault unless the feed gives one (RPZ, adblock)
	Confidence uint8  // 0 to 100; ConfidenceUnknown where the feed does not say
	Exception  bool   // takes the name out of its own feed; never out of another
	Data       uint32 // 1 + index into Manifest.Data for ActionLocalData; 0 for none
	Expiry     uint32 // hours since the epoch, rounded up; 0 for never
}

// ConfidenceUnknown is the Confidence of a Member whose feed has none.
const ConfidenceUnknown = 255

// Manifest is the part of a compiled policy that its sets refer to. It is stored in the file as JSON.
type Manifest struct {
	Generation uint64      `json:"generation"`
	Built      time.Time   `json:"built"`
	Feeds      []Feed      `json:"feeds"`
	Families   []string    `json:"families"` // [0] is ""
	Threats    []string    `json:"threats"`  // [0] is ""
	Data       []LocalData `json:"data,omitempty"`
	Grown      int         `json:"grown,omitempty"` // texts, local data and sets that changes have brought since all feeds were compiled together
}

// Feed is what the policy must know of a feed.
type Feed struct {
	Name             string        `json:"name"`
	ClosestEncloser  bool          `json:"closest_encloser,omitempty"` // an RPZ source: the draft's wildcard rule holds
	Entries          int           `json:"entries"`
	Triggers         TriggerCounts `json:"triggers,omitzero"` // how many of the entries have other triggers than the query name
	SOA              *SOA          `json:"soa,omitempty"`     // of an RPZ source
	SourceGeneration uint64        `json:"source_generation"` // which stored copy of the feed was compiled; see blocklist
}

// SOA is the record with which a policy zone begins. Name and Data are in wire form, uncompressed.
type SOA struct {
	Name []byte `json:"name"` // no octets where the zone does not say its name
	TTL  uint32 `json:"ttl"`  // seconds
	Data []byte `json:"data"`
}

// TriggerCounts counts entries by trigger, without those of query names.
type TriggerCounts struct {
	ClientIP int `json:"client_ip,omitempty"`
	IP       int `json:"ip,omitempty"`
	NSDNAME  int `json:"nsdname,omitempty"`
	NSIP     int `json:"nsip,omitempty"`
	Pattern  int `json:"pattern,omitempty"`
}

// Add counts an entry of the trigger.
func (c *TriggerCounts) Add(t Trigger) {
	switch t {
	case TriggerClientIP:
		c.ClientIP++
	case TriggerIP:
		c.IP++
	case TriggerNSDNAME:
		c.NSDNAME++
	case TriggerNSIP:
		c.NSIP++
	case TriggerPattern:
		c.Pattern++
	case TriggerNone, TriggerQNAME:
	}
}

// answers counts those that look at what is answered.
func (c *TriggerCounts) answers() int { return c.IP + c.NSDNAME + c.NSIP }

// LocalData are the records of one owner name in an RPZ source (RPZ draft section 3.6).
type LocalData struct {
	RRsets []RRset `json:"rrsets"`
}

// RRset is one type of a LocalData. RData is in wire form, uncompressed. A CNAME whose target is a wildcard is kept as it is: the reply
// puts the query name in the wildcard's place.
type RRset struct {
	Type  uint16   `json:"type"`
	TTL   uint32   `json:"ttl"` // seconds
	RData [][]byte `json:"rdata"`
}

// Zone is an ordered part of the policy: which feeds it holds and what a match in one of them does.
type Zone struct {
	Name     string
	Feeds    []string
	Action   Action       // for members without one of their own; ActionDefault is ActionSinkhole, ActionLocalData is a CNAME to Target
	Override Action       // ActionDefault: GIVEN. Replaces the action of every member but one that is ActionDisabled, given or not (RPZ: action override); as Action else
	Target   dnsname.Name // where a CNAME of the zone leads to; "*.name" puts the query name before it
	// LocalDataOr is what happens where local data have nothing of the type that is asked for: ActionDefault is NODATA, ActionPassthru and
	// ActionDisabled are LOCAL-DATA-OR-PASSTHRU and LOCAL-DATA-OR-DISABLED, of which the latter leaves no record.
	LocalDataOr Action
	LogOnly     bool         // record, do not answer: a shadow zone
	Observe     bool         // record matches here even if an earlier zone's PASSTHRU won
	IPv4        []netip.Addr // sinkhole addresses for A
	IPv6        []netip.Addr // and for AAAA
	TTL         uint32       // seconds, of records that we make
	TTLMax      uint32       // seconds, cap of local data
	EDE         uint16       // RFC 8914 info code; EDENone for none
	EDEText     bool         // put the opaque reference into the EDE text
	Message     string       // what else the EDE text says; at most MessageMax octets
	AddSOA      bool         // put the SOA of the policy zone into ADDITIONAL, where the feed has one (RPZ draft section 6)

	QNAMEAsNS bool // rules about names count for name servers too, as if each were listed a second time with the trigger NSDNAME
	IPAsNS    bool // rules about addresses that are answered count for those of name servers too, as NSIP

	RecursiveOnly bool // only for clients that ask for recursion (RPZ draft section 6: the default there)
	KeepSigned    bool // not for signed answers to clients that ask for signatures (the default there)

	View string // the name of the View that it belongs to; New sets it

	data    *LocalData // a CNAME to Target
	selects *Selection // of an excerpt: which rules count; nil: all
}

// MessageMax is how many octets the Message of a Zone may have.
const MessageMax = 120

// View is a group of clients with policy zones of its own. Those that are in no view have the zones of Config.
type View struct {
	Name       string
	Clients    []netip.Prefix   // who is in it; none: everybody
	Transports []Transport      // how the query came; none: anyhow
	Listeners  []netip.AddrPort // which of our addresses was asked, port 0 for any; none: whichever
	Keys       []dnsname.Name   // canonical names of keys, by one of which the question was signed; none: signed or not
	Schedule   Schedule         // when; the zero value is always
	Zones      []Zone           // in order of precedence
	Shadow     bool             // all zones only record
	Canary     float64          // the share of clients for whom the zones do more than record, above 0 and below 1; 0: all
}

// Schedule is a part of the week.
type Schedule struct {
	Days     [7]bool        // by time.Weekday, that on which it begins; none: all
	From, To int            // minutes of the day; where To is not after From it ends on the next day, and where both are 0 it is all day
	Location *time.Location // whose clock it is; nil: UTC
}

// EDENone turns the extended error off for a Zone.
const EDENone = 0xffff

// Request is what a policy may look at. It is filled by the transport; the policy keeps nothing of it.
type Request struct {
	Time      time.Time
	Peer      netip.AddrPort // who sent the packet
	Client    netip.AddrPort // who asked: the peer, or what a listed forwarder says of its client
	Local     netip.AddrPort // the address asked
	Transport Transport
	Verified  bool         // the source address cannot be forged: TCP, TLS, a valid cookie
	Key       dnsname.Name // canonical, of the key by which the question was signed; zero if it was not
	RD, DO    bool
	Type      uint16
	Class     uint16
	Name      []byte // the query name, canonical, in wire form
}

// Transport is how a query came.
type Transport uint8

// The transports.
const (
	TransportUDP Transport = iota
	TransportTCP
	TransportTLS
	TransportHTTPS
	TransportQUIC
)

// HitsMax is how many observed matches a Decision keeps beside the winner.
const HitsMax = 8

// Hit is one match: which member of which set, in which zone.
type Hit struct {
	Set     uint32  // in the index of the Decision's policy
	Entry   uint32  // of a rule by address: its number in the policy; by name server: that of the server; see Policy.AppendKey
	Zone    uint16  // index into Policy.Zones
	Member  uint16  // index into the members of Set
	Link    uint16  // of a name that an SVCB or HTTPS record leads to: the number of that record in the answer, from 1; see SVCTarget
	Labels  uint8   // of the listed name: the last Labels labels of the name that matched; 0 for an address
	Stage   uint8   // 0 for the query name, n for the n-th CNAME or DNAME target; that of an SVCB or HTTPS record counts as one more
	Trigger Trigger // TriggerNone: no match
	Action  Action  // resolved: never ActionDefault
	Implied bool    // of TriggerNSDNAME and TriggerNSIP: the rule is about names or addresses, and counts for name servers too
}

// row is the trigger by which the rule is listed.
func (h *Hit) row() Trigger {
	switch {
	case h.Implied && h.Trigger == TriggerNSDNAME:
		return TriggerQNAME
	case h.Implied && h.Trigger == TriggerNSIP:
		return TriggerIP
	}
	return h.Trigger
}

// Answer is what CheckAnswer looks at.
type Answer struct {
	// Msg is the answer as rrcache.Cache.Get gives it.
	Msg []byte
	// Addrs are further addresses that the last name of the chain is taken to have. Serving needs none.
	Addrs []netip.Addr
	// NAT64 is the prefix, beside 64:ff9b::/96, behind which IPv4 addresses were put for clients that have IPv6 alone (RFC 6147): what is behind it
	// counts as the IPv4 address that it leads to. The zero value is none.
	NAT64 netip.Prefix
	// Paths are the data paths of the names that the answer leads to, that of the query name first; nil where none is known.
	Paths []Path
}

// Path is what had to be asked on the way to the data of one name: the name servers of the zones above it.
type Path struct {
	Servers []Server
}

// PathWants say what of a data path is to be found. They belong to a policy, so that an answer which was found clean under one setting is looked at again
// under another.
type PathWants struct {
	MinDots                  int  // how many dots a zone's name has at least for its name servers to count; 1 leaves out top-level domains
	Addresses                bool // whether the servers' addresses are wanted too
	WaitNames, WaitAddresses bool // whether to wait for the network, or to do with what the cache holds
}

// Server is a name server with the addresses that are known of it.
type Server struct {
	Name  []byte // canonical, in wire form
	Addrs []netip.Addr
}

// Decision is the outcome of a check: one winner, or none, and what else is to be recorded.
type Decision struct {
	Winner     Hit
	Observed   [HitsMax]Hit
	NObserved  uint8
	Overflowed bool // there were more than HitsMax
	Pending    bool // Winner applies only if no response trigger of an earlier zone matches; see CheckAnswer
}

// Matched reports whether a rule decides the query.
func (d *Decision) Matched() bool { return d.Winner.Trigger != TriggerNone }

// Recorded returns the matches that are to be recorded beside the winner, in order of precedence.
func (d *Decision) Recorded() []Hit { return d.Observed[:d.NObserved] }
