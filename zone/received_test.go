package zone_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// receiver is a keeper of one zone without a file that is signed, as those from primaries are.
type receiver struct {
	*zone.Keeper
	config zone.KeeperConfig
	apex   dnsname.Name
	at     time.Time
}

func newReceiver(t *testing.T, dir string, policy *zone.Signing) *receiver {
	t.Helper()
	r := &receiver{apex: dnsname.MustParse("example").Canonical(), at: now}
	r.config = zone.KeeperConfig{
		Sources: []zone.Source{{Name: r.apex, Origin: "primary", Sign: policy}}, Dir: filepath.Join(dir, "zones"), Keys: filepath.Join(dir, "keys"),
		Now: func() time.Time { return r.at }, Log: slog.New(slog.DiscardHandler),
	}
	r.restart(t)
	return r
}

func (r *receiver) restart(t *testing.T) {
	t.Helper()
	var err error
	if r.Keeper, err = zone.NewKeeper(r.config); err != nil {
		t.Fatal(err)
	}
}

// take takes a version as one from a primary.
func (r *receiver) take(t *testing.T, text string) {
	t.Helper()
	if err := r.Edit(r.apex, func(*zone.Zone) (*zone.Zone, error) { return load(t, "example", text), nil }); err != nil {
		t.Fatal(err)
	}
}

// holds fails unless the zone came with one serial, and is served with another, signed or not.
func (r *receiver) holds(t *testing.T, came, served uint32, signed bool) {
	t.Helper()
	plain, err := r.State(r.apex, false)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Status()[0]
	if plain.Serial() != came || plain.Signed() || s.Serial != served || s.Signed != signed || s.State != zone.StateServed || s.Fault != "" {
		t.Fatalf("it came with %d, and should with %d; served it should be %d, signed %v, and is %+v", plain.Serial(), came, served, signed, s)
	}
}

func serialText(serial uint32) string {
	return strings.Replace(forSigning, "2024010101", fmt.Sprint(serial), 1)
}

// TestTransferredZoneIsSigned follows a zone that comes without signatures: its serials are those of the primary where they are news, and else the next ones; what came
// and what was made of it last over a restart; and so does signing that begins and ends.
func TestTransferredZoneIsSigned(t *testing.T) {
	policy := &zone.Signing{}
	r := newReceiver(t, t.TempDir(), policy)
	r.take(t, serialText(10))
	r.holds(t, 10, 11, true)
	r.take(t, serialText(11)+"new A 192.0.2.98\n")
	r.holds(t, 11, 12, true)
	r.take(t, serialText(50)+"new A 192.0.2.99\n")
	r.holds(t, 50, 50, true)
	r.at = r.at.Add(30 * time.Hour)
	r.Look()
	r.holds(t, 50, 51, true)
	verifySigned(t, r.Set().Exact([]byte(r.apex)).Zone, r.at)
	served := dump(t, r.Set().Exact([]byte(r.apex)).Zone)
	r.restart(t)
	r.holds(t, 50, 51, true)
	if dump(t, r.Set().Exact([]byte(r.apex)).Zone) != served {
		t.Error("a restart changed the zone")
	}
	r.Look()
	r.holds(t, 50, 51, true)
	r.take(t, serialText(51))
	r.holds(t, 51, 52, true)
	r.at = r.at.Add(60 * 24 * time.Hour)
	r.restart(t) // no signature holds any more
	r.holds(t, 51, 53, true)

	sources := []zone.Source{r.config.Sources[0]}
	sources[0].Sign = nil
	if err := r.Update(sources); err != nil {
		t.Fatal(err)
	}
	r.take(t, serialText(60))
	r.holds(t, 60, 60, false)
	r.config.Sources = sources
	r.restart(t)
	r.holds(t, 60, 60, false)
	r.config.Sources = []zone.Source{{Name: r.apex, Origin: "primary", Sign: policy}}
	r.restart(t)
	r.holds(t, 60, 61, true)
	r.restart(t)
	r.holds(t, 60, 61, true)
}

// TestTransferredZoneWithSignatures takes a zone that its primary has signed: it is served as it comes, and why is told.
func TestTransferredZoneWithSignatures(t *testing.T) {
	r := newReceiver(t, t.TempDir(), &zone.Signing{})
	signer := beginSigning(t, "example", t.TempDir(), zone.Signing{})
	signed, _ := sign(t, signer, load(t, "example", forSigning), nil, now)
	if err := r.Edit(r.apex, func(*zone.Zone) (*zone.Zone, error) { return signed, nil }); err != nil {
		t.Fatal(err)
	}
	if s := r.Status()[0]; s.State != zone.StateUnsigned || !s.Signed || !strings.Contains(s.Fault, "none of its own") {
		t.Errorf("%+v", s)
	}
	if m := ask(t, r.Set(), "www.example", dns.TypeA, true); len(m.Answer) != 3 {
		t.Errorf("the answer is not the primary's:\n%v", m)
	}
}

