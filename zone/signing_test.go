package zone_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/wire"
	"cenote/zone"

	"github.com/miekg/dns"
)

// ways are the ways of signing that tests go through.
func ways() map[string]zone.Signing {
	return map[string]zone.Signing{
		"default":       {},
		"Ed25519":       {Algorithm: dnssec.Ed25519},
		"NSEC3":         {Denial: zone.DenialNSEC3},
		"opt-out":       {Denial: zone.DenialNSEC3, OptOut: true},
		"compact":       {Denial: zone.DenialCompact},
		"two keys":      {Split: true},
		"two and NSEC3": {Split: true, Denial: zone.DenialNSEC3, Algorithm: dnssec.Ed25519},
	}
}

func beginSigning(t testing.TB, apex, dir string, p zone.Signing) zone.Signed {
	t.Helper()
	s, err := zone.NewSigned(dnsname.MustParse(apex), dir, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t testing.TB, s zone.Signed, plain, before *zone.Zone, at time.Time) (*zone.Zone, int) {
	t.Helper()
	z, made, err := s.Sign(plain, before, at)
	if err != nil {
		t.Fatal(err)
	}
	return z, made
}

// forSigning is the sample without what signers of BIND and of NLnet Labs call a fault.
var forSigning = strings.NewReplacer("uneven 70", "uneven 60", "uneven 80", "uneven 60").Replace(sample) +
	"signed NS ns.signed\nsigned DS 12345 13 2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nns.signed A 192.0.2.40\nfar.off NS ns.other.test.\n"

// TestOtherSignersAgree has dnssec-verify of BIND and ldns-verify-zone of NLnet Labs judge what is signed here, in the present as after half a year.
func TestOtherSignersAgree(t *testing.T) {
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			plain := load(t, "example", forSigning)
			s := beginSigning(t, "example", dir, way)
			present := time.Now() // dnssec-verify knows no other
			signed, _ := sign(t, s, plain, nil, present)
			verifySigned(t, signed, present)
			args := []string{"-o", "example.", writeZone(t, signed)}
			if !way.Split {
				args = slices.Insert(args, 0, "-z") // one key for all is right
			}
			runJudge(t, "dnssec-verify", args...)
			later := present.Add(183*24*time.Hour + 17*time.Minute)
			again, _ := sign(t, s, plain, signed, later)
			verifySigned(t, again, later)
		})
	}
}

// verifySigned has ldns-verify-zone judge a signed zone at a time.
func verifySigned(t *testing.T, z *zone.Zone, at time.Time) {
	t.Helper()
	runJudge(t, "ldns-verify-zone", "-t", at.UTC().Format("20060102150405"), writeZone(t, z))
}

// writeZone writes a zone to a file.
func writeZone(t testing.TB, z *zone.Zone) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zone")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.WriteMaster(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func runJudge(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program(t, name), args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// TestSignaturesAreMadeOnce signs a zone again: what has not changed keeps its signatures and its serial, over a restart too.
func TestSignaturesAreMadeOnce(t *testing.T) {
	dir := t.TempDir()
	plain := load(t, "example", sample)
	s := beginSigning(t, "example", dir, zone.Signing{})
	first, made := sign(t, s, plain, nil, now)
	if made == 0 || !first.Signed() || first.Serial() != 2024010102 {
		t.Fatalf("made %d signatures, signed %v, serial %d", made, first.Signed(), first.Serial())
	}
	if s.Due(now.Add(time.Minute)) {
		t.Error("the zone is due at once")
	}
	if again, made := sign(t, s, plain, first, now.Add(time.Minute)); made != 0 || dump(t, again) != dump(t, first) {
		t.Errorf("made %d signatures of what is there", made)
	}
	s = beginSigning(t, "example", dir, zone.Signing{})
	if again, _ := sign(t, s, plain, nil, now.Add(time.Minute)); dump(t, again) != dump(t, first) {
		t.Error("a restart changed the zone")
	}
	changed := load(t, "example", sample+"new A 192.0.2.99\n")
	second, few := sign(t, s, changed, first, now.Add(2*time.Minute))
	if few > 6 || second.Serial() != 2024010103 {
		t.Errorf("made %d signatures for one more name, serial %d", few, second.Serial())
	}
	raised := load(t, "example", strings.Replace(sample, "2024010101", "2024020101", 1))
	if third, _ := sign(t, s, raised, second, now.Add(3*time.Minute)); third.Serial() != 2024020101 {
		t.Errorf("the file's serial is 2024020101, and %d is served", third.Serial())
	}
}

