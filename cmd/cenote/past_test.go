package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// What must reach no client: the addresses that are listed, and what listed names have.
var forbidden = []string{"198.51.100.66", "2001:db8:bad::", "203.0.113.66", "2001:db8::66", "payload", "7061796c6f6164", "198.51.100.99", "64:ff9b::"}

// pastPolicy is what the tests of ways past the policy are run against.
type pastPolicy struct {
	*running
	t  *testing.T
	up *dnstest.Server
}

const pastInternet = `
example.               3600 SOA ns.example. host.example. 1 3600 600 86400 60
evil.example.           300 A 203.0.113.66
evil.example.           300 AAAA 2001:db8::66
evil.example.           300 TXT "payload"
evil.example.           300 HTTPS 1 . ipv4hint=203.0.113.66
evil.example.           300 SRV 1 2 3 payload.evil.example.
evil.example.           300 TYPE65399 \# 7 7061796c6f6164
*.evil.example.         300 A 203.0.113.66
a.b.evil.example.       300 A 203.0.113.66
xn--bse-sna.example.    300 A 203.0.113.66
alias.example.          300 CNAME evil.example.
two.example.            300 CNAME alias.example.
tree.example.           300 DNAME evil.example.
b.tree.example.         300 CNAME b.evil.example.
b.evil.example.         300 A 203.0.113.66
address.example.        300 A 198.51.100.66
both.example.           300 A 203.0.113.1
both.example.           300 A 198.51.100.66
six.example.            300 AAAA 2001:db8:bad::1
mapped.example.         300 AAAA ::ffff:198.51.100.66
nat64.example.          300 AAAA 64:ff9b::c633:6442
far.example.            300 CNAME address.example.
hint.example.           300 HTTPS 1 . alpn=h2 ipv4hint=203.0.113.1,198.51.100.66
hint6.example.          300 SVCB 1 . ipv6hint=2001:db8:bad::7
target.example.         300 HTTPS 1 evil.example. ipv4hint=203.0.113.66
aliased.example.        300 HTTPS 0 evil.example.
steps.example.          300 CNAME hint.example.
_x._tcp.example.        300 SRV 1 2 3 evil.example.
mail.example.           300 MX 1 evil.example.
warm.example.           300 A 203.0.113.77
fresh.example.          300 A 198.51.100.99
stale.example.            1 A 198.51.100.99
elapsed.example.          1 A 203.0.113.77
kept.example.             1 A 203.0.113.78
ahead.example.            8 A 198.51.100.99
*.wild.example.         300 A 198.51.100.66
*.long.example.         300 A 203.0.113.66
ns.bad.example.         300 A 203.0.113.5
hosted.example.         300 NS ns.bad.example.
hosted.example.         300 A 203.0.113.66
moored.example.         300 NS ns.fine.example.
moored.example.         300 A 203.0.113.66
ns.fine.example.        300 A 198.51.100.66
`

// pastNothing is a policy zone that lists nothing of that.
const pastNothing = `$TTL 300
$ORIGIN rpz.example.
@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 300
@ NS localhost.
other.example CNAME .
`

const pastPolicyZone = `$TTL 300
$ORIGIN rpz.example.
@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 300
@ NS localhost.
evil.example CNAME .
*.evil.example CNAME .
xn--bse-sna.example CNAME .
*.long.example CNAME *.garden-that-has-a-very-long-name-of-its-own-so-that-none-fits.example.
32.66.100.51.198.rpz-ip CNAME .
48.zz.bad.db8.2001.rpz-ip CNAME .
ns.bad.example.rpz-nsdname CNAME .
32.66.100.51.198.rpz-nsip CNAME .
`

// pastOwnZone is a zone of the server itself.
const pastOwnZone = `$TTL 300
@ SOA ns host 1 7200 3600 1209600 60
@ NS ns
ns A 198.51.100.66
sub NS ns.sub
ns.sub A 198.51.100.66
ns.sub AAAA 2001:db8:bad::1
`

func startPast(t *testing.T, zone string) *pastPolicy {
	t.Helper()
	dir := t.TempDir()
	up := dnstest.Start(t, pastInternet)
	path := filepath.Join(dir, "policy.rpz")
	own := filepath.Join(dir, "own.zone")
	for name, text := range map[string]string{path: zone, own: pastOwnZone} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := startServer(t, dir, fmt.Sprintf(`
state: %s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['%s']
cache: {prefetch: 50%%}
local_zones: {minimal_any: false}
compile: {poll: 200ms, debounce: 50ms}
zones: [{name: own.test, file: %s}]
feeds: [{name: rpz, path: %s}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: rpz, feeds: [rpz]}]}
`, dir, up.Addr(), own, path))
	return &pastPolicy{running: s, t: t, up: up}
}

