package dnsserver

import "errors"

// Extended errors that we give by ourselves (RFC 8914 section 4, and the IANA registry for later ones). What a policy zone gives is the
// operator's choice.
//
//	 0 Other             a client that waits finds no room, or we have a fault
//	 3 Stale Answer      the network does not answer, and the reply is past its time
//	14 Not Ready         the file of the zone could not be read yet, or a feed of the policy
//	18 Prohibited        the client is outside the access list
//	19 Stale NXDOMAIN    like 3, for a name that did not exist
//	20 Not Authoritative RD is clear, and neither a zone of ours nor the cache holds the answer
//	21 Not Supported     an opcode, class or type that a resolver does not serve
//	22 No Reachable Authority  no upstream answered
//	30 Invalid Query Type      a type that only lives inside messages (RFC 9824 section 3.5)
const (
	edeOther            = 0
	edeStale            = 3
	edeNotReady         = 14
	edeProhibited       = 18
	edeStaleNXDomain    = 19
	edeNotAuthoritative = 20
	edeNotSupported     = 21
	edeNoReachable      = 22
	edeInvalidType      = 30
)

// isVerdict reports whether an extended error says that signatures do not hold, or cannot be judged (RFC 8914 sections 4.6 to 4.13).
func isVerdict(ede uint16) bool { return ede >= 5 && ede <= 12 }

// errBug stands for a fault of our own while the network was asked.
var errBug = errors.New("fault in the server")

// edeOf is the extended error for a query that got no answer.
func edeOf(err error) uint16 {
	var coded interface{ EDE() uint16 }
	switch {
	case errors.Is(err, errBug):
		return edeOther
	case errors.As(err, &coded):
		return coded.EDE()
	}
	return edeNoReachable
}
