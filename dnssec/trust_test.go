package dnssec_test

import (
	"encoding/base64"
	"os"
	"slices"
	"testing"
	"time"

	"cenote/dnssec"

	"github.com/miekg/dns"
)

// TestTrust holds what DS records make of a zone's keys.
func TestTrust(t *testing.T) {
	ksk, zsk := ecSigner(t, "example.", 257), ecSigner(t, "example.", 256)
	stranger := ecSigner(t, "example.", 257)
	keys := keySet(t, ksk, zsk)
	good := dsOf(t, ksk, dns.SHA256)
	edit := func(ds []byte, at int, to byte) []byte { c := slices.Clone(ds); c[at] = to; return c }
	wrongDigest := edit(good, len(good)-1, good[len(good)-1]+1)
	for _, tc := range []struct {
		name   string
		ds     [][]byte
		status dnssec.Status
		code   uint16
	}{
		{"SHA-256", [][]byte{good}, dnssec.Secure, dnssec.CodeNone},
		{"SHA-384", [][]byte{dsOf(t, ksk, dns.SHA384)}, dnssec.Secure, dnssec.CodeNone},
		{"SHA-1 alone", [][]byte{dsOf(t, ksk, dns.SHA1)}, dnssec.Secure, dnssec.CodeNone},
		{"SHA-1 beside a wrong SHA-256", [][]byte{dsOf(t, ksk, dns.SHA1), wrongDigest}, dnssec.Bogus, dnssec.CodeNoKey},
		{"SHA-1 beside a SHA-256 of an algorithm that is not supported", [][]byte{dsOf(t, ksk, dns.SHA1), edit(wrongDigest, 2, 7)}, dnssec.Secure, dnssec.CodeNone},
		{"one of two", [][]byte{dsOf(t, stranger, dns.SHA256), good}, dnssec.Secure, dnssec.CodeNone},
		{"a key that signs nothing", [][]byte{dsOf(t, zsk, dns.SHA256)}, dnssec.Bogus, dnssec.CodeNoKey},
		{"another key", [][]byte{dsOf(t, stranger, dns.SHA256)}, dnssec.Bogus, dnssec.CodeNoKey},
		{"wrong digest", [][]byte{wrongDigest}, dnssec.Bogus, dnssec.CodeNoKey},
		{"cut digest", [][]byte{good[:len(good)-1]}, dnssec.Bogus, dnssec.CodeNoKey},
		{"malformed", [][]byte{good[:4]}, dnssec.Bogus, dnssec.CodeBogus},
		{"none", nil, dnssec.Indeterminate, dnssec.CodeIndeterminate},
		{"algorithm 5", [][]byte{edit(good, 2, 5)}, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"algorithms 1, 3, 6, 7 and 12", [][]byte{edit(good, 2, 1), edit(good, 2, 3), edit(good, 2, 6), edit(good, 2, 7), edit(good, 2, 12)}, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"GOST digest", [][]byte{edit(good, 3, 3)}, dnssec.Insecure, dnssec.CodeDigest},
		{"an algorithm and a digest that are not supported", [][]byte{edit(good, 3, 3), edit(good, 2, 5)}, dnssec.Insecure, dnssec.CodeDigest},
		{"not supported beside wrong", [][]byte{edit(good, 2, 5), wrongDigest}, dnssec.Bogus, dnssec.CodeNoKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z, v := dnssec.Trust(name("example."), tc.ds, keys, noon, dnssec.NewWork())
			want(t, v, tc.status, tc.code)
			if (z != nil) != (tc.status == dnssec.Secure) {
				t.Errorf("got zone %v with %v", z, v)
			}
		})
	}
}

// TestTrustNeedsTheSignatureOfATrustedKey holds the faults of the DNSKEY set itself.
func TestTrustNeedsTheSignatureOfATrustedKey(t *testing.T) {
	ksk, zsk, noFlag := ecSigner(t, "example.", 257), ecSigner(t, "example.", 256), ecSigner(t, "example.", 1)
	gone := ecSigner(t, "example.", 257|dnssec.FlagRevoke)
	all := []dns.RR{ksk.key, zsk.key, noFlag.key, gone.key}
	unsigned := set(t, all...)
	other := keySet(t, ecSigner(t, "other.", 257))
	for _, tc := range []struct {
		name string
		key  *signer
		set  *dnssec.Set
		code uint16
	}{
		{"no signature", ksk, unsigned, dnssec.CodeNoSignature},
		{"signed by another of its keys", ksk, set(t, append(all, zsk.sign(t, all, nil))...), dnssec.CodeNoKey},
		{"expired", ksk, set(t, append(all, ksk.sign(t, all, func(s *dns.RRSIG) { s.Expiration = s.Inception + 1 }))...), dnssec.CodeExpired},
		{"not a zone key", noFlag, set(t, append(all, noFlag.sign(t, all, nil))...), dnssec.CodeNoZoneKey},
		{"revoked", gone, set(t, append(all, gone.sign(t, all, nil))...), dnssec.CodeBogus},
		{"of another zone", ksk, other, dnssec.CodeBogus},
		{"of another type", ksk, signedSet(t, records(t, "example. 300 IN A 192.0.2.1"), ksk), dnssec.CodeBogus},
		{"empty", ksk, &dnssec.Set{Name: name("example."), Type: dns.TypeDNSKEY}, dnssec.CodeNoKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, v := dnssec.Trust(name("example."), [][]byte{dsOf(t, tc.key, dns.SHA256)}, tc.set, noon, dnssec.NewWork())
			want(t, v, dnssec.Bogus, tc.code)
			_, v = dnssec.TrustKeys(name("example."), [][]byte{rdata(t, tc.key.key)}, tc.set, noon, dnssec.NewWork())
			want(t, v, dnssec.Bogus, tc.code)
		})
	}
}

