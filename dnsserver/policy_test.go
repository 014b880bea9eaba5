package dnsserver_test

import (
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"

	"github.com/miekg/dns"
)

// soaBy is the SOA of a policy answer about name.
func soaBy(name string) string {
	return "auth " + name + " 10 IN SOA " + name + " nobody.invalid. 1 3600 1200 604800 10"
}

func TestSinkhole(t *testing.T) {
	v4only := sink("v4only", policy.ActionSinkhole)
	v4only.IPv6 = nil
	p := newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole), v4only},
		listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree}, listed{name: "v4.example", zone: "v4only"},
		listed{name: "hidden.onion", zone: "sink"})
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		want        []string
	}{
		{"A", "bad.example.", dns.TypeA, []string{"NOERROR EDE15", "bad.example. 10 IN A 192.0.2.53"}},
		{"AAAA", "bad.example.", dns.TypeAAAA, []string{"NOERROR EDE15", "bad.example. 10 IN AAAA 2001:db8::53"}},
		{"below, in the client's case", "X.bad.EXAMPLE.", dns.TypeA, []string{"NOERROR EDE15", "X.bad.EXAMPLE. 10 IN A 192.0.2.53"}},
		{"HTTPS has no data", "bad.example.", dns.TypeHTTPS, []string{"NOERROR EDE15", soaBy("bad.example.")}},
		{"SVCB has no data", "bad.example.", dns.TypeSVCB, []string{"NOERROR EDE15", soaBy("bad.example.")}},
		{"MX has no data", "bad.example.", dns.TypeMX, []string{"NOERROR EDE15", soaBy("bad.example.")}},
		{"CNAME has no data", "bad.example.", dns.TypeCNAME, []string{"NOERROR EDE15", soaBy("bad.example.")}},
		{"ANY gets both addresses", "bad.example.", dns.TypeANY, []string{"NOERROR EDE15", "bad.example. 10 IN A 192.0.2.53", "bad.example. 10 IN AAAA 2001:db8::53"}},
		{"no address of the family", "v4.example.", dns.TypeAAAA, []string{"NOERROR EDE15", soaBy("v4.example.")}},
		{"policy comes before local zones", "hidden.onion.", dns.TypeA, []string{"NOERROR EDE15", "hidden.onion. 10 IN A 192.0.2.53"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{policy: p})
			expect(t, b.ask(query(tc.qname, tc.qtype)), tc.want...)
			if b.world.asked.Load() != 0 {
				t.Error("the network was asked about a listed name")
			}
		})
	}
}

func TestActions(t *testing.T) {
	all := []policy.Action{policy.ActionNXDOMAIN, policy.ActionNODATA, policy.ActionPassthru, policy.ActionDrop, policy.ActionTCPOnly, policy.ActionSinkhole}
	var zones []policy.Zone
	var rows []listed
	answers := map[string]string{}
	for _, a := range all {
		zones = append(zones, sink(a.String(), a))
		rows = append(rows, listed{name: a.String() + ".example", zone: a.String()})
		answers[a.String()+".example A"] = a.String() + ".example. 60 A 198.51.100.1"
	}
	p := newPolicy(t, 1, zones, rows...)
	truth := func(n string) []string { return []string{"NOERROR", n + ". 60 IN A 198.51.100.1"} }
	for _, tc := range []struct {
		name, qname string
		tcp         bool
		change      func(*dns.Msg)
		want        []string
	}{
		{"NXDOMAIN", "nxdomain.example", false, nil, []string{"NXDOMAIN EDE15", soaBy("nxdomain.example.")}},
		{"NODATA", "nodata.example", false, nil, []string{"NOERROR EDE15", soaBy("nodata.example.")}},
		{"PASSTHRU", "passthru.example", false, nil, truth("passthru.example")},
		{"DROP", "drop.example", false, nil, []string{"dropped"}},
		{"DROP over TCP", "drop.example", true, nil, []string{"dropped"}},
		{"TCP-only over UDP", "tcp-only.example", false, nil, []string{"NOERROR TC EDE15"}},
		{"TCP-only over TCP", "tcp-only.example", true, nil, truth("tcp-only.example")},
		{"sinkhole with DO", "sinkhole.example", false, func(m *dns.Msg) { m.IsEdns0().SetDo() }, []string{"NOERROR EDE15", "sinkhole.example. 10 IN A 192.0.2.53"}},
		{"sinkhole with CD", "sinkhole.example", false, func(m *dns.Msg) { m.CheckingDisabled = true }, []string{"NOERROR EDE15", "sinkhole.example. 10 IN A 192.0.2.53"}},
		{"sinkhole without RD", "sinkhole.example", false, func(m *dns.Msg) { m.RecursionDesired = false }, []string{"NOERROR EDE15", "sinkhole.example. 10 IN A 192.0.2.53"}},
		{"sinkhole without EDNS", "sinkhole.example", false, func(m *dns.Msg) { m.Extra = nil }, []string{"NOERROR", "sinkhole.example. 10 IN A 192.0.2.53"}},
		{"PASSTHRU without RD", "passthru.example", false, func(m *dns.Msg) { m.RecursionDesired = false }, []string{"REFUSED EDE20"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{policy: p, answers: answers})
			b.tcp = tc.tcp
			m := query(tc.qname, dns.TypeA)
			if tc.change != nil {
				tc.change(m)
			}
			expect(t, b.ask(m), tc.want...)
		})
	}
}

