package dnsserver_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"
	"cenote/querylog"
	"cenote/sighting"

	"github.com/miekg/dns"
)

// tap takes what a worker records: as a ring of its own, and as the queues of shared workers.
type tap struct {
	events  []sighting.Event
	records []querylog.Record
	event   sighting.Event
	record  querylog.Record
	refuse  bool // the log is full or does not want the query
}

type (
	ownEvents     struct{ *tap }
	ownRecords    struct{ *tap }
	sharedEvents  struct{ *tap }
	sharedRecords struct{ *tap }
)

func (t ownEvents) Slot() *sighting.Event { return &t.event }
func (t ownEvents) Commit()               { t.events = append(t.events, t.event) }
func (t ownRecords) Want(bool) bool       { return true }
func (t ownRecords) Slot() *querylog.Record {
	if t.refuse {
		return nil
	}
	return &t.record
}
func (t ownRecords) Commit() { t.records = append(t.records, t.record) }
func (t sharedEvents) Put(fill func(*sighting.Event)) {
	fill(&t.event)
	t.events = append(t.events, t.event)
}
func (t sharedRecords) Want(bool) bool { return !t.refuse }
func (t sharedRecords) Put(fill func(*querylog.Record)) {
	fill(&t.record)
	t.records = append(t.records, t.record)
}

func newTapped(t testing.TB, o options) *bench {
	b := newBench(t, o)
	b.tap = &tap{}
	dnsserver.Tap(b.worker, ownEvents{b.tap}, ownRecords{b.tap})
	return b
}

// describeEvent is what tests compare of an event.
func describeEvent(e *sighting.Event) string {
	var flags []string
	for f, name := range map[sighting.EventFlags]string{sighting.EventEnforced: "enforced", sighting.EventVerified: "verified", sighting.EventStale: "stale"} {
		if e.Flags&f != 0 {
			flags = append(flags, name)
		}
	}
	slices.Sort(flags)
	return fmt.Sprintf("%v:%d %s %s zone %d labels %d stage %d %s %s %s generation %d [%s]", netip.AddrFrom16(e.Client).Unmap(), e.ClientPort,
		dnsname.Name(e.Name[:e.NameLen]), dns.TypeToString[e.QType], e.Zone, e.Labels, e.Stage, policy.Action(e.Action), policy.Trigger(e.Trigger),
		policy.Transport(e.Transport), e.Generation, strings.Join(flags, " "))
}

