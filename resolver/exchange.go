package resolver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cenote/wire"
)

// legsMax bounds how often one attempt changes its manner: without EDNS, by TCP, with the letter case as it is.
const legsMax = 5

// exchange is one attempt at one upstream: a query and its reply, or several where the upstream must be asked in another manner.
type exchange struct {
	r        *Resolver
	s        *state
	ctx      context.Context
	up       *upstream
	q        *question
	manner   manner
	work     *account // nil for none
	tally    *tally   // nil for none
	purpose  purpose
	attempts *attempts // nil for none
	sent     time.Time // when the query went out that was sent last
	heard    bool      // it replied, whatever it said
	// apart is set once a reply came with another letter case. TCP then tells whether the upstream does that or somebody forges.
	apart bool
	// flooded is set once more packets came that were not the reply than somebody would send by mistake.
	flooded bool
	// bare is set once a reply said that the server does not understand EDNS. An answer without EDNS then tells whether that was true.
	bare bool
	// late, if there is one, has others asked beside this one after the time that is left until lateAt. From then on the context that it returns
	// counts: it ends when one of them is quicker.
	late   func(left time.Duration) context.Context
	lateAt time.Time
}

func (r *Resolver) exchangeWith(ctx context.Context, s *state, up *upstream, q *question) *exchange {
	x := &exchange{r: r, s: s, ctx: ctx, up: up, q: q, manner: up.manner(r.now(), s.config.PlainCase)}
	if len(s.config.Notes) > 0 {
		x.manner.note = s.config.noteFor(up.Addr.Addr())
	}
	return x
}

// isLate has others asked, once.
func (x *exchange) isLate(left time.Duration) {
	x.ctx = x.late(left)
	x.late = nil
}

// attempt asks one server and judges what it says. wait is how long the search will wait for it before it asks another one; where late is not
// nil, it is called to do that.
func (a *search) attempt(ctx context.Context, up *upstream, wait time.Duration, late func(left time.Duration) context.Context) (got outcome) {
	got = outcome{up: up, ede: EDENone}
	r := a.r
	defer r.rescue(&got.err)
	begun := time.Now()
	x := r.exchangeWith(ctx, a.s, up, a.q)
	x.work, x.tally, x.purpose, x.attempts = a.work, a.tally, a.purpose, a.attempts
	x.manner.subnet = a.subnet
	x.late, x.lateAt = late, begun.Add(wait)
	if end, ok := ctx.Deadline(); ok && end.Before(x.lateAt) {
		x.lateAt = end
	}
	packet, err := x.run()
	if errors.Is(err, errNetwork) && x.heard {
		up.counts.unreachable.Add(1)
		return outcome{up: up, ede: EDENone, err: fmt.Errorf("%w: %v", errNoTCP, err)}
	}
	if err != nil && x.flooded {
		return outcome{up: up, ede: EDENone, err: fmt.Errorf("%w: %w", errNearMisses, err)} // whoever sent them would have it blamed
	}
	if err != nil {
		r.routes.note(up.Addr.Addr(), err, r.now())
		r.blame(up, err, time.Since(begun), wait)
		return outcome{up: up, ede: EDENone, err: err}
	}
	got = a.read(up, packet)
	switch {
	case errors.Is(got.err, errRcode):
		up.counts.refused(wire.Rcode(packet))
		r.suspect(up)
	case got.err != nil:
		up.counts.rejected.Add(1)
	}
	return got
}

// blame counts an attempt without a reply. One that was cut short because another upstream was quicker is nobody's fault.
func (r *Resolver) blame(up *upstream, err error, waited, wait time.Duration) {
	switch {
	case errors.Is(err, errSockets), errors.Is(err, errWork):
		return
	case errors.Is(err, errNetwork):
		up.counts.unreachable.Add(1)
	case waited >= wait:
		up.counts.timeouts.Add(1)
	default:
		return
	}
	r.silent(up, waited)
}

// run asks until there is a reply to judge.
func (x *exchange) run() ([]byte, error) {
	err := errMalformed
	for range legsMax {
		var packet []byte
		if packet, err = x.leg(); err == nil {
			return packet, nil
		}
		if !x.adapt(err) {
			return nil, err
		}
	}
	return nil, err
}

