package dnstest_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

const unboundConfig = `
server:
	interface: %s
	port: %d
	outgoing-port-avoid: %q
	do-daemonize: no
	chroot: ""
	username: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: ""
	val-log-level: 2
	module-config: "validator iterator"
	do-not-query-localhost: no
	do-ip6: no
	local-zone: "test." nodefault
	aggressive-nsec: no
	ede: yes
	val-nsec3-keysize-iterations: "1024 150 2048 150 4096 150"
	trust-anchor-file: %q
	%s
remote-control:
	control-enable: no
%s`

// startUnbound runs unbound on loopback until the test ends. It trusts the root of a tree. It is told the servers of each zone, since it asks
// those that it finds itself at port 53; if the tree is there, it needs to be told of none.
func startUnbound(t *testing.T, tree *dnstest.Tree, zones map[string]string) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	var stubs strings.Builder
	for zone, server := range zones {
		at := tree.Addr(server)
		fmt.Fprintf(&stubs, "stub-zone:\n\tname: %q\n\tstub-addr: %s@%d\n\tstub-prime: no\n", zone, at.Addr(), at.Port())
	}
	hints, anchors, conf := filepath.Join(dir, "hints"), filepath.Join(dir, "anchors"), filepath.Join(dir, "unbound.conf")
	addr := dnstest.FreePort(t)
	where := ""
	if zones == nil {
		where = fmt.Sprintf("root-hints: %q", hints)
	}
	text := fmt.Sprintf(unboundConfig, addr.Addr(), addr.Port(), dnstest.PeerPorts, dir, anchors, where, stubs.String())
	for file, content := range map[string]string{hints: tree.RootHints(), anchors: tree.Anchors(), conf: text} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	startPeer(t, addr, dnstest.Program(t, "unbound"), "-d", "-c", conf)
	return addr
}

// startPeer runs a resolver until the test ends, and waits until it answers.
func startPeer(t *testing.T, addr netip.AddrPort, command ...string) {
	t.Helper()
	dnstest.StartPeer(t, func() bool {
		_, err := dns.Exchange(new(dns.Msg).SetQuestion("www.plain.test.", dns.TypeA), addr.String())
		return err == nil
	}, command...)
}

// judged is an internet with every way to sign and every way to do it wrong.
type judged struct {
	text  strings.Builder
	zones map[string]string // name of the zone to its server
}

// content is what every judged zone has.
const content = `
	www     A     192.0.2.1
	alias   CNAME www
	*.wild  A     192.0.2.2
	*.wildalias CNAME www
	a.ent   A     192.0.2.3
	old     DNAME new
	x.new   A     192.0.2.4
	@       MX    10 www
	child   NS    ns.child
	ns.child A    @200
	a.b     NS    ns.child
`

func newJudged() *judged {
	j := &judged{zones: map[string]string{".": "@1", "test": "@2"}}
	j.text.WriteString("zone . server a.root.test @1 sign\nzone test server ns.test @2 sign\n")
	return j
}

// add adds a zone below test, with the words of its line and faults.
func (j *judged) add(name, words string, faults ...string) {
	zone, server := name+".test", fmt.Sprint("@", len(j.zones)+1)
	j.zones[zone] = server
	fmt.Fprintf(&j.text, "zone %s server ns.%s %s %s\n%s", zone, zone, server, words, content)
	for _, f := range faults {
		fmt.Fprintf(&j.text, "! sign %s\n", strings.ReplaceAll(f, "@", zone))
	}
}

// verdict asks a judge and says how it answers.
func verdict(t *testing.T, judge netip.AddrPort, name string, qtype uint16) string {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, qtype)
	m.SetEdns0(4096, true)
	c := dns.Client{Timeout: 10 * time.Second, UDPSize: 4096}
	r, _, err := c.Exchange(m, judge.String())
	if err != nil {
		return err.Error()
	}
	word := dns.RcodeToString[r.Rcode]
	for _, rr := range r.Answer {
		if rr.Header().Rrtype == qtype {
			word = "answer"
		}
	}
	if word == "NOERROR" {
		word = "nodata"
	}
	if r.AuthenticatedData {
		word += " secure"
	}
	for _, option := range r.IsEdns0().Option {
		if ede, ok := option.(*dns.EDNS0_EDE); ok {
			word += ": " + regexp.MustCompile(` from 127[.0-9]+`).ReplaceAllString(ede.ExtraText, "")
		}
	}
	return word
}

