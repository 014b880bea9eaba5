package resolver

import (
	"errors"
	"fmt"
)

// Extended DNS error codes (RFC 8914 section 4) that a Resolver gives. EDENone is none.
const (
	EDENone             = 0xffff
	edeOther            = 0
	edeStale            = 3
	edeCachedError      = 13
	edeNotReady         = 14
	edeStaleNXDomain    = 19
	edeNotSupported     = 21
	edeNoReachable      = 22
	edeNetworkError     = 23
	edeDNSSECFirst      = 5 // Indeterminate; up to edeDNSSECLast a verdict about signatures
	edeDNSSECLast       = 12
	edeUnsupportedFirst = 1 // and 2: the zone is signed in a way that the upstream cannot check
	edeUnsupportedLast  = 2
)

// Error is a question without an answer. Code is the extended error for the client.
type Error struct {
	Code uint16
	Err  error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// EDE returns the extended error code, EDENone for none.
func (e *Error) EDE() uint16 { return e.Code }

// The reasons for which a question stays without an answer. Errors of Resolve wrap one of them or the error of the caller's context.
var (
	ErrNoUpstreams = errors.New("no upstream is configured")
	ErrBusy        = errors.New("too many questions are being asked")
	ErrTimeout     = errors.New("no upstream answered in time")
	ErrFailed      = errors.New("no answer was found")
	ErrType        = errors.New("type cannot be forwarded")
	ErrClosed      = errors.New("resolver is stopped")
)

// What may go wrong in one attempt. A reply that is not ours is none of these: it is ignored.
var (
	errTruncated  = errors.New("reply is truncated")
	errCase       = errors.New("reply has another letter case")
	errNearMisses = errors.New("too many packets that are not the reply")
	errMalformed  = errors.New("reply is malformed")
	errUnrelated  = errors.New("reply does not answer the question")
	errChain      = errors.New("reply has a chain of aliases that is too long or goes round")
	errTooMany    = errors.New("reply has too many records")
	errReferral   = errors.New("upstream does not recurse")
	errNetwork    = errors.New("upstream cannot be reached")
	errNoTCP      = errors.New("upstream answers by UDP alone")
	errDown       = fmt.Errorf("%w: it is down, and was tried often enough this second", errNetwork)
	errRcode      = errors.New("upstream refuses")
	errBug        = errors.New("fault in the resolver")
	errSockets    = fmt.Errorf("%w: too many sockets are open", ErrBusy)
)

// isVerdict reports whether an extended error says that signatures do not hold: then no other upstream and no stale answer may take the
// place of the failure, or a forger had his way.
func isVerdict(ede uint16) bool {
	return ede >= edeDNSSECFirst && ede <= edeDNSSECLast || ede >= edeUnsupportedFirst && ede <= edeUnsupportedLast
}
