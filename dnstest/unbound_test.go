package dnstest_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
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
	target-fetch-policy: "0 0 0 0 0"
	val-nsec3-keysize-iterations: "1024 150 2048 150 4096 150"
	trust-anchor-file: %q
remote-control:
	control-enable: no
%s`

// program finds a server to judge by. Without it the test is skipped, or fails where nothing may be skipped.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name)
	}
	if err != nil && os.Getenv("CENOTE_STRICT") == "1" {
		t.Fatalf("%s is not installed", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// startUnbound runs unbound on loopback until the test ends: it trusts the root of a tree, and is told the servers of each zone, since it would take
// port 53 for those it finds itself.
func startUnbound(t *testing.T, tree *dnstest.Tree, zones map[string]string) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	var stubs strings.Builder
	for zone, server := range zones {
		at := tree.Addr(server)
		fmt.Fprintf(&stubs, "stub-zone:\n\tname: %q\n\tstub-addr: %s@%d\n\tstub-prime: no\n", zone, at.Addr(), at.Port())
	}
	anchors, conf := filepath.Join(dir, "anchors"), filepath.Join(dir, "unbound.conf")
	addr := dnstest.FreePort(t)
	text := fmt.Sprintf(unboundConfig, addr.Addr(), addr.Port(), dir, anchors, stubs.String())
	for file, content := range map[string]string{anchors: tree.Anchors(), conf: text} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	startPeer(t, exec.Command(program(t, "unbound"), "-d", "-c", conf))
	awaitReply(t, addr)
	return addr
}

// startPeer runs a server until the test ends.
func startPeer(t *testing.T, command *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", command.Path, log.String())
		}
	})
}

// awaitReply waits until a resolver answers.
func awaitReply(t *testing.T, addr netip.AddrPort) {
	t.Helper()
	m := new(dns.Msg).SetQuestion("www.plain.test.", dns.TypeA)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := dns.Exchange(m, addr.String()); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the judge does not answer")
		}
	}
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
	{"none.@", dns.TypeA, "NXDOMAIN secure"},
	{"x.none.@", dns.TypeA, "NXDOMAIN secure"},
	{"none.www.@", dns.TypeA, "NXDOMAIN secure"},
	{"child.@", dns.TypeDS, "nodata secure"},
}

// needsCover tells the questions whose proof says that a name is absent. Where opt-out is in force it may be there all the same.
func needsCover(q judgedQuestion) bool {
	return strings.HasPrefix(q.want, "NXDOMAIN") || strings.HasPrefix(q.name, "child.") || strings.HasPrefix(q.name, "x.") && strings.Contains(q.name, ".wild")
}

// TestUnboundFindsSecure has unbound say that zones are signed well.
func TestUnboundFindsSecure(t *testing.T) {
	j := newJudged()
	zones := map[string]string{
		"plain": "sign", "nsec3": "sign nsec3", "salted": "sign nsec3 iterations=10 salt=AABBCCDD", "optout": "sign nsec3 optout",
		"rsasha256": "sign alg=8", "rsasha512": "sign alg=10", "p384": "sign alg=14", "ed25519": "sign alg=15 nsec3",
		"csk": "sign keys=csk", "roll": "sign keys=ksk,standby,zsk,spare,revoked", "two": "sign alg=13,15", "digests": "sign digest=1,4",
	}
	for name, words := range zones {
		j.add(name, words)
	}
	tree := dnstest.StartTree(t, j.text.String())
	unbound := startUnbound(t, tree, j.zones)
	for name := range zones {
		for _, q := range sane {
			qname := strings.ReplaceAll(q.name, "@", name+".test.")
			if name == "optout" && needsCover(q) {
				q.want = strings.TrimSuffix(q.want, " secure") // RFC 5155 section 9.2: what opt-out covers is insecure
			}
			if got := verdict(t, unbound, qname, q.qtype); got != q.want {
				t.Errorf("%s %s: got %s, want %s", qname, dns.TypeToString[q.qtype], got, q.want)
			}
		}
	}
}
