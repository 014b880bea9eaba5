package zone_test

import (
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"testing"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"
)

// BenchmarkEditAmongZones changes one small zone after another of so many; at the bound, their histories are as large as they may be.
func BenchmarkEditAmongZones(b *testing.B) {
	for _, tc := range []struct {
		zones, bytes int
		name         string
	}{{1, 0, ""}, {100, 0, ""}, {10_000, 0, ""}, {10_000, 1 << 20, "/at the bound"}} {
		zones := tc.zones
		b.Run(fmt.Sprintf("zones=%d%s", zones, tc.name), func(b *testing.B) {
			k, err := zone.NewKeeper(zone.KeeperConfig{Sources: manySources(zones), Bounds: zone.HistoryBounds{Bytes: tc.bytes}, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			serial := uint32(0)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%zones == 0 {
					serial++
				}
				if err := k.Edit(manyName(i%zones), func(*zone.Zone) (*zone.Zone, error) { return smallZone(manyName(i%zones), serial) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFindAmongZones finds the zone of a name three labels below its apex.
func BenchmarkFindAmongZones(b *testing.B) {
	for _, zones := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("zones=%d", zones), func(b *testing.B) {
			k, err := zone.NewKeeper(zone.KeeperConfig{Sources: manySources(zones), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			names := make([][]byte, 1<<12)
			for i := range names {
				names[i] = append([]byte("\x01a\x01b\x01c"), manyName(i*7919%zones)...)
			}
			set := k.Set()
			for i := 0; b.Loop(); i++ {
				if set.Find(names[i%len(names)]) == nil {
					b.Fatal("none")
				}
			}
		})
	}
}

func manyName(i int) dnsname.Name { return dnsname.MustParse(fmt.Sprintf("zone%d.example", i)) }

// manySources are zones without a file, all as one template has them.
func manySources(zones int) (out []zone.Source) {
	everybody := func(netip.Addr) bool { return true }
	for i := range zones {
		out = append(out, zone.Source{Name: manyName(i), Transfer: everybody, Template: "all"})
	}
	return out
}

// smallZone has nothing but its SOA record.
func smallZone(apex dnsname.Name, serial uint32) (*zone.Zone, error) {
	soa := append([]byte("\x02ns\x00\x04host\x00"), byte(serial>>24), byte(serial>>16), byte(serial>>8), byte(serial), 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 4, 0, 0, 0, 0, 60)
	return zone.Build(apex, iter.Seq[zone.Record](func(yield func(zone.Record) bool) {
		yield(zone.Record{Owner: apex, Type: wire.TypeSOA, TTL: 60, Data: soa})
	}))
}
