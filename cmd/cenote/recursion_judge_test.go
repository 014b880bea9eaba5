package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// Judges of recursion: unbound and named resolve in the same tree from the same hints and anchors, and where those two agree we do as well.

// judges are three servers of which two judge the third.
type judges struct {
	ours, unbound, named netip.AddrPort
}

// judgesAgreeMin is the share of questions on which unbound and named must agree, for the test to say something.
const judgesAgreeMin = 0.75

// differencesMax is the share of the questions on which they agree that we may answer otherwise, with a reason; differencesFew is how many that are
// at least, since a small share of a few questions is none.
const differencesMax, differencesFew = 0.001, 4

// TestUnboundAndNamedJudgeRecursion asks all for thousands of names of a tree that is sound, or broken in every way.
func TestUnboundAndNamedJudgeRecursion(t *testing.T) {
	unbound, named := program(t, "unbound"), program(t, "named")
	network := dnstest.OwnNetwork(t, 0)
	world := judgedInternetOf(rand.New(rand.NewPCG(1, 2026)))
	tree, err := dnstest.StartTreeAt(t, world.text.String(), 53)
	if err != nil {
		t.Fatal(err)
	}
	startJudges(t, tree, unbound, named).judge(t, network, world, sized(300, 20_000))
}

// judge asks all for n names of a world, and compares what they say.
func (j *judges) judge(t *testing.T, network *dnstest.Network, world *recursionWorld, n int) {
	t.Helper()
	all := make([]judgement, n)
	for i, q := range world.questions(n) {
		all[i].q = q
	}
	network.Run(atOnce, j.askAll(all))
	network.Run(atOnce, j.askAgain(all))
	tally(t, all)
}

// tally compares what we say with what the judges say.
func tally(t *testing.T, all []judgement) {
	t.Helper()
	agree, agreed := 0, 0
	for i := range all {
		c := &all[i]
		if c.judgesAgree() {
			agree++
		}
		switch {
		case !c.differs():
		case c.agreed():
			agreed++
		default:
			t.Error(c)
		}
	}
	t.Logf("%d questions: unbound and named agree on %d, and we agreed to differ on %d of these", len(all), agree, agreed)
	if float64(agree) < judgesAgreeMin*float64(len(all)) {
		t.Errorf("unbound and named agree on %d of %d questions, want more", agree, len(all))
	}
	if float64(agreed) > max(differencesFew, differencesMax*float64(agree)) {
		t.Errorf("we agreed to differ on %d of %d questions, want fewer", agreed, agree)
	}
}

