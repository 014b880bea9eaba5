package resolver_test

import (
	"testing"

	"cenote/dnsname"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// FuzzClassify holds that nothing outside a zone is believed of its servers, whatever they send.
func FuzzClassify(f *testing.F) {
	zone, name := dnsname.MustParse("evil.test").Canonical(), dnsname.MustParse("a.www.evil.test").Canonical()
	for _, records := range [][3][]string{
		{{"a.www.evil.test. 300 A 192.0.2.1"}, nil, nil},
		{{"a.www.evil.test. 300 CNAME b.evil.test.", "b.evil.test. 300 A 192.0.2.1"}, nil, nil},
		{{"a.www.evil.test. 300 CNAME www.bank.test.", "www.bank.test. 300 A 192.0.2.1"}, nil, nil},
		{{"www.evil.test. 300 DNAME bank.test."}, nil, nil},
		{{"test. 300 DNAME bank.test."}, nil, nil},
		{nil, {"evil.test. 300 SOA ns.evil.test. h.evil.test. 1 2 3 4 5", "a.evil.test. 300 NSEC b.evil.test. A"}, nil},
		{nil, {"test. 300 SOA ns.test. h.test. 1 2 3 4 5", "a.test. 300 NSEC b.test. A"}, nil},
		{nil, {"www.evil.test. 300 NS ns.www.evil.test.", "www.evil.test. 300 NS ns.bank.test."}, {"ns.www.evil.test. 300 A 192.0.2.1", "ns.bank.test. 300 A 192.0.2.66"}},
		{nil, {"test. 300 NS ns.test.", "bank.test. 300 NS ns.bank.test."}, {"ns.bank.test. 300 A 192.0.2.66"}},
		{nil, {"www.evil.test. 300 NS ns.evil.test.", "www.evil.test. 300 DS 1 8 2 00", "bank.test. 300 DS 1 8 2 00"}, {"ns.evil.test. 300 AAAA 2001:db8::1"}},
	} {
		m := new(dns.Msg).SetQuestion("a.www.evil.test.", dns.TypeA)
		m.Response, m.Authoritative, m.Compress = true, len(records[0]) > 0, true
		for i, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
			for _, line := range records[i] {
				rr, err := dns.NewRR(line)
				if err != nil {
					f.Fatal(err)
				}
				*section = append(*section, rr)
			}
		}
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet, uint16(dns.TypeA))
		f.Add(packet, uint16(dns.TypeDS))
		f.Add(packet, uint16(dns.TypeANY))
	}
	f.Fuzz(func(t *testing.T, packet []byte, qtype uint16) {
		c, err := resolver.Classify(packet, zone, name, qtype)
		if err != nil {
			return
		}
		for _, owner := range append(c.Owners, c.Follows...) {
			if owner != zone && !owner.IsBelow(zone) {
				t.Errorf("a record of %v is believed", owner)
			}
		}
		if c.Child.IsZero() {
			return
		}
		if !c.Child.IsBelow(zone) || name != c.Child && !name.IsBelow(c.Child) {
			t.Errorf("a referral to %v is believed", c.Child)
		}
		for server, addresses := range c.Servers {
			if addresses > 0 && server != zone && !server.IsBelow(zone) {
				t.Errorf("an address of %v is believed", server)
			}
		}
	})
}
