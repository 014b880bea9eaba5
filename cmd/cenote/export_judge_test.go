package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnstest"
)

// The resolvers that operators have get the policy as one zone, and must answer as we do.

// exportedPolicy writes feeds of every kind that a zone can say, and returns the configuration of a server that has them: an allow list, lists with
// exceptions, a policy zone of somebody else, and a zone that only records.
func exportedPolicy(r *rand.Rand, dir string, up netip.AddrPort) string {
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			panic(err)
		}
	}
	names := func(n int, form string) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, form+"\n", strings.TrimSuffix(judgedName(r), "."))
		}
		return b.String()
	}
	write("allow", names(3, "%s")+"unused.example\n")
	write("list", names(8, "%s")+"unused.example\nlisted.example\nx.listed.example\n")
	write("adblock", "[Adblock Plus]\n"+names(6, "||%s^")+names(3, "@@||%s^")+"||unused.example^\n")
	write("rpz", strings.ReplaceAll(randomRPZ(r), "CNAME *.garden", "A 192.0.2.83 ; *.garden"))
	write("trial", names(5, "%s"))
	match := []string{"exact", "subtree", "below"}
	return fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['%[2]s']
rate_limit: {enabled: false}
compile: {poll: 200ms, debounce: 100ms}
feeds:
  - {name: allow, path: %[1]s/allow, format: domains, match: %[3]s}
  - {name: list, path: %[1]s/list, format: domains, match: %[4]s}
  - {name: adblock, path: %[1]s/adblock, format: adblock}
  - {name: rpz, path: %[1]s/rpz, format: rpz, zone: rpz.test}
  - {name: trial, path: %[1]s/trial, format: domains}
policy:
  sinkhole: {ipv4: [192.0.2.53], ipv6: ['2001:db8::53']}
  zones:
    - {name: allow, feeds: [allow], action: passthru}
    - {name: trial, feeds: [trial], log_only: true}
    - {name: lists, feeds: [list, adblock], action: %[5]s}
    - {name: rpz, feeds: [rpz]}
`, dir, up, match[r.IntN(3)], match[r.IntN(3)], []string{"sinkhole", "nxdomain", "nodata"}[r.IntN(3)])
}

// exported has the policy of a server written as a policy zone, which named-checkzone must take.
func exported(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "exported.rpz")
	var out bytes.Buffer
	if status := run([]string{"export", "rpz", "-c", filepath.Join(dir, "cenote.yaml"), "--zone", "rpz.test", "-o", path}, nil, &out, &out); status != 0 {
		t.Fatalf("the policy is not written: %s", out.String())
	}
	if out, err := exec.Command(program(t, "named-checkzone"), "rpz.test", path).CombinedOutput(); err != nil {
		t.Fatalf("named-checkzone refuses the zone: %s", out)
	}
	return path
}

// TestResolversJudgeTheExportedZone gives a random policy, written as one zone, to each resolver that takes such zones: each must answer as we do.
func TestResolversJudgeTheExportedZone(t *testing.T) {
	named, unbound, recursor, kresd := program(t, "named"), program(t, "unbound"), program(t, "pdns_recursor"), program(t, "kresd")
	up := dnstest.Start(t, judgedInternet)
	never := func(string) bool { return false }
	for seed := range uint64(sized(2, 40)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			ours := startServer(t, dir, exportedPolicy(rand.New(rand.NewPCG(seed, 5)), dir, up.Addr())).addr()
			zone := exported(t, dir)
			for _, peer := range []struct {
				name    string
				start   func(t *testing.T, dir string) netip.AddrPort
				differs func(string) bool
			}{
				{"named", func(t *testing.T, dir string) netip.AddrPort {
					return startNamed(t, named, dir, up.Addr(), namedZones{{"rpz.test", zone}}, "qname-wait-recurse no break-dnssec yes")
				}, never},
				{"unbound", func(t *testing.T, dir string) netip.AddrPort { return startUnbound(t, unbound, dir, zone, up.Addr()) }, never},
				{"pdns_recursor", func(t *testing.T, dir string) netip.AddrPort { return startRecursor(t, recursor, dir, zone, up.Addr()) }, never},
				{"kresd", func(t *testing.T, dir string) netip.AddrPort { return startKresd(t, kresd, dir, zone, up.Addr()) }, aliases(ours)},
			} {
				t.Run(peer.name, func(t *testing.T) {
					addr := peer.start(t, t.TempDir())
					awaitZone(t, ours, addr)
					compare(t, ours, addr, peer.differs)
				})
			}
			if t.Failed() {
				text, _ := os.ReadFile(zone)
				t.Logf("%s", text)
			}
		})
	}
}

// awaitZone waits until a resolver answers by the zone; named answers before it has gone through it.
func awaitZone(t *testing.T, ours, peer netip.AddrPort) {
	t.Helper()
	awaitAnswer(t, ours, peer, "x.listed.example.") // which every random policy stops
}

// aliases tells the names that the policy sends elsewhere by a CNAME, which Knot Resolver does not take from a policy zone.
func aliases(ours netip.AddrPort) func(string) bool {
	return func(name string) bool { return strings.Contains(reduced(ours, "127.0.0.1", name, 1), "cname") }
}

func startRecursor(t *testing.T, recursor, dir, zone string, up netip.AddrPort) netip.AddrPort {
	t.Helper()
	return startRecursorWith(t, recursor, dir, fmt.Sprintf("rpzFile(%q, {policyName=\"rpz.test\"})", zone), up)
}

// startRecursorWith starts a recursor that takes its policy zone as a line of Lua says.
func startRecursorWith(t *testing.T, recursor, dir, policy string, up netip.AddrPort) netip.AddrPort {
	t.Helper()
	port := dnstest.FreePort(t).Port()
	lua := filepath.Join(dir, "policy.lua")
	if err := os.WriteFile(lua, []byte(policy+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return startPeer(t, port, recursor, "--config-dir="+dir, "--socket-dir="+dir, "--daemon=no", "--write-pid=no", "--local-address=127.0.0.1",
		fmt.Sprint("--local-port=", port), "--lua-config-file="+lua, "--forward-zones-recurse=.="+up.String(), "--dont-query=", "--threads=1", "--dnssec=off",
		"--udp-source-port-min=32768", "--setuid=", "--setgid=", "--security-poll-suffix=", "--packetcache-ttl=0", "--quiet=yes", "--loglevel=3", "--minimum-ttl-override=0", "--root-nx-trust=no", "--hint-file=no")
}

func startKresd(t *testing.T, kresd, dir, zone string, up netip.AddrPort) netip.AddrPort {
	t.Helper()
	port := dnstest.FreePort(t).Port()
	conf := filepath.Join(dir, "kresd.conf")
	text := fmt.Sprintf(`
net.listen('127.0.0.1', %d, { kind = 'dns' })
cache.size = 1 * MB
trust_anchors.remove('.')
modules.load('policy')
local zone = policy.rpz(policy.DENY, '%s', false)
policy.add(function(state, query)
  local action = zone(state, query)
  if action ~= policy.PASS then return action end -- which would end the chain before names are forwarded
end)
policy.add(policy.all(policy.STUB({'127.0.0.1@%d'})))
`, port, zone, up.Port())
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return startPeer(t, port, kresd, "-n", "-q", "-c", conf, dir)
}