func dump(t testing.TB, z *zone.Zone) string {
	t.Helper()
	var out bytes.Buffer
	if err := z.WriteMaster(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestSignaturesAreRenewedInSlices signs every hour for three weeks: none comes near its end, and no hour has the most of them.
func TestSignaturesAreRenewedInSlices(t *testing.T) {
	var text strings.Builder
	text.WriteString(sample)
	for i := range 500 {
		fmt.Fprintf(&text, "host%d A 192.0.2.1\n", i)
	}
	plain := load(t, "example", text.String())
	s := beginSigning(t, "example", t.TempDir(), zone.Signing{})
	signed, all := sign(t, s, plain, nil, now)
	for at := now; at.Before(now.Add(10 * 24 * time.Hour)); at = at.Add(time.Hour) {
		next, made := sign(t, s, plain, signed, at)
		if at != now && made > all/20 {
			t.Errorf("%v: %d of %d signatures at once", at, made, all)
		}
		if left := shortest(next, at); left < 7*24*time.Hour-time.Hour {
			t.Fatalf("%v: a signature holds for %v more", at, left)
		}
		signed = next
	}
}

// shortest is how long the signature holds that expires first.
func shortest(z *zone.Zone, at time.Time) time.Duration {
	least := time.Duration(1 << 62)
	for r := range z.All() {
		if r.Type == wire.TypeRRSIG {
			expires := time.Unix(int64(uint32(r.Data[8])<<24|uint32(r.Data[9])<<16|uint32(r.Data[10])<<8|uint32(r.Data[11])), 0)
			least = min(least, expires.Sub(at))
		}
	}
	return least
}

// TestEveryAnswerOfASignedZoneIsSecure asks random questions, and has the validator judge each answer.
func TestEveryAnswerOfASignedZoneIsSecure(t *testing.T) {
	for name, way := range ways() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := beginSigning(t, "example", t.TempDir(), way)
			signed, _ := sign(t, s, load(t, "example", forSigning), nil, now)
			v := newView(t, signed, now)
			set := signedSet(t, s, signed)
			random := rand.New(rand.NewPCG(1, 2))
			for _, q := range questions(random, signed, 400) {
				v.judge(t, ask(t, set, q.Name, q.Qtype, true), q)
			}
		})
	}
}

// questions are random names near those of a zone, with random types.
func questions(random *rand.Rand, z *zone.Zone, n int) (out []dns.Question) {
	var names []string
	for r := range z.All() {
		names = append(names, r.Owner.String())
	}
	types := []uint16{dns.TypeA, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeDNSKEY, dns.TypeCNAME, dns.TypeCDS, dns.TypeAAAA}
	for range n {
		name := names[random.IntN(len(names))]
		switch random.IntN(4) {
		case 0:
			name = "x." + name
		case 1:
			name = fmt.Sprintf("n%d.%s", random.IntN(1000), name)
		case 2:
			if _, rest, ok := strings.Cut(name, "."); ok && strings.HasSuffix(rest, "example") {
				name = rest
			}
		}
		if strings.HasPrefix(name, "*.") {
			name = "any" + name[1:]
		}
		out = append(out, dns.Question{Name: name, Qtype: types[random.IntN(len(types))]})
	}
	return out
}

// view is a validator that trusts the zone's keys.
type view struct {
	zone   *dnssec.Zone
	apex   []byte
	at     time.Time
	optOut bool // the zone leaves out delegations that are not signed, so that not all can be proved
}

// takes reports whether a verdict is as good as it can be.
func (v *view) takes(verdict dnssec.Verdict) bool {
	return verdict.Status == dnssec.Secure || v.optOut && verdict.Status == dnssec.Insecure
}

// optsOut reports whether a zone has NSEC3 records with opt-out.
func optsOut(z *zone.Zone) bool {
	for r := range z.All() {
		if r.Type == wire.TypeNSEC3 && r.Data[1] == 1 {
			return true
		}
	}
	return false
}

