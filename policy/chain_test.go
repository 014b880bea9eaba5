package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"cenote/dnsname"
	"cenote/policy"
)

// answer packs a reply to a question for name with the given answer records.
func answer(t testing.TB, name string, compress bool, records ...string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m.Response, m.Compress = true, compress
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	m.Ns = append(m.Ns, &dns.CNAME{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeCNAME, Class: 1}, Target: "bad.example."})
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func TestCheckAnswer(t *testing.T) {
	const block = "zone block: one\nfeed one: subtree bad.example, exact www.dead.example"
	for name, c := range map[string]struct {
		world   string
		qtype   uint16
		records []string
		want    string // as short, with the stage of the winner before it
	}{
		"no alias":    {block, dns.TypeA, []string{"www.example. A 192.0.2.1"}, "0 -"},
		"one step":    {block, dns.TypeA, []string{"www.example. CNAME x.bad.example.", "x.bad.example. A 192.0.2.1"}, "1 block/one sinkhole bad.example"},
		"letter case": {block, dns.TypeA, []string{"WwW.eXample. CNAME X.bAd.example."}, "1 block/one sinkhole bad.example"},
		"three steps, backwards": {block, dns.TypeAAAA, []string{
			"c.example. CNAME bad.example.", "b.example. CNAME c.example.", "www.example. CNAME b.example."}, "3 block/one sinkhole bad.example"},
		"a CNAME of another name": {block, dns.TypeA, []string{"other.example. CNAME bad.example."}, "0 -"},
		"a DNAME":                 {block, dns.TypeA, []string{"example. DNAME dead.example."}, "1 block/one sinkhole www.dead.example"},
		"a DNAME with its CNAME": {block, dns.TypeA, []string{
			"example. DNAME dead.example.", "www.example. CNAME www.dead.example."}, "1 block/one sinkhole www.dead.example"},
		"a DNAME at the name itself": {block, dns.TypeA, []string{"www.example. DNAME bad.example."}, "0 -"},
		"a DNAME of half a label":    {block, dns.TypeA, []string{"w.example. DNAME bad.example."}, "0 -"},
		"a DNAME that makes a name of 256 octets": {block, dns.TypeA, []string{
			"example. DNAME " + strings.Repeat(strings.Repeat("x", 63)+".", 3) + strings.Repeat("y", 46) + ".bad.example."}, "0 -"},
		"and one of 255": {block, dns.TypeA, []string{
			"example. DNAME " + strings.Repeat(strings.Repeat("x", 63)+".", 3) + strings.Repeat("y", 45) + ".bad.example."},
			"1 block/one sinkhole bad.example"},
		"one DNAME twice": {"zone block: one\nfeed one: exact z.c.example", dns.TypeA, []string{
			"www.example. CNAME x.a.example.", "a.example. DNAME c.example.", "x.c.example. CNAME z.a.example."}, "4 block/one sinkhole z.c.example"},
		"a circle": {block, dns.TypeA, []string{"www.example. CNAME b.example.", "b.example. CNAME www.example."}, "0 -"},
		"a circle is gone round once": {
			"zone shadow: one log-only\nfeed one: exact b.example", dns.TypeA,
			[]string{"www.example. CNAME b.example.", "b.example. CNAME www.example."}, "0 - | ?"},
		"a circle of one":     {block, dns.TypeA, []string{"www.example. CNAME www.example."}, "0 -"},
		"asked for the CNAME": {block, dns.TypeCNAME, []string{"www.example. CNAME bad.example."}, "0 -"},
		"asked for ANY":       {block, dns.TypeANY, []string{"www.example. CNAME bad.example."}, "0 -"},
		"an earlier step beats an earlier zone": {
			"zone first: one\nzone second: two\nfeed one: exact b.example\nfeed two: exact a.example", dns.TypeA,
			[]string{"www.example. CNAME a.example.", "a.example. CNAME b.example."}, "1 second/two sinkhole a.example"},
		"even as PASSTHRU": {
			"zone first: one\nzone second: two action=passthru\nfeed one: exact b.example\nfeed two: exact a.example", dns.TypeA,
			[]string{"www.example. CNAME a.example.", "a.example. CNAME b.example."}, "1 second/two passthru a.example"},
		"log-only on the way": {
			"zone shadow: one log-only\nzone block: two\nfeed one: exact a.example, exact www.example\nfeed two: exact b.example", dns.TypeA,
			[]string{"www.example. CNAME a.example.", "a.example. CNAME b.example."},
			"2 block/two sinkhole b.example | 0 shadow www.example | 1 shadow a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			p := state(t, c.world).policy(t)
			for _, compress := range []bool{false, true} {
				q := ask(dnsname.MustParse("www.example"), 1)
				q.Type = c.qtype
				msg := answer(t, "www.example", compress, c.records...)
				if got := tale(p, q, msg, c.records); got != c.want {
					t.Errorf("compressed %v: got %q, want %q", compress, got, c.want)
				}
			}
		})
	}
}

