package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // a machine need not know the time zones

	"github.com/miekg/dns"

	"cenote/dnsname"
	"cenote/policy"
)

// viewed is a policy in which every zone lists bad.example with an action of its own, so that the action tells which zone decided.
func viewed(t *testing.T, zones []policy.Zone, views ...policy.View) *policy.Policy {
	t.Helper()
	w := state(t, "zone unused: one\nfeed one: exact bad.example")
	p, err := policy.New(policy.Config{Zones: zones, Views: views, Index: w.index(t)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func zoneOf(action policy.Action) []policy.Zone {
	return []policy.Zone{{Name: "block", Feeds: []string{"one"}, Action: action}}
}

func decides(p *policy.Policy, q policy.Request) string {
	q.Name, q.Class = []byte(dnsname.MustParse("bad.example")), 1
	d := p.CheckQuery(&q)
	if !d.Matched() {
		return fmt.Sprint("none ", d.NObserved)
	}
	return fmt.Sprint(d.Winner.Action, " ", p.Rule(d.Winner).Zone.View)
}

func at(client string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(client), 4242) }

// TestViewsHaveZonesOfTheirOwn: the first view that a query belongs to decides, by client, transport, listener and time.
func TestViewsHaveZonesOfTheirOwn(t *testing.T) {
	prefixes := func(texts ...string) (out []netip.Prefix) {
		for _, s := range texts {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	p := viewed(t, zoneOf(policy.ActionSinkhole),
		policy.View{Name: "guests", Clients: prefixes("10.1.2.0/24", "2001:db8:1::/48"), Zones: zoneOf(policy.ActionDrop)},
		policy.View{Name: "office", Clients: prefixes("10.1.0.0/16"), Zones: zoneOf(policy.ActionNXDOMAIN)},
		policy.View{Name: "wide", Clients: prefixes("10.0.0.0/8"), Transports: []policy.Transport{policy.TransportTCP}, Zones: zoneOf(policy.ActionNODATA)},
		policy.View{Name: "port", Listeners: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:5353"), netip.MustParseAddrPort("192.0.2.54:0")},
			Zones: zoneOf(policy.ActionTCPOnly)},
		policy.View{Name: "branch", Clients: prefixes("10.7.0.0/16"), Keys: []dnsname.Name{dnsname.MustParse("branch.example")}, Zones: zoneOf(policy.ActionDrop)},
		policy.View{Name: "nobody", Clients: prefixes("10.9.0.0/16"), Zones: nil},
		policy.View{Name: "shadow", Clients: prefixes("10.8.0.0/16"), Shadow: true, Zones: zoneOf(policy.ActionNXDOMAIN)},
	)
	for _, tc := range []struct {
		q    policy.Request
		want string
	}{
		{policy.Request{Client: at("198.51.100.1")}, "sinkhole "},
		{policy.Request{}, "sinkhole "},
		{policy.Request{Client: at("10.1.2.3")}, "drop guests"},
		{policy.Request{Client: at("2001:db8:1::1")}, "drop guests"},
		{policy.Request{Client: at("10.1.3.3")}, "nxdomain office"},
		{policy.Request{Client: at("10.2.3.3")}, "sinkhole "},
		{policy.Request{Client: at("10.2.3.3"), Transport: policy.TransportTCP}, "nodata wide"},
		{policy.Request{Client: at("198.51.100.1"), Local: netip.MustParseAddrPort("192.0.2.53:5353")}, "tcp-only port"},
		{policy.Request{Client: at("198.51.100.1"), Local: netip.MustParseAddrPort("192.0.2.53:53")}, "sinkhole "},
		{policy.Request{Client: at("198.51.100.1"), Local: netip.MustParseAddrPort("192.0.2.54:53")}, "tcp-only port"},
		{policy.Request{Client: at("10.1.2.3"), Local: netip.MustParseAddrPort("192.0.2.54:53")}, "drop guests"},
		{policy.Request{Client: at("10.7.1.1"), Key: dnsname.MustParse("branch.example")}, "drop branch"},
		{policy.Request{Client: at("10.7.1.1"), Key: dnsname.MustParse("other.example")}, "sinkhole "},
		{policy.Request{Client: at("10.7.1.1")}, "sinkhole "},
		{policy.Request{Client: at("198.51.100.1"), Key: dnsname.MustParse("branch.example")}, "sinkhole "},
		{policy.Request{Client: at("10.9.1.1")}, "none 0"},
		{policy.Request{Client: at("10.8.1.1")}, "none 1"},
	} {
		if got := decides(p, tc.q); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.q, got, tc.want)
		}
		tc.q.Name = []byte(dnsname.MustParse("bad.example"))
		e, d := p.Explain(&tc.q, nil), p.CheckQuery(&tc.q)
		if (e.Winner != nil) != d.Matched() || e.View != p.ViewOf(&tc.q) {
			t.Errorf("%+v: explained as %+v, decided as %+v", tc.q, e, d)
		}
	}
}

func TestSchedules(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	weekdays := [7]bool{time.Monday: true, time.Tuesday: true, time.Wednesday: true, time.Thursday: true, time.Friday: true}
	for _, tc := range []struct {
		schedule policy.Schedule
		at       string
		want     bool
	}{
		{policy.Schedule{}, "2026-11-28T12:00:00Z", true},
		{policy.Schedule{Days: weekdays}, "2026-11-27T12:00:00Z", true},  // a Friday
		{policy.Schedule{Days: weekdays}, "2026-11-28T12:00:00Z", false}, // a Saturday
		{policy.Schedule{Days: weekdays, From: 8 * 60, To: 17 * 60}, "2026-11-27T07:59:59Z", false},
		{policy.Schedule{Days: weekdays, From: 8 * 60, To: 17 * 60}, "2026-11-27T08:00:00Z", true},
		{policy.Schedule{Days: weekdays, From: 8 * 60, To: 17 * 60}, "2026-11-27T17:00:00Z", false},
		{policy.Schedule{Days: weekdays, From: 8 * 60, To: 17 * 60, Location: berlin}, "2026-11-27T07:00:00Z", true},
		{policy.Schedule{From: 22 * 60, To: 6 * 60}, "2026-11-27T23:00:00Z", true},
		{policy.Schedule{From: 22 * 60, To: 6 * 60}, "2026-11-27T05:59:00Z", true},
		{policy.Schedule{From: 22 * 60, To: 6 * 60}, "2026-11-27T12:00:00Z", false},
		{policy.Schedule{Days: weekdays, From: 22 * 60, To: 6 * 60}, "2026-11-28T05:00:00Z", true},  // the night that began on Friday
		{policy.Schedule{Days: weekdays, From: 22 * 60, To: 6 * 60}, "2026-11-28T23:00:00Z", false}, // and the one that did not
		{policy.Schedule{Days: weekdays, From: 22 * 60, To: 6 * 60}, "2026-11-30T05:00:00Z", false}, // Sunday's
	} {
		p := viewed(t, nil, policy.View{Name: "v", Schedule: tc.schedule, Zones: zoneOf(policy.ActionNXDOMAIN)})
		when, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := decides(p, policy.Request{Time: when}) == "nxdomain v"; got != tc.want {
			t.Errorf("%+v at %s: %t, want %t", tc.schedule, tc.at, got, tc.want)
		}
	}
}

// TestCanaryIsStable: the same clients are in it after a restart, about as many as asked for, and the others are recorded.
func TestCanaryIsStable(t *testing.T) {
	make := func() *policy.Policy {
		return viewed(t, nil, policy.View{Name: "new", Canary: 0.2, Zones: zoneOf(policy.ActionNXDOMAIN)})
	}
	p, again := make(), make()
	in := 0
	for i := range 10_000 {
		client := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		q := policy.Request{Client: netip.AddrPortFrom(client, 1)}
		got := decides(p, q)
		if got != decides(again, q) {
			t.Fatalf("%s is in one and not in the other", client)
		}
		if got == "nxdomain new" {
			in++
		} else if got != "none 1" {
			t.Fatalf("%s: %s", client, got)
		}
	}
	if in < 1800 || in > 2200 {
		t.Errorf("%d of 10000 clients are in a canary of a fifth", in)
	}
	one, other := at("2001:db8::1"), at("2001:db8::2")
	if decides(p, policy.Request{Client: one}) != decides(p, policy.Request{Client: other}) {
		t.Error("two addresses of one site are not treated alike")
	}
}

func TestViewsThatCannotBe(t *testing.T) {
	for what, views := range map[string][]policy.View{
		"no name":      {{}},
		"taken":        {{Name: "a"}, {Name: "a"}},
		"canary":       {{Name: "a", Canary: 1}},
		"zone twice":   {{Name: "a", Zones: append(zoneOf(policy.ActionDrop), zoneOf(policy.ActionDrop)...)}},
		"local data":   {{Name: "a", Zones: zoneOf(policy.ActionLocalData)}},
		"crowds":       {{Name: "a", Zones: make([]policy.Zone, policy.ZonesMax+1)}},
		"no zone name": {{Name: "a", Zones: make([]policy.Zone, 1)}},
	} {
		if _, err := policy.New(policy.Config{Views: views}); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// TestStrictZones: as the draft has it by default, zones can be for recursive queries alone, and not for signed answers.
func TestStrictZones(t *testing.T) {
	strict := zoneOf(policy.ActionNXDOMAIN)
	strict[0].RecursiveOnly, strict[0].KeepSigned = true, true
	p := viewed(t, append(strict, policy.Zone{Name: "later", Feeds: []string{"one"}, Action: policy.ActionNODATA}))
	name := []byte(dnsname.MustParse("bad.example"))
	plain := answer(t, "bad.example", true, "bad.example. A 192.0.2.1")
	signed := answer(t, "bad.example", true, "bad.example. A 192.0.2.1",
		"bad.example. RRSIG A 13 2 300 20300101000000 20200101000000 1 example. AAAA")
	for _, tc := range []struct {
		rd, do  bool
		msg     []byte
		pending bool
		want    policy.Action
	}{
		{true, false, plain, false, policy.ActionNXDOMAIN},
		{false, false, plain, false, policy.ActionNODATA},
		{true, true, plain, true, policy.ActionNXDOMAIN},
		{true, true, signed, true, policy.ActionNODATA},
		{true, false, signed, false, policy.ActionNXDOMAIN},
	} {
		q := &policy.Request{Name: name, Type: dns.TypeA, Class: 1, RD: tc.rd, DO: tc.do}
		before := p.CheckQuery(q)
		if before.Pending != tc.pending {
			t.Errorf("%+v: pending %t", tc, before.Pending)
		}
		if d := p.CheckAnswer(q, &policy.Answer{Msg: tc.msg}, before); d.Winner.Action != tc.want {
			t.Errorf("rd %t, do %t: %s, want %s", tc.rd, tc.do, d.Winner.Action, tc.want)
		}
		e := p.Explain(q, &policy.Answer{Msg: tc.msg})
		if e.Winner == nil || e.Winner.Action != tc.want {
			t.Errorf("rd %t, do %t: explained as %+v", tc.rd, tc.do, e.Winner)
		}
	}
}

// TestServerWithALongName: a name server whose name has no room for the key of its own lies below what is listed all the same.
func TestServerWithALongName(t *testing.T) {
	w := state(t, "zone block: one\nfeed one: exact bad.example")
	key, _ := policy.AppendNameKey(nil, []byte(dnsname.MustParse("bulletproof.test")))
	w.add(rule{name: dnsname.Name(key), member: policy.Member{Kind: policy.KindBelow, Confidence: policy.ConfidenceUnknown}})
	w.countTriggers()
	p := w.policy(t)
	label := strings.Repeat("n", 60)
	for _, name := range []string{"ns.bulletproof.test", strings.Repeat(label+".", 3) + strings.Repeat("m", 52) + ".bulletproof.test"} {
		q := ask(dnsname.MustParse("www.example"), 1)
		a := &policy.Answer{Msg: answer(t, "www.example", true, "www.example. A 192.0.2.1"),
			Paths: []policy.Path{{Servers: []policy.Server{{Name: []byte(dnsname.MustParse(name))}}}}}
		if d := p.CheckAnswer(q, a, p.CheckQuery(q)); d.Winner.Trigger != policy.TriggerNSDNAME {
			t.Errorf("%s: decided by %s", name, d.Winner.Trigger)
		}
		if e := p.Explain(q, a); e.Winner == nil || e.Winner.Trigger != policy.TriggerNSDNAME {
			t.Errorf("%s: explained as %+v", name, e.Winner)
		}
	}
}
