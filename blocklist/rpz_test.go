package blocklist_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cenote/blocklist"
	"cenote/policy"
)

const zoneHead = "$TTL 1h\n@ SOA localhost. root.localhost. 5 1h 10m 1w 5m\n@ NS localhost.\n"

func readZone(t testing.TB, c blocklist.FeedConfig, body string) (*rowSink, blocklist.Report, error) {
	t.Helper()
	c.Path, c.Format = filepath.Join(t.TempDir(), "zone"), "rpz"
	writeFile(t, c.Path, body)
	return readFeed(t, c)
}

func TestZoneRows(t *testing.T) {
	for _, tc := range []struct{ name, body, rows, faults string }{
		{"owner and origin", `
rpz.example. 60 IN SOA localhost. root.localhost. 5 1 2 3 4
rpz.example. NS localhost.
a.example.rpz.example. CNAME .
b.example CNAME .
$ORIGIN example.rpz.example.
c CNAME .
d.e IN 30 CNAME .
@ CNAME .
$ORIGIN deep
f CNAME .
$ORIGIN elsewhere.example.
g CNAME .
h.example.rpz.example. CNAME .`, `
			4 exact a.example action=nxdomain
			5 exact b.example action=nxdomain
			7 exact c.example action=nxdomain
			8 exact d.e.example action=nxdomain
			11 exact f.deep.example action=nxdomain
			14 exact h.example action=nxdomain`, "9 tld\n13 out-of-zone"},
		{"origin above the apex", `
$ORIGIN example.
rpz 60 IN SOA localhost. root.localhost. 5 1 2 3 4
  NS localhost.
a.b.rpz CNAME .
c CNAME .
$ORIGIN rpz.example.
d.e CNAME .`, `
			5 exact a.b action=nxdomain
			8 exact d.e action=nxdomain`, "6 out-of-zone"},
		{"owners in any case, escaped", zoneHead + `
A.Example CNAME rpz-PASSTHRU.
b\.c.example CNAME .
\100.example CNAME .
a*.example CNAME .
x.*.example CNAME .`, `
			5 exact a.example action=passthru
			6 exact b\046c.example action=nxdomain
			7 exact d.example action=nxdomain
			8 exact a*.example action=nxdomain
			9 exact x.*.example action=nxdomain`, ""},
		{"records of a signed zone", zoneHead + `
@ ZONEMD 5 1 1 00
@ DNSKEY 257 3 13 AAAA
a.example CNAME .
a.example RRSIG CNAME 13 2 300 20260101000000 20250101000000 1 rpz. AAAA
a.example NSEC b.example CNAME
b.example NS ns.example.
c.example DNAME d.example.
@ TXT "about this zone"`, "7 exact a.example action=nxdomain", "10 not-a-dns-rule\n11 not-a-dns-rule\n12 root"},
		{"an owner does one thing", zoneHead + `
a.example CNAME .
a.example CNAME .
a.example CNAME *.
b.example A 192.0.2.1
b.example CNAME c.example.
d.example CNAME one.example.
d.example CNAME one.example.
d.example CNAME two.example.`, `
			5 exact a.example action=nxdomain
			6 exact a.example action=nxdomain
			8 exact b.example action=local-data type1/3600=[c0000201]
			10 exact d.example action=local-data type5/3600=[036f6e65076578616d706c6500]`,
			"7 conflict\n9 conflict\n12 conflict"},
		{"records of an owner need not stand together", zoneHead + `
a.example 300 A 192.0.2.1
b.example CNAME .
a.example 60 A 192.0.2.1
a.example A 192.0.2.2`, `
			6 exact b.example action=nxdomain
			5 exact a.example action=local-data type1/60=[c0000201 c0000202]`, ""},
		{"a broken owner is not the one before", zoneHead + `
a.example CNAME .
b.exam"ple CNAME .
  A 192.0.2.1`, "5 exact a.example action=nxdomain", "6 syntax\n7 syntax"},
		{"an entry over several lines", zoneHead + `
a.example TXT ( "one ( ; no comment"
   two ) ; the comment
b.example CNAME .`, `
			7 exact b.example action=nxdomain
			5 exact a.example action=local-data comment=the comment type16/3600=[126f6e652028203b206e6f20636f6d6d656e740374776f]`, ""},
		{"parentheses that do not close", zoneHead + "a.example CNAME .\nb.example TXT ( a", "4 exact a.example action=nxdomain", "5 syntax"},
		{"TTL without a directive", `
@ SOA localhost. root.localhost. 5 1 2 3 600
@ NS localhost.
a.example A 192.0.2.1
b.example 60 A 192.0.2.1
c.example A 192.0.2.1`, `
			4 exact a.example action=local-data type1/600=[c0000201]
			5 exact b.example action=local-data type1/60=[c0000201]
			6 exact c.example action=local-data type1/60=[c0000201]`, ""},
		{"unknown types", zoneHead + `a.example TYPE65400 \# 2 abcd
b.example NOTYPE x
c.example TYPE99999 x
d.example CH CNAME .
e.example CNAME . .
f.example CNAME x$INCLUDE
g.example MX $GENERATE`, `
			4 exact a.example action=local-data type65400/3600=[abcd]`,
			"5 syntax\n6 syntax\n7 syntax\n8 syntax\n9 out-of-zone\n10 syntax"},
		{"rows made by a directive", zoneHead + `
$GENERATE 0-65535 n$.example CNAME .
$generate 1-4294967295/1 host-${0,5,d}.example CNAME .
$GENERATE 1-9 ( a$.example CNAME
  . )
b.example CNAME .
  $GENERATE 1-9 c$.example CNAME .
$GENERATE
\$GENERATE.example CNAME .
a.example TXT "
$GENERATE 1-9 d$.example CNAME .`, `
			9 exact b.example action=nxdomain
			12 exact \036generate.example action=nxdomain`,
			"5 generate-directive\n6 generate-directive\n7 generate-directive\n10 syntax\n11 generate-directive\n13 syntax\n14 generate-directive"},
		{"targets", zoneHead + `a.example CNAME rpz-other.
b.example CNAME x.rpz-ns.
c.example CNAME rpz-passthru
d.example CNAME *.garden.example.
e.example CNAME relative`, "7 exact d.example action=local-data type5/3600=[012a0667617264656e076578616d706c6500]", "4 bad-action\n5 bad-action\n6 bad-action\n8 out-of-zone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, report, err := readZone(t, blocklist.FeedConfig{}, tc.body)
			if err != nil {
				t.Fatal(err)
			}
			if report.Serial != 5 {
				t.Errorf("serial = %d, want 5", report.Serial)
			}
			wantLines(t, "rows", s.rows, tc.rows)
			wantLines(t, "faults", s.faultTexts(), tc.faults)
		})
	}
}

