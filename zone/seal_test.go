package zone_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// sealed is a zone with the digest that dnspython computes of it.
const sealed = `$TTL 300
@ SOA ns host 10 7200 3600 1209600 60
@ NS ns
@ ZONEMD 10 1 1 2c9f6c7df307d4d6d7cc65e81be81ce44b5b96dc4751d28931564ac24e9ec629642ae082045d940f44e145f141211f32
ns A 192.0.2.1
www A 192.0.2.80
`

// TestDigestDecides holds which zones are served, by what is wanted of their digest and what is known of their signatures.
func TestDigestDecides(t *testing.T) {
	forged := strings.Replace(sealed, "192.0.2.80", "192.0.2.66", 1)
	old := strings.Replace(sealed, "SOA ns host 10", "SOA ns host 11", 1)
	bare := serial("10", "192.0.2.1")
	never := func(context.Context, *zone.Seal) (bool, error) {
		t.Error("the chain of trust was asked")
		return true, nil
	}
	good := func(context.Context, *zone.Seal) (bool, error) { return true, nil }
	bad := func(_ context.Context, s *zone.Seal) (bool, error) {
		if s.SOA == nil || s.Digest == nil || s.Keys != nil || s.Apex != dnsname.MustParse("corp.example") {
			t.Errorf("asked with %+v", s)
		}
		return true, errors.New("no signature")
	}
	away := func(context.Context, *zone.Seal) (bool, error) { return false, nil }
	for name, tc := range map[string]struct {
		text   string
		verify zone.Verify
		trust  zone.Trust
		fault  string // "" for none
	}{
		"right":                          {sealed, zone.VerifyCheck, good, ""},
		"without a chain of trust":       {sealed, zone.VerifyRequire, nil, ""},
		"of another zone":                {forged, zone.VerifyCheck, never, "the digest (ZONEMD) is of another zone"},
		"of another serial":              {old, zone.VerifyCheck, never, "no digest (ZONEMD) of its serial"},
		"none":                           {bare, zone.VerifyCheck, never, ""},
		"none where one is wanted":       {bare, zone.VerifyRequire, never, "no digest (ZONEMD)"},
		"not signed":                     {sealed, zone.VerifyCheck, bad, "does not stand up to validation: no signature"},
		"nobody knows":                   {sealed, zone.VerifyCheck, away, ""},
		"not signed, and only logged":    {sealed, zone.VerifyLog, bad, ""},
		"of another zone, only logged":   {forged, zone.VerifyLog, never, ""},
		"of another zone, not looked at": {forged, zone.VerifyOff, never, ""},
	} {
		log := new(lines)
		k := &kept{t: t, path: filepath.Join(t.TempDir(), "zone"), log: log}
		k.put(tc.text)
		var err error
		k.Keeper, err = zone.NewKeeper(zone.KeeperConfig{
			Sources: []zone.Source{{Name: dnsname.MustParse("corp.example"), Path: k.path, Verify: tc.verify}}, Trust: tc.trust, Log: slog.New(slog.NewTextHandler(log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		s := k.Status()[0]
		if (s.Fault == "") != (tc.fault == "") || !strings.Contains(s.Fault, tc.fault) {
			t.Errorf("%s: %s with fault %q, want %q", name, s.State, s.Fault, tc.fault)
		}
		if warned := log.count("level=WARN") > 0; warned != (tc.verify == zone.VerifyLog || name == "nobody knows") {
			t.Errorf("%s: warned %v", name, warned)
		}
	}
}

// TestDoubtEnds: a zone of which nobody could tell whether it has to be signed is looked at again, and is served no longer if it has.
func TestDoubtEnds(t *testing.T) {
	now, known := time.Now(), false
	k := &kept{t: t, path: filepath.Join(t.TempDir(), "zone"), log: new(lines)}
	k.put(sealed)
	var err error
	k.Keeper, err = zone.NewKeeper(zone.KeeperConfig{
		Sources: []zone.Source{{Name: dnsname.MustParse("corp.example"), Path: k.path}}, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
		Trust: func(context.Context, *zone.Seal) (bool, error) {
			if !known {
				return false, nil
			}
			return true, errors.New("no signature")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	k.Look()
	if s := k.Status()[0]; s.State != zone.StateServed {
		t.Fatalf("in doubt: %+v", s)
	}
	known = true
	k.Look()
	if s := k.Status()[0]; s.State != zone.StateServed {
		t.Errorf("before it is time: %+v", s)
	}
	now = now.Add(2 * time.Minute)
	for range 2 {
		k.Look()
	}
	if s := k.Status()[0]; s.State != zone.StateFailed {
		t.Errorf("when it is known: %+v", s)
	}
}

// TestTTLOfSOA: where nothing says how long records last, the last number of the SOA does.
func TestTTLOfSOA(t *testing.T) {
	for text, want := range map[string]uint32{
		"@ IN SOA ns host (\n 1 2 3 4 60 )\n@ IN NS ns\nns IN A 192.0.2.1\n":   60,
		"@ IN 0 SOA ns host 1 2 3 4 60\n@ IN NS ns\nns IN A 192.0.2.1\n":       0,
		"@ 30 IN SOA ns host 1 2 3 4 60\n@ IN NS ns\nns IN A 192.0.2.1\n":      30,
		"$TTL 0\n@ IN SOA ns host 1 2 3 4 60\n@ IN NS ns\nns IN A 192.0.2.1\n": 0,
	} {
		z, _, err := zone.Read(dnsname.MustParse("example"), strings.NewReader(text), "zone", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for r := range z.All() {
			if r.TTL != want {
				t.Errorf("%q: type %d has a TTL of %d, want %d", text, r.Type, r.TTL, want)
			}
		}
	}
}

// TestZoneThatIsNoLongerSignedHereIsProved: what was signed here need not be signed as it comes, and without that it has to be. It is served no longer if it is not.
func TestZoneThatIsNoLongerSignedHereIsProved(t *testing.T) {
	for name, tc := range map[string]struct {
		fault error
		known bool
		want  zone.State
	}{
		"signed": {nil, true, zone.StateServed}, "not signed": {errors.New("no signature"), true, zone.StateFailed}, "nobody knows": {nil, false, zone.StateServed},
	} {
		t.Run(name, func(t *testing.T) {
			dir, asked := t.TempDir(), 0
			k := &kept{t: t, path: filepath.Join(dir, "zone"), log: new(lines)}
			k.put(sealed)
			source := zone.Source{Name: dnsname.MustParse("corp.example"), Path: k.path, Sign: &zone.Signing{}}
			var err error
			k.Keeper, err = zone.NewKeeper(zone.KeeperConfig{
				Sources: []zone.Source{source}, Dir: filepath.Join(dir, "zones"), Keys: filepath.Join(dir, "keys"), Log: slog.New(slog.DiscardHandler),
				Trust: func(context.Context, *zone.Seal) (bool, error) { asked++; return tc.known, tc.fault },
			})
			if err != nil {
				t.Fatal(err)
			}
			if s := k.Status()[0]; s.State != zone.StateServed || asked != 0 {
				t.Fatalf("signed here: asked %d times, %+v", asked, s)
			}
			source.Sign = nil
			if err := k.Update([]zone.Source{source}); err != nil {
				t.Fatal(err)
			}
			if s := k.Status()[0]; s.State != tc.want || asked != 1 {
				t.Errorf("asked %d times, %+v, want %s", asked, s, tc.want)
			}
		})
	}
}