func rrset(rtype uint16, ttl uint32, rdata ...string) policy.RRset {
	s := policy.RRset{Type: rtype, TTL: ttl}
	for _, d := range rdata {
		s.RData = append(s.RData, []byte(d))
	}
	return s
}

func wire(name string) string { return string(dnsname.MustParse(name)) }

func TestLocalData(t *testing.T) {
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60) + "." + strings.Repeat("d", 50) + ".example"
	data := func(sets ...policy.RRset) *policy.LocalData { return &policy.LocalData{RRsets: sets} }
	p := newPolicy(t, 1, []policy.Zone{sink("rpz", policy.ActionNXDOMAIN)},
		listed{name: "a.example", zone: "rpz", data: data(rrset(dns.TypeA, 3600, "\xc0\x00\x02\x01", "\xc0\x00\x02\x02"), rrset(dns.TypeTXT, 30, "\x02hi"))},
		listed{name: "c.example", zone: "rpz", data: data(rrset(dns.TypeCNAME, 3600, wire("garden.example")))},
		listed{name: "gone.example", zone: "rpz", data: data(rrset(dns.TypeCNAME, 3600, wire("none.example")))},
		listed{name: "w.example", zone: "rpz", kind: policy.KindSubtree, data: data(rrset(dns.TypeCNAME, 5, wire("*.garden.example")))},
		listed{name: "local.example", zone: "rpz", data: data(rrset(dns.TypeCNAME, 5, wire("localhost")))},
		listed{name: "listed-garden.example", zone: "rpz", data: data(rrset(dns.TypeCNAME, 5, wire("a.example")))},
		listed{name: long, zone: "rpz", data: data(rrset(dns.TypeCNAME, 5, wire("*.a-garden-far-away.example")))},
	)
	answers := map[string]string{
		"garden.example A":             "garden.example. 300 CNAME web.garden.example.\nweb.garden.example. 300 A 198.51.100.7",
		"garden.example MX":            "garden.example. 300 MX 10 mail.garden.example.",
		"garden.example MINFO":         "garden.example. 300 MINFO mail.garden.example. web.garden.example.",
		"garden.example MR":            "garden.example. 300 MR mail.garden.example.",
		"x.w.example.garden.example":   "",
		"x.w.example.garden.example A": "x.w.example.garden.example. 300 A 198.51.100.8",
		"a.example A":                  "a.example. 300 A 198.51.100.9",
	}
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		want        []string
	}{
		{"asked type, TTL capped", "A.example.", dns.TypeA, []string{"NOERROR EDE15", "A.example. 60 IN A 192.0.2.1", "A.example. 60 IN A 192.0.2.2"}},
		{"TTL below the cap stays", "a.example.", dns.TypeTXT, []string{"NOERROR EDE15", `a.example. 30 IN TXT "hi"`}},
		{"missing type", "a.example.", dns.TypeMX, []string{"NOERROR EDE15", soaBy("a.example.")}},
		{"ANY gets all", "a.example.", dns.TypeANY, []string{"NOERROR EDE15", "a.example. 60 IN A 192.0.2.1", "a.example. 60 IN A 192.0.2.2", `a.example. 30 IN TXT "hi"`}},
		{"CNAME is followed", "c.example.", dns.TypeA, []string{"NOERROR EDE15", "c.example. 60 IN CNAME garden.example.", "garden.example. 300 IN CNAME web.garden.example.", "web.garden.example. 300 IN A 198.51.100.7"}},
		{"names in followed data", "c.example.", dns.TypeMX, []string{"NOERROR EDE15", "c.example. 60 IN CNAME garden.example.", "garden.example. 300 IN MX 10 mail.garden.example."}},
		{"two names in followed data", "c.example.", dns.TypeMINFO, []string{"NOERROR EDE15", "c.example. 60 IN CNAME garden.example.", "garden.example. 300 IN MINFO mail.garden.example. web.garden.example."}},
		{"names of an old type in followed data", "c.example.", dns.TypeMR, []string{"NOERROR EDE15", "c.example. 60 IN CNAME garden.example.", "garden.example. 300 IN MR mail.garden.example."}},
		{"CNAME asked for is not followed", "c.example.", dns.TypeCNAME, []string{"NOERROR EDE15", "c.example. 60 IN CNAME garden.example."}},
		{"target does not exist", "gone.example.", dns.TypeA, []string{"NXDOMAIN EDE15", "gone.example. 60 IN CNAME none.example.", "auth example. 60 IN SOA ns.example. host.example. 1 3600 600 86400 60"}},
		{"wildcard target", "X.w.example.", dns.TypeA, []string{"NOERROR EDE15", "X.w.example. 5 IN CNAME x.w.example.garden.example.", "x.w.example.garden.example. 300 IN A 198.51.100.8"}},
		{"wildcard target too long", long + ".", dns.TypeA, []string{"YXDOMAIN EDE15"}},
		{"target among local names is left to the client", "local.example.", dns.TypeA, []string{"NOERROR EDE15", "local.example. 5 IN CNAME localhost."}},
		{"policy does not apply to its own data", "listed-garden.example.", dns.TypeA, []string{"NOERROR EDE15", "listed-garden.example. 5 IN CNAME a.example.", "a.example. 300 IN A 198.51.100.9"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{policy: p, answers: answers})
			for range 2 { // the target from the network, then from the cache
				expect(t, b.ask(query(tc.qname, tc.qtype)), tc.want...)
			}
		})
	}
	t.Run("target cannot be reached", func(t *testing.T) {
		b := newBench(t, options{policy: p})
		b.world.fail = errUnreachable
		expect(t, b.ask(query("c.example", dns.TypeA)), "SERVFAIL EDE15")
	})
	t.Run("target is not asked for without RD", func(t *testing.T) {
		b := newBench(t, options{policy: p, answers: answers})
		m := query("c.example", dns.TypeA)
		m.RecursionDesired = false
		expect(t, b.ask(m), "NOERROR EDE15", "c.example. 60 IN CNAME garden.example.")
	})
}

