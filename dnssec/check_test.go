package dnssec_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnssec"

	"github.com/miekg/dns"
)

// TestEveryAlgorithm holds that what the library (and circl) signs is Secure for each algorithm, and that one wrong octet is not.
func TestEveryAlgorithm(t *testing.T) {
	for _, tc := range []struct {
		name      string
		algorithm uint8
		bits      int
	}{
		{"RSA/SHA-256", dnssec.RSASHA256, 1024},
		{"RSA/SHA-256 of 2048 bits", dnssec.RSASHA256, 2048},
		{"RSA/SHA-512", dnssec.RSASHA512, 1024},
		{"P-256", dnssec.ECDSAP256, 256},
		{"P-384", dnssec.ECDSAP384, 384},
		{"Ed25519", dnssec.Ed25519, 256},
		{"Ed448", dnssec.Ed448, 456},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var key *signer
			if tc.algorithm < dnssec.ECDSAP256 {
				key = rsaSigner(t, "example.", 257, tc.algorithm, tc.bits)
			} else {
				key = newSigner(t, "example.", 257, tc.algorithm, tc.bits)
			}
			z, v := dnssec.Trust(name("example."), [][]byte{dsOf(t, key, dns.SHA256)}, keySet(t, key), noon, dnssec.NewWork())
			want(t, v, dnssec.Secure, dnssec.CodeNone)
			s := signedSet(t, records(t, "www.example. 300 IN A 192.0.2.1\nwww.example. 300 IN A 192.0.2.2"), key)
			want(t, z.Check(s, noon, dnssec.NewWork()).Verdict, dnssec.Secure, dnssec.CodeNone)
			for name, spoil := range map[string]func(*dnssec.Set){
				"record":    func(s *dnssec.Set) { s.RData[1][3]++ },
				"signature": func(s *dnssec.Set) { s.Sigs[0][len(s.Sigs[0])-1]++ },
				"removed":   func(s *dnssec.Set) { s.RData = s.RData[:1] },
				"owner":     func(s *dnssec.Set) { s.Name[1] = 'v' },
				"class":     func(s *dnssec.Set) { s.Class = dns.ClassCHAOS },
				"cut":       func(s *dnssec.Set) { s.Sigs[0] = s.Sigs[0][:len(s.Sigs[0])-1] },
			} {
				bad := clone(s)
				spoil(bad)
				if c := z.Check(bad, noon, dnssec.NewWork()); c.Status != dnssec.Bogus || c.Code != dnssec.CodeBogus || c.TTL != 0 {
					t.Errorf("with another %s: got %v, TTL %d, want bogus (6), 0", name, c.Verdict, c.TTL)
				}
			}
		})
	}
}

func clone(s *dnssec.Set) *dnssec.Set {
	c := *s
	c.Name, c.RData, c.Sigs = bytes.Clone(s.Name), nil, nil
	for _, r := range s.RData {
		c.RData = append(c.RData, bytes.Clone(r))
	}
	for _, r := range s.Sigs {
		c.Sigs = append(c.Sigs, bytes.Clone(r))
	}
	return &c
}

