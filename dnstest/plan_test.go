package dnstest

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestPlanFaults holds that a text which says nothing sensible is refused, with line and reason.
func TestPlanFaults(t *testing.T) {
	const zone = "zone test server ns.test @1\n"
	for _, tc := range []struct{ text, want string }{
		{"www A 192.0.2.1", "line 1, \"www A 192.0.2.1\": a record before the first zone"},
		{"zone test", "a zone is: zone NAME server SERVER ADDRESS…"},
		{"zone test server", "a zone is"},
		{"zone a..b server ns.test @1", "label is empty"},
		{"zone test server ns.test", "zone test: server ns.test has no address"},
		{"zone test server @1", "no server name before it"},
		{"zone test server ns.test @0", "not @1 to @254"},
		{"zone test server ns.test @255", "not @1 to @254"},
		{"zone test server ns.test 192.0.2.1", "not of this machine"},
		{"zone test server ns.test @1 ttl=x", "unknown word \"ttl=x\""},
		{"zone test server ns.test @1 what=2", "unknown word \"what=2\""},
		{"zone test server ns.test @1 sign alg=300", "alg=300"},
		{"zone test server ns.test @1 sign what", "unknown word"},
		{"zone test server ns.test @1 sign keys=zsk", "keys need a ksk and a zsk"},
		{"zone test server ns.test @1 sign keys=xyz,csk", "unknown role"},
		{zone + "www A", "line 2"},
		{zone + "www.other. A 192.0.2.1", "www.other is not in the zone test"},
		{zone + "www A @300", "not @1 to @254"},
		{zone + "$INCLUDE /etc/passwd", "directives are not read"},
		{"zone test server ns.test @1 sign\n*x A 192.0.2.1", "cannot be signed here"},
		{"zone . server ns.test @1 sign\n* A 192.0.2.1", "a wildcard of the root"},
		{zone + "! sign www.test labels=0", "labels is at least 1"},
		{zone + "! @1 www.test", "a fault is a server, a name and at least one word"},
		{zone + "! @2 www.test lame", "no server \"@2\""},
		{zone + "! ns.other www.test lame", "no server \"ns.other\""},
		{zone + "! @1 www.test what", "unknown fault \"what\""},
		{zone + "! @1 www.test dead", "unknown fault \"dead\""},
		{zone + "! @1 www.test type=WHAT", "unknown type"},
		{zone + "! @1 www.test refer=other", "no zone \"other\""},
		{zone + "! @1 www.test loss=x", "loss"},
		{zone + "! sign www.test what", "unknown fault of signing"},
		{zone + "! sign www.test expired=1", "expired has no value"},
		{zone + "! sign www.test labels=x", "labels"},
		{zone + "! sign www.test expired type=WHAT", "unknown word"},
		{zone + "! sign www.test bad-ds", "is about a zone"},
		{zone + "! sign www.other expired", "no zone"},
		{zone + "+ @1 www.test nowhere www.test. A 192.0.2.1", "an extra record is"},
		{zone + "+ @1 www.test answer www.test. A", "no record"},
	} {
		_, err := readPlan(tc.text, block{1, 2})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %s", tc.text, err, tc.want)
		}
	}
}

// TestExampleOfThePackage holds that the text in the comment of the package is one.
func TestExampleOfThePackage(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "StartTree(t, `\n")
	text, _, ok := strings.Cut(text, "`)")
	p, err := readPlan(strings.ReplaceAll(text, "//", ""), block{1, 2})
	if !ok || err != nil || len(p.zones) != 4 || len(p.faults) != 1 || len(p.signing) != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
}

// TestLoss holds that the share of queries that a fault says gets no reply.
func TestLoss(t *testing.T) {
	s := makeServer(false)
	s.Break("*", Fault{Loss: 0.25})
	lost := 0
	for range 1000 {
		if _, f := s.note(new(dns.Msg).SetQuestion("www.test.", dns.TypeA), netip.AddrPort{}, false); f.Drop {
			lost++
		}
	}
	if lost < 200 || lost > 300 || s.Total() != 1000 {
		t.Errorf("%d of 1000 queries are lost, and %d counted", lost, s.Total())
	}
}
