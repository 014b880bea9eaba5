package dnssec_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"

	"github.com/miekg/dns"
)

// fixedSigner is a key that is the same in every run, so that what it signed stays good in a corpus.
func fixedSigner(zone string) *signer {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	return &signer{private: private, key: &dns.DNSKEY{Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: 257, Protocol: 3, Algorithm: dnssec.Ed25519, PublicKey: base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))}}
}

// packSets writes sets as octets, for a corpus: the type, then pieces, each behind its kind and length.
func packSets(sets ...*dnssec.Set) []byte {
	var out []byte
	piece := func(kind byte, b []byte) {
		out = binary.BigEndian.AppendUint16(append(out, kind), uint16(len(b)))
		out = append(out, b...)
	}
	for _, s := range sets {
		piece(0, append(binary.BigEndian.AppendUint16(nil, s.Type), s.Name...))
		for _, r := range s.RData {
			piece(1, r)
		}
		for _, r := range s.Sigs {
			piece(2, r)
		}
	}
	return out
}

// unpackSets reads what packSets writes, as far as it can.
func unpackSets(b []byte) []*dnssec.Set {
	var out []*dnssec.Set
	for len(b) >= 3 {
		kind, n := b[0]%3, min(int(binary.BigEndian.Uint16(b[1:])), len(b)-3)
		piece := b[3 : 3+n]
		b = b[3+n:]
		switch {
		case kind == 0 && n >= 2:
			out = append(out, &dnssec.Set{Type: binary.BigEndian.Uint16(piece), Name: piece[2:], Class: dns.ClassINET, TTL: 300})
		case len(out) == 0:
		case kind == 1:
			out[len(out)-1].RData = append(out[len(out)-1].RData, piece)
		case kind == 2:
			out[len(out)-1].Sigs = append(out[len(out)-1].Sigs, piece)
		}
	}
	return out
}

// FuzzCheck holds that no set and no DNSKEY set stops the process or costs more than its bounds, and that the library agrees with whatever is Secure.
func FuzzCheck(f *testing.F) {
	key := fixedSigner("example.")
	f.Add(packSets(signedSet(f, records(f, "www.example. 300 IN A 192.0.2.1\nwww.example. 300 IN A 192.0.2.2"), key), keySet(f, key)))
	f.Add(packSets(signedSet(f, records(f, "*.example. 300 IN MX 10 Mail.example."), key)))
	z := zoneOf(f, key)
	ds := [][]byte{dsOf(f, key, dns.SHA256), dsOf(f, key, dns.SHA1)}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range unpackSets(b) {
			w := dnssec.NewWork()
			c := z.Check(s, noon, w)
			if c.Status == dnssec.Secure && !libraryAgrees(s, key.key) {
				t.Fatalf("%+v is secure, and the library does not say so", s)
			}
			if c.Status != dnssec.Secure && (c.TTL != 0 || c.Wildcard || c.Text == "") {
				t.Fatalf("got %+v", c)
			}
			s.Name = name("example.")
			s.Type = dns.TypeDNSKEY
			for _, anchors := range [][][]byte{ds, append(ds, s.RData...), s.RData} {
				if z, v := dnssec.Trust(s.Name, anchors, s, noon, w); (z != nil) != (v.Status == dnssec.Secure) {
					t.Fatalf("got %v, %v", z, v)
				}
				if z, v := dnssec.TrustKeys(s.Name, anchors, s, noon, w); (z != nil) != (v.Status == dnssec.Secure) {
					t.Fatalf("got %v, %v", z, v)
				}
				dnssec.NewAnchors(s.Name, ds, s.RData, noon).Observe(s, noon, w)
			}
			if w.Signatures < 0 || w.Failures < 0 {
				t.Fatalf("the work is %+v", w)
			}
		}
	})
}

