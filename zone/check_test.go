package zone_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/zone"
)

// head begins the zones of the table; line 5 is the first that a case adds.
const head = "$TTL 3600\n@ SOA ns host 1 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\n"

// broken are zones with a fault each. peer says whether named-checkzone takes the zone: "no", "yes", or "warns".
var broken = []struct{ name, text, want, peer string }{
	{"nothing wrong", head, "", "yes"},
	{"no SOA", "$TTL 60\n@ NS ns\nns A 192.0.2.1\n", "z: error: example has no SOA record", "no"},
	{"two SOA", head + "@ SOA ns host 2 7200 3600 1209600 300\n", "z:5: error: example has 2 SOA records; a zone has one", "no"},
	{"SOA below the apex", head + "x SOA ns host 2 7200 3600 1209600 300\n", "z:5: error: x.example: SOA is at the apex alone, which is example", "no"},
	{"no NS", "$TTL 60\n@ SOA ns host 1 7200 3600 1209600 300\nns A 192.0.2.1\n", "z: error: example has no NS records", "no"},
	{"empty", "", "z: error: example has no records of its own, not even SOA", "no"},
	{"NS without address", head + "@ NS other\n", "z:5: error: example NS other.example: the name has no address record (A or AAAA)", "no"},
	{"NS to an alias", head + "@ NS a\na CNAME ns\n", "z:5: error: example NS a.example: that name is an alias (CNAME), which a name server must not be (RFC 2181 section 10.3)", "no"},
	{"glue missing", head + "sub NS ns.sub\n", "z:5: warning: sub.example NS ns.sub.example: glue is missing: the name lies below the cut and has no address record here", "warns"},
	{"MX to an alias", head + "@ MX 10 a\na CNAME ns\n", "z:5: warning: example MX a.example: that name is an alias (CNAME), which it should not be (RFC 2181 section 10.3)", "warns"},
	{"SRV to an alias", head + "_x._tcp SRV 0 0 1 a\na CNAME ns\n", "z:5: warning: _x._tcp.example SRV a.example: that name is an alias (CNAME), which it should not be (RFC 2181 section 10.3)", "warns"},
	{"MX without address", head + "@ MX 10 none\n", "z:5: warning: example MX none.example: the name has no address record (A or AAAA)", "warns"},
	{"SRV without address", head + "_x._tcp SRV 0 0 1 none\n", "z:5: warning: _x._tcp.example SRV none.example: the name has no address record (A or AAAA)", "warns"},
	{"null MX", head + "@ MX 0 .\n", "", "yes"},
	{"CNAME and other data", head + "x CNAME ns\nx A 192.0.2.1\n", "z:6: error: x.example has a CNAME record and others (A)", "no"},
	{"two CNAME", head + "x CNAME ns\nx CNAME mail.test.\n", "z:6: error: x.example has 2 CNAME records; a name has one", "no"},
	{"two DNAME", head + "x DNAME a.test.\nx DNAME b.test.\n", "z:6: error: x.example has 2 DNAME records; a name has one", "no"},
	{"below a DNAME", head + "x DNAME a.test.\ny.x A 192.0.2.1\n", "z:6: error: y.x.example lies below the DNAME record of x.example, which stands for all that is there", "yes"},
	{"out of zone", head + "www.test. A 192.0.2.1\n", "z:5: warning: www.test lies outside of the zone example; the record is left out", "warns"},
	{"TTLs differ", head + "x 60 A 192.0.2.1\nx 70 A 192.0.2.2\n", "z:6: warning: x.example A: TTLs of 60 and 70 in one set; the shortest counts for all", "warns"},
	{"twice", head + "x A 192.0.2.1\nx A 192.0.2.1\n", "z:6: warning: x.example A: the same record stands in line 5; it counts once", "yes"},
	{"bad owner", head + "a_b A 192.0.2.1\n", "z:5: error: a_b.example: the owner of A records is no name of a host", "no"},
	{"bad target", head + "@ NS a_b.test.\n", "z:5: error: example NS: a_b.test is no name of a host", "no"},
	{"bad address", head + "x A 192.0.2.256\n", "z:5: error: bad IPv4 address in a record of type A: \"192.0.2.256\"", "no"},
	{"bad word", head + "x NONSENSE 1\n", "z:5: error: neither a type that is known nor a TTL: \"NONSENSE\"", "no"},
	{"bad word behind a TTL", head + "x 60 NONSENSE 1\n", "z:5: error: expecting type or class, not \"NONSENSE\"", "no"},
	{"bad label", head + strings.Repeat("x", 64) + " A 192.0.2.1\n", "z:5: error: bad owner name: \"" + strings.Repeat("x", 64) + "\"", "no"},
	{"class CH", head + "x CH TXT hello\n", "z:5: error: a record of class CH in a zone of class IN", "no"},
	{"meta type", head + "x TYPE255 \\# 0\n", "z:5: error: x.example: records of type ANY are in no zone", "no"},
	{"expire too short", strings.Replace(head, "1209600", "3600", 1), "z:2: warning: example: expire (3600) is less than refresh and retry (7200 and 3600): secondaries drop the zone before they ask again", "yes"},
	{"serial 0", strings.Replace(head, "host 1 ", "host 0 ", 1), "z:2: warning: example: the serial is 0; some secondaries take that for none", "yes"},
	{"DS at the apex", head + "@ DS 1 13 2 " + strings.Repeat("ab", 32) + "\n", "z:5: error: example: DS records of the apex are for the zone above", "no"},
	{"DS without NS", head + "x DS 1 13 2 " + strings.Repeat("ab", 32) + "\n", "z:5: warning: x.example has DS records, and no NS records: it is no delegation", "yes"},
	{"TTL too long", head + "x 4294967295 A 192.0.2.1\n", "z:5: error: x.example: a TTL of 4294967295 seconds; the longest is 2147483647", "warns"},
	{"no data", head + "x A\n", "z:5: error: x.example A: the data are not of the form that the type has", "no"},
	{"malformed data", head + "x NS \\# 1 05\n", "z:5: error: NS.Ns: dns: buffer size too small: \" \"", "no"},
	{"bad IPv6 address", head + "x AAAA 192.0.2.1\n", "z:5: error: bad IPv6 address in a record of type AAAA: \"192.0.2.1\"", "no"},
	{"bad name of a server", head + "x NS a..b\n", "z:5: error: bad name in a record of type NS: \"a..b\"", "no"},
	{"bad name of an alias", head + "x CNAME a..b\n", "z:5: error: bad name in a record of type CNAME: \"a..b\"", "no"},
	{"bad preference", head + "x MX ten a\n", "z:5: error: bad preference in a record of type MX: \"ten\"", "no"},
	{"goes on behind faults", head + "x A 1\n$ORIGIN sub.example.\ny A 2\n 70 A 192.0.2.1\n", "z:5: error: bad IPv4 address in a record of type A: \"1\"\nz:7: error: bad IPv4 address in a record of type A: \"2\"", "no"},
	{"in parentheses", head + "x TXT ( a\n b )\nx A ( 192.0.2.1\n  3 )\n", "z:7: error: garbage after rdata: \"3\"", "no"},
}

