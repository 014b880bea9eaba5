package dnssec_test

import (
	"strings"
	"testing"
	"time"

	"cenote/dnssec"

	"github.com/miekg/dns"
)

const day = 24 * time.Hour

// root is a zone whose keys change while an Anchors follows it.
type root struct {
	t   *testing.T
	a   *dnssec.Anchors
	now time.Time
	ttl uint32
}

func newRoot(t *testing.T, anchors ...*signer) *root {
	var keys [][]byte
	for _, k := range anchors {
		keys = append(keys, rdata(t, k.key))
	}
	return &root{t, dnssec.NewAnchors(name("example."), nil, keys, noon), noon, 3600}
}

// shows is a DNSKEY set, signed by these signers, for two weeks around the time.
func (r *root) shows(keys []*signer, signers ...*signer) *dnssec.Set {
	r.t.Helper()
	var rrs []dns.RR
	for _, k := range keys {
		k.key.Hdr.Ttl = r.ttl
		rrs = append(rrs, k.key)
	}
	all := rrs
	for _, s := range signers {
		all = append(all, s.sign(r.t, rrs, func(sig *dns.RRSIG) {
			sig.Inception, sig.Expiration = uint32(r.now.Add(-7*day).Unix()), uint32(r.now.Add(7*day).Unix())
		}))
	}
	return set(r.t, all...)
}

// observe shows a set and returns the status.
func (r *root) observe(keys []*signer, signers ...*signer) dnssec.Status {
	r.t.Helper()
	_, v := r.a.Observe(r.shows(keys, signers...), r.now, dnssec.NewWork())
	r.roundTrip()
	return v.Status
}

// roundTrip writes the anchors down and goes on with what is read.
func (r *root) roundTrip() {
	r.t.Helper()
	text, err := r.a.MarshalText()
	if err != nil {
		r.t.Fatal(err)
	}
	var b dnssec.Anchors
	if err := b.UnmarshalText(text); err != nil {
		r.t.Fatalf("%v in\n%s", err, text)
	}
	again, _ := b.MarshalText()
	if string(again) != string(text) {
		r.t.Fatalf("written\n%s\nread and written again\n%s", text, again)
	}
	r.a = &b
}

// passes moves the clock on, a day at a time, while the zone shows the same.
func (r *root) passes(d time.Duration, keys []*signer, signers ...*signer) {
	r.t.Helper()
	for end := r.now.Add(d); r.now.Before(end); {
		r.now = r.now.Add(min(day, end.Sub(r.now)))
		if got := r.observe(keys, signers...); got != dnssec.Secure {
			r.t.Fatalf("%v: the keys are %v", r.now, got)
		}
	}
}

// state fails unless the keys are in these states, in words; "start" for one that is not known.
func (r *root) state(want string, keys ...*signer) {
	r.t.Helper()
	var got []string
	for _, k := range keys {
		state := dnssec.AnchorStart
		for i := range r.a.Keys {
			if own := rdata(r.t, k.key); string(r.a.Keys[i].Key[4:]) == string(own[4:]) {
				state = r.a.Keys[i].State
			}
		}
		got = append(got, state.String())
	}
	if strings.Join(got, " ") != want {
		r.t.Errorf("%v: the keys are %q, want %q", r.now.Sub(noon), strings.Join(got, " "), want)
	}
}

// revoked is the key with the flag that revokes it.
func (s *signer) revoked() *signer {
	k := *s.key
	k.Flags |= dnssec.FlagRevoke
	return &signer{key: &k, private: s.private}
}

func list(s ...*signer) []*signer { return s }

