package dnstest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// signedInternet is signed with NSEC, NSEC3, and NSEC3 with opt-out. Each zone has a secure and an insecure child.
const signedInternet = `
	zone .              server a.root.test @1 sign
	zone test           server ns.nic.test @2 sign
` + signedZone + `
	zone three.test     server ns.three.test @3 sign nsec3 iterations=3 salt=AB alg=15
` + signedZone + `
	zone out.test       server ns.out.test @4 sign optout
` + signedZone

const signedZone = `
		www             A     192.0.2.1
		alias           CNAME www
		*.wild          A     192.0.2.3
		deep.er         TXT   "here"
		old             DNAME new
		secure          NS    ns9.secure
		ns9.secure      A     @9
		secure          DS    1 13 2 0000000000000000000000000000000000000000000000000000000000000000
		insecure        NS    ns9.secure
		in.secure       NS    ns9.secure
		self            NS    self
		self            A     @9
`

// kinds is a reply in short: RCODE, AA, and the types in its sections.
func kinds(r *dns.Msg) string {
	out := dns.RcodeToString[r.Rcode]
	if r.Authoritative {
		out += " aa"
	}
	for _, section := range [][]dns.RR{r.Answer, r.Ns, r.Extra} {
		out += " |"
		for _, rr := range section {
			if sig, ok := rr.(*dns.RRSIG); ok {
				out += fmt.Sprintf(" sig(%s)", dns.TypeToString[sig.TypeCovered])
			} else if rr.Header().Rrtype != dns.TypeOPT {
				out += " " + dns.TypeToString[rr.Header().Rrtype]
			}
		}
	}
	return out
}

// TestProofs holds what signed zones send with DO: RFC 4035 section 3.1, RFC 5155 section 7.2.
func TestProofs(t *testing.T) {
	tree := dnstest.StartTree(t, signedInternet)
	const (
		nsec  = " NSEC sig(NSEC)"
		nsec3 = " NSEC3 sig(NSEC3)"
		soa   = " SOA sig(SOA)"
		a     = " A sig(A)"
	)
	for _, tc := range []struct {
		name, qname         string
		qtype               uint16
		nsec, three, optOut string // in test., three.test., out.test.
	}{
		{"records", "www", dns.TypeA, "NOERROR aa |" + a + " | |", "", ""},
		{"no such name", "m", dns.TypeA, "NXDOMAIN aa | |" + soa + nsec + nsec + " |", "NXDOMAIN aa | |" + soa + nsec3 + nsec3 + nsec3 + " |",
			"NXDOMAIN aa | |" + soa + nsec3 + nsec3 + " |"}, // one record says two things
		{"alias", "alias", dns.TypeA, "NOERROR aa | CNAME sig(CNAME)" + a + " | |", "", ""},
		{"DNAME", "x.old", dns.TypeCNAME, "NOERROR aa | DNAME sig(DNAME) CNAME | |", "", ""},
		{"no such type", "www", dns.TypeTXT, "NOERROR aa | |" + soa + nsec + " |", "NOERROR aa | |" + soa + nsec3 + " |", ""},
		{"empty non-terminal", "er", dns.TypeA, "NOERROR aa | |" + soa + nsec + " |", "NOERROR aa | |" + soa + nsec3 + " |", ""},
		{"wildcard", "x.wild", dns.TypeA, "NOERROR aa |" + a + " |" + nsec + " |", "NOERROR aa |" + a + " |" + nsec3 + " |", ""},
		{"wildcard without the type", "x.wild", dns.TypeTXT, "NOERROR aa | |" + soa + nsec + " |",
			"NOERROR aa | |" + soa + nsec3 + nsec3 + nsec3 + " |", ""},
		{"referral to a secure zone", "x.secure", dns.TypeA, "NOERROR | | NS DS sig(DS) | A", "", ""},
		{"referral to an insecure zone", "x.insecure", dns.TypeA, "NOERROR | | NS" + nsec + " | A", "NOERROR | | NS" + nsec3 + " | A",
			"NOERROR | | NS" + nsec3 + nsec3 + " | A"},
		{"DS of a secure zone", "secure", dns.TypeDS, "NOERROR aa | DS sig(DS) | |", "", ""},
		{"DS of an insecure zone", "insecure", dns.TypeDS, "NOERROR aa | |" + soa + nsec + " |", "NOERROR aa | |" + soa + nsec3 + " |",
			"NOERROR aa | |" + soa + nsec3 + nsec3 + " |"},
		{"NSEC itself", "www", dns.TypeNSEC, "NOERROR aa |" + nsec + " | |", "NOERROR aa | |" + soa + nsec3 + " |", ""},
		{"signatures themselves", "www", dns.TypeRRSIG, "NOERROR aa | sig(A) | |", "", ""},
		{"keys", "", dns.TypeDNSKEY, "NOERROR aa | DNSKEY DNSKEY sig(DNSKEY) | |", "", ""},
		{"parameters of NSEC3", "", dns.TypeNSEC3PARAM, "NOERROR aa | |" + soa + nsec + " |", "NOERROR aa | NSEC3PARAM sig(NSEC3PARAM) | |", ""},
	} {
		if tc.three == "" {
			tc.three = tc.nsec
		}
		if tc.optOut == "" {
			tc.optOut = tc.three
		}
		for zone, want := range map[string]string{"@2 test.": tc.nsec, "@3 three.test.": tc.three, "@4 out.test.": tc.optOut} {
			t.Run(tc.name+"/"+zone, func(t *testing.T) {
				server, apex, _ := strings.Cut(zone, " ")
				qname := strings.TrimPrefix(tc.qname+"."+apex, ".")
				r, err := exchange(t, tree, "udp", server, qname, tc.qtype, 4096, true)
				if err != nil {
					t.Fatal(err)
				}
				if got := kinds(r); got != want {
					t.Errorf("%s %s:\n got %s\nwant %s", qname, dns.TypeToString[tc.qtype], got, want)
				}
				if tc.qtype != dns.TypeRRSIG {
					verify(t, tree, server, apex, r)
				}
			})
		}
	}
}

