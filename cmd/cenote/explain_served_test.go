package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/api"
	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/policy"

	"github.com/miekg/dns"
)

// servedInternet is what the names of the questions have: each kind of thing that rules look at.
const servedInternet = `
example.            3600 SOA ns.example. host.example. 1 3600 600 86400 60
plain.example.       300 A 203.0.113.1
plain.example.       300 AAAA 2001:db8::1
alias.example.       300 CNAME listed.example.
listed.example.      300 A 203.0.113.2
listed.example.      300 TXT "of the internet"
careful.example.     300 A 203.0.113.3
hosted.example.      300 A 198.51.100.7
hosted.example.      300 RRSIG A 13 2 300 20300101000000 20200101000000 1 example. AAAA
six.example.         300 A 203.0.113.4
six.example.         300 AAAA 2001:db8:66::1
service.example.     300 HTTPS 1 listed.example. alpn=h2
service.example.     300 A 203.0.113.5
tipped.example.      300 HTTPS 1 . ipv4hint=198.51.100.9
big.example.         300 A 203.0.113.6
pattern7.example.    300 A 203.0.113.7
moored.example.      300 A 203.0.113.8
moored.example.      300 NS ns.bad.example.
ns.bad.example.      300 A 203.0.113.53
! broken.example rcode=SERVFAIL
`

// servedConfig has a code of extended errors of its own for each zone, so that a reply tells which one it is from.
const servedConfig = `
state: %[1]s/state
listen: [{address: 127.0.0.1:0}, {address: 127.0.0.2:0}]
upstreams: ['%[2]s']
rate_limit: {enabled: false}
feeds:
  - {name: names, path: %[1]s/names.domains}
  - {name: careful, path: %[1]s/careful.domains}
  - {name: hosts, path: %[1]s/hosts.ips, format: addresses}
  - {name: big, path: %[1]s/big.domains}
  - {name: patterns, path: %[1]s/patterns.regex, format: regex}
  - {name: rpz, path: %[1]s/policy.rpz}
policy:
  answer_early: %[3]t
  sinkhole: {ipv4: [192.0.2.53], ipv6: ['2001:db8::53']}
  zones:
    - {name: careful, feeds: [careful], recursive_only: true, ede: censored}
    - {name: hosts, feeds: [hosts], break_dnssec: false, ede: filtered}
    - {name: big, feeds: [big], action: tcp-only, ede: prohibited}
    - {name: block, feeds: [names, patterns, rpz], action: nxdomain}
  views:
    - {name: stream, transports: [tcp], clients: [127.0.1.0/24], zones: [{name: block, feeds: [names], ede: forged-answer}]}
    - {name: door, listeners: [127.0.0.2], zones: [{name: hosts, feeds: [hosts], ede: filtered, recursive_only: true}, {name: big, feeds: [big], ede: censored}]}
    - {name: guests, clients: [127.0.1.0/24], zones: [{name: hosts, feeds: [hosts, patterns], break_dnssec: false, ede: prohibited}]}
`

func servedCodes() map[string]uint16 {
	return map[string]uint16{
		"/careful": 16, "/hosts": 17, "/big": 18, "/block": 15, "stream/block": 4, "door/hosts": 17, "door/big": 16, "guests/hosts": 18,
	}
}

func servedFiles() map[string]string {
	return map[string]string{
		"names.domains": "listed.example\nhosted.example\nbroken.example\n", "careful.domains": "careful.example\nlisted.example\nhosted.example\n", "hosts.ips": "198.51.100.0/24\n2001:db8:66::/48\n203.0.113.2\n",
		"big.domains": "big.example\n", "patterns.regex": "^pattern[0-9]\n",
		"policy.rpz": "$TTL 300\n$ORIGIN rpz.example.\n@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 300\n@ NS localhost.\nns.bad.example.rpz-nsdname CNAME .\n",
	}
}

// TestExplanationsEqualReplies asks a running server, in all the ways that matter to policies, and asks explain the same: the zone that decided, told by its
// extended error, must be the one that is explained.
func TestExplanationsEqualReplies(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(fmt.Sprint("early ", early), func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range servedFiles() {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			up := dnstest.Start(t, servedInternet)
			s := startServer(t, dir, fmt.Sprintf(servedConfig, dir, up.Addr(), early))
			seen := map[string]int{}
			r := rand.New(rand.NewPCG(7, 7))
			for range sized(400, 20_000) {
				q := randomQuestion(r)
				q.check(t, s, r, seen)
			}
			t.Log(seen)
			for zone := range servedCodes() {
				if seen[zone] == 0 {
					t.Errorf("no question was decided by zone %s", zone)
				}
			}
		})
	}
}

// asked is a question as the test asks it in both ways.
type asked struct {
	question
	door string
}

func randomQuestion(r *rand.Rand) asked {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var names []string
	for line := range strings.Lines(servedInternet) {
		if f := strings.Fields(line); len(f) > 2 && f[2] != "SOA" && f[0] != "!" {
			names = append(names, f[0])
		}
	}
	return asked{
		question{
			tcp: r.IntN(2) == 0, do: r.IntN(2) == 0, rd: r.IntN(3) > 0, edns: true, from: pick("127.0.0.1", "127.0.1.1"),
			name: pick(append(names, "broken.example.", "absent.example.")...), qtype: dns.StringToType[pick("A", "A", "AAAA", "HTTPS", "TXT")], class: dns.ClassINET,
		}, pick("127.0.0.1", "127.0.0.2"),
	}
}

// check compares what is served with what is explained, in either order.
func (q *asked) check(t *testing.T, s *running, r *rand.Rand, seen map[string]int) {
	t.Helper()
	var at netip.AddrPort
	for _, l := range s.dns.Addrs() {
		if l.Addr.Addr() == netip.MustParseAddr(q.door) {
			at = l.Addr
		}
	}
	var reply string
	if r.IntN(2) == 0 {
		reply = q.exchange(at)
	}
	asked := api.Question{
		Name: dnsname.MustParse(q.name), Client: netip.MustParseAddr(q.from), Type: q.qtype, Listener: at, NoRD: !q.rd, DO: q.do, Resolve: true,
	}
	if q.tcp {
		asked.Transport = policy.TransportTCP
	}
	e, err := s.catalog.Explain(context.Background(), asked)
	if err != nil {
		t.Fatal(err)
	}
	if reply == "" {
		reply = q.exchange(at)
	}
	want, zone := "", ""
	if e.Winner != nil {
		zone = e.View + "/" + e.Winner.Zone
	}
	switch e.Effect {
	case "policy":
		want = fmt.Sprintf("EDE %d\n", servedCodes()[zone])
	case "truncated":
		want = " tc\n"
	}
	seen[zone]++
	refused := strings.HasPrefix(reply, "REFUSED") && !q.rd || strings.HasPrefix(reply, "SERVFAIL")
	if reply == "no reply\n" || want != "" && !strings.Contains(reply, want) || want == "" && strings.Contains(reply, "EDE") && !refused || refused && e.Without == "" {
		t.Errorf("%+v gets\n%s\nexplained is %s by %s of %s, without %q", q, reply, e.Effect, zone, e.Name, e.Without)
	}
}
