package dnsserver

import (
	"net/netip"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/wire"
)

// admit is step 1. It reads the message and says whether there will be a reply at all; queries that are turned away with one come back
// with their draft made and step at stepReply.
//
// The access list and the rate look at the peer: what a packet says of itself proves nothing. The list comes first, so that outsiders
// learn nothing of policy, then the rate, which covers error replies too, then the signature, then the form of the question.
func (w *worker) admit(q *Query) bool {
	q.settings = w.core.settings.Load()
	w.counters.queries[q.Transport].Add(1)
	fault := w.parse(q)
	if fault == wire.FaultCookie && q.settings.cookies == nil {
		fault = wire.FaultNone // an option that is not in use is passed over (RFC 6891 section 6.1.2)
	}
	w.counters.faults[fault].Add(1)
	if fault == wire.FaultDrop || q.Peer.Port() == 0 {
		return w.drop(dropNoQuery)
	}
	allowed := q.settings.allows(q.Peer.Addr()) || w.servedOutside(q, fault)
	if !allowed && q.settings.Access.Drop {
		return w.drop(dropAccess)
	}
	w.judgeCookie(q)
	if !w.withinRate(q, fault) {
		return w.drop(dropRate)
	}
	if !w.verify(q) { // and told so
		if q.updates {
			w.refuseUpdate(q, q.signature.record.Name, q.signature.fault.String())
		}
		return true
	}
	if q.step == stepReply {
		return true // over the rate, and told so
	}
	if !allowed {
		w.counters.refused.Add(1)
		q.turnAway(wire.RcodeRefused, edeProhibited)
		q.draft.flags &^= wire.FlagRA // not for this client
		return true
	}
	if q.outside {
		q.draft.flags &^= wire.FlagRA
	}
	switch q.inspect(fault); {
	case q.step == stepReply:
	case q.updates:
		w.update(q)
	case q.notice:
		w.hear(q)
	case q.isTransfer():
		w.transfer(q)
	default:
		q.ask()
	}
	return true
}

func (w *worker) drop(why dropReason) bool {
	w.counters.drops[why].Add(1)
	return false
}

// allows reports whether the access list lets peer ask.
func (s *settings) allows(peer netip.Addr) bool {
	ok, found := s.access.Lookup(peer.WithZone(""))
	return found && ok
}

// judgeCookie notes what the client's cookie proves. Connections prove their address by themselves.
func (w *worker) judgeCookie(q *Query) {
	if q.settings.cookies != nil {
		q.draft.cookie = q.settings.cookies.judge(q.msg.OPT.Cookie, q.Peer.Addr(), q.Time)
	}
	w.counters.cookies[q.draft.cookie].Add(1)
	q.request.Verified = q.Transport != policy.TransportUDP || q.draft.cookie == cookieValid
}

// withinRate charges the query to its client network. It returns false if there is to be no reply. Over the rate, the one query in Slip
// that gets one is told BADCOOKIE if it could come back with a good cookie (RFC 7873 section 5.2.3), or else TC, to come over TCP.
// Both replies are about as long as the query, so nobody gains from forging it.
func (w *worker) withinRate(q *Query, fault wire.Fault) bool {
	if q.request.Verified || q.settings.rates == nil {
		return true
	}
	within, slip := q.settings.rates.take(q.Peer.Addr().WithZone(""), q.Time)
	if within || !slip {
		return within
	}
	w.counters.slipped.Add(1)
	if q.draft.cookie == cookieNew && (fault == wire.FaultNone || fault == wire.FaultNoQuestion) {
		q.turnAway(wire.RcodeBadCookie, policy.EDENone)
	} else {
		q.turnAway(wire.RcodeSuccess, policy.EDENone)
		q.draft.flags |= wire.FlagTC
	}
	return true
}

// turnAway drafts a reply without data.
func (q *Query) turnAway(rcode int, ede uint16) {
	q.step, q.draft.form, q.draft.rcode, q.draft.ede = stepReply, formEmpty, rcode, ede
	if q.msg.Question == nil {
		q.draft.form = formHeader
	}
}

// inspect turns away what is no question for a resolver.
func (q *Query) inspect(fault wire.Fault) {
	switch {
	case fault == wire.FaultOpcode:
		q.turnAway(wire.RcodeNotImp, edeNotSupported)
	case fault == wire.FaultVersion:
		q.turnAway(wire.RcodeBadVers, policy.EDENone)
	case fault == wire.FaultNoQuestion && q.settings.cookies != nil:
		q.turnAway(q.cookieRcode(), policy.EDENone)
	case fault != wire.FaultNone:
		q.turnAway(wire.RcodeFormErr, policy.EDENone)
	case len(q.msg.OPT.KeepAlive) > 0 && q.Transport == policy.TransportTCP: // a client has no time to give (RFC 7828 section 3.2.1)
		q.turnAway(wire.RcodeFormErr, policy.EDENone)
	case q.msg.Class == wire.ClassCH:
		q.inspectChaos()
	case q.msg.Class != wire.ClassIN:
		q.turnAway(wire.RcodeRefused, edeNotSupported)
	default:
		q.inspectType()
	}
}

// cookieRcode answers a client that asks for nothing but a cookie, or whether the one it has is good (RFC 7873 section 5.4).
func (q *Query) cookieRcode() int {
	if q.draft.cookie == cookieValid || len(q.msg.OPT.Cookie) == cookieClientLen {
		return wire.RcodeSuccess
	}
	return wire.RcodeBadCookie
}

// Types that stand for no record a resolver could have (IANA DNS RR TYPEs; RFC 6895 section 3.1).
const (
	typeNXNAME = 128 // RFC 9824 section 3.5
	typeTKEY   = 249
	typeMAILB  = 253
	typeMAILA  = 254
)

func (q *Query) inspectType() {
	switch t := q.msg.Type; {
	case t == typeTKEY:
		q.turnAway(wire.RcodeRefused, edeNotSupported) // no keys are made
	case t == typeMAILA, t == typeMAILB:
		q.turnAway(wire.RcodeNotImp, edeNotSupported) // obsolete, RFC 1035 section 3.2.3
	case t == 0, t == wire.TypeOPT, t >= typeNXNAME && t <= wire.TypeTSIG:
		q.turnAway(wire.RcodeFormErr, edeInvalidType) // they only live in messages
	}
}

// ask makes the Request that policy looks at.
func (q *Query) ask() {
	name := q.name[:len(q.msg.Name)]
	dnsname.Lower(name, q.msg.Name)
	q.request = policy.Request{
		Time: q.Time, Peer: q.Peer, Client: q.Client, Local: q.Local, Transport: q.Transport,
		Verified: q.request.Verified, Key: q.keyName(),
		RD: q.msg.Flags&wire.FlagRD != 0, DO: q.msg.OPT.DO,
		Type: q.msg.Type, Class: q.msg.Class, Name: name,
	}
}
