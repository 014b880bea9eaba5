package sighting_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/sighting"
)

// shifted is a clock that runs as the real one does, and can be set forward.
type shifted struct{ ahead atomic.Int64 }

func (c *shifted) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *shifted) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// fromNoon is such a clock that begins at a noon, so that no day ends while a test runs that counts by days.
func fromNoon() *shifted {
	c := &shifted{}
	now := c.now()
	c.advance(now.Truncate(24 * time.Hour).Add(36 * time.Hour).Sub(now))
	return c
}

// oracle is the ledger as a map.
type oracle map[string]*sighting.Sighting

func (o oracle) add(a *ask) {
	e := new(sighting.Event)
	a.fill(e)
	in := indicatorOf(a.generation, e)
	in.Line = int(a.generation)*10_000 + listedLength(&in)
	client := netip.MustParseAddr(a.client)
	key := fmt.Sprint(client, in.Zone, in.Feed, in.Name, in.Family)
	g := o[key]
	if g == nil {
		g = &sighting.Sighting{Client: client, Indicator: in, FirstSeen: a.at, FirstPort: a.port}
		o[key] = g
	}
	g.Count++
	if a.enforced {
		g.Enforced++
	}
	if a.verified {
		g.Verified++
	}
	g.LastSeen, g.LastPort = a.at, a.port
	if len(g.Samples) < 8 {
		g.Samples = append(g.Samples, sighting.Sample{Time: a.at, Port: a.port, QName: a.name})
	}
}

// listedLength is the length of the listed name in wire form: the Catalog is asked about the listed name alone.
func listedLength(in *sighting.Indicator) int { return len(in.Name) + 2 }

// compare reports every difference between the ledger and the map.
func (o oracle) compare(t *testing.T, got []sighting.Sighting) {
	t.Helper()
	if len(got) != len(o) {
		t.Errorf("%d sightings, want %d", len(got), len(o))
	}
	for _, g := range got {
		key := fmt.Sprint(g.Client, g.Zone, g.Feed, g.Name, g.Family)
		w := o[key]
		if w == nil {
			t.Errorf("sighting that never was: %+v", g)
			continue
		}
		if g.Count != w.Count || g.Enforced != w.Enforced || g.Verified != w.Verified {
			t.Errorf("%s: counts %d, %d, %d, want %d, %d, %d", key, g.Count, g.Enforced, g.Verified, w.Count, w.Enforced, w.Verified)
		}
		if !g.FirstSeen.Equal(w.FirstSeen) || g.FirstPort != w.FirstPort || !g.LastSeen.Equal(w.LastSeen) || g.LastPort != w.LastPort {
			t.Errorf("%s: seen %v:%d to %v:%d, want %v:%d to %v:%d", key, g.FirstSeen, g.FirstPort, g.LastSeen, g.LastPort, w.FirstSeen, w.FirstPort, w.LastSeen, w.LastPort)
		}
		if g.Line != w.Line || g.Threat != w.Threat || g.File != w.File {
			t.Errorf("%s: from %s:%d, want %s:%d, where it stood when it was first seen", key, g.File, g.Line, w.File, w.Line)
		}
		o.compareSamples(t, key, g.Samples, w.Samples)
	}
}

func (o oracle) compareSamples(t *testing.T, key string, got, want []sighting.Sample) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d samples, want %d", key, len(got), len(want))
		return
	}
	for i := range got {
		if !got[i].Time.Equal(want[i].Time) || got[i].Port != want[i].Port || got[i].QName != want[i].QName {
			t.Errorf("%s: sample %d is %v:%d %s, want %v:%d %s", key, i, got[i].Time, got[i].Port, got[i].QName, want[i].Time, want[i].Port, want[i].QName)
		}
	}
}

// randomAsk draws from few clients and names, so that pairs repeat, and from generations that number everything anew.
func randomAsk(r *rand.Rand, at time.Time, generation uint64) ask {
	family := r.IntN(12)
	a := ask{
		client: fmt.Sprintf("192.0.2.%d", r.IntN(6)), name: fmt.Sprintf("f%d.example", family*5+r.IntN(5)), labels: 2,
		family: family, generation: generation, at: at, port: uint16(r.Uint32()), enforced: r.IntN(3) > 0, verified: r.IntN(3) == 0,
	}
	if r.IntN(4) == 0 {
		a.client = fmt.Sprintf("2001:db8::%x", r.IntN(5)+1)
	}
	if r.IntN(3) == 0 {
		a.name = strings.Repeat("x", 1+r.IntN(20)) + "." + a.name
	}
	return a
}

func TestLedgerAgreesWithAMap(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			model(t, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func model(t *testing.T, r *rand.Rand) {
	clock, catalog, want := &shifted{}, &book{dropped: map[uint64]bool{}}, oracle{}
	c := sighting.Config{Dir: t.TempDir(), Catalog: catalog, Now: clock.now, Limits: sighting.Limits{TablePairs: 40, Pairs: 1 << 20}}
	s := openAndRun(t, c)
	p := s.Producer()
	generation, last := uint64(1), clock.now().Truncate(time.Microsecond)
	for range 25 {
		for range r.IntN(400) {
			last = slices.MaxFunc([]time.Time{last.Add(time.Microsecond), clock.now().Truncate(time.Microsecond)}, time.Time.Compare)
			a := randomAsk(r, last, generation)
			want.add(&a)
			if r.IntN(2) == 0 {
				s.Put(a.fill)
			} else {
				a.fill(p.Slot())
				p.Commit()
			}
		}
		switch r.IntN(6) {
		case 0:
			clock.advance(time.Duration(r.IntN(200)) * time.Minute)
		case 1:
			s.stop()
			s = openAndRun(t, c)
			p = s.Producer()
		case 2, 3: // a new generation; the old one may go when its events have drained
			settled(t, s.Store, clock)
			catalog.mu.Lock()
			catalog.dropped[generation] = true
			catalog.mu.Unlock()
			generation++
		case 4:
			settled(t, s.Store, clock)
			want.compare(t, all(t, s.Store, sighting.Filter{Limit: 1 + r.IntN(50)}))
		}
	}
	settled(t, s.Store, clock)
	want.compare(t, all(t, s.Store, sighting.Filter{Hours: true}))
	s.stop()
	s = openAndRun(t, c)
	want.compare(t, all(t, s.Store, sighting.Filter{Limit: 7}))
	if losses, err := s.Losses(t.Context(), time.Time{}); err != nil || len(losses) > 0 {
		t.Errorf("losses are %v, %v, want none", losses, err)
	}
}

func settled(t *testing.T, s *sighting.Store, clock *shifted) {
	t.Helper()
	now := clock.now()
	await(t, "all events are drained", func() bool { return s.Drained().After(now) })
}
