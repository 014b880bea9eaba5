package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// program is dnstest.Program.
func program(t *testing.T, name string) string {
	t.Helper()
	return dnstest.Program(t, name)
}

// startPeer runs a server on a port of 127.0.0.1 until the test ends, and waits until it answers.
func startPeer(t *testing.T, port uint16, command ...string) netip.AddrPort {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	q := question{rd: true, from: "127.0.0.1", wait: again, name: "ready.example.", qtype: dns.TypeA, class: dns.ClassINET}
	dnstest.StartPeer(t, func() bool { return q.exchange(addr) != "no reply\n" }, command...)
	return addr
}

const judgedInternet = `
example.            300 SOA ns.example. host.example. 1 3600 600 86400 60
*.example.          300 A 192.0.2.77
*.example.          300 TXT "from the internet"
garden.example.     300 A 192.0.2.81
*.garden.example.   300 A 192.0.2.82
`

// randomRPZ writes a policy zone about names of few letters, so that rules meet: exact ones, wildcards, names that exist only because others lie
// below them, and every action.
func randomRPZ(r *rand.Rand) string {
	actions := []string{"CNAME .", "CNAME *.", "CNAME rpz-passthru.", "CNAME rpz-tcp-only.", "A 192.0.2.80", "CNAME garden.example.", "CNAME *.garden.example."}
	var b strings.Builder
	b.WriteString("$TTL 60\n$ORIGIN rpz.test.\n@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 60\n@ NS localhost.\n")
	seen := map[string]bool{}
	for range 12 {
		owner := strings.TrimSuffix(judgedName(r), ".")
		if r.IntN(3) == 0 {
			owner = "*." + owner
		}
		if !seen[owner] {
			seen[owner] = true
			fmt.Fprintf(&b, "%s %s\n", owner, actions[r.IntN(len(actions))])
		}
	}
	return b.String()
}

func judgedName(r *rand.Rand) string {
	labels := make([]string, 1+r.IntN(4))
	for i := range labels {
		labels[i] = string(rune('a' + r.IntN(3)))
	}
	return strings.Join(labels, ".") + ".example."
}

// judgedNames are all names that randomRPZ can be about, and some below.
func judgedNames() []string {
	out := []string{}
	level := []string{"example."}
	for range 4 {
		var next []string
		for _, parent := range level {
			for _, label := range []string{"a", "b", "c"} {
				next = append(next, label+"."+parent)
			}
		}
		out = append(out, next...)
		level = next
	}
	return out
}

// reduced is a reply to a client as judges compare it: response code, truncation, and the answer section without TTLs.
func reduced(server netip.AddrPort, client, name string, qtype uint16) string {
	m := new(dns.Msg).SetQuestion(name, qtype)
	c := dns.Client{Timeout: patience, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(client)}}}
	r, _, err := c.Exchange(m, server.String())
	if err != nil {
		return "no reply"
	}
	var answers []string
	for _, rr := range r.Answer {
		rr.Header().Ttl = 0
		answers = append(answers, strings.ToLower(rr.String()))
	}
	slices.Sort(answers)
	return fmt.Sprint(dns.RcodeToString[r.Rcode], " tc=", r.Truncated, " ", answers)
}

// TestNamedJudgesPolicyZones gives random policy zones to named and to us: every answer must agree.
func TestNamedJudgesPolicyZones(t *testing.T) {
	named, check := program(t, "named"), program(t, "named-checkzone")
	up := dnstest.Start(t, judgedInternet)
	for seed := range uint64(sized(3, 60)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			zone := filepath.Join(dir, "policy.rpz")
			if err := os.WriteFile(zone, []byte(randomRPZ(rand.New(rand.NewPCG(seed, 1)))), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(check, "rpz.test", zone).CombinedOutput(); err != nil {
				t.Fatalf("named-checkzone refuses the zone: %s", out)
			}
			peer := startNamed(t, named, dir, up.Addr(), namedZones{{"rpz.test", zone}}, "qname-wait-recurse no break-dnssec yes")
			ours := startServer(t, dir, rpzConfig(dir, zone, up.Addr())).addr()
			compare(t, ours, peer, func(string) bool { return false })
		})
	}
}

