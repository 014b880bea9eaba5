package zone_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
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

// TestFrozenSecondaryIsServedOn holds that a zone by transfer that is frozen takes nothing, and does not expire before it is thawed.
func TestFrozenSecondaryIsServedOn(t *testing.T) {
	apex, now := dnsname.MustParse("corp.example"), time.Now()
	var whole atomic.Int32
	answer := func(serial int) func(*dns.Msg) [][]string {
		return func(q *dns.Msg) [][]string {
			if q.Question[0].Qtype == dns.TypeAXFR {
				whole.Add(1)
			}
			return byType(serial, [][]string{wholeZone(serial)}, [][]string{wholeZone(serial)})(q)
		}
	}
	p := startPrimary(t, &primaryServer{reply: answer(1)})
	log := new(lines)
	conf := zone.KeeperConfig{
		Sources: []zone.Source{{Name: apex, Origin: "primary"}}, Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return now },
	}
	var k *zone.Keeper
	var all *zone.Secondaries
	start := func() {
		t.Helper()
		var err error
		if k, err = zone.NewKeeper(conf); err != nil {
			t.Fatal(err)
		}
		all = zone.NewSecondaries(k, []zone.Secondary{{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}})
		all.Resume(apex)
	}
	start()
	expect := func(what string, served bool, serial uint32, fault string) {
		t.Helper()
		err := all.Look(t.Context(), apex)
		if s := k.Status()[0]; (err == nil) != (fault == "") || s.Serial != serial || !strings.Contains(s.Fault, fault) || k.Set().Exact([]byte(apex)).Ready() != served {
			t.Errorf("%s: %v, %+v, want serial %d, served %v, and %q", what, err, s, serial, served, fault)
		}
	}
	expect("at the beginning", true, 1, "")
	if err := k.Freeze(apex, true); err != nil {
		t.Fatal(err)
	}
	expect("when nothing has changed", true, 1, "")
	p.reply = answer(2)
	expect("when the primary has another version", true, 1, "the zone is frozen; thaw it with `cenote zones thaw` to take serial 2")
	if n := whole.Load(); n != 1 {
		t.Errorf("the zone was taken whole %d times", n)
	}
	p.reply = func(*dns.Msg) [][]string { return nil }
	now = now.Add(48 * time.Hour) // it expires after one day
	expect("when its time is over", true, 1, "ended it before it was whole")
	expect("and later", true, 1, "ended it before it was whole")
	if n := log.count("zone is frozen, and served beyond the time"); n != 1 {
		t.Errorf("the log has told it %d times:\n%s", n, &log.text)
	}
	start()
	expect("after a restart", true, 1, "ended it before it was whole")
	if err := k.Freeze(apex, false); err != nil {
		t.Fatal(err)
	}
	expect("thawed, while the primaries are asked", true, 1, "ended it before it was whole")
	now = now.Add(time.Minute)
	expect("thawed", false, 1, "ended it before it was whole")
	p.reply = answer(2)
	expect("with the next version", true, 2, "")
}

// TestThawingAsks holds that the primaries of a zone are asked as soon as it is thawed.
func TestThawingAsks(t *testing.T) {
	apex, asked := dnsname.MustParse("corp.example"), make(chan bool, 100)
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		asked <- true
		return byType(1, nil, [][]string{wholeZone(1)})(q)
	}})
	k, all := runSecondaries(t, zone.Secondary{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}})
	if err := errors.Join(all.Transfer(t.Context(), apex, false), k.Freeze(apex, true), all.Transfer(t.Context(), apex, false)); err != nil {
		t.Fatal(err)
	}
	for len(asked) > 0 {
		<-asked
	}
	if err := k.Freeze(apex, false); err != nil {
		t.Fatal(err)
	}
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Error("nobody was asked")
	}
}
