package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// Policy zones with every trigger that named looks at where it forwards: it asks for no name servers then.

// judgedWorld writes an internet: names of few letters with few addresses, and aliases to names that have some.
func judgedWorld(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("example. 300 SOA ns.example. host.example. 1 3600 600 86400 60\nexample. 300 NS ns.example.\nns.example. 300 A 192.0.2.53\n")
	b.WriteString("garden.example. 300 A 192.0.2.81\n*.garden.example. 300 A 192.0.2.82\n")
	names := judgedNames()
	plain := []string{}
	for _, name := range names {
		if strings.Count(name, ".") > 4 {
			continue
		}
		if len(plain) > 0 && r.IntN(4) == 0 {
			fmt.Fprintf(&b, "%s 300 CNAME %s\n", name, plain[r.IntN(len(plain))])
			continue
		}
		plain = append(plain, name)
		fmt.Fprintf(&b, "%s 300 A 198.51.100.%d\n", name, 1+r.IntN(8))
		if r.IntN(2) == 0 { // one that no rule lists: named judges several listed ones by their order, see testdata/peers/README.md
			fmt.Fprintf(&b, "%s 300 A 203.0.113.%d\n", name, 1+r.IntN(8))
		}
	}
	return b.String()
}

// randomTriggers writes a policy zone about the clients of judge and the names and addresses of judgedWorld.
func randomTriggers(r *rand.Rand, apex string, rules int) string {
	actions := []string{"CNAME .", "CNAME *.", "CNAME rpz-passthru.", "CNAME rpz-tcp-only.", "A 192.0.2.80", "CNAME garden.example."}
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 60\n$ORIGIN %s.\n@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 60\n@ NS localhost.\n", apex)
	seen := map[string]bool{}
	for range rules {
		var owner string
		switch kind := r.IntN(6); {
		case kind == 0:
			owner = []string{"32.2.0.0.127.rpz-client-ip", "31.2.0.0.127.rpz-client-ip", "32.4.0.0.127.rpz-client-ip"}[r.IntN(3)]
		case kind < 3:
			owner = fmt.Sprintf("32.%d.100.51.198.rpz-ip", 1+r.IntN(8))
			if r.IntN(3) == 0 {
				owner = []string{"30.4.100.51.198.rpz-ip", "29.0.100.51.198.rpz-ip"}[r.IntN(2)]
			}
		default:
			if owner = strings.TrimSuffix(judgedName(r), "."); r.IntN(4) == 0 {
				owner = "*." + owner
			}
		}
		if !seen[owner] {
			seen[owner] = true
			fmt.Fprintf(&b, "%s %s\n", owner, actions[r.IntN(len(actions))])
		}
	}
	return b.String()
}

// TestNamedJudgesTriggers gives two random policy zones to named and to us: every answer must agree.
func TestNamedJudgesTriggers(t *testing.T) {
	named, check := program(t, "named"), program(t, "named-checkzone")
	for seed := range uint64(sized(4, 60)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			dir, world := t.TempDir(), judgedWorld(r)
			up := dnstest.Start(t, world)
			var zones []string
			for _, apex := range []string{"one.test", "two.test"} {
				path := filepath.Join(dir, apex)
				if err := os.WriteFile(path, []byte(randomTriggers(r, apex, 8)), 0o644); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.Command(check, apex, path).CombinedOutput(); err != nil {
					t.Fatalf("named-checkzone refuses the zone: %s", out)
				}
				zones = append(zones, path)
			}
			peer := startNamed(t, named, dir, up.Addr(), namedZones{
				{"one.test", zones[0]}, {"two.test", zones[1]},
			}, "qname-wait-recurse yes break-dnssec yes nsip-wait-recurse yes nsdname-wait-recurse yes")
			ours := startServer(t, dir, triggerConfig(dir, up.Addr())).addr()
			judge(t, ours, peer)
			if t.Failed() {
				for _, path := range zones {
					text, _ := os.ReadFile(path)
					t.Logf("%s", text)
				}
				t.Log(world)
			}
		})
	}
}

// judge asks both for every name, from several clients.
func judge(t *testing.T, ours, peer netip.AddrPort) {
	t.Helper()
	asked := 0
	for _, name := range judgedNames() {
		if strings.Count(name, ".") > 4 {
			continue
		}
		for _, client := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"} {
			got, want := reduced(ours, client, name, dns.TypeA), reduced(peer, client, name, dns.TypeA)
			if asked++; got != want {
				t.Errorf("%s for %s:\n got  %s\n want %s", name, client, got, want)
			}
		}
	}
	if asked < 100 {
		t.Errorf("only %d questions were asked", asked)
	}
}

func triggerConfig(dir string, up netip.AddrPort) string {
	return fmt.Sprintf(`
state: %[1]s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['%[2]s']
rate_limit: {enabled: false}
feeds: [{name: one, path: %[1]s/one.test, format: rpz, zone: one.test}, {name: two, path: %[1]s/two.test, format: rpz, zone: two.test}]
policy:
  answer_early: false
  sinkhole: {ipv4: [192.0.2.53]}
  zones: [{name: one, feeds: [one]}, {name: two, feeds: [two]}]
`, dir, up)
}
