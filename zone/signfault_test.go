package zone_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/zone"

	"github.com/miekg/dns"
)

// hook is a log that does something with each message.
type hook struct {
	slog.Handler
	do func(message string)
}

func (h hook) Handle(_ context.Context, r slog.Record) error {
	h.do(r.Message)
	return nil
}

// signedSecondary is a zone by transfer that is signed here, whose primary says what reply says.
type signedSecondary struct {
	*zone.Keeper
	config zone.KeeperConfig
	t      *testing.T
	all    *zone.Secondaries
	p      *primaryServer
	at     time.Time
	log    func(message string)
}

func newSignedSecondary(t *testing.T, keys string) *signedSecondary {
	t.Helper()
	s := &signedSecondary{t: t, at: now, log: func(string) {}}
	s.p = startPrimary(t, &primaryServer{reply: s.lasting})
	s.config = zone.KeeperConfig{
		Sources: []zone.Source{{Name: canonical("corp.example"), Origin: "primary", Sign: &zone.Signing{}}}, Dir: t.TempDir(), Keys: keys, Now: func() time.Time { return s.at },
		Log: slog.New(hook{slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}), func(message string) { s.log(message) }}),
	}
	s.start()
	return s
}

// start makes a keeper of what is on the disk, as after a restart.
func (s *signedSecondary) start() {
	s.t.Helper()
	var err error
	if s.Keeper, err = zone.NewKeeper(s.config); err != nil {
		s.t.Fatal(err)
	}
	s.all = zone.NewSecondaries(s.Keeper, []zone.Secondary{{Name: canonical("corp.example"), Bounds: transferBounds, Primaries: []zone.Primary{{Addr: s.p.addr}}}})
}

// lasting is a zone that may be served for ten days without its primary.
func (s *signedSecondary) lasting(q *dns.Msg) [][]string {
	all := wholeZone(1)
	for i := range all {
		all[i] = strings.Replace(all[i], " 86400 ", " 864000 ", 1)
	}
	if q.Question[0].Qtype == dns.TypeSOA {
		return [][]string{all[:1]}
	}
	return [][]string{all}
}

func (s *signedSecondary) ask() error { return s.all.Look(s.t.Context(), canonical("corp.example")) }

func (s *signedSecondary) expect(what string, state zone.State, serial uint32, fault string) {
	s.t.Helper()
	got := s.Status()[0]
	ready := s.Set().Exact([]byte(canonical("corp.example"))).Ready()
	if got.State != state || got.Serial != serial || (got.Fault == "") != (fault == "") || !strings.Contains(got.Fault, fault) || ready == (state == zone.StateExpired) {
		s.t.Errorf("%s: %+v, served %v; want %s, serial %d and fault %q", what, got, ready, state, serial, fault)
	}
}

// TestSigningAgainLeavesOtherFaults holds that a zone which is signed again stands as it did before that: what is wrong with its primaries or its file is still told,
// and one whose time ran out meanwhile has expired.
func TestSigningAgainLeavesOtherFaults(t *testing.T) {
	const cut = "ended it before it was whole"
	s := newSignedSecondary(t, t.TempDir())
	if err := s.ask(); err != nil {
		t.Fatal(err)
	}
	s.expect("at first", zone.StateServed, 2, "")
	s.p.change(func() { s.p.reply = func(*dns.Msg) [][]string { return nil } })
	if err := s.ask(); err == nil {
		t.Fatal("a primary that says nothing has confirmed the zone")
	}
	s.expect("without its primary", zone.StateKept, 2, cut)
	s.at = s.at.Add(30 * time.Hour)
	s.Look()
	s.expect("signed again", zone.StateKept, 3, cut)
	s.at = s.at.Add(30 * time.Hour)
	s.log = func(message string) {
		if message == "zone signed again" {
			s.at = s.at.Add(20 * 24 * time.Hour)
			if err := s.ask(); err == nil {
				t.Error("a primary that says nothing has confirmed the zone")
			}
		}
	}
	s.Look()
	s.expect("expired meanwhile", zone.StateExpired, 4, cut)

	k := keepSigned(t, &zone.Signing{})
	before := k.Status()[0].Serial
	write(t, k.config.Sources[0].Path, "nonsense\n")
	if _, err := k.Reload(false); err != nil {
		t.Fatal(err)
	}
	k.advance(30 * time.Hour)
	if s := k.Status()[0]; s.State != zone.StateKept || s.Fault == "" || s.Serial == before {
		t.Errorf("a file with a fault: %+v, want it kept, with another serial than %d", s, before)
	}
}

// TestConfirmingLeavesFaultsOfSigning holds that a zone which cannot be signed is told of as such when its primary confirms it, until it is signed.
func TestConfirmingLeavesFaultsOfSigning(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	write(t, keys, "no directory")
	s := newSignedSecondary(t, keys)
	for range 2 {
		if err := s.ask(); err != nil {
			t.Fatal(err)
		}
		s.expect("without a place for keys", zone.StateUnsigned, 1, "not a directory")
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	s.at = s.at.Add(2 * time.Minute)
	s.Look()
	s.expect("with one", zone.StateServed, 2, "")
}
