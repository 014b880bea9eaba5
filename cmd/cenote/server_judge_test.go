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

// Policy zones with rules about name servers, which named looks at only where it resolves by itself: in a small internet, from the root down.

// servedTop are the top-level domains of servedWorld.
var servedTop = []string{"red", "blue"}

// hosts are the zones whose servers the others are at, by the number of the address.
const hosts = 6

// servedWorld writes an internet whose zones are at the servers of a few hosts, at some of their own, or at both; with zones below zones, and
// aliases from one zone to another.
func servedWorld(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("zone . server a.root.red 127.0.54.250\n")
	for i, top := range servedTop {
		fmt.Fprintf(&b, "zone %[1]s server ns.nic.%[1]s 127.0.54.%[2]d\n", top, 240+i)
	}
	for i := range hosts {
		fmt.Fprintf(&b, "zone %[1]s server ns.%[1]s 127.0.54.%[2]d\nwww A 198.51.100.%[2]d\n", host(i), 1+i)
	}
	b.WriteString("zone quiet.red server ns.quiet.red 127.0.54.200\n")
	for i := range served {
		zone := servedZone(i)
		servers, below := randomServers(r, zone, 11+2*i), randomServers(r, "sub."+zone, 12+2*i)
		if quiet := r.IntN(3); quiet == 0 { // one at most is listed: see testdata/peers/README.md
			servers = "ns.quiet.red"
		} else if quiet == 1 {
			below = "ns.quiet.red"
		} else {
			below = servers
		}
		addServed(&b, r, zone, servers)
		addServed(&b, r, "sub."+zone, below)
	}
	return b.String()
}

// addServed adds a zone.
func addServed(b *strings.Builder, r *rand.Rand, zone, servers string) {
	fmt.Fprintf(b, "zone %s server %s\n", zone, servers)
	for _, owner := range []string{"www", "*.wild", "a.ent"} {
		fmt.Fprintf(b, "%s A 198.51.100.%d\n", owner, 1+r.IntN(8))
	}
	for n := range 2 {
		fmt.Fprintf(b, "to%d CNAME %s.%s.\n", n, pick(r, "www", "x.wild", "none", "a.ent"), pick(r, servedZones()...))
	}
}

// randomServers are those of a zone: of one of the hosts or its own, or one more of its own beside.
func randomServers(r *rand.Rand, zone string, address int) string {
	servers := "ns." + host(r.IntN(hosts))
	if r.IntN(3) == 0 {
		servers = fmt.Sprintf("ns%d.%s 127.0.54.%d", r.IntN(2), zone, address)
	}
	if r.IntN(2) == 0 {
		servers += fmt.Sprintf(", ns2.%s 127.0.54.%d", zone, 30+address)
	}
	return servers
}

func host(i int) string { return fmt.Sprintf("host%d.%s", i, servedTop[i%len(servedTop)]) }

// served is how many zones of servedWorld have names that are asked for, each with one below it.
const served = 6

func servedZone(i int) string { return fmt.Sprintf("z%d.%s", i, servedTop[i%len(servedTop)]) }

// servedZones are all of these.
func servedZones() (out []string) {
	for i := range served {
		out = append(out, servedZone(i), "sub."+servedZone(i))
	}
	return out
}

// servedNames are what judges are asked for.
func servedNames() (out []string) {
	for _, zone := range servedZones() {
		for _, way := range []string{"", "www.", "x.wild.", "a.ent.", "none.", "to0.", "to1."} {
			out = append(out, way+zone+".")
		}
	}
	return out
}

// randomServerRules writes a policy zone of all triggers about servedWorld.
func randomServerRules(r *rand.Rand, apex string, rules int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 60\n$ORIGIN %s.\n@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 60\n@ NS localhost.\n", apex)
	seen := map[string]bool{}
	for range rules {
		owner := serverRule(r)
		if seen[owner] {
			continue
		}
		seen[owner] = true
		fmt.Fprintf(&b, "%s %s\n", owner, pick(r, "CNAME .", "CNAME *.", "CNAME rpz-passthru.", "CNAME rpz-tcp-only.", "A 192.0.2.80"))
	}
	return b.String()
}

