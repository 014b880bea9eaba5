package dnsserver_test

import (
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnsserver"

	"github.com/miekg/dns"
)

func soaOf(zone string) string {
	return "auth " + zone + " 10800 IN SOA " + zone + " nobody.invalid. 1 3600 1200 604800 10800"
}

func TestLocalZones(t *testing.T) {
	loop6 := "1." + strings.Repeat("0.", 31) + "ip6.arpa."
	all := func(s *dnsserver.Settings) {
		s.Local.PrivateRelay = true
		s.Local.Deny = []dnsname.Name{dnsname.MustParse("DoH.example")}
		s.Local.Except = []dnsname.Name{dnsname.MustParse("20.172.in-addr.arpa"), dnsname.MustParse("1.10.in-addr.arpa")}
	}
	const asked = "NXDOMAIN\nauth example. 60 IN SOA ns.example. host.example. 1 3600 600 86400 60"
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		want        []string
	}{
		{"localhost", "localhost.", dns.TypeA, []string{"NOERROR AA", "localhost. 10800 IN A 127.0.0.1"}},
		{"below localhost", "a.LOCALHOST.", dns.TypeAAAA, []string{"NOERROR AA", "a.LOCALHOST. 10800 IN AAAA ::1"}},
		{"localhost has no other data", "localhost.", dns.TypeMX, []string{"NOERROR AA", soaOf("localhost.")}},
		{"invalid", "www.invalid.", dns.TypeA, []string{"NXDOMAIN AA", soaOf("invalid.")}},
		{"test", "www.test.", dns.TypeA, []string{"NXDOMAIN AA", soaOf("test.")}},
		{"onion", "expyuzz4wqqyqhjn.onion.", dns.TypeA, []string{"NXDOMAIN AA", soaOf("onion.")}},
		{"home.arpa", "printer.home.arpa.", dns.TypeA, []string{"NXDOMAIN AA", soaOf("home.arpa.")}},
		{"apex has no data", "home.arpa.", dns.TypeA, []string{"NOERROR AA", soaOf("home.arpa.")}},
		{"apex has a SOA", "home.arpa.", dns.TypeSOA, []string{"NOERROR AA", soaOf("home.arpa.")[5:]}},
		{"apex has NS", "home.arpa.", dns.TypeNS, []string{"NOERROR AA", "home.arpa. 10800 IN NS home.arpa."}},
		{"private reverse", "4.3.2.10.in-addr.arpa.", dns.TypePTR, []string{"NXDOMAIN AA", soaOf("10.in-addr.arpa.")}},
		{"private reverse of 172.16/12", "1.0.31.172.in-addr.arpa.", dns.TypePTR, []string{"NXDOMAIN AA", soaOf("31.172.in-addr.arpa.")}},
		{"shared reverse", "1.0.64.100.in-addr.arpa.", dns.TypePTR, []string{"NXDOMAIN AA", soaOf("64.100.in-addr.arpa.")}},
		{"loopback has a name", "1.0.0.127.in-addr.arpa.", dns.TypePTR, []string{"NOERROR AA", "1.0.0.127.in-addr.arpa. 10800 IN PTR localhost."}},
		{"loopback over IPv6", loop6, dns.TypePTR, []string{"NOERROR AA", loop6 + " 10800 IN PTR localhost."}},
		{"link local", "a.9.e.f.ip6.arpa.", dns.TypePTR, []string{"NXDOMAIN AA", soaOf("9.e.f.ip6.arpa.")}},
		{"resolver.arpa has no data", "_dns.resolver.arpa.", dns.TypeSVCB, []string{"NOERROR AA", soaOf("resolver.arpa.")}},
		{"canary of browsers", "use-application-dns.net.", dns.TypeA, []string{"NXDOMAIN AA", soaOf("use-application-dns.net.")}},
		{"relay, if asked for", "mask.icloud.com.", dns.TypeA, []string{"NXDOMAIN AA", soaOf("mask.icloud.com.")}},
		{"denied by the operator", "x.doh.example.", dns.TypeA, []string{"NXDOMAIN AA", soaOf("doh.example.")}},
		{"ANY of a local zone", "localhost.", dns.TypeANY, []string{"NOERROR AA", "localhost. 10800 IN A 127.0.0.1", "localhost. 10800 IN AAAA ::1",
			soaOf("localhost.")[5:], "localhost. 10800 IN NS localhost."}},
		{"an excepted zone is asked for", "1.0.20.172.in-addr.arpa.", dns.TypePTR, []string{asked}},
		{"an excepted part of a zone is asked for", "1.0.1.10.in-addr.arpa.", dns.TypePTR, []string{asked}},
		{"example is a name like others", "www.example.", dns.TypeA, []string{"NOERROR", "www.example. 60 IN A 192.0.2.1"}},
		{"a label that only looks local", "mylocalhost.", dns.TypeA, []string{asked}},
		{"another name of the relay's domain", "www.icloud.com.", dns.TypeA, []string{asked}},
		{"the root", ".", dns.TypeNS, []string{asked}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{answers: wwwAnswers, settings: all})
			expect(t, b.ask(query(tc.qname, tc.qtype)), tc.want...)
			if local := strings.Contains(tc.want[0], "AA"); local != (b.world.asked.Load() == 0) {
				t.Errorf("the network was asked %d times", b.world.asked.Load())
			}
		})
	}
}

func TestLocalZonesByDefault(t *testing.T) {
	b := newBench(t, options{})
	for name, local := range map[string]bool{"www.onion.": true, "_dns.resolver.arpa.": true, "use-application-dns.net.": true, "mask.icloud.com.": false, "printer.local.": false} {
		before := b.world.asked.Load()
		b.ask(query(name, dns.TypeA))
		if asked := b.world.asked.Load() != before; asked == local {
			t.Errorf("%s: asked the network: %v, want %v", name, asked, !local)
		}
	}
}

func TestLocalZonesCanBeOff(t *testing.T) {
	b := newBench(t, options{settings: func(s *dnsserver.Settings) { s.Local = dnsserver.LocalZones{} }})
	b.ask(query("www.onion.", dns.TypeA))
	if b.world.asked.Load() != 1 {
		t.Error("the network was not asked")
	}
}

// RFC 8375 section 4: whoever validates behind us needs the proof that home.arpa is not signed, which only its parent has.
func TestProofAboveHomeArpaIsAskedFor(t *testing.T) {
	for _, tc := range []struct {
		name, qname string
		qtype       uint16
		do, asked   bool
	}{
		{"DS with DO", "Home.ARPA.", dns.TypeDS, true, true},
		{"DS without DO", "home.arpa.", dns.TypeDS, false, false},
		{"another type", "home.arpa.", dns.TypeDNSKEY, true, false},
		{"DS below it", "printer.home.arpa.", dns.TypeDS, true, false},
		{"DS of a name that must not leak", "onion.", dns.TypeDS, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, options{})
			m := query(tc.qname, tc.qtype)
			m.IsEdns0().SetDo(tc.do)
			b.ask(m)
			if asked := b.world.asked.Load() != 0; asked != tc.asked {
				t.Errorf("asked the network: %v, want %v", asked, tc.asked)
			}
		})
	}
	b := newBench(t, options{settings: func(s *dnsserver.Settings) { s.Local.Deny = []dnsname.Name{dnsname.MustParse("home.arpa")} }})
	m := query("home.arpa.", dns.TypeDS)
	m.IsEdns0().SetDo(true)
	if b.ask(m); b.world.asked.Load() != 0 {
		t.Error("a denied name was asked for")
	}
}
