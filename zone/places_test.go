package zone_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// A zone of the configuration, such as a catalog, does not wait for the zones that catalogs list, however long the primaries of these take.
func TestMembersLeaveAPlace(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			defer c.Close()
		}
	})
	defer accepting.Wait()
	defer silent.Close()
	good := startPrimary(t, &primaryServer{reply: byType(1, nil, [][]string{wholeZone(1)})})

	own := zone.Secondary{Name: dnsname.MustParse("corp.example"), Bounds: transferBounds, Primaries: []zone.Primary{{Addr: good.addr}}}
	sources, taken := []zone.Source{{Name: own.Name, Origin: "primary"}}, []zone.Secondary{}
	for i := range 20 {
		apex, member := dnsname.MustParse(fmt.Sprintf("member%d.example", i)), fmt.Sprint("m", i)
		sources = append(sources, zone.Source{Name: apex, Origin: "primary", Catalog: dnsname.MustParse("catalog.example"), Member: member})
		taken = append(taken, zone.Secondary{Name: apex, Member: member, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: silent.Addr().(*net.TCPAddr).AddrPort()}}})
	}
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: sources, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	all := zone.NewSecondaries(k, taken)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = all.Run(ctx) })
	defer running.Wait()
	defer cancel()
	await(t, "asking for the members", func() bool { return asked.Load() >= zone.MembersMax })
	all.Update(append(taken, own))
	await(t, "serving the zone of the configuration", func() bool { return k.Set().Exact([]byte(own.Name)).Ready() })
	if n := asked.Load(); n != zone.MembersMax {
		t.Errorf("%d members were asked for, want %d, none of which has ended", n, zone.MembersMax)
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not %s in time", what)
		}
	}
}
