package sighting

// Event is one match as the path of a query writes it down: a value without pointers, about 350 octets, of which only
// the first 64 and the name are touched. Everything that needs a look-up (feed, family, line) is resolved later, by the
// collector, from Generation, Set, Member and the name.
type Event struct {
	Time       int64    // nanoseconds since the epoch
	Generation uint64   // of the policy that decided
	Client     [16]byte // IPv4 as IPv4-mapped IPv6
	Set        uint32
	ClientPort uint16
	Zone       uint16
	Member     uint16
	QType      uint16
	Labels     uint8 // of the listed name, the last labels of Name
	Action     uint8 // policy.Action
	Trigger    uint8 // policy.Trigger
	Transport  uint8 // policy.Transport
	Flags      EventFlags
	Stage      uint8 // 0: Name is the query name; n: the n-th CNAME target
	NameLen    uint8 // octets of Name in use
	_          uint8
	Name       [255]byte // the name that matched, canonical, in wire form
	_          [1]byte
}

// EventFlags are the yes-or-no facts of an Event.
type EventFlags uint8

// The flags of an Event.
const (
	EventEnforced EventFlags = 1 << iota // the rule decided the answer; otherwise it was only observed
	EventVerified                        // the client's address could not be forged
	EventStale                           // the answer came from the cache after its time
)