// adapt changes the manner after a leg failed, and reports whether another one makes sense.
func (x *exchange) adapt(err error) bool {
	until := x.r.now().Add(x.s.config.Timeouts.Relearn)
	switch {
	case x.ctx.Err() != nil:
		return false
	case errors.Is(err, errTruncated), errors.Is(err, errNearMisses):
		x.flooded = x.flooded || errors.Is(err, errNearMisses)
		x.manner.tcp = !x.manner.tcp
		return x.manner.tcp
	case errors.Is(err, errCase):
		x.apart, x.manner.tcp = true, true
	case errors.Is(err, errNoEDNS):
		x.bare, x.manner.edns = true, false
	case x.up.TLS != "":
		return false
	case x.apart && x.manner.tcp: // no TCP there: all that is left is to believe what came
		x.apart, x.manner.tcp, x.manner.mixed = false, false, false
		x.up.foldsCase(until)
	default:
		return false
	}
	return true
}

// leg sends one query and returns the reply to it.
func (x *exchange) leg() ([]byte, error) {
	var room [600]byte
	if err := x.work.packet(x.up); err != nil {
		return nil, err
	}
	query := x.q.appendQuery(room[:0], x.manner)
	x.up.counts.queries.Add(1)
	if x.manner.edns && x.manner.subnet.IsValid() {
		x.r.counts.subnetsTold.Add(1)
	}
	x.count()
	ended := x.noteLeg()
	packet, err := x.put(query)
	ended(packet, err)
	return packet, err
}

// put puts a query and judges the reply.
func (x *exchange) put(query []byte) ([]byte, error) {
	var packet []byte
	var like likeness
	var err error
	if x.manner.tcp {
		packet, like, err = x.overTCP(query)
	} else {
		packet, like, err = x.overUDP(query)
	}
	if err != nil {
		return nil, err
	}
	return x.judge(packet, like, time.Since(x.sent))
}

// errNoEDNS is a reply that says the server did not understand the OPT record (RFC 6891 section 7).
var errNoEDNS = fmt.Errorf("%w: it does not understand EDNS", errRcode)

// judge sorts a packet that belongs to the query.
func (x *exchange) judge(packet []byte, like likeness, took time.Duration) ([]byte, error) {
	hasOPT := like != bare && findOPT(packet).present
	switch rcode := wire.Rcode(packet); {
	case like == caseApart && !x.manner.tcp:
		return nil, errCase
	case x.manner.edns && !hasOPT && (rcode == wire.RcodeFormErr || rcode == wire.RcodeNotImp):
		return nil, errNoEDNS
	case like == bare:
		return nil, errMalformed
	}
	x.heard = true
	x.up.spoke()
	x.up.counts.replies.Add(1)
	x.learn(packet, like, took, hasOPT)
	if isCut(packet) && !x.manner.tcp {
		x.up.counts.truncated.Add(1)
		return nil, errTruncated
	}
	copy(packet[wire.HeaderLen:], x.q.name) // what is compressed against the question then has its canonical letter case too
	return packet, nil
}

// learn notes what a reply tells about the upstream.
func (x *exchange) learn(packet []byte, like likeness, took time.Duration, hasOPT bool) {
	until := x.r.now().Add(x.s.config.Timeouts.Relearn)
	if hasOPT {
		x.up.speaksEDNS()
	}
	if isWell(packet) {
		x.r.answered(x.up, took)
		if x.bare {
			x.up.withoutEDNS(until)
		}
	}
	if x.manner.tcp && x.apart && like == caseApart {
		x.up.foldsCase(until)
	}
}

// isCut reports whether a reply by UDP is not whole: the server says so, or it sent more than there was room for.
func isCut(packet []byte) bool {
	return wire.Flags(packet)&wire.FlagTC != 0 || len(packet) == udpBuffer
}

// isWell reports whether a reply comes from an upstream that does its work. SERVFAIL does not say: the name may be the reason.
func isWell(packet []byte) bool {
	switch wire.Rcode(packet) {
	case wire.RcodeSuccess, wire.RcodeNXDomain, wire.RcodeYXDomain:
		return true
	}
	return false
}
