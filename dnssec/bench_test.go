package dnssec_test

import (
	"testing"

	"cenote/dnssec"

	"github.com/miekg/dns"
)

// BenchmarkCheck verifies a set of two addresses.
func BenchmarkCheck(b *testing.B) {
	for _, tc := range []struct {
		name string
		key  *signer
	}{
		{"RSASHA256/1024", rsaSigner(b, "example.", 257, dnssec.RSASHA256, 1024)},
		{"RSASHA256/2048", rsaSigner(b, "example.", 257, dnssec.RSASHA256, 2048)},
		{"ECDSAP256", newSigner(b, "example.", 257, dnssec.ECDSAP256, 256)},
		{"ECDSAP384", newSigner(b, "example.", 257, dnssec.ECDSAP384, 384)},
		{"Ed25519", newSigner(b, "example.", 257, dnssec.Ed25519, 256)},
		{"Ed448", newSigner(b, "example.", 257, dnssec.Ed448, 456)},
	} {
		z := zoneOf(b, tc.key)
		s := signedSet(b, records(b, "www.example. 300 IN A 192.0.2.1\nwww.example. 300 IN A 192.0.2.2"), tc.key)
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if z.Check(s, noon, dnssec.NewWork()).Status != dnssec.Secure {
					b.Fatal("not secure")
				}
			}
		})
	}
}

// BenchmarkDenial proves that a name does not exist from three checked records.
func BenchmarkDenial(b *testing.B) {
	for _, kind := range []worldKind{{}, {nsec3: true}, {nsec3: true, rounds: dnssec.IterationsMax}} {
		w := newWorld(b, ecSigner(b, "example.", 257), "example.", kind, "a 300 IN A 192.0.2.1\nb 300 IN A 192.0.2.1\nc 300 IN A 192.0.2.1\n")
		proofs := w.prove("\x01x\x07example\x00")
		b.Run(kind.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if dnssec.NewDenial(name("example."), proofs, dnssec.NewWork()).NameError(name("x.example.")).Status != dnssec.Secure {
					b.Fatal("not secure")
				}
			}
		})
	}
}

// BenchmarkRanges infers that a name does not exist, from 10,000 records.
func BenchmarkRanges(b *testing.B) {
	r := dnssec.NewRanges([]byte{0}, 20_000)
	last := "."
	for i := range 10_000 {
		next := "n" + string([]byte{byte('a' + i/676%26), byte('a' + i/26%26), byte('a' + i%26)}) + "."
		rr := &dns.NSEC{Hdr: dns.RR_Header{Name: last, Rrtype: dns.TypeNSEC, Class: 1, Ttl: 300}, NextDomain: next, TypeBitMap: []uint16{dns.TypeNS, dns.TypeRRSIG, dns.TypeNSEC}}
		if last == "." {
			rr.TypeBitMap = []uint16{dns.TypeNS, dns.TypeSOA, dns.TypeRRSIG, dns.TypeNSEC}
		}
		r.Add(set(b, rr), 300, noon)
		last = next
	}
	b.ReportAllocs()
	for b.Loop() {
		if got, _ := r.Answer(name("nabca."), dns.TypeA, noon, dnssec.NewWork()); got != dnssec.NameError {
			b.Fatal(got)
		}
	}
}
