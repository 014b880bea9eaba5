package resolver_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// bulky is a reply by TCP as large as it may be: a ladder of labels, each of which points to the one before, and then as many records as fit, whose
// owners and data are pointers to the top of it.
func bulky(records int, rtype uint16) []byte {
	m := new(dns.Msg).SetQuestion("a.www.evil.test.", rtype)
	m.Response, m.Authoritative = true, true
	packet, _ := m.Pack()
	last := 12 // where the question's name is
	n := 0
	record := func(owner int, data []byte) {
		packet = binary.BigEndian.AppendUint16(packet, 0xc000|uint16(owner))
		packet = binary.BigEndian.AppendUint16(packet, rtype)
		packet = append(packet, 0, 1, 0, 0, 1, 44)
		packet = append(binary.BigEndian.AppendUint16(packet, uint16(len(data))), data...)
		n++
	}
	for range 110 { // one octet of label and a pointer to what was made before
		data := binary.BigEndian.AppendUint16([]byte{1, 'x'}, 0xc000|uint16(last))
		record(12, data)
		last = len(packet) - len(data)
	}
	for n < records && len(packet)+14 < 65535 {
		record(12, binary.BigEndian.AppendUint16(nil, 0xc000|uint16(last)))
	}
	binary.BigEndian.PutUint16(packet[6:], uint16(n))
	return packet
}

// Reading the largest replies costs little, whatever their names point to (CVE-2024-8508 and its like): records and pointers are bounded.
func TestBulkyRepliesCostLittle(t *testing.T) {
	zone, name := dnsname.MustParse("evil.test").Canonical(), dnsname.MustParse("a.www.evil.test").Canonical()
	for _, c := range []struct {
		name    string
		records int
		want    error
	}{
		{"pointers to pointers", 900, nil}, {"thousands of records", 5000, resolver.ErrTooMany},
	} {
		for _, rtype := range []uint16{dns.TypeNS, dns.TypeMX, dns.TypeTXT, dns.TypeA} {
			packet := bulky(c.records, rtype)
			var err error
			begun := time.Now()
			allocs := testing.AllocsPerRun(1, func() { _, err = resolver.Classify(packet, zone, name, rtype) })
			t.Logf("%s, %s: %d octets, %v for two, %.0f allocations; %v", c.name, dns.TypeToString[rtype], len(packet), time.Since(begun), allocs, err)
			if allocs > 10_000 {
				t.Errorf("%s, %s: %.0f allocations", c.name, dns.TypeToString[rtype], allocs)
			}
			if c.want != nil && rtype == dns.TypeNS && !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
		}
	}
}
