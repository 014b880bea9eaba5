package zone_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/zone"

	"github.com/miekg/dns"
)

// program is dnstest.Program.
func program(t *testing.T, name string) string {
	t.Helper()
	return dnstest.Program(t, name)
}

// startPeer runs a server of the zone until the test ends, and waits until it has the zone.
func startPeer(t *testing.T, addr netip.AddrPort, command ...string) {
	t.Helper()
	dnstest.StartPeer(t, func() bool {
		m := peerAnswer(addr, "example.", dns.TypeSOA, false)
		return m != nil && m.Rcode == dns.RcodeSuccess
	}, command...)
}

// peerAnswer asks a server over TCP, so that nothing is cut, and returns nil if it does not answer.
func peerAnswer(addr netip.AddrPort, name string, qtype uint16, do bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.RecursionDesired = true // those that do not recurse pass over it
	m.SetEdns0(4096, do)
	c := dns.Client{Net: "tcp", Timeout: 30 * time.Second}
	r, _, err := c.Exchange(m, addr.String())
	if err != nil {
		return nil
	}
	return r
}

const namedText = `options { directory %q; pid-file none; session-keyfile none; listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
 recursion no; minimal-responses yes; minimal-any yes; notify no; allow-transfer { none; }; check-names primary ignore; dnssec-validation no; zero-no-soa-ttl no; };
zone "example" { type primary; file %q; };
`

