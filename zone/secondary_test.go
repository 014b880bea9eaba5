package zone_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
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
	held := make(chan struct{})
	p.change(func() {
		p.reply = func(q *dns.Msg) [][]string {
			asked <- true
			<-held
			return byType(2, [][]string{wholeZone(2)}, nil)(q)
		}
	})
	for len(asked) > 0 {
		<-asked
	}
	second := wait()
	<-asked // by the look that it waits for
	s.Bounds.Records++
	all.Update([]zone.Secondary{s})
	close(held)
	if err := <-second; err != nil || k.Status()[0].Serial != 2 {
		t.Errorf("after a change while it is asked: %v, %+v", err, k.Status()[0])
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
	good.change(func() { good.edit = without })
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
	p.change(func() { p.reply = byType(3, nil, [][]string{wholeZone(3)}) })
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
	p.change(func() { p.reply = answer(2) })
	expect("when the primary has another version", true, 1, "the zone is frozen; thaw it with `cenote zones thaw` to take serial 2")
	if n := whole.Load(); n != 1 {
		t.Errorf("the zone was taken whole %d times", n)
	}
	p.change(func() { p.reply = func(*dns.Msg) [][]string { return nil } })
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
	p.change(func() { p.reply = answer(2) })
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
	p.change(func() {
		p.reply = func(q *dns.Msg) [][]string {
			asked <- true
			return byType(2, [][]string{wholeZone(2)}, nil)(q)
		}
	})
	if err := all.Transfer(t.Context(), apex, false); !errors.Is(err, zone.ErrFrozen) {
		t.Errorf("a transfer of a zone that is frozen: %v", err)
	}
	for len(asked) > 0 {
		<-asked
	}
	if err := k.Freeze(apex, false); err != nil {
		t.Fatal(err)
	}
	if s := k.Status()[0]; s.Fault != "" || s.State != zone.StateServed {
		t.Errorf("just thawed: %+v", s)
	}
	select {
	case <-asked:
	case <-time.After(20 * time.Second):
		t.Error("nobody was asked")
	}
}

// TestReloadAsksNobody holds that a configuration which says the same of a zone as before has nobody asked, though its keys and certificates were read again, and
// that one which says something else has.
func TestReloadAsksNobody(t *testing.T) {
	apex, other := dnsname.MustParse("corp.example"), dnsname.MustParse("other.example")
	secondary := func(change func(*zone.Primary)) zone.Secondary {
		key := tsig.Key{Name: transferKey.Name, Algorithm: transferKey.Algorithm, Secret: slices.Clone(transferKey.Secret)}
		p := zone.Primary{
			Addr: netip.MustParseAddrPort("127.0.0.1:1"), Key: &key, Pins: []zone.Pin{{1}},
			TLS: &tls.Config{ServerName: "a.example", NextProtos: []string{"dot"}, RootCAs: x509.NewCertPool()},
		}
		change(&p)
		return zone.Secondary{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{p}}
	}
	before := secondary(func(*zone.Primary) {})
	for what, c := range map[string]struct {
		change func(*zone.Primary)
		same   bool
	}{
		"nothing":       {func(*zone.Primary) {}, true},
		"the address":   {func(p *zone.Primary) { p.Addr = netip.MustParseAddrPort("127.0.0.1:2") }, false},
		"the key":       {func(p *zone.Primary) { p.Key.Name = other }, false},
		"the secret":    {func(p *zone.Primary) { p.Key.Secret[0] ^= 1 }, false},
		"no key":        {func(p *zone.Primary) { p.Key = nil }, false},
		"the name":      {func(p *zone.Primary) { p.TLS.ServerName = "b.example" }, false},
		"who vouches":   {func(p *zone.Primary) { p.TLS.RootCAs = nil }, false},
		"the pins":      {func(p *zone.Primary) { p.Pins = nil }, false},
		"no TLS":        {func(p *zone.Primary) { p.TLS = nil }, false},
		"by a function": {func(p *zone.Primary) { p.TLS.VerifyConnection = func(tls.ConnectionState) error { return nil } }, false},
	} {
		next := secondary(c.change)
		if got := before.IsAs(&next); got != c.same {
			t.Errorf("another one in %s: it is as before: %v", what, got)
		}
	}
	asked := make(chan bool, 100)
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		asked <- true
		return byType(1, nil, [][]string{wholeZone(1)})(q)
	}, sign: func(s *tsig.StreamSigner, _ int, msg []byte) []byte { return s.Sign(msg, time.Now()) }})
	here := func() []zone.Secondary {
		s := secondary(func(q *zone.Primary) { q.Addr, q.TLS, q.Pins = p.addr, nil, nil })
		return []zone.Secondary{s}
	}
	_, all := runSecondaries(t, here()[0])
	if err := all.Transfer(t.Context(), apex, false); err != nil {
		t.Fatal(err)
	}
	asks := func() (n int) {
		for ; len(asked) > 0; n++ {
			<-asked
		}
		return n
	}
	asks()
	for range 5 {
		all.Update(here())
	}
	if err := all.Transfer(t.Context(), apex, false); err != nil { // which comes after all looks that a change has asked for
		t.Fatal(err)
	}
	if n := asks(); n != 1 {
		t.Errorf("%d questions, want the one that somebody wanted asked", n)
	}
}