// TestTrustedZone holds what a Zone tells.
func TestTrustedZone(t *testing.T) {
	ksk := ecSigner(t, "example.", 257)
	z := zoneOf(t, ksk)
	if string(z.Name()) != string(name("example.")) || z.TTL() != 3600 || z.SignedBy() != ksk.key.KeyTag() {
		t.Errorf("got %q, %d, %d", z.Name(), z.TTL(), z.SignedBy())
	}
	_, v := dnssec.TrustKeys(name("example."), nil, keySet(t, ksk), noon, dnssec.NewWork())
	want(t, v, dnssec.Indeterminate, dnssec.CodeIndeterminate)
	old := rdata(t, ksk.key)
	old[3] = 5
	_, v = dnssec.TrustKeys(name("example."), [][]byte{old}, keySet(t, ksk), noon, dnssec.NewWork())
	want(t, v, dnssec.Insecure, dnssec.CodeAlgorithm)
}

// rsaKey is an RSA key record of a size and exponent, which nobody can sign with.
func rsaKey(flags uint16, bits int, exponent ...byte) *dns.DNSKEY {
	modulus := make([]byte, bits/8)
	for i := range modulus {
		modulus[i] = 0xff
	}
	return &dns.DNSKEY{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}, Flags: flags, Protocol: 3,
		Algorithm: dnssec.RSASHA256, PublicKey: base64.StdEncoding.EncodeToString(append(append([]byte{byte(len(exponent))}, exponent...), modulus...))}
}

// TestRSASizes holds that keys that are too small, too large or too slow make a zone insecure and not bogus, and that nobody makes a zone insecure by
// publishing one beside others.
func TestRSASizes(t *testing.T) {
	ksk, zsk := ecSigner(t, "example.", 257), ecSigner(t, "example.", 256)
	small := rsaKey(256, 512, 1, 0, 1)
	for _, tc := range []struct {
		name   string
		anchor *dns.DNSKEY
		keys   []dns.RR
		status dnssec.Status
		code   uint16
	}{
		{"512 bits", rsaKey(257, 512, 1, 0, 1), nil, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"768 bits", rsaKey(257, 768, 1, 0, 1), nil, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"4104 bits", rsaKey(257, 4104, 1, 0, 1), nil, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"exponent of 32 bits", rsaKey(257, 2048, 0x80, 0, 0, 1), nil, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"exponent of 33 bits", rsaKey(257, 2048, 1, 0, 0, 0, 1), nil, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"exponent of 31 bits", rsaKey(257, 2048, 0x7f, 0xff, 0xff, 0xff), nil, dnssec.Bogus, dnssec.CodeNoKey},
		{"exponent 1", rsaKey(257, 2048, 1), nil, dnssec.Bogus, dnssec.CodeBogus},
		{"good", ksk.key, []dns.RR{ksk.key, zsk.key}, dnssec.Secure, dnssec.CodeNone},
		{"data signed by a small key alone", ksk.key, []dns.RR{ksk.key, small}, dnssec.Insecure, dnssec.CodeAlgorithm},
		{"a small key beside a good one", ksk.key, []dns.RR{ksk.key, zsk.key, small}, dnssec.Secure, dnssec.CodeNone},
		{"a small key for keys beside a key for all", ksk.key, []dns.RR{ksk.key, rsaKey(257, 512, 1, 0, 1)}, dnssec.Secure, dnssec.CodeNone},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.keys == nil {
				tc.keys = []dns.RR{tc.anchor}
			}
			s := signedSet(t, tc.keys, ksk)
			_, v := dnssec.Trust(name("example."), [][]byte{rdata(t, tc.anchor.ToDS(dns.SHA256))}, s, noon, dnssec.NewWork())
			want(t, v, tc.status, tc.code)
		})
	}
}