func startNamed(t *testing.T, file string) netip.AddrPort {
	t.Helper()
	named, addr, dir := program(t, "named"), dnstest.FreePort(t), t.TempDir()
	write(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(namedText, dir, addr.Port(), file))
	startPeer(t, addr, named, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	return addr
}

const nsdText = `server:
 ip-address: 127.0.0.1@%d
 server-count: 1
 username: ""
 zonesdir: %[2]q
 database: ""
 pidfile: %[2]q
 xfrdfile: ""
 zonelistfile: ""
 hide-version: yes
 minimal-responses: yes
 refuse-any: no
remote-control:
 control-enable: no
zone:
 name: example
 zonefile: %[3]q
`

func startNSD(t *testing.T, file string) netip.AddrPort {
	t.Helper()
	nsd, addr, dir := program(t, "nsd"), dnstest.FreePort(t), t.TempDir()
	text := fmt.Sprintf(nsdText, addr.Port(), dir, file)
	text = strings.Replace(text, fmt.Sprintf("pidfile: %q", dir), fmt.Sprintf("pidfile: %q", filepath.Join(dir, "pid")), 1)
	write(t, filepath.Join(dir, "nsd.conf"), text)
	startPeer(t, addr, nsd, "-d", "-c", filepath.Join(dir, "nsd.conf"))
	return addr
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// randomZone writes a zone about names of few letters, so that they meet: names that exist because of others, asterisks, cuts, aliases.
func randomZone(r *rand.Rand, names int) string {
	var b strings.Builder
	b.WriteString("$TTL 300\n$ORIGIN example.\n@ 600 SOA ns host 1 7200 3600 1209600 120\n@ NS ns\n@ NS ns.far.test.\nns A 192.0.2.1\n")
	taken := map[string]string{"": "apex", "ns": "data"}
	for range names {
		name := randomName(r)
		if taken[name] != "" || hidden(name, taken) || covers(name, taken) {
			continue
		}
		taken[name] = writeNode(&b, r, name)
	}
	return b.String()
}

// hidden reports whether a cut or DNAME stands above name, or covers whether one at name would stand above others.
func hidden(name string, taken map[string]string) bool {
	for at := strings.IndexByte(name, '.'); at >= 0; at = strings.IndexByte(name, '.') {
		name = name[at+1:]
		if taken[name] == "top" {
			return true
		}
	}
	return false
}

func covers(name string, taken map[string]string) bool {
	for other := range taken {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}

func writeNode(b *strings.Builder, r *rand.Rand, name string) string {
	wild := strings.HasPrefix(name, "*")
	switch k := r.IntN(12); {
	case k == 0 && !wild:
		fmt.Fprintf(b, "%[1]s NS ns.%[1]s\n%[1]s NS ns.far.test.\nns.%[1]s A 192.0.2.3\nns.%[1]s AAAA 2001:db8::3\n", name)
		if r.IntN(2) == 0 {
			fmt.Fprintf(b, "%s DS 1 13 2 %s\n", name, strings.Repeat("ab", 32))
		}
		return "top"
	case k == 1 && !wild:
		fmt.Fprintf(b, "%s DNAME %s\n", name, randomName(r))
		return "top"
	case k < 4:
		target := randomName(r)
		if r.IntN(6) == 0 {
			target = "away.test."
		}
		fmt.Fprintf(b, "%s CNAME %s\n", name, target)
		return "alias"
	case k == 4:
		fmt.Fprintf(b, "%s MX 10 %s\n%[1]s MX 20 ns\n", name, strings.ReplaceAll(randomName(r), "*", "x"))
		return "data"
	}
	fmt.Fprintf(b, "%s A 192.0.2.%d\n%[1]s TXT \"t%d\"\n", name, 1+r.IntN(250), r.IntN(9))
	if r.IntN(3) == 0 {
		fmt.Fprintf(b, "%s TYPE65400 \\# 2 %04x\n", name, r.IntN(65536))
	}
	return "data"
}

func randomName(r *rand.Rand) string {
	labels := make([]string, 1+r.IntN(3))
	for i := range labels {
		labels[i] = string(rune('a' + r.IntN(4)))
	}
	if r.IntN(5) == 0 {
		labels[0] = "*"
	}
	return strings.Join(labels, ".")
}

var askedTypes = []uint16{dns.TypeA, dns.TypeA, dns.TypeA, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeDS, dns.TypeCNAME, dns.TypeAAAA, dns.TypeSOA, dns.TypeDNAME, dns.TypeDNSKEY,
	dns.TypeNSEC, 65400}

// judge asks a peer and us the same, and compares.
func judge(t *testing.T, r *rand.Rand, text, file string, peer netip.AddrPort, differs func(qname string, qtype uint16, ours, theirs *dns.Msg) bool) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, faults, err := zone.Read(dnsname.MustParse("example"), strings.NewReader(string(data)), file, time.Now())
	if err != nil {
		t.Fatal(err, faults)
	}
	s, wrong := setOf(t, z), 0
	for range cases(300) {
		qname, qtype, do := askedName(r), askedTypes[r.IntN(len(askedTypes))], r.IntN(2) == 0
		theirs := peerAnswer(peer, qname+".", qtype, do)
		ours := ask(t, s, qname, qtype, do)
		if theirs == nil || ours == nil {
			t.Fatalf("%s %d: no answer", qname, qtype)
		}
		for _, m := range []*dns.Msg{ours, theirs} { // the same set may stand there twice, in a chain
			m.Answer, m.Ns = once(m.Answer), once(m.Ns)
		}
		if a, b := strings.ToLower(shown(ours)), strings.ToLower(shown(theirs)); a != b && !differs(qname, qtype, ours, theirs) {
			t.Errorf("%s %s do=%v:\nours\n%s\ntheirs\n%s", qname, dns.TypeToString[qtype], do, a, b)
			if wrong++; wrong > 3 {
				t.Fatalf("zone:\n%s", text)
			}
		}
	}
}

func once(section []dns.RR) (out []dns.RR) {
	for _, rr := range section {
		if !slices.ContainsFunc(out, func(o dns.RR) bool { return o.String() == rr.String() }) {
			out = append(out, rr)
		}
	}
	return out
}

func askedName(r *rand.Rand) string {
	if r.IntN(20) == 0 {
		return "example"
	}
	name := randomName(r)
	if r.IntN(4) == 0 {
		name = "ns." + name
	}
	return name + ".example"
}

func cases(n int) int {
	if v, err := strconv.Atoi(os.Getenv("CENOTE_CASES")); err == nil {
		return v
	}
	return n
}

// signings are how zones are signed before they are served.
var signings = []struct {
	name string
	args []string
}{
	{"unsigned", nil},
	{"NSEC", []string{}},
	{"NSEC3", []string{"-3", "-", "-H", "0"}},
	{"NSEC3 with salt and opt-out", []string{"-3", "abcd", "-H", "3", "-A"}},
}

// signedFile writes a zone to a file, signed as args say.
func signedFile(t *testing.T, text string, args []string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "zone"), text)
	if args == nil {
		return filepath.Join(dir, "zone")
	}
	run(t, dir, program(t, "dnssec-keygen"), "-a", "ECDSAP256SHA256", "example")
	run(t, dir, program(t, "dnssec-keygen"), "-a", "ECDSAP256SHA256", "-f", "KSK", "example")
	run(t, dir, program(t, "dnssec-signzone"), append(append([]string{"-S", "-P"}, args...), "-o", "example", "-f", "signed", "zone")...)
	return filepath.Join(dir, "signed")
}

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

