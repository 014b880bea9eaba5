package dnsserver_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/zone"

	"github.com/miekg/dns"
)

const ownText = `$TTL 300
@ SOA ns host 1 7200 3600 1209600 60
@ NS ns
ns A 192.0.2.1
www A 192.0.2.2
alias CNAME www
away CNAME www.example.
lost CNAME nothing.example.
inner CNAME www.own.test.
home CNAME localhost.
*.wild CNAME www.example.
sub NS ns.sub
ns.sub A 192.0.2.3
`

// ownZones serves own.test, a name that is special otherwise, to all that the server admits, and open.test to everybody.
func ownZones(t testing.TB) func() *zone.Set {
	t.Helper()
	read := func(name string) *zone.Zone {
		z, faults, err := zone.Read(dnsname.MustParse(name), strings.NewReader(ownText), name, time.Now())
		if err != nil {
			t.Fatal(err, faults)
		}
		return z
	}
	everybody := func(netip.Addr) bool { return true }
	set := must1(zone.NewSet(zone.Served{Zone: read("own.test")}, zone.Served{Zone: read("open.test"), Allow: everybody}))
	return func() *zone.Set { return set }
}

// TestOwnZones holds who gets what of the zones of the server, in the words of reply text: rcode, flags, sections.
func TestOwnZones(t *testing.T) {
	inside, outside := netip.MustParseAddrPort("192.168.1.2:5353"), netip.MustParseAddrPort("203.0.113.9:5353")
	for _, tc := range []struct {
		name  string
		peer  netip.AddrPort
		qname string
		qtype uint16
		rd    bool
		want  string
	}{
		{"data", inside, "www.own.test", dns.TypeA, true, "NOERROR aa ra: www.own.test A"},
		{"a zone goes before a special name", inside, "nothing.own.test", dns.TypeA, true, "NXDOMAIN aa ra: | own.test SOA"},
		{"other special names stay", inside, "nothing.test", dns.TypeA, true, "NXDOMAIN aa ra: | test SOA"},
		{"an alias out of the zones is followed for who recurses", inside, "away.own.test", dns.TypeA, true, "NOERROR aa ra: away.own.test CNAME, www.example A"},
		{"and by an asterisk", inside, "x.wild.own.test", dns.TypeA, true, "NOERROR aa ra: x.wild.own.test CNAME, www.example A"},
		{"to where there is nothing", inside, "lost.own.test", dns.TypeA, true, "NXDOMAIN aa ra: lost.own.test CNAME | example SOA"},
		{"and not for who does not", inside, "away.own.test", dns.TypeA, false, "NOERROR aa ra: away.own.test CNAME"},
		{"a referral for who does not recurse", inside, "x.sub.own.test", dns.TypeA, false, "NOERROR ra: | sub.own.test NS | ns.sub.own.test A"},
		{"the world for who does", inside, "x.sub.own.test", dns.TypeA, true, "NOERROR ra: x.sub.own.test A"},
		{"DS of the apex is the world's", inside, "own.test", dns.TypeDS, true, "NOERROR ra: own.test DS"},
		{"or nobody's", inside, "own.test", dns.TypeDS, false, "NOERROR aa ra: | own.test SOA"},
		{"outsiders get a zone that is for all", outside, "www.open.test", dns.TypeA, true, "NOERROR aa: www.open.test A"},
		{"as far as it goes", outside, "away.open.test", dns.TypeA, true, "NOERROR aa: away.open.test CNAME"},
		{"and not into a zone that is not for them", outside, "inner.open.test", dns.TypeA, true, "NOERROR aa: inner.open.test CNAME"},
		{"which clients of the house get", inside, "inner.open.test", dns.TypeA, false, "NOERROR aa ra: inner.open.test CNAME, www.own.test A"},
		{"an alias to a special name is left to the client", inside, "home.own.test", dns.TypeA, true, "NOERROR aa ra: home.own.test CNAME"},
		{"with its referrals", outside, "x.sub.open.test", dns.TypeA, true, "NOERROR: | sub.open.test NS | ns.sub.open.test A"},
		{"and no other zone", outside, "www.own.test", dns.TypeA, true, "REFUSED:"},
		{"and no other name", outside, "www.example", dns.TypeA, true, "REFUSED:"},
		{"ANY gets one set", inside, "www.own.test", dns.TypeANY, true, "NOERROR aa ra: www.own.test A"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{zones: ownZones(t), answers: map[string]string{
				"www.example A": "www.example. 300 A 198.51.100.1", "x.sub.own.test A": "x.sub.own.test. 300 A 198.51.100.2",
				"own.test DS": "own.test. 300 DS 1 13 2 ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB",
			}})
			b.peer = tc.peer
			m := query(tc.qname, tc.qtype)
			m.RecursionDesired = tc.rd
			if got := outline(b.ask(m)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// TestListedGlueIsWithheld: an address that a client would not get if it asked for it stands not beside an answer of our zones either, whoever asks and how.
func TestListedGlueIsWithheld(t *testing.T) {
	inside, outside := netip.MustParseAddrPort("192.168.1.2:5353"), netip.MustParseAddrPort("203.0.113.9:5353")
	zones := []policy.Zone{sink("pass", policy.ActionPassthru), sink("sink", policy.ActionNXDOMAIN)}
	watching := []policy.Zone{sink("sink", policy.ActionNXDOMAIN)}
	watching[0].LogOnly = true
	recursive := []policy.Zone{sink("sink", policy.ActionNXDOMAIN)}
	recursive[0].RecursiveOnly = true
	address, name := listed{zone: "sink", prefix: "192.0.2.3/32"}, listed{zone: "sink", name: "ns.sub.open.test"}
	const referral = "NOERROR: | sub.open.test NS | ns.sub.open.test A"
	for _, tc := range []struct {
		name  string
		zones []policy.Zone
		rows  []listed
		peer  netip.AddrPort
		qname string
		qtype uint16
		want  string
	}{
		{"nothing is listed", zones, []listed{{zone: "sink", name: "other.example"}}, outside, "x.sub.open.test", dns.TypeA, referral},
		{"the address, in a referral", zones, []listed{address}, outside, "x.sub.open.test", dns.TypeA, "NOERROR: | sub.open.test NS"},
		{"the address, for a client of the house", zones, []listed{address}, inside, "x.sub.own.test", dns.TypeA, "NOERROR ra: | sub.own.test NS"},
		{"the name, in a referral", zones, []listed{name}, outside, "x.sub.open.test", dns.TypeA, "NOERROR: | sub.open.test NS"},
		{"beside the name servers of a zone", zones, []listed{{zone: "sink", prefix: "192.0.2.0/31"}}, outside, "open.test", dns.TypeNS, "NOERROR aa: open.test NS"},
		{"an address that another zone lets through", zones, []listed{address, {zone: "pass", prefix: "192.0.2.3/32"}}, outside, "x.sub.open.test", dns.TypeA, referral},
		{"a question that is let through", zones, []listed{address, {zone: "pass", name: "x.sub.open.test"}}, outside, "x.sub.open.test", dns.TypeA, referral},
		{"a zone that only records", watching, []listed{address}, outside, "x.sub.open.test", dns.TypeA, referral},
		{"a zone for those who recurse", recursive, []listed{address}, outside, "x.sub.open.test", dns.TypeA, referral},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{zones: ownZones(t), policy: newPolicy(t, 1, tc.zones, tc.rows...)})
			b.peer = tc.peer
			m := query(tc.qname, tc.qtype)
			m.RecursionDesired = false
			if got := outline(b.ask(m)); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// TestWithheldGlueLeavesTheOthers: what else stands beside an answer stays whole, with its names.
func TestWithheldGlueLeavesTheOthers(t *testing.T) {
	text := "$TTL 300\n@ SOA ns host 1 7200 3600 1209600 60\n@ NS ns\n@ NS ns.b\n@ NS ns.c\nns A 192.0.2.1\nns AAAA 2001:db8::1\nns.b A 192.0.2.2\nns.c A 192.0.2.3\nns.c A 192.0.2.4\n"
	z, faults, err := zone.Read(dnsname.MustParse("own.test"), strings.NewReader(text), "own", time.Now())
	if err != nil {
		t.Fatal(err, faults)
	}
	set := must1(zone.NewSet(zone.Served{Zone: z}))
	b := newBench(t, options{zones: func() *zone.Set { return set }, policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionNXDOMAIN)},
		listed{zone: "sink", prefix: "192.0.2.1/32"}, listed{zone: "sink", prefix: "192.0.2.4/32"})})
	var left []string
	for _, rr := range b.ask(query("own.test", dns.TypeNS)).Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			left = append(left, strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	if want := []string{"ns.b.own.test. 300 IN A 192.0.2.2"}; !slices.Equal(left, want) {
		t.Errorf("left is %q, want %q: a name of which an address is listed is withheld whole", left, want)
	}
}

// TestWithheldGlueNeedsNoMoreRoom holds that the addresses of other servers are not lost for want of room where one is withheld.
func TestWithheldGlueNeedsNoMoreRoom(t *testing.T) {
	text := "$TTL 300\n@ SOA nameserver0 host 1 7200 3600 1209600 60\n"
	for i := range 10 {
		text += fmt.Sprintf("@ NS nameserver%d\nnameserver%d A 192.0.2.%d\n", i, i, i+1)
	}
	z, faults, err := zone.Read(dnsname.MustParse("own.test"), strings.NewReader(text), "own", time.Now())
	if err != nil {
		t.Fatal(err, faults)
	}
	set := must1(zone.NewSet(zone.Served{Zone: z}))
	b := newBench(t, options{zones: func() *zone.Set { return set }, policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionNXDOMAIN)},
		listed{zone: "sink", prefix: "192.0.2.1/32"})})
	q := new(dns.Msg).SetQuestion("own.test.", dns.TypeNS) // without EDNS: 512 octets
	if r := b.ask(q); len(r.Answer) != 10 || len(r.Extra) != 9 || r.Truncated {
		t.Errorf("%d servers with %d addresses (cut: %t), want 10 with 9", len(r.Answer), len(r.Extra), r.Truncated)
	} else if last := r.Extra[8].(*dns.A); last.Hdr.Name != "nameserver9.own.test." || last.A.String() != "192.0.2.10" {
		t.Errorf("the last is %v", last)
	}
}