func read(text string) (string, error) {
	_, faults, err := zone.Read(dnsname.MustParse("example"), strings.NewReader(text), "z", now)
	var lines []string
	for _, f := range faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n"), err
}

func TestReadTellsFaults(t *testing.T) {
	for _, tc := range broken {
		t.Run(tc.name, func(t *testing.T) {
			got, err := read(tc.text)
			if got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if failed, wants := errors.Is(err, zone.ErrFaulty), strings.Contains(tc.want, "error: "); failed != wants || err != nil && !failed {
				t.Errorf("err = %v, want ErrFaulty: %v", err, wants)
			}
		})
	}
}

// TestCheckzoneAgrees holds the table to what BIND finds.
func TestCheckzoneAgrees(t *testing.T) {
	checkzone := program(t, "named-checkzone")
	for _, tc := range broken {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "z")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(checkzone, "-i", "local", "-k", "fail", "example", path).CombinedOutput()
			text := strings.ReplaceAll(string(out), "zone example/IN: loaded serial", "")
			got := "yes"
			if err != nil {
				got = "no"
			} else if strings.Contains(text, "warning") || strings.Contains(text, ": ") {
				got = "warns"
			}
			if got != tc.peer {
				t.Errorf("named-checkzone says %s, want %s:\n%s", got, tc.peer, out)
			}
		})
	}
}
