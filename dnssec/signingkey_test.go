package dnssec_test

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"

	"github.com/miekg/dns"
)

func signingKey(t testing.TB, algorithm uint8, secret string) *dnssec.SigningKey {
	t.Helper()
	octets, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	k, err := dnssec.NewSigningKey(algorithm, dnssec.FlagZone|dnssec.FlagSEP, octets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const (
	secretECDSA   = "GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=" // RFC 6605 section 6.1
	secretEd25519 = "ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=" // RFC 8080 section 6.1
)

// TestSigningKeyIsThatOfTheStandards takes the keys of RFC 6605 section 6.1 and RFC 8080 section 6.1, and what is said of them there.
func TestSigningKeyIsThatOfTheStandards(t *testing.T) {
	for _, tc := range []struct {
		name, secret, zone, dnskey, ds string
		algorithm                      uint8
	}{
		{"ECDSA", secretECDSA, "example.net", "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
			"55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17", dnssec.ECDSAP256},
		{"Ed25519", secretEd25519, "example.com", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
			"3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b", dnssec.Ed25519},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := signingKey(t, tc.algorithm, tc.secret)
			rrs := records(t, tc.zone+". 60 DNSKEY "+tc.dnskey+"\n"+tc.zone+". 60 DS "+tc.ds)
			if want := rdata(t, rrs[0]); string(k.DNSKEY()) != string(want) {
				t.Errorf("DNSKEY = %x, want %x", k.DNSKEY(), want)
			}
			if got, want := dnssec.DS(dnssec.DigestSHA256, dnsname.MustParse(tc.zone), k.DNSKEY()), rdata(t, rrs[1]); string(got) != string(want) {
				t.Errorf("DS = %x, want %x", got, want)
			}
		})
	}
}