// TestRollOvers holds the scenarios of RFC 5011 section 6, and what goes wrong in them, by the clock alone.
func TestRollOvers(t *testing.T) {
	a, b, c := ecSigner(t, "example.", 257), ecSigner(t, "example.", 257), ecSigner(t, "example.", 257)
	zsk := ecSigner(t, "example.", 256)
	t.Run("adding a trust anchor", func(t *testing.T) {
		r := newRoot(t, a)
		r.observe(list(a, zsk), a)
		r.state("valid start start", a, b, zsk)
		r.observe(list(a, b, zsk), a)
		r.state("valid pending", a, b)
		r.passes(30*day-time.Second, list(a, b, zsk), a)
		r.state("valid pending", a, b)
		if got := r.observe(list(a, b), b); got != dnssec.Bogus {
			t.Errorf("a pending key vouches: %v", got)
		}
		r.passes(time.Second, list(a, b, zsk), a)
		r.state("valid valid start", a, b, zsk)
		r.passes(day, list(a, b), b)
	})
	t.Run("a pending key that vanishes begins anew", func(t *testing.T) {
		r := newRoot(t, a)
		r.observe(list(a, b), a)
		r.passes(29*day, list(a, b), a)
		r.passes(time.Hour, list(a), a)
		r.state("valid start", a, b)
		r.passes(29*day, list(a, b), a)
		r.state("valid pending", a, b)
		r.passes(2*day, list(a, b), a)
		r.state("valid valid", a, b)
	})
	t.Run("a long TTL holds down longer", func(t *testing.T) {
		r := newRoot(t, a)
		r.ttl = uint32((40 * day).Seconds())
		r.observe(list(a, b), a)
		r.passes(39*day, list(a, b), a)
		r.state("valid pending", a, b)
		r.passes(day, list(a, b), a)
		r.state("valid valid", a, b)
	})
	t.Run("deleting a trust anchor", func(t *testing.T) {
		r := newRoot(t, a, b)
		r.observe(list(a, b), a)
		r.observe(list(a, b.revoked()), a, b.revoked())
		r.state("valid revoked", a, b)
		r.passes(10*day, list(a, b.revoked()), a)
		r.passes(30*day-time.Second, list(a), a)
		r.state("valid revoked", a, b)
		r.passes(time.Second, list(a), a)
		r.state("valid removed", a, b)
		r.passes(40*day, list(a, b), a)
		r.state("valid removed", a, b)
		if got := r.observe(list(a, b), b); got != dnssec.Bogus {
			t.Errorf("a removed key vouches: %v", got)
		}
	})
	t.Run("key roll-over", func(t *testing.T) {
		r := newRoot(t, a, b) // b stands by
		r.observe(list(a, b), a)
		r.observe(list(a.revoked(), b, c), a.revoked(), b)
		r.state("revoked valid pending", a, b, c)
		r.passes(31*day, list(b, c), b)
		r.state("removed valid valid", a, b, c)
	})
	t.Run("active key compromised", func(t *testing.T) {
		r := newRoot(t, a, b)
		r.observe(list(a, b), a)
		r.observe(list(a.revoked(), b), a.revoked(), b)
		if got := r.observe(list(a, c), a); got != dnssec.Bogus {
			t.Errorf("what the thief signs is %v", got)
		}
		r.state("revoked valid start", a, b, c)
	})
	t.Run("stand-by key compromised", func(t *testing.T) {
		r := newRoot(t, a, b)
		r.observe(list(a, b.revoked(), c), a, b.revoked())
		r.state("valid revoked pending", a, b, c)
		r.passes(30*day, list(a, c), a)
		r.state("valid removed valid", a, b, c)
	})
	t.Run("trust point deletion", func(t *testing.T) {
		r := newRoot(t, a, b)
		r.observe(list(a, b), a)
		if r.a.Gone() {
			t.Error("the trust point is gone before its keys are revoked")
		}
		r.observe(list(a.revoked(), b.revoked()), a.revoked(), b.revoked())
		r.state("revoked revoked", a, b)
		if !r.a.Gone() {
			t.Error("the trust point is not gone")
		}
		if got := r.observe(list(a, b), a, b); got != dnssec.Indeterminate {
			t.Errorf("without a trust anchor, keys are %v", got)
		}
	})
	t.Run("a valid key that is missing stays trusted, and comes back", func(t *testing.T) {
		r := newRoot(t, a, b)
		r.passes(day, list(a), a)
		r.state("valid missing", a, b)
		r.passes(100*day, list(a), a)
		r.passes(day, list(a, b), b)
		r.state("valid valid", a, b)
	})
	t.Run("a missing key that is revoked", func(t *testing.T) {
		r := newRoot(t, a, b)
		r.passes(day, list(a), a)
		r.observe(list(a, b.revoked()), a, b.revoked())
		r.state("valid revoked", a, b)
	})
	t.Run("a pending key that is revoked", func(t *testing.T) {
		r := newRoot(t, a)
		r.observe(list(a, b), a)
		r.observe(list(a, b.revoked()), a, b.revoked())
		r.state("valid start", a, b)
	})
	t.Run("nobody revokes another's key", func(t *testing.T) {
		r := newRoot(t, a, b)
		r.observe(list(a, b), a)
		r.observe(list(a, b.revoked()), a)
		r.state("valid missing", a, b)
		r.observe(list(b.revoked(), c), c)
		r.state("valid missing start", a, b, c)
	})
	t.Run("a set that is not secure moves nothing", func(t *testing.T) {
		r := newRoot(t, a)
		r.observe(list(a, b), a)
		before, _ := r.a.MarshalText()
		r.a.Next = r.a.Next.Add(time.Hour)
		if got := r.observe(list(c), c); got != dnssec.Bogus {
			t.Errorf("a stranger's keys are %v", got)
		}
		r.state("valid pending start", a, b, c)
		if after, _ := r.a.MarshalText(); strings.Count(string(after), "\n") != strings.Count(string(before), "\n") {
			t.Errorf("got\n%s\nwant as before\n%s", after, before)
		}
	})
}