// serverRule draws what a rule is about.
func serverRule(r *rand.Rand) string {
	wild := func(name string) string { return pick(r, "", "", "*.") + name }
	switch r.IntN(9) {
	case 0:
		return pick(r, "32.2.0.0.127", "31.2.0.0.127", "32.4.0.0.127") + ".rpz-client-ip"
	case 1:
		return fmt.Sprintf("32.%d.100.51.198.rpz-ip", 1+r.IntN(8))
	case 2, 3:
		return wild(strings.TrimSuffix(pick(r, servedNames()...), "."))
	case 4, 5, 6:
		return fmt.Sprintf("32.%d.54.0.127.rpz-nsip", pick(r, 1+r.IntN(hosts), 11+r.IntN(12)))
	case 7:
		return pick(r, "30.4.54.0.127", "29.0.54.0.127", "28.16.54.0.127") + ".rpz-nsip"
	}
	return wild(pick(r, "ns."+host(r.IntN(hosts)), host(r.IntN(hosts)), "ns0."+pick(r, servedZones()...), pick(r, servedZones()...))) + ".rpz-nsdname"
}

// TestNamedJudgesServerRules gives random policy zones with every trigger to named and to us, who both resolve by themselves: every answer must agree.
func TestNamedJudgesServerRules(t *testing.T) {
	named := program(t, "named")
	for seed := range uint64(sized(3, 200)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			network, r, dir := dnstest.OwnNetwork(t, 0), rand.New(rand.NewPCG(seed, 2027)), t.TempDir()
			world := servedWorld(r)
			tree, err := dnstest.StartTreeAt(t, world, 53)
			if err != nil {
				t.Fatal(err)
			}
			one, two := randomServerRules(r, "one.test", 10), randomServerRules(r, "two.test", 10)
			writeAll(t, dir, map[string]string{"hints": tree.RootHints(), "one.test": one, "two.test": two, "named.conf": fmt.Sprintf(ruledNamed, dir),
				"cenote.yaml": ruledCenote})
			peer := startPeer(t, 5302, named, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
			ours := startProcess(t, filepath.Join(dir, "cenote.yaml"))
			ours.says(`msg="policy published"`, 1)
			addr := ours.addr()
			network.Run(1, func() { judgeServerRules(t, addr, peer) })
			if t.Failed() {
				t.Logf("%s\n%s\n%s", one, two, world)
			}
		})
	}
}

// truncated is in a reduced reply that says: come over TCP. Its response code says nothing then, see testdata/peers/README.md.
const truncated = " tc=true "

// judgeServerRules asks both for every name, from several clients.
func judgeServerRules(t *testing.T, ours, peer netip.AddrPort) {
	for _, name := range servedNames() {
		for _, client := range []string{"127.0.0.1", "127.0.0.2"} {
			got, want := reduced(ours, client, name, dns.TypeA), reduced(peer, client, name, dns.TypeA)
			if got != want && !(strings.Contains(got, truncated) && strings.Contains(want, truncated)) {
				t.Errorf("%s for %s:\n got  %s\n want %s", name, client, got, want)
			}
		}
	}
}

const ruledNamed = `
controls { };
options { directory "%[1]s"; listen-on port 5302 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none;
 managed-keys-directory "%[1]s"; recursion yes; allow-query { any; }; empty-zones-enable no; notify no; dnssec-validation no; minimal-responses yes;
 response-policy { zone "one.test"; zone "two.test"; } min-update-interval 0
  qname-wait-recurse yes break-dnssec yes nsip-wait-recurse yes nsdname-wait-recurse yes; };
logging { category default { null; }; };
zone "." { type hint; file "hints"; };
zone "one.test" { type primary; file "one.test"; notify no; };
zone "two.test" { type primary; file "two.test"; notify no; };
`

const ruledCenote = `
state: state
listen: [{address: 127.0.0.1:0}]
rate_limit: {enabled: false}
recursion:
  enabled: true
  root_hints: hints
  ipv6: false
  never_asked: []
  validation: {enabled: false}
feeds: [{name: one, path: one.test, format: rpz, zone: one.test}, {name: two, path: two.test, format: rpz, zone: two.test}]
policy:
  answer_early: false
  sinkhole: {ipv4: [192.0.2.53]}
  zones: [{name: one, feeds: [one]}, {name: two, feeds: [two]}]
`
