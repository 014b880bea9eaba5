package zone_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
	"cenote/zone"

	"github.com/miekg/dns"
)

// signedKeeper is a keeper of one zone that is signed, with a clock and a parent.
type signedKeeper struct {
	*zone.Keeper
	config zone.KeeperConfig
	at     atomic.Int64
	ds     [][]byte
}

func keepSigned(t *testing.T, policy *zone.Signing) *signedKeeper {
	t.Helper()
	dir := t.TempDir()
	k := &signedKeeper{}
	k.at.Store(now.Unix())
	path := filepath.Join(dir, "zone")
	write(t, path, sample)
	k.config = zone.KeeperConfig{
		Sources: []zone.Source{{Name: dnsname.MustParse("example"), Path: path, Sign: policy}}, Dir: filepath.Join(dir, "zones"), Keys: filepath.Join(dir, "keys"),
		Parent: func(context.Context, dnsname.Name) ([][]byte, error) { return k.ds, nil },
		Now:    func() time.Time { return time.Unix(k.at.Load(), 0) }, Log: slog.New(slog.DiscardHandler),
	}
	k.restart(t)
	return k
}

func (k *signedKeeper) restart(t *testing.T) {
	t.Helper()
	var err error
	if k.Keeper, err = zone.NewKeeper(k.config); err != nil {
		t.Fatal(err)
	}
}

func (k *signedKeeper) advance(d time.Duration) {
	k.at.Add(int64(d / time.Second))
	k.Look()
}

func (k *signedKeeper) zone() *zone.Zone { return k.Set().Find([]byte(dnsname.MustParse("example"))) }

func TestKeeperSigns(t *testing.T) {
	k := keepSigned(t, &zone.Signing{})
	if s := k.Status()[0]; s.State != zone.StateServed || !s.Signed || s.Serial != 2024010102 {
		t.Fatalf("status %+v", s)
	}
	served := dump(t, k.zone())
	k.Look()
	if dump(t, k.zone()) != served {
		t.Error("nothing has happened, and the zone is another")
	}
	k.restart(t)
	if dump(t, k.zone()) != served {
		t.Error("a restart changed the zone")
	}
	k.advance(20 * 24 * time.Hour)
	if left := shortest(k.zone(), now.Add(20*24*time.Hour)); left < 6*24*time.Hour {
		t.Errorf("after 20 days a signature holds for %v", left)
	}
	if s := k.Status()[0]; s.Serial == 2024010102 || s.Steps == 0 {
		t.Errorf("signed again without a step of history: %+v", s)
	}
}

// TestKeeperRollsByWord rolls a key by command, with a parent that is asked.
func TestKeeperRollsByWord(t *testing.T) {
	k := keepSigned(t, &zone.Signing{})
	ctx, apex := context.Background(), dnsname.MustParse("example")
	k.advance(3 * time.Hour)
	old := k.Keys()[0].Keys[0]
	k.ds = [][]byte{dsOf(t, k.zone(), old.Tag)}
	k.AskParent(ctx, apex)
	if got := k.Keys()[0].Keys[0]; got.Seen.IsZero() || got.State != "active" {
		t.Fatalf("the DS record is there, and the key is %+v", got)
	}
	if err := k.RollKeys(apex, zone.RoleZSK); !errors.Is(err, zone.ErrNotSigned) {
		t.Errorf("rolling a key that is not: %v", err)
	}
	if err := k.RollKeys(apex, ""); err != nil {
		t.Fatal(err)
	}
	if err := k.RollKeys(apex, ""); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("rolling a key twice: %v", err)
	}
	if err := k.MarkDS(apex, old.Tag, false); err == nil || !strings.Contains(err.Error(), "no successor") {
		t.Errorf("the DS record of the one key that validates: %v", err)
	}
	k.advance(3 * time.Hour)
	k.restart(t)
	k.AskParent(ctx, apex)
	keys := k.Keys()[0].Keys
	if len(keys) != 2 || !keys[0].Gone.IsZero() || !keys[1].Seen.IsZero() || !keys[1].Wanted || keys[0].Wanted {
		t.Fatalf("the parent has not followed, and keys are %+v", keys)
	}
	k.ds = [][]byte{dsOf(t, k.zone(), keys[1].Tag)}
	k.AskParent(ctx, apex)
	k.advance(30 * 24 * time.Hour)
	if left := k.Keys()[0].Keys; len(left) != 1 || left[0].Tag != keys[1].Tag {
		t.Errorf("after a month keys are %+v", left)
	}
	files, _ := filepath.Glob(filepath.Join(k.config.Keys, "example", "K*"))
	if len(files) != 2 {
		t.Errorf("files of keys: %v", files)
	}
}

