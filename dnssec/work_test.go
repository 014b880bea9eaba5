package dnssec_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"testing"

	"cenote/dnssec"

	"github.com/miekg/dns"
)

// withTag returns n different Ed25519 keys whose tag is that of key (CVE-2023-50387). They are no keys of anybody.
func withTag(t testing.TB, key *dns.DNSKEY, n int) []dns.RR {
	t.Helper()
	var out []dns.RR
	raw := make([]byte, 32)
	for i := 0; len(out) < n; i++ {
		binary.BigEndian.PutUint32(raw, uint32(i))
		k := *key
		k.PublicKey = base64.StdEncoding.EncodeToString(raw)
		// The tag is a sum: what is missing goes into two octets at an even place, or one more, where the sum runs over.
		for missing := key.KeyTag() - k.KeyTag(); k.KeyTag() != key.KeyTag(); missing++ {
			binary.BigEndian.PutUint16(raw[30:], missing)
			k.PublicKey = base64.StdEncoding.EncodeToString(raw)
		}
		binary.BigEndian.PutUint16(raw[30:], 0)
		out = append(out, &k)
	}
	return out
}

// used is how many verifications work has done.
func used(w *dnssec.Work) int { return dnssec.SignaturesMax - w.Signatures }

// TestKeyTrapIsBounded holds that many keys of one tag and many signatures cost a few verifications, for a set, a zone and a query.
func TestKeyTrapIsBounded(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	impostors := withTag(t, key.key, 60)
	keys := append([]dns.RR{key.key}, impostors...)
	z, v := dnssec.TrustKeys(name("example."), [][]byte{rdata(t, key.key)}, set(t, append(keys, key.sign(t, keys, nil))...), noon, dnssec.NewWork())
	want(t, v, dnssec.Secure, dnssec.CodeNone)
	rrs := records(t, "www.example. 300 IN A 192.0.2.1")
	s := set(t, rrs[0])
	for range 500 {
		s.Sigs = append(s.Sigs, rdata(t, key.sign(t, rrs, func(sig *dns.RRSIG) { sig.OrigTtl = 1 })))
		s.Sigs[len(s.Sigs)-1][7] = 2
	}
	w := &dnssec.Work{Signatures: dnssec.SignaturesMax, Failures: 1000}
	want(t, z.Check(s, noon, w).Verdict, dnssec.Bogus, dnssec.CodeBogus)
	if most := dnssec.TriedPerSetMax * dnssec.KeysPerTagMax; used(w) != most || w.Spent() {
		t.Errorf("one set cost %d verifications (spent %v), want %d", used(w), w.Spent(), most)
	}
	w = dnssec.NewWork()
	for range 100 {
		want(t, z.Check(s, noon, w).Verdict, dnssec.Bogus, dnssec.CodeBogus)
	}
	if used(w) != dnssec.FailuresMax || !w.Spent() {
		t.Errorf("a query cost %d verifications (spent %v), want %d", used(w), w.Spent(), dnssec.FailuresMax)
	}
	good := signedSet(t, rrs, key)
	if got := z.Check(good, noon, w); got.Status != dnssec.Bogus || got.Text != "too much work" {
		t.Errorf("a good set after too much work: %v", got.Verdict)
	}
	w = dnssec.NewWork()
	for range 100 {
		z.Check(good, noon, w)
	}
	if used(w) != dnssec.SignaturesMax || !w.Spent() {
		t.Errorf("good sets cost %d verifications (spent %v), want %d", used(w), w.Spent(), dnssec.SignaturesMax)
	}
	var none dnssec.Work
	want(t, z.Check(good, noon, &none).Verdict, dnssec.Bogus, dnssec.CodeBogus)
}

// TestManyAnchorsAreBounded holds the same for DS records: those of many keys of one tag, none of which signs.
func TestManyAnchorsAreBounded(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	keys := append(withTag(t, key.key, 60), key.key)
	s := set(t, append(keys, key.sign(t, keys, nil))...)
	for len(s.Sigs) < 50 {
		s.Sigs = append(s.Sigs, s.Sigs[0])
	}
	var ds [][]byte
	for _, k := range keys[:60] {
		ds = append(ds, rdata(t, k.(*dns.DNSKEY).ToDS(dns.SHA256)))
	}
	w := &dnssec.Work{Signatures: dnssec.SignaturesMax, Failures: 1000}
	_, v := dnssec.Trust(name("example."), ds, s, noon, w)
	want(t, v, dnssec.Bogus, dnssec.CodeBogus)
	if most := dnssec.TriedPerSetMax * dnssec.KeysPerTagMax; used(w) == 0 || used(w) > most {
		t.Errorf("the keys cost %d verifications, want 1 to %d", used(w), most)
	}
	if most := dnssec.DigestsDone(name("example."), ds, s); most != dnssec.DigestsMax {
		t.Errorf("the keys cost %d digests, want %d", most, dnssec.DigestsMax)
	}
}

