package querylog

// Record is one answered query as the path of a query writes it down: a value without pointers.
type Record struct {
	Time       int64    // nanoseconds since the epoch, when the query came
	Duration   int64    // nanoseconds until the reply left
	Client     [16]byte // IPv4 as IPv4-mapped IPv6
	Peer       [16]byte
	Local      [16]byte
	ClientPort uint16
	PeerPort   uint16
	LocalPort  uint16
	ID         uint16
	QType      uint16
	QClass     uint16
	Flags      uint16 // of the query's header
	Key        uint16 // by which the query was signed, as Log.KeyNumber numbers it; 0 for none
	Transport  uint8  // policy.Transport
	Verified   bool
	Rule
	Reply
	NameLen uint8
	Name    [255]byte // the query name in the client's letter case, in wire form

	// ListedName is what a rule lists of a name that is not the query name, canonical and in wire form; ListedLen is 0 for none.
	ListedLen  uint8
	ListedName [255]byte
}

// Rule is what the policy said about a query: the rule that decided it, else the first that observed it.
type Rule struct {
	Generation uint64 // of the policy; 0 if none was asked
	Set        uint32
	Zone       uint16
	Member     uint16
	Labels     uint8 // of the listed name
	Action     uint8 // policy.Action; ActionDefault if no rule decided
	Trigger    uint8 // policy.Trigger
	Stage      uint8 // what the rule matched: 0 the query name, n the n-th CNAME target
	Match      bool  // there is such a rule
	Enforced   bool
	ListedHash uint32   // of what the rule lists; see policy.Reference
	ListedBits uint8    // of a rule by address: the length of the prefix, as one of IPv6
	Listed     [16]byte // and the prefix; IPv4 as IPv4-mapped IPv6
}

// Reply is what a client was told.
type Reply struct {
	Rcode      uint16 // extended
	ReplyFlags uint16 // of the reply's header
	ReplySize  uint16 // octets; 0 if there was none
	EDE        uint16 // RFC 8914 info code, 0xffff for none
	Source     Source
}

// Source is where an answer came from.
type Source uint8

// The sources.
const (
	SourceNone     Source = iota // refused, malformed, dropped
	SourcePolicy                 // made by a rule
	SourceLocal                  // local and special-use zones
	SourceCache                  // the cache, fresh
	SourceStale                  // the cache, after its time
	SourceResolver               // an upstream
	SourceZone                   // a zone of our own
)

// String names the source as the log does.
func (s Source) String() string {
	switch s {
	case SourceNone:
		return "none"
	case SourcePolicy:
		return "policy"
	case SourceLocal:
		return "local"
	case SourceCache:
		return "cache"
	case SourceStale:
		return "stale"
	case SourceResolver:
		return "resolver"
	case SourceZone:
		return "zone"
	}
	return "unknown"
}