// TestZoneOfAllNames: `*` at the apex is a rule on all names, and needs the word of the operator as one on a top-level domain does.
func TestZoneOfAllNames(t *testing.T) {
	body := zoneHead + "* CNAME .\ngood.example CNAME rpz-passthru.\n"
	for _, tc := range []struct {
		allowed      bool
		rows, faults string
	}{
		{false, "5 exact good.example action=passthru", "4 root"},
		{true, "4 below . action=nxdomain\n5 exact good.example action=passthru", ""},
	} {
		s, _, err := readZone(t, blocklist.FeedConfig{AllowSuffixes: tc.allowed}, body)
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, "rows", s.rows, tc.rows)
		wantLines(t, "faults", s.faultTexts(), tc.faults)
	}
}

func TestConfiguredApex(t *testing.T) {
	const body = "@ SOA localhost. root.localhost. 5 1 2 3 4\n NS localhost.\na.example.rpz.example. CNAME relative\n"
	s, _, err := readZone(t, blocklist.FeedConfig{Zone: "rpz.example"}, body)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, "3 exact a.example action=local-data type5/4=[0872656c61746976650372707a076578616d706c6500]")
	_, _, err = readZone(t, blocklist.FeedConfig{Zone: "other.example"}, strings.Replace(body, "@", "rpz.example.", 1))
	if !errors.Is(err, blocklist.ErrZone) {
		t.Errorf("error = %v, want %v for a zone that is another", err, blocklist.ErrZone)
	}
}

func TestRefusedZones(t *testing.T) {
	for _, tc := range []struct{ name, body string }{
		{"no SOA", "a.example CNAME .\n"},
		{"nothing", "; nothing\n"},
		{"late SOA", "a.example CNAME .\n" + zoneHead},
		{"no NS", "@ SOA localhost. root.localhost. 5 1 2 3 4\na.example CNAME .\n"},
		{"NS elsewhere", "@ SOA localhost. root.localhost. 5 1 2 3 4\na.example NS localhost.\nb.example CNAME .\n"},
		{"short SOA", "@ SOA localhost. root.localhost. 5 1 2 3\n@ NS localhost.\na.example CNAME .\n"},
		{"SOA with words", "@ SOA localhost. root.localhost. five 1 2 3 4\n@ NS localhost.\na.example CNAME .\n"},
		{"SOA relative to nothing", "rpz SOA localhost. root.localhost. 5 1 2 3 4\n@ NS localhost.\na.example CNAME .\n"},
		{"origin that is no name", zoneHead + "$ORIGIN a..b.\na.example CNAME .\n"},
		{"origin relative to nothing", zoneHead + "$ORIGIN a\na.example CNAME .\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, _, err := readZone(t, blocklist.FeedConfig{}, tc.body); !errors.Is(err, blocklist.ErrZone) {
				t.Errorf("error = %v, want %v", err, blocklist.ErrZone)
			}
		})
	}
}