// TestAnchorsBeginWithDS holds that keys for which a configured DS record stands are trusted at once, also those that come later, unless revoked.
func TestAnchorsBeginWithDS(t *testing.T) {
	a, b := ecSigner(t, "example.", 257), ecSigner(t, "example.", 257)
	r := &root{t, dnssec.NewAnchors(name("example."), [][]byte{dsOf(t, a, dns.SHA256), dsOf(t, b, dns.SHA256)}, nil, noon), noon, 3600}
	r.observe(list(a), a)
	r.state("valid start", a, b)
	r.passes(day, list(a, b), a)
	r.state("valid valid", a, b)
	r.observe(list(a.revoked(), b), a.revoked(), b)
	r.state("revoked valid", a, b)
	if got := r.observe(list(a), a); got != dnssec.Bogus {
		t.Errorf("a revoked key for which a DS record stands vouches: %v", got)
	}
	old := dsOf(t, a, dns.SHA256)
	old[2] = 5
	r = &root{t, dnssec.NewAnchors(name("example."), [][]byte{old}, nil, noon), noon, 3600}
	if got := r.observe(list(a), a); got != dnssec.Insecure {
		t.Errorf("under an algorithm that is not supported, keys are %v", got)
	}
}

// TestRefresh holds when the zone is asked again (RFC 5011 section 2.3).
func TestRefresh(t *testing.T) {
	a := ecSigner(t, "example.", 257)
	for _, tc := range []struct {
		name          string
		ttl           time.Duration
		next, failure time.Duration
	}{
		{"half of the TTL", 2 * day, day, 2 * day / 10},
		{"an hour at least", time.Minute, time.Hour, time.Hour},
		{"half of what the signature is valid", 30 * day, 84 * time.Hour, 7 * day / 10},
	} {
		r := newRoot(t, a)
		r.ttl = uint32(tc.ttl.Seconds())
		r.observe(list(a), a)
		if got := r.a.Next.Sub(r.now); got != tc.next {
			t.Errorf("%s: asked again after %v, want %v", tc.name, got, tc.next)
		}
		r.a.Failed(r.now)
		if got := r.a.Next.Sub(r.now); got != tc.failure {
			t.Errorf("%s: after a failure asked again after %v, want %v", tc.name, got, tc.failure)
		}
	}
	if a := dnssec.NewAnchors(name("example."), nil, nil, noon); !a.Next.Equal(noon) {
		t.Errorf("the first question is at %v, want %v", a.Next, noon)
	}
}