// libraryAgrees reports whether the library verifies one of the signatures.
func libraryAgrees(s *dnssec.Set, key *dns.DNSKEY) bool {
	var rrs []dns.RR
	for _, r := range s.RData {
		rr, err := unpackRecord(s, s.Type, r)
		if err != nil {
			return true // it has no opinion
		}
		rrs = append(rrs, rr)
	}
	for _, r := range s.Sigs {
		rr, err := unpackRecord(s, dns.TypeRRSIG, r)
		if err == nil && rr.(*dns.RRSIG).Verify(key, rrs) == nil {
			return true
		}
	}
	return false
}

func unpackRecord(s *dnssec.Set, rtype uint16, rdata []byte) (dns.RR, error) {
	b := binary.BigEndian.AppendUint16(append([]byte(nil), s.Name...), rtype)
	b = binary.BigEndian.AppendUint16(b, s.Class)
	b = binary.BigEndian.AppendUint32(b, s.TTL)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	rr, _, err := dns.UnpackRR(append(b, rdata...), 0)
	return rr, err
}

// FuzzDenial holds that no records of denial stop the process, or cost more than their bounds, and that nothing is denied of another zone.
func FuzzDenial(f *testing.F) {
	for _, chain := range []string{rfc4035, rfc5155} {
		f.Add(packSets(unsignedSets(f, chain)...), []byte("\x02ml\x07example\x00"))
	}
	f.Fuzz(func(t *testing.T, b, question []byte) {
		sets, zone := unpackSets(b), name("example.")
		w := dnssec.NewWork()
		d := dnssec.NewDenial(zone, sets, w)
		r := dnssec.NewRanges(zone, 8)
		for _, s := range sets {
			r.Add(s, 10, noon)
		}
		n, _, err := dnsname.Check(question)
		inZone := err == nil && n == len(question) && (string(question) == string(zone) || dnsname.Name(question).IsBelow(dnsname.Name(zone)))
		_, cut := d.Unsigned(question)
		for _, v := range []dnssec.Verdict{d.NameError(question), d.NoData(question, dns.TypeA), d.NoData(question, dns.TypeDS), d.Expanded(question, zone), cut} {
			if v.Status == dnssec.Indeterminate || !inZone && v.Status != dnssec.Bogus {
				t.Fatalf("%q: got %v", question, v)
			}
		}
		if got, proof := r.Answer(question, dns.TypeA, noon, w); (got == dnssec.Unknown) != (proof == nil) || got != dnssec.Unknown && !inZone {
			t.Fatalf("%q: got %v with %d sets", question, got, len(proof))
		}
		if w.Hashes < 0 || r.Len() > 8 {
			t.Fatalf("%d hashes are left, %d records kept", w.Hashes, r.Len())
		}
	})
}

// FuzzParseAnchors holds that no text stops the process, and that what is read can be written down and read again.
func FuzzParseAnchors(f *testing.F) {
	f.Add([]byte(". 3600 IN DS " + rootDS + "\nexample.com. IN DNSKEY ( " + someKey + " ) ; a key"))
	f.Add([]byte(ianaXML))
	f.Fuzz(func(t *testing.T, text []byte) {
		records, err := dnssec.ParseAnchors("anchors", text)
		if (err == nil) != (len(records) > 0) {
			t.Fatalf("got %d records, %v", len(records), err)
		}
		for _, a := range dnssec.AnchorsOf(records, noon) {
			holdRoundTrip(t, a)
		}
	})
}

// FuzzAnchors holds the same for the text in which anchors are kept.
func FuzzAnchors(f *testing.F) {
	a := dnssec.NewAnchors(name("example.com."), [][]byte{rdata(f, records(f, "example.com. 1 DS "+rootDS)[0])}, [][]byte{rdata(f, records(f, "example.com. 1 DNSKEY "+someKey)[0])}, noon)
	text, err := a.MarshalText()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		var a dnssec.Anchors
		if a.UnmarshalText(text) == nil {
			holdRoundTrip(t, &a)
		}
	})
}

func holdRoundTrip(t *testing.T, a *dnssec.Anchors) {
	t.Helper()
	text, err := a.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var b dnssec.Anchors
	if err := b.UnmarshalText(text); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if again, _ := b.MarshalText(); string(again) != string(text) {
		t.Fatalf("written\n%s\nread and written again\n%s", text, again)
	}
}