func TestAddressTriggers(t *testing.T) {
	for _, tc := range []struct {
		owner string
		want  blocklist.Reason
	}{
		{"32.1.2.0.192.rpz-ip", blocklist.ReasonNone},
		{"24.0.2.0.192.rpz-ip", blocklist.ReasonNone},
		{"24.0.2.0.192.RPZ-IP", blocklist.ReasonNone},
		{"8.0.0.0.10.rpz-client-ip", blocklist.ReasonNone},
		{"32.53.100.51.198.rpz-nsip", blocklist.ReasonNone},
		{"ns1.bad.example.rpz-nsdname", blocklist.ReasonNone},
		{"*.bad.example.rpz-nsdname", blocklist.ReasonNone},
		{"128.1.zz.db8.2001.rpz-ip", blocklist.ReasonNone},
		{"48.zz.1.db8.2001.rpz-nsip", blocklist.ReasonNone},
		{"128.1.zz.rpz-ip", blocklist.ReasonNone},
		{"128.8.7.6.5.4.3.2.1.rpz-ip", blocklist.ReasonNone},
		{"128.8.7.6.5.4.3.0.1.rpz-ip", blocklist.ReasonNone},  // one zero word may stand
		{"128.8.7.6.5.4.3.zz.1.rpz-ip", blocklist.ReasonNone}, // or be cut
		{"1.0.218.230.rpz-ip", blocklist.ReasonBadAddress},    // no prefix length
		{"8.2.0.0.10.rpz-ip", blocklist.ReasonBadAddress},     // bits beyond the prefix
		{"33.1.2.0.192.rpz-ip", blocklist.ReasonBadAddress},
		{"0.0.0.0.0.rpz-ip", blocklist.ReasonBadAddress},
		{"032.1.2.0.192.rpz-ip", blocklist.ReasonBadAddress},
		{"32.01.2.0.192.rpz-ip", blocklist.ReasonBadAddress},
		{"32.256.2.0.192.rpz-ip", blocklist.ReasonBadAddress},
		{"32.10.zz.db8.2001.rpz-ip", blocklist.ReasonBadAddress},        // bits beyond the prefix
		{"128.1.0.0.0.0.0.db8.2001.rpz-ip", blocklist.ReasonBadAddress}, // the longest run must be zz
		{"128.1.zz.0.0.1.db8.2001.rpz-ip", blocklist.ReasonBadAddress},  // another spelling of a longer run
		{"128.1.zz.2.zz.db8.2001.rpz-ip", blocklist.ReasonBadAddress},   // twice
		{"128.01.zz.db8.2001.rpz-ip", blocklist.ReasonBadAddress},       // leading zero
		{"129.1.zz.db8.2001.rpz-ip", blocklist.ReasonBadAddress},        // too long a prefix
		{"128.g.zz.db8.2001.rpz-ip", blocklist.ReasonBadAddress},        // no digit
		{"128.2.0.0.1.zz.db8.2001.rpz-ip", blocklist.ReasonNone},        // of two equal runs the first of the address is cut
		{"128.2.zz.1.0.0.db8.2001.rpz-ip", blocklist.ReasonBadAddress},  // and not the other
		{"64.zz.rpz-ip", blocklist.ReasonNone},                          // all words are zero
		{"rpz-ip", blocklist.ReasonBadAddress},
		{"rpz-nsdname", blocklist.ReasonRoot},
		{"x.example.rpz-new", blocklist.ReasonSyntax},
	} {
		s, _, err := readZone(t, blocklist.FeedConfig{AllowEmpty: true}, zoneHead+tc.owner+" CNAME .\n")
		if err != nil {
			t.Fatal(err)
		}
		if tc.want == blocklist.ReasonNone {
			if len(s.faults) != 0 || len(s.rows) != 1 {
				t.Errorf("%s: rows %v, faults %v, want a row", tc.owner, s.rows, s.faults)
			}
		} else if len(s.faults) != 1 || s.faults[0].Reason != tc.want {
			t.Errorf("%s: faults = %v, want %s", tc.owner, s.faults, tc.want)
		}
	}
}