// TestCheckFaults holds each reason for which a set is not Secure, and its extended error.
func TestCheckFaults(t *testing.T) {
	key, other := ecSigner(t, "example.", 257), ecSigner(t, "example.", 256)
	notZone, old := ecSigner(t, "example.", 0), ecSigner(t, "example.", 256|dnssec.FlagRevoke)
	proto := ecSigner(t, "example.", 256)
	proto.key.Protocol = 2
	z := zoneOf(t, key, notZone, old, proto)
	unix := func(d time.Duration) uint32 { return uint32(noon.Add(d).Unix()) }
	for _, tc := range []struct {
		name   string
		signer *signer
		edit   func(*dns.RRSIG)
		status dnssec.Status
		code   uint16
		text   string
	}{
		{"good", key, func(*dns.RRSIG) {}, dnssec.Secure, dnssec.CodeNone, ""},
		{"expired", key, func(s *dns.RRSIG) { s.Inception, s.Expiration = unix(-48*time.Hour), unix(-24*time.Hour) }, dnssec.Bogus, dnssec.CodeExpired,
			fmt.Sprintf("the signature by key %d expired 2026-05-31T12:00:00Z", key.key.KeyTag())},
		{"expired within the skew", key, func(s *dns.RRSIG) { s.Expiration = unix(-59 * time.Minute) }, dnssec.Secure, dnssec.CodeNone, ""},
		{"expired beyond the skew", key, func(s *dns.RRSIG) { s.Expiration = unix(-61 * time.Minute) }, dnssec.Bogus, dnssec.CodeExpired, ""},
		{"expired beyond the tenth of a short life", key, func(s *dns.RRSIG) { s.Inception, s.Expiration = unix(-70*time.Minute), unix(-8*time.Minute) }, dnssec.Bogus, dnssec.CodeExpired, ""},
		{"not yet valid", key, func(s *dns.RRSIG) { s.Inception, s.Expiration = unix(24*time.Hour), unix(48*time.Hour) }, dnssec.Bogus, dnssec.CodeNotYetValid, "2026-06-02T12:00:00Z"},
		{"not yet valid within the skew", key, func(s *dns.RRSIG) { s.Inception = unix(59 * time.Minute) }, dnssec.Secure, dnssec.CodeNone, ""},
		{"ends before it begins", key, func(s *dns.RRSIG) { s.Inception, s.Expiration = unix(time.Minute), unix(0) }, dnssec.Bogus, dnssec.CodeBogus, "before it begins"},
		{"a life of 68 years", key, func(s *dns.RRSIG) { s.Expiration = s.Inception + 1<<31 - 1 }, dnssec.Secure, dnssec.CodeNone, ""},
		{"key that is not there", other, func(*dns.RRSIG) {}, dnssec.Bogus, dnssec.CodeNoKey, "no key"},
		{"key without the zone flag", notZone, func(*dns.RRSIG) {}, dnssec.Bogus, dnssec.CodeNoZoneKey, "zone key"},
		{"revoked key", old, func(*dns.RRSIG) {}, dnssec.Bogus, dnssec.CodeBogus, "revoked"},
		{"key of another protocol", proto, func(*dns.RRSIG) {}, dnssec.Bogus, dnssec.CodeBogus, "protocol"},
		{"signer below", key, func(s *dns.RRSIG) { s.SignerName = "www.example." }, dnssec.Bogus, dnssec.CodeNoSignature, "signer"},
		{"signer above", key, func(s *dns.RRSIG) { s.SignerName = "." }, dnssec.Bogus, dnssec.CodeNoSignature, "signer"},
		{"signer in upper case", key, func(s *dns.RRSIG) { s.SignerName = "EXAMPLE." }, dnssec.Secure, dnssec.CodeNone, ""},
		{"too many labels", key, func(s *dns.RRSIG) { s.Labels = 4 }, dnssec.Bogus, dnssec.CodeBogus, "labels"},
		{"fewer labels than the signer", key, func(s *dns.RRSIG) { s.Labels = 0 }, dnssec.Bogus, dnssec.CodeBogus, "labels"},
		{"another type", key, func(s *dns.RRSIG) { s.TypeCovered = dns.TypeAAAA }, dnssec.Bogus, dnssec.CodeNoSignature, "type"},
		{"an algorithm that nobody has", key, func(s *dns.RRSIG) { s.Algorithm = 99 }, dnssec.Bogus, dnssec.CodeNoSignature, "algorithm"},
		{"SHA-1", key, func(s *dns.RRSIG) { s.Algorithm = dns.RSASHA1 }, dnssec.Bogus, dnssec.CodeNoSignature, "algorithm"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rrs := records(t, "a.b.example. 300 IN A 192.0.2.1")
			got := z.Check(set(t, rrs[0], tc.signer.sign(t, rrs, tc.edit)), noon, dnssec.NewWork())
			want(t, got.Verdict, tc.status, tc.code)
			if !strings.Contains(got.Text, tc.text) {
				t.Errorf("the reason is %q, want %q in it", got.Text, tc.text)
			}
		})
	}
}

