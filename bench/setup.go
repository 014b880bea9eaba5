package main

import (
	"fmt"
	"net/netip"
	"strings"
)

// setup is what a server is started with. What it leaves out is at its default.
type setup struct {
	dir, upstream string     // where everything lies; who is asked
	feeds         []feed     // empty: domains.txt
	zones         [][]string // the names of the feeds of each policy zone, in order; empty: one zone with all feeds
	views         int        // groups of clients, each with a policy zone of its own that has all feeds; 0: none
	cache         int        // octets; 0: the default
	compile       string     // the processor of the child that compiles; "": the server's
	logAll        bool       // the query log writes every query
	recurses      bool       // the upstream is asked as the server of missZone
}

// feed is a list of names in a file of the setup's directory.
type feed struct{ name, file string }

// text is the operator's file: everything at its default but what the measurement needs. indicators_max is raised because a few hundred
// clients ask for all names here, and what a feed may have because the largest have more; finished query logs are not packed, since that would
// go on while the other responder has its turn on the core. Where it recurses, as many questions may wait for the one zone as unbound lets wait for all.
func (s *setup) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state: %s/state\nlisten: [\"%s:%d\"]\nfeeds:\n", s.dir, cenoteAddr, port)
	for _, f := range s.lists() {
		fmt.Fprintf(&b, "  - name: %s\n    path: %s/%s\n    format: domains\n    match: subtree\n    limits: {size: 64GiB, unpacked: 64GiB, rows: 1000000000}\n", f.name, s.dir, f.file)
	}
	fmt.Fprintf(&b, "policy:\n  sinkhole:\n    ipv4: [%s]\n    ipv6: [\"2001:db8::53\"]\n  zones:\n", netip.AddrFrom4(sinkAddr))
	for i, feeds := range s.policy() {
		fmt.Fprintf(&b, "    - name: zone-%d\n      feeds: [%s]\n", i+1, strings.Join(feeds, ", "))
	}
	s.writeViews(&b)
	if s.recurses {
		fmt.Fprintf(&b, "recursion:\n  enabled: true\n  validation: {enabled: false}\n  stub:\n    - name: %s\n      servers: [\"%s\"]\n  limits: {per_zone: 4096}\n", missZone, s.upstream)
	} else {
		fmt.Fprintf(&b, "upstreams:\n  - address: %s\n", s.upstream)
	}
	fmt.Fprintf(&b, "sightings:\n  indicators_max: 1000000\napi:\n  http: %s\nlog:\n  level: warn\n", adminAddr)
	if s.compile != "" {
		fmt.Fprintf(&b, "compile:\n  processors: [%s]\n", s.compile)
	}
	if s.cache > 0 {
		fmt.Fprintf(&b, "cache:\n  size: %dKiB\n", (s.cache+1023)/1024)
	}
	if s.logAll {
		b.WriteString("query_log:\n  mode: all\n  compress: none\n")
	}
	return b.String()
}

// writeViews writes the views. A client of the load is in one of its own as far as there are enough, all others are in the last; each has further
// networks, as that of a customer has.
func (s *setup) writeViews(b *strings.Builder) {
	if s.views == 0 {
		return
	}
	b.WriteString("  views:\n")
	for i := 1; i <= s.views; i++ {
		clients := fmt.Sprintf("%s/32", loadClient(i))
		if i == s.views {
			clients = loadClients.String()
		}
		fmt.Fprintf(b, "    - name: view-%d\n      clients: [%s, 10.%d.0.0/16, \"2001:db8:%x::/48\"]\n", i, clients, i%256, i)
		fmt.Fprintf(b, "      zones:\n        - name: view-%d-zone\n          feeds: [%s]\n", i, strings.Join(s.policy()[0], ", "))
	}
}

// loadClients are the networks that the load's queries come from.
var loadClients = netip.MustParsePrefix("127.1.0.0/16")

// loadClient is the i-th address of the load, from 1 on.
func loadClient(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)})
}

func (s *setup) lists() []feed {
	if len(s.feeds) == 0 {
		return []feed{{"bench", "domains.txt"}}
	}
	return s.feeds
}

// policy are the zones.
func (s *setup) policy() [][]string {
	if len(s.zones) > 0 {
		return s.zones
	}
	var all []string
	for _, f := range s.lists() {
		all = append(all, f.name)
	}
	return [][]string{all}
}
