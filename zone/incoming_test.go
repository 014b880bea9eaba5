package zone_test

import (
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// FuzzTransfer reads arbitrary octets as the messages of a transfer, whole and of differences: no panic, and what comes of it is a zone that can be compared.
func FuzzTransfer(f *testing.F) {
	apex := dnsname.MustParse("corp.example")
	seed := func(lines ...string) {
		m := new(dns.Msg)
		m.SetQuestion("corp.example.", dns.TypeAXFR)
		m.Response, m.Compress = true, true
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		msg, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
	}
	seed(wholeZone(2, "corp.example. 300 IN MX 10 mail.corp.example.", "x.corp.example. 300 IN CNAME y.corp.example.", "x.corp.example. 300 IN A 192.0.2.1", "out.test. 300 IN A 192.0.2.1")...)
	seed(corpSOA(3), corpSOA(1), corpSOA(2), "a.corp.example. 300 IN A 192.0.2.1", corpSOA(2), "a.corp.example. 300 IN A 192.0.2.1", corpSOA(3), corpSOA(3))
	seed(corpSOA(1))
	var from *zone.Zone
	for _, line := range [][]string{wholeZone(1)} {
		m := new(dns.Msg)
		m.SetQuestion("corp.example.", dns.TypeAXFR)
		for _, text := range line {
			rr, _ := dns.NewRR(text)
			m.Answer = append(m.Answer, rr)
		}
		msg, _ := m.Pack()
		var err error
		if from, err = zone.TakeTransfer(apex, nil, time.Unix(1750000000, 0), msg); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, old := range []*zone.Zone{nil, from} {
			next, err := zone.TakeTransfer(apex, old, time.Unix(1750000000, 0), msg)
			if err != nil || next == nil {
				continue
			}
			if d := zone.Compare(from, next); next != from {
				if again, err := zone.Apply(from, d); err != nil || !zone.SameData(again, next) {
					t.Fatalf("the difference does not lead there: %v", err)
				}
			}
		}
	})
}