// TestRootAnchors holds that the root's keys and DS records, as IANA publishes them, belong together.
func TestRootAnchors(t *testing.T) {
	keys, ds := rootRecords(t, "testdata/root.key"), rootRecords(t, "testdata/root.ds")
	for _, k := range keys {
		tag := dnssec.KeyTag(k.RData)
		i := slices.IndexFunc(ds, func(d dnssec.AnchorRecord) bool { return uint16(d.RData[0])<<8|uint16(d.RData[1]) == tag })
		if i < 0 {
			t.Fatalf("no DS record has the tag %d", tag)
		}
		if got := dnssec.DSDigest(ds[i].RData[3], []byte{0}, k.RData); string(got) != string(ds[i].RData[4:]) {
			t.Errorf("the digest of key %d is %x, want %x", tag, got, ds[i].RData[4:])
		}
	}
}

func rootRecords(t *testing.T, path string) []dnssec.AnchorRecord {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := dnssec.ParseAnchors(path, text)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || !records[0].ValidAt(time.Unix(0, 0)) {
		t.Fatalf("%s has %d records, want 2", path, len(records))
	}
	return records
}

// TestLeavingKeysOutChangesNothing holds that a zone with a key of a size that is not supported and a good one, both trusted, does not become
// insecure by whoever leaves the good one out.
func TestLeavingKeysOutChangesNothing(t *testing.T) {
	good, small := ecSigner(t, "example.", 257), rsaKey(257, 512, 1, 0, 1)
	both := signedSet(t, []dns.RR{good.key, small}, good)
	stripped := set(t, small)
	ds := [][]byte{rdata(t, small.ToDS(dns.SHA256)), dsOf(t, good, dns.SHA256)}
	keys := [][]byte{rdata(t, small), rdata(t, good.key)}
	for _, tc := range []struct {
		name     string
		ds, keys [][]byte
		set      *dnssec.Set
		status   dnssec.Status
		code     uint16
	}{
		{"both", ds, keys, both, dnssec.Secure, dnssec.CodeNone},
		{"without the good one", ds, keys, stripped, dnssec.Bogus, dnssec.CodeAlgorithm},
		{"the small one alone is trusted", ds[:1], keys[:1], stripped, dnssec.Insecure, dnssec.CodeAlgorithm},
	} {
		_, v := dnssec.Trust(name("example."), tc.ds, tc.set, noon, dnssec.NewWork())
		want(t, v, tc.status, tc.code)
		_, v = dnssec.TrustKeys(name("example."), tc.keys, tc.set, noon, dnssec.NewWork())
		want(t, v, tc.status, tc.code)
		_, v = dnssec.NewAnchors(name("example."), tc.ds, tc.keys, noon).Observe(tc.set, noon, dnssec.NewWork())
		want(t, v, tc.status, tc.code)
		if t.Failed() {
			t.Fatal(tc.name)
		}
	}
}

// TestFewDSRecordsAreTried holds that DS records beyond the bound are not looked at.
func TestFewDSRecordsAreTried(t *testing.T) {
	ksk := ecSigner(t, "example.", 257)
	for before, status := range map[int]dnssec.Status{dnssec.DSMax - 1: dnssec.Secure, dnssec.DSMax: dnssec.Bogus} {
		var ds [][]byte
		for i := range before {
			other := dsOf(t, ksk, dns.SHA256)
			other[0] ^= byte(i + 1)
			ds = append(ds, other)
		}
		if _, v := dnssec.Trust(name("example."), append(ds, dsOf(t, ksk, dns.SHA256)), keySet(t, ksk), noon, dnssec.NewWork()); v.Status != status {
			t.Errorf("behind %d others: %v, want %v", before, v, status)
		}
	}
}

// TestFewAnchorsAreTried holds the same for trusted keys.
func TestFewAnchorsAreTried(t *testing.T) {
	var keys []dns.RR
	var anchors [][]byte
	for len(keys) < dnssec.DSMax {
		k := ecSigner(t, "example.", 257)
		keys, anchors = append(keys, k.key), append(anchors, rdata(t, k.key))
	}
	last := ecSigner(t, "example.", 257)
	for skip, status := range map[int]dnssec.Status{0: dnssec.Bogus, 1: dnssec.Secure} {
		all := append(slices.Clone(keys[skip:]), last.key)
		s := set(t, append(all, last.sign(t, all, nil))...)
		if _, v := dnssec.TrustKeys(name("example."), append(anchors, rdata(t, last.key)), s, noon, dnssec.NewWork()); v.Status != status {
			t.Errorf("behind %d others: %v, want %v", len(keys)-skip, v, status)
		}
	}
}