// outline is a reply in one line: rcode, flags, the records of the sections without their data.
func outline(r *dns.Msg) string {
	out := dns.RcodeToString[r.Rcode]
	for _, flag := range []struct {
		set  bool
		name string
	}{{r.Authoritative, " aa"}, {r.Truncated, " tc"}, {r.RecursionAvailable, " ra"}} {
		if flag.set {
			out += flag.name
		}
	}
	var sections []string
	for _, section := range [][]dns.RR{r.Answer, r.Ns, r.Extra} {
		var names []string
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				names = append(names, strings.TrimSuffix(rr.Header().Name, ".")+" "+dns.TypeToString[rr.Header().Rrtype])
			}
		}
		sections = append(sections, strings.Join(names, ", "))
	}
	return strings.TrimRight(strings.ReplaceAll(out+": "+strings.Join(sections, " | "), "  ", " "), " |")
}

// TestPolicyGoesBeforeOwnZones holds that a listed name of our own zone is answered by its rule.
func TestPolicyGoesBeforeOwnZones(t *testing.T) {
	p := newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionNXDOMAIN)}, listed{name: "www.own.test", zone: "sink", kind: policy.KindExact})
	b := newBench(t, options{policy: p, zones: ownZones(t)})
	if got := b.ask(query("www.own.test", dns.TypeA)); got.Rcode != dns.RcodeNameError || got.Authoritative && len(got.Answer) > 0 {
		t.Errorf("got %v, want the rule's NXDOMAIN", got)
	}
	if got := b.ask(query("alias.own.test", dns.TypeA)); got.Rcode != dns.RcodeNameError || len(got.Answer) != 1 {
		t.Errorf("got %v, want the alias and the rule's NXDOMAIN", got)
	}
}