// TestUnboundJudgesPolicyZones does the same with unbound.
func TestUnboundJudgesPolicyZones(t *testing.T) {
	unbound := program(t, "unbound")
	up := dnstest.Start(t, judgedInternet)
	for seed := range uint64(sized(3, 60)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			zone := filepath.Join(dir, "policy.rpz")
			if err := os.WriteFile(zone, []byte(randomRPZ(rand.New(rand.NewPCG(seed, 1)))), 0o644); err != nil {
				t.Fatal(err)
			}
			peer := startUnbound(t, unbound, dir, zone, up.Addr())
			ours := startServer(t, dir, rpzConfig(dir, zone, up.Addr())).addr()
			compare(t, ours, peer, emptyNonTerminals(zone))
		})
	}
}

// emptyNonTerminals tells the names whose closest encloser in a policy zone is an empty non-terminal, on which unbound differs: see
// testdata/peers/README.md.
func emptyNonTerminals(zone string) func(string) bool {
	text, _ := os.ReadFile(zone)
	exists, rule, wildcard := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		owner, _, _ := strings.Cut(line, " ")
		if !strings.HasSuffix(owner, "example") {
			continue
		}
		name, wild := strings.CutPrefix(owner, "*.")
		rule[name], wildcard[name] = rule[name] || !wild, wildcard[name] || wild
		for name != "" {
			exists[name] = true
			_, name, _ = strings.Cut(name, ".")
		}
	}
	return func(asked string) bool {
		asked = strings.TrimSuffix(asked, ".")
		name := asked
		for !exists[name] {
			_, name, _ = strings.Cut(name, ".")
		}
		if name == asked {
			return !rule[name]
		}
		return !rule[name] && !wildcard[name]
	}
}

// compare asks both for every name that is judged, but those on which the peer is known to differ.
func compare(t *testing.T, ours, peer netip.AddrPort, differs func(string) bool) {
	t.Helper()
	names := slices.DeleteFunc(judgedNames(), differs)
	if d := difference(ours, peer, names); d != "" {
		t.Error(d)
	}
	if len(names) < 10 {
		t.Errorf("only %d names were asked for", len(names))
	}
}

// difference asks both for names, and returns what is answered otherwise.
func difference(ours, peer netip.AddrPort, names []string) string {
	var b strings.Builder
	for _, name := range names {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeTXT} {
			if got, want := reduced(ours, "127.0.0.1", name, qtype), reduced(peer, "127.0.0.1", name, qtype); got != want {
				fmt.Fprintf(&b, "%s %s:\n got  %s\n want %s\n", name, dns.TypeToString[qtype], got, want)
			}
		}
	}
	return b.String()
}

func rpzConfig(dir, zone string, up netip.AddrPort) string {
	return fmt.Sprintf(`
state: %s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['%s']
rate_limit: {enabled: false}
feeds: [{name: rpz, path: %s, format: rpz, zone: rpz.test}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: rpz, feeds: [rpz]}]}
`, dir, up, zone)
}

// namedZones are the policy zones of a named, in order: apex and file.
type namedZones [][2]string

// startNamed starts a named that forwards to up, with policy zones and the options that hold for all of them.
func startNamed(t *testing.T, named, dir string, up netip.AddrPort, zones namedZones, options string) netip.AddrPort {
	t.Helper()
	var policies, files strings.Builder
	for _, z := range zones {
		fmt.Fprintf(&policies, "zone %q; ", z[0])
		fmt.Fprintf(&files, "zone %q { type primary; file %q; notify no; };\n", z[0], z[1])
	}
	return startNamedWith(t, named, dir, dnstest.FreePort(t).Port(), up, policies.String(), options, files.String())
}

// startNamedWith starts a named at a port, where zones is the text that says what its zones are.
func startNamedWith(t *testing.T, named, dir string, port uint16, up netip.AddrPort, policies, options, zones string) netip.AddrPort {
	t.Helper()
	conf := filepath.Join(dir, "named.conf")
	text := fmt.Sprintf(`
controls { };
options { directory "%[1]s"; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none;
 managed-keys-directory "%[1]s"; recursion yes; allow-query { any; }; forward only; forwarders port %[3]d { 127.0.0.1; };
 dnssec-validation no; minimal-responses yes; empty-zones-enable no; notify no; qname-minimization off;
 response-policy { %[4]s} min-update-interval 0 %[5]s; };
logging { category default { null; }; };
%[6]s`, dir, port, up.Port(), policies, options, zones)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startPeer(t, port, named, "-g", "-n", "1", "-c", conf)
}