func dsOf(t *testing.T, z *zone.Zone, tag uint16) []byte {
	t.Helper()
	for _, key := range setIn(z, z.Name(), wire.TypeDNSKEY).RData {
		if dnssec.KeyTag(key) == tag {
			return dnssec.DS(dnssec.DigestSHA256, z.Name(), key)
		}
	}
	t.Fatalf("no key %d in the zone", tag)
	return nil
}

// TestKeeperThatCannotSign serves a zone without signatures rather than not at all, and a signed one as it was; and signs as soon as it can.
func TestKeeperThatCannotSign(t *testing.T) {
	policy := &zone.Signing{}
	k := keepSigned(t, nil)
	write(t, k.config.Keys, "a file where the directory should be")
	sources := []zone.Source{k.config.Sources[0]}
	sources[0].Sign = policy
	k.config.Sources = sources
	k.restart(t)
	if s := k.Status()[0]; s.State != zone.StateUnsigned || s.Signed || !strings.Contains(s.Fault, "not signed") {
		t.Fatalf("status %+v", s)
	}
	if err := os.Remove(k.config.Keys); err != nil {
		t.Fatal(err)
	}
	k.advance(2 * time.Minute)
	if s := k.Status()[0]; s.State != zone.StateServed || !s.Signed || s.Fault != "" || s.Serial != 2024010102 {
		t.Fatalf("status %+v", s)
	}
	served := dump(t, k.zone())
	write(t, sources[0].Path, strings.Replace(sample, "2024010101", "2024010105", 1)+"www NSEC example. A\n")
	if _, err := k.Reload(false); err != nil {
		t.Fatal(err)
	}
	if s := k.Status()[0]; s.State != zone.StateKept || !strings.Contains(s.Fault, "NSEC") || dump(t, k.zone()) != served {
		t.Fatalf("status %+v", s)
	}
	sources = []zone.Source{sources[0]}
	sources[0].Sign = nil
	write(t, sources[0].Path, strings.Replace(sample, "2024010101", "2024010106", 1))
	if err := k.Update(sources); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Reload(false); err != nil {
		t.Fatal(err)
	}
	if s := k.Status()[0]; s.State != zone.StateServed || s.Signed || s.Serial != 2024010106 {
		t.Fatalf("status %+v", s)
	}
	k.restart(t) // signed, by the next serial
	sources = []zone.Source{sources[0]}
	sources[0].Sign = &zone.Signing{Denial: zone.DenialNSEC3}
	if err := k.Update(sources); err != nil {
		t.Fatal(err)
	}
	if s := k.Status()[0]; s.State != zone.StateServed || !s.Signed || s.Serial != 2024010108 || !strings.Contains(dump(t, k.zone()), "NSEC3PARAM") {
		t.Fatalf("status %+v", s)
	}
}

// TestKeeperServesWhatWasSigned starts again: what was signed is served at once, without a signature, and what has changed meanwhile is signed behind it.
func TestKeeperServesWhatWasSigned(t *testing.T) {
	for _, denial := range []zone.Denial{zone.DenialNSEC, zone.DenialCompact} {
		k := keepSigned(t, &zone.Signing{Denial: denial})
		k.advance(5 * time.Hour)
		k.advance(30 * time.Hour)
		served, steps := dump(t, k.zone()), k.Status()[0].Steps
		write(t, k.config.Sources[0].Path, strings.Replace(sample, "2024010101", "2024010199", 1)+"new A 192.0.2.99\n")
		k.at.Add(3600)
		k.restart(t)
		if s := k.Status()[0]; dump(t, k.zone()) != served || s.State != zone.StateServed || s.Fault != "" || s.Steps != steps {
			t.Errorf("after the start another version is served: %+v", s)
		}
		m := ask(t, k.Set(), "nothing.example", dns.TypeA, true)
		if compact := m.Rcode == dns.RcodeSuccess; compact != (denial == zone.DenialCompact) {
			t.Errorf("a name that is not there:\n%v", m)
		}
		newView(t, k.zone(), k.config.Now()).judge(t, m, dns.Question{Name: "nothing.example", Qtype: dns.TypeA})
		k.Look()
		if s := k.Status()[0]; s.Serial != 2024010199 || s.Steps != steps+1 || !strings.Contains(dump(t, k.zone()), "192.0.2.99") {
			t.Errorf("after a look: %+v", s)
		}
	}
}

