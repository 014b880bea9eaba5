package zone_test

import (
	"context"
	"net"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/tsig"
	"cenote/wire"
	"cenote/zone"

	"github.com/prometheus/client_golang/prometheus"
)

// TestNoticesAreSigned holds that a secondary with a key is told by it, and that a reply without the right signature confirms nothing.
func TestNoticesAreSigned(t *testing.T) {
	secondary, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer secondary.Close()
	key := tsig.Key{Name: dnsname.MustParse("notify.example"), Algorithm: tsig.HMACSHA256, Secret: []byte("0123456789abcdef0123456789abcdef")}
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{
		Name: dnsname.MustParse("example"), Notify: []zone.Notified{{Addr: secondary.LocalAddr().(*net.UDPAddr).AddrPort(), Key: &key}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx) }()
	defer func() { stop(); <-ended }()
	if err := k.Install(load(t, "example", serial("1", "192.0.2.1"))); err != nil {
		t.Fatal(err)
	}
	other := key
	other.Secret = []byte("another secret of thirty two ...")
	for i, sign := range []func(reply, mac []byte) []byte{
		func(reply, _ []byte) []byte { return reply }, // which the first resend comes after
		func(reply, mac []byte) []byte { reply, _ = tsig.Sign(reply, &other, time.Now(), mac); return reply },
		func(reply, mac []byte) []byte { reply, _ = tsig.Sign(reply, &key, time.Now(), mac); return reply },
	} {
		var buf [1024]byte
		_ = secondary.SetReadDeadline(time.Now().Add(time.Minute))
		n, from, err := secondary.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			t.Fatalf("notice %d: %v", i, err)
		}
		s, fault := key.Verify(buf[:n], time.Now(), nil)
		if fault != tsig.FaultNone {
			t.Fatalf("notice %d: %v", i, fault)
		}
		_, _ = secondary.WriteToUDPAddrPort(sign(confirmation(buf[:s.Len]), s.MAC), from)
	}
	for notices(t, k, "confirmed") == 0 {
		if ctx.Err() != nil {
			t.Fatal("nothing was confirmed")
		}
		time.Sleep(time.Millisecond)
	}
	if n := notices(t, k, "unverified"); n != 2 {
		t.Errorf("%v replies were not believed, want 2", n)
	}
}

// confirmation is a reply to a notice.
func confirmation(notice []byte) []byte {
	out := append([]byte(nil), notice...)
	end, err := wire.SkipName(out, wire.HeaderLen)
	if err != nil {
		panic(err)
	}
	wire.SetFlags(out, wire.Flags(out)|wire.FlagQR)
	for i := 1; i < 4; i++ {
		wire.SetCount(out, i, 0)
	}
	return out[:end+4]
}

// notices is how often an event of notices was counted.
func notices(t *testing.T, k *zone.Keeper, event string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(k)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "cenote_zone_notices_total" && m.GetLabel()[0].GetValue() == event {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric of the event %s", event)
	return 0
}
