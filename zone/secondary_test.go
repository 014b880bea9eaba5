package zone_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// runSecondaries makes a keeper of one zone by transfer and follows it until the test ends.
func runSecondaries(t *testing.T, s zone.Secondary) (*zone.Keeper, *zone.Secondaries) {
	t.Helper()
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{Name: s.Name, Origin: "primary"}}, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	all := zone.NewSecondaries(k, []zone.Secondary{s})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- all.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return k, all
}

// TestTransferOutlivesAReload holds that whoever waits for the transfer of a zone is told what came of it, though the configuration has changed the zone
// meanwhile, and is told of a zone that has gone.
func TestTransferOutlivesAReload(t *testing.T) {
	apex, asked, release := dnsname.MustParse("corp.example"), make(chan bool, 100), make(chan struct{})
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		asked <- true
		<-release
		return byType(1, nil, [][]string{wholeZone(1)})(q)
	}})
	s := zone.Secondary{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}
	k, all := runSecondaries(t, s)
	<-asked // by the first look
	wait := func() chan error {
		told := make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		t.Cleanup(cancel)
		go func() { told <- all.Transfer(ctx, apex, false) }()
		return told
	}
	first := wait()
	time.Sleep(20 * time.Millisecond) // so that it mostly waits for the first look; it counts in either case
	s.Bounds.Records++
	all.Update([]zone.Secondary{s})
	<-asked // by the look at the zone of the new configuration
	close(release)
	if err := <-first; err != nil {
		t.Errorf("after a change: %v", err)
	}
	if got := k.Status()[0]; got.Serial != 1 {
		t.Errorf("after a change: %+v", got)
	}
	all.Update(nil)
	if err := <-wait(); err == nil || err == context.DeadlineExceeded {
		t.Errorf("of a zone that has gone: %v", err)
	}
}

// TestServersThatOnlyPassOn holds that a server which answers for a zone without authority over it confirms nothing (RFC 1034 section 4.3.5), and that the
// next primary is asked in its place.
func TestServersThatOnlyPassOn(t *testing.T) {
	apex := []byte(dnsname.MustParse("corp.example"))
	without := func(_ int, msg []byte) []byte { msg[2] &^= 4; return msg }
	cache := startPrimary(t, &primaryServer{reply: byType(9, nil, [][]string{wholeZone(9)}), edit: without})
	good := startPrimary(t, &primaryServer{reply: byType(1, nil, [][]string{wholeZone(1)})})
	k, look := followOnce(t, transferBounds, nil, cache.addr)
	const want = "it has no authority over the zone"
	if err := look(); err == nil || k.Set().Exact(apex).Ready() {
		t.Errorf("%v: it is served", err)
	}
	if s := k.Status()[0]; s.State != zone.StateFailed || !strings.Contains(s.Fault, want) || !strings.Contains(s.Fault, cache.addr.String()) {
		t.Errorf("%+v, want %q", s, want)
	}
	k, look = followOnce(t, transferBounds, nil, cache.addr, good.addr)
	if err := look(); err != nil || k.Status()[0].Serial != 1 || k.Status()[0].Primary != good.addr.String() {
		t.Errorf("with another one: %v, %+v", err, k.Status()[0])
	}
	good.edit = without
	before := k.Status()[0]
	if err := look(); err == nil {
		t.Error("a server has confirmed the zone that has lost its authority over it")
	}
	if s := k.Status()[0]; s.State != zone.StateKept || s.Checked != before.Checked || !strings.Contains(s.Fault, want) {
		t.Errorf("when authority is lost: %+v", s)
	}
}

// TestOlderByForce holds that a version whose serial goes back is taken only if somebody says so.
func TestOlderByForce(t *testing.T) {
	p := startPrimary(t, &primaryServer{reply: byType(7, nil, [][]string{wholeZone(7)})})
	apex := dnsname.MustParse("corp.example")
	k, all := runSecondaries(t, zone.Secondary{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}})
	if err := all.Transfer(t.Context(), apex, false); err != nil {
		t.Fatal(err)
	}
	p.reply = byType(3, nil, [][]string{wholeZone(3)})
	if err := all.Transfer(t.Context(), apex, false); err == nil || !strings.Contains(err.Error(), "cenote transfer --force corp.example") || k.Status()[0].Serial != 7 {
		t.Errorf("%v, %+v", err, k.Status()[0])
	}
	if err := all.Transfer(t.Context(), apex, true); err != nil || k.Status()[0].Serial != 3 || k.Status()[0].State != zone.StateServed {
		t.Errorf("by force: %v, %+v", err, k.Status()[0])
	}
}