func TestChainSteps(t *testing.T) {
	zones := []policy.Zone{sink("sink", policy.ActionSinkhole), sink("gone", policy.ActionNXDOMAIN), sink("drop", policy.ActionDrop),
		sink("allow", policy.ActionPassthru), sink("rpz", policy.ActionNXDOMAIN)}
	p := newPolicy(t, 1, zones,
		listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree}, listed{name: "gone.example", zone: "gone"}, listed{name: "drop.example", zone: "drop"},
		listed{name: "good.example", zone: "allow"},
		listed{name: "garden-me.example", zone: "rpz", data: &policy.LocalData{RRsets: []policy.RRset{rrset(dns.TypeCNAME, 30, wire("garden.example"))}}})
	answers := map[string]string{
		"one.example A":       "one.example. 300 CNAME x.bad.example.\nx.bad.example. 300 A 198.51.100.1",
		"one.example TXT":     "one.example. 300 CNAME x.bad.example.\nx.bad.example. 300 TXT hello",
		"two.example A":       "two.example. 5 CNAME mid.example.\nmid.example. 300 CNAME gone.example.\ngone.example. 300 A 198.51.100.1",
		"mixed.example A":     "MID2.example. 300 CNAME gone.example.\nmixed.example. 5 CNAME Mid2.example.\ngone.example. 300 A 198.51.100.1",
		"dead.example A":      "dead.example. 300 CNAME x.bad.example.",
		"drops.example A":     "drops.example. 300 CNAME drop.example.\ndrop.example. 300 A 198.51.100.1",
		"d.tree.example A":    "tree.example. 300 DNAME bad.example.\nd.tree.example. 300 CNAME d.bad.example.\nd.bad.example. 300 A 198.51.100.1",
		"n.tree.example A":    "tree.example. 300 DNAME bad.example.\nn.bad.example. 300 A 198.51.100.1",
		"good.example A":      "good.example. 300 CNAME x.bad.example.\nx.bad.example. 300 A 198.51.100.1",
		"to-garden.example A": "to-garden.example. 300 CNAME garden-me.example.\ngarden-me.example. 300 A 198.51.100.1",
		"garden.example A":    "garden.example. 300 A 198.51.100.7",
		"clean.example A":     "clean.example. 300 CNAME web.example.\nweb.example. 300 A 198.51.100.1",
		"broken.example A":    "<SERVFAIL>\nbroken.example. 300 CNAME x.bad.example.",
	}
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		want        []string
	}{
		{"first step", "one.example.", dns.TypeA, []string{"NOERROR EDE15", "one.example. 10 IN CNAME x.bad.example.", "x.bad.example. 10 IN A 192.0.2.53"}},
		{"no data at the step", "one.example.", dns.TypeTXT, []string{"NOERROR EDE15", "one.example. 10 IN CNAME x.bad.example.", soaBy("x.bad.example.")}},
		{"second step", "two.example.", dns.TypeA, []string{"NXDOMAIN EDE15", "two.example. 5 IN CNAME mid.example.", "mid.example. 10 IN CNAME gone.example.", soaBy("gone.example.")}},
		{"steps out of order, in mixed case", "mixed.example.", dns.TypeA, []string{"NXDOMAIN EDE15", "mixed.example. 5 IN CNAME mid2.example.", "mid2.example. 10 IN CNAME gone.example.", soaBy("gone.example.")}},
		{"target without data", "dead.example.", dns.TypeA, []string{"NOERROR EDE15", "dead.example. 10 IN CNAME x.bad.example.", "x.bad.example. 10 IN A 192.0.2.53"}},
		{"drop at a step", "drops.example.", dns.TypeA, []string{"dropped"}},
		{"DNAME with its CNAME", "d.tree.example.", dns.TypeA, []string{"NOERROR EDE15", "d.tree.example. 10 IN CNAME d.bad.example.", "d.bad.example. 10 IN A 192.0.2.53"}},
		{"DNAME alone", "n.tree.example.", dns.TypeA, []string{"NOERROR EDE15", "n.tree.example. 10 IN CNAME n.bad.example.", "n.bad.example. 10 IN A 192.0.2.53"}},
		{"an earlier PASSTHRU holds for the chain", "good.example.", dns.TypeA, []string{"NOERROR", "good.example. 300 IN CNAME x.bad.example.", "x.bad.example. 300 IN A 198.51.100.1"}},
		{"local data at a step", "to-garden.example.", dns.TypeA, []string{"NOERROR EDE15", "to-garden.example. 10 IN CNAME garden-me.example.", "garden-me.example. 30 IN CNAME garden.example.", "garden.example. 300 IN A 198.51.100.7"}},
		{"nothing listed", "clean.example.", dns.TypeA, []string{"NOERROR", "clean.example. 300 IN CNAME web.example.", "web.example. 300 IN A 198.51.100.1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{policy: p, answers: answers})
			for range 3 { // from the network, then from the cache, before and after a clean one is marked
				expect(t, b.ask(query(tc.qname, tc.qtype)), tc.want...)
			}
		})
	}
	t.Run("a failure of another resolver stays one, without its records", func(t *testing.T) {
		b := newBench(t, options{policy: p, answers: answers})
		expect(t, b.ask(query("broken.example", dns.TypeA)), "SERVFAIL")
	})
	t.Run("a stale answer is checked", func(t *testing.T) {
		b := newBench(t, options{policy: p, answers: answers})
		b.world.stale = true
		expect(t, b.ask(query("one.example", dns.TypeA)), "NOERROR EDE15", "one.example. 10 IN CNAME x.bad.example.", "x.bad.example. 10 IN A 192.0.2.53")
	})
}

