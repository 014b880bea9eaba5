package dnstest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// internet has one of everything that an authority must know how to answer.
const internet = `
	zone .              server a.root.test @1, b.root.test @2       ; two servers
	zone test           server ns.nic.test @3
		explicit        NS    ns.explicit
		ns.explicit     A     @9                                    ; where nobody listens
	zone example.test   server ns1.example.test @4, ns.hoster.test @5
		www             A     192.0.2.1
		www             A     192.0.2.2
		alias           CNAME www
		out             CNAME www.other.test.
		dangling        CNAME none
		down            CNAME www.sub
		loop            CNAME loop
		*.wild          A     192.0.2.3
		*.wildalias     CNAME www
		deep.er         TXT   "here"
		old             DNAME new.example.test.
		a.new           A     192.0.2.4
		@               MX    10 www
		big             TXT   "` + big + `"
		big             TXT   "1` + big + `"
		big             TXT   "2` + big + `"
	zone sub.example.test server ns.sub.example.test @4 ttl=77      ; on the server of its parent
		www             A     192.0.2.5
	zone hoster.test    server ns.hoster.test @5
`

const big = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// exchange asks a server of a tree.
func exchange(t *testing.T, tree *dnstest.Tree, network, server, name string, qtype uint16, size uint16, do bool) (*dns.Msg, error) {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.RecursionDesired = false
	if size > 0 {
		q.SetEdns0(size, do)
	}
	c := dns.Client{Net: network, Timeout: 10 * time.Second, UDPSize: 4096}
	r, _, err := c.Exchange(q, tree.Addr(server).String())
	return r, err
}

// outline is a reply in short: RCODE, flags, then the sections, in which the tree's block of addresses is "@".
func outline(tree *dnstest.Tree, r *dns.Msg) string {
	words := []string{dns.RcodeToString[r.Rcode]}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"aa", r.Authoritative}, {"tc", r.Truncated}, {"ra", r.RecursionAvailable}} {
		if flag.set {
			words = append(words, flag.name)
		}
	}
	out := strings.Join(words, " ")
	block := strings.TrimSuffix(tree.Addr("@1").Addr().String(), "1")
	for _, section := range [][]dns.RR{r.Answer, r.Ns, r.Extra} {
		out += " |"
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				f := strings.Fields(rr.String())
				f[len(f)-1] = strings.ReplaceAll(f[len(f)-1], block, "@")
				out += fmt.Sprintf(" %s %s %s,", f[0], f[3], f[len(f)-1])
			}
		}
	}
	return strings.TrimRight(strings.ReplaceAll(out, ", |", " |"), ", ")
}