// TestManyKeysAreBounded holds that keys behind the bound are not looked at.
func TestManyKeysAreBounded(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	for before, status := range map[int]dnssec.Status{dnssec.KeysMax - 1: dnssec.Secure, dnssec.KeysMax: dnssec.Bogus} {
		keys := append(withTag(t, ecSigner(t, "example.", 257).key, before), key.key)
		s := set(t, append(keys, key.sign(t, keys, nil))...)
		if _, v := dnssec.TrustKeys(name("example."), [][]byte{rdata(t, key.key)}, s, noon, dnssec.NewWork()); v.Status != status {
			t.Errorf("behind %d others: %v, want %v", before, v, status)
		}
	}
}

// TestOldSignaturesCostNothing holds that what can be refused without a verification is.
func TestOldSignaturesCostNothing(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	z := zoneOf(t, key)
	rrs := records(t, "www.example. 300 IN A 192.0.2.1")
	old := key.sign(t, rrs, func(s *dns.RRSIG) { s.Expiration = s.Inception + 1000 })
	all := []dns.RR{rrs[0]}
	for range 100 {
		all = append(all, old)
	}
	w := dnssec.NewWork()
	want(t, z.Check(set(t, all...), noon, w).Verdict, dnssec.Bogus, dnssec.CodeExpired)
	if used(w) != 0 {
		t.Errorf("old signatures cost %d verifications", used(w))
	}
	want(t, z.Check(set(t, append(all, key.sign(t, rrs, nil))...), noon, w).Verdict, dnssec.Secure, dnssec.CodeNone)
}

// TestHashesAreBounded holds what a proof with NSEC3 may cost (CVE-2023-50868).
func TestHashesAreBounded(t *testing.T) {
	w := newWorld(t, ecSigner(t, "example.", 257), "example.", worldKind{nsec3: true, rounds: dnssec.IterationsMax}, "a 300 IN A 192.0.2.1\n")
	long := name("example.")
	for len(long) < 250 {
		long = append([]byte{1, 'x'}, long...)
	}
	work := dnssec.NewWork()
	work.Hashes = 50 * dnssec.HashBlocks(20, dnssec.IterationsMax, 0)
	d := dnssec.NewDenial(name("example."), w.chain, work)
	want(t, d.NameError(long), dnssec.Bogus, dnssec.CodeBogus)
	want(t, d.NoData(long, dns.TypeA), dnssec.Bogus, dnssec.CodeBogus)
	if _, v := d.Unsigned(long); v.Text != "too much work" {
		t.Errorf("got %v, want too much work", v)
	}
	if work.Hashes > dnssec.HashBlocks(255, dnssec.IterationsMax, 0) || !work.Spent() {
		t.Errorf("%d hashes are left, spent %v", work.Hashes, work.Spent())
	}
	work = dnssec.NewWork()
	d = dnssec.NewDenial(name("example."), w.chain, work)
	want(t, d.NameError(long), dnssec.Secure, dnssec.CodeNone)
	once := work.Hashes
	want(t, d.NameError(long), dnssec.Secure, dnssec.CodeNone)
	if work.Hashes != once {
		t.Errorf("asked again, %d more blocks were hashed", once-work.Hashes)
	}
}

