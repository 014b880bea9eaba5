package dnssec_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"

	"github.com/miekg/dns"
)

// setsOf makes sets of a zone, in canonical order, each with its signatures.
func setsOf(t testing.TB, rrs []dns.RR) []*dnssec.Set {
	t.Helper()
	type key struct {
		owner string
		rtype uint16
	}
	byKey := map[key]*dnssec.Set{}
	get := func(rr dns.RR, rtype uint16) *dnssec.Set {
		k := key{string(name(rr.Header().Name)), rtype}
		if byKey[k] == nil {
			byKey[k] = &dnssec.Set{Name: []byte(k.owner), Type: rtype, Class: rr.Header().Class, TTL: rr.Header().Ttl}
		}
		return byKey[k]
	}
	for _, rr := range rrs {
		if sig, ok := rr.(*dns.RRSIG); ok {
			s := get(rr, sig.TypeCovered)
			s.Sigs = append(s.Sigs, rdata(t, rr))
			continue
		}
		s := get(rr, rr.Header().Rrtype)
		s.RData = append(s.RData, rdata(t, rr))
	}
	var out []*dnssec.Set
	for _, s := range byKey {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *dnssec.Set) int {
		if c := dnsname.Compare(dnsname.Name(a.Name), dnsname.Name(b.Name)); c != 0 {
			return c
		}
		return int(a.Type) - int(b.Type)
	})
	return out
}

// TestPublishedZoneDigests holds the example of RFC 8976 appendix A.1.
func TestPublishedZoneDigests(t *testing.T) {
	for _, tc := range []struct{ name, zone, digest string }{
		{"A.1", `example. 86400 IN SOA ns1.example. admin.example. 2018031900 1800 900 604800 86400
			example. 86400 IN NS ns1.example.
			example. 86400 IN NS ns2.example.
			example. 86400 IN ZONEMD 2018031900 1 1 c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c
			ns1.example. 3600 IN A 203.0.113.63
			ns2.example. 3600 IN AAAA 2001:db8::63`,
			"c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c"},
	} {
		sets := setsOf(t, records(t, tc.zone))
		got := digest(t, "example.", dnssec.ZONEMDSHA384, sets)
		if hex.EncodeToString(got) != tc.digest {
			t.Errorf("%s: got %x, want %s", tc.name, got, tc.digest)
		}
		i := slices.IndexFunc(sets, func(s *dnssec.Set) bool { return s.Type == dns.TypeZONEMD })
		if all := dnssec.ReadZONEMD(sets[i].RData, 2018031900); len(all) != 1 || !bytes.Equal(all[0].Digest, got) {
			t.Errorf("%s: the record says %v", tc.name, all)
		}
	}
}

func digest(t testing.TB, zone string, kind uint8, sets []*dnssec.Set) []byte {
	t.Helper()
	d, err := dnssec.NewZoneDigest(name(zone), kind)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sets {
		if err := d.Add(s); err != nil {
			t.Fatalf("%q %d: %v", s.Name, s.Type, err)
		}
	}
	return d.Sum()
}

// TestZoneDigest holds what counts in a digest and what does not.
func TestZoneDigest(t *testing.T) {
	key := ecSigner(t, "example.", 257)
	rrs := records(t, `example. 300 IN SOA ns.example. root.example. 1 2 3 4 5
		example. 300 IN NS ns.example.
		a.example. 300 IN A 192.0.2.2
		a.example. 300 IN A 192.0.2.1
		a.example. 300 IN NSEC b.example. A NSEC RRSIG
		a.example. 300 IN TYPE65000 \# 1 00
		b.example. 300 IN NS ns.b.example.
		ns.b.example. 300 IN A 192.0.2.3`)
	rrs = append(rrs, key.sign(t, rrs[2:4], nil), key.sign(t, rrs[4:5], nil))
	base := digest(t, "example.", dnssec.ZONEMDSHA384, setsOf(t, rrs))
	same := func(what string, rrs []dns.RR) {
		t.Helper()
		if got := digest(t, "example.", dnssec.ZONEMDSHA384, setsOf(t, rrs)); !bytes.Equal(got, base) {
			t.Errorf("%s: the digest is another", what)
		}
	}
	other := func(what string, rrs []dns.RR) {
		t.Helper()
		if got := digest(t, "example.", dnssec.ZONEMDSHA384, setsOf(t, rrs)); bytes.Equal(got, base) {
			t.Errorf("%s: the digest is the same", what)
		}
	}
	zonemd := records(t, "example. 300 IN ZONEMD 1 1 1 "+strings.Repeat("00", 48))
	same("the ZONEMD set and its signature", append(slices.Clone(rrs), zonemd[0], key.sign(t, zonemd, nil)))
	same("out of the zone", append(slices.Clone(rrs), records(t, "test. 300 IN A 192.0.2.1")...))
	same("twice", append(slices.Clone(rrs), rrs[2], rrs[len(rrs)-1]))
	same("upper case", append(slices.Clone(rrs[:1]), append(records(t, "EXAMPLE. 300 IN NS NS.example."), rrs[2:]...)...))
	other("a ZONEMD set below the apex", append(slices.Clone(rrs), records(t, "a.example. 300 IN ZONEMD 1 1 1 "+strings.Repeat("00", 48))...))
	for i := range rrs {
		other("without "+rrs[i].String(), slices.Delete(slices.Clone(rrs), i, i+1))
	}
	if got, want := digest(t, "example.", dnssec.ZONEMDSHA384, setsOf(t, rrs)), plainDigest(t, rrs); !bytes.Equal(got, want) {
		t.Errorf("got %x, all at once %x", got, want)
	}
}

