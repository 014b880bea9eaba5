package blocklist

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cenote/dnsname"
	"cenote/policy"
)

// Addresses is what a list's addresses are for. A policy zone says it itself, by the owner of each record.
type Addresses uint8

// What addresses are for. Those that are not used are counted as rows that are not served.
const (
	AddressesAnswered Addresses = iota // an answer that holds one is a match (rpz-ip)
	AddressesServers                   // a name whose servers have one is a match (rpz-nsip)
	AddressesIgnored                   // nothing
)

var addressesNames = [...]string{"answers", "nameservers", "ignore"}

// String names the use as the configuration does.
func (a Addresses) String() string {
	if int(a) < len(addressesNames) {
		return addressesNames[a]
	}
	return fmt.Sprintf("addresses-%d", uint8(a))
}

// MarshalText writes the use as the configuration does.
func (a Addresses) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads a use as the configuration writes it; the empty text is AddressesAnswered.
func (a *Addresses) UnmarshalText(text []byte) error {
	*a = AddressesAnswered
	for i, name := range addressesNames {
		if name == string(text) {
			*a = Addresses(i)
			return nil
		}
	}
	if len(text) == 0 {
		return nil
	}
	return fmt.Errorf("unknown use of addresses %q: use answers, nameservers or ignore", text)
}

func (a Addresses) trigger() policy.Trigger {
	if a == AddressesServers {
		return policy.TriggerNSIP
	}
	return policy.TriggerIP
}

// The widest prefixes that a list may hold: those of the largest networks that were ever given to one holder.
const (
	prefixMinIPv4 = 8
	prefixMinIPv6 = 16
)

// listAddress hands the row that begin returned to the sink under the address or prefix in text, or refuses it.
func (f *file) listAddress(text []byte) {
	prefix, ok := parseAddress(text)
	if !ok || f.config.Addresses == AddressesIgnored {
		f.refuse(ReasonIPAddress, text)
		return
	}
	if why := guardPrefix(prefix); why != ReasonNone {
		f.refuse(why, text)
		return
	}
	v := f.guardedPrefix(prefix)
	if v.why != ReasonNone {
		f.refuseBy(f.row.Line, v, text)
		return
	}
	if v.name != "" {
		f.note(&v, text)
	}
	trigger := f.config.Addresses.trigger()
	f.serveKey(policy.AppendPrefixKey(nil, trigger, prefix), trigger, policy.KindExact)
}

// parseAddress reads an address or a prefix as lists write them: with a port, or as the host of an address of a page, which both say no more
// than the address. Bits beyond a prefix are cleared.
func parseAddress(text []byte) (netip.Prefix, bool) {
	for _, scheme := range []string{"http://", "https://"} {
		if rest, ok := bytes.CutPrefix(text, []byte(scheme)); ok {
			text = bytes.TrimSuffix(rest, []byte("/"))
		}
	}
	if len(text) > 64 {
		return netip.Prefix{}, false
	}
	s := string(text)
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return whole(prefix.Addr(), prefix.Bits())
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		var port netip.AddrPort
		if port, err = netip.ParseAddrPort(s); err != nil {
			return netip.Prefix{}, false
		}
		addr = port.Addr()
	}
	return whole(addr, addr.BitLen())
}

// whole makes a prefix of an address, which must not be of one link only. IPv4 in the form of IPv6 is IPv4.
func whole(addr netip.Addr, bits int) (netip.Prefix, bool) {
	if addr.Is4In6() && bits >= 96 {
		addr, bits = addr.Unmap(), bits-96
	}
	if addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, bits).Masked(), true
}

