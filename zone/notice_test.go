package zone_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// TestNoticesAreFollowed: a notice has the primaries looked at long before the SOA record says, one after the other until one has something newer, and a
// thousand of them lead to few looks.
func TestNoticesAreFollowed(t *testing.T) {
	var serial, asked atomic.Int64
	serial.Store(1)
	reply := func(serial func() int) func(*dns.Msg) [][]string {
		return func(q *dns.Msg) [][]string { return byType(serial(), nil, [][]string{wholeZone(serial())})(q) }
	}
	late := startPrimary(t, &primaryServer{reply: reply(func() int { asked.Add(1); return 1 })})
	first := startPrimary(t, &primaryServer{reply: reply(func() int { return int(serial.Load()) })})
	apex := dnsname.MustParse("corp.example")
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{Name: apex, Origin: "primary"}}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := zone.Secondary{Name: apex, Bounds: transferBounds}
	for _, a := range []netip.AddrPort{late.addr, first.addr} {
		s.Primaries = append(s.Primaries, zone.Primary{Addr: a})
	}
	all := zone.NewSecondaries(k, []zone.Secondary{s})
	all.Notice([]byte(apex)) // before it runs
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { _ = all.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	reach := func(want uint32) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); k.Status()[0].Serial != want; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("serial %d does not come: %+v", want, k.Status()[0])
			}
		}
	}
	reach(1)
	for next := range int64(3) {
		serial.Store(next + 2)
		all.Notice([]byte(apex))
		reach(uint32(next + 2))
	}
	before := asked.Load()
	for range 1000 {
		all.Notice([]byte(apex))
	}
	all.Notice([]byte(dnsname.MustParse("other.example")))
	serial.Store(9)
	all.Notice([]byte(apex))
	reach(9)
	if n := asked.Load() - before; n > 20 {
		t.Errorf("1000 notices led to %d questions", n)
	}
}