// tale puts CheckAnswer's decision into words. The listed names are exact in the tests that observe, so that a stage is enough to name them.
func tale(p *policy.Policy, q *policy.Request, msg []byte, records []string) string {
	d := p.CheckAnswer(q, &policy.Answer{Msg: msg}, p.CheckQuery(q))
	if !d.Matched() {
		return fmt.Sprintf("0 -%s", strings.Repeat(" | ?", len(d.Recorded())))
	}
	rule := p.Rule(d.Winner)
	text := fmt.Sprintf("%d %s/%s %s %s", d.Winner.Stage, rule.Zone.Name, rule.Feed, d.Winner.Action, listedAt(q, records, d.Winner))
	for _, h := range d.Recorded() {
		text += fmt.Sprintf(" | %d %s %s", h.Stage, p.Rule(h).Zone.Name, listedAt(q, records, h))
	}
	return text
}

// listedAt finds the listed name of h by following the aliases in text form.
func listedAt(q *policy.Request, records []string, h policy.Hit) dnsname.Name {
	name := dnsname.Name(q.Name)
	for range h.Stage {
		name = aliasOf(name, records)
	}
	return name.Suffix(int(h.Labels))
}

func aliasOf(name dnsname.Name, records []string) dnsname.Name {
	for _, kind := range []string{"CNAME", "DNAME"} {
		for _, record := range records {
			f := strings.Fields(record)
			owner, target := dnsname.MustParse(f[0]).Canonical(), dnsname.MustParse(f[2]).Canonical()
			if f[1] == kind && owner == name {
				return target
			}
			if f[1] == kind && kind == "DNAME" && name.IsBelow(owner) {
				return name[:len(name)-len(owner)] + target
			}
		}
	}
	return name
}

func TestCheckAnswerEndsLongChains(t *testing.T) {
	w := state(t, "zone block: one\nfeed one: exact n15.example, exact n17.example")
	var records []string
	for i := range 30 {
		records = append(records, fmt.Sprintf("n%d.example. CNAME n%d.example.", i, i+1))
	}
	p := w.policy(t)
	for from, want := range map[int]uint8{0: 15, 1: 14, 2: 13, 16: 1} {
		q := ask(dnsname.MustParse(fmt.Sprintf("n%d.example", from)), 1)
		if d := p.CheckAnswer(q, &policy.Answer{Msg: answer(t, "n.example", true, records...)}, policy.Decision{}); d.Winner.Stage != want {
			t.Errorf("from n%d the winner is at stage %d, want %d", from, d.Winner.Stage, want)
		}
	}
	w.rules = w.rules[1:]
	q := ask(dnsname.MustParse("n0.example"), 1)
	if d := w.policy(t).CheckAnswer(q, &policy.Answer{Msg: answer(t, "n.example", true, records...)}, policy.Decision{}); d.Matched() {
		t.Errorf("the 17th step won: %+v, want an end after %d", d.Winner, policy.ChainMax)
	}
}

func TestCheckAnswerLeavesWhatIsDecided(t *testing.T) {
	p := state(t, "zone block: one\nfeed one: exact bad.example, exact www.example nodata").policy(t)
	q := ask(dnsname.MustParse("www.example"), 1)
	before := p.CheckQuery(q)
	before.Pending = true
	after := p.CheckAnswer(q, &policy.Answer{Msg: answer(t, "www.example", false, "www.example. CNAME bad.example.")}, before)
	if before.Pending = false; after != before {
		t.Errorf("CheckAnswer = %+v, want what CheckQuery decided, no longer pending: %+v", after, before)
	}
}

// FuzzCheckAnswer walks arbitrary octets as an answer: no panic, no endless loop.
func FuzzCheckAnswer(f *testing.F) {
	w := state(f, "zone block: one\nfeed one: subtree bad.example\nrpz two: below example, empty bad.example")
	key := policy.AppendPrefixKey(nil, policy.TriggerIP, netip.MustParsePrefix("192.0.2.0/24"))
	w.add(rule{name: dnsname.Name(key), member: policy.Member{Confidence: policy.ConfidenceUnknown}})
	w.countTriggers()
	p := w.policy(f)
	f.Add(answer(f, "www.example", true, "www.example. A 192.0.2.1"))
	f.Add(answer(f, "www.example", true, "www.example. HTTPS 1 a.bad.example. ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"))
	f.Add(answer(f, "www.example", true, "www.example. CNAME x.bad.example."))
	f.Add(answer(f, "www.example", true, "example. DNAME b.example.", "www.b.example. CNAME www.example."))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xc0, 12})
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, rtype := range []uint16{dns.TypeA, dns.TypeHTTPS} {
			q := ask(dnsname.MustParse("www.example"), 1)
			q.Type = rtype
			d := p.CheckAnswer(q, &policy.Answer{Msg: msg}, policy.Decision{})
			if d.Winner.Stage > policy.ChainMax+1 {
				t.Fatalf("stage %d", d.Winner.Stage)
			}
		}
	})
}
