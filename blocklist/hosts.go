package blocklist

import (
	"net/netip"
)

// parseHosts reads a line of a hosts file: an address and the names that are to have it. An address that goes nowhere (0.0.0.0, ::, loopback)
// lists the names; any other gives them a real address and lists nothing.
func parseHosts(f *file, line []byte) {
	row, comment := cutRemark(line)
	if len(row) == 0 {
		return
	}
	address, names := field(row)
	if len(names) == 0 || !isAddress(address) {
		f.refuse(ReasonSyntax, line)
		return
	}
	lists := nowhere(address)
	for len(names) > 0 {
		var name []byte
		name, names = field(names)
		switch {
		case isOwnHostName(name):
			f.skip()
		case !lists:
			f.refuse(ReasonNotADNSRule, line)
		default:
			f.begin().Comment = f.text(comment)
			f.list(name, f.match())
		}
	}
}

// nowhere reports whether an address is one that a list writes so that nobody is reached: unspecified or loopback.
func nowhere(text []byte) bool {
	switch string(text) {
	case "0.0.0.0", "127.0.0.1", "::", "::1":
		return true
	}
	if len(text) > 45 {
		return false
	}
	addr, err := netip.ParseAddr(string(text))
	return err == nil && (addr.IsUnspecified() || addr.IsLoopback())
}

// isOwnHostName reports whether a name is one of those with which every hosts file begins.
func isOwnHostName(name []byte) bool {
	switch string(name) {
	case "localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6",
		"local", "broadcasthost", "ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes",
		"ip6-allrouters", "ip6-allhosts", "0.0.0.0":
		return true
	}
	return false
}

func looksHosts(line []byte) evidence {
	if isCommentLine(line) {
		return evidenceNone
	}
	address, names := field(line)
	if len(names) > 0 && names[0] != ';' && names[0] != '#' && isAddress(address) { // what follows a mark is a remark on an address
		return evidenceRow
	}
	return evidenceNone
}