// TestTriggersBecomeRows: each trigger has a key of its own, in which the letter case of the owner plays no part.
func TestTriggersBecomeRows(t *testing.T) {
	body := zoneHead + `
32.1.2.0.192.rpz-ip             CNAME .
24.0.2.0.192.RPZ-Client-IP      CNAME rpz-drop.
48.zz.1.db8.2001.rpz-nsip       CNAME *.
ns1.Bad.example.rpz-nsdname     CNAME rpz-passthru.
*.bad.example.rpz-nsdname       A 192.0.2.80
*.com.rpz-nsdname               CNAME .
`
	s, report, err := readZone(t, blocklist.FeedConfig{}, body)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, `
		5 exact 192.0.2.1 trigger=ip action=nxdomain
		6 exact 192.0.2.0/24 trigger=client-ip action=drop
		7 exact 2001:db8:1::/48 trigger=nsip action=nodata
		8 exact ns1.bad.example trigger=nsdname action=passthru
		9 below bad.example trigger=nsdname action=local-data type1/3600=[c0000250]`)
	if want := (policy.TriggerCounts{ClientIP: 1, IP: 1, NSDNAME: 2, NSIP: 1}); report.Triggers != want {
		t.Errorf("counted %+v, want %+v", report.Triggers, want)
	}
	if len(s.faults) != 1 || s.faults[0].Reason != blocklist.ReasonTLD {
		t.Errorf("faults %v, want the name servers of a whole top-level domain refused", s.faults)
	}
}

// TestLenientAddressTriggers: what is wrongly spelled and means one thing is read on request.
func TestLenientAddressTriggers(t *testing.T) {
	body := zoneHead + "1.0.218.230.rpz-ip CNAME .\n8.2.0.0.10.rpz-ip CNAME .\n33.1.2.0.192.rpz-ip CNAME .\n"
	body += "32.1.2.0.192.rpz-ip CNAME .\n*.name.example CNAME .\n"
	s, report, err := readZone(t, blocklist.FeedConfig{Lenient: true}, body)
	if err != nil {
		t.Fatal(err)
	}
	if report.Loose != 2 {
		t.Errorf("%d records are counted as spelled otherwise, want 2", report.Loose)
	}
	wantLines(t, "rows", s.rows, "4 exact 230.218.0.1 trigger=ip action=nxdomain\n5 exact 10.0.0.0/8 trigger=ip action=nxdomain\n"+
		"7 exact 192.0.2.1 trigger=ip action=nxdomain\n8 below name.example action=nxdomain")
	if len(s.faults) != 1 || s.faults[0].Reason != blocklist.ReasonBadAddress || s.faults[0].Line != 6 {
		t.Errorf("faults %v, want line 6", s.faults)
	}
}

func TestRecordsOfAnOwnerAreBounded(t *testing.T) {
	body := zoneHead
	for i := range 300 {
		body += fmt.Sprintf("a.example TXT \"%d\"\n", i)
	}
	s, report, err := readZone(t, blocklist.FeedConfig{}, body)
	if err != nil {
		t.Fatal(err)
	}
	if c := report.Faults[blocklist.ReasonTooManyRecords]; len(s.rows) != 1 || c == nil || c.Count != 300-256 {
		t.Errorf("%d rows, faults %v, want one row and 44 records refused", len(s.rows), report.Faults)
	}
}

// TestGenerateCostsNothing: a directive of a few octets that stands for millions of records is one row, refused and counted.
func TestGenerateCostsNothing(t *testing.T) {
	const directives = 1000
	body := zoneHead + strings.Repeat("$GENERATE 0-65535 $.example CNAME .\n", directives) + "a.example CNAME .\n"
	s, report, err := readZone(t, blocklist.FeedConfig{}, body)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, "rows", s.rows, fmt.Sprintf("%d exact a.example action=nxdomain", directives+4))
	if c := report.Faults[blocklist.ReasonGenerate]; c == nil || c.Count != directives || report.Refused != directives || report.Live != 1 {
		t.Errorf("%d rows live, %d refused, want 1 and %d, each of them a %v", report.Live, report.Refused, directives, blocklist.ReasonGenerate)
	}
}

func TestZoneReadsNoOtherFile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	writeFile(t, secret, "hidden.example CNAME .\n")
	s, report, err := readZone(t, blocklist.FeedConfig{}, zoneHead+"$INCLUDE "+secret+"\na.example TXT ( x\n$INCLUDE "+secret+"\n)\nb.example CNAME .\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range s.rows {
		if strings.Contains(row, "hidden") {
			t.Errorf("a row of another file was read: %s", row)
		}
	}
	if report.Faults[blocklist.ReasonInclude] == nil {
		t.Errorf("faults = %v, want one that names the directive", s.faultTexts())
	}
}