// startJudges starts them on the servers of a tree.
func startJudges(t *testing.T, tree *dnstest.Tree, unbound, named string) *judges {
	t.Helper()
	dir := t.TempDir()
	writeAll(t, dir, map[string]string{"hints": tree.RootHints(), "anchors": tree.Anchors(), "unbound.conf": fmt.Sprintf(recursiveUnbound, dir),
		"named.conf": fmt.Sprintf(recursiveNamed, dir, namedAnchors(tree)), "cenote.yaml": recursiveCenote})
	return &judges{
		unbound: startPeer(t, 5301, unbound, "-d", "-c", filepath.Join(dir, "unbound.conf")),
		named:   startPeer(t, 5302, named, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf")),
		ours:    startProcess(t, filepath.Join(dir, "cenote.yaml")).addr(),
	}
}

func namedAnchors(tree *dnstest.Tree) string {
	var b strings.Builder
	for _, ds := range tree.DS(".") {
		fmt.Fprintf(&b, "\".\" static-ds %d %d %d %q; ", ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
	}
	return b.String()
}

const recursiveUnbound = `
server:
	directory: "%[1]s"
	interface: 127.0.0.1@5301
	outgoing-port-avoid: 5302
	do-daemonize: no
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	module-config: "validator iterator"
	do-not-query-localhost: no
	do-ip6: no
	root-hints: "%[1]s/hints"
	trust-anchor-file: "%[1]s/anchors"
remote-control:
	control-enable: no
`

const recursiveNamed = `
controls { };
options { directory "%[1]s"; listen-on port 5302 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; session-keyfile none;
 managed-keys-directory "%[1]s"; recursion yes; allow-query { any; }; empty-zones-enable no; notify no; dnssec-validation yes; };
logging { category default { null; }; };
trust-anchors { %[2]s };
zone "." { type hint; file "hints"; };
`

const recursiveCenote = `
state: state
listen: [{address: 127.0.0.1:0}]
rate_limit: {enabled: false}
recursion:
  enabled: true
  root_hints: hints
  ipv6: false
  never_asked: []
  validation: {trust_anchors: anchors}
`

// judgement is a question and what each says to it.
type judgement struct {
	q                    dns.Question
	ours, unbound, named string
}

func (c *judgement) judgesAgree() bool { return c.unbound == c.named && c.unbound != silent }
func (c *judgement) differs() bool     { return c.judgesAgree() && c.ours != c.unbound }

// agreed reports whether a difference is one that testdata/peers/README.md explains.
func (c *judgement) agreed() bool {
	if strings.Contains(c.q.Name, ".rolledhalf.") && c.unbound == failed && strings.HasPrefix(c.ours, "NOERROR ad ") {
		return true
	}
	inCache := strings.Contains(c.q.Name, ".refusestypes.") || strings.Contains(c.q.Name, "dsfails.")
	return inCache && c.ours == failed || chainLength(c.q.Name) >= chainLong && (c.ours == failed) != (c.unbound == failed)
}

// chainLong is from how many steps on a chain of aliases may be too long for somebody.
const chainLong = 8

// chainLength is how many steps of aliases lead on from a name in a zone of long ways, 0 for all others.
func chainLength(name string) (n int) {
	if first, zone, _ := strings.Cut(strings.TrimPrefix(name, "a."), "."); strings.HasPrefix(zone, "chains.") && first != "" {
		n, _ = strconv.Atoi(first[1:])
	}
	return n
}

func (c *judgement) String() string {
	return fmt.Sprintf("%s %s:\n ours    %s\n unbound %s\n named   %s", c.q.Name, dns.TypeToString[c.q.Qtype], c.ours, c.unbound, c.named)
}

func (j *judges) ask(c *judgement) {
	c.ours, c.unbound, c.named = validated(j.ours, c.q), validated(j.unbound, c.q), validated(j.named, c.q)
}

// atOnce is how many questions are asked at a time.
const atOnce = 16

// askAll returns what a goroutine does of the asking. Several share it.
func (j *judges) askAll(all []judgement) func() {
	var next atomic.Int64
	return func() {
		for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
			j.ask(&all[i])
		}
	}
}

// failuresEnd is how long a failure is remembered at most by any of the three, with something to spare.
const failuresEnd = 45 * time.Second

// askAgain is askAll for what differs, until it does not: a machine that is busy fails one or the other, and who fails remembers that for a while.
func (j *judges) askAgain(all []judgement) func() {
	var next atomic.Int64
	deadline := time.Now().Add(failuresEnd)
	return func() {
		for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
			for c := &all[i]; c.differs() && !c.agreed() && time.Now().Before(deadline); j.ask(c) {
				time.Sleep(again)
			}
		}
	}
}

// What is said without an answer.
const silent, failed = "no reply", "SERVFAIL"

// validated is a reply as judges of recursion compare it: response code, AD, and the answer section without TTLs and without what differs in a
// signature that is made anew.
func validated(server netip.AddrPort, q dns.Question) string {
	m := new(dns.Msg).SetQuestion(q.Name, q.Qtype).SetEdns0(4096, true)
	c := dns.Client{Timeout: time.Duration(sized(4, 20)) * time.Second, UDPSize: 4096} // who needs longer has no answer
	r, _, err := c.Exchange(m, server.String())
	if err == nil && r.Truncated {
		c.Net = "tcp"
		r, _, err = c.Exchange(m, server.String())
	}
	if err != nil {
		return silent
	}
	if r.Rcode == dns.RcodeServerFailure {
		return failed // whatever was found on the way
	}
	var answers []string
	for _, rr := range r.Answer {
		rr.Header().Ttl = 0
		if sig, ok := rr.(*dns.RRSIG); ok {
			sig.Signature, sig.KeyTag, sig.Inception, sig.Expiration = "", 0, 0, 0
		}
		answers = append(answers, strings.Join(strings.Fields(strings.ToLower(rr.String())), " "))
	}
	slices.Sort(answers)
	return fmt.Sprint(dns.RcodeToString[r.Rcode], map[bool]string{true: " ad"}[r.AuthenticatedData], " ", strings.Join(answers, "; "))
}