// TestWhatMayNotBeSigned holds the sets that a zone's signature cannot make Secure, or that have none.
func TestWhatMayNotBeSigned(t *testing.T) {
	key := ecSigner(t, "example.com.", 257)
	z := zoneOf(t, key)
	plain := func(text string) *dnssec.Set { return signedSet(t, records(t, text), key) }
	unsigned := plain("www.example.com. 300 IN A 192.0.2.1")
	unsigned.Sigs = nil
	short := plain("www.example.com. 300 IN A 192.0.2.1")
	short.Sigs[0] = short.Sigs[0][:20]
	for _, tc := range []struct {
		name string
		set  *dnssec.Set
		code uint16
	}{
		{"a name that ends in the same letters", plain("www.evilexample.com. 300 IN A 192.0.2.1"), dnssec.CodeBogus},
		{"the parent's name", plain("com. 300 IN NS ns.example."), dnssec.CodeBogus},
		{"a DS set of the zone itself", plain("example.com. 300 IN DS 1 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"), dnssec.CodeBogus},
		{"no signature", unsigned, dnssec.CodeNoSignature},
		{"a cut signature", short, dnssec.CodeNoSignature},
		{"no name", &dnssec.Set{Name: []byte{3, 'a'}, Type: 1}, dnssec.CodeBogus},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want(t, z.Check(tc.set, noon, dnssec.NewWork()).Verdict, dnssec.Bogus, tc.code)
		})
	}
}

// TestOneGoodSignatureIsEnough holds RFC 6840 section 5.11, and that order does not matter.
func TestOneGoodSignatureIsEnough(t *testing.T) {
	a, b := ecSigner(t, "example.", 257), newSigner(t, "example.", 256, dnssec.ECDSAP256, 256)
	z := zoneOf(t, a, b)
	rrs := records(t, "www.example. 300 IN A 192.0.2.1")
	expired := a.sign(t, rrs, func(s *dns.RRSIG) { s.Expiration = s.Inception + 1000 })
	wrong := a.sign(t, rrs, func(s *dns.RRSIG) { s.OrigTtl++ })
	wrong.OrigTtl--
	good := b.sign(t, rrs, nil)
	s := set(t, rrs[0], expired, wrong, good, wrong)
	for range 4 {
		want(t, z.Check(s, noon, dnssec.NewWork()).Verdict, dnssec.Secure, dnssec.CodeNone)
		s.Sigs = append(s.Sigs[1:], s.Sigs[0])
	}
	// Without the good one, the wrong one says more than the expired one, wherever it stands.
	s = set(t, rrs[0], wrong, expired)
	want(t, z.Check(s, noon, dnssec.NewWork()).Verdict, dnssec.Bogus, dnssec.CodeBogus)
	slices.Reverse(s.Sigs)
	want(t, z.Check(s, noon, dnssec.NewWork()).Verdict, dnssec.Bogus, dnssec.CodeBogus)
}

// TestWildcard holds what a signature with fewer labels than the name tells.
func TestWildcard(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	z := zoneOf(t, key)
	s := signedSet(t, records(t, "*.b.example. 300 IN A 192.0.2.1"), key)
	for _, tc := range []struct {
		name     string
		encloser []byte // nil if it is no wildcard's answer
		status   dnssec.Status
	}{
		{"*.b.example.", nil, dnssec.Secure},
		{"x.b.example.", name("b.example."), dnssec.Secure},
		{"y.x.b.example.", name("b.example."), dnssec.Secure},
		{"*.x.b.example.", name("b.example."), dnssec.Secure},
		{"b.example.", nil, dnssec.Bogus}, // a wildcard does not stand for its own parent
		{"x.c.example.", nil, dnssec.Bogus},
	} {
		c := clone(s)
		c.Name = name(tc.name)
		got := z.Check(c, noon, dnssec.NewWork())
		if got.Status != tc.status || got.Wildcard != (tc.encloser != nil) || !bytes.Equal(got.Encloser, tc.encloser) {
			t.Errorf("%s: got %v, wildcard %v at %q, want %v, %q", tc.name, got.Verdict, got.Wildcard, got.Encloser, tc.status, tc.encloser)
		}
	}
}