// TestFrozenSignedZoneStaysOverARestart holds that a zone which is signed here stays as it was when it was frozen, whatever its file says by the next start.
func TestFrozenSignedZoneStaysOverARestart(t *testing.T) {
	k := keepSigned(t, &zone.Signing{})
	apex := dnsname.MustParse("example")
	if err := k.Freeze(apex, true); err != nil {
		t.Fatal(err)
	}
	served := dump(t, k.zone())
	write(t, k.config.Sources[0].Path, strings.Replace(sample, "2024010101", "2024010199", 1)+"new A 192.0.2.99\n")
	for _, later := range []time.Duration{0, 20 * 24 * time.Hour} { // when the signatures hold, and when they have ended
		k.at.Add(int64(later / time.Second))
		k.restart(t)
		for range 3 {
			k.Look()
		}
		if s := k.Status()[0]; !s.Frozen || s.State != zone.StateServed || s.Fault != "" || strings.Contains(dump(t, k.zone()), "192.0.2.99") || later == 0 && dump(t, k.zone()) != served {
			t.Errorf("%v later: %+v", later, s)
		}
	}
	if err := k.Freeze(apex, false); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		k.Look()
	}
	if s := k.Status()[0]; s.Serial != 2024010199 || !strings.Contains(dump(t, k.zone()), "192.0.2.99") {
		t.Errorf("thawed: %+v", s)
	}
}

// TestKeeperServesNothingThatHasEnded starts again when the signatures have ended: it waits for new ones.
func TestKeeperServesNothingThatHasEnded(t *testing.T) {
	k := keepSigned(t, &zone.Signing{})
	k.at.Add(int64(15 * 24 * time.Hour / time.Second))
	k.restart(t)
	if left := shortest(k.zone(), k.config.Now()); left < 6*24*time.Hour {
		t.Errorf("a signature is served that holds for %v", left)
	}
}

// TestKeeperServesWhatWasSignedWithoutKeys starts again without keys that can be read: what was signed is served, and the fault is told.
func TestKeeperServesWhatWasSignedWithoutKeys(t *testing.T) {
	k := keepSigned(t, &zone.Signing{})
	served := dump(t, k.zone())
	state := filepath.Join(k.config.Keys, "example", "state.json")
	kept, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	write(t, state, "{")
	k.restart(t)
	k.Look()
	if s := k.Status()[0]; s.State != zone.StateKept || !strings.Contains(s.Fault, "state of signing") || dump(t, k.zone()) != served {
		t.Errorf("without keys: %+v", s)
	}
	write(t, state, string(kept))
	k.advance(2 * time.Minute)
	if s := k.Status()[0]; s.State != zone.StateServed || s.Fault != "" || dump(t, k.zone()) != served {
		t.Errorf("with keys: %+v", s)
	}
}

// TestSerialMovesOnWhenSigningBeginsAgain holds that a zone which was signed, then served without signatures, and is signed again has a serial that nobody has had
// without them, after restarts too (RFC 1982).
func TestSerialMovesOnWhenSigningBeginsAgain(t *testing.T) {
	k := keepSigned(t, &zone.Signing{})
	source := &k.config.Sources[0]
	policy, raise := source.Sign, func(serial string) {
		write(t, source.Path, strings.Replace(sample, "2024010101", serial, 1))
		if _, err := k.Reload(false); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, signed bool, serial uint32) {
		t.Helper()
		if s := k.Status()[0]; s.Serial != serial || s.Signed != signed || s.State != zone.StateServed {
			t.Errorf("%s: %+v, want serial %d", what, s, serial)
		}
	}
	expect("signed", true, 2024010102)
	source.Sign = nil
	k.restart(t)
	raise("2024010110")
	expect("not signed any more", false, 2024010110)
	source.Sign = policy
	k.restart(t)
	expect("signed again", true, 2024010111)
	k.restart(t)
	expect("and after a restart", true, 2024010111)
	source.Sign = nil
	if err := k.Update(k.config.Sources); err != nil {
		t.Fatal(err)
	}
	expect("not signed by a reload", false, 2024010110)
	source.Sign = policy
	k.restart(t)
	expect("signed again, with what it had then", true, 2024010112)
}
