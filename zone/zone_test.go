package zone_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// now is when tests read zones.
var now = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// sample is a zone with something of everything.
const sample = `$TTL 3600
$ORIGIN example.
@ 7200 IN SOA ns host 2024010101 7200 3600 1209600 300
@ NS ns
@ NS ns.other.test.
ns A 192.0.2.1
ns AAAA 2001:db8::1
www A 192.0.2.2
www A 192.0.2.3
@ MX 10 mail
mail A 192.0.2.4
alias CNAME www
alias2 CNAME alias
loop CNAME loop2
loop2 CNAME loop
away CNAME www.other.test.
gone CNAME nothing.here
a.b.c TXT "deep"
*.wild TXT "wild"
*.wild MX 10 mail
x.y.wild A 192.0.2.9
*.aliases CNAME www
sub NS ns.sub
sub NS ns2.side
sub NS ns.other.test.
ns.sub A 192.0.2.10
ns2.side A 192.0.2.11
side NS ns.side
ns.side A 192.0.2.12
old DNAME new
host.new A 192.0.2.20
unknown TYPE65400 \# 4 C0000201
Case.Name TXT "Kept"
uneven 70 A 192.0.2.30
uneven 60 A 192.0.2.31
uneven 80 A 192.0.2.32
`

func load(t testing.TB, apex, text string) *zone.Zone {
	t.Helper()
	z, faults, err := zone.Read(dnsname.MustParse(apex), strings.NewReader(text), "test.zone", now)
	if err != nil {
		t.Fatalf("Read(%s) = %v\n%v", apex, err, faults)
	}
	return z
}