// TestWildcardProofIsOfTheNextCloserName holds RFC 5155 section 7.2.6 where it differs from the name that is asked for.
func TestWildcardProofIsOfTheNextCloserName(t *testing.T) {
	tree := dnstest.StartTree(t, signedInternet)
	for n := range 8 {
		next := fmt.Sprintf("y%d.wild.three.test.", n)
		r, err := exchange(t, tree, "udp", "@3", "x."+next, dns.TypeA, 4096, true)
		if err != nil {
			t.Fatal(err)
		}
		if nsec3, ok := r.Ns[0].(*dns.NSEC3); !ok || !nsec3.Cover(next) {
			t.Errorf("%s is not covered by %s", next, r.Ns[0])
		}
	}
}

// TestNothingIsSignedWithoutDO asks as a client that knows no DNSSEC.
func TestNothingIsSignedWithoutDO(t *testing.T) {
	tree := dnstest.StartTree(t, signedInternet)
	for qname, want := range map[string]string{
		"www.test.": "NOERROR aa | A | |", "none.test.": "NXDOMAIN aa | | SOA |", "x.wild.test.": "NOERROR aa | A | |",
		"x.secure.test.": "NOERROR | | NS | A", "x.insecure.test.": "NOERROR | | NS | A",
	} {
		for _, size := range []uint16{0, 1232} {
			r, err := exchange(t, tree, "udp", "@2", qname, dns.TypeA, size, false)
			if err != nil || kinds(r) != want {
				t.Errorf("%s: got %v, %v, want %s", qname, r, err, want)
			}
		}
	}
}

