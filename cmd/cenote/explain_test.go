package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/api"
	"cenote/dnsname"
	"cenote/dnstest"

	"github.com/miekg/dns"
)

// TestReferencesAreResolved: the text that a client gets beside its answer leads to the rule, whatever it looks at.
func TestReferencesAreResolved(t *testing.T) {
	dir := t.TempDir()
	up := dnstest.Start(t, `
		example.         3600 SOA ns.example. host.example. 1 3600 600 86400 60
		hosted.example.   300 A 198.51.100.7
		served.example.   300 A 203.0.113.1
		served.example.   300 NS ns.bad.example.
		ns.bad.example.   300 A 203.0.113.53
		moored.example.   300 A 203.0.113.2
		moored.example.   300 NS ns.harbour.example.
		ns.harbour.example. 300 A 203.0.113.54
	`)
	zone := filepath.Join(dir, "policy.rpz")
	if err := os.WriteFile(zone, []byte(`$TTL 300
$ORIGIN rpz.example.
@ SOA localhost. hostmaster.localhost. 1 3600 600 604800 300
@ NS localhost.
listed.example CNAME .
other.example CNAME .
*.wild.example CNAME .
*.other.example CNAME .
24.0.100.51.198.rpz-ip CNAME *.
24.0.100.51.199.rpz-ip CNAME *.
ns.other.example.rpz-nsdname CNAME .
32.55.113.0.203.rpz-nsip CNAME *.
ns.bad.example.rpz-nsdname CNAME .
32.54.113.0.203.rpz-nsip CNAME *.
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, `
state: `+dir+`
listen: [{address: 127.0.0.1:0}]
upstreams: ['`+up.Addr().String()+`']
feeds: [{name: rpz, path: `+zone+`}]
query_log: {mode: matches, path: `+dir+`/queries.jsonl}
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: rpz, feeds: [rpz], ede_reference: true}]}
`)
	for name, want := range map[string]string{
		"listed.example": "listed.example qname listed.example",
		"a.wild.example": "*.wild.example qname wild.example",
		"hosted.example": "198.51.100.0 ip 198.51.100.0/24",
		"moored.example": "203.0.113.54 nsip 203.0.113.54",
		"served.example": "ns.bad.example nsdname ns.bad.example",
	} {
		reference := s.reference(t, name)
		s.wait("in the query log", func() bool {
			log, err := os.ReadFile(filepath.Join(dir, "queries.jsonl"))
			return err == nil && strings.Contains(string(log), `"name":"`+name+`"`) && strings.Contains(string(log), `"reference":"`+reference+`"`)
		})
		e, err := s.catalog.Explain(t.Context(), api.Question{Reference: reference})
		if err != nil || e.Winner == nil {
			t.Errorf("%s: %v, winner %v", name, err, e.Winner)
			continue
		}
		if got := strings.Join([]string{e.Name, e.Winner.Trigger.String(), e.Winner.Listed}, " "); got != want {
			t.Errorf("%s: the reference stands for %q, want %q", name, got, want)
		}
	}
	// Explain with the network's answer decides as the server did.
	e, err := s.catalog.Explain(t.Context(), api.Question{Name: dnsname.MustParse("served.example"), Resolve: true})
	if err != nil || e.Winner == nil || e.Winner.Server != "ns.bad.example" {
		t.Errorf("served.example: %v, winner %+v", err, e.Winner)
	}
}

// reference asks for a name and returns the text of the extended error.
func (r *running) reference(t *testing.T, name string) string {
	t.Helper()
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	q.SetEdns0(1232, false)
	reply, err := dnstest.Ask(q, r.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range reply.IsEdns0().Option {
		if ede, ok := o.(*dns.EDNS0_EDE); ok && ede.ExtraText != "" {
			return ede.ExtraText
		}
	}
	t.Fatalf("%s: no reference in %v", name, reply)
	return ""
}

// TestPolicySOAAndText: where the operator wants it, a reply says by which state of which policy zone it was made, and where to turn to.
func TestPolicySOAAndText(t *testing.T) {
	dir := t.TempDir()
	zone := filepath.Join(dir, "policy.rpz")
	if err := os.WriteFile(zone, []byte(`$TTL 300
$ORIGIN rpz.example.
@ SOA provider.example. hostmaster.provider.example. (
	2026112701 3600
	600 604800 300 )
@ NS localhost.
listed.example CNAME .
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, `
state: `+dir+`
listen: [{address: 127.0.0.1:0}]
feeds: [{name: rpz, path: `+zone+`}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: rpz, feeds: [rpz], add_soa: true, ede_text: see https://block.example, ede_reference: true, ede: censored}]}
`)
	q := new(dns.Msg).SetQuestion("listed.example.", dns.TypeA)
	q.SetEdns0(1232, false)
	reply, err := dnstest.Ask(q, s.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var soa string
	for _, rr := range reply.Extra {
		if rr.Header().Rrtype == dns.TypeSOA {
			soa = rr.String()
		}
	}
	if want := "rpz.example.\t60\tIN\tSOA\tprovider.example. hostmaster.provider.example. 2026112701 3600 600 604800 300"; soa != want {
		t.Errorf("SOA %q, want %q", soa, want)
	}
	for _, o := range reply.IsEdns0().Option {
		if ede, ok := o.(*dns.EDNS0_EDE); ok {
			if ede.InfoCode != 16 || !strings.HasPrefix(ede.ExtraText, "see https://block.example ref:") {
				t.Errorf("extended error %d %q", ede.InfoCode, ede.ExtraText)
			}
			return
		}
	}
	t.Errorf("no extended error in %v", reply)
}

// TestPolicySOAOfAZoneWithoutAName: a zone file that nowhere says the zone's name has no SOA to show, and the reply is a whole one; with the name it has.
func TestPolicySOAOfAZoneWithoutAName(t *testing.T) {
	dir := t.TempDir()
	const body = "@ 300 SOA provider.example. hostmaster.provider.example. 7 3600 600 604800 300\n@ NS localhost.\n"
	writeAll(t, dir, map[string]string{"nameless.rpz": body + "nameless.example CNAME *.\n", "named.rpz": body + "named.example CNAME *.\n"})
	s := startServer(t, dir, `
state: state
listen: [{address: 127.0.0.1:0}]
feeds: [{name: nameless, path: nameless.rpz, format: rpz}, {name: named, path: named.rpz, format: rpz, zone: rpz.example}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: rpz, feeds: [nameless, named], add_soa: true}]}
`)
	for name, want := range map[string]string{"nameless.example.": "", "named.example.": "rpz.example."} {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA)
		q.SetEdns0(1232, false)
		reply, err := dnstest.Ask(q, s.addr().String())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		for _, rr := range reply.Extra {
			if rr.Header().Rrtype == dns.TypeSOA {
				got = rr.Header().Name
			}
		}
		if got != want || reply.IsEdns0() == nil {
			t.Errorf("%s: the SOA of %q, want %q, and an extended error: %v", name, got, want, reply)
		}
	}
}