// TestTTL holds for how long a set may be kept (RFC 4035 section 5.3.3).
func TestTTL(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	z := zoneOf(t, key)
	rrs := records(t, "www.example. 3600 IN A 192.0.2.1")
	for _, tc := range []struct {
		name       string
		received   uint32
		expiration time.Duration
		want       uint32
	}{
		{"original", 7200, 48 * time.Hour, 3600},
		{"received", 60, 48 * time.Hour, 60},
		{"until it expires", 7200, 10 * time.Second, 10},
		{"valid by the skew alone", 7200, -10 * time.Second, 0},
	} {
		s := set(t, rrs[0], key.sign(t, rrs, func(s *dns.RRSIG) { s.Expiration = uint32(noon.Add(tc.expiration).Unix()) }))
		s.TTL = tc.received
		got := z.Check(s, noon, dnssec.NewWork())
		want(t, got.Verdict, dnssec.Secure, dnssec.CodeNone)
		if got.TTL != tc.want {
			t.Errorf("%s: TTL %d, want %d", tc.name, got.TTL, tc.want)
		}
	}
}

// TestCanonicalForm holds that case in names, order and duplicates do not matter to a signature by the library, for each type whose RDATA has
// names, and that case does matter for others.
func TestCanonicalForm(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	z := zoneOf(t, key)
	for _, text := range []string{
		"NS Ns.Example.", "CNAME Ns.Example.", "PTR Ns.Example.", "DNAME Ns.Example.", "MX 10 Ns.Example.", "SOA Ns.Example. Root.Example. 1 2 3 4 5",
		"SRV 1 2 3 Ns.Example.", `NAPTR 1 2 "S" "SIP+D2U" "" Ns.Example.`, "RP Ns.Example. Txt.Example.", "AFSDB 1 Ns.Example.", "KX 1 Ns.Example.",
		"PX 10 Ns.Example. X.Example.", "RT 10 Ns.Example.", "MINFO Ns.Example. X.Example.", "MB Ns.Example.", "MD Ns.Example.",
	} {
		lower := text
		if i := strings.LastIndex(text, `"`); i > 0 {
			lower = text[:i] + strings.ToLower(text[i:])
		} else {
			fields := strings.Fields(text)
			lower = fields[0] + " " + strings.ToLower(strings.Join(fields[1:], " "))
		}
		upperRR, lowerRR := records(t, "x.example. 300 IN "+text), records(t, "x.example. 300 IN "+lower)
		s := signedSet(t, upperRR, key)
		want(t, z.Check(s, noon, dnssec.NewWork()).Verdict, dnssec.Secure, dnssec.CodeNone)
		s.RData = [][]byte{rdata(t, lowerRR[0]), rdata(t, upperRR[0]), rdata(t, lowerRR[0])}
		if got := z.Check(s, noon, dnssec.NewWork()); got.Status != dnssec.Secure {
			t.Errorf("%s: in other case and twice: %v", text, got.Verdict)
		}
	}
	for _, text := range []string{`TXT "Ns.Example."`, "NSEC Ns.Example. A", "HINFO Abc Def", "SVCB 1 Ns.Example."} {
		rrs := records(t, "x.example. 300 IN "+text)
		s := signedSet(t, rrs, key)
		want(t, z.Check(s, noon, dnssec.NewWork()).Verdict, dnssec.Secure, dnssec.CodeNone)
		s.RData[0] = bytes.ToLower(s.RData[0])
		if got := z.Check(s, noon, dnssec.NewWork()); got.Status != dnssec.Bogus {
			t.Errorf("%s: in lower case: %v, want bogus", text, got.Verdict)
		}
	}
}

