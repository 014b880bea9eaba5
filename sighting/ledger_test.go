package sighting_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/policy"
	"cenote/sighting"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if childMain() {
		return
	}
	goleak.VerifyTestMain(m)
}

// book is a Catalog: sets stand for feeds and families, and lines are numbered by generation, so that a line of the wrong
// generation shows.
type book struct {
	mu      sync.Mutex
	dropped map[uint64]bool
	calls   int
}

var errGone = errors.New("generation is gone")

func (b *book) Indicator(generation uint64, e *sighting.Event) (sighting.Indicator, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.dropped[generation] {
		return sighting.Indicator{}, errGone
	}
	return indicatorOf(generation, e), nil
}

// shuffledSet is the set of family in a generation: sets are numbered anew in each.
func shuffledSet(generation uint64, family int) uint32 {
	return uint32(family) + uint32(generation)*1000
}

func indicatorOf(generation uint64, e *sighting.Event) sighting.Indicator {
	family := e.Set - uint32(generation)*1000
	name := e.Name[:e.NameLen]
	listed, _ := dnsname.FromWire(name)
	return sighting.Indicator{
		Name: listed.Suffix(int(e.Labels)).String(), Zone: fmt.Sprintf("zone%d", e.Zone), Feed: fmt.Sprintf("feed%d", family%3),
		Family: fmt.Sprintf("family%d", family), Threat: "c2", Kind: policy.KindSubtree.String(),
		File: "list.txt", Line: int(generation)*10_000 + len(name), Confidence: 90,
	}
}

// ask describes one event.
type ask struct {
	client     string
	name       string // the name that matched
	labels     int    // of the listed name
	family     int
	generation uint64
	at         time.Time
	port       uint16
	enforced   bool
	verified   bool
}

func (a *ask) fill(e *sighting.Event) {
	*e = sighting.Event{
		Time: a.at.UnixNano(), Generation: a.generation, Client: netip.MustParseAddr(a.client).As16(), ClientPort: a.port,
		Set: shuffledSet(a.generation, a.family), QType: 1, Labels: uint8(a.labels),
		Action: uint8(policy.ActionSinkhole), Trigger: uint8(policy.TriggerQNAME), Transport: uint8(policy.TransportUDP),
	}
	if a.enforced {
		e.Flags |= sighting.EventEnforced
	}
	if a.verified {
		e.Flags |= sighting.EventVerified
	}
	e.NameLen = uint8(copy(e.Name[:], dnsname.MustParse(a.name)))
}

// running is a Store whose Run works until stop, or the end of the test.
type running struct {
	*sighting.Store
	stop func()
}

func open(t testing.TB, c sighting.Config) *sighting.Store {
	t.Helper()
	if c.Catalog == nil {
		c.Catalog = &book{}
	}
	s, err := sighting.Open(c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func run(t testing.TB, s *sighting.Store) running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return running{s, stop}
}

func openAndRun(t testing.TB, c sighting.Config) running { return run(t, open(t, c)) }

// await polls until ok, or fails the test.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// drained waits until everything committed before the call is in batches and resolved.
func drained(t testing.TB, s *sighting.Store) {
	t.Helper()
	now := time.Now()
	await(t, "all events are drained", func() bool { return s.Drained().After(now) })
}

func all(t testing.TB, s *sighting.Store, f sighting.Filter) []sighting.Sighting {
	t.Helper()
	var out []sighting.Sighting
	for g, err := range s.All(context.Background(), f) {
		if err != nil {
			t.Fatalf("All(%+v): %v", f, err)
		}
		out = append(out, g)
	}
	return out
}

func total(list []sighting.Sighting) (n uint64) {
	for _, g := range list {
		n += g.Count
	}
	return n
}

func TestMatchIsSeenWhileItIsStillInMemory(t *testing.T) {
	s := openAndRun(t, sighting.Config{Dir: t.TempDir()})
	now := time.Now().Truncate(time.Microsecond)
	a := ask{client: "192.0.2.7", name: "www.bad.example", labels: 2, family: 4, generation: 3, at: now, port: 4711, enforced: true}
	p := s.Producer()
	a.fill(p.Slot())
	p.Commit()
	later := a
	later.at, later.port, later.name, later.verified, later.enforced = now.Add(time.Millisecond), 4712, "bad.example", true, false
	s.Put(later.fill)
	drained(t, s.Store)
	got := all(t, s.Store, sighting.Filter{Hours: true})
	if len(got) != 1 {
		t.Fatalf("%d sightings, want 1: %+v", len(got), got)
	}
	g := got[0]
	want := sighting.Indicator{Name: "bad.example", Zone: "zone0", Feed: "feed1", Family: "family4", Threat: "c2", Kind: "subtree", File: "list.txt", Line: 30_013, Confidence: 90}
	if g.Indicator != want {
		t.Errorf("indicator is\n got %+v\nwant %+v", g.Indicator, want)
	}
	if g.Client != netip.MustParseAddr("192.0.2.7") || g.Count != 2 || g.Enforced != 1 || g.Verified != 1 {
		t.Errorf("got client %v, count %d, enforced %d, verified %d, want 192.0.2.7, 2, 1, 1", g.Client, g.Count, g.Enforced, g.Verified)
	}
	if !g.FirstSeen.Equal(now) || g.FirstPort != 4711 || !g.LastSeen.Equal(later.at) || g.LastPort != 4712 {
		t.Errorf("got first %v:%d, last %v:%d", g.FirstSeen, g.FirstPort, g.LastSeen, g.LastPort)
	}
	if len(g.Samples) != 2 || g.Samples[0].QName != "www.bad.example" || g.Samples[1].QName != "bad.example" {
		t.Errorf("samples are %+v", g.Samples)
	}
	if g.Action != "sinkhole" || g.Trigger != "qname" {
		t.Errorf("got action %s, trigger %s", g.Action, g.Trigger)
	}
}

func TestSightingsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	first := openAndRun(t, sighting.Config{Dir: dir})
	now := time.Now()
	for i := range 100 {
		a := ask{client: fmt.Sprintf("192.0.2.%d", i%10), name: fmt.Sprintf("n%d.example", i%20), labels: 2, family: i % 5, generation: 1, at: now.Add(time.Duration(i) * time.Microsecond)}
		first.Put(a.fill)
	}
	drained(t, first.Store)
	before := all(t, first.Store, sighting.Filter{})
	first.stop()
	second := openAndRun(t, sighting.Config{Dir: dir})
	after := all(t, second.Store, sighting.Filter{})
	if total(before) != 100 || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("before the restart %d sightings of %d events, after it %d of %d, want the same, of 100 events",
			len(before), total(before), len(after), total(after))
	}
}