func TestAuthority(t *testing.T) {
	tree := dnstest.StartTree(t, internet)
	const soa = "example.test. SOA 60"
	for _, tc := range []struct {
		name, server, qname string
		qtype               uint16
		want                string
	}{
		{"records", "@4", "www.example.test.", dns.TypeA, "NOERROR aa | www.example.test. A 192.0.2.1, www.example.test. A 192.0.2.2 | |"},
		{"letter case of the question", "@4", "wWw.Example.test.", dns.TypeA, "NOERROR aa | wWw.Example.test. A 192.0.2.1, wWw.Example.test. A 192.0.2.2 | |"},
		{"no such type", "@4", "www.example.test.", dns.TypeTXT, "NOERROR aa | | " + soa + " |"},
		{"no such name", "@4", "none.example.test.", dns.TypeA, "NXDOMAIN aa | | " + soa + " |"},
		{"empty non-terminal", "@4", "er.example.test.", dns.TypeA, "NOERROR aa | | " + soa + " |"},
		{"alias in the zone", "@4", "alias.example.test.", dns.TypeA,
			"NOERROR aa | alias.example.test. CNAME www.example.test., www.example.test. A 192.0.2.1, www.example.test. A 192.0.2.2 | |"},
		{"alias asked for", "@4", "alias.example.test.", dns.TypeCNAME, "NOERROR aa | alias.example.test. CNAME www.example.test. | |"},
		{"alias to elsewhere", "@4", "out.example.test.", dns.TypeA, "NOERROR aa | out.example.test. CNAME www.other.test. | |"},
		{"alias to nothing", "@4", "dangling.example.test.", dns.TypeA, "NXDOMAIN aa | dangling.example.test. CNAME none.example.test. | " + soa + " |"},
		{"alias to below a cut", "@5", "down.example.test.", dns.TypeA, "NOERROR aa | down.example.test. CNAME www.sub.example.test. | " +
			"sub.example.test. NS ns.sub.example.test. | ns.sub.example.test. A @4"},
		{"wildcard", "@4", "a.b.wild.example.test.", dns.TypeA, "NOERROR aa | a.b.wild.example.test. A 192.0.2.3 | |"},
		{"wildcard without the type", "@4", "a.wild.example.test.", dns.TypeTXT, "NOERROR aa | | " + soa + " |"},
		{"wildcard asked for", "@4", "*.wild.example.test.", dns.TypeA, "NOERROR aa | *.wild.example.test. A 192.0.2.3 | |"},
		{"wildcard alias", "@4", "a.wildalias.example.test.", dns.TypeA,
			"NOERROR aa | a.wildalias.example.test. CNAME www.example.test., www.example.test. A 192.0.2.1, www.example.test. A 192.0.2.2 | |"},
		{"DNAME", "@4", "a.old.example.test.", dns.TypeA, "NOERROR aa | old.example.test. DNAME new.example.test., " +
			"a.old.example.test. CNAME a.new.example.test., a.new.example.test. A 192.0.2.4 | |"},
		{"at a DNAME", "@4", "old.example.test.", dns.TypeA, "NOERROR aa | | " + soa + " |"},
		{"the zone itself", "@4", "example.test.", dns.TypeNS, "NOERROR aa | example.test. NS ns1.example.test., example.test. NS ns.hoster.test. | | " +
			"ns1.example.test. A @4"},
		{"mail", "@4", "example.test.", dns.TypeMX,
			"NOERROR aa | example.test. MX www.example.test. | | www.example.test. A 192.0.2.1, www.example.test. A 192.0.2.2"},
		{"address of a server", "@4", "ns1.example.test.", dns.TypeA, "NOERROR aa | ns1.example.test. A @4 | |"},
		{"address of a server in another zone", "@5", "ns.hoster.test.", dns.TypeA, "NOERROR aa | ns.hoster.test. A @5 | |"},
		{"priming", "@1", ".", dns.TypeNS, "NOERROR aa | . NS a.root.test., . NS b.root.test. | | a.root.test. A @1, b.root.test. A @2"},
		{"referral", "@1", "www.example.test.", dns.TypeA, "NOERROR | | test. NS ns.nic.test. | ns.nic.test. A @3"},
		{"referral with a glue record of a sibling", "@3", "www.example.test.", dns.TypeA,
			"NOERROR | | example.test. NS ns1.example.test., example.test. NS ns.hoster.test. | ns1.example.test. A @4, ns.hoster.test. A @5"},
		{"referral to the zone that is asked for", "@3", "example.test.", dns.TypeNS,
			"NOERROR | | example.test. NS ns1.example.test., example.test. NS ns.hoster.test. | ns1.example.test. A @4, ns.hoster.test. A @5"},
		{"delegation of the text", "@3", "explicit.test.", dns.TypeA, "NOERROR | | explicit.test. NS ns.explicit.test. | ns.explicit.test. A @9"},
		{"glue is not an answer", "@3", "ns1.example.test.", dns.TypeA,
			"NOERROR | | example.test. NS ns1.example.test., example.test. NS ns.hoster.test. | ns1.example.test. A @4, ns.hoster.test. A @5"},
		{"child and parent on one server", "@4", "www.sub.example.test.", dns.TypeA, "NOERROR aa | www.sub.example.test. A 192.0.2.5 | |"},
		{"DS in the parent", "@3", "example.test.", dns.TypeDS, "NOERROR aa | | test. SOA 60 |"},
		{"DS where parent and child are", "@4", "sub.example.test.", dns.TypeDS, "NOERROR aa | | " + soa + " |"},
		{"DS in the child alone", "@4", "example.test.", dns.TypeDS, "NOERROR aa | | " + soa + " |"},
		{"DS below a cut", "@3", "www.example.test.", dns.TypeDS,
			"NOERROR | | example.test. NS ns1.example.test., example.test. NS ns.hoster.test. | ns1.example.test. A @4, ns.hoster.test. A @5"},
		{"a zone of somebody else", "@4", "www.other.org.", dns.TypeA, "REFUSED | | |"},
		{"all types", "@5", "hoster.test.", dns.TypeANY, "NOERROR aa | hoster.test. NS ns.hoster.test., hoster.test. SOA 60 | |"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(tc.name+"/"+network, func(t *testing.T) {
				r, err := exchange(t, tree, network, tc.server, tc.qname, tc.qtype, 1232, false)
				if err != nil {
					t.Fatal(err)
				}
				if got := outline(tree, r); got != strings.TrimRight(tc.want, " ") {
					t.Errorf("%s %s:\n got %s\nwant %s", tc.qname, dns.TypeToString[tc.qtype], got, tc.want)
				}
			})
		}
	}
}

