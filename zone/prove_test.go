package zone_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// onLog is a log that has something done as often as it is told of one thing.
type onLog struct {
	slog.Handler
	message string
	act     func()
}

func (l onLog) Enabled(context.Context, slog.Level) bool { return true }

func (l onLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == l.message {
		l.act()
	}
	return nil
}

// bareSecondary is a zone by transfer that is signed here, until it is not: then it should have been signed as it came, and is not.
type bareSecondary struct {
	t     *testing.T
	apex  dnsname.Name
	k     *zone.Keeper
	all   *zone.Secondaries
	asked atomic.Int64
}

var errNotSigned = errors.New("no signature")

func newBareSecondary(t *testing.T, transferred func(*bareSecondary)) *bareSecondary {
	t.Helper()
	s := &bareSecondary{t: t, apex: dnsname.MustParse("corp.example")}
	good, _, err := zone.Read(s.apex, strings.NewReader(sealed), "zone", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(dump(t, good)), "\n")
	p := startPrimary(t, &primaryServer{reply: func(q *dns.Msg) [][]string {
		if q.Question[0].Qtype == dns.TypeSOA {
			return [][]string{lines[:1]}
		}
		return [][]string{append(lines[:len(lines):len(lines)], lines[0])}
	}})
	dir := t.TempDir()
	s.k, err = zone.NewKeeper(zone.KeeperConfig{
		Sources: s.sources(&zone.Signing{}), Dir: filepath.Join(dir, "zones"), Keys: filepath.Join(dir, "keys"),
		Log:   slog.New(onLog{slog.DiscardHandler, "zone transferred", func() { transferred(s) }}),
		Trust: func(context.Context, *zone.Seal) (bool, error) { s.asked.Add(1); return true, errNotSigned },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.all = zone.NewSecondaries(s.k, []zone.Secondary{{Name: s.apex, Bounds: transferBounds, Primaries: []zone.Primary{{Addr: p.addr}}}})
	return s
}

func (s *bareSecondary) sources(sign *zone.Signing) []zone.Source {
	return []zone.Source{{Name: s.apex, Origin: "primary", Sign: sign}}
}

// bare has the zone be signed here no longer.
func (s *bareSecondary) bare() {
	if err := s.k.Update(s.sources(nil)); err != nil {
		s.t.Error(err)
	}
}

// TestDoubtOutlivesALook that began before: what it has proved is of a zone that was signed here.
func TestDoubtOutlivesALook(t *testing.T) {
	s := newBareSecondary(t, (*bareSecondary).bare)
	if err := s.all.Look(t.Context(), s.apex); err != nil {
		t.Fatal(err)
	}
	if err := s.all.Look(t.Context(), s.apex); !errors.Is(err, errNotSigned) || s.asked.Load() != 1 {
		t.Errorf("the next look: %v, the chain of trust was asked %d times", err, s.asked.Load())
	}
	if st := s.k.Status()[0]; st.State == zone.StateServed {
		t.Errorf("%+v", st)
	}
}

// TestDoubtIsLookedAtAtOnce, and not when the SOA record says.
func TestDoubtIsLookedAtAtOnce(t *testing.T) {
	transferred := make(chan struct{}, 10)
	s := newBareSecondary(t, func(*bareSecondary) { transferred <- struct{}{} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.all.Run(ctx) }()
	defer func() { cancel(); <-done }()
	<-transferred
	for s.k.Status()[0].Checked.IsZero() { // until the look has ended
		time.Sleep(time.Millisecond)
	}
	s.bare()
	for until := time.Now().Add(20 * time.Second); s.k.Status()[0].State == zone.StateServed; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("it is not looked at: %+v", s.k.Status()[0])
		}
	}
}
