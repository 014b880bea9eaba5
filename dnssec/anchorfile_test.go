package dnssec_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cenote/dnssec"

	"github.com/miekg/dns"
)

const (
	rootDS  = "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
	someKey = "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4="
)

// TestParseAnchors holds what may be written, and which record it is.
func TestParseAnchors(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"as dig prints it", ".\t\t\t86400\tIN\tDS\t20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237 C7F8EC8D\n", "DS . 1"},
		{"class before TTL", ". IN 86400 DS " + rootDS, "DS . 1"},
		{"nothing but the type", ". DS " + rootDS, "DS . 1"},
		{"lower case, and comments", "; the root\n\n. in ds " + strings.ToLower(rootDS) + " ; tag 20326\r\n", "DS . 3"},
		{"a key in parentheses", "Example.COM. IN DNSKEY 257 3 15 ( l02Woi0iS8Aa25FQkUd9RMzZ ; first half\n  HJpBoRQwAQEX1SxZJA4= )\n. DS " + rootDS, "DNSKEY example.com. 1, DS . 3"},
		{"the owner left out", "example.com DNSKEY " + someKey + "\n  DNSKEY " + someKey, "DNSKEY example.com. 1, DNSKEY example.com. 2"},
		{"a digest of a type that nobody knows", ". DS 1 8 77 AABB", "DS . 1"},
	} {
		records, err := dnssec.ParseAnchors("anchors", []byte(tc.text))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := describe(records); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	records, _ := dnssec.ParseAnchors("anchors", []byte("example.com DNSKEY "+someKey))
	want, _ := dns.NewRR("example.com. DNSKEY " + someKey)
	if string(records[0].RData) != string(rdata(t, want)) {
		t.Errorf("the key is %x, the library reads %x", records[0].RData, rdata(t, want))
	}
}

func describe(records []dnssec.AnchorRecord) string {
	var out []string
	for _, r := range records {
		out = append(out, fmt.Sprintf("%s %s %d", dns.TypeToString[r.Type], text(nameOf(r.Zone)), r.Line))
	}
	return strings.Join(out, ", ")
}

// TestParseAnchorsFaults holds that each fault has file and line, and that there are no records then.
func TestParseAnchorsFaults(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "; nothing\n", "anchors: there is no trust anchor"},
		{"another type", "\n. NS a.root-servers.net.", `anchors:2: "NS" is no trust anchor`},
		{"another class", ". CH DS " + rootDS, `anchors:1: "CH" is no trust anchor`},
		{"no type", ". 3600 IN", "anchors:1: the record has no type"},
		{"a directive", "$INCLUDE /etc/passwd", `anchors:1: "$INCLUDE" is not read`},
		{"no owner", " DS " + rootDS, "anchors:1: the record has no name"},
		{"a name", "a..b DS " + rootDS, "anchors:1: name"},
		{"a short digest", ". DS 20326 8 2 E06D", "anchors:1: a digest of type 2 does not have 2 octets"},
		{"a digest that is not hexadecimal", ". DS 20326 8 2 XYZ", "anchors:1: the digest"},
		{"a tag", ". DS 70000 8 2 AA", `anchors:1: "70000"`},
		{"fields", ". DS 20326 8 2", "anchors:1: fields"},
		{"no zone key", ". DNSKEY 1 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", "anchors:1: the key is not a zone key"},
		{"a revoked key", ". DNSKEY 385 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", "anchors:1: the key is revoked"},
		{"a key of another algorithm", ". DNSKEY 257 3 13 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", "anchors:1: this is no key of algorithm 13"},
		{"an open parenthesis", "\n. DS ( " + rootDS + "\n\n", "anchors:2: a parenthesis is not closed"},
		{"a closed one", ". DS ) " + rootDS, "anchors:1: a parenthesis is closed"},
		{"two faults", ". NS a.\n. DS " + rootDS + "\n. MX 1 a.", "anchors:3:"},
		{"XML without a zone", "<TrustAnchor><KeyDigest><KeyTag>1</KeyTag></KeyDigest></TrustAnchor>", "anchors:1: there is no Zone"},
		{"XML that ends early", "<TrustAnchor>\n<Zone>.</Zone>", "anchors:2: XML syntax error"},
		{"too much", strings.Repeat(";", 1<<20+1), "anchors: file has more than"},
	} {
		records, err := dnssec.ParseAnchors("anchors", []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) || records != nil {
			t.Errorf("%s: got %d records, %v, want %q", tc.name, len(records), err, tc.want)
		}
	}
	_, err := dnssec.ParseAnchors("anchors", []byte(strings.Repeat(". NS a.\n", 1000)))
	if n := strings.Count(err.Error(), "\n") + 1; n != 20 {
		t.Errorf("%d faults are listed, want 20", n)
	}
}

