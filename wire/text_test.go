package wire_test

import (
	"strings"
	"testing"

	"cenote/wire"

	"github.com/miekg/dns"
)

// TestRDataText: data is written as the library writes it, and as octets where it has no form here.
func TestRDataText(t *testing.T) {
	for _, text := range []string{
		"a.example. 60 IN A 192.0.2.1",
		"a.example. 60 IN AAAA 2001:db8::1",
		"a.example. 60 IN CNAME b.example.",
		"a.example. 60 IN NS .",
		"a.example. 60 IN SOA ns.example. host.example. 1 2 3 4 5",
		"a.example. 60 IN MX 10 mail.example.",
		"a.example. 60 IN SRV 1 2 3 host.example.",
		`a.example. 60 IN TXT "one" "t\"w\\o\010"`,
		"a.example. 60 IN DS 12345 13 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
		"a.example. 60 IN DNSKEY 257 3 13 AwEAAQ==",
		"a.example. 60 IN RRSIG A 13 2 60 20261201000000 20261101000000 12345 example. AwEAAQ==",
		"a.example. 60 IN NSEC b.example. A MX RRSIG NSEC CAA",
	} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimPrefix(rr.String(), rr.Header().String())
		if got := dataText(t, rr); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{`a.example. 60 IN TYPE65280 \# 3 010203`, `\# 3 010203`},
		{`a.example. 60 IN TYPE1 \# 3 010203`, `\# 3 010203`},
		{`a.example. 60 IN TYPE65280 \# 0`, `\# 0`},
	} {
		rr, err := dns.NewRR(strings.Replace(c.text, "TYPE1 ", "TYPE65281 ", 1))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.text, "TYPE1 ") {
			rr.Header().Rrtype = dns.TypeA // too short to be an address
		}
		if got := dataText(t, rr); got != c.want {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
}

func dataText(t *testing.T, rr dns.RR) string {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("a.example.", dns.TypeA)
	m.Compress = true
	m.Answer = []dns.RR{rr}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	w, err := wire.Records(packet)
	if err != nil || !w.Next() {
		t.Fatal(err, w.Err)
	}
	return wire.RDataText(packet, &w)
}

// TestTypeText: words are read again, in any letter case.
func TestTypeText(t *testing.T) {
	for rtype, want := range map[uint16]string{wire.TypeA: "A", wire.TypeDNSKEY: "DNSKEY", 65280: "TYPE65280", 0: "TYPE0"} {
		got := wire.TypeText(rtype)
		back, err := wire.ParseType(strings.ToLower(got))
		if got != want || err != nil || back != rtype {
			t.Errorf("%d is %s, read as %d, %v", rtype, got, back, err)
		}
	}
	for _, text := range []string{"", "NOSUCH", "TYPE65536", "TYPE-1"} {
		if rtype, err := wire.ParseType(text); err == nil {
			t.Errorf("%q is read as %d", text, rtype)
		}
	}
	if got := wire.RcodeText(3) + " " + wire.RcodeText(9) + " " + wire.RcodeText(10) + " " + wire.RcodeText(23); got != "NXDOMAIN NOTAUTH NOTZONE RCODE23" {
		t.Error(got)
	}
}