// TestAliasOfAnOwnZoneToADeadName holds that an alias that leads to a listed name is answered by rule where nobody has an answer for that name.
func TestAliasOfAnOwnZoneToADeadName(t *testing.T) {
	p := newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionNXDOMAIN)}, listed{name: "nothing.example", zone: "sink", kind: policy.KindExact})
	b := newBench(t, options{policy: p, zones: ownZones(t)})
	b.world.fail = errors.New("no server answers")
	if got := outline(b.ask(query("away.own.test", dns.TypeA))); got != "SERVFAIL ra:" {
		t.Errorf("to a name that is not listed: %s, want SERVFAIL", got)
	}
	if got := b.ask(query("lost.own.test", dns.TypeA)); got.Rcode != dns.RcodeNameError || len(got.Answer) != 1 {
		t.Errorf("got %v, want the alias and the rule's NXDOMAIN", got)
	}
}

// TestLargeAnswersOfOwnZones holds that what does not fit is cut over UDP, and whole over TCP.
func TestLargeAnswersOfOwnZones(t *testing.T) {
	text := ownText
	for range 200 {
		text += "big TXT \"" + strings.Repeat("x", 100) + string(rune('a'+len(text)%26)) + itoa(uint16(len(text)%65000)) + "\"\n"
	}
	z, _, err := zone.Read(dnsname.MustParse("own.test"), strings.NewReader(text), "own", time.Now())
	must(t, err)
	set := must1(zone.NewSet(zone.Served{Zone: z}))
	b := newBench(t, options{zones: func() *zone.Set { return set }})
	if got := outline(b.ask(query("big.own.test", dns.TypeTXT))); got != "NOERROR aa tc ra:" {
		t.Errorf("over UDP: %s", got)
	}
	b.tcp = true
	if got := b.ask(query("big.own.test", dns.TypeTXT)); len(got.Answer) < 150 || got.Truncated {
		t.Errorf("over TCP: %d records", len(got.Answer))
	}
}

// TestStrangersSendNobodyToTheNetwork holds that a client of a zone alone has no name servers looked for, and a client of the house has.
func TestStrangersSendNobodyToTheNetwork(t *testing.T) {
	looks := 0
	f := &finder{server: "ns.good.example", whole: true, asked: func(string) { looks++ }}
	b := newBench(t, options{zones: ownZones(t), paths: f, policy: serverPolicy(t)})
	for _, tc := range []struct {
		peer string
		want int
	}{{"203.0.113.9:5353", 0}, {"192.168.1.2:5353", 1}} {
		looks, b.peer = 0, netip.MustParseAddrPort(tc.peer)
		if got := outline(b.ask(query("www.open.test", dns.TypeA))); !strings.HasPrefix(got, "NOERROR aa") || looks != tc.want {
			t.Errorf("%s: %s after %d looks, want an answer after %d", tc.peer, got, looks, tc.want)
		}
	}
}