func startUnbound(t *testing.T, unbound, dir, zone string, up netip.AddrPort) netip.AddrPort {
	t.Helper()
	return startUnboundWith(t, unbound, dir, dnstest.FreePort(t).Port(), up, fmt.Sprintf("rpz:\n name: rpz.test\n zonefile: %q", zone))
}

// startUnboundWith starts an unbound at a port, where policy is the text that says what its policy zones are.
func startUnboundWith(t *testing.T, unbound, dir string, port uint16, up netip.AddrPort, policy string) netip.AddrPort {
	t.Helper()
	conf := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`
server:
 interface: 127.0.0.1@%d
 outgoing-port-avoid: %q
 directory: "%s"
 chroot: ""
 username: ""
 pidfile: ""
 use-syslog: no
 do-daemonize: no
 do-not-query-localhost: no
 module-config: "respip iterator"
 minimal-responses: yes
 do-ip6: no
%s
forward-zone:
 name: "."
 forward-addr: 127.0.0.1@%d
remote-control:
 control-enable: no
`, port, dnstest.PeerPorts, dir, policy, up.Port())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startPeer(t, port, unbound, "-d", "-c", conf)
}

// TestDigSeesTheSinkhole asks with the client that operators use.
func TestDigSeesTheSinkhole(t *testing.T) {
	dig := program(t, "dig")
	dir := t.TempDir()
	list, key := filepath.Join(dir, "list.domains"), filepath.Join(dir, "branch.key")
	writeAll(t, dir, map[string]string{"list.domains": "malware.example\n", "branch.key": "c2l4dGVlbiBvY3RldHMgYW5kIG1vcmUgb2YgdGhlbSE=\n"})
	s := startServer(t, dir, `
state: `+dir+`/state
listen: [{address: 127.0.0.1:0}]
keys: [{name: branch.example, algorithm: hmac-sha512, secret_file: `+key+`}]
feeds: [{name: list, path: `+list+`}]
policy: {sinkhole: {ipv4: [192.0.2.53], ipv6: ['2001:db8::53']}, zones: [{name: block, feeds: [list]}]}
`)
	for _, tc := range []struct {
		name  string
		args  []string
		wants []string
	}{
		{"A", []string{"malware.example"}, []string{"status: NOERROR", "192.0.2.53", "EDE: 15 (Blocked)"}},
		{"AAAA", []string{"malware.example", "AAAA"}, []string{"2001:db8::53"}},
		{"over TCP", []string{"+tcp", "malware.example"}, []string{"192.0.2.53"}},
		{"HTTPS", []string{"malware.example", "HTTPS"}, []string{"status: NOERROR", "ANSWER: 0"}},
		{"cookie", []string{"malware.example"}, []string{"(good)"}},
		{"EDNS version 1", []string{"+edns=1", "+noednsneg", "malware.example"}, []string{"status: BADVERS"}},
		{"unknown option", []string{"+ednsopt=65001:00", "malware.example"}, []string{"192.0.2.53"}},
		{"opcode", []string{"+opcode=NOTIFY", "malware.example"}, []string{"status: NOTIMP"}},
		{"ANY", []string{"malware.example", "ANY"}, []string{"status: NOERROR"}},
		{"signed", []string{"-y", "hmac-sha512:branch.example:c2l4dGVlbiBvY3RldHMgYW5kIG1vcmUgb2YgdGhlbSE=", "malware.example"}, []string{"192.0.2.53", "TSIG PSEUDOSECTION"}},
		{"signed with another secret", []string{"-y", "hmac-sha512:branch.example:YW5vdGhlciBzZWNyZXQsIGFzIGxvbmcgYXMgdGhhdC4=", "malware.example"}, []string{"status: NOTAUTH", "BADSIG"}},
		{"letter case", []string{"MaLware.Example"}, []string{"MaLware.Example."}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			args := append([]string{"@127.0.0.1", "-p", fmt.Sprint(s.addr().Port()), "+tries=1", "+timeout=20"}, tc.args...)
			out, err := exec.CommandContext(ctx, dig, args...).CombinedOutput()
			for _, want := range tc.wants {
				if err != nil || !strings.Contains(string(out), want) {
					t.Errorf("dig %v: %v, no %q in\n%s", tc.args, err, want, out)
				}
			}
		})
	}
}
