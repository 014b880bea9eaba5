package sighting_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/sighting"
)

// events makes n events of so many clients and indicators, every pair about equally often.
func events(n, clients, indicators int) []sighting.Event {
	out := make([]sighting.Event, n)
	now := time.Now().UnixNano()
	for i := range out {
		e := &out[i]
		a := ask{client: "192.0.2.1", name: fmt.Sprintf("host%d.bad.example", i%indicators), labels: 3, family: i % 50, generation: 1, enforced: true, port: 1234}
		if i < indicators {
			a.fill(e)
		} else {
			*e = out[i%indicators]
		}
		binary.BigEndian.PutUint32(e.Client[12:], 0x0a000000+uint32(i/indicators%clients))
		e.Time = now + int64(i)*1000
	}
	return out
}

func benchmarkCollector(b *testing.B, clients, indicators int, fresh bool) {
	s := open(b, sighting.Config{Dir: b.TempDir(), Limits: sighting.Limits{Pairs: 1 << 30, TablePairs: 1 << 30, IndicatorsPerClient: 1 << 30}})
	defer s.Close()
	p := s.Producer()
	list := events(clients*indicators, clients, indicators)
	for range 2 {
		feed(s, p, list)
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		if fresh && n%len(list) == 0 {
			b.StopTimer()
			s.DropMemory()
			b.StartTimer()
		}
		part := list[n%len(list) : min(n%len(list)+1024, len(list))]
		feed(s, p, part)
		n += len(part)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}

// feed hands events to the collector and has it drain them, 1024 at a time.
func feed(s *sighting.Store, p *sighting.Producer, list []sighting.Event) {
	for len(list) > 0 {
		n := min(1024, len(list))
		for i := range n {
			e := p.Slot()
			*e = list[i]
			p.Commit()
		}
		s.DrainOnce()
		s.DiscardJournal()
		list = list[n:]
	}
}

func BenchmarkCollectorRepeatedPairs1k(b *testing.B)   { benchmarkCollector(b, 10, 100, false) }
func BenchmarkCollectorRepeatedPairs256k(b *testing.B) { benchmarkCollector(b, 256, 1024, false) }
func BenchmarkCollectorNewPairs256k(b *testing.B)      { benchmarkCollector(b, 256, 1024, true) }

func BenchmarkCollectorNewPairs1M(b *testing.B) { benchmarkCollector(b, 1024, 1024, true) }

func BenchmarkProducer(b *testing.B) {
	s := open(b, sighting.Config{Dir: b.TempDir()})
	defer s.Close()
	p := s.Producer()
	name := []byte(dnsname.MustParse("host.bad.example"))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e := p.Slot()
		e.Time, e.Set, e.NameLen = int64(n), 4, uint8(copy(e.Name[:], name))
		p.Commit()
		if n++; n%8192 == 0 {
			b.StopTimer()
			s.DrainOnce()
			s.DiscardJournal()
			b.StartTimer()
		}
	}
}

// benchmarkQuery asks for one client, or for the sightings of a page, of a day with so many runs of 65,536 pairs.
func benchmarkQuery(b *testing.B, runs int, f sighting.Filter) {
	const pairs = 1 << 16
	s := run(b, open(b, sighting.Config{Dir: b.TempDir(), Ring: pairs, Limits: sighting.Limits{TablePairs: pairs, IndicatorsPerClient: 1 << 30}}))
	p := s.Producer()
	list := events(pairs, 1024, 64)
	for i := range runs {
		for j := range list {
			e := p.Slot()
			*e = list[j]
			e.Time += int64(i)
			p.Commit()
		}
		drained(b, s.Store)
	}
	await(b, "all tables are written", func() bool { return s.Pairs() == 0 })
	b.ReportAllocs()
	for b.Loop() {
		page, err := s.Query(b.Context(), f)
		if err != nil || len(page.Sightings) == 0 {
			b.Fatalf("%d sightings, %v", len(page.Sightings), err)
		}
	}
}

func BenchmarkQueryClient100Runs(b *testing.B) {
	benchmarkQuery(b, 100, sighting.Filter{Client: netip.MustParsePrefix("10.0.2.1/32")})
}

func BenchmarkQueryPage100Runs(b *testing.B) { benchmarkQuery(b, 100, sighting.Filter{Limit: 100}) }
