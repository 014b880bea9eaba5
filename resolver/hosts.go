package resolver

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

const (
	hostsMax     = 8       // more name servers than that are not used; the C library itself stops at 3
	hostsFileMax = 1 << 20 // octets that are read
	dnsPort      = 53
)

// Hosts returns the name servers of a resolv.conf file, without those that are we ourselves: own are the addresses that we listen on, and
// to ask them would go round in a circle. A file that cannot be read has none.
func Hosts(path string, own ...netip.AddrPort) []netip.AddrPort {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	return hostsIn(file, own)
}

// hostsIn reads the text of a resolv.conf file.
func hostsIn(text io.Reader, own []netip.AddrPort) []netip.AddrPort {
	var hosts []netip.AddrPort
	lines := bufio.NewScanner(io.LimitReader(text, hostsFileMax))
	for lines.Scan() && len(hosts) < hostsMax {
		host, ok := nameserver(lines.Text())
		if ok && !slices.Contains(hosts, host) && !isOwn(host, own) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// nameserver reads a line "nameserver ADDRESS". Everything else, comments included, is something else.
func nameserver(line string) (netip.AddrPort, bool) {
	words := strings.Fields(line)
	if len(words) < 2 || words[0] != "nameserver" {
		return netip.AddrPort{}, false
	}
	addr, err := netip.ParseAddr(words[1])
	if err != nil || addr.IsMulticast() {
		return netip.AddrPort{}, false
	}
	if addr = addr.Unmap(); addr.IsUnspecified() { // stands for this machine
		addr = netip.MustParseAddr("127.0.0.1")
	}
	return netip.AddrPortFrom(addr, dnsPort), true
}

// isOwn reports whether host is one of the addresses that we listen on. A wildcard address stands for all of this machine.
func isOwn(host netip.AddrPort, own []netip.AddrPort) bool {
	for _, o := range own {
		addr := o.Addr().Unmap()
		if o.Port() == host.Port() && (addr == host.Addr() || addr.IsUnspecified() && isLocal(host.Addr())) {
			return true
		}
	}
	return false
}

// isLocal reports whether an address is one of this machine.
func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, i := range interfaces {
		if prefix, err := netip.ParsePrefix(i.String()); err == nil && prefix.Addr().Unmap() == addr.WithZone("") {
			return true
		}
	}
	return false
}