// TestStartIsSpread holds that primaries are asked by and by for the zones that are served already, and never for more than a few at a time.
func TestStartIsSpread(t *testing.T) {
	const n = 40
	var mu sync.Mutex
	var times []time.Time
	now, most := 0, 0
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		mu.Lock()
		times = append(times, time.Now())
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		name := q.Question[0].Name
		soa := name + " 300 IN SOA a. b. 1 3600 600 86400 60"
		if q.Question[0].Qtype == dns.TypeSOA {
			return [][]string{{soa}}
		}
		return [][]string{{soa, name + " 300 IN NS a.", soa}}
	}})
	var sources []zone.Source
	var zones []zone.Secondary
	for i := range n {
		apex := dnsname.MustParse(fmt.Sprintf("z%d.example", i))
		sources = append(sources, zone.Source{Name: apex, Origin: "primary"})
		zones = append(zones, zone.Secondary{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}})
	}
	conf := zone.KeeperConfig{Sources: sources, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	follow := func(questions int) time.Duration {
		t.Helper()
		k, err := zone.NewKeeper(conf)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		times = nil
		mu.Unlock()
		ctx, cancel := context.WithCancel(context.Background())
		began, done, all := time.Now(), make(chan error), zone.NewSecondaries(k, zones)
		go func() { done <- all.Run(ctx) }()
		defer func() { cancel(); <-done }()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			mu.Lock()
			came := len(times)
			mu.Unlock()
			checked := !slices.ContainsFunc(k.Status(), func(s zone.Status) bool { return s.State != zone.StateServed })
			if came >= questions && checked {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d questions, want %d; %+v", came, questions, k.Status()[0])
			}
		}
		mu.Lock()
		defer mu.Unlock()
		return times[len(times)-1].Sub(began)
	}
	follow(2 * n)
	if took := follow(n); took < (n-1)*10*time.Millisecond {
		t.Errorf("%d zones that are served were asked for within %v", n, took)
	}
	mu.Lock()
	defer mu.Unlock()
	if most > 8 {
		t.Errorf("%d were asked for at a time", most)
	}
}

// TestExpiredAtAStart holds that a zone whose time ran out while the server was down is not served by the next one, before any primary is asked, nor longer than its
// SOA record lets it be while it waits for its first look, and that a zone whose time has not run out is.
func TestExpiredAtAStart(t *testing.T) {
	apex, now := dnsname.MustParse("corp.example"), time.Now()
	p := startPrimary(t, &primaryServer{reply: byType(1, [][]string{wholeZone(1)}, [][]string{wholeZone(1)})})
	log := new(lines)
	conf := zone.KeeperConfig{
		Sources: []zone.Source{{Name: apex, Origin: "primary"}}, Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil)), Now: func() time.Time { return now },
	}
	zones := []zone.Secondary{{Name: apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}}
	start := func() (*zone.Keeper, *zone.Secondaries) {
		t.Helper()
		k, err := zone.NewKeeper(conf)
		if err != nil {
			t.Fatal(err)
		}
		return k, zone.NewSecondaries(k, zones)
	}
	_, all := start()
	if err := all.Look(t.Context(), apex); err != nil {
		t.Fatal(err)
	}
	now = now.Add(24*time.Hour - time.Minute) // it expires after one day
	k, all := start()
	if !k.Set().Exact([]byte(apex)).Ready() {
		t.Error("a minute before its time is over the zone is not served")
	}
	if due := all.FirstLook(apex, time.Hour); due > time.Minute {
		t.Errorf("it is looked at first after %v, when its time is over after a minute", due)
	}
	if due := all.FirstLook(apex, 30*time.Second); due < 20*time.Second {
		t.Errorf("it is looked at first after %v, want its turn in 30 s", due)
	}
	now = now.Add(time.Minute + time.Second)
	k, all = start()
	if s := k.Status()[0]; k.Set().Exact([]byte(apex)).Ready() || s.State != zone.StateExpired || s.Serial != 1 || log.count("zone expired") != 1 {
		t.Errorf("after its time: %+v, and the log has\n%s", s, &log.text)
	}
	if due := all.FirstLook(apex, time.Hour); due > 0 {
		t.Errorf("it is looked at first after %v, want at once", due)
	}
	if err := all.Look(t.Context(), apex); err != nil || !k.Set().Exact([]byte(apex)).Ready() {
		t.Errorf("once a primary has confirmed it: %v, %+v", err, k.Status()[0])
	}
}