type judgedQuestion struct {
	name  string
	qtype uint16
	want  string
}

// sane are questions about a zone that is signed well, and what a validator says of it.
var sane = []judgedQuestion{
	{"@", dns.TypeSOA, "answer secure"},
	{"@", dns.TypeNS, "answer secure"},
	{"@", dns.TypeMX, "answer secure"},
	{"@", dns.TypeDNSKEY, "answer secure"},
	{"@", dns.TypeDS, "answer secure"},
	{"@", dns.TypeTXT, "nodata secure"},
	{"www.@", dns.TypeA, "answer secure"},
	{"www.@", dns.TypeTXT, "nodata secure"},
	{"alias.@", dns.TypeA, "answer secure"},
	{"x.wild.@", dns.TypeA, "answer secure"},
	{"x.y.wild.@", dns.TypeA, "answer secure"},
	{"x.wild.@", dns.TypeTXT, "nodata secure"},
	{"*.wild.@", dns.TypeA, "answer secure"},
	{"wild.@", dns.TypeA, "nodata secure"},
	{"x.wildalias.@", dns.TypeA, "answer secure"},
	{"ent.@", dns.TypeA, "nodata secure"},
	{"x.old.@", dns.TypeA, "answer secure"},
	{"y.old.@", dns.TypeA, "NXDOMAIN secure"},
	{"b.@", dns.TypeA, "nodata secure"},
	{"none.@", dns.TypeA, "NXDOMAIN secure"},
	{"x.none.@", dns.TypeA, "NXDOMAIN secure"},
	{"none.www.@", dns.TypeA, "NXDOMAIN secure"},
	{"child.@", dns.TypeDS, "nodata secure"},
}

// needsCover tells the questions whose proof says that a name is absent. Where opt-out is in force it may be there all the same.
func needsCover(q judgedQuestion) bool {
	expanded := strings.HasPrefix(q.name, "x.") && strings.Contains(q.name, ".wild")
	return expanded || strings.HasPrefix(q.want, "NXDOMAIN") || q.name == "child.@" || q.name == "b.@"
}

// soundZones are zones that are signed well.
func soundZones() map[string]string {
	return map[string]string{
		"plain": "sign", "nsec3": "sign nsec3", "salted": "sign nsec3 iterations=10 salt=AABBCCDD", "optout": "sign nsec3 optout",
		"rsasha256": "sign alg=8", "rsasha512": "sign alg=10", "p384": "sign alg=14", "ed25519": "sign alg=15 nsec3",
		"csk": "sign keys=csk", "roll": "sign keys=ksk,standby,zsk,spare,revoked", "two": "sign alg=13,15", "digests": "sign digest=1,4",
	}
}

// TestUnboundFindsSecure has unbound say that zones are signed well.
func TestUnboundFindsSecure(t *testing.T) {
	j := newJudged()
	for name, words := range soundZones() {
		j.add(name, words)
	}
	tree := dnstest.StartTree(t, j.text.String())
	judgeSound(t, startUnbound(t, tree, j.zones))
}

func judgeSound(t *testing.T, unbound netip.AddrPort) {
	t.Helper()
	for name := range soundZones() {
		questions := slices.Clone(sane)
		for i, q := range questions {
			if name == "optout" && needsCover(q) {
				questions[i].want = strings.TrimSuffix(q.want, " secure") // RFC 5155 section 9.2: what opt-out covers is insecure
			}
		}
		judge(t, unbound, name+".test.", questions)
	}
}

// judge compares what a judge says of a zone with what it should say.
func judge(t *testing.T, judge netip.AddrPort, zone string, questions []judgedQuestion) {
	t.Helper()
	for _, q := range questions {
		qname := strings.ReplaceAll(q.name, "@", zone)
		want, why, _ := strings.Cut(q.want, ": ")
		got, reason, _ := strings.Cut(verdict(t, judge, qname, q.qtype), ": ")
		if got != want || !strings.Contains(reason, why) {
			t.Errorf("%s %s: got %s (%s), want %s", qname, dns.TypeToString[q.qtype], got, reason, q.want)
		}
	}
}

