package wire_test

import (
	"testing"

	"cenote/wire"

	"github.com/miekg/dns"
)

// TestDeniesName: what says that there is no such name, and what says more, less, or nothing that can be read.
func TestDeniesName(t *testing.T) {
	const nxname = 128
	for _, c := range []struct {
		types []uint16
		want  bool
	}{
		{[]uint16{dns.TypeRRSIG, dns.TypeNSEC, nxname}, true}, {[]uint16{nxname}, true}, {[]uint16{dns.TypeRRSIG, nxname}, true}, {nil, false},
		{[]uint16{dns.TypeRRSIG, dns.TypeNSEC}, false}, {[]uint16{dns.TypeA, dns.TypeRRSIG, dns.TypeNSEC, nxname}, false},
		{[]uint16{dns.TypeRRSIG, dns.TypeNSEC, nxname, 129}, false}, {[]uint16{dns.TypeNSEC, nxname, dns.TypeCAA}, false}, {[]uint16{256 + nxname}, false},
	} {
		var room [300]byte
		n, err := dns.PackRR(&dns.NSEC{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNSEC, Class: dns.ClassINET}, NextDomain: ".", TypeBitMap: c.types}, room[:], 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		types := room[1+10+1 : n]
		if got := wire.DeniesName(types); got != c.want {
			t.Errorf("%v: got %v, want %v", c.types, got, c.want)
		}
		for cut := range len(types) {
			if c.want && wire.DeniesName(types[:cut]) {
				t.Errorf("%v, cut to %d octets, denies the name", c.types, cut)
			}
		}
	}
	for _, c := range []struct {
		name, types string
		want        bool
	}{
		{"as it is made", wire.TypesNoName, true}, {"with octets of nothing", "\x00\x12\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x00", true},
		{"a window twice", wire.TypesNoName + wire.TypesNoName, false}, {"an empty window", "\x00\x00", false}, {"33 octets", "\x00\x21" + string(make([]byte, 16)) + "\x80" + string(make([]byte, 16)), false},
	} {
		if got := wire.DeniesName([]byte(c.types)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