// specialPrefixes are those of addresses that mean something else in every network (RFC 6890).
var specialPrefixes = func() (out []netip.Prefix) {
	for _, s := range strings.Fields("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/4 240.0.0.0/4 " +
		"::/127 fc00::/7 fe80::/10 ff00::/8") {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// guardPrefix returns why a list's prefix must not be served, or ReasonNone: it holds addresses that mean something else in every network, or more
// of the world than one holder has. A policy zone may list what it likes.
func guardPrefix(p netip.Prefix) Reason {
	addr := p.Addr()
	switch {
	case addr.Is4() && p.Bits() < prefixMinIPv4, addr.Is6() && p.Bits() < prefixMinIPv6:
		return ReasonWidePrefix
	case slices.ContainsFunc(specialPrefixes, p.Overlaps):
		return ReasonSpecialAddress
	}
	return ReasonNone
}

// listLink hands the row that begin returned to the sink under the host of a link, "scheme://host[:port]" with or without a final slash. A link
// to one page of a host is refused: an answer is about the whole host.
func (f *file) listLink(text []byte, kind policy.Kind) {
	host, ok := hostOfLink(text)
	switch {
	case !ok:
		f.refuse(ReasonURL, text)
	case host[0] == '[':
		f.listAddress(host[1 : len(host)-1])
	default:
		f.list(host, kind)
	}
}

// hostOfLink returns the host of a link that names nothing but a host; an IPv6 address is in brackets.
func hostOfLink(text []byte) (host []byte, ok bool) {
	scheme, rest, ok := bytes.Cut(trim(text), []byte("://"))
	if !ok || !isScheme(scheme) {
		return nil, false
	}
	host, port := cutPort(bytes.TrimSuffix(rest, []byte("/")))
	if len(host) == 0 || bytes.ContainsAny(host, "/?#@") || len(port) > 0 && !allDigits(port[1:]) {
		return nil, false
	}
	return host, host[0] != '[' || host[len(host)-1] == ']'
}

// cutPort splits "host:port", in which the host may be an IPv6 address in brackets; the port keeps its colon. What follows the brackets and is no port
// leaves no host.
func cutPort(text []byte) (host, port []byte) {
	at := bytes.IndexByte(text, ':')
	if len(text) > 0 && text[0] == '[' {
		at = bytes.IndexByte(text, ']') + 1
	}
	switch {
	case at <= 0 || at == len(text):
		return text, nil
	case text[at] != ':':
		return nil, nil
	}
	return text[:at], text[at:]
}

// isScheme reports whether text is letters, with digits and marks after the first (RFC 3986 section 3.1).
func isScheme(text []byte) bool {
	for i, c := range text {
		if (c|0x20)-'a' > 25 && (i == 0 || c-'0' > 9 && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return len(text) > 0
}

// serveKey hands the row that begin returned to the sink under the key of a trigger other than the query name.
func (f *file) serveKey(key []byte, trigger policy.Trigger, kind policy.Kind) {
	f.count()
	f.report.Live++
	f.report.Triggers.Add(trigger)
	f.row.Name, f.row.Kind = dnsname.Name(key), kind
	f.fail(f.sink.Indicator(&f.row))
}

// parseAddresses reads a line of a list of addresses: one, or a prefix, and perhaps a remark after ";" or "#".
func parseAddresses(f *file, line []byte) {
	row, comment := cutAddressRemark(line)
	if len(row) == 0 {
		return
	}
	f.begin().Comment = f.text(comment)
	if _, ok := parseAddress(row); ok {
		f.listAddress(row)
		return
	}
	f.list(row, f.match())
}

// cutAddressRemark cuts a line at the first ";", "#" or blank.
func cutAddressRemark(line []byte) (row, comment []byte) {
	i := bytes.IndexAny(line, ";# \t")
	if i < 0 {
		return line, nil
	}
	return trim(line[:i]), trim(bytes.TrimLeft(line[i:], ";# \t"))
}

func looksAddresses(line []byte) evidence {
	if isCommentLine(line) {
		return evidenceNone
	}
	row, rest := cutAddressRemark(line)
	if isAddress(row) && (len(rest) == 0 || bytes.ContainsAny(line[len(row):], ";#")) {
		return evidenceRow
	}
	return evidenceNone
}
