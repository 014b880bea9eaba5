package sighting_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/sighting"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestFilters(t *testing.T) {
	clock := &shifted{}
	s := openAndRun(t, sighting.Config{Dir: t.TempDir(), Now: clock.now, Limits: sighting.Limits{TablePairs: 5, Pairs: 1 << 20}})
	put := func(client, name string, family int, enforced bool) {
		a := ask{client: client, name: name, labels: strings.Count(name, ".") + 1, family: family, generation: 1, at: clock.now(), enforced: enforced}
		s.Put(a.fill)
	}
	put("192.0.2.1", "bad.example", 1, true)
	put("192.0.2.1", "very.bad.example", 2, false)
	put("192.0.2.200", "bad.example", 1, true)
	put("2001:db8::1", "notbad.example", 4, true)
	settled(t, s.Store, clock)
	clock.advance(26 * time.Hour)
	later := clock.now()
	put("192.0.2.1", "bad.example", 1, true)
	put("2001:db8::1", "worse.example", 5, false)
	settled(t, s.Store, clock)
	for _, tc := range []struct {
		name   string
		filter sighting.Filter
		want   string // client name count, …
	}{
		{"all", sighting.Filter{}, "192.0.2.1 bad.example 2, 192.0.2.1 very.bad.example 1, 192.0.2.200 bad.example 1, 2001:db8::1 notbad.example 1, 2001:db8::1 worse.example 1"},
		{"one client", sighting.Filter{Client: netip.MustParsePrefix("192.0.2.1/32")}, "192.0.2.1 bad.example 2, 192.0.2.1 very.bad.example 1"},
		{"a network", sighting.Filter{Client: netip.MustParsePrefix("192.0.2.128/25")}, "192.0.2.200 bad.example 1"},
		{"an IPv6 network", sighting.Filter{Client: netip.MustParsePrefix("2001:db8::/32"), Family: "family5"}, "2001:db8::1 worse.example 1"},
		{"a family", sighting.Filter{Family: "family1"}, "192.0.2.1 bad.example 2, 192.0.2.200 bad.example 1"},
		{"a feed", sighting.Filter{Feed: "feed2"}, "192.0.2.1 very.bad.example 1, 2001:db8::1 worse.example 1"},
		{"an indicator and below", sighting.Filter{Indicator: "Bad.Example."}, "192.0.2.1 bad.example 2, 192.0.2.1 very.bad.example 1, 192.0.2.200 bad.example 1"},
		{"since", sighting.Filter{Since: later.Add(-time.Minute)}, "192.0.2.1 bad.example 1, 2001:db8::1 worse.example 1"},
		{"until", sighting.Filter{Until: later.Add(-2 * time.Hour), Client: netip.MustParsePrefix("::/0"), Family: "family1"}, "192.0.2.1 bad.example 1, 192.0.2.200 bad.example 1"},
		{"enforced", sighting.Filter{Enforcement: sighting.EnforcedOnly, Client: netip.MustParsePrefix("192.0.2.1/32")}, "192.0.2.1 bad.example 2"},
		{"observed", sighting.Filter{Enforcement: sighting.ObservedOnly}, "192.0.2.1 very.bad.example 1, 2001:db8::1 worse.example 1"},
		{"nothing", sighting.Filter{Family: "no such"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, limit := range []int{0, 1, 2} {
				tc.filter.Limit = limit
				var got []string
				for _, g := range all(t, s.Store, tc.filter) {
					got = append(got, fmt.Sprint(g.Client, " ", g.Name, " ", g.Count))
				}
				if strings.Join(got, ", ") != tc.want {
					t.Errorf("limit %d:\n got %s\nwant %s", limit, strings.Join(got, ", "), tc.want)
				}
			}
		})
	}
	for _, bad := range []sighting.Filter{{Cursor: "!"}, {Cursor: "AAAA"}, {Indicator: "a..b"}} {
		if _, err := s.Query(t.Context(), bad); err == nil {
			t.Errorf("Query(%+v) succeeded", bad)
		}
	}
}