// TestNamedIsSignedOnTheWay takes a zone from named as it is edited, signs it, and has ldns-verify-zone judge each version; what is served is what named has, and
// signatures.
func TestNamedIsSignedOnTheWay(t *testing.T) {
	random, lines := rand.New(rand.NewPCG(5, 6)), map[string]string{}
	file := filepath.Join(t.TempDir(), "example")
	writeEdited(t, file, random, lines, 1)
	p := namedPrimary(t, file, false)
	r := newReceiver(t, t.TempDir(), &zone.Signing{Denial: zone.DenialCompact})
	all := zone.NewSecondaries(r.Keeper, []zone.Secondary{{Name: r.apex, Primaries: []zone.Primary{{Addr: p.addr}}, Bounds: zone.TransferBounds{Octets: 1 << 24, Records: 1 << 20, Time: time.Minute}}})
	for serial := uint32(1); serial <= 5; serial++ {
		if serial > 1 {
			writeEdited(t, file, random, lines, int(serial))
			p.reload()
		}
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
			err := all.Look(t.Context(), r.apex)
			if came, _ := r.State(r.apex, false); err == nil && came != nil && came.Serial() == serial {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("serial %d does not come: %v, %+v", serial, err, r.Status()[0])
			}
		}
		want, faults, err := zone.Load(r.apex, file, time.Now())
		if err != nil {
			t.Fatal(err, faults)
		}
		if came, _ := r.State(r.apex, false); !zone.SameData(came, want) {
			t.Fatalf("serial %d: another zone came", serial)
		}
		served := r.Set().Exact([]byte(r.apex)).Zone
		r.holds(t, serial, serial+1, true)
		verifySigned(t, served, now)
		for _, rr := range zone.Compare(want, served).Removed {
			if rr.Type != dns.TypeSOA {
				t.Errorf("serial %d: %s %d is not served", serial, rr.Owner, rr.Type)
			}
		}
	}
	if n := all.Differences(); n < 3 {
		t.Errorf("%d of 4 edits came as differences", n)
	}
	if s := r.Status()[0]; s.Steps != 4 {
		t.Errorf("%d steps for secondaries of our own, want 4", s.Steps)
	}
}

// TestReceivedJournalAfterAFault holds that what came of a zone is there after a restart, where the disk failed for a while and versions came meanwhile: no step is
// written behind a version that it does not go on from.
func TestReceivedJournalAfterAFault(t *testing.T) {
	version := func(serial uint32) string { return serialText(serial) + fmt.Sprintf("n%d A 192.0.2.98\n", serial) }
	t.Run("a file that cannot be read", func(t *testing.T) {
		r := newReceiver(t, t.TempDir(), &zone.Signing{})
		r.take(t, version(10))
		r.take(t, version(11))
		path := filepath.Join(r.config.Dir, "received", "example.journal")
		unreadable(t, path)
		r.restart(t)
		r.take(t, version(12))
		if _, err := os.Readlink(path + ".unread"); err != nil {
			t.Errorf("the file was not put aside: %v", err)
		}
		r.take(t, version(13))
		r.restart(t)
		r.holds(t, 13, 14, true)
	})
	t.Run("a directory that cannot be reached", func(t *testing.T) {
		r := newReceiver(t, t.TempDir(), &zone.Signing{})
		r.take(t, version(10))
		r.take(t, version(11))
		dir := filepath.Join(r.config.Dir, "received")
		if err := errors.Join(os.Rename(dir, dir+".was"), os.Symlink(dir, dir)); err != nil {
			t.Fatal(err)
		}
		r.restart(t)
		r.take(t, version(12))
		if err := errors.Join(os.Remove(dir), os.Rename(dir+".was", dir)); err != nil {
			t.Fatal(err)
		}
		r.take(t, version(13))
		r.take(t, version(14))
		r.restart(t)
		r.holds(t, 14, 15, true)
	})
}

// TestSignedVersionOutlivesWhatCame holds that a zone by transfer is served as it was signed last, where what came of it cannot be read at a start: nobody takes that for
// what a primary has, and it is taken whole from the next one that has it.
func TestSignedVersionOutlivesWhatCame(t *testing.T) {
	s := newSignedSecondary(t, t.TempDir())
	if err := s.ask(); err != nil {
		t.Fatal(err)
	}
	s.expect("at first", zone.StateServed, 2, "")
	served := dump(t, s.Set().Exact([]byte(canonical("corp.example"))).Zone)
	mend := unreadable(t, filepath.Join(s.config.Dir, "received", "corp.example.journal"))
	defer mend()
	const fault = "it is served as it was signed last"
	s.start()
	s.expect("after a start", zone.StateKept, 2, fault)
	if now := dump(t, s.Set().Exact([]byte(canonical("corp.example"))).Zone); now != served {
		t.Errorf("it is served as\n%s\nwant\n%s", now, served)
	}
	if z, err := s.State(canonical("corp.example"), false); err == nil {
		t.Errorf("it came with serial %d", z.Serial())
	}
	s.at = s.at.Add(30 * time.Hour)
	s.Look() // what it is to be signed again from is not known
	s.expect("a day later", zone.StateKept, 2, fault)
	if err := s.Freeze(canonical("corp.example"), true); err != nil {
		t.Error(err)
	}
	if err := s.Freeze(canonical("corp.example"), false); err != nil {
		t.Error(err)
	}
	if err := s.ask(); err != nil {
		t.Fatal(err)
	}
	s.expect("from its primary", zone.StateServed, 3, "")
	if z, err := s.State(canonical("corp.example"), false); err != nil || z.Serial() != 1 || z.Signed() {
		t.Errorf("it came as %v, %v", z, err)
	}
	s.start()
	s.expect("after another start", zone.StateServed, 3, "")
}