// attempt is one way past the policy.
type attempt struct {
	way   string
	name  string
	qtype uint16
	edit  func(*dns.Msg)
	tcp   bool
	leak  string // that is forbidden too
	// alone is why a client gets nothing that is forbidden by it alone, policy or not.
	alone string
}

func attempts() []attempt {
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3) + "long.example."
	do := func(m *dns.Msg) { m.SetEdns0(4096, true) }
	return []attempt{
		{way: "the name itself", name: "evil.example."},
		{way: "letter case", name: "eViL.ExAmPlE."},
		{way: "a name below", name: "a.b.evil.example."},
		{way: "an escaped letter", name: `\101vil.example.`, edit: func(m *dns.Msg) { m.Question[0].Name = `\101vil.example.` }},
		{way: "an escaped letter that is the name's", name: `\101\118il.example.`},
		{way: "an escaped dot", name: `a\.evil.example.`, alone: "it is another name"},
		{way: "an octet of zero before it", name: `a\000.evil.example.`},
		{way: "an internationalised name", name: "xn--bse-sna.example."},
		{way: "an internationalised name in upper case", name: "XN--BSE-SNA.EXAMPLE."},
		{way: "AAAA", name: "evil.example.", qtype: dns.TypeAAAA},
		{way: "TXT", name: "evil.example.", qtype: dns.TypeTXT},
		{way: "HTTPS", name: "evil.example.", qtype: dns.TypeHTTPS},
		{way: "SRV", name: "evil.example.", qtype: dns.TypeSRV},
		{way: "ANY", name: "evil.example.", qtype: dns.TypeANY},
		{way: "an unknown type", name: "evil.example.", qtype: 65399},
		{way: "an alias", name: "alias.example."},
		{way: "an alias of an alias", name: "two.example."},
		{way: "a DNAME", name: "b.tree.example."},
		{way: "a listed address", name: "address.example."},
		{way: "a listed address among others", name: "both.example."},
		{way: "a listed address at the end of an alias", name: "far.example."},
		{way: "a listed IPv6 address", name: "six.example.", qtype: dns.TypeAAAA},
		{way: "an IPv4 address in the form of IPv6", name: "mapped.example.", qtype: dns.TypeAAAA},
		{way: "an IPv4 address behind a translator", name: "nat64.example.", qtype: dns.TypeAAAA},
		{way: "an address by a wildcard", name: "x.y.wild.example."},
		{way: "ANY of a listed address", name: "address.example.", qtype: dns.TypeANY},
		{way: "a hint beside a service", name: "hint.example.", qtype: dns.TypeHTTPS},
		{way: "an IPv6 hint", name: "hint6.example.", qtype: dns.TypeSVCB},
		{way: "a hint at the end of an alias", name: "steps.example.", qtype: dns.TypeHTTPS},
		{way: "the target of a service", name: "target.example.", qtype: dns.TypeHTTPS},
		{way: "the target of an alias of a service", name: "aliased.example.", qtype: dns.TypeHTTPS, leak: "0 evil.example."},
		{way: "the target of SRV", name: "_x._tcp.example.", qtype: dns.TypeSRV, alone: targetAlone},
		{way: "the target of MX", name: "mail.example.", qtype: dns.TypeMX, alone: targetAlone},
		{way: "a name server by name", name: "hosted.example."},
		{way: "a name server by address", name: "moored.example."},
		{way: "an over-long expansion", name: long},
		{way: "signatures asked for", name: "evil.example.", edit: do},
		{way: "signatures asked for, of a listed address", name: "address.example.", edit: do},
		{way: "no recursion", name: "evil.example.", edit: func(m *dns.Msg) { m.RecursionDesired = false }},
		{way: "no recursion, of an answer that is cached", name: "address.example.", edit: func(m *dns.Msg) { m.RecursionDesired = false }},
		{way: "checking disabled", name: "evil.example.", edit: func(m *dns.Msg) { m.CheckingDisabled = true }},
		{way: "checking disabled, of a listed address", name: "address.example.", edit: func(m *dns.Msg) { m.CheckingDisabled = true }},
		{way: "TCP", name: "evil.example.", tcp: true},
		{way: "TCP, of a listed address", name: "address.example.", tcp: true},
		{way: "another class", name: "evil.example.", edit: func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, alone: classAlone},
		{way: "any class", name: "evil.example.", edit: func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }, alone: classAlone},
		{way: "a large buffer", name: "address.example.", edit: func(m *dns.Msg) { m.SetEdns0(65535, false) }},
		{way: "another client by an option", name: "evil.example.", edit: func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}})
		}},
		{way: "beside the name servers of a zone of ours", name: "own.test.", qtype: dns.TypeNS},
		{way: "beside the referral of a zone of ours", name: "x.sub.own.test.", edit: func(m *dns.Msg) { m.RecursionDesired = false }},
		{way: "no EDNS", name: "both.example.", edit: func(m *dns.Msg) { m.Extra = nil }},
	}
}