// TestLongNamesAreProvable holds that what may be hashed for a query is enough for the longest name in a zone with as many iterations as are looked at, thrice
// over, and that a long salt counts.
func TestLongNamesAreProvable(t *testing.T) {
	w := newWorld(t, ecSigner(t, "example.", 257), "example.", worldKind{nsec3: true, rounds: dnssec.IterationsMax}, "a 300 IN A 192.0.2.1\n")
	work := dnssec.NewWork()
	for i := range 3 {
		long := name("example.")
		for len(long) <= 253 {
			long = append([]byte{1, 'x' + byte(i)}, long...)
		}
		d := dnssec.NewDenial(name("example."), w.chain, work)
		want(t, d.NameError(long), dnssec.Secure, dnssec.CodeNone)
	}
	for _, c := range []struct{ name, iterations, salt, want int }{
		{1, 0, 0, 1}, {55, 0, 0, 1}, {56, 0, 0, 2}, {255, 0, 0, 5}, {255, 0, 255, 9}, {10, 50, 35, 51}, {10, 50, 36, 101},
	} {
		if got := dnssec.HashBlocks(c.name, uint16(c.iterations), c.salt); got != c.want {
			t.Errorf("a name of %d octets, %d iterations, %d octets of salt: %d blocks, want %d", c.name, c.iterations, c.salt, got, c.want)
		}
	}
}

// TestWorkGivesWay holds that others are let on between two steps, and that who is told to end does so.
func TestWorkGivesWay(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	z, good := zoneOf(t, key), signedSet(t, records(t, "www.example. 300 IN A 192.0.2.1"), key)
	w, asked := dnssec.NewWork(), 0
	w.GiveWay = func() bool { asked++; return asked < 3 }
	want(t, z.Check(good, noon, w).Verdict, dnssec.Secure, dnssec.CodeNone)
	want(t, z.Check(good, noon, w).Verdict, dnssec.Secure, dnssec.CodeNone)
	if got := z.Check(good, noon, w); got.Status != dnssec.Bogus || !w.Spent() || used(w) != 2 || asked != 3 {
		t.Errorf("%v after %d verifications, asked %d times", got.Verdict, used(w), asked)
	}
}

// TestDenialUsesFewRecords holds that further records are passed over.
func TestDenialUsesFewRecords(t *testing.T) {
	lines := ""
	for i := range 12 {
		lines += fmt.Sprintf("n%02d 300 IN A 192.0.2.1\n", i)
	}
	for _, kind := range []worldKind{{}, {nsec3: true}} {
		w := newWorld(t, ecSigner(t, "example.", 257), "example.", kind, lines)
		proofs := w.prove("\x03n01\x07example\x00")
		for n := range 2 {
			padded := append([]*dnssec.Set{}, repeat(w.chain[5], dnssec.DenialsMax-1+n)...)
			v := dnssec.NewDenial(name("example."), append(padded, proofs...), dnssec.NewWork()).NoData(name("n01.example."), dns.TypeTXT)
			if (v.Status == dnssec.Secure) != (n == 0) {
				t.Errorf("%v: behind %d records: %v", kind, len(padded), v)
			}
		}
	}
}

func repeat(s *dnssec.Set, n int) []*dnssec.Set {
	out := make([]*dnssec.Set, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// TestManyIterationsAreInsecure holds RFC 9276: above the limit nothing is computed and nothing is bogus; beside records of NSEC nothing changes.
func TestManyIterationsAreInsecure(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	for _, rounds := range []uint16{dnssec.IterationsMax, dnssec.IterationsMax + 1} {
		w := newWorld(t, key, "example.", worldKind{nsec3: true, rounds: rounds}, "a 300 IN A 192.0.2.1\nb 300 IN NS ns.test.\n")
		work := dnssec.NewWork()
		d := dnssec.NewDenial(name("example."), w.chain, work)
		status, code := dnssec.Secure, uint16(dnssec.CodeNone)
		if rounds > dnssec.IterationsMax {
			status, code = dnssec.Insecure, dnssec.CodeIterations
		}
		want(t, d.NameError(name("x.example.")), status, code)
		want(t, d.NoData(name("a.example."), dns.TypeTXT), status, code)
		want(t, d.Expanded(name("x.example."), name("example.")), status, code)
		cut, v := d.Unsigned(name("b.example."))
		want(t, v, status, code)
		if cut != dnssec.CutDelegation {
			t.Errorf("got %v, want a delegation", cut)
		}
		if rounds > dnssec.IterationsMax && work.Hashes != dnssec.HashesMax {
			t.Error("names were hashed all the same")
		}
		ranges := dnssec.NewRanges(name("example."), 10)
		if added := ranges.Add(w.chain[0], 300, noon); added != (rounds <= dnssec.IterationsMax) {
			t.Errorf("Ranges.Add with %d iterations: %v", rounds, added)
		}
	}
}
