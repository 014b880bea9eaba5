package zone_test

import (
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/wire"
	"cenote/zone"

	"github.com/miekg/dns"
)

// TestUpdate holds RFC 2136 section 3: each case is an update as nsupdate would write it, the RCODE, and what the zone says afterwards.
func TestUpdate(t *testing.T) {
	const text = "$TTL 60\n@ SOA ns host 5 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\nalias CNAME www\nmx MX 10 Mail\n"
	for _, tc := range []struct {
		name, prerequisites, changes string // class, then a record without its class: "IN www.example. 60 A 192.0.2.9"
		rcode                        int
		want, without                string // lines of the zone afterwards; want "same": nothing has changed
	}{
		{"a record is added", "", "IN new.example. 60 A 192.0.2.9", 0, "new.example.\t60\tIN\tA\t192.0.2.9", "\x00"},
		{"the serial is the next", "", "IN new.example. 60 A 192.0.2.9", 0, " 6 7200", " 5 7200"},
		{"what is there already", "", "IN www.example. 60 A 192.0.2.2", 0, "same", ""},
		{"another TTL is that of the set", "", "IN www.example. 30 A 192.0.2.2", 0, "www.example.\t30\tIN\tA\t192.0.2.3", "www.example.\t60"},
		{"nothing beside an alias", "", "IN alias.example. 60 A 192.0.2.9", 0, "same", ""},
		{"an alias for an alias", "", "IN alias.example. 60 CNAME ns.example.", 0, "CNAME\tns.example.", "CNAME\twww.example."},
		{"no alias beside data", "", "IN www.example. 60 CNAME ns.example.", 0, "same", ""},
		{"a serial that goes back", "", "IN example. 60 SOA ns.example. host.example. 4 7200 3600 1209600 60", 0, "same", ""},
		{"a serial of its own", "", "IN example. 60 SOA ns.example. host.example. 50 7200 3600 1209600 60", 0, " 50 7200", " 5 7200"},
		{"a record is deleted", "", "NONE www.example. 0 A 192.0.2.2", 0, "192.0.2.3", "192.0.2.2\n"},
		{"one that is not there", "", "NONE www.example. 0 A 192.0.2.99", 0, "same", ""},
		{"without letter case", "", "NONE mx.example. 0 MX 10 mAIL.example.", 0, "", "MX"},
		{"a set is deleted", "", "ANY www.example. 0 A", 0, "", "www.example.\t60"},
		{"a name is deleted", "", "ANY www.example. 0 ANY", 0, "", "www.example.\t60"},
		{"the apex keeps SOA and NS", "", "ANY example. 0 ANY", 0, "same", ""},
		{"the last server stays", "", "NONE example. 0 NS ns.example.", 0, "same", ""},
		{"SOA is not deleted", "", "ANY example. 0 SOA", 0, "same", ""},
		{"outside of the zone", "", "IN other.test. 60 A 192.0.2.9", 10, "", ""},
		{"a TTL where there is none", "", "ANY www.example. 60 A", dns.RcodeFormatError, "", ""},
		{"a type of messages alone", "", "NONE www.example. 0 ANY", dns.RcodeFormatError, "", ""},
		{"whole or not at all", "", "IN new.example. 60 A 192.0.2.9|IN other.test. 60 A 192.0.2.9", 10, "", ""},
		{"what is not granted", "", "IN ns.example. 60 TXT secret", dns.RcodeRefused, "", ""},
		{"name is in use", "ANY www.example. 0 ANY", "", 0, "same", ""},
		{"name should be in use", "ANY none.example. 0 ANY", "", dns.RcodeNameError, "", ""},
		{"name should not be in use", "NONE www.example. 0 ANY", "", dns.RcodeYXDomain, "", ""},
		{"set should be there", "ANY www.example. 0 MX", "", dns.RcodeNXRrset, "", ""},
		{"set should not be there", "NONE www.example. 0 A", "", dns.RcodeYXRrset, "", ""},
		{"set should be this", "IN www.example. 0 A 192.0.2.2|IN www.example. 0 A 192.0.2.3", "ANY www.example. 0 A", 0, "", "www.example.\t60"},
		{"set is not this", "IN www.example. 0 A 192.0.2.2", "", dns.RcodeNXRrset, "", ""},
		{"set has more", "IN www.example. 0 A 192.0.2.2|IN www.example. 0 A 192.0.2.3|IN www.example. 0 A 192.0.2.4", "", dns.RcodeNXRrset, "", ""},
		{"a prerequisite with a TTL", "ANY www.example. 60 A", "", dns.RcodeFormatError, "", ""},
		{"a prerequisite outside of the zone", "ANY other.test. 0 A", "", 10, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := load(t, "example", text)
			u := zone.Update{Prerequisites: instructions(t, tc.prerequisites), Changes: instructions(t, tc.changes)}
			next, rcode := u.Apply(z, func(_ dnsname.Name, rtype uint16) bool { return rtype != wire.TypeTXT })
			switch {
			case rcode != tc.rcode:
				t.Errorf("RCODE %d, want %d", rcode, tc.rcode)
			case rcode != 0:
			case tc.want == "same":
				if next != z {
					t.Errorf("the zone has changed:\n%s", dump(t, next))
				}
			case !strings.Contains(dump(t, next), tc.want) || tc.without != "" && strings.Contains(dump(t, next), tc.without):
				t.Errorf("want %q, and not %q:\n%s", tc.want, tc.without, dump(t, next))
			}
		})
	}
}

// instructions reads the records of an update.
func instructions(t *testing.T, text string) (out []zone.Instruction) {
	t.Helper()
	for line := range strings.SplitSeq(text, "|") {
		if line == "" {
			continue
		}
		class, rest, _ := strings.Cut(line, " ")
		words := strings.Fields(rest)
		i := zone.Instruction{Owner: dnsname.MustParse(strings.TrimSuffix(words[0], ".")).Canonical(), Type: dns.StringToType[words[2]],
			Class: map[string]uint16{"IN": 1, "ANY": 255, "NONE": 254}[class]}
		for _, c := range words[1] {
			i.TTL = i.TTL*10 + uint32(c-'0')
		}
		if len(words) > 3 {
			rr, err := dns.NewRR(rest)
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 4096)
			end, err := dns.PackRR(rr, buf, 0, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			i.Data = buf[len(i.Owner)+10 : end]
		}
		out = append(out, i)
	}
	return out
}