func TestAliasesInACircleEnd(t *testing.T) {
	tree := dnstest.StartTree(t, internet)
	r, err := exchange(t, tree, "udp", "@4", "loop.example.test.", dns.TypeA, 1232, false)
	if err != nil || len(r.Answer) == 0 || len(r.Answer) > 16 {
		t.Errorf("got %v, %v, want some of the circle", r, err)
	}
}

func TestNameTooLongForDNAME(t *testing.T) {
	tree := dnstest.StartTree(t, internet+`
	zone long.test server ns.long.test @6
		old DNAME `+strings.Repeat(strings.Repeat("a", 60)+".", 3)+`long.test.`)
	label := strings.Repeat("b", 60)
	r, err := exchange(t, tree, "udp", "@6", label+"."+label+".old.long.test.", dns.TypeA, 1232, false)
	if err != nil || r.Rcode != dns.RcodeYXDomain || len(r.Answer) != 1 {
		t.Errorf("got %v, %v, want YXDOMAIN with the DNAME", r, err)
	}
}

func TestSizes(t *testing.T) {
	tree := dnstest.StartTree(t, internet)
	for _, tc := range []struct {
		network string
		size    uint16
		want    string
	}{
		{"udp", 0, "NOERROR aa tc | | |"},
		{"udp", 512, "NOERROR aa tc | | |"},
		{"udp", 1232, "NOERROR aa | 3"},
		{"tcp", 0, "NOERROR aa | 3"},
	} {
		r, err := exchange(t, tree, tc.network, "@4", "big.example.test.", dns.TypeTXT, tc.size, false)
		if err != nil {
			t.Fatal(err)
		}
		got := outline(tree, r)
		if len(r.Answer) > 0 {
			got = fmt.Sprint("NOERROR aa | ", len(r.Answer))
		}
		if got != tc.want || (r.IsEdns0() != nil) != (tc.size > 0) {
			t.Errorf("%s with room for %d: got %s, want %s", tc.network, tc.size, got, tc.want)
		}
	}
}

// TestAdditionalGivesWay holds that what nobody asked for is left out before a reply is cut, but glue is not (RFC 9471).
func TestAdditionalGivesWay(t *testing.T) {
	text := "zone test server ns.test @1\nmany MX 10 host\nchild NS ns.child"
	for n := range 40 {
		text += fmt.Sprintf("\nhost A 192.0.2.%d\nns.child A 192.0.2.%d", n+1, n+1)
	}
	tree := dnstest.StartTree(t, text)
	for name, want := range map[string]string{"many.test.": "NOERROR aa | many.test. MX host.test. | |", "child.test.": "NOERROR tc | | |"} {
		r, err := exchange(t, tree, "udp", "@1", name, dns.TypeMX, 512, false)
		if err != nil || outline(tree, r) != want || r.IsEdns0() == nil {
			t.Errorf("got %v, %v, want %s", r, err, want)
		}
	}
}

func TestTreeIsCounted(t *testing.T) {
	tree := dnstest.StartTree(t, internet)
	for _, server := range []string{"@3", "ns1.example.test", "@3"} {
		if _, err := exchange(t, tree, "udp", server, "WWW.example.test.", dns.TypeA, 1232, true); err != nil {
			t.Fatal(err)
		}
	}
	if got := tree.Asked("www.example.test", dns.TypeA); got != 3 || tree.Total() != 3 || len(tree.Queries("@3")) != 2 || len(tree.Queries("@1")) != 0 {
		t.Errorf("asked %d, in all %d, of @3 %d", got, tree.Total(), len(tree.Queries("@3")))
	}
	var at []string
	for _, q := range tree.Queries("*") {
		at = append(at, q.Name+" "+strings.TrimPrefix(q.Server.Addr().String(), strings.TrimSuffix(tree.Addr("@1").Addr().String(), "1")))
		if !q.DO || q.RD || q.UDPMax != 1232 {
			t.Errorf("query %+v was not written down well", q)
		}
	}
	if want := []string{"WWW.example.test. 3", "WWW.example.test. 4", "WWW.example.test. 3"}; !slices.Equal(at, want) {
		t.Errorf("got %q, want %q", at, want)
	}
}