// ianaXML has the form of https://data.iana.org/root-anchors/root-anchors.xml.
const ianaXML = `<?xml version="1.0" encoding="UTF-8"?>
<TrustAnchor id="E9724F53-1851-4F86-85E5-F1392102940B" source="http://data.iana.org/root-anchors/root-anchors.xml">
    <Zone>.</Zone>
    <KeyDigest id="Kjqmt7v" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00">
        <KeyTag>19036</KeyTag>
        <Algorithm>8</Algorithm>
        <DigestType>2</DigestType>
        <Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>
    </KeyDigest>
    <KeyDigest id="Klajeyz" validFrom="2017-02-02T00:00:00+00:00">
        <KeyTag>20326</KeyTag>
        <Algorithm>8</Algorithm>
        <DigestType>2</DigestType>
        <Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>
        <PublicKey>AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=</PublicKey>
        <Flags>257</Flags>
    </KeyDigest>
</TrustAnchor>
`

// TestParseIANA reads the form in which IANA publishes the root's trust anchors.
func TestParseIANA(t *testing.T) {
	records, err := dnssec.ParseAnchors("root-anchors.xml", []byte(ianaXML))
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(records); got != "DS . 4, DS . 10" {
		t.Errorf("got %s", got)
	}
	for _, tc := range []struct {
		at   time.Time
		want []bool
	}{
		{time.Date(2010, 7, 14, 0, 0, 0, 0, time.UTC), []bool{false, false}},
		{time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC), []bool{true, true}},
		{time.Date(2019, 1, 11, 0, 0, 0, 0, time.UTC), []bool{false, true}},
	} {
		for i, want := range tc.want {
			if got := records[i].ValidAt(tc.at); got != want {
				t.Errorf("record %d is valid %v: %v, want %v", i, tc.at, got, want)
			}
		}
	}
	if all := dnssec.AnchorsOf(records, noon); len(all) != 1 || len(all[0].DS) != 1 || string(all[0].Zone) != "\x00" {
		t.Errorf("got %d zones", len(all))
	}
	for _, tc := range []struct{ name, from, to, want string }{
		{"another key", "AwEAAaz", "AwEAAay", "not that of the public key"},
		{"a date", "2017-02-02T00:00:00+00:00", "soon", "root-anchors.xml:10:"},
		{"a digest", "E06D44", "E06D", "digest"},
	} {
		if _, err := dnssec.ParseAnchors("root-anchors.xml", []byte(strings.Replace(ianaXML, tc.from, tc.to, 1))); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// TestAnchorsOfSeveralZones holds that each zone has anchors of its own.
func TestAnchorsOfSeveralZones(t *testing.T) {
	records, err := dnssec.ParseAnchors("anchors", []byte(". DS "+rootDS+"\nexample.com DNSKEY "+someKey+"\n. DS "+rootDS))
	if err != nil {
		t.Fatal(err)
	}
	all := dnssec.AnchorsOf(records, noon)
	if len(all) != 2 || len(all[0].DS) != 2 || len(all[1].Trusted()) != 1 || string(all[1].Zone) != string(name("example.com.")) {
		t.Errorf("got %+v", all)
	}
}
