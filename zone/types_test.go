package zone_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/zone"

	"github.com/miekg/dns"
)

// typeSamples are the data of a record of every type that a zone can have.
var typeSamples = map[uint16]string{
	dns.TypeA: "192.0.2.1", dns.TypeAAAA: "2001:db8::1", dns.TypeAFSDB: "1 host.other.test.", dns.TypeAMTRELAY: "10 0 2 2001:db8::15", dns.TypeAPL: "1:192.0.2.0/24 !2:2001:db8::/32",
	dns.TypeAVC: `"app-name:CISCO"`, dns.TypeCAA: `0 issue "ca.test"`, dns.TypeCDNSKEY: "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
	dns.TypeCDS: "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", dns.TypeCERT: "PKIX 0 0 MTIz", dns.TypeCNAME: "host.other.test.", dns.TypeCSYNC: "66 3 A NS AAAA",
	dns.TypeDHCID: "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", dns.TypeDLV: "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", dns.TypeDNAME: "other.test.",
	dns.TypeDNSKEY: "256 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==", dns.TypeDS: "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
	dns.TypeEID: "e32c6f", dns.TypeEUI48: "00-00-5e-00-53-2a", dns.TypeEUI64: "00-00-5e-ef-10-00-00-2a", dns.TypeGID: "100", dns.TypeGPOS: "-32.6882 116.8652 10.0", dns.TypeHINFO: `"PC" "UNIX"`,
	dns.TypeHIP:   "2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D",
	dns.TypeHTTPS: "1 . alpn=h2", dns.TypeIPSECKEY: "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==", dns.TypeISDN: `"150862028003217" "004"`,
	dns.TypeKEY: "512 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==", dns.TypeKX: "10 kx.other.test.", dns.TypeL32: "10 10.1.2.0", dns.TypeL64: "10 2001:0DB8:1140:1000",
	dns.TypeLOC: "42 21 54.000 N 71 06 18.000 W -24m 30m 10000m 10m", dns.TypeLP: "10 l64.other.test.", dns.TypeMB: "host.other.test.", dns.TypeMD: "host.other.test.", dns.TypeMF: "host.other.test.",
	dns.TypeMG: "host.other.test.", dns.TypeMINFO: "a.other.test. b.other.test.", dns.TypeMR: "host.other.test.", dns.TypeMX: "10 mail.other.test.", dns.TypeNAPTR: `100 50 "s" "z3950+I2L+I2C" "" _z3950._tcp.other.test.`,
	dns.TypeNID: "10 0014:4fff:ff20:ee64", dns.TypeNIMLOC: "e32c6f", dns.TypeNINFO: `"text"`, dns.TypeNS: "ns.example.", dns.TypeNSAPPTR: "host.other.test.", dns.TypeNSEC: "host.other.test. A MX RRSIG NSEC",
	dns.TypeNSEC3: "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG", dns.TypeNSEC3PARAM: "1 0 12 aabbccdd", dns.TypeNULL: `\# 3 e32c6f`, dns.TypeNXT: "host.other.test. A MX", dns.TypeOPENPGPKEY: "mQENBFVHm5sBCADX",
	dns.TypePTR: "host.other.test.", dns.TypePX: "10 a.other.test. b.other.test.", dns.TypeRESINFO: `"qnamemin" "exterr=15-17"`, dns.TypeRKEY: "512 3 13 mdsswUyr3DPW132m", dns.TypeRP: "a.other.test. b.other.test.",
	dns.TypeRRSIG: "A 13 2 60 20301231235959 20200101000000 60485 example. mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==", dns.TypeRT: "10 host.other.test.",
	dns.TypeSIG:    "A 13 2 60 20301231235959 20200101000000 60485 example. mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==",
	dns.TypeSMIMEA: "3 0 0 308201A2", dns.TypeSOA: "ns.example. host.example. 1 7200 3600 1209600 60", dns.TypeSPF: `"v=spf1 -all"`, dns.TypeSRV: "1 2 443 host.other.test.", dns.TypeSSHFP: "2 1 123456789ABCDEF67890123456789ABCDEF67890",
	dns.TypeSVCB: "1 host.other.test. port=53", dns.TypeTA: "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", dns.TypeTALINK: "a.other.test. b.other.test.",
	dns.TypeTLSA: "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971", dns.TypeTXT: `"a" "b c"`, dns.TypeUID: "100", dns.TypeUINFO: `"text"`, dns.TypeURI: `10 1 "ftp://ftp.other.test/"`, dns.TypeX25: "311061700956",
	dns.TypeZONEMD: "1 1 240 E32C6F00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
}

// inMessagesAlone are the types that no zone has.
var inMessagesAlone = []uint16{dns.TypeANY, dns.TypeOPT, dns.TypeTKEY, dns.TypeTSIG, dns.TypeNXNAME}