// verify checks the signatures in a reply with the keys of the zone, all of them.
func verify(t *testing.T, tree *dnstest.Tree, server, apex string, r *dns.Msg) {
	t.Helper()
	keys, err := exchange(t, tree, "tcp", server, apex, dns.TypeDNSKEY, 4096, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range [][]dns.RR{r.Answer, r.Ns} {
		for _, rr := range section {
			if sig, ok := rr.(*dns.RRSIG); ok && !verifies(sig, section, keys.Answer) {
				t.Errorf("signature does not verify: %s", sig)
			}
		}
	}
}

func verifies(sig *dns.RRSIG, section, keys []dns.RR) bool {
	var rrset []dns.RR
	for _, rr := range section {
		if rr.Header().Rrtype == sig.TypeCovered && strings.EqualFold(rr.Header().Name, sig.Hdr.Name) {
			rrset = append(rrset, rr)
		}
	}
	for _, rr := range keys {
		key, ok := rr.(*dns.DNSKEY)
		if ok && key.KeyTag() == sig.KeyTag && sig.Verify(key, rrset) == nil {
			return sig.ValidityPeriod(time.Now())
		}
	}
	return false
}

// TestNSECChain walks the chain of a zone: each name once, in order, without what lies below cuts.
func TestNSECChain(t *testing.T) {
	tree := dnstest.StartTree(t, signedInternet)
	want := []string{
		"test. NS SOA RRSIG NSEC DNSKEY", "alias.test. CNAME RRSIG NSEC", "deep.er.test. TXT RRSIG NSEC", "insecure.test. NS RRSIG NSEC",
		"ns.nic.test. A RRSIG NSEC", "old.test. DNAME RRSIG NSEC", "out.test. NS DS RRSIG NSEC", "a.root.test. A RRSIG NSEC", "secure.test. NS DS RRSIG NSEC",
		"self.test. NS RRSIG NSEC",
		"three.test. NS DS RRSIG NSEC", "*.wild.test. A RRSIG NSEC", "www.test. A RRSIG NSEC",
	}
	var got []string
	probe := "0.test." // after test. and before its first name
	for range 20 {
		r, err := exchange(t, tree, "udp", "@2", probe, dns.TypeA, 4096, true)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(r.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNSEC })
		if i < 0 {
			t.Fatalf("%s: no NSEC in %s", probe, r)
		}
		nsec := r.Ns[i].(*dns.NSEC)
		got = append(got, describe(nsec.Hdr.Name, nsec.TypeBitMap))
		if nsec.NextDomain == "test." {
			break
		}
		label, rest, _ := strings.Cut(nsec.NextDomain, ".")
		probe = label + "0." + rest // after the name and all below it
	}
	if !slices.Equal(got, want) {
		t.Errorf(" got %q\nwant %q", got, want)
	}
}

// TestNSEC3Chain collects the chains of two zones. With opt-out the insecure delegation is left out (RFC 5155 section 7.1).
func TestNSEC3Chain(t *testing.T) {
	tree := dnstest.StartTree(t, signedInternet)
	names := map[string]string{
		"": "NS SOA RRSIG DNSKEY NSEC3PARAM", "alias.": "CNAME RRSIG", "er.": "", "deep.er.": "TXT RRSIG", "old.": "DNAME RRSIG", "secure.": "NS DS RRSIG",
		"wild.": "", "*.wild.": "A RRSIG", "www.": "A RRSIG", "ns.": "A RRSIG",
	}
	for _, tc := range []struct {
		server, apex, salt string
		iterations         uint16
		flags              uint8
	}{{"@3", "three.test.", "AB", 3, 0}, {"@4", "out.test.", "", 0, 1}} {
		want := map[string]string{}
		for name, types := range names {
			want[dns.HashName(name+tc.apex, dns.SHA1, tc.iterations, tc.salt)] = types
		}
		if tc.flags == 0 {
			want[dns.HashName("insecure."+tc.apex, dns.SHA1, tc.iterations, tc.salt)] = "NS"
			want[dns.HashName("self."+tc.apex, dns.SHA1, tc.iterations, tc.salt)] = "NS"
		}
		hashes := slices.Sorted(maps.Keys(want))
		got := map[string]string{}
		for i, hash := range hashes {
			after := func(label string) bool { // is covered by the record of the hash
				h := dns.HashName(label+"."+tc.apex, dns.SHA1, tc.iterations, tc.salt)
				return h > hash && (i == len(hashes)-1 || h < hashes[i+1])
			}
			collectNSEC3(t, tree, tc.server, findLabel(after), tc.apex, tc.flags, got)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.apex, got, want)
		}
	}
}

func findLabel(fits func(string) bool) string {
	for n := 0; ; n++ {
		if label := fmt.Sprint("n", n); fits(label) {
			return label
		}
	}
}