// newView trusts the keys of a zone by the DS record that its CDS records would be, or that of any key of it that is for the parent.
func newView(t testing.TB, z *zone.Zone, at time.Time) *view {
	t.Helper()
	apex := []byte(z.Name())
	keys := setIn(z, z.Name(), wire.TypeDNSKEY)
	var ds [][]byte
	for _, key := range keys.RData {
		if key[1]&1 != 0 {
			ds = append(ds, dnssec.DS(dnssec.DigestSHA256, z.Name(), key))
		}
	}
	trusted, v := dnssec.Trust(apex, ds, keys, at, dnssec.NewWork())
	if v.Status != dnssec.Secure {
		t.Fatalf("the keys are %v", v)
	}
	return &view{trusted, apex, at, optsOut(z)}
}

// setIn is a set of a zone with its signatures.
func setIn(z *zone.Zone, owner dnsname.Name, rtype uint16) *dnssec.Set {
	out := &dnssec.Set{Name: []byte(owner), Type: rtype, Class: 1}
	for r := range z.All() {
		switch {
		case r.Owner != owner:
		case r.Type == rtype:
			out.RData, out.TTL = append(out.RData, r.Data), r.TTL
		case r.Type == wire.TypeRRSIG && uint16(r.Data[0])<<8|uint16(r.Data[1]) == rtype:
			out.Sigs = append(out.Sigs, r.Data)
		}
	}
	return out
}

// judge fails unless an answer is proved.
func (v *view) judge(t testing.TB, m *dns.Msg, q dns.Question) {
	t.Helper()
	work := dnssec.NewWork()
	var nsecs []*dnssec.Set
	var expanded []dnssec.Checked
	var names [][]byte
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, s := range setsOf(t, section) {
			made := s.Type == wire.TypeCNAME && hasDNAME(m.Answer, s) // RFC 6672 section 5.3.1: it has no signature
			if made || s.Type == wire.TypeNS && !m.Authoritative {
				continue
			}
			c := v.zone.Check(s, v.at, work)
			if c.Status != dnssec.Secure {
				t.Fatalf("%s %s: %s %s is %v\n%v", q.Name, dns.TypeToString[q.Qtype], nameText(s.Name), dns.TypeToString[s.Type], c.Verdict, m)
			}
			if s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 {
				nsecs = append(nsecs, s)
			}
			if c.Wildcard {
				expanded, names = append(expanded, c), append(names, s.Name)
			}
		}
	}
	d := dnssec.NewDenial(v.apex, nsecs, work)
	for i, c := range expanded {
		if verdict := d.Expanded(names[i], c.Encloser); !v.takes(verdict) {
			t.Fatalf("%s: made from a wildcard: %v\n%v", q.Name, verdict, m)
		}
	}
	v.judgeAbsence(t, m, q, d)
}

// judgeAbsence fails unless what an answer says is not there is proved.
func (v *view) judgeAbsence(t testing.TB, m *dns.Msg, q dns.Question, d *dnssec.Denial) {
	t.Helper()
	last := []byte(dnsname.MustParse(q.Name).Canonical())
	for _, rr := range m.Answer {
		if alias, ok := rr.(*dns.CNAME); ok && strings.EqualFold(alias.Hdr.Name, dns.Fqdn(nameText(last))) && q.Qtype != dns.TypeCNAME {
			last = []byte(dnsname.MustParse(strings.TrimSuffix(alias.Target, ".")).Canonical())
		}
	}
	verdict := dnssec.Verdict{Status: dnssec.Secure}
	answered := slices.ContainsFunc(m.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == q.Qtype })
	hasDS := slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDS })
	switch {
	case !m.Authoritative && !hasDS && len(m.Answer) == 0:
		cut := []byte(dnsname.MustParse(strings.TrimSuffix(m.Ns[0].Header().Name, ".")).Canonical())
		var what dnssec.Cut
		if what, verdict = d.Unsigned(cut); what != dnssec.CutDelegation {
			t.Errorf("%s: the cut is %v", q.Name, what)
		}
	case m.Rcode == dns.RcodeNameError:
		verdict = d.NameError(last)
	case m.Authoritative && !answered && dnsname.Name(last).IsBelow(dnsname.Name(v.apex)) && len(setsOf(t, m.Ns)) > 0:
		verdict = d.NoData(last, q.Qtype)
	}
	if !v.takes(verdict) {
		t.Errorf("%s %s: that it is not there is %v\n%v", q.Name, dns.TypeToString[q.Qtype], verdict, m)
	}
}