// TestUnboundFindsItsWay has unbound resolve from the root by the hints alone, so that it judges referrals too. It needs the right to port 53.
func TestUnboundFindsItsWay(t *testing.T) {
	j := newJudged()
	for name, words := range soundZones() {
		j.add(name, words)
	}
	for _, parent := range []string{"plain", "nsec3", "optout"} {
		j.add("secure."+parent, "sign")
		j.add("insecure."+parent, "")
	}
	tree, err := dnstest.StartTreeAt(t, j.text.String(), 53)
	if err != nil {
		t.Skip(err)
	}
	unbound := startUnbound(t, tree, nil)
	judgeSound(t, unbound)
	for _, parent := range []string{"plain.test.", "nsec3.test.", "optout.test."} {
		judge(t, unbound, "secure."+parent, sane)
		judge(t, unbound, "insecure."+parent, insecure())
	}
	if tree.Asked(".", dns.TypeNS) == 0 {
		t.Error("the root was not asked for its servers")
	}
}

// faulty are zones that are signed wrongly, and what a validator says of them.
var faulty = []struct {
	name, words string
	faults      []string
	questions   []judgedQuestion
}{
	{"expired", "sign", []string{"@ expired"}, bogus("signature expired")},
	{"future", "sign", []string{"@ future"}, bogus("signature before inception date")},
	{"nosigs", "sign", []string{"@ no-sigs"}, bogus("no signatures")},
	{"wrongkey", "sign", []string{"@ wrong-key"}, bogus("signature missing")},
	{"badsig", "sign", []string{"@ bad-sig"}, bogus("signature crypto failed")},
	{"badsigrsa", "sign alg=8", []string{"@ bad-sig"}, bogus("signature crypto failed")},
	{"badsiged", "sign alg=15", []string{"@ bad-sig"}, bogus("signature crypto failed")},
	{"wrongsigner", "sign", []string{"@ wrong-signer"}, bogus("signatures from unknown keys")},
	{"othersigner", "sign", []string{"@ wrong-signer=plain.test"}, bogus("signer name off-tree")},
	{"wrongtag", "sign", []string{"@ wrong-tag"}, bogus("signature missing")},
	{"badds", "sign", []string{"@ bad-ds"}, bogus("DS hash mismatches key")},
	{"nods", "sign", []string{"@ no-ds"}, bogus("no DNSSEC records for DS")},
	{"nodnskey", "sign", []string{"@ no-dnskey"}, bogus("No DNSKEY record")},
	{"badprotocol", "sign", []string{"@ bad-protocol"}, bogus("dnskey has wrong protocolnumber")},
	{"nozoneflag", "sign", []string{"@ no-zone-flag"}, bogus("dnskey without ZSK flag")},
	{"unsignedkeys", "sign", []string{"@ no-sigs type=DNSKEY"}, bogus("no signatures")},
	{"unproven", "", []string{"@ missing-nsec"}, bogus("no DNSSEC records for DS")},
	{"expiredds", "sign", []string{"@ expired type=DS"}, bogus("signature expired for DS")},

	{"onename", "sign", []string{"www.@ expired"}, []judgedQuestion{
		{"www.@", dns.TypeA, "SERVFAIL: signature expired"}, {"www.@", dns.TypeTXT, "SERVFAIL: signature expired"}, {"x.new.@", dns.TypeA, "answer secure"}, {"none.@", dns.TypeA, "NXDOMAIN secure"}}},
	{"onetype", "sign", []string{"@ bad-sig type=A"}, []judgedQuestion{
		{"www.@", dns.TypeA, "SERVFAIL: signature crypto failed"}, {"www.@", dns.TypeTXT, "nodata secure"}, {"@", dns.TypeMX, "answer secure"}}},
	{"labels", "sign", []string{"www.@ labels=2", "a.ent.@ labels=1", "x.new.@ labels=9"}, []judgedQuestion{
		{"www.@", dns.TypeA, "SERVFAIL: wildcard proof failed"}, {"a.ent.@", dns.TypeA, "SERVFAIL: wildcard proof failed"},
		{"x.new.@", dns.TypeA, "SERVFAIL: signature labelcount out of range"},
		{"alias.@", dns.TypeCNAME, "answer secure"}}},
	{"origttl", "sign", []string{"www.@ origttl=30"}, []judgedQuestion{{"www.@", dns.TypeA, "answer secure"}}},
	{"junk", "sign", []string{"www.@ junk-sigs=2"}, []judgedQuestion{{"www.@", dns.TypeA, "answer secure"}}},
	{"extraalgo", "sign", []string{"@ extra-algo"}, sane},
	{"colliding", "sign", []string{"@ colliding-keys=2"}, sane},

	{"missing", "sign", []string{"@ missing-nsec"}, unproven("no DNSSEC records", "no DNSSEC records")},
	{"missing3", "sign nsec3", []string{"@ missing-nsec"}, unproven("no DNSSEC records", "no DNSSEC records")},
	{"wrongnsec", "sign", []string{"@ wrong-nsec"}, unproven("nameerror proof failed", "nodata proof failed")},
	{"wrongnsec3", "sign nsec3", []string{"@ wrong-nsec"}, unproven("nameerror proof failed", "nodata proof failed")},
	{"half", "sign", []string{"@ half-nsec"}, []judgedQuestion{
		{"none.@", dns.TypeA, "SERVFAIL: nameerror proof failed"}, {"www.@", dns.TypeTXT, "nodata secure"}}},
	{"half3", "sign nsec3", []string{"@ half-nsec"}, []judgedQuestion{
		{"none.@", dns.TypeA, "SERVFAIL: nameerror proof failed"}, {"www.@", dns.TypeTXT, "nodata secure"}}},
	{"onemissing", "sign", []string{"none.@ missing-nsec"}, []judgedQuestion{
		{"none.@", dns.TypeA, "SERVFAIL: no DNSSEC records"}, {"none2.@", dns.TypeA, "NXDOMAIN secure"}}},

	{"insecure", "", nil, insecure()},
	{"island", "sign island", nil, insecure()},
	{"unknownalgo", "sign alg=250", nil, insecure()},
	{"unknowndigest", "sign digest=200", nil, insecure()},
	{"iterations", "sign iterations=1000", nil, []judgedQuestion{{"www.@", dns.TypeA, "answer secure"}, {"none.@", dns.TypeA, "NXDOMAIN"}}},
}