// A match that a shadow zone saw is seen again every time: such an answer is never marked clean.
func TestObservedStepsAreSeenEveryTime(t *testing.T) {
	shadow := sink("shadow", policy.ActionSinkhole)
	shadow.LogOnly = true
	b := newTapped(t, options{policy: newPolicy(t, 1, []policy.Zone{shadow}, listed{name: "bad.example", zone: "shadow"}, listed{name: "www.example", zone: "shadow"}),
		answers: map[string]string{"one.example A": "one.example. 60 CNAME bad.example.\nbad.example. 60 A 198.51.100.1",
			"www.example A": "www.example. 60 CNAME bad.example.\nbad.example. 60 A 198.51.100.1"}})
	for i := range 3 {
		b.ask(query("one.example", dns.TypeA))
		if got := len(b.tap.events); got != i+1 {
			t.Fatalf("%d events after %d queries", got, i+1)
		}
	}
	b.tap.events = nil
	for i := range 3 {
		b.ask(query("www.example", dns.TypeA))
		if got := len(b.tap.events); got != 2*(i+1) {
			t.Fatalf("%d events after %d queries, want two each", got, i+1)
		}
	}
}

func TestReferenceInReply(t *testing.T) {
	zone := sink("sink", policy.ActionSinkhole)
	zone.EDE, zone.EDEText = 16, true
	b := newBench(t, options{policy: newPolicy(t, 7, []policy.Zone{sink("other", policy.ActionNXDOMAIN), zone}, listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree})})
	r := b.ask(query("www.bad.example", dns.TypeA))
	for _, o := range r.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			ref, err := policy.DecodeReference(e.ExtraText)
			if err != nil || ref.Generation != 7 || ref.Zone != 1 || ref.Labels != 2 || e.InfoCode != 16 {
				t.Errorf("EDE %d %q is %+v, %v; want code 16 and generation 7, zone 1, 2 labels", e.InfoCode, e.ExtraText, ref, err)
			}
			return
		}
	}
	t.Errorf("no extended error in %v", r)
}

