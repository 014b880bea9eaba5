package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// TestUnboundAndNamedJudgeAFrozenTree asks unbound, named and us for names of zones that nsd serves: what servers say is then not of our making, and all three get the same
// signatures. The zones are those of TestUnboundAndNamedJudgeRecursion as a tree has them at the start, with what is wrong in them; their servers are sound.
func TestUnboundAndNamedJudgeAFrozenTree(t *testing.T) {
	nsd, unbound, named := program(t, "nsd"), program(t, "unbound"), program(t, "named")
	network := dnstest.OwnNetwork(t, 0)
	world := judgedInternetOf(rand.New(rand.NewPCG(2, 2026)))
	tree, err := dnstest.StartTreeAt(t, world.text.String(), 5353) // where nobody asks
	if err != nil {
		t.Fatal(err)
	}
	serveFrozen(t, nsd, tree.Freeze())
	startJudges(t, tree, unbound, named).judge(t, network, world, sized(300, 20_000))
	if n := tree.Total(); n > 0 {
		t.Errorf("%d queries came to the servers of the tree, want none", n)
	}
}

// serveFrozen serves zones at port 53: the root, top-level domains, and all others by an nsd each, so that who asks for a name is referred from one to the next.
func serveFrozen(t *testing.T, nsd string, zones []dnstest.Frozen) {
	t.Helper()
	levels := map[int][]dnstest.Frozen{}
	for _, z := range zones {
		level := min(dns.CountLabel(z.Zone), 2)
		levels[level] = append(levels[level], z)
	}
	for _, level := range levels {
		serveLevel(t, nsd, level)
	}
}

const frozenNSD = `
server:
	server-count: 1
	username: ""
	database: ""
	pidfile: "%[1]s/pid"
	zonesdir: "%[1]s"
	xfrdir: "%[1]s"
	xfrdfile: ""
	zonelistfile: ""
	rrl-ratelimit: 0
`

func serveLevel(t *testing.T, nsd string, zones []dnstest.Frozen) {
	t.Helper()
	dir, files, seen := t.TempDir(), map[string]string{}, map[netip.Addr]bool{}
	var conf strings.Builder
	fmt.Fprintf(&conf, frozenNSD, dir)
	for _, z := range zones {
		for _, addr := range z.Servers {
			if !seen[addr] {
				fmt.Fprintf(&conf, "\tip-address: %s@53\n", addr)
			}
			seen[addr] = true
		}
	}
	conf.WriteString("remote-control:\n\tcontrol-enable: no\n")
	for i, z := range zones {
		file := fmt.Sprint("zone", i)
		files[file] = z.File
		fmt.Fprintf(&conf, "zone:\n\tname: %q\n\tzonefile: %q\n", z.Zone, file)
	}
	files["nsd.conf"] = conf.String()
	writeAll(t, dir, files)
	q := question{rd: true, from: "127.0.0.1", wait: again, name: dns.Fqdn(zones[0].Zone), qtype: dns.TypeSOA, class: dns.ClassINET}
	ready := func() bool { return strings.Contains(q.exchange(netip.AddrPortFrom(zones[0].Servers[0], 53)), "SOA") }
	dnstest.StartPeer(t, ready, nsd, "-d", "-c", filepath.Join(dir, "nsd.conf"))
}