// plainDigest digests sorted records all at once, without the code under test.
func plainDigest(t testing.TB, rrs []dns.RR) []byte {
	t.Helper()
	var all [][]byte
	for _, rr := range rrs {
		buf := make([]byte, 4096)
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, buf[:end])
	}
	slices.SortFunc(all, func(a, b []byte) int {
		n, _, _ := dnsname.Check(a)
		m, _, _ := dnsname.Check(b)
		if c := dnsname.Compare(dnsname.Name(a[:n]), dnsname.Name(b[:m])); c != 0 {
			return c
		}
		if c := int(binary.BigEndian.Uint16(a[n:])) - int(binary.BigEndian.Uint16(b[m:])); c != 0 {
			return c
		}
		return bytes.Compare(a[n+10:], b[m+10:])
	})
	return sum384(bytes.Join(all, nil))
}

// TestZoneDigestOrder holds that sets out of order are refused, and hashes that nobody computes.
func TestZoneDigestOrder(t *testing.T) {
	sets := setsOf(t, records(t, "example. 300 IN NS ns.test.\nexample. 300 IN TXT x\na.example. 300 IN A 192.0.2.1\nb.example. 300 IN A 192.0.2.1"))
	for name, order := range map[string][]int{"types": {1, 0}, "names": {0, 3, 2}, "twice": {0, 1, 1}, "back": {0, 2, 1}} {
		d, _ := dnssec.NewZoneDigest([]byte("\x07example\x00"), dnssec.ZONEMDSHA512)
		var err error
		for _, i := range order {
			err = errors.Join(err, d.Add(sets[i]))
		}
		if !errors.Is(err, dnssec.ErrOrder) {
			t.Errorf("%s: got %v, want %v", name, err, dnssec.ErrOrder)
		}
	}
	if _, err := dnssec.NewZoneDigest(name("example."), 3); !errors.Is(err, dnssec.ErrZONEMDHash) {
		t.Errorf("got %v, want %v", err, dnssec.ErrZONEMDHash)
	}
	if got := digest(t, "example.", dnssec.ZONEMDSHA512, sets); len(got) != 64 {
		t.Errorf("SHA-512 has %d octets", len(got))
	}
}

// TestReadZONEMD holds which records count (RFC 8976 section 4).
func TestReadZONEMD(t *testing.T) {
	record := func(serial uint32, scheme, hash uint8, n int) []byte {
		return append(binary.BigEndian.AppendUint32(nil, serial), append([]byte{scheme, hash}, make([]byte, n)...)...)
	}
	for _, tc := range []struct {
		name    string
		records [][]byte
		want    int
	}{
		{"both hashes", [][]byte{record(7, 1, 1, 48), record(7, 1, 2, 64)}, 2},
		{"another serial", [][]byte{record(8, 1, 1, 48)}, 0},
		{"another scheme", [][]byte{record(7, 2, 1, 48)}, 0},
		{"another hash", [][]byte{record(7, 1, 3, 48)}, 0},
		{"another length", [][]byte{record(7, 1, 1, 47), record(7, 1, 2, 12)}, 0},
		{"a hash twice", [][]byte{record(7, 1, 1, 48), record(7, 1, 1, 48), record(7, 1, 2, 64)}, 1},
		{"cut", [][]byte{{0, 0, 0, 7, 1}}, 0},
	} {
		if got := dnssec.ReadZONEMD(tc.records, 7); len(got) != tc.want {
			t.Errorf("%s: got %d, want %d", tc.name, len(got), tc.want)
		}
	}
}