// TestLongestReplyHasRoom: with the longest name and text, and all that a client can ask for beside, a reply fits where a client takes 512 octets.
func TestLongestReplyHasRoom(t *testing.T) {
	zone := sink("sink", policy.ActionNODATA)
	zone.EDEText, zone.Message = true, strings.Repeat("m", policy.MessageMax)
	name := strings.Repeat(strings.Repeat("a", 61)+".", 3) + strings.Repeat("b", 55) + ".bad.example"
	b := newBench(t, options{policy: newPolicy(t, 1<<48-1, []policy.Zone{zone}, listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree}),
		settings: func(s *dnsserver.Settings) { s.Identity.NSID = strings.Repeat("n", 32) }})
	m := query(name, dns.TypeA)
	m.IsEdns0().SetUDPSize(512)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"})
	r := b.ask(m)
	if r == nil || len(r.IsEdns0().Option) != 3 {
		t.Fatalf("%v, want a reply with cookie, server and extended error", r)
	}
	for _, o := range r.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok && len(e.ExtraText) != policy.MessageMax+1+policy.ReferenceLen {
			t.Errorf("the text has %d octets, want all", len(e.ExtraText))
		}
	}
}

func TestZoneWithoutEDE(t *testing.T) {
	zone := sink("sink", policy.ActionNXDOMAIN)
	zone.EDE = policy.EDENone
	b := newBench(t, options{policy: newPolicy(t, 1, []policy.Zone{zone}, listed{name: "bad.example", zone: "sink"})})
	expect(t, b.ask(query("bad.example", dns.TypeA)), "NXDOMAIN", soaBy("bad.example."))
}

// TestExpiryTakesEffect: an hour passes, and rules whose time is over decide no more, under the same policy and over the same cache: for the
// name asked, for a step of its chain, for an exception.
func TestExpiryTakesEffect(t *testing.T) {
	now := time.Now()
	hour := uint32(now.Unix()/3600) + 1
	p := newPolicy(t, 1, []policy.Zone{sink("allow", policy.ActionPassthru), sink("sink", policy.ActionSinkhole)},
		listed{name: "bad.example", zone: "sink", expiry: hour}, listed{name: "pardoned.example", zone: "sink"}, listed{name: "pardoned.example", zone: "allow", expiry: hour})
	b := newTapped(t, options{policy: p, answers: map[string]string{
		"bad.example A":      "bad.example. 86400 A 192.0.2.1",
		"sly.example A":      "sly.example. 86400 CNAME bad.example.\nbad.example. 86400 A 192.0.2.1",
		"pardoned.example A": "pardoned.example. 86400 A 192.0.2.3",
	}})
	text := func(name string) string { return strings.SplitN(text(b.ask(query(name, dns.TypeA))), "\n", 2)[0] }
	all := func() [3]string { return [3]string{text("bad.example"), text("sly.example"), text("pardoned.example")} }
	b.now = time.Unix(int64(hour)*3600-1, 0)
	for range 2 { // from the network, from the cache
		if got, want := all(), [3]string{"NOERROR EDE15", "NOERROR EDE15", "NOERROR"}; got != want {
			t.Errorf("a second before the hour: %q, want %q", got, want)
		}
	}
	events := len(b.tap.events)
	b.now = time.Unix(int64(hour)*3600, 0)
	for range 2 {
		if got, want := all(), [3]string{"NOERROR", "NOERROR", "NOERROR EDE15"}; got != want {
			t.Errorf("at the hour: %q, want %q", got, want)
		}
	}
	if got := len(b.tap.events) - events; got != 2 {
		t.Errorf("%d matches are recorded at the hour, want 2 of the name that is pardoned no more", got)
	}
}

func TestNoPolicyYet(t *testing.T) {
	b := newBench(t, options{answers: wwwAnswers})
	expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
}