// TestSignMakesTheSignatureOfTheStandard takes the signature of RFC 8080 section 6.1.
func TestSignMakesTheSignatureOfTheStandard(t *testing.T) {
	s := set(t, records(t, "example.com. 3600 MX 10 mail.example.com.")...)
	got, err := signingKey(t, dnssec.Ed25519, secretEd25519).Sign(dnsname.MustParse("example.com"), s, time.Unix(1438207200, 0), time.Unix(1440021600, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := rdata(t, records(t, "example.com. 3600 RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==")[0])
	if string(got) != string(want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// TestSignedSetsAreSecure signs sets of many forms and has them checked, and the same again: it is the same signature.
func TestSignedSetsAreSecure(t *testing.T) {
	zone := dnsname.MustParse("example")
	for _, algorithm := range []uint8{dnssec.ECDSAP256, dnssec.Ed25519} {
		k := signingKey(t, algorithm, secretECDSA)
		begin, end := noon.Add(-time.Hour), noon.Add(time.Hour)
		keys := &dnssec.Set{Name: []byte(zone), Type: dns.TypeDNSKEY, Class: 1, TTL: 60, RData: [][]byte{k.DNSKEY()}}
		keys.Sigs = [][]byte{mustSign(t, k, zone, keys, begin, end)}
		z, v := dnssec.Trust([]byte(zone), [][]byte{dnssec.DS(dnssec.DigestSHA384, zone, k.DNSKEY())}, keys, noon, dnssec.NewWork())
		if v.Status != dnssec.Secure {
			t.Fatalf("the keys are %v", v)
		}
		for _, text := range []string{
			"www.example. 300 A 192.0.2.2\nwww.example. 300 A 192.0.2.1",
			"example. 300 SOA NS.Example. Host.example. 1 2 3 4 5",
			"*.example. 300 MX 10 Mail.example.",
			"a.b.c.example. 300 SVCB 1 Foo.example. port=53",
		} {
			s := set(t, records(t, text)...)
			s.Sigs = [][]byte{mustSign(t, k, zone, s, begin, end)}
			if got := z.Check(s, noon, dnssec.NewWork()); got.Status != dnssec.Secure || got.Wildcard {
				t.Errorf("%s: %v, wildcard %v", text, got.Verdict, got.Wildcard)
			}
			if string(mustSign(t, k, zone, s, begin, end)) != string(s.Sigs[0]) {
				t.Errorf("%s: the second signature is another", text)
			}
		}
	}
}

func mustSign(t testing.TB, k *dnssec.SigningKey, zone dnsname.Name, s *dnssec.Set, begin, end time.Time) []byte {
	t.Helper()
	sig, err := k.Sign(zone, s, begin, end)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestNewSigningKeyRefuses(t *testing.T) {
	for _, tc := range []struct {
		name      string
		algorithm uint8
		secret    []byte
	}{
		{"too short", dnssec.Ed25519, make([]byte, 31)},
		{"no number of the curve", dnssec.ECDSAP256, make([]byte, 32)},
		{"RSA", dnssec.RSASHA256, make([]byte, 32)},
	} {
		if _, err := dnssec.NewSigningKey(tc.algorithm, 257, tc.secret); !errors.Is(err, dnssec.ErrSecret) {
			t.Errorf("%s: %v, want %v", tc.name, err, dnssec.ErrSecret)
		}
	}
}

// TestChainsAreThoseOfTheStandards makes the bitmap of RFC 4034 section 4.3, and a record of the zone of RFC 5155 appendix A.
func TestChainsAreThoseOfTheStandards(t *testing.T) {
	got := dnssec.NSEC(dnsname.MustParse("host.example.com"), []uint16{1234, dns.TypeA, dns.TypeNSEC, dns.TypeMX, dns.TypeRRSIG})
	if want := rdata(t, records(t, "alfa.example.com. 86400 NSEC host.example.com. A MX RRSIG NSEC TYPE1234")[0]); string(got) != string(want) {
		t.Errorf("NSEC = %x, want %x", got, want)
	}
	zone := dnsname.MustParse("example")
	links, err := dnssec.NSEC3Chain(zone, []dnssec.Owner{
		{Name: zone, Types: []uint16{dns.TypeSOA, dns.TypeNS, dns.TypeMX, dns.TypeDNSKEY, dns.TypeNSEC3PARAM}},
		{Name: dnsname.MustParse("a.example"), Types: []uint16{dns.TypeNS, dns.TypeDS}},
		{Name: dnsname.MustParse("c.example"), Types: []uint16{dns.TypeNS}, Unsigned: true},
		{Name: dnsname.MustParse("w.example")},
	}, 12, []byte{0xaa, 0xbb, 0xcc, 0xdd}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := records(t, `0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 60 NSEC3 1 0 12 aabbccdd 35mthgpgcu1qg68fab165klnsnk3dpvl MX DNSKEY NS SOA NSEC3PARAM RRSIG
35mthgpgcu1qg68fab165klnsnk3dpvl.example. 60 NSEC3 1 0 12 aabbccdd 4g6p9u5gvfshp30pqecj98b3maqbn1ck NS DS RRSIG
4g6p9u5gvfshp30pqecj98b3maqbn1ck.example. 60 NSEC3 1 0 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h NS
k8udemvp1j2f7eg6jebps17vp3n8i58h.example. 60 NSEC3 1 0 12 aabbccdd 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom`)
	for i, link := range links {
		if string(link.Owner) != string(name(want[i].Header().Name)) || string(link.Data) != string(rdata(t, want[i])) {
			t.Errorf("record %d = %s %x, want %v", i, link.Owner, link.Data, want[i])
		}
	}
}

func BenchmarkSign(b *testing.B) {
	zone := dnsname.MustParse("example")
	s := set(b, records(b, "www.example. 300 A 192.0.2.2")...)
	for algorithm, name := range map[uint8]string{dnssec.ECDSAP256: "ECDSAP256", dnssec.Ed25519: "Ed25519"} {
		b.Run(name, func(b *testing.B) {
			k := signingKey(b, algorithm, secretECDSA)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.Sign(zone, s, noon, noon); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestNSEC3ChainOptsOut leaves out delegations that are not signed, and the empty names above them alone.
func TestNSEC3ChainOptsOut(t *testing.T) {
	zone := dnsname.MustParse("example")
	links, err := dnssec.NSEC3Chain(zone, []dnssec.Owner{
		{Name: zone, Types: []uint16{dns.TypeSOA}},
		{Name: dnsname.MustParse("signed.example"), Types: []uint16{dns.TypeNS, dns.TypeDS}},
		{Name: dnsname.MustParse("cut.example"), Types: []uint16{dns.TypeNS}, Unsigned: true},
		{Name: dnsname.MustParse("far.example")},
		{Name: dnsname.MustParse("cut.far.example"), Types: []uint16{dns.TypeNS}, Unsigned: true},
		{Name: dnsname.MustParse("deep.example")},
		{Name: dnsname.MustParse("cut.deep.example"), Types: []uint16{dns.TypeNS}, Unsigned: true},
		{Name: dnsname.MustParse("www.deep.example"), Types: []uint16{dns.TypeA}},
	}, 0, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[[20]byte]bool{}
	for _, name := range []string{"example", "signed.example", "deep.example", "www.deep.example"} {
		wanted[dnssec.HashName([]byte(dnsname.MustParse(name)), 0, nil)] = true
	}
	for _, l := range links {
		next := [20]byte(l.Data[6:26])
		if l.Data[1] != 1 || !wanted[next] {
			t.Errorf("%s: flags %d, and the next hash is %x", l.Owner, l.Data[1], next)
		}
	}
	if len(links) != len(wanted) {
		t.Errorf("%d records, want %d", len(links), len(wanted))
	}
}