func TestSightings(t *testing.T) {
	shadow := sink("shadow", policy.ActionSinkhole)
	shadow.LogOnly = true
	p := newPolicy(t, 9, []policy.Zone{shadow, sink("sink", policy.ActionSinkhole), sink("allow", policy.ActionPassthru), sink("drop", policy.ActionDrop)},
		listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree}, listed{name: "trial.example", zone: "shadow"},
		listed{name: "both.example", zone: "shadow"}, listed{name: "both.example", zone: "sink"},
		listed{name: "good.example", zone: "allow"}, listed{name: "drop.example", zone: "drop"}, listed{name: "hidden.onion", zone: "sink"})
	answers := map[string]string{
		"www.example A":   "www.example. 300 CNAME X.Bad.example.",
		"trial.example A": "trial.example. 300 A 198.51.100.1",
		"shade.example A": "shade.example. 300 CNAME trial.example.\ntrial.example. 300 A 198.51.100.1",
		"round.example A": "round.example. 300 CNAME turn.example.\nturn.example. 300 CNAME round.example.\nround.example. 300 CNAME y.bad.example.",
		"good.example A":  "good.example. 300 A 198.51.100.1",
		"clean.example A": "clean.example. 300 A 198.51.100.1",
	}
	for _, tc := range []struct {
		name, qname string
		peer        string
		tcp         bool
		stale       bool
		want        []string
	}{
		{"winner", "A.bad.example", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 a.bad.example A zone 1 labels 2 stage 0 sinkhole qname udp generation 9 [enforced]"}},
		{"over TCP the client is verified", "bad.example", "192.168.1.2:5353", true, false,
			[]string{"192.168.1.2:5353 bad.example A zone 1 labels 2 stage 0 sinkhole qname tcp generation 9 [enforced verified]"}},
		{"over IPv6", "bad.example", "[fd00::7]:99", false, false,
			[]string{"fd00::7:99 bad.example A zone 1 labels 2 stage 0 sinkhole qname udp generation 9 [enforced]"}},
		{"step of a chain, after a wait", "www.example", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 x.bad.example A zone 1 labels 2 stage 1 sinkhole qname udp generation 9 [enforced]"}},
		{"step behind a circle", "round.example", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 y.bad.example A zone 1 labels 2 stage 3 sinkhole qname udp generation 9 [enforced]"}},
		{"step of a stale chain", "www.example", "192.168.1.2:5353", false, true,
			[]string{"192.168.1.2:5353 x.bad.example A zone 1 labels 2 stage 1 sinkhole qname udp generation 9 [enforced stale]"}},
		{"shadow zone", "trial.example", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 trial.example A zone 0 labels 2 stage 0 sinkhole qname udp generation 9 []"}},
		{"step that a shadow zone lists", "shade.example", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 trial.example A zone 0 labels 2 stage 1 sinkhole qname udp generation 9 []"}},
		{"shadow and winner", "both.example", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 both.example A zone 1 labels 2 stage 0 sinkhole qname udp generation 9 [enforced]",
				"192.168.1.2:5353 both.example A zone 0 labels 2 stage 0 sinkhole qname udp generation 9 []"}},
		{"dropped", "drop.example", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 drop.example A zone 3 labels 2 stage 0 drop qname udp generation 9 [enforced]"}},
		{"special-use name", "hidden.onion", "192.168.1.2:5353", false, false,
			[]string{"192.168.1.2:5353 hidden.onion A zone 1 labels 2 stage 0 sinkhole qname udp generation 9 [enforced]"}},
		{"allowed", "good.example", "192.168.1.2:5353", false, false, nil},
		{"clean", "clean.example", "192.168.1.2:5353", false, false, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newTapped(t, options{policy: p, answers: answers})
			b.tcp, b.peer, b.world.stale = tc.tcp, netip.MustParseAddrPort(tc.peer), tc.stale
			b.ask(query(tc.qname, dns.TypeA))
			var got []string
			for i := range b.tap.events {
				got = append(got, describeEvent(&b.tap.events[i]))
				if at := b.tap.events[i].Time; at != b.now.UnixNano() {
					t.Errorf("time = %d, want that of the query, %d", at, b.now.UnixNano())
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("events:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}

// TestTargetsOfServicesAreRecorded: a rule that the target of an SVCB or HTTPS record matches is recorded with the target, whether it lists a name or is a
// pattern; the query log says that it was not the query name.
func TestTargetsOfServicesAreRecorded(t *testing.T) {
	shadow := sink("shadow", policy.ActionSinkhole)
	shadow.LogOnly = true
	p := newPolicy(t, 9, []policy.Zone{shadow, sink("sink", policy.ActionSinkhole)},
		listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree}, listed{name: ".", match: `^evil\d`, zone: "sink"}, listed{name: ".", match: "shade", zone: "shadow"})
	pattern := func(text, name string) string {
		key, _ := policy.AppendPatternKey(nil, text)
		n := dnsname.MustParse(name)
		return dnsname.Name(string(n[:len(n)-1]) + string(key)).String()
	}
	answers := map[string]string{
		"name.example HTTPS":    "name.example. 300 HTTPS 1 . alpn=h2\nname.example. 300 HTTPS 2 X.Bad.example.",
		"away.example A":        "away.example. 300 CNAME Y.bad.example.\ny.bad.example. 300 A 192.0.2.1",
		"pattern.example HTTPS": "pattern.example. 300 HTTPS 1 good.example.\npattern.example. 300 HTTPS 2 Evil7.example.",
		"alias.example SVCB":    "alias.example. 300 CNAME far.example.\nfar.example. 300 SVCB 0 evil7.example.",
		"both.example HTTPS":    "both.example. 300 HTTPS 1 shade.example.\nboth.example. 300 HTTPS 2 evil7.example.",
	}
	for _, tc := range []struct {
		qname string
		qtype uint16
		want  []string // name, trigger, stage
		log   string   // the listed name in the query log
	}{
		{"name.example", dns.TypeHTTPS, []string{"x.bad.example qname 1"}, "bad.example"},
		{"away.example", dns.TypeA, []string{"y.bad.example qname 1"}, "bad.example"},
		{"pattern.example", dns.TypeHTTPS, []string{pattern(`^evil\d`, "evil7.example") + " pattern 1"}, ""},
		{"alias.example", dns.TypeSVCB, []string{pattern(`^evil\d`, "evil7.example") + " pattern 2"}, ""},
		{"both.example", dns.TypeHTTPS, []string{pattern(`^evil\d`, "evil7.example") + " pattern 1", pattern("shade", "shade.example") + " pattern 1"}, ""},
	} {
		b := newTapped(t, options{policy: p, answers: answers})
		b.ask(query(tc.qname, tc.qtype))
		var got []string
		for i := range b.tap.events {
			e := &b.tap.events[i]
			got = append(got, fmt.Sprint(dnsname.Name(e.Name[:e.NameLen]), " ", policy.Trigger(e.Trigger), " ", e.Stage))
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: events %q, want %q", tc.qname, got, tc.want)
		}
		if len(b.tap.records) != 1 || b.tap.records[0].Stage == 0 || !b.tap.records[0].Match {
			t.Errorf("%s: records %+v, want a match that is not of the query name", tc.qname, b.tap.records)
		} else if r := &b.tap.records[0]; tc.log != strings.TrimSuffix(dnsname.Name(r.ListedName[:r.ListedLen]).String(), ".") {
			t.Errorf("%s: listed %x, want %s", tc.qname, r.ListedName[:r.ListedLen], tc.log)
		}
	}
}

// Invariant 10: a match is recorded whatever the resolver can find out about the name, and however the query ends.
func TestMatchIsRecordedWithoutANetwork(t *testing.T) {
	b := newTapped(t, options{policy: newPolicy(t, 1, []policy.Zone{sink("rpz", policy.ActionNXDOMAIN)},
		listed{name: "bad.example", zone: "rpz", data: &policy.LocalData{RRsets: []policy.RRset{rrset(dns.TypeCNAME, 5, wire("garden.example"))}}})})
	b.world.fail = errUnreachable
	b.ask(query("bad.example", dns.TypeA))
	if len(b.tap.events) != 1 {
		t.Errorf("%d events, want 1", len(b.tap.events))
	}
}

// Invariants 6 and 10: a fault of our own after the decision costs the client its answer, and the operator no evidence. The reply has what
// every reply to such a query has.
func TestFaultAfterTheDecisionIsRecorded(t *testing.T) {
	broken, shadow := sink("sink", policy.ActionSinkhole), sink("shadow", policy.ActionSinkhole)
	broken.IPv4, shadow.LogOnly = []netip.Addr{{}}, true // no address: the reply writer cannot write it
	b := newTapped(t, options{policy: newPolicy(t, 7, []policy.Zone{shadow, broken}, listed{name: "bad.example", zone: "sink"}, listed{name: "bad.example", zone: "shadow"})})
	r := b.ask(cookieQuery("bad.example", "0102030405060708"))
	expect(t, r, "SERVFAIL")
	if got := cookieIn(r); len(got) != 48 {
		t.Errorf("the reply has cookie %q, want the client's and ours", got)
	}
	plain := query("bad.example", dns.TypeA)
	plain.Extra = nil
	expect(t, b.ask(plain), "SERVFAIL")
	want := []string{
		"192.168.1.2:5353 bad.example A zone 1 labels 2 stage 0 sinkhole qname udp generation 7 [enforced]",
		"192.168.1.2:5353 bad.example A zone 0 labels 2 stage 0 sinkhole qname udp generation 7 []",
	}
	var got []string
	for i := range b.tap.events {
		got = append(got, describeEvent(&b.tap.events[i]))
	}
	if !slices.Equal(got, slices.Concat(want, want)) {
		t.Errorf("events:\n%s\nwant twice:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(b.tap.records) != 2 || b.tap.records[0].Rcode != dns.RcodeServerFailure || b.tap.records[0].ReplySize == 0 {
		t.Errorf("the query log has %d records, the first of %+v; want two of SERVFAIL", len(b.tap.records), b.tap.records)
	}
	if bugs := dnsserver.Bugs(b.worker); bugs != 2 {
		t.Errorf("bugs = %d, want one a query", bugs)
	}
}

// brokenRecords is a query log with a fault.
type brokenRecords struct{}

func (brokenRecords) Want(bool) bool         { panic("a fault of the log") }
func (brokenRecords) Slot() *querylog.Record { return nil }
func (brokenRecords) Commit()                {}

// TestFaultOfTheRecordCostsNoAnswer: where only the record fails, the client gets its reply, and what was recorded before is not recorded again.
func TestFaultOfTheRecordCostsNoAnswer(t *testing.T) {
	b := newTapped(t, options{policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})})
	dnsserver.Tap(b.worker, ownEvents{b.tap}, brokenRecords{})
	expect(t, b.ask(query("bad.example", dns.TypeA)), "NOERROR EDE15", "bad.example. 10 IN A 192.0.2.53")
	if events, bugs := len(b.tap.events), dnsserver.Bugs(b.worker); events != 1 || bugs != 1 {
		t.Errorf("%d events and %d bugs, want one of each", events, bugs)
	}
}

// TestTwoFaultsOfOneQuery: a fault on the way of a fault is caught too.
func TestTwoFaultsOfOneQuery(t *testing.T) {
	b := newTapped(t, options{policyFn: func() *policy.Policy { panic("a fault") }})
	dnsserver.Tap(b.worker, ownEvents{b.tap}, brokenRecords{})
	expect(t, b.ask(query("www.example", dns.TypeA)), "SERVFAIL")
	if bugs := dnsserver.Bugs(b.worker); bugs != 2 {
		t.Errorf("bugs = %d, want 2", bugs)
	}
}

func TestVerifiedByCookie(t *testing.T) {
	b := newTapped(t, options{policy: newPolicy(t, 1, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink"})})
	r := b.ask(cookieQuery("bad.example", "0102030405060708"))
	b.ask(cookieQuery("bad.example", cookieIn(r)))
	for i, want := range []sighting.EventFlags{sighting.EventEnforced, sighting.EventEnforced | sighting.EventVerified} {
		if got := b.tap.events[i].Flags; got != want {
			t.Errorf("flags of event %d = %b, want %b", i, got, want)
		}
	}
}

func TestQueryLog(t *testing.T) {
	p := newPolicy(t, 9, []policy.Zone{sink("sink", policy.ActionSinkhole), sink("drop", policy.ActionDrop)},
		listed{name: "bad.example", zone: "sink"}, listed{name: "drop.example", zone: "drop"})
	b := newTapped(t, options{policy: p, answers: wwwAnswers})
	type fields struct {
		name   string
		source querylog.Source
		rcode  uint16
		ede    uint16
		action policy.Action
		match  bool
	}
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		want        fields
	}{
		{"a rule", "Bad.example", dns.TypeA, fields{"Bad.example", querylog.SourcePolicy, 0, 15, policy.ActionSinkhole, true}},
		{"the network", "www.example", dns.TypeA, fields{"www.example", querylog.SourceResolver, 0, policy.EDENone, policy.ActionDefault, false}},
		{"the cache", "www.example", dns.TypeA, fields{"www.example", querylog.SourceCache, 0, policy.EDENone, policy.ActionDefault, false}},
		{"a local zone", "www.test", dns.TypeA, fields{"www.test", querylog.SourceLocal, 3, policy.EDENone, policy.ActionDefault, false}},
		{"refused", "example", dns.TypeAXFR, fields{"example", querylog.SourceNone, 5, 21, policy.ActionDefault, false}},
		{"dropped", "drop.example", dns.TypeA, fields{"drop.example", querylog.SourcePolicy, 0, policy.EDENone, policy.ActionDrop, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := query(tc.qname, tc.qtype)
			b.ask(m)
			r := &b.tap.records[len(b.tap.records)-1]
			got := fields{dnsname.Name(r.Name[:r.NameLen]).String(), r.Source, r.Rcode, r.EDE, policy.Action(r.Action), r.Match}
			if got != tc.want {
				t.Errorf("record = %+v, want %+v", got, tc.want)
			}
			if r.ID != m.Id || r.QType != tc.qtype || r.QClass != dns.ClassINET || netip.AddrFrom16(r.Client).Unmap() != b.peer.Addr() || r.PeerPort != b.peer.Port() || r.LocalPort != 53 {
				t.Errorf("id, type, class or addresses of %+v are not the query's", r)
			}
			if (r.ReplySize == 0) != (policy.Action(r.Action) == policy.ActionDrop) {
				t.Errorf("reply has %d octets", r.ReplySize)
			}
		})
	}
}

// Invariant 3: no query waits for its log.
func TestFullLogCostsNothing(t *testing.T) {
	b := newTapped(t, options{answers: wwwAnswers})
	b.tap.refuse = true
	expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
	expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
	if len(b.tap.records) != 0 {
		t.Errorf("%d records", len(b.tap.records))
	}
}

// TestRecordsHaveNothingOfThoseBefore: a record is the same whatever lay in its place of the queue, but for the room behind its names.
func TestRecordsHaveNothingOfThoseBefore(t *testing.T) {
	p := newPolicy(t, 9, []policy.Zone{sink("sink", policy.ActionSinkhole)}, listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree})
	for _, peer := range []string{"192.168.1.2:5353", "[fd00::7]:99"} {
		for _, qname := range []string{"a.bad.example", "clean.example", "."} {
			var got [2]querylog.Record
			msg := query(qname, dns.TypeA)
			for i, before := range []byte{0, 0xff} {
				b := newTapped(t, options{policy: p})
				b.peer = netip.MustParseAddrPort(peer)
				soil(t, &b.tap.record, before)
				b.ask(msg)
				got[i] = b.tap.records[0]
				got[i].Time -= b.now.UnixNano()
				got[i].Duration = min(0, got[i].Duration) // of what waited
				clear(got[i].Name[got[i].NameLen:])
				clear(got[i].ListedName[got[i].ListedLen:])
			}
			if got[0] != got[1] {
				t.Errorf("%s from %s: the record depends on the one before:\n%+v\n%+v", qname, peer, got[0], got[1])
			}
		}
	}
}

// soil fills a record with one octet.
func soil(t *testing.T, r *querylog.Record, with byte) {
	t.Helper()
	if _, err := binary.Decode(bytes.Repeat([]byte{with}, binary.Size(r)), binary.LittleEndian, r); err != nil {
		t.Fatal(err)
	}
}
