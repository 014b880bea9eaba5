package dnsserver_test

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsserver"

	"github.com/miekg/dns"
)

func rates(change func(*dnsserver.Rates)) dnsserver.Rates {
	r := dnsserver.DefaultSettings().Rates
	r.PerSecond, r.Burst, r.Exempt = 10, 5, nil
	if change != nil {
		change(&r)
	}
	return r
}

func rateTable(t *testing.T, r dnsserver.Rates) *dnsserver.RateTable {
	t.Helper()
	table, err := dnsserver.NewRateTable(r, nil)
	must(t, err)
	return table
}

// within counts how many of n queries at one moment are within the rate.
func within(table *dnsserver.RateTable, addr string, at time.Time, n int) (ok int) {
	for range n {
		if in, _ := dnsserver.Take(table, netip.MustParseAddr(addr), at); in {
			ok++
		}
	}
	return ok
}

func TestRateBurstAndRefill(t *testing.T) {
	table, start := rateTable(t, rates(nil)), time.Now()
	for _, tc := range []struct {
		name  string
		after time.Duration
		want  int
	}{
		{"a quiet network may send a burst", 0, 5},
		{"and then nothing", 0, 0},
		{"after half a second half the rate", 500 * time.Millisecond, 5},
		{"after 300 ms three", 800 * time.Millisecond, 3},
		{"after a long time the burst and no more", time.Hour, 5},
		{"after a very long time the same", 100 * time.Hour, 5},
	} {
		if got := within(table, "192.0.2.1", start.Add(tc.after), 20); got != tc.want {
			t.Errorf("%s: %d of 20 within the rate, want %d", tc.name, got, tc.want)
		}
	}
}

func TestRateNetworks(t *testing.T) {
	table, now := rateTable(t, rates(func(r *dnsserver.Rates) { r.IPv4Bits, r.IPv6Bits = 24, 56 })), time.Now()
	for _, tc := range []struct {
		name, addr string
		want       int
	}{
		{"first of a network", "192.0.2.1", 5},
		{"neighbour shares it", "192.0.2.200", 0},
		{"next network", "192.0.3.1", 5},
		{"household", "2001:db8:0:100::1", 5},
		{"same household, another subnet", "2001:db8:0:1ff::1", 0},
		{"next household", "2001:db8:0:200::1", 5},
	} {
		if got := within(table, tc.addr, now, 10); got != tc.want {
			t.Errorf("%s: %d of 10 within the rate, want %d", tc.name, got, tc.want)
		}
	}
}

func TestRateSlip(t *testing.T) {
	for slip, want := range map[int]int{0: 0, 1: 100, 2: 50, 4: 25} {
		table, now := rateTable(t, rates(func(r *dnsserver.Rates) { r.Slip = slip })), time.Now()
		within(table, "192.0.2.1", now, 5)
		got := 0
		for range 100 {
			if _, s := dnsserver.Take(table, netip.MustParseAddr("192.0.2.1"), now); s {
				got++
			}
		}
		if got != want {
			t.Errorf("slip %d: %d of 100 slipped, want %d", slip, got, want)
		}
	}
}

// A flood from ever new addresses must neither need memory nor let a network over the rate be forgotten.
func TestRateFloodDisplacesTheQuiet(t *testing.T) {
	table, now := rateTable(t, rates(func(r *dnsserver.Rates) { r.Networks = 1024 })), time.Now()
	within(table, "192.0.2.1", now, 5)
	for i := range 4096 {
		within(table, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String(), now, 1)
	}
	if got := within(table, "192.0.2.1", now, 10); got != 0 {
		t.Errorf("after the flood %d of 10 within the rate, want 0", got)
	}
}

func TestRateIsSharedExactly(t *testing.T) {
	table, now := rateTable(t, rates(func(r *dnsserver.Rates) { r.Burst = 1000 })), time.Now()
	var ok atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { ok.Add(int64(within(table, "192.0.2.1", now, 1000))) })
	}
	all.Wait()
	if got := ok.Load(); got < 1000 || got > 1050 { // a few go uncounted when workers meet at one bucket
		t.Errorf("%d queries within the rate, want the burst of 1000", got)
	}
}