// Why some ways lead nowhere by themselves.
const (
	targetAlone = "it names a target whose address has to be asked for"
	classAlone  = "no other class is resolved"
)

// TestNobodyGetsPastThePolicy tries the ways that are known to carry a listed name or address to a client, each twice: fresh and from the cache.
func TestNobodyGetsPastThePolicy(t *testing.T) {
	s := startPast(t, pastPolicyZone)
	for _, a := range attempts() {
		for _, round := range []string{"at first", "again"} {
			if text, carried := s.try(a, round); carried {
				t.Errorf("%s, %s: got through:\n%s", a.way, round, text)
			}
		}
	}
}

// TestWaysPastThePolicyLeadThere takes the same ways where nothing is listed: at least 40 of them bring what is forbidden, so that it is the policy that
// stops it.
func TestWaysPastThePolicyLeadThere(t *testing.T) {
	s := startPast(t, pastNothing)
	there := 0
	for _, a := range attempts() {
		text, carried := s.try(a, "without a policy")
		if carried != (a.alone == "") {
			t.Errorf("%s: carries what is forbidden: %t (%s)\n%s", a.way, carried, a.alone, text)
		}
		if carried {
			there++
		}
	}
	if there < 40 {
		t.Errorf("only %d ways lead there", there)
	}
}

// try takes a way, and tells what came of it and whether that is forbidden.
func (s *pastPolicy) try(a attempt, round string) (text string, carried bool) {
	s.t.Helper()
	m := new(dns.Msg).SetQuestion(a.name, max(a.qtype, dns.TypeA))
	if a.edit != nil {
		a.edit(m)
	}
	client := dns.Client{Timeout: patience, Net: "udp"}
	if a.tcp {
		client.Net = "tcp"
	}
	reply, _, err := client.Exchange(m, s.addr().String())
	if err != nil {
		s.t.Errorf("%s, %s: %v", a.way, round, err)
		return "", false
	}
	text = reply.String()
	return text, slices.ContainsFunc(append(slices.Clone(forbidden), a.leak), func(f string) bool { return f != "" && strings.Contains(text, f) })
}

// TestNewlyListedIsRefusedFromTheCache: what was answered before it was listed is refused from the first query after its publication on, also where it is
// fetched ahead of its end, or kept past it.
func TestNewlyListedIsRefusedFromTheCache(t *testing.T) {
	s := startPast(t, pastPolicyZone)
	listed := map[string]string{"fresh": "198.51.100.99", "stale": "198.51.100.99", "ahead": "198.51.100.99", "warm": "203.0.113.77", "elapsed": "203.0.113.77"}
	for name, addr := range listed {
		for range 3 { // what is asked for more than once is fetched ahead
			s.wants(name, addr, true)
		}
	}
	s.wants("kept", "203.0.113.78", true)
	s.list("warm.example CNAME .\nelapsed.example CNAME .\n32.99.100.51.198.rpz-ip CNAME .\n")
	askedFor := func() int { return s.up.Asked("fresh.example", 0) + s.up.Asked("warm.example", 0) } // others may be fetched ahead
	asked := askedFor()
	s.wants("fresh", listed["fresh"], false)
	s.wants("warm", listed["warm"], false)
	if askedFor() != asked {
		t.Error("the answers did not come from the cache, so nothing was tested")
	}
	s.wait("fetched ahead", func() bool {
		s.wants("ahead", listed["ahead"], false)
		return s.up.Asked("ahead.example", dns.TypeA) > 1
	})
	s.wants("ahead", listed["ahead"], false)
	s.up.Close()
	s.wait("past its time", func() bool { return strings.Contains(s.wants("kept", "203.0.113.78", true), "Stale Answer") })
	s.wants("stale", listed["stale"], false)
	s.wants("elapsed", listed["elapsed"], false)
}

// list adds rows to the policy zone, and waits until they are in force.
func (s *pastPolicy) list(rows string) {
	s.t.Helper()
	path := string(s.config.Load().Feeds[0].Path)
	zone, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	before := s.catalog.policy.Load().Generation()
	if err := os.WriteFile(path, append(zone, rows...), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.wait("published", func() bool { return s.catalog.policy.Load().Generation() > before })
}

// wants asks for a name below example, and whether it is answered with an address.
func (s *pastPolicy) wants(name, addr string, answered bool) string {
	s.t.Helper()
	m := new(dns.Msg).SetQuestion(name+".example.", dns.TypeA)
	m.SetEdns0(1232, false)
	reply, _, err := (&dns.Client{Timeout: patience}).Exchange(m, s.addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	text := reply.String()
	if strings.Contains(text, addr) != answered {
		s.t.Errorf("%s: answered with %s is not %t:\n%s", name, addr, answered, text)
	}
	return text
}