// TestEveryTypeIsServed holds that a zone can have records of every type that the library knows, written in its own form and in the one of RFC 3597, and that they
// are served as they are; and of types that nobody knows.
func TestEveryTypeIsServed(t *testing.T) {
	for rtype := range dns.TypeToRR {
		text, known := typeSamples[rtype]
		switch {
		case slices.Contains(inMessagesAlone, rtype):
			continue
		case !known:
			t.Errorf("there is no sample of type %s", dns.TypeToString[rtype])
			continue
		}
		t.Run(dns.TypeToString[rtype], func(t *testing.T) {
			owner, more := "x", ""
			switch rtype {
			case dns.TypeSOA, dns.TypeNS, dns.TypeNSEC3PARAM, dns.TypeZONEMD, dns.TypeDNSKEY, dns.TypeCDS, dns.TypeCDNSKEY:
				owner = "@"
			case dns.TypeDS:
				more = "x NS ns\n"
			case dns.TypeNSEC3:
				owner = "2t7b4g4vsa5smi47k61mv5bv1a22bojq"
			case dns.TypeRRSIG, dns.TypeSIG:
				more = "x A 192.0.2.1\n"
			}
			typeIsServed(t, owner, dns.TypeToString[rtype], text, rtype, more)
			rr, err := dns.NewRR("x. 60 IN " + dns.TypeToString[rtype] + " " + text)
			if err != nil {
				t.Fatal(err)
			}
			typeIsServed(t, owner, fmt.Sprintf("TYPE%d", rtype), unknownForm(t, rr), rtype, more)
		})
	}
	for _, rtype := range []uint16{259, 1234, 65280, 65534} {
		typeIsServed(t, "x", fmt.Sprintf("TYPE%d", rtype), `\# 4 0a000001`, rtype, "")
	}
}

// TestX25InQuotes holds that an X.25 address is read with quotes too, as named writes it, and that nothing else in quotes becomes another thing by that.
func TestX25InQuotes(t *testing.T) {
	for text, want := range map[string]string{
		`x X25 "311061700956"`:                  "X25\t311061700956",
		`x 60 IN X25 "311061700956" ; "1"`:      "X25\t311061700956",
		`x IN 60 x25 ( "311061700956"` + "\n )": "X25\t311061700956",
		`x X25 311061700956`:                    "X25\t311061700956",
		`x25 TXT "311061700956"`:                "TXT\t\"311061700956\"",
		`x 1h CLASS1 X25 "311061700956"`:        "X25\t311061700956",
		`x TXT x25 "a "12" b"`:                  "TXT\t\"x25\" \"a \" \"12\" \" b\"",
		`x TXT X25 "311061700956"`:              "TXT\t\"X25\" \"311061700956\"",
		`x ISDN "150862028003217" "004"`:        "ISDN\t\"150862028003217\" \"004\"",
	} {
		z, faults, err := zone.Read(dnsname.MustParse("example"), strings.NewReader("$TTL 300\n@ SOA ns host 1 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\n"+text+"\n"), "z", now)
		if err != nil {
			t.Errorf("%s: %v, %v", text, err, faults)
		} else if got := dump(t, z); !strings.Contains(got, want+"\n") {
			t.Errorf("%s: got\n%s, want %s", text, got, want)
		}
	}
	if _, faults, err := zone.Read(dnsname.MustParse("example"), strings.NewReader("@ 60 SOA ns host 1 7200 3600 1209600 60\n@ 60 NS ns\nns 60 A 192.0.2.1\nx 60 X25 \"31 10\"\n"), "z", now); err == nil || len(faults) == 0 || faults[0].Line != 4 {
		t.Errorf("an address with a blank: %v, %v", faults, err)
	}
}

// unknownForm is the data of a record as RFC 3597 writes it.
func unknownForm(t *testing.T, rr dns.RR) string {
	t.Helper()
	room := make([]byte, 4096)
	end, err := dns.PackRR(rr, room, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	data := room[len("\x01x\x00")+10 : end]
	return fmt.Sprintf(`\# %d %s`, len(data), hex.EncodeToString(data))
}

// typeIsServed holds that a zone with a record answers with it.
func typeIsServed(t *testing.T, owner, typeText, data string, rtype uint16, more string) {
	t.Helper()
	text := "$TTL 60\n"
	if rtype != dns.TypeSOA {
		text += "@ SOA ns host 1 7200 3600 1209600 60\n"
	}
	if rtype != dns.TypeNS {
		text += "@ NS ns\n"
	}
	z := load(t, "example", text+"ns A 192.0.2.1\n"+more+owner+" "+typeText+" "+data+"\n")
	name := "example."
	if owner != "@" {
		name = owner + "." + name
	}
	want, err := dns.NewRR(name + " 60 IN " + typeText + " " + data)
	if err != nil {
		t.Fatal(err)
	}
	if rtype == dns.TypeNSEC3 { // whose names nobody can ask for (RFC 5155 section 7.2.8)
		var master strings.Builder
		if err := z.WriteMaster(&master); err != nil || !strings.Contains(strings.ToLower(master.String()), "\tnsec3\t1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr a rrsig\n") {
			t.Errorf("%v, the zone is\n%s", err, &master)
		}
		return
	}
	m := ask(t, setOf(t, z), strings.TrimSuffix(name, "."), rtype, false)
	if m == nil || len(m.Answer) != 1 || unknownForm(t, renamed(m.Answer[0])) != unknownForm(t, renamed(want)) {
		t.Errorf("%s %s: got\n%v\nwant\n%v", typeText, data, m, want)
	}
}

// renamed is a record of another owner.
func renamed(rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	rr.Header().Name = "x."
	return rr
}
