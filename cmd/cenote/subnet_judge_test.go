package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// TestUnboundJudgesSubnets: clients of many networks ask unbound and us, in the same order, for names whose server says of each answer for which part of the network it is. Each
// gets what is for it, and that server is asked as often, and told of the same networks, by both.
func TestUnboundJudgesSubnets(t *testing.T) {
	unbound := program(t, "unbound")
	network := dnstest.OwnNetwork(t, 0)
	tree, err := dnstest.StartTreeAt(t, `
		zone .               server a.root.nature @1 sign
		zone nature          server ns.nic.nature @2 sign
		zone cdn.nature      server ns.cdn.nature @3
		    *                A     192.0.2.1
		zone other.nature    server ns.other.nature @4
		    *                A     192.0.2.2
	`, 53)
	if err != nil {
		t.Fatal(err)
	}
	tree.Hook("@3", forNetworks)
	dir := t.TempDir()
	writeAll(t, dir, map[string]string{
		"hints": tree.RootHints(), "anchors": tree.Anchors(), "unbound.conf": fmt.Sprintf(subnetUnbound, dir),
		"cenote.yaml": recursiveCenote + "  subnets: {zones: [cdn.nature]}\naccess: {allow: [0.0.0.0/0]}\n",
	})
	j := &subnetJudge{t: t, tree: tree, ours: startProcess(t, filepath.Join(dir, "cenote.yaml")).addr(),
		unbound: startPeer(t, 5301, unbound, "-d", "-c", filepath.Join(dir, "unbound.conf"))}
	var clients []netip.Addr
	for _, text := range strings.Fields("198.51.100.77 198.51.100.9 198.51.101.5 198.51.116.5 198.51.244.1 198.52.1.1 203.0.113.7 203.0.112.7") {
		clients = append(clients, netip.MustParseAddr(text))
		network.Add(clients[len(clients)-1])
	}
	r := rand.New(rand.NewPCG(7, 2026))
	for range sized(150, 3000) {
		name := fmt.Sprintf("s%d-%d.%s.nature.", pick(r, 0, 8, 16, 20, 24), r.IntN(4), pick(r, "cdn", "cdn", "cdn", "other"))
		j.ask(name, pick(r, clients...))
	}
	if j.told < 10 || j.shared < 10 {
		t.Errorf("%d networks were told of, and %d answers shared: the test shows little", j.told, j.shared)
	}
}

// subnetUnbound tells servers of one zone who asks.
const subnetUnbound = `
server:
	directory: "%[1]s"
	interface: 127.0.0.1@5301
	access-control: 0.0.0.0/0 allow
	do-daemonize: no
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	module-config: "subnetcache validator iterator"
	client-subnet-zone: "cdn.nature"
	do-not-query-localhost: no
	do-ip6: no
	root-hints: "%[1]s/hints"
	trust-anchor-file: "%[1]s/anchors"
remote-control:
	control-enable: no
`

// forNetworks answers by the network that is told, as much of it as the name says.
func forNetworks(q dnstest.Query, right *dns.Msg) *dns.Msg {
	p, err := netip.ParsePrefix(q.Subnet)
	if err != nil {
		return right
	}
	scope := scopeOf(q.Name)
	opt := right.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), SourceScope: uint8(scope), Address: p.Addr().AsSlice()})
	for _, rr := range right.Answer {
		if a, ok := rr.(*dns.A); ok {
			a.A = answerFor(p.Addr(), scope)
		}
	}
	return right
}

// scopeOf is for how many bits of a network the answer for a name is.
func scopeOf(name string) (bits int) {
	_, _ = fmt.Sscanf(strings.ToLower(name), "s%d-", &bits)
	return bits
}

func answerFor(client netip.Addr, scope int) net.IP {
	p, _ := client.Prefix(scope)
	octets := p.Addr().As4()
	octets[3] = byte(scope)
	return octets[:]
}

// subnetJudge asks two servers the same.
type subnetJudge struct {
	t             *testing.T
	tree          *dnstest.Tree
	ours, unbound netip.AddrPort
	told, shared  int
}

// ask asks both as a client, and compares what the server of the zone was told.
func (j *subnetJudge) ask(name string, client netip.Addr) {
	j.t.Helper()
	ours, told := j.askOne(j.ours, name, client)
	theirs, toldThem := j.askOne(j.unbound, name, client)
	want := "192.0.2.2"
	if strings.HasSuffix(name, ".cdn.nature.") {
		want = answerFor(client, scopeOf(name)).String()
	}
	if ours != want || theirs != want || !slices.Equal(told, toldThem) {
		j.t.Errorf("%s from %v: we say %s after telling of %v, unbound %s after %v; want %s", name, client, ours, told, theirs, toldThem, want)
	}
	if len(told) > 0 {
		j.told++
	} else if want != "192.0.2.2" {
		j.shared++
	}
}

// askOne returns the address that a server gives, and the networks that it told of meanwhile.
func (j *subnetJudge) askOne(server netip.AddrPort, name string, client netip.Addr) (addr string, told []string) {
	j.t.Helper()
	before := j.tree.Total()
	m := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false)
	asker := dns.Client{Timeout: within, Dialer: &net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(client, 0))}}
	r, _, err := asker.Exchange(m, server.String())
	if err != nil || len(r.Answer) != 1 {
		j.t.Fatalf("%s from %v: %v, %v", name, client, r, err)
	}
	for _, q := range j.tree.Queries("*")[before:] {
		if q.Subnet != "" && strings.EqualFold(q.Name, name) { // unbound tells of it with a part of the name, too
			told = append(told, q.Subnet)
		}
	}
	return r.Answer[0].(*dns.A).A.String(), told
}