func nameText(wireName []byte) string { return dnsname.Name(wireName).String() }

func hasDNAME(answer []dns.RR, s *dnssec.Set) bool {
	return slices.ContainsFunc(answer, func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeDNAME && dns.IsSubDomain(rr.Header().Name, dns.Fqdn(nameText(s.Name)))
	})
}

// setsOf are the sets of a section with their signatures.
func setsOf(t testing.TB, section []dns.RR) (out []*dnssec.Set) {
	t.Helper()
	buf := make([]byte, 65535)
	for _, rr := range section {
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		n, _, err := dnsname.Check(buf)
		if err != nil {
			t.Fatal(err)
		}
		owner, data := dnsname.Name(buf[:n]).Canonical(), bytes.Clone(buf[n+10:end])
		rtype := rr.Header().Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			rtype = sig.TypeCovered
		}
		at := slices.IndexFunc(out, func(s *dnssec.Set) bool { return string(s.Name) == string(owner) && s.Type == rtype })
		if at < 0 {
			at = len(out)
			out = append(out, &dnssec.Set{Name: []byte(owner), Type: rtype, Class: 1, TTL: rr.Header().Ttl})
		}
		if rr.Header().Rrtype == dns.TypeRRSIG {
			out[at].Sigs = append(out[at].Sigs, data)
		} else {
			out[at].RData = append(out[at].RData, data)
		}
	}
	return out
}

// TestSigningRefuses wants clear words where a zone cannot be signed.
func TestSigningRefuses(t *testing.T) {
	dir := t.TempDir()
	s := beginSigning(t, "example", dir, zone.Signing{})
	for _, tc := range []struct{ name, line, want string }{
		{"keys of its own", "@ DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==\n", "has DNSKEY records"},
		{"a chain of its own", "www NSEC example. A\n", "has NSEC records"},
	} {
		_, _, err := s.Sign(load(t, "example", sample+tc.line), nil, now)
		if !errors.Is(err, zone.ErrSigning) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	sign(t, s, load(t, "example", sample), nil, now)
	path := filepath.Join(dir, "example", "state.json")
	state, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := filepath.Glob(filepath.Join(dir, "example", "K*.private"))
	for _, tc := range []struct{ name, path, text, want string }{
		{"a state that is cut", path, string(state[:len(state)/2]), "reading the state of signing"},
		{"a key of another directory", path, strings.Replace(string(state), `"file": "K`, `"file": "../K`, 1), "outside"},
		{"another key", path, strings.Replace(string(state), `"tag": `, `"tag": 1`, 1), "reading the "},
		{"a key that is cut", key[0], "Private-key-format: v1.3\n", "reading the key"},
		{"a key of another format", key[0], "Private-key-format: v2\n", "v1.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kept, err := os.ReadFile(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			defer os.WriteFile(tc.path, kept, 0o600)
			os.WriteFile(tc.path, []byte(tc.text), 0o600)
			if _, err := zone.NewSigned(dnsname.MustParse("example"), dir, zone.Signing{}); !errors.Is(err, zone.ErrSigning) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
	for _, path := range []string{path, key[0]} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", path, info.Mode(), err)
		}
	}
}

// TestOthersReadTheKeys has BIND read a key that was made here, and tell its DS record.
func TestOthersReadTheKeys(t *testing.T) {
	for name, way := range ways() {
		dir := t.TempDir()
		s := beginSigning(t, "example", dir, way)
		sign(t, s, load(t, "example", sample), nil, now)
		for _, k := range s.Keys(now) {
			if k.DS == "" {
				continue
			}
			out, err := exec.Command(program(t, "dnssec-dsfromkey"), "-2", k.File).CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != k.DS {
				t.Errorf("%s: dnssec-dsfromkey says %s (%v), and here it is %s", name, got, err, k.DS)
			}
			if _, err := hex.DecodeString(k.DS[strings.LastIndexByte(k.DS, ' ')+1:]); err != nil {
				t.Error(err)
			}
		}
	}
}
