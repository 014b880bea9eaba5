package resolver

import (
	"errors"
	"fmt"

	"cenote/wire"
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
	errRcode      = errors.New("upstream answers with a code that is no answer")
	errBug        = errors.New("fault in the resolver")
	errSockets    = fmt.Errorf("%w: too many sockets are open", ErrBusy)
)

// rcodeError is a reply with a code that is no answer, and an errRcode.
type rcodeError int

// Error implements error.
func (e rcodeError) Error() string { return "upstream answers " + wire.RcodeText(int(e)) }

// Is implements what errors.Is looks for.
func (e rcodeError) Is(target error) bool { return target == errRcode }

// lateError is what one server said where the time was over before another one said anything. It is an ErrTimeout, too.
type lateError struct{ said error }

// Error implements error.
func (e *lateError) Error() string { return e.said.Error() + ", and another did not answer in time" }

// Unwrap gives both reasons.
func (e *lateError) Unwrap() []error { return []error{e.said, ErrTimeout} }

// isLate reports whether a server was silent until the time was over, whatever another one said.
func isLate(err error) bool {
	_, late := errors.AsType[*lateError](err)
	return late
}

// timeout is the error of who has waited in vain, where err is what was known before: what a server said is why there is no answer, and not that another one is silent.
func timeout(err error) error {
	if errors.Is(err, ErrTimeout) {
		return err
	}
	for _, said := range []error{errRcode, errLame, errMalformed, errUnrelated, errChain, errTooMany, errReferral} {
		if errors.Is(err, said) {
			return &lateError{err}
		}
	}
	return ErrTimeout
}

// moreOf is got, unless that says no more than that the time is over, and before says more.
func moreOf(before, got error) error {
	if got == ErrTimeout { // and not one with a reason of its own
		return timeout(before)
	}
	return got
}

// isVerdict reports whether an extended error says that signatures do not hold: then no other upstream and no stale answer may take the
// place of the failure, or a forger had his way.
func isVerdict(ede uint16) bool {
	return ede >= edeDNSSECFirst && ede <= edeDNSSECLast || ede >= edeUnsupportedFirst && ede <= edeUnsupportedLast
}