// TestPublishedSignatures verifies the examples of RFC 6605 and RFC 8080, which others signed.
func TestPublishedSignatures(t *testing.T) {
	for _, tc := range []struct {
		name, key, ds, set string
		at                 time.Time
	}{
		{"RFC 6605 section 6.1", "example.net. 3600 IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
			"example.net. 3600 IN DS 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
			`www.example.net. 3600 IN A 192.0.2.1
			www.example.net. 3600 IN RRSIG A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==`,
			time.Date(2010, 9, 1, 0, 0, 0, 0, time.UTC)},
		{"RFC 8080 section 6.1", "example.com. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
			"example.com. 3600 IN DS 3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
			`example.com. 3600 IN MX 10 mail.example.com.
			example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==`,
			time.Unix(1440000000, 0)},
		{"RFC 8080 section 6.2", "example.com. 3600 IN DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
			"example.com. 3600 IN DS 9713 16 2 6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7",
			`example.com. 3600 IN MX 10 mail.example.com.
			example.com. 3600 IN RRSIG MX 16 2 3600 1440021600 1438207200 9713 example.com. 3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA`,
			time.Unix(1440000000, 0)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key, ds := rdata(t, records(t, tc.key)[0]), rdata(t, records(t, tc.ds)[0])
			s := set(t, records(t, tc.set)...)
			zone := name(records(t, tc.key)[0].Header().Name)
			if got := dnssec.DSDigest(dnssec.DigestSHA256, zone, key); !bytes.Equal(got, ds[4:]) {
				t.Errorf("the digest of the key is %x, want %x", got, ds[4:])
			}
			want(t, dnssec.CheckWithKey(zone, key, s, tc.at), dnssec.Secure, dnssec.CodeNone)
		})
	}
}

// TestSigner holds whose signature a record says it is.
func TestSigner(t *testing.T) {
	key := ecSigner(t, "Example.", 257)
	s := signedSet(t, records(t, "www.example. 300 IN A 192.0.2.1"), key)
	if got := dnssec.Signer(s.Sigs[0]); string(got) != string(name("example.")) {
		t.Errorf("got %q", got)
	}
	for _, bad := range [][]byte{nil, s.Sigs[0][:18], s.Sigs[0][:20], s.Sigs[0][:18+9]} {
		if got := dnssec.Signer(bad); got != nil {
			t.Errorf("of %d octets: got %q", len(bad), got)
		}
	}
}

// TestRootSigns holds that the root, whose name has no labels, signs as any other zone, and may have a wildcard.
func TestRootSigns(t *testing.T) {
	key := ecSigner(t, ".", 257)
	z := zoneOf(t, key)
	want(t, z.Check(signedSet(t, records(t, "com. 300 IN DS 1 13 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"), key), noon, dnssec.NewWork()).Verdict,
		dnssec.Secure, dnssec.CodeNone)
	rrs := records(t, "*. 300 IN TXT wild")
	s := set(t, rrs[0], key.sign(t, rrs, func(*dns.RRSIG) {})) // by hand: the library cannot sign this name
	if got := z.Check(s, noon, dnssec.NewWork()); got.Status != dnssec.Secure || got.Wildcard {
		t.Errorf("the wildcard itself: %+v", got)
	}
	s.Name = name("a.b.")
	if got := z.Check(s, noon, dnssec.NewWork()); got.Status != dnssec.Secure || !got.Wildcard || string(got.Encloser) != "\x00" {
		t.Errorf("a name made from it: %+v", got)
	}
}

// TestLabelOfAnAsterisk holds that an asterisk counts as a label where it is not the first.
func TestLabelOfAnAsterisk(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	z := zoneOf(t, key)
	for _, owner := range []string{"a.*.example.", "*.*.example.", "**.example.", "*a.example."} {
		rrs := records(t, owner+" 300 IN TXT x")
		sig := key.sign(t, rrs, func(*dns.RRSIG) {}) // by hand: the library takes every asterisk at the start for a wildcard's
		got := z.Check(set(t, rrs[0], sig), noon, dnssec.NewWork())
		if got.Status != dnssec.Secure || got.Wildcard {
			t.Errorf("%s: got %+v", owner, got)
		}
	}
}