func TestPagesOverMemoryAndManyRuns(t *testing.T) {
	s := openAndRun(t, sighting.Config{Dir: t.TempDir(), Limits: sighting.Limits{TablePairs: 9000, Pairs: 1 << 20, IndicatorsPerClient: 1 << 20}})
	const clients, names = 4000, 10
	for i := range clients * names {
		a := ask{client: fmt.Sprintf("10.0.%d.%d", i/names%clients/250, i/names%clients%250), name: fmt.Sprintf("n%d.example", i%names), labels: 2, family: i % names, generation: 1, at: time.Now()}
		s.Put(a.fill)
		if i%3000 == 0 {
			drained(t, s.Store)
		}
	}
	drained(t, s.Store)
	seen := map[string]bool{}
	last, pages := netip.Addr{}, 0
	for f := (sighting.Filter{Limit: 700}); ; pages++ {
		page, err := s.Query(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.Sightings {
			key := g.Client.String() + g.Name
			if seen[key] || g.Count != 1 || g.Client.Compare(last) < 0 {
				t.Fatalf("page %d: %s of %v comes again, is counted %d times, or is out of order after %v", pages, g.Name, g.Client, g.Count, last)
			}
			seen[key], last = true, g.Client
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	if len(seen) != clients*names || pages < clients*names/700 {
		t.Errorf("%d sightings on %d pages, want %d", len(seen), pages, clients*names)
	}
}

func TestOneClientWithMoreRowsThanAPage(t *testing.T) {
	s := openAndRun(t, sighting.Config{Dir: t.TempDir(), Limits: sighting.Limits{IndicatorsPerClient: 1 << 20}})
	for i := range 5000 {
		a := ask{client: "192.0.2.9", name: fmt.Sprintf("n%d.example", i), labels: 2, family: 1, generation: 1, at: time.Now()}
		s.Put(a.fill)
		if i%2000 == 0 {
			drained(t, s.Store)
		}
	}
	drained(t, s.Store)
	if got := all(t, s.Store, sighting.Filter{Limit: 200}); len(got) != 5000 || total(got) != 5000 {
		t.Errorf("%d sightings of %d events, want 5000", len(got), total(got))
	}
}

func TestFirstSightingsAreAnnouncedOnce(t *testing.T) {
	dir, clock := t.TempDir(), &shifted{}
	c := sighting.Config{Dir: dir, Now: clock.now, RetentionDays: 3, First: sighting.FirstConfig{Path: filepath.Join(t.TempDir(), "first.jsonl")}}
	s := openAndRun(t, c)
	firsts, _ := s.Subscribe(100)
	put := func(client string, family int) {
		a := ask{client: client, name: "x.bad.example", labels: 2, family: family, generation: 1, at: clock.now(), port: 99, enforced: true}
		s.Put(a.fill)
		settled(t, s.Store, clock)
	}
	for range 3 {
		put("192.0.2.1", 1)
		put("192.0.2.1", 2)
		put("192.0.2.2", 1)
	}
	for i := range 3 {
		if f := <-firsts; f.QName != "x.bad.example" || f.Indicator != "bad.example" || f.Port != 99 || !f.Enforced || f.Replayed {
			t.Errorf("first sighting %d is %+v", i, f)
		}
	}
	s.stop()
	if f, open := <-firsts; open {
		t.Errorf("announced again: %+v", f)
	}
	s = openAndRun(t, c)
	put("192.0.2.1", 1)
	clock.advance(5 * 24 * time.Hour)
	put("192.0.2.1", 1) // forgotten, and so new
	s.stop()
	f, err := os.Open(c.First.Path)
	must(t, err)
	defer f.Close()
	lines := 0
	for in := bufio.NewScanner(f); in.Scan(); lines++ {
		var got map[string]any
		if err := json.Unmarshal(in.Bytes(), &got); err != nil {
			t.Errorf("line %d: %v", lines, err)
		}
		for _, field := range []string{"time", "client", "port", "transport", "verified", "qname", "qtype", "indicator", "zone", "feed", "family", "threat", "action", "enforced"} {
			if _, ok := got[field]; !ok {
				t.Errorf("line %d lacks %s: %s", lines, field, in.Bytes())
			}
		}
	}
	if lines != 4 {
		t.Errorf("%d lines, want 4: three at first, one after the retention", lines)
	}
}

// TestOldPairsAreForgotten: the set of who was seen with what is bounded, and so must not keep what is older than the retention.
func TestOldPairsAreForgotten(t *testing.T) {
	clock := fromNoon()
	s := openAndRun(t, sighting.Config{Dir: t.TempDir(), Now: clock.now, RetentionDays: 3})
	put := func(clients, block int) {
		for i := range clients {
			a := ask{client: fmt.Sprintf("192.0.%d.%d", block, i), name: "bad.example", labels: 2, family: 1, generation: 1, at: clock.now()}
			s.Put(a.fill)
		}
		settled(t, s.Store, clock)
	}
	put(200, 1)
	clock.advance(3 * 24 * time.Hour)
	put(100, 2)
	put(50, 1) // seen again, on the last day of the retention
	if got := s.KnownPairs(); got != 300 {
		t.Errorf("%d pairs are known within the retention, want 300", got)
	}
	clock.advance(24 * time.Hour)
	put(1, 3)
	await(t, "pairs older than the retention are forgotten", func() bool { return s.KnownPairs() == 151 })
}

// TestFingerprintsAgainstMap compares the set with a map over random calls.
func TestFingerprintsAgainstMap(t *testing.T) {
	const most = 3000
	rng, set, want := rand.New(rand.NewPCG(1, 2)), sighting.NewFingerprints(most), map[uint64]uint32{}
	for i := range uint32(200_000) {
		hash := rng.Uint64N(5000)*0x9E3779B97F4A7C15 | 1
		value, fresh := set.Get(hash)
		old, ok := want[hash]
		switch {
		case value == nil && (ok || len(want) < most):
			t.Fatalf("%d: no place for a hash although %d of %d are used and it is there: %t", i, len(want), most, ok)
		case value != nil && (fresh == ok || *value != old):
			t.Fatalf("%d: fresh %t, number %d; want fresh %t, number %d", i, fresh, *value, !ok, old)
		case value != nil:
			*value, want[hash] = i, i
		}
		if rng.IntN(2000) == 0 {
			least := i - min(i, rng.Uint32N(4000))
			set.Forget(least)
			maps.DeleteFunc(want, func(_ uint64, number uint32) bool { return number < least })
		}
	}
}

// TestGrowthIsNeverFelt: a set of a million grows by a part of a few thousand at a time, is never near full in any of them, and finds everything; when
// little is left it has few parts again.
func TestGrowthIsNeverFelt(t *testing.T) {
	const most = 1_000_000
	rng, set := rand.New(rand.NewPCG(3, 4)), sighting.NewFingerprints(most)
	hashes := make([]uint64, most)
	for i := range hashes {
		hashes[i] = rng.Uint64()
		before := set.Parts()
		value, fresh := set.Get(hashes[i])
		if !fresh {
			t.Fatalf("hash %d is there already", i)
		}
		*value = uint32(i)
		if grown := set.Parts() - before; grown > 1 {
			t.Fatalf("one hash, number %d, made the set grow by %d parts", i, grown)
		}
		if i%50_000 == 0 {
			if used, of := set.Fullest(); 10*used > 9*of {
				t.Fatalf("with %d hashes a part has %d of its %d places used", i+1, used, of)
			}
		}
	}
	for i, hash := range hashes {
		if value, fresh := set.Get(hash); fresh || *value != uint32(i) {
			t.Fatalf("hash %d has number %d, fresh %t", i, *value, fresh)
		}
	}
	parts := set.Parts()
	set.Forget(most * 9 / 10)
	if left := set.Parts(); left > parts/3 {
		t.Errorf("with a tenth of its hashes left the set has %d parts of %d", left, parts)
	}
	for i, hash := range hashes[most*9/10:] {
		if value, fresh := set.Get(hash); fresh || *value != uint32(i+most*9/10) {
			t.Fatalf("hash %d of those that stay has number %d, fresh %t", i, *value, fresh)
		}
	}
}

// TestForgettingFillsNoPart: what comes while old hashes are forgotten, a part at a time, fills none of the parts.
func TestForgettingFillsNoPart(t *testing.T) {
	for _, fresh := range []int{1200, 1800, 2500, 4000} {
		rng, set := rand.New(rand.NewPCG(5, uint64(fresh))), sighting.NewFingerprints(1<<24)
		for range 62 * 64 * 4096 / 100 {
			set.Get(rng.Uint64())
		}
		for part := 0; part < set.Parts(); part++ {
			set.ForgetPart(part, 1)
			for range fresh {
				value, _ := set.Get(rng.Uint64())
				*value = 1
			}
			if part%8 > 0 {
				continue
			}
			if used, of := set.Fullest(); 10*used > 9*of {
				t.Fatalf("with %d new ones for each of %d parts that were looked through, one has %d of its %d places used", fresh, part+1, used, of)
			}
			if part > 200 {
				break // it grows faster than it is looked through
			}
		}
	}
}

// TestHalfFullRingWakesTheCollector: a worker that is never without a query lets the collector have its core in time.
func TestHalfFullRingWakesTheCollector(t *testing.T) {
	const room = 1 << 14
	s := open(t, sighting.Config{Dir: t.TempDir(), Ring: room})
	defer s.Close()
	p := s.Producer()
	for i := range 2 * room { // of which the second half finds no room
		p.Slot().NameLen = 0
		p.Commit()
		switch pressed := s.Pressed(); {
		case pressed && i+1 < room/2:
			t.Fatalf("the collector was asked to drain with %d of %d slots used", i+1, room)
		case !pressed && (i+1)%1024 == 0 && i+1 >= room/2:
			t.Fatalf("the collector was not asked to drain with %d of %d slots used", i+1, room)
		}
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	s := openAndRun(t, sighting.Config{Dir: t.TempDir()})
	a := ask{client: "192.0.2.1", name: "bad.example", labels: 2, family: 1, generation: 1, at: time.Now()}
	s.Put(a.fill)
	drained(t, s.Store)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s)
	families, err := registry.Gather()
	must(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	for _, f := range families {
		if f.GetName() != "cenote_sighting_matches_total" {
			continue
		}
		m := f.GetMetric()
		if len(m) != 1 || m[0].GetCounter().GetValue() != 1 || m[0].GetLabel()[0].GetValue() != "sinkhole" || m[0].GetLabel()[1].GetValue() != "feed1" {
			t.Errorf("matches are %v, want one by sinkhole of feed1", m)
		}
	}
}

func TestGoneGenerationIsRecordedUnderItsName(t *testing.T) {
	s := openAndRun(t, sighting.Config{Dir: t.TempDir(), Catalog: &book{dropped: map[uint64]bool{9: true}}})
	a := ask{client: "192.0.2.1", name: "bad.example", labels: 2, family: 1, generation: 9, at: time.Now()}
	s.Put(a.fill)
	drained(t, s.Store)
	if got := all(t, s.Store, sighting.Filter{}); len(got) != 1 || got[0].Name != "bad.example" || got[0].Feed != "" {
		t.Errorf("got %+v, want bad.example without a feed", got)
	}
}

func TestQueryAfterTheEndSaysSo(t *testing.T) {
	s := openAndRun(t, sighting.Config{Dir: t.TempDir()})
	a := ask{client: "192.0.2.1", name: "bad.example", labels: 2, family: 1, generation: 9, at: time.Now()}
	s.Put(a.fill)
	s.stop()
	if err := s.Run(t.Context()); err == nil {
		t.Error("a second Run succeeded")
	}
	if _, err := s.Erase(t.Context(), netip.MustParseAddr("192.0.2.1"), "test"); err == nil {
		t.Error("Erase succeeded after the end")
	}
}
