package zone_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"

	"cenote/dnsname"
	"cenote/zone"
)

// Of many zones, another version of one is in the next Set with all others as they were, and in no Set before; and all histories together stay within their bound
// in what is published, whichever zone has changed.
func TestVersionsAmongManyZones(t *testing.T) {
	const zones, bytes = 700, 20_000
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: manySources(zones), Bounds: zone.HistoryBounds{Bytes: bytes}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r, want, full, last, shortened := rand.New(rand.NewPCG(1, 1)), make([]uint32, zones), false, 0, 0
	for range 1000 {
		before, i := k.Set(), r.IntN(zones)
		had := want[i]
		want[i]++
		if err := k.Edit(manyName(i), func(*zone.Zone) (*zone.Zone, error) { return smallZone(manyName(i), want[i]) }); err != nil {
			t.Fatal(err)
		}
		checkSerial(t, before, manyName(i), had)
		checkSerial(t, k.Set(), manyName(i), want[i])
		histories := 0
		for _, s := range k.Set().All() {
			histories += s.History.Bytes()
		}
		if full = full || histories > bytes*9/10; histories > bytes {
			t.Fatalf("the histories take %d octets, want %d at most", histories, bytes)
		}
		if had > 0 && histories <= last {
			shortened++
		}
		last = histories
	}
	if most := 1000 * 200 * 16 / bytes; shortened == 0 || shortened > most { // a step has fewer than 200 octets
		t.Errorf("histories were made shorter %d times, and all zones looked at for that, want %d times at most", shortened, most)
	}
	if !full {
		t.Error("the histories were never as large as they may be")
	}
	count := 0
	for apex, s := range k.Set().All() {
		if count++; s.Zone.Name() != apex {
			t.Errorf("%s is there as %s", s.Zone.Name(), apex)
		}
	}
	if count != zones {
		t.Errorf("%d zones, want %d", count, zones)
	}
	for i, serial := range want {
		checkSerial(t, k.Set(), manyName(i), serial)
	}
	if k.Set().Exact([]byte(dnsname.MustParse("other.example"))) != nil {
		t.Error("a zone is there that is not")
	}
}

// checkSerial holds the version of a zone in a set against what it should be; 0 for none.
func checkSerial(t *testing.T, set *zone.Set, apex dnsname.Name, want uint32) {
	t.Helper()
	s := set.Exact([]byte(apex))
	if s == nil || s.Ready() != (want > 0) || s.Zone.Serial() != want {
		t.Fatalf("%s: got %+v, want serial %d", apex, s, want)
	}
	if steps := s.History.Steps(); len(steps) > 0 && steps[len(steps)-1].To != want {
		t.Fatalf("%s: the history leads to %d, want %d", apex, steps[len(steps)-1].To, want)
	}
}

// TestHistoriesAreCountedAfterWork holds that all memory of histories is counted, also that of a zone which lost a part of its own while somebody worked on it.
func TestHistoriesAreCountedAfterWork(t *testing.T) {
	const zones, bytes = 10, 5000
	k, err := zone.NewKeeper(zone.KeeperConfig{Sources: manySources(zones), Bounds: zone.HistoryBounds{Bytes: bytes}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	edit := func(i int, serial uint32) {
		t.Helper()
		if err := k.Edit(manyName(i), func(*zone.Zone) (*zone.Zone, error) { return smallZone(manyName(i), serial) }); err != nil {
			t.Fatal(err)
		}
	}
	for serial := range uint32(40) {
		edit(0, serial+1)
	}
	before, refused := k.Set().Exact([]byte(manyName(0))).History.Bytes(), errors.New("nothing")
	began, end, done := make(chan bool), make(chan bool), make(chan error)
	go func() {
		done <- k.Edit(manyName(0), func(*zone.Zone) (*zone.Zone, error) { close(began); <-end; return nil, refused })
	}()
	<-began
	for serial := range uint32(40) {
		for i := 1; i < zones; i++ {
			edit(i, serial+1)
		}
	}
	if now := k.Set().Exact([]byte(manyName(0))).History.Bytes(); now >= before {
		t.Fatalf("the history has lost nothing of %d octets", before)
	}
	close(end)
	if err := <-done; !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if counted, taken := k.CountedHistories(); counted != taken {
		t.Errorf("%d octets are counted, and %d taken", counted, taken)
	}
	edit(1, 41)
	if counted, taken := k.CountedHistories(); counted != taken || taken > bytes {
		t.Errorf("after the next change: %d octets are counted, and %d taken, want %d at most", counted, taken, bytes)
	}
}