// collectNSEC3 asks for a name below one that there is not, notes the types of each record that comes, and checks that they prove what they
// should.
func collectNSEC3(t *testing.T, tree *dnstest.Tree, server, label, apex string, flags uint8, got map[string]string) {
	t.Helper()
	r, err := exchange(t, tree, "udp", server, "a."+label+"."+apex, dns.TypeA, 4096, true)
	if err != nil {
		t.Fatal(err)
	}
	encloser, next, star := false, false, false
	for _, rr := range r.Ns {
		if nsec3, ok := rr.(*dns.NSEC3); ok {
			hash, types, _ := strings.Cut(describe(nsec3.Hdr.Name, nsec3.TypeBitMap), "."+apex)
			got[strings.ToUpper(hash)] = strings.TrimSpace(types)
			encloser, next, star = encloser || nsec3.Match(apex), next || nsec3.Cover(label+"."+apex), star || nsec3.Cover("*."+apex)
			if nsec3.Flags != flags {
				t.Errorf("%s: flags %d, want %d", label, nsec3.Flags, flags)
			}
		}
	}
	if !encloser || !next || !star {
		t.Errorf("%s: closest encloser %t, next closer name %t, wildcard %t in\n%s", label, encloser, next, star, r)
	}
}

func describe(owner string, types []uint16) string {
	words := []string{owner}
	for _, t := range types {
		words = append(words, dns.TypeToString[t])
	}
	return strings.Join(words, " ")
}

func TestSignaturesFollowTheClock(t *testing.T) {
	tree := dnstest.StartTree(t, signedInternet)
	for _, at := range []time.Time{time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2001, 1, 2, 3, 4, 5, 0, time.UTC)} {
		tree.SetClock(func() time.Time { return at })
		r, err := exchange(t, tree, "udp", "@2", "www.test.", dns.TypeA, 4096, true)
		if err != nil {
			t.Fatal(err)
		}
		sig := r.Answer[1].(*dns.RRSIG)
		if !sig.ValidityPeriod(at) || sig.ValidityPeriod(at.Add(-3*time.Hour)) || sig.ValidityPeriod(at.Add(15*24*time.Hour)) {
			t.Errorf("at %v: signature is valid from %d to %d", at, sig.Inception, sig.Expiration)
		}
	}
}

// TestKeysAreTheSame holds that a text makes the same keys in every run.
func TestKeysAreTheSame(t *testing.T) {
	for _, words := range []string{"alg=8", "alg=13", "alg=14", "alg=15", "alg=250"} {
		first := dnstest.StartTree(t, "zone . server a.root.test @1 sign "+words).Anchors()
		second := dnstest.StartTree(t, "zone . server a.root.test @1 sign "+words).Anchors()
		if first != second || first == "" {
			t.Errorf("%s: %s and %s", words, first, second)
		}
	}
}

// TestWordsOfSigning has the records of words and faults that make no difference to most validators.
func TestWordsOfSigning(t *testing.T) {
	for _, tc := range []struct{ words, want string }{
		{"sign", "DS 13/2, DNSKEY 257/3/13, DNSKEY 256/3/13, sig 13"},
		{"sign alg=250 digest=200", "DS 250/200, DNSKEY 257/3/250, DNSKEY 256/3/250, sig 250"},
		{"sign island", "DNSKEY 257/3/13, DNSKEY 256/3/13, sig 13"},
		{"sign keys=csk digest=1,2,4", "DS 13/1, DS 13/2, DS 13/4, DNSKEY 257/3/13, sig 13"},
		{"sign keys=ksk,standby,zsk,spare,revoked", "DS 13/2, DS 13/2, DNSKEY 257/3/13, DNSKEY 257/3/13, DNSKEY 256/3/13, DNSKEY 256/3/13, " +
			"DNSKEY 385/3/13, sig 13, sig 13"},
		{"sign alg=15,14 keys=csk", "DS 15/2, DS 14/2, DNSKEY 257/3/15, DNSKEY 257/3/14, sig 15, sig 14"},
		{"sign\n! sign zone.test extra-algo", "DS 13/2, DS 15/2, DNSKEY 257/3/13, DNSKEY 256/3/13, DNSKEY 257/3/15, sig 13"},
		{"sign\n! sign zone.test bad-protocol", "DS 13/2, DNSKEY 257/4/13, DNSKEY 256/4/13, sig 13"},
		{"sign\n! sign zone.test no-zone-flag", "DS 13/2, DNSKEY 1/3/13, DNSKEY 0/3/13, sig 13"},
		{"sign\n! sign zone.test origttl=30", "DS 13/2, DNSKEY 257/3/13, DNSKEY 256/3/13, sig 13 for 30"},
	} {
		tree := dnstest.StartTree(t, "zone test server ns.test @1\nzone zone.test server ns.zone.test @2 "+tc.words)
		var got []string
		for _, q := range []struct {
			server string
			qtype  uint16
		}{{"@1", dns.TypeDS}, {"@2", dns.TypeDNSKEY}} {
			r, err := exchange(t, tree, "tcp", q.server, "zone.test.", q.qtype, 1232, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, rr := range r.Answer {
				got = append(got, inShort(rr))
			}
		}
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.words, strings.Join(got, ", "), tc.want)
		}
	}
}