func TestRateSurvivesReload(t *testing.T) {
	old, now := rateTable(t, rates(nil)), time.Now()
	within(old, "192.0.2.1", now, 5)
	table, err := dnsserver.NewRateTable(rates(func(r *dnsserver.Rates) { r.Slip = 7 }), old)
	must(t, err)
	if got := within(table, "192.0.2.1", now, 10); got != 0 {
		t.Errorf("after a reload %d of 10 within the rate, want 0", got)
	}
}

func TestRateFaults(t *testing.T) {
	for name, change := range map[string]func(*dnsserver.Rates){
		"no rate":         func(r *dnsserver.Rates) { r.PerSecond = 0 },
		"too fast":        func(r *dnsserver.Rates) { r.PerSecond = 1e9 },
		"no burst":        func(r *dnsserver.Rates) { r.Burst = 0 },
		"endless burst":   func(r *dnsserver.Rates) { r.PerSecond, r.Burst = 0.001, 1_000_000 },
		"IPv4 bits":       func(r *dnsserver.Rates) { r.IPv4Bits = 33 },
		"IPv6 bits":       func(r *dnsserver.Rates) { r.IPv6Bits = 0 },
		"slip":            func(r *dnsserver.Rates) { r.Slip = -1 },
		"too many":        func(r *dnsserver.Rates) { r.Networks = 1 << 30 },
		"no networks":     func(r *dnsserver.Rates) { r.Networks = 0 },
		"rate not number": func(r *dnsserver.Rates) { r.PerSecond = nan() },
	} {
		if _, err := dnsserver.NewRateTable(rates(change), nil); err == nil {
			t.Errorf("%s: no fault found", name)
		}
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestRateOnThePath(t *testing.T) {
	limited := func(s *dnsserver.Settings) { s.Rates = rates(func(r *dnsserver.Rates) { r.Slip = 1 }) }
	answers := map[string]string{"www.example A": "www.example. 60 A 192.0.2.1"}
	exhaust := func(b *bench) {
		for range 5 {
			b.ask(query("www.example", dns.TypeA))
		}
	}
	t.Run("a client is told to come over TCP", func(t *testing.T) {
		b := newBench(t, options{settings: limited, answers: answers})
		exhaust(b)
		expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR TC")
		if got := dnsserver.Slipped(b.worker); got != 1 {
			t.Errorf("slipped = %d, want 1", got)
		}
	})
	t.Run("and is answered there", func(t *testing.T) {
		b := newBench(t, options{settings: limited, answers: answers})
		exhaust(b)
		b.tcp = true
		expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
	})
	t.Run("one that knows cookies is told BADCOOKIE and comes back", func(t *testing.T) {
		b := newBench(t, options{settings: limited, answers: answers})
		exhaust(b)
		r := b.ask(cookieQuery("www.example", "0102030405060708"))
		expect(t, r, "BADCOOKIE")
		expect(t, b.ask(cookieQuery("www.example", cookieIn(r))), "NOERROR", "www.example. 60 IN A 192.0.2.1")
	})
	t.Run("others are dropped between slips", func(t *testing.T) {
		b := newBench(t, options{settings: func(s *dnsserver.Settings) { s.Rates = rates(func(r *dnsserver.Rates) { r.Slip = 0 }) }, answers: answers})
		exhaust(b)
		expect(t, b.ask(query("www.example", dns.TypeA)), "dropped")
		if got := dnsserver.DroppedFor(b.worker, "rate"); got != 1 {
			t.Errorf("dropped = %d, want 1", got)
		}
	})
	t.Run("exempt networks have no limit", func(t *testing.T) {
		b := newBench(t, options{answers: answers, settings: func(s *dnsserver.Settings) {
			s.Rates = rates(func(r *dnsserver.Rates) { r.Exempt = []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")} })
		}})
		exhaust(b)
		expect(t, b.ask(query("www.example", dns.TypeA)), "NOERROR", "www.example. 60 IN A 192.0.2.1")
	})
	t.Run("malformed queries are limited too", func(t *testing.T) {
		b := newBench(t, options{settings: limited, answers: answers})
		exhaust(b)
		if r := b.send([]byte{1, 2, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0}); len(r) != 12 || r[2]&2 == 0 {
			t.Errorf("reply = %x, want a header with TC", r)
		}
	})
}