func bogus(why string) []judgedQuestion {
	why = "SERVFAIL: " + why
	return []judgedQuestion{{"www.@", dns.TypeA, why}, {"none.@", dns.TypeA, why}, {"@", dns.TypeMX, why}}
}

func unproven(noName, noType string) []judgedQuestion {
	noName, noType = "SERVFAIL: "+noName, "SERVFAIL: "+noType
	return []judgedQuestion{{"www.@", dns.TypeA, "answer secure"}, {"none.@", dns.TypeA, noName}, {"www.@", dns.TypeTXT, noType},
		{"x.wild.@", dns.TypeA, "SERVFAIL: wildcard proof failed"}, {"x.wild.@", dns.TypeTXT, noType}, {"ent.@", dns.TypeA, noType},
		{"child.@", dns.TypeDS, noType}}
}

func insecure() []judgedQuestion {
	return []judgedQuestion{{"www.@", dns.TypeA, "answer"}, {"none.@", dns.TypeA, "NXDOMAIN"}, {"www.@", dns.TypeTXT, "nodata"}}
}

// TestUnboundFindsFaults has unbound say that zones are signed wrongly.
func TestUnboundFindsFaults(t *testing.T) {
	j := newJudged()
	j.add("plain", "sign")
	for _, z := range faulty {
		j.add(z.name, z.words, z.faults...)
	}
	tree := dnstest.StartTree(t, j.text.String())
	unbound := startUnbound(t, tree, j.zones)
	for _, z := range faulty {
		judge(t, unbound, z.name+".test.", z.questions)
	}
}
