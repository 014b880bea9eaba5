package dnssec_test

import (
	"slices"
	"strings"
	"testing"

	"cenote/dnsname"
	"cenote/dnssec"

	"github.com/miekg/dns"
)

// unsignedSets are sets of records as if they had been checked, one a record.
func unsignedSets(t testing.TB, text string) []*dnssec.Set {
	t.Helper()
	var out []*dnssec.Set
	for _, rr := range records(t, text) {
		out = append(out, set(t, rr))
	}
	return out
}

// rfc4035 is the NSEC chain of the zone of RFC 4035 appendix A.
const rfc4035 = `example. 3600 IN NSEC a.example. NS SOA MX RRSIG NSEC DNSKEY
a.example. 3600 IN NSEC ai.example. NS DS RRSIG NSEC
ai.example. 3600 IN NSEC b.example. A HINFO AAAA RRSIG NSEC
b.example. 3600 IN NSEC ns1.example. NS RRSIG NSEC
ns1.example. 3600 IN NSEC ns2.example. A RRSIG NSEC
ns2.example. 3600 IN NSEC *.w.example. A RRSIG NSEC
*.w.example. 3600 IN NSEC x.w.example. MX RRSIG NSEC
x.w.example. 3600 IN NSEC x.y.w.example. MX RRSIG NSEC
x.y.w.example. 3600 IN NSEC xx.example. MX RRSIG NSEC
xx.example. 3600 IN NSEC example. A HINFO AAAA RRSIG NSEC`

// rfc5155 is the NSEC3 chain of the zone of RFC 5155 appendix A.
const rfc5155 = `0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 3600 IN NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG
2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. 3600 IN NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG
2vptu5timamqttgl4luu9kg21e0aor3s.example. 3600 IN NSEC3 1 1 12 aabbccdd 35mthgpgcu1qg68fab165klnsnk3dpvl MX RRSIG
35mthgpgcu1qg68fab165klnsnk3dpvl.example. 3600 IN NSEC3 1 1 12 aabbccdd b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG
b4um86eghhds6nea196smvmlo4ors995.example. 3600 IN NSEC3 1 1 12 aabbccdd gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG
gjeqe526plbf1g8mklp59enfd789njgi.example. 3600 IN NSEC3 1 1 12 aabbccdd ji6neoaepv8b5o6k4ev33abha8ht9fgc HINFO A AAAA RRSIG
ji6neoaepv8b5o6k4ev33abha8ht9fgc.example. 3600 IN NSEC3 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h
k8udemvp1j2f7eg6jebps17vp3n8i58h.example. 3600 IN NSEC3 1 1 12 aabbccdd q04jkcevqvmu85r014c7dkba38o0ji5r
q04jkcevqvmu85r014c7dkba38o0ji5r.example. 3600 IN NSEC3 1 1 12 aabbccdd r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG
r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. 3600 IN NSEC3 1 1 12 aabbccdd t644ebqk9bibcna874givr6joj62mlhv MX RRSIG
t644ebqk9bibcna874givr6joj62mlhv.example. 3600 IN NSEC3 1 1 12 aabbccdd 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom HINFO A AAAA RRSIG`

// TestHashNames holds the hashes of RFC 5155 appendix A.
func TestHashNames(t *testing.T) {
	for n, want := range map[string]string{
		"example": "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "a.example": "35mthgpgcu1qg68fab165klnsnk3dpvl", "ai.example": "gjeqe526plbf1g8mklp59enfd789njgi",
		"ns1.example": "2t7b4g4vsa5smi47k61mv5bv1a22bojr", "ns2.example": "q04jkcevqvmu85r014c7dkba38o0ji5r", "w.example": "k8udemvp1j2f7eg6jebps17vp3n8i58h",
		"*.w.example": "r53bq7cc2uvmubfu5ocmm6pers9tk9en", "x.w.example": "b4um86eghhds6nea196smvmlo4ors995", "y.w.example": "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
		"x.y.w.example": "2vptu5timamqttgl4luu9kg21e0aor3s", "xx.example": "t644ebqk9bibcna874givr6joj62mlhv",
	} {
		h := dnssec.HashName(name(n), 12, []byte{0xaa, 0xbb, 0xcc, 0xdd})
		if got := dnssec.Base32Hex(h[:]); got != want {
			t.Errorf("H(%s) = %s, want %s", n, got, want)
		}
	}
}

