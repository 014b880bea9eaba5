package dnstest

import (
	"fmt"
	"net/netip"
	"strings"

	"cenote/dnsname"

	"github.com/miekg/dns"
)

// Hints are the addresses of the root's servers.
func (t *Tree) Hints() (out []netip.Addr) {
	root, addrs := t.rootServers()
	for _, server := range root {
		out = append(out, addrs[server]...)
	}
	return out
}

// RootHints are the names and addresses of the root's servers in the form of a master file, as operators have them (root.hints, named.cache).
func (t *Tree) RootHints() string {
	var b strings.Builder
	root, addrs := t.rootServers()
	for _, server := range root {
		fmt.Fprintf(&b, ". 3600000 NS %s\n", fqdn(server))
		for _, addr := range addrs[server] {
			fmt.Fprintf(&b, "%s 3600000 %s %s\n", fqdn(server), map[bool]string{true: "A", false: "AAAA"}[addr.Is4()], addr)
		}
	}
	return b.String()
}

// rootServers are the names of the root's servers, and the addresses of all servers by name.
func (t *Tree) rootServers() (root []dnsname.Name, addrs map[dnsname.Name][]netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.plan.serversOf(dnsname.Root), t.plan.names
}

// Anchors are the DS records of the root in the form of a master file, one a line; empty if the root is not signed.
func (t *Tree) Anchors() string {
	var b strings.Builder
	if root, _ := t.rootServers(); len(root) == 0 {
		return "" // a tree without a root
	}
	for _, ds := range t.DS(".") {
		fmt.Fprintln(&b, ds)
	}
	return b.String()
}

// DS are the DS records of a zone, whether its parent has them or not.
func (t *Tree) DS(zone string) []*dns.DS { return t.zone(zone).signers() }
