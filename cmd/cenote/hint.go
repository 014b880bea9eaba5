package main

import (
	"errors"
	"net"
	"slices"
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

// hints are what an operator can do about rows that are not served, by their reasons.
var hints = []struct {
	of   []blocklist.Reason
	text string
}{
	{[]blocklist.Reason{blocklist.ReasonNotADomain, blocklist.ReasonSyntax, blocklist.ReasonBadEncoding}, "correct the row, or set the feed's format if it was detected wrongly"},
	{[]blocklist.Reason{blocklist.ReasonTooLong, blocklist.ReasonLineTooLong}, "no such name can be asked for; remove the row"},
	{[]blocklist.Reason{blocklist.ReasonIPAddress}, "no address can be read from it, or the feed's addresses are set to be ignored"},
	{[]blocklist.Reason{blocklist.ReasonBadAddress}, "write the address as the RPZ draft demands, section 4.1.1, or set lenient on the feed"},
	{[]blocklist.Reason{blocklist.ReasonSpecialAddress}, "the address means something else in every network; a policy zone (RPZ) can list it if that is meant"},
	{[]blocklist.Reason{blocklist.ReasonWidePrefix}, "no holder has so large a network; a policy zone (RPZ) can list it if that is meant"},
	{[]blocklist.Reason{blocklist.ReasonURL, blocklist.ReasonPath}, "a DNS answer is about the whole host; list the host if all of it is malicious"},
	{[]blocklist.Reason{blocklist.ReasonCombination}, "the row is about several things together, and a DNS answer is about one; nothing to do"},
	{[]blocklist.Reason{blocklist.ReasonWithdrawn}, "the publisher has taken it back; nothing to do"},
	{[]blocklist.Reason{blocklist.ReasonNotYetValid}, "it is served when its time has come and the feed is read again"},
	{[]blocklist.Reason{blocklist.ReasonNotForDetection}, "the publisher means it for people, not for detection; set all_attributes on the feed to serve it all the same"},
	{[]blocklist.Reason{blocklist.ReasonSomeClients}, "the rule is for some clients only: use a view; put the name into a list that only a zone of that view holds"},
	{[]blocklist.Reason{blocklist.ReasonSomeTypes}, "the rule is for some types of records only, which a list cannot say; list the name if it is to be stopped for all of them"},
	{[]blocklist.Reason{blocklist.ReasonOverruled}, "an $important rule and an exception of the list are about the same name, and the wider of them is served; use a list for each if both are meant"},
	{[]blocklist.Reason{blocklist.ReasonRegex}, "a pattern must be a regular expression of RE2, and have three letters in a row that every name has which it matches; or list the names"},
	{[]blocklist.Reason{blocklist.ReasonTooManyPatterns}, "patterns are for few rules; list the names"},
	{[]blocklist.Reason{blocklist.ReasonNotADNSRule, blocklist.ReasonOtherType}, "the row is not about a name; nothing to do"},
	{[]blocklist.Reason{blocklist.ReasonInclude, blocklist.ReasonGenerate}, "directives are never followed; put the rows into the file, or make the other file a feed"},
	{[]blocklist.Reason{blocklist.ReasonOutOfZone}, "an owner must lie below the zone's apex; set the feed's zone if $ORIGIN is missing"},
	{[]blocklist.Reason{blocklist.ReasonTooManyRecords}, "nobody answers with so many records; keep those that are meant"},
	{[]blocklist.Reason{blocklist.ReasonConflict, blocklist.ReasonBadAction}, "see the actions of the RPZ draft, section 3"},
	{[]blocklist.Reason{blocklist.ReasonRoot, blocklist.ReasonTLD, blocklist.ReasonPublicSuffix}, "the row would stop everybody under that suffix; set allow_public_suffix on the feed if that is meant"},
	{[]blocklist.Reason{blocklist.ReasonProtected}, "the row would stop a name that many need; list names below it, or set allow_protected on the feed if that is meant"},
	{[]blocklist.Reason{blocklist.ReasonDecided}, "an operator refused it; see `cenote held --decisions`"},
	{[]blocklist.Reason{blocklist.ReasonHeldPopular, blocklist.ReasonHeldNetwork}, "see `cenote held`, and release or refuse it"},
	{[]blocklist.Reason{blocklist.ReasonHeld}, "the row would stop every customer of that service; release it with `cenote held release`, or set allow_private_suffix on the feed"},
}

// hint is what an operator can do about a row that is not served.
func hint(r blocklist.Reason) string {
	for _, h := range hints {
		if slices.Contains(h.of, r) {
			return h.text
		}
	}
	return ""
}