// TestLabels has signatures of wildcards that are not there: whoever does not count labels takes them for right.
func TestLabels(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4} {
		tree := dnstest.StartTree(t, fmt.Sprintf("zone example.test server ns.example.test @1 sign\nwww A 192.0.2.1\n! sign www.example.test labels=%d", n))
		r, err := exchange(t, tree, "udp", "@1", "www.example.test.", dns.TypeA, 1232, true)
		if err != nil || len(r.Answer) != 2 || int(r.Answer[1].(*dns.RRSIG).Labels) != n {
			t.Fatalf("labels=%d: got %v, %v", n, r, err)
		}
		if n <= 3 {
			verify(t, tree, "@1", "example.test.", r)
		}
	}
}

func inShort(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.DS:
		return fmt.Sprintf("DS %d/%d", rr.Algorithm, rr.DigestType)
	case *dns.DNSKEY:
		return fmt.Sprintf("DNSKEY %d/%d/%d", rr.Flags, rr.Protocol, rr.Algorithm)
	case *dns.RRSIG:
		if rr.OrigTtl != rr.Hdr.Ttl {
			return fmt.Sprintf("sig %d for %d", rr.Algorithm, rr.OrigTtl)
		}
		return fmt.Sprintf("sig %d", rr.Algorithm)
	}
	return rr.String()
}

// TestCompactDenials holds what a zone sends that denies each name by a record of its own (RFC 9824).
func TestCompactDenials(t *testing.T) {
	tree := dnstest.StartTree(t, `
		zone .         server a.root.test @1 sign
		zone test      server ns.test @2 sign compact
		    www        A 192.0.2.1
		    a.ent      A 192.0.2.2
	`)
	for _, tc := range []struct{ qname, want, nsec string }{
		{"no.test.", "NOERROR aa | | SOA sig(SOA) NSEC sig(NSEC) |", `no.test.	60	IN	NSEC	\000.no.test. RRSIG NSEC NXNAME`},
		{"www.test.", "NOERROR aa | | SOA sig(SOA) NSEC sig(NSEC) |", `www.test.	60	IN	NSEC	\000.www.test. A RRSIG NSEC`},
		{"ent.test.", "NOERROR aa | | SOA sig(SOA) NSEC sig(NSEC) |", `ent.test.	60	IN	NSEC	\000.ent.test. RRSIG NSEC`},
	} {
		r, err := exchange(t, tree, "udp", "@2", tc.qname, dns.TypeTXT, 4096, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := kinds(r); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.qname, got, tc.want)
		}
		verify(t, tree, "@2", "test.", r)
		if !slices.ContainsFunc(r.Ns, func(rr dns.RR) bool { return rr.String() == tc.nsec }) {
			t.Errorf("%s: got %v, want %s among them", tc.qname, r.Ns, tc.nsec)
		}
	}
	r, err := exchange(t, tree, "udp", "@2", "no.test.", dns.TypeTXT, 4096, false)
	if err != nil || r.Rcode != dns.RcodeNameError {
		t.Errorf("without DO: %v, %v", r, err)
	}
}