// TestFewKeysAreFollowed holds the bound of keys, and that trusted ones are not pushed out.
func TestFewKeysAreFollowed(t *testing.T) {
	a := ecSigner(t, "example.", 257)
	all := list(a)
	for len(all) < 30 {
		all = append(all, ecSigner(t, "example.", 257))
	}
	r := newRoot(t, a)
	r.observe(all, a)
	if len(r.a.Keys) != dnssec.AnchorsMax {
		t.Errorf("%d keys are followed, want %d", len(r.a.Keys), dnssec.AnchorsMax)
	}
	r.state("valid pending start", all[0], all[1], all[29])
}

// TestAnchorTextForOperators holds the form of the file, and that faults in it are found by line.
func TestAnchorTextForOperators(t *testing.T) {
	a := ecSigner(t, "example.", 257)
	r := newRoot(t, a)
	r.observe(list(a, ecSigner(t, "example.", 257)), a)
	b, _ := r.a.MarshalText()
	good := string(b)
	for _, part := range []string{"zone example.\n", "key valid 2026-06-01T12:00:00Z 2026-06-01T12:00:00Z 257 3 15 ", "; key tag ", "trusted from 2026-07-01T12:00:00Z on"} {
		if !strings.Contains(good, part) {
			t.Errorf("the text lacks %q:\n%s", part, good)
		}
	}
	for _, tc := range []struct{ name, text, want string }{
		{"no zone", "; nothing\n", "no line"},
		{"another word", good + "trust me\n", `"trust"`},
		{"a state", strings.Replace(good, "key valid", "key sound", 1), `line 7: unknown state "sound"`},
		{"a time", strings.Replace(good, "key valid 2026", "key valid yesterday", 1), "line 7"},
		{"a key", strings.Replace(good, " 3 15 ", " 3 15 x", 1), "base64"},
		{"a protocol", strings.Replace(good, " 3 15 ", " 2 15 ", 1), "protocol"},
		{"twice", good + good[strings.Index(good, "key valid"):], "twice"},
		{"two zones", good + "zone test.\n", `"zone"`},
		{"a revoked key", strings.Replace(good, "257 3", "385 3", 1), "revokes"},
		{"a pause", strings.Replace(good, "retry 1h0m0s", "retry 100h", 1), "pause"},
	} {
		kept := dnssec.Anchors{Zone: name("kept.")}
		err := kept.UnmarshalText([]byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", tc.name, err, tc.want)
		}
		if string(kept.Zone) != string(name("kept.")) {
			t.Errorf("%s: the fault changed something", tc.name)
		}
	}
}

// TestConfiguredAnchorsAreBounded holds that too many, and one twice, are left out, so that the text can be read again.
func TestConfiguredAnchorsAreBounded(t *testing.T) {
	var keys, ds [][]byte
	for range dnssec.AnchorsMax + 1 {
		k := ecSigner(t, "example.", 257)
		keys, ds = append(keys, rdata(t, k.key), rdata(t, k.key)), append(ds, dsOf(t, k, dns.SHA256))
	}
	r := &root{t: t, a: dnssec.NewAnchors(name("example."), ds, keys, noon)}
	r.roundTrip()
	if len(r.a.Keys) != dnssec.AnchorsMax || len(r.a.DS) != dnssec.AnchorsMax {
		t.Errorf("%d keys and %d DS records are kept, want %d of each", len(r.a.Keys), len(r.a.DS), dnssec.AnchorsMax)
	}
}

// TestFewRemovedKeysAreRemembered holds the bound of those, the oldest of which goes first.
func TestFewRemovedKeysAreRemembered(t *testing.T) {
	a := ecSigner(t, "example.", 257)
	r := newRoot(t, a)
	var removed []*signer
	for range dnssec.RemovedMax + 5 {
		k := ecSigner(t, "example.", 257)
		removed = append(removed, k)
		r.a.Keys = append(r.a.Keys, dnssec.Anchor{Key: rdata(t, k.key), State: dnssec.AnchorRemoved, Since: noon, Seen: noon})
	}
	r.observe(list(a), a)
	if len(r.a.Keys) != 1+dnssec.RemovedMax {
		t.Errorf("%d keys are kept, want %d", len(r.a.Keys), 1+dnssec.RemovedMax)
	}
	r.state("valid start removed removed", a, removed[4], removed[5], removed[len(removed)-1])
}