func TestHints(t *testing.T) {
	tree := dnstest.StartTree(t, internet)
	one, two := tree.Addr("@1").Addr(), tree.Addr("b.root.test").Addr()
	want := fmt.Sprintf(". 3600000 NS a.root.test.\na.root.test. 3600000 A %s\n. 3600000 NS b.root.test.\nb.root.test. 3600000 A %s\n", one, two)
	if got := tree.RootHints(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := tree.Hints(); len(got) != 2 || got[0] != one || got[1] != two {
		t.Errorf("got %v", got)
	}
	if tree.Anchors() != "" {
		t.Errorf("an unsigned root has anchors %q", tree.Anchors())
	}
}

// TestServersThatDiffer has a zone in two versions, as when one server did not get the last change.
func TestServersThatDiffer(t *testing.T) {
	tree := dnstest.StartTree(t, `
		zone test         server ns.test @2
		zone example.test server ns1.example.test @3 sign
			www A 192.0.2.1
		zone example.test server ns2.example.test @4 sign
			www A 192.0.2.2
	`)
	for server, want := range map[string]string{
		"@3": "NOERROR aa | www.example.test. A 192.0.2.1 | |", "@4": "NOERROR aa | www.example.test. A 192.0.2.2 | |",
		"@2": "NOERROR | | example.test. NS ns1.example.test., example.test. NS ns2.example.test. | ns1.example.test. A @3, ns2.example.test. A @4",
	} {
		r, err := exchange(t, tree, "udp", server, "www.example.test.", dns.TypeA, 1232, false)
		if err != nil || outline(tree, r) != want {
			t.Errorf("%s: got %v, %v, want %s", server, r, err, want)
		}
	}
	r, err := exchange(t, tree, "udp", "@2", "example.test.", dns.TypeDS, 1232, false)
	if err != nil || len(r.Answer) != 1 {
		t.Errorf("got %v, %v, want one DS: both versions have the same keys", r, err)
	}
}

// TestTextDecides holds that what a text gives is not made.
func TestTextDecides(t *testing.T) {
	tree := dnstest.StartTree(t, `
		zone test         server ns.test @2
			example       60 NS ns9.example
			ns9.example   60 A @9
			example       60 DS 1 13 2 00
		zone example.test server ns1.example.test @3 ttl=77 sign
			@             SOA ns9 host 2026 1 2 3 4
			@             NS  ns9
			ns1           A   @8
	`)
	for _, tc := range []struct {
		server, qname string
		qtype         uint16
		want          string
		ttl           uint32
	}{
		{"@2", "x.example.test.", dns.TypeA, "NOERROR | | example.test. NS ns9.example.test. | ns9.example.test. A @9", 60},
		{"@2", "example.test.", dns.TypeDS, "NOERROR aa | example.test. DS 00 | |", 60},
		{"@3", "example.test.", dns.TypeSOA, "NOERROR aa | example.test. SOA 4 | |", 77},
		{"@3", "example.test.", dns.TypeNS, "NOERROR aa | example.test. NS ns9.example.test. | |", 77},
		{"@3", "ns1.example.test.", dns.TypeA, "NOERROR aa | ns1.example.test. A @8 | |", 77},
		{"@3", "none.example.test.", dns.TypeA, "NXDOMAIN aa | | example.test. SOA 4 |", 4},
		{"@3", "example.test.", dns.TypeNSEC3PARAM, "NOERROR aa | | example.test. SOA 4 |", 4},
	} {
		r, err := exchange(t, tree, "udp", tc.server, tc.qname, tc.qtype, 1232, false)
		if err != nil {
			t.Fatal(err)
		}
		rr := append(append(r.Answer, r.Ns...), r.Extra...)[0]
		if got := outline(tree, r); got != tc.want || rr.Header().Ttl != tc.ttl {
			t.Errorf("%s %s:\n got %s for %d s\nwant %s for %d s", tc.qname, dns.TypeToString[tc.qtype], got, rr.Header().Ttl, tc.want, tc.ttl)
		}
	}
}

func TestManyTreesSideBySide(t *testing.T) {
	for i := range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			tree := dnstest.StartTree(t, fmt.Sprintf("zone . server a.root.test @1 sign\nwww A 192.0.2.%d", i+1))
			r, err := exchange(t, tree, "udp", "@1", "www.", dns.TypeA, 1232, false)
			if want := fmt.Sprintf("NOERROR aa | www. A 192.0.2.%d | |", i+1); err != nil || outline(tree, r) != want {
				t.Errorf("got %v, %v, want %s", r, err, want)
			}
		})
	}
}
