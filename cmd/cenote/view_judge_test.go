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

// judgedViews are groups of the clients of judge, in order: some belong to two of them, and the last has all others.
var judgedViews = []struct{ name, clients string }{{"first", "127.0.0.2"}, {"second", "127.0.0.2/31"}, {"rest", "any"}}

// TestNamedJudgesViews gives groups of clients policy zones of their own, in named by its views, and compares every answer to every client.
func TestNamedJudgesViews(t *testing.T) {
	named := program(t, "named")
	for seed := range uint64(sized(2, 40)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 11))
			dir, world := t.TempDir(), judgedWorld(r)
			up := dnstest.Start(t, world)
			files := map[string]string{}
			for _, v := range judgedViews {
				for _, apex := range []string{"one", "two"} {
					files[v.name+"-"+apex] = randomTriggers(r, apex+".test", 8)
				}
			}
			port := dnstest.FreePort(t).Port()
			files["named.conf"] = viewedNamed(dir, port, up.Addr())
			writeAll(t, dir, files)
			peer := startPeer(t, port, named, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
			judge(t, startServer(t, dir, viewedConfig(dir, up.Addr())).addr(), peer)
			if t.Failed() {
				t.Log(files, world)
			}
		})
	}
}

// TestUnboundJudgesViews does the same with unbound, which has no views, but tags by client and policy zone; with one zone of rules about names for each
// group, as far as it judges those as we do.
func TestUnboundJudgesViews(t *testing.T) {
	unbound := program(t, "unbound")
	up := dnstest.Start(t, judgedInternet)
	for seed := range uint64(sized(2, 60)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r, dir := rand.New(rand.NewPCG(seed, 13)), t.TempDir()
			files := map[string]string{}
			for _, v := range judgedViews {
				files[v.name+"-one"] = strings.Replace(randomRPZ(r), "$ORIGIN rpz.test.\n", "", 1) // each of unbound's has a name of its own
				files[v.name+"-two"] = "$TTL 60\n@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 60\n@ NS localhost.\nunused.test CNAME .\n"
			}
			writeAll(t, dir, files)
			peer := startUnboundWith(t, unbound, dir, dnstest.FreePort(t).Port(), up.Addr(), taggedUnbound(dir))
			ours := startServer(t, dir, viewedConfig(dir, up.Addr())).addr()
			for client, view := range map[string]string{"127.0.0.1": "rest", "127.0.0.2": "first", "127.0.0.3": "second", "127.0.0.4": "rest"} {
				judgeTagged(t, ours, peer, client, emptyNonTerminals(filepath.Join(dir, view+"-one")))
			}
			if t.Failed() {
				t.Log(files)
			}
		})
	}
}

// judgeTagged asks both for every name, from one client, but for those on which unbound is known to differ.
func judgeTagged(t *testing.T, ours, peer netip.AddrPort, client string, differs func(string) bool) {
	t.Helper()
	asked := 0
	for _, name := range judgedNames() {
		if differs(name) {
			continue
		}
		if got, want := reduced(ours, client, name, dns.TypeA), reduced(peer, client, name, dns.TypeA); got != want {
			t.Errorf("%s for %s:\n got  %s\n want %s", name, client, got, want)
		}
		asked++
	}
	if asked < 10 {
		t.Errorf("only %d names were asked for", asked)
	}
}

// taggedUnbound is judgedViews as unbound says it: of the networks that a client is in the smallest decides which policy zone is asked.
func taggedUnbound(dir string) string {
	var b strings.Builder
	b.WriteString(" define-tag: \"first second rest\"\n access-control: 127.0.0.0/8 allow\n")
	for i, network := range []string{"127.0.0.2/32", "127.0.0.2/31", "127.0.0.0/8"} {
		fmt.Fprintf(&b, " access-control-tag: %s %q\n", network, judgedViews[i].name)
	}
	for _, v := range judgedViews {
		fmt.Fprintf(&b, "rpz:\n name: %[1]s.test\n zonefile: \"%[2]s/%[1]s-one\"\n tags: %[1]q\n", v.name, dir)
	}
	return b.String()
}

// viewedNamed is a named with judgedViews that forwards to up.
func viewedNamed(dir string, port uint16, up netip.AddrPort) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
controls { };
options { directory "%[1]s"; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none;
 managed-keys-directory "%[1]s"; recursion yes; allow-query { any; }; forward only; forwarders port %[3]d { 127.0.0.1; };
 dnssec-validation no; minimal-responses yes; empty-zones-enable no; notify no; qname-minimization off; };
logging { category default { null; }; };
`, dir, port, up.Port())
	for _, v := range judgedViews {
		fmt.Fprintf(&b, `view %[1]s { match-clients { %[2]s; };
 response-policy { zone "one.test"; zone "two.test"; } min-update-interval 0
  qname-wait-recurse yes break-dnssec yes nsip-wait-recurse yes nsdname-wait-recurse yes;
 zone "one.test" { type primary; file "%[1]s-one"; }; zone "two.test" { type primary; file "%[1]s-two"; }; };
`, v.name, v.clients)
	}
	return b.String()
}

// viewedConfig is ours with the same, the last of judgedViews being the zones of everybody.
func viewedConfig(dir string, up netip.AddrPort) string {
	var feeds, views strings.Builder
	rest := ""
	for _, v := range judgedViews {
		var zones []string
		for _, apex := range []string{"one", "two"} {
			fmt.Fprintf(&feeds, "  - {name: %[1]s-%[2]s, path: %[3]s/%[1]s-%[2]s, format: rpz, zone: %[2]s.test}\n", v.name, apex, dir)
			zones = append(zones, fmt.Sprintf("{name: %[2]s, feeds: [%[1]s-%[2]s]}", v.name, apex))
		}
		if rest = strings.Join(zones, ", "); v.clients != "any" {
			fmt.Fprintf(&views, "    - {name: %s, clients: [%s], zones: [%s]}\n", v.name, v.clients, rest)
		}
	}
	return fmt.Sprintf(`
state: %s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['%s']
rate_limit: {enabled: false}
feeds:
%spolicy:
  answer_early: false
  sinkhole: {ipv4: [192.0.2.53]}
  zones: [%s]
  views:
%s`, dir, up, feeds.String(), rest, views.String())
}
