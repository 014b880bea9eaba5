package dnsserver_test

import (
	"fmt"
	"testing"

	"cenote/dnsserver"
	"cenote/policy"
	"cenote/querylog"
	"cenote/ring"
	"cenote/sighting"

	"github.com/miekg/dns"
)

// drained is a worker's own queues on real rings, which a goroutine of the test could not empty without being measured: each is emptied
// when it is full.
type drained struct {
	events  *ring.SPSC[sighting.Event]
	records *ring.SPSC[querylog.Record]
}

func newDrained() *drained {
	return &drained{ring.NewSPSC[sighting.Event](64), ring.NewSPSC[querylog.Record](64)}
}

type (
	drainedEvents  struct{ *drained }
	drainedRecords struct{ *drained }
)

func (d drainedEvents) Slot() *sighting.Event {
	if d.events.Len() == d.events.Cap() {
		d.events.Release(d.events.Len())
	}
	return d.events.Slot()
}
func (d drainedEvents) Commit()         { d.events.Commit() }
func (d drainedRecords) Want(bool) bool { return true }
func (d drainedRecords) Slot() *querylog.Record {
	if d.records.Len() == d.records.Cap() {
		d.records.Release(d.records.Len())
	}
	return d.records.Slot()
}
func (d drainedRecords) Commit() { d.records.Commit() }

type inlineCase struct {
	name, qname string
	qtype       uint16
	cookie      bool
}

// inline are the queries that must be answered without allocation.
var inline = []inlineCase{
	{"listed A", "www.bad.example", dns.TypeA, false},
	{"listed A with cookie", "www.bad.example", dns.TypeA, true},
	{"listed AAAA", "www.bad.example", dns.TypeAAAA, false},
	{"listed HTTPS", "www.bad.example", dns.TypeHTTPS, false},
	{"cached clean", "www.example", dns.TypeA, false},
	{"cached clean chain", "alias.example", dns.TypeA, false},
	{"cached chain to a listed name", "sly.example", dns.TypeA, false},
	{"local zone", "www.test", dns.TypeA, false},
	{"ANY", "www.example", dns.TypeANY, false},
	{"own zone", "www.own.test", dns.TypeA, false},
	{"own zone, no name", "nothing.own.test", dns.TypeA, false},
	{"own zone, alias", "alias.own.test", dns.TypeA, false},
	{"own zone, with addresses beside", "own.test", dns.TypeNS, false},
	{"zone transfer", "www.example", dns.TypeAXFR, false},
}

func newInlineBench(t testing.TB) *bench {
	zone := sink("sink", policy.ActionSinkhole)
	zone.EDEText = true
	p := newPolicy(t, 1, []policy.Zone{zone}, listed{name: "bad.example", zone: "sink", kind: policy.KindSubtree})
	b := newBench(t, options{policy: p, zones: ownZones(t), settings: func(s *dnsserver.Settings) { s.Rates.PerSecond, s.Rates.Burst = 1e6, 1e6 }, answers: map[string]string{
		"www.example A":   "www.example. 300 A 198.51.100.1",
		"alias.example A": "alias.example. 300 CNAME www.example.\nwww.example. 300 A 198.51.100.1",
		"sly.example A":   "sly.example. 300 CNAME www.bad.example.\nwww.bad.example. 300 A 198.51.100.1",
	}})
	d := newDrained()
	dnsserver.Tap(b.worker, drainedEvents{d}, drainedRecords{d})
	return b
}

// message is the query of c, as often as it is wanted.
func (c *inlineCase) message(t testing.TB, b *bench) []byte {
	m := query(c.qname, c.qtype)
	if c.cookie {
		m = cookieQuery(c.qname, "0102030405060708")
	}
	for range 3 { // fills the cache, marks it clean
		must(t, must2(b, m))
	}
	return must1(m.Pack())
}

func must2(b *bench, m *dns.Msg) error {
	if b.ask(m) == nil {
		return fmt.Errorf("%v got no reply", m.Question[0])
	}
	return nil
}

func TestAnswerAllocatesNothing(t *testing.T) {
	for _, tc := range inline {
		t.Run(tc.name, func(t *testing.T) {
			b := newInlineBench(t)
			in := tc.message(t, b)
			got := testing.AllocsPerRun(200, func() {
				b.fill(in)
				if v := dnsserver.Answer(b.worker, &b.q); v != dnsserver.Replied {
					t.Fatalf("verdict = %v, want Replied", v)
				}
			})
			if got != 0 {
				t.Errorf("%v allocations a query, want 0", got)
			}
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	for _, tc := range inline {
		b.Run(tc.name, func(b *testing.B) {
			x := newInlineBench(b)
			in := tc.message(b, x)
			b.ReportAllocs()
			for b.Loop() {
				x.fill(in)
				dnsserver.Answer(x.worker, &x.q)
			}
		})
	}
}