func setOf(t testing.TB, zones ...*zone.Zone) *zone.Set {
	t.Helper()
	var served []zone.Served
	for _, z := range zones {
		served = append(served, zone.Served{Zone: z})
	}
	s, err := zone.NewSet(served...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask asks as a client of another resolver does: without recursion.
func ask(t testing.TB, s *zone.Set, name string, qtype uint16, do bool) *dns.Msg {
	t.Helper()
	return askWith(t, s, zone.Question{Name: []byte(dnsname.MustParse(name).Canonical()), Type: qtype, DO: do, Limit: 65535})
}

func askWith(t testing.TB, s *zone.Set, q zone.Question) *dns.Msg {
	t.Helper()
	q.Admitted, q.Room = true, new([dnsname.WireMax]byte)
	a := s.Answer(make([]byte, 0, 65535), &q)
	if a.Msg == nil {
		return nil
	}
	m := new(dns.Msg)
	if err := m.Unpack(a.Msg); err != nil {
		t.Fatalf("the answer cannot be read: %v\n%x", err, a.Msg)
	}
	return m
}

// shown is an answer as tables write it: rcode and flags, then the sections, each sorted.
func shown(m *dns.Msg) string {
	if m == nil {
		return "nothing"
	}
	head := dns.RcodeToString[m.Rcode]
	if m.Authoritative {
		head += " aa"
	}
	if m.Truncated {
		head += " tc"
	}
	lines := []string{head}
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, l := range lineSet(section) {
			lines = append(lines, []string{"an", "ns", "ad"}[i]+" "+l)
		}
	}
	return strings.Join(lines, "\n")
}

func lineSet(section []dns.RR) []string {
	var out []string
	for _, rr := range section {
		if rr.Header().Rrtype == dns.TypeOPT {
			continue
		}
		text := rr.String()
		if u, ok := rr.(*dns.RFC3597); ok {
			text = fmt.Sprintf("%s %d TYPE%d %s", u.Hdr.Name, u.Hdr.Ttl, u.Hdr.Rrtype, u.Rdata)
		}
		out = append(out, strings.ReplaceAll(strings.Join(strings.Fields(text), " "), " IN ", " "))
	}
	slices.SortFunc(out, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return out
}

const soaLine = "ns example. 300 SOA ns.example. host.example. 2024010101 7200 3600 1209600 300"

func TestAnswer(t *testing.T) {
	s := setOf(t, load(t, "example", sample))
	for _, tc := range []struct{ name, qname, qtype, want string }{
		{"data", "www.example", "A", "NOERROR aa\nan www.example. 3600 A 192.0.2.2\nan www.example. 3600 A 192.0.2.3"},
		{"no data (RFC 2308 2.2)", "www.example", "AAAA", "NOERROR aa\n" + soaLine},
		{"no name (RFC 2308 2.1)", "nothing.example", "A", "NXDOMAIN aa\n" + soaLine},
		{"apex", "example", "SOA", "NOERROR aa\nan example. 7200 SOA ns.example. host.example. 2024010101 7200 3600 1209600 300"},
		{"minimal: no addresses of exchangers", "example", "MX", "NOERROR aa\nan example. 3600 MX 10 mail.example."},
		{"empty non-terminal (RFC 4592 2.2.2)", "b.c.example", "TXT", "NOERROR aa\n" + soaLine},
		{"below what is deep", "x.a.b.c.example", "TXT", "NXDOMAIN aa\n" + soaLine},
		{"alias", "alias.example", "A", "NOERROR aa\nan alias.example. 3600 CNAME www.example.\nan www.example. 3600 A 192.0.2.2\nan www.example. 3600 A 192.0.2.3"},
		{"alias itself", "alias.example", "CNAME", "NOERROR aa\nan alias.example. 3600 CNAME www.example."},
		{"alias of an alias to no data", "alias2.example", "MX", "NOERROR aa\nan alias.example. 3600 CNAME www.example.\nan alias2.example. 3600 CNAME alias.example.\n" + soaLine},
		{"loop", "loop.example", "A", "NOERROR aa\nan loop.example. 3600 CNAME loop2.example.\nan loop2.example. 3600 CNAME loop.example."},
		{"alias that leaves", "away.example", "A", "NOERROR aa\nan away.example. 3600 CNAME www.other.test."},
		{"alias to nothing (RFC 6604 3)", "gone.example", "A", "NXDOMAIN aa\nan gone.example. 3600 CNAME nothing.here.example.\n" + soaLine},
		{"asterisk (RFC 4592 2.2.1)", "any.wild.example", "TXT", "NOERROR aa\nan any.wild.example. 3600 TXT \"wild\""},
		{"asterisk, deep", "a.b.wild.example", "TXT", "NOERROR aa\nan a.b.wild.example. 3600 TXT \"wild\""},
		{"asterisk without the type", "any.wild.example", "A", "NOERROR aa\n" + soaLine},
		{"a closer name stops the asterisk", "a.y.wild.example", "TXT", "NXDOMAIN aa\n" + soaLine},
		{"an empty name stops it too", "y.wild.example", "TXT", "NOERROR aa\n" + soaLine},
		{"the asterisk's own name", "*.wild.example", "TXT", "NOERROR aa\nan *.wild.example. 3600 TXT \"wild\""},
		{"an asterisk that is an alias", "q.aliases.example", "A", "NOERROR aa\nan q.aliases.example. 3600 CNAME www.example.\nan www.example. 3600 A 192.0.2.2\nan www.example. 3600 A 192.0.2.3"},
		{"referral with glue", "x.sub.example", "A", "NOERROR\nns sub.example. 3600 NS ns.other.test.\nns sub.example. 3600 NS ns.sub.example.\nns sub.example. 3600 NS ns2.side.example.\nad ns.sub.example. 3600 A 192.0.2.10\nad ns2.side.example. 3600 A 192.0.2.11"},
		{"glue is no data of ours", "ns.side.example", "A", "NOERROR\nns side.example. 3600 NS ns.side.example.\nad ns.side.example. 3600 A 192.0.2.12"},
		{"DS at the cut is ours (RFC 4035 3.1.4.1)", "sub.example", "DS", "NOERROR aa\n" + soaLine},
		{"DNAME (RFC 6672 3.2)", "host.old.example", "A", "NOERROR aa\nan host.new.example. 3600 A 192.0.2.20\nan host.old.example. 3600 CNAME host.new.example.\nan old.example. 3600 DNAME new.example."},
		{"DNAME's own name", "old.example", "A", "NOERROR aa\n" + soaLine},
		{"DNAME that makes too long a name", strings.Repeat(strings.Repeat("x", 59)+".", 4) + "old.example", "A", "YXDOMAIN aa\nan old.example. 3600 DNAME long" + strings.Repeat("n", 20) + ".example."},
		{"unknown type (RFC 3597)", "unknown.example", "TYPE65400", "NOERROR aa\nan unknown.example. 3600 TYPE65400 c0000201"},
		{"data keep their case", "case.name.example", "TXT", "NOERROR aa\nan case.name.example. 3600 TXT \"Kept\""},
		{"one TTL a set (RFC 2181 5.2)", "uneven.example", "A", "NOERROR aa\nan uneven.example. 60 A 192.0.2.30\nan uneven.example. 60 A 192.0.2.31\nan uneven.example. 60 A 192.0.2.32"},
		{"ANY gets one set (RFC 8482 4.1)", "ns.example", "ANY", "NOERROR aa\nan ns.example. 3600 A 192.0.2.1"},
		{"ANY at an alias", "alias.example", "ANY", "NOERROR aa\nan alias.example. 3600 CNAME www.example."},
		{"not our name", "www.other.test", "A", "nothing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := s
			if strings.Contains(tc.want, "YXDOMAIN") {
				s = setOf(t, load(t, "example", strings.Replace(sample, "old DNAME new", "old DNAME long"+strings.Repeat("n", 20), 1)))
			}
			qtype, ok := dns.StringToType[tc.qtype]
			if !ok {
				qtype = 65400
			}
			if got := shown(ask(t, s, tc.qname, qtype, false)); got != tc.want {
				t.Errorf("%s %s:\ngot\n%s\nwant\n%s", tc.qname, tc.qtype, got, tc.want)
			}
		})
	}
}

func TestAnswerBetweenZones(t *testing.T) {
	const head = "$TTL 60\n@ SOA ns.%[1]s. host.%[1]s. 1 7200 3600 1209600 60\n@ NS ns.%[1]s.\nns A 192.0.2.1\n"
	parent := load(t, "example", fmt.Sprintf(head, "example")+"child NS ns.child\nns.child A 192.0.2.5\nto CNAME www.other.test.\nfar CNAME www.nowhere.test.\nin CNAME www.child\n")
	child := load(t, "child.example", fmt.Sprintf(head, "child.example")+"www A 192.0.2.7\n")
	other := load(t, "other.test", fmt.Sprintf(head, "other.test")+"www A 192.0.2.8\n")
	all := setOf(t, parent, child, other)
	type q = zone.Question
	for _, tc := range []struct {
		name     string
		set      *zone.Set
		qname    string
		qtype    uint16
		recurses bool
		want     string
	}{
		{"the closest zone answers", all, "www.child.example", dns.TypeA, false, "NOERROR aa\nan www.child.example. 60 A 192.0.2.7"},
		{"an alias into another zone is followed", all, "to.example", dns.TypeA, false, "NOERROR aa\nan to.example. 60 CNAME www.other.test.\nan www.other.test. 60 A 192.0.2.8"},
		{"DS of a child is the parent's", all, "child.example", dns.TypeDS, false, "NOERROR aa\nns example. 60 SOA ns.example. host.example. 1 7200 3600 1209600 60"},
		{"DS of an apex whose parent is not here", setOf(t, child), "child.example", dns.TypeDS, false, "NOERROR aa\nns child.example. 60 SOA ns.child.example. host.child.example. 1 7200 3600 1209600 60"},
		{"the same for who recurses", setOf(t, child), "child.example", dns.TypeDS, true, "nothing"},
		{"a referral", setOf(t, parent), "www.child.example", dns.TypeA, false, "NOERROR\nns child.example. 60 NS ns.child.example.\nad ns.child.example. 60 A 192.0.2.5"},
		{"no referral for who recurses", setOf(t, parent), "www.child.example", dns.TypeA, true, "nothing"},
		{"an alias below a cut, for who recurses", setOf(t, parent), "in.example", dns.TypeA, true, "NOERROR aa\nan in.example. 60 CNAME www.child.example."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := askWith(t, tc.set, q{Name: []byte(dnsname.MustParse(tc.qname)), Type: tc.qtype, Recurses: tc.recurses, Limit: 4096})
			if got := shown(m); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestTargetOfAnAliasThatLeaves(t *testing.T) {
	s := setOf(t, load(t, "example", sample))
	room := new([dnsname.WireMax]byte)
	a := s.Answer(make([]byte, 0, 4096), &zone.Question{Name: []byte(dnsname.MustParse("away.example")), Type: dns.TypeA, Limit: 512, Admitted: true, Room: room})
	if got, want := string(a.Target), string(dnsname.MustParse("www.other.test")); got != want {
		t.Errorf("Target = %q, want %q", got, want)
	}
}

func TestAnswerIsCutOrWhole(t *testing.T) {
	s := setOf(t, load(t, "example", sample))
	for _, tc := range []struct {
		qname string
		limit int
		want  string
	}{
		{"www.example", 12 + 17 + 2*16, "NOERROR aa\nan www.example. 3600 A 192.0.2.2\nan www.example. 3600 A 192.0.2.3"},
		{"www.example", 12 + 17 + 2*16 - 1, "NOERROR aa tc"},
		{"side.example", 12 + 18 + 17 + 16, "NOERROR\nns side.example. 3600 NS ns.side.example.\nad ns.side.example. 3600 A 192.0.2.12"},
		{"side.example", 12 + 18 + 17 + 15, "NOERROR tc"}, // RFC 9471: glue that is needed is not left out in silence
		{"sub.example", 12 + 17 + 14 + 7 + 25 + 12 + 10, "NOERROR\nns sub.example. 3600 NS ns.other.test.\nns sub.example. 3600 NS ns.sub.example.\nns sub.example. 3600 NS ns2.side.example."},
	} {
		m := askWith(t, s, zone.Question{Name: []byte(dnsname.MustParse(tc.qname)), Type: dns.TypeA, Limit: tc.limit})
		if got := shown(m); !strings.HasPrefix(got, tc.want) && got != tc.want {
			t.Errorf("%s in %d octets:\ngot\n%s\nwant\n%s", tc.qname, tc.limit, got, tc.want)
		}
	}
}

func TestAnswerAllocatesNothing(t *testing.T) {
	s := setOf(t, load(t, "example", sample))
	room, buf := new([dnsname.WireMax]byte), make([]byte, 0, 4096)
	for _, qname := range []string{"www.example", "alias2.example", "nothing.example", "a.b.wild.example", "host.old.example", "x.sub.example", "away.example"} {
		q := zone.Question{Name: []byte(dnsname.MustParse(qname)), Type: dns.TypeA, DO: true, Limit: 4096, Admitted: true, Room: room}
		if n := testing.AllocsPerRun(100, func() {
			if s.Answer(buf, &q).Msg == nil {
				t.Fatal("no answer")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", qname, n)
		}
	}
}

func TestNewSetRefusesTwice(t *testing.T) {
	z := load(t, "example", sample)
	if _, err := zone.NewSet(zone.Served{Zone: z}, zone.Served{Zone: z}); err == nil {
		t.Error("a set with the same zone twice is taken")
	}
}

func TestReadKeepsToTheFile(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"$INCLUDE", "$INCLUDE /etc/passwd\n", "test.zone:5: error: the directive \"$INCLUDE\" is not followed: put the records into this file"},
		{"$include", "$include /etc/passwd\n", "test.zone:5: error: the directive \"$include\" is not followed: put the records into this file"},
		{"$GENERATE", "$GENERATE 1-65535 a$ A 192.0.2.1\n", "test.zone:5: error: the directive \"$GENERATE\" is not expanded: write the records out"},
		{"unknown", "$NONSENSE\n", "test.zone:5: error: the directive \"$NONSENSE\" is not known"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, faults, err := zone.Read(dnsname.MustParse("example"), strings.NewReader("$TTL 60\n@ SOA ns host 1 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n"+tc.text), "test.zone", now)
			if !errors.Is(err, zone.ErrFaulty) || len(faults) != 1 || faults[0].String() != tc.want {
				t.Errorf("got %v, %v, want %s", err, faults, tc.want)
			}
		})
	}
}