// TestDenialOfTheRFCs asks about the zones of RFC 4035 and RFC 5155 what their appendices B do, and what must not be concluded.
func TestDenialOfTheRFCs(t *testing.T) {
	const (
		nameError = iota
		noData
		expanded
	)
	for _, tc := range []struct {
		section string
		chain   string
		owners  string // of the records that are sent; "" for all of the section's own
		ask     int
		name    string
		qtype   uint16
		status  dnssec.Status
		code    uint16
	}{
		{"4035 B.2 name error", rfc4035, "b.example. example.", nameError, "ml.example.", 0, dnssec.Secure, dnssec.CodeNone},
		{"4035 B.2 without the wildcard", rfc4035, "b.example.", nameError, "ml.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
		{"4035 B.2 without the name", rfc4035, "example.", nameError, "ml.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
		{"4035 B.3 no data", rfc4035, "ns1.example.", noData, "ns1.example.", dns.TypeMX, dnssec.Secure, dnssec.CodeNone},
		{"4035 B.3 for a type that is there", rfc4035, "ns1.example.", noData, "ns1.example.", dns.TypeA, dnssec.Bogus, dnssec.CodeBogus},
		{"4035 B.5 unsigned referral", rfc4035, "b.example.", noData, "b.example.", dns.TypeDS, dnssec.Secure, dnssec.CodeNone},
		{"4035 B.4 signed referral", rfc4035, "a.example.", noData, "a.example.", dns.TypeDS, dnssec.Bogus, dnssec.CodeBogus},
		{"4035 B.6 wildcard", rfc4035, "x.y.w.example.", expanded, "a.z.w.example.", 0, dnssec.Secure, dnssec.CodeNone},
		{"4035 B.6 for a name that is there", rfc4035, "x.w.example.", expanded, "x.y.w.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
		{"4035 B.7 wildcard no data", rfc4035, "x.y.w.example. *.w.example.", noData, "a.z.w.example.", dns.TypeAAAA, dnssec.Secure, dnssec.CodeNone},
		{"4035 B.7 for a type that is there", rfc4035, "x.y.w.example. *.w.example.", noData, "a.z.w.example.", dns.TypeMX, dnssec.Bogus, dnssec.CodeBogus},
		{"4035 B.8 DS of the child", rfc4035, "example.", noData, "example.", dns.TypeDS, dnssec.Bogus, dnssec.CodeNoProof},
		{"4035 empty name", rfc4035, "x.w.example.", noData, "y.w.example.", dns.TypeA, dnssec.Secure, dnssec.CodeNone},
		{"4035 empty name is no name error", rfc4035, "x.w.example. *.w.example. ns2.example.", nameError, "y.w.example.", 0, dnssec.Bogus, dnssec.CodeBogus},
		{"4035 below a delegation", rfc4035, "b.example. example.", nameError, "x.b.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
		{"4035 at a delegation", rfc4035, "b.example.", noData, "b.example.", dns.TypeA, dnssec.Bogus, dnssec.CodeNoProof},
		{"4035 another zone's name", rfc4035, "example.", nameError, "ml.test.", 0, dnssec.Bogus, dnssec.CodeBogus},

		{"5155 B.1 name error", rfc5155, "0p9 b4u 35m", nameError, "a.c.x.w.example.", 0, dnssec.Insecure, dnssec.CodeNone},
		{"5155 B.1 without the wildcard", rfc5155, "0p9 b4u", nameError, "a.c.x.w.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
		{"5155 B.1 without the encloser", rfc5155, "0p9 35m", nameError, "a.c.x.w.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
		{"5155 B.2 no data", rfc5155, "2t7", noData, "ns1.example.", dns.TypeMX, dnssec.Secure, dnssec.CodeNone},
		{"5155 B.2.1 empty name", rfc5155, "ji6", noData, "y.w.example.", dns.TypeA, dnssec.Secure, dnssec.CodeNone},
		{"5155 B.3 opt-out referral", rfc5155, "35m 0p9", noData, "c.example.", dns.TypeDS, dnssec.Insecure, dnssec.CodeNone},
		{"5155 B.4 wildcard", rfc5155, "q04", expanded, "a.z.w.example.", 0, dnssec.Insecure, dnssec.CodeNone},
		{"5155 B.5 wildcard no data", rfc5155, "k8u q04 r53", noData, "a.z.w.example.", dns.TypeAAAA, dnssec.Insecure, dnssec.CodeNone},
		{"5155 B.6 DS of the child", rfc5155, "0p9", noData, "example.", dns.TypeDS, dnssec.Bogus, dnssec.CodeNoProof},
		{"5155 DS of a signed delegation", rfc5155, "35m", noData, "a.example.", dns.TypeDS, dnssec.Bogus, dnssec.CodeBogus},
		{"5155 below a signed delegation", rfc5155, "35m 0p9 t64 k8u q04 2t7", nameError, "x.a.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
		{"5155 at a delegation", rfc5155, "35m", noData, "a.example.", dns.TypeA, dnssec.Bogus, dnssec.CodeNoProof},
		{"5155 a name that exists", rfc5155, "2t7 0p9", nameError, "ns1.example.", 0, dnssec.Bogus, dnssec.CodeBogus},
		{"no records", "", "", nameError, "ml.example.", 0, dnssec.Bogus, dnssec.CodeNoProof},
	} {
		t.Run(tc.section, func(t *testing.T) {
			d := dnssec.NewDenial(name("example."), pick(t, tc.chain, tc.owners), dnssec.NewWork())
			var got dnssec.Verdict
			switch tc.ask {
			case nameError:
				got = d.NameError(name(tc.name))
			case noData:
				got = d.NoData(name(tc.name), tc.qtype)
			case expanded:
				got = d.Expanded(name(tc.name), name("w.example."))
			}
			want(t, got, tc.status, tc.code)
		})
	}
}

// pick returns the sets of a chain whose owners begin with one of these words, or are it.
func pick(t *testing.T, chain, owners string) []*dnssec.Set {
	var out []*dnssec.Set
	words := strings.Fields(owners)
	for _, rr := range records(t, chain) {
		owner := rr.Header().Name
		if slices.ContainsFunc(words, func(w string) bool {
			return owner == w || rr.Header().Rrtype == dns.TypeNSEC3 && strings.HasPrefix(owner, w)
		}) {
			out = append(out, set(t, rr))
		}
	}
	if len(out) != len(words) {
		t.Fatalf("%d records have the owners %q", len(out), owners)
	}
	return out
}

// TestTrapsOfNSEC holds what single records must not be taken for.
func TestTrapsOfNSEC(t *testing.T) {
	ask := func(text string, f func(*dnssec.Denial) dnssec.Verdict) dnssec.Verdict {
		return f(dnssec.NewDenial(name("example."), unsignedSets(t, text), dnssec.NewWork()))
	}
	noData := func(n string, qtype uint16) func(*dnssec.Denial) dnssec.Verdict {
		return func(d *dnssec.Denial) dnssec.Verdict { return d.NoData(name(n), qtype) }
	}
	nameError := func(n string) func(*dnssec.Denial) dnssec.Verdict {
		return func(d *dnssec.Denial) dnssec.Verdict { return d.NameError(name(n)) }
	}
	for _, tc := range []struct {
		name, records string
		ask           func(*dnssec.Denial) dnssec.Verdict
		status        dnssec.Status
	}{
		{"an alias has no data of its own", "a.example. 1 IN NSEC b.example. CNAME RRSIG NSEC", noData("a.example.", dns.TypeA), dnssec.Bogus},
		{"a DNAME speaks for what is below", "a.example. 1 IN NSEC c.example. DNAME RRSIG NSEC\nexample. 1 IN NSEC a.example. SOA NS", nameError("x.a.example."), dnssec.Bogus},
		{"and not for what is beside", "a.example. 1 IN NSEC c.example. DNAME RRSIG NSEC\nexample. 1 IN NSEC a.example. SOA NS", nameError("b.example."), dnssec.Secure},
		{"the last record leads to the apex", "x.example. 1 IN NSEC example. A\nexample. 1 IN NSEC x.example. SOA NS", nameError("z.example."), dnssec.Secure},
		{"a record that leads back elsewhere is none", "x.example. 1 IN NSEC b.example. A\nexample. 1 IN NSEC x.example. SOA NS", nameError("z.example."), dnssec.Bogus},
		{"nor does it speak of its owner", "x.example. 1 IN NSEC b.example. A", noData("x.example.", dns.TypeAAAA), dnssec.Bogus},
		{"a record out of the zone is none", "example. 1 IN NSEC z.test. SOA NS", nameError("b.example."), dnssec.Bogus},
		{"one record can do for name and wildcard", "example. 1 IN NSEC example. SOA NS RRSIG NSEC", nameError("b.example."), dnssec.Secure},
		{"an only name has no data", "example. 1 IN NSEC example. SOA NS RRSIG NSEC", noData("example.", dns.TypeA), dnssec.Secure},
		{"upper case in the next name", "example. 1 IN NSEC B.EXAMPLE. SOA NS RRSIG NSEC", nameError("a.example."), dnssec.Secure},
		{"a wildcard that is empty but has names below", "example. 1 IN NSEC x.*.example. SOA NS\nx.*.example. 1 IN NSEC example. A", nameError("a.example."), dnssec.Bogus},
		{"and so has no data", "example. 1 IN NSEC x.*.example. SOA NS\nx.*.example. 1 IN NSEC example. A", noData("a.example.", dns.TypeA), dnssec.Secure},
		{"a lie in white (RFC 4470)", "a.example. 1 IN NSEC a\\000.example. RRSIG NSEC", noData("a.example.", dns.TypeA), dnssec.Secure},
		{"compact denial (RFC 9824)", "a.example. 1 IN NSEC \\000.a.example. RRSIG NSEC TYPE128", noData("a.example.", dns.TypeA), dnssec.Secure},
		{"everything that a name has", "a.example. 1 IN NSEC b.example. RRSIG NSEC A", noData("a.example.", dns.TypeANY), dnssec.Bogus},
		{"everything that an empty name has", "a.example. 1 IN NSEC \\000.a.example. RRSIG NSEC", noData("a.example.", dns.TypeANY), dnssec.Secure},
		{"a type of a high window", "a.example. 1 IN NSEC b.example. A RRSIG NSEC CAA", noData("a.example.", dns.TypeCAA), dnssec.Bogus},
		{"a type beside it", "a.example. 1 IN NSEC b.example. A RRSIG NSEC CAA", noData("a.example.", dns.TypeCAA+1), dnssec.Secure},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ask(tc.records, tc.ask); got.Status != tc.status {
				t.Errorf("got %v, want %v", got, tc.status)
			}
		})
	}
}

// TestRootDenies holds proofs in the root, where there is no label to take away.
func TestRootDenies(t *testing.T) {
	sets := unsignedSets(t, ". 1 IN NSEC aaa. NS SOA RRSIG NSEC DNSKEY\ncom. 1 IN NSEC community. NS DS RRSIG NSEC")
	d := dnssec.NewDenial([]byte{0}, sets, dnssec.NewWork())
	want(t, d.NameError(name("comm.")), dnssec.Secure, dnssec.CodeNone)
	want(t, d.NameError(name("x.comm.")), dnssec.Secure, dnssec.CodeNone)
	want(t, d.NameError(name("x.com.")), dnssec.Bogus, dnssec.CodeNoProof)
	want(t, d.NoData([]byte{0}, dns.TypeDS), dnssec.Secure, dnssec.CodeNone)
	want(t, d.NoData([]byte{0}, dns.TypeA), dnssec.Secure, dnssec.CodeNone)
}

// TestCuts holds what Unsigned says of each kind of name.
func TestCuts(t *testing.T) {
	for _, tc := range []struct {
		name, chain, owners string
		cut                 dnssec.Cut
		status              dnssec.Status
	}{
		{"b.example.", rfc4035, "b.example.", dnssec.CutDelegation, dnssec.Secure},
		{"a.example.", rfc4035, "a.example.", dnssec.CutUnknown, dnssec.Bogus},
		{"ai.example.", rfc4035, "ai.example.", dnssec.CutNone, dnssec.Secure},
		{"y.w.example.", rfc4035, "x.w.example.", dnssec.CutNone, dnssec.Secure},
		{"c.example.", rfc4035, "b.example.", dnssec.CutAbsent, dnssec.Secure},
		{"x.b.example.", rfc4035, "b.example.", dnssec.CutUnknown, dnssec.Bogus},
		{"example.", rfc4035, "example.", dnssec.CutUnknown, dnssec.Bogus},
		{"b.test.", rfc4035, "b.example.", dnssec.CutUnknown, dnssec.Bogus},
		{"c.example.", rfc5155, "0p9 35m", dnssec.CutDelegation, dnssec.Insecure},
		{"x.y.c.example.", rfc5155, "0p9 35m", dnssec.CutDelegation, dnssec.Insecure},
		{"a.example.", rfc5155, "35m", dnssec.CutUnknown, dnssec.Bogus},
		{"ns1.example.", rfc5155, "2t7", dnssec.CutNone, dnssec.Secure},
		{"w.example.", rfc5155, "k8u", dnssec.CutNone, dnssec.Secure},
	} {
		d := dnssec.NewDenial(name("example."), pick(t, tc.chain, tc.owners), dnssec.NewWork())
		cut, v := d.Unsigned(name(tc.name))
		if cut != tc.cut || v.Status != tc.status {
			t.Errorf("%s: got %v, %v, want %v, %v", tc.name, cut, v, tc.cut, tc.status)
		}
	}
}

// TestUnknownNSEC3 holds that records with hashes or flags that nobody knows, of another zone, or malformed, prove nothing.
func TestUnknownNSEC3(t *testing.T) {
	good := pick(t, rfc5155, "2t7")[0]
	edit := func(f func(*dnssec.Set)) *dnssec.Set { c := clone(good); f(c); return c }
	for _, tc := range []struct {
		name string
		set  *dnssec.Set
	}{
		{"hash 2", edit(func(s *dnssec.Set) { s.RData[0][0] = 2 })},
		{"flag 2", edit(func(s *dnssec.Set) { s.RData[0][1] |= 2 })},
		{"salt that is too long", edit(func(s *dnssec.Set) { s.RData[0][4] = 200 })},
		{"hash of 19 octets", edit(func(s *dnssec.Set) { s.RData[0][9] = 19 })},
		{"cut", edit(func(s *dnssec.Set) { s.RData[0] = s.RData[0][:20] })},
		{"bitmap with an empty window", edit(func(s *dnssec.Set) { s.RData[0] = append(s.RData[0], 5, 0) })},
		{"bitmap with windows out of order", edit(func(s *dnssec.Set) { s.RData[0] = append(s.RData[0], 0, 1, 1) })},
		{"owner that is no hash", edit(func(s *dnssec.Set) { s.Name[1] = 'z' })},
		{"owner deeper in the zone", edit(func(s *dnssec.Set) { s.Name = append(s.Name[:33:33], name("x.example.")...) })},
		{"made from a wildcard", edit(func(s *dnssec.Set) {
			sig := make([]byte, 30)
			sig[3] = 1
			s.Sigs = [][]byte{sig}
		})},
	} {
		v := dnssec.NewDenial(name("example."), []*dnssec.Set{tc.set}, dnssec.NewWork()).NoData(name("ns1.example."), dns.TypeMX)
		if v.Status != dnssec.Bogus || v.Code != dnssec.CodeNoProof {
			t.Errorf("%s: got %v, want bogus (12)", tc.name, v)
		}
	}
	want(t, dnssec.NewDenial(name("example."), []*dnssec.Set{good}, dnssec.NewWork()).NoData(name("ns1.example."), dns.TypeMX), dnssec.Secure, dnssec.CodeNone)
}

// TestLongNames holds that names at the limit of length are denied though no wildcard fits above them.
func TestLongNames(t *testing.T) {
	long := name("example.")
	for len(long)+50 < dnsname.WireMax {
		long = append(append([]byte{49}, strings.Repeat("x", 49)...), long...)
	}
	rest := dnsname.WireMax - len(long) - 1
	long = append(append([]byte{byte(rest)}, strings.Repeat("y", rest)...), long...)
	for _, kind := range []worldKind{{}, {nsec3: true}} {
		w := newWorld(t, ecSigner(t, "example.", 257), "example.", kind, "a 300 IN A 192.0.2.1\n")
		d := dnssec.NewDenial(name("example."), w.prove(dnsname.Name(long)), dnssec.NewWork())
		want(t, d.NameError(long), dnssec.Secure, dnssec.CodeNone)
	}
}

// TestExpandedNeedsAnAncestor holds that an encloser which is none proves nothing.
func TestExpandedNeedsAnAncestor(t *testing.T) {
	d := dnssec.NewDenial(name("example."), pick(t, rfc4035, "b.example. example."), dnssec.NewWork())
	for _, encloser := range []string{"x.example.", "c.example.", "test.", "."} {
		want(t, d.Expanded(name("c.example."), name(encloser)), dnssec.Bogus, dnssec.CodeBogus)
	}
	want(t, d.Expanded(name("c.example."), name("example.")), dnssec.Secure, dnssec.CodeNone)
}

// TestChainsAreNotMixed holds that records of different parameters do not make one proof, and that a record which shows a name counts more than one
// that denies it, as when an old one is replayed.
func TestChainsAreNotMixed(t *testing.T) {
	sets := pick(t, rfc5155, "0p9 b4u 35m")
	ask := func() dnssec.Verdict {
		return dnssec.NewDenial(name("example."), sets, dnssec.NewWork()).NameError(name("a.c.x.w.example."))
	}
	want(t, ask(), dnssec.Insecure, dnssec.CodeNone)
	sets[2].RData[0][5]++ // the salt
	want(t, ask(), dnssec.Bogus, dnssec.CodeNoProof)
	d := dnssec.NewDenial(name("example."), unsignedSets(t, "a.example. 1 IN NSEC c.example. A\nb.example. 1 IN NSEC c.example. A\nexample. 1 IN NSEC a.example. SOA NS"), dnssec.NewWork())
	want(t, d.Expanded(name("b.example."), name("example.")), dnssec.Bogus, dnssec.CodeNoProof)
	want(t, d.NameError(name("b.example.")), dnssec.Bogus, dnssec.CodeBogus)
	want(t, d.NameError(name("bb.example.")), dnssec.Secure, dnssec.CodeNone)
}

// TestCompactDenialOfAName: a record of the name that says so and nothing else denies the name; what else is said of it, or of other names, does not.
func TestCompactDenialOfAName(t *testing.T) {
	n := dnssec.HashName(name("no.example"), 0, nil)
	hashed := dnssec.Base32Hex(n[:])
	for _, c := range []struct {
		records, name string
		want          bool
	}{
		{`no.example. 300 IN NSEC \000.no.example. RRSIG NSEC TYPE128`, "no.example", true},
		{`no.example. 300 IN NSEC \000.no.example. RRSIG NSEC`, "no.example", false}, // nothing at it but names below
		{`no.example. 300 IN NSEC \000.no.example. A RRSIG NSEC TYPE128`, "no.example", false},
		{`no.example. 300 IN NSEC \000.no.example. RRSIG NSEC TYPE128`, "other.example", false},
		{`no.example. 300 IN NSEC \000.no.example. RRSIG NSEC TYPE128`, "a.no.example", false},
		{hashed + `.example. 300 IN NSEC3 1 0 0 - ` + hashed[:31] + `v TYPE128`, "no.example", true},
		{hashed + `.example. 300 IN NSEC3 1 0 0 - ` + hashed[:31] + `v A RRSIG`, "no.example", false},
		{hashed + `.example. 300 IN NSEC3 1 0 0 - ` + hashed[:31] + `v TYPE128`, "other.example", false},
		{`no.test. 300 IN NSEC \000.no.test. RRSIG NSEC TYPE128`, "no.test", false}, // another zone's
	} {
		d := dnssec.NewDenial(name("example"), unsignedSets(t, c.records), dnssec.NewWork())
		if got := d.Absent(name(c.name)); got != c.want {
			t.Errorf("%s: %s is denied: %v, want %v", c.records, c.name, got, c.want)
		}
		if v := d.NoData(name(c.name), dns.TypeA); c.want && v.Status != dnssec.Secure {
			t.Errorf("%s: and there is nothing at it: %v", c.records, v)
		}
	}
}