func eachSigning(t *testing.T, peer func(*testing.T, string) netip.AddrPort, differs func(string, uint16, *dns.Msg, *dns.Msg) bool) {
	for _, s := range signings {
		t.Run(s.name, func(t *testing.T) {
			seed := uint64(1)
			if os.Getenv("CENOTE_CASES") != "" {
				seed = uint64(time.Now().UnixNano())
			}
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			text := randomZone(r, 60)
			file := signedFile(t, text, s.args)
			judge(t, r, text, file, peer(t, file), differs)
		})
	}
}

func hasAlias(m *dns.Msg) bool {
	return slices.ContainsFunc(m.Answer, func(o dns.RR) bool { return o.Header().Rrtype == dns.TypeCNAME })
}

// loops reports whether the aliases of an answer lead back to one of them, or to longer and longer names.
func loops(m *dns.Msg) bool {
	aliases := 0
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == dns.TypeCNAME {
			aliases++
		}
	}
	if aliases >= 12 {
		return true
	}
	for _, rr := range m.Answer {
		c, ok := rr.(*dns.CNAME)
		if ok && slices.ContainsFunc(m.Answer, func(o dns.RR) bool { return o.Header().Rrtype == dns.TypeCNAME && o.Header().Name == c.Target }) && !hasOther(m) {
			return true
		}
	}
	return false
}

func hasOther(m *dns.Msg) bool {
	if slices.ContainsFunc(m.Ns, func(o dns.RR) bool { return o.Header().Rrtype == dns.TypeSOA }) {
		return true
	}
	return slices.ContainsFunc(m.Answer, func(o dns.RR) bool {
		t := o.Header().Rrtype
		return t != dns.TypeCNAME && t != dns.TypeDNAME && t != dns.TypeRRSIG
	})
}

func isOptOut(rr dns.RR) bool {
	n, ok := rr.(*dns.NSEC3)
	return ok && n.Flags&1 != 0
}

// synthesized reports whether answers are the same, made by a DNAME record or of names that opt-out leaves unproved, and only their proofs differ.
func synthesized(ours, theirs *dns.Msg) bool {
	return ours.Rcode == theirs.Rcode && slices.Equal(lineSet(ours.Answer), lineSet(theirs.Answer)) &&
		(slices.ContainsFunc(ours.Answer, func(o dns.RR) bool { return o.Header().Rrtype == dns.TypeDNAME }) || slices.ContainsFunc(ours.Ns, isOptOut))
}

// provesMore reports whether a peer's answer is ours with more NSEC3 records.
func provesMore(ours, theirs *dns.Msg) bool {
	if ours.Rcode != theirs.Rcode || !slices.Equal(lineSet(ours.Answer), lineSet(theirs.Answer)) {
		return false
	}
	all := lineSet(theirs.Ns)
	for _, line := range lineSet(ours.Ns) {
		if !slices.Contains(all, line) {
			return false
		}
	}
	return true
}

// TestNamedJudgesAnswers and TestNSDJudgesAnswers hold our answers to what others give from the same file. What may differ stands in
// testdata/peers/README.md.
func TestNamedJudgesAnswers(t *testing.T) {
	eachSigning(t, startNamed, func(qname string, qtype uint16, ours, theirs *dns.Msg) bool {
		return loops(ours) || qtype == dns.TypeNSEC && !ours.Authoritative && theirs.Authoritative
	})
}

func TestNSDJudgesAnswers(t *testing.T) {
	eachSigning(t, startNSD, func(qname string, qtype uint16, ours, theirs *dns.Msg) bool {
		return loops(ours) || provesMore(ours, theirs) || synthesized(ours, theirs) || qtype == dns.TypeNSEC && hasAlias(theirs)
	})
}
