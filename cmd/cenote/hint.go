package main

import (
	"errors"
	"net"
	"syscall"

	"cenote/blocklist"
)

// systemHint is what an operator can do about a refusal of the system, or "".
func systemHint(err error) string {
	op, ok := errors.AsType[*net.OpError](err)
	switch listening := ok && op.Op == "listen"; {
	case errors.Is(err, syscall.EADDRINUSE):
		return "another program has the address (see `ss -lntup`); stop it, or set another one with listen or api.http"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this host does not have the address (see `ip address`); correct listen or api.http"
	case listening && errors.Is(err, syscall.EACCES):
		return "ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; grant it, or set a higher port"
	case errors.Is(err, syscall.EWOULDBLOCK):
		return "another server works on the same state directory; stop it, or set another one with the key state"
	}
	return ""
}

// hint is what an operator can do about a row that is not served.
func hint(r blocklist.Reason) string {
	switch r {
	case blocklist.ReasonNone:
	case blocklist.ReasonNotADomain, blocklist.ReasonSyntax, blocklist.ReasonBadEncoding:
		return "correct the row, or set the feed's format if it was detected wrongly"
	case blocklist.ReasonTooLong, blocklist.ReasonLineTooLong:
		return "no such name can be asked for; remove the row"
	case blocklist.ReasonIPAddress:
		return "no address can be read from it, or the feed's addresses are set to be ignored"
	case blocklist.ReasonBadAddress:
		return "write the address as the RPZ draft demands, section 4.1.1, or set lenient on the feed"
	case blocklist.ReasonSpecialAddress:
		return "the address means something else in every network; a policy zone (RPZ) can list it if that is meant"
	case blocklist.ReasonWidePrefix:
		return "no holder has so large a network; a policy zone (RPZ) can list it if that is meant"
	case blocklist.ReasonURL, blocklist.ReasonPath:
		return "a DNS answer is about the whole host; list the host if all of it is malicious"
	case blocklist.ReasonCombination:
		return "the row is about several things together, and a DNS answer is about one; nothing to do"
	case blocklist.ReasonWithdrawn:
		return "the publisher has taken it back; nothing to do"
	case blocklist.ReasonNotYetValid:
		return "it is served when its time has come and the feed is read again"
	case blocklist.ReasonNotForDetection:
		return "the publisher means it for people, not for detection; set all_attributes on the feed to serve it all the same"
	case blocklist.ReasonSomeClients:
		return "the rule is for some clients only: use a view; put the name into a list that only a zone of that view holds"
	case blocklist.ReasonSomeTypes:
		return "the rule is for some types of records only, which a list cannot say; list the name if it is to be stopped for all of them"
	case blocklist.ReasonOverruled:
		return "an $important rule and an exception of the list are about the same name, and the wider of them is served; use a list for each if both are meant"
	case blocklist.ReasonRegex:
		return "a pattern must be a regular expression of RE2, and have three letters in a row that every name has which it matches; or list the names"
	case blocklist.ReasonTooManyPatterns:
		return "patterns are for few rules; list the names"
	case blocklist.ReasonNotADNSRule, blocklist.ReasonOtherType:
		return "the row is not about a name; nothing to do"
	case blocklist.ReasonInclude, blocklist.ReasonGenerate:
		return "directives are never followed; put the rows into the file, or make the other file a feed"
	case blocklist.ReasonOutOfZone:
		return "an owner must lie below the zone's apex; set the feed's zone if $ORIGIN is missing"
	case blocklist.ReasonTooManyRecords:
		return "nobody answers with so many records; keep those that are meant"
	case blocklist.ReasonConflict, blocklist.ReasonBadAction:
		return "see the actions of the RPZ draft, section 3"
	case blocklist.ReasonRoot, blocklist.ReasonTLD, blocklist.ReasonPublicSuffix:
		return "the row would stop everybody under that suffix; set allow_public_suffix on the feed if that is meant"
	case blocklist.ReasonProtected:
		return "the row would stop a name that many need; list names below it, or set allow_protected on the feed if that is meant"
	case blocklist.ReasonDecided:
		return "an operator refused it; see `cenote held --decisions`"
	case blocklist.ReasonHeldPopular, blocklist.ReasonHeldNetwork:
		return "see `cenote held`, and release or refuse it"
	case blocklist.ReasonHeld:
		return "the row would stop every customer of that service; release it with `cenote held release`, or set allow_private_suffix on the feed"
	}
	return ""
}
