package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/wire"

	"github.com/miekg/dns"
)

// Attacks on the whole server, as it is built: clients ask it over UDP for names of zones that are made to cost much, beside others who ask for what
// everybody asks for. What resolver's own tests say of one question holds here with policy, name servers on the way and all clients.

// attackedTree is a tree with a zone that does no harm, and others that do.
const attackedTree = `
	zone .               server a.root.wild @1 sign
	zone wild            server ns.nic.wild @2 sign
	zone good.wild       server ns1.good.wild @3, ns2.good.wild @4 sign
	    *                A     192.0.2.1
	zone kind.wild       server ns1.kind.wild @3, ns2.kind.wild @4
	    *                A     192.0.2.2
	zone dead.wild       server ns1.dead.wild @5, ns2.dead.wild @6 sign
	zone slow.wild       server ns1.slow.wild @7
	    *                A     192.0.2.3
	zone victim.wild     server ns1.victim.wild @8, ns2.victim.wild @9
	    www              A     192.0.2.4
	zone trap.wild       server ns.trap.wild @10 sign alg=14
	    *                A     192.0.2.66
	! sign trap.wild colliding-keys=6
	! sign trap.wild junk-sigs=60
	zone sigs.wild       server ns.sigs.wild @10 sign alg=14
	    *                A     192.0.2.66
	! sign sigs.wild junk-sigs=60 type=A
	zone hashes.wild     server ns.hashes.wild @10 sign nsec3 iterations=50
	    www              A     192.0.2.66
	! @5,@6 * drop
	! @7 * delay=900ms
`

// hostile is what a zone of attackers has: delegations to a victim (NXNS), aliases that lead on and on (CAMP), and circles.
func hostile() string {
	var b strings.Builder
	b.WriteString("zone evil.wild server ns.evil.wild @11\nl CNAME m\nm CNAME l\nd DNAME e\ne DNAME d\ng DNAME a.a.a.a.a.a.a.a.g\nc1 NS ns.c2\nc2 NS ns.c1\n")
	for i := range 20 {
		fmt.Fprintf(&b, "nxns NS n%d.victim.wild.\nfar NS a.b.c.d.e.f.n%d.victim.wild.\n", i, i)
	}
	for i := range 15 { // each alias leads into a zone whose first servers have no address
		fmt.Fprintf(&b, "zone e%[1]d.wild server ns.e%[1]d.wild @11\nsub NS good\ngood A @12\n", i)
		for n := range 11 {
			fmt.Fprintf(&b, "sub NS x.y.z.n%d.e%d.wild.\n", n, i+20)
		}
		fmt.Fprintf(&b, "zone sub.e%[1]d.wild server good.e%[1]d.wild @12\na.b.c CNAME a.b.c.sub.e%[2]d.wild.\n", i, i+1)
	}
	return b.String()
}

// attacked is a server of a process, with a tree below it, in a network of the test's own.
type attacked struct {
	*process
	tree   *dnstest.Tree
	server netip.AddrPort
	socket string
}

func startAttacked(t *testing.T, more string) *attacked {
	t.Helper()
	dnstest.OwnNetwork(t, 0)
	tree, err := dnstest.StartTreeAt(t, attackedTree+more, 53)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeAll(t, dir, map[string]string{
		"hints": tree.RootHints(), "anchors": tree.Anchors(),
		"cenote.yaml": recursiveCenote + "feeds: [{name: rpz, path: rpz, format: rpz, zone: rpz.example}]\npolicy: {zones: [{name: block, feeds: [rpz], action: nxdomain}]}\n",
		// A rule about name servers has the way to each name looked for.
		"rpz": "$TTL 60\n@ SOA localhost. host.localhost. 1 3600 600 604800 60\n@ NS localhost.\nns.listed.example.rpz-nsdname CNAME .\n",
	})
	a := &attacked{process: startProcess(t, filepath.Join(dir, "cenote.yaml")), tree: tree, socket: filepath.Join(dir, "state", "cenote.sock")}
	a.server = a.addr()
	a.answers("www.good.wild", "192.0.2.1")
	a.answers("www.kind.wild", "192.0.2.2")
	return a
}

// metric adds up all series of a metric of the server.
func (a *attacked) metric(name string) (sum float64) {
	a.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", a.socket)
	}}}
	r, err := client.Get("http://cenote/metrics")
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok && (rest[0] == '{' || rest[0] == ' ') {
			v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
			if err != nil {
				a.t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// cpu is the time that the server has had of all processors, to a hundredth of a second.
func (a *attacked) cpu() time.Duration {
	a.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks time.Duration
	for _, f := range fields[11:13] { // utime and stime, see proc(5)
		n, err := strconv.Atoi(f)
		if err != nil {
			a.t.Fatal(err)
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}

// crowd is clients that ask for names at a steady rate.
type crowd struct {
	*load
	right atomic.Int64 // replies with an answer
}

// newCrowd has clients ask for the names that format makes of numbers.
func (a *attacked) newCrowd(rate int, format string) *crowd {
	c := &crowd{load: newLoad(a.t, a.server, rate)}
	c.ask = func(n int) dnsname.Name { return dnsname.MustParse(strings.ReplaceAll(format, "%", strconv.Itoa(n))) }
	c.judge = func(_ int, reply []byte) string {
		if wire.Rcode(reply) == wire.RcodeSuccess && wire.Count(reply, wire.SectionAnswer+1) > 0 {
			c.right.Add(1)
		}
		return ""
	}
	return c
}

// p99 is how long 99 of 100 replies took at most.
func (c *crowd) p99() time.Duration {
	slices.Sort(c.delays)
	return c.delays[len(c.delays)*99/100]
}

// together runs crowds for a time. It returns how late the machine woke this process up meanwhile, at worst, whatever the server does.
func together(t *testing.T, most time.Duration, crowds ...*crowd) (late time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	var running sync.WaitGroup
	for _, c := range crowds {
		running.Go(func() { c.run(ctx) })
	}
	late = lateness(ctx)
	running.Wait()
	return late
}

// lateness sleeps and wakes up until ctx ends, and returns how much too late that was at worst: a short run has so few replies that one stall of the machine decides.
func lateness(ctx context.Context) (worst time.Duration) {
	const nap = 2 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		time.Sleep(nap)
		worst = max(worst, time.Since(began)-nap)
	}
	return worst
}

// What others may feel of an attack: how late what is cached may come, the processor's time of a hostile query, and how many fresh names must be answered.
const (
	cachedLate  = 20 * time.Millisecond
	hostileCost = 20 * time.Millisecond
	freshLeast  = 0.99
)

// fewest is the least of n names of others that must be answered beside an attack. Under the race detector, which makes all this ten times as slow, it is less.
func fewest(n int) int {
	if raceEnabled {
		return n / 2
	}
	return int(freshLeast * float64(n))
}

// inTime fails the test if something took too long. Where the machine is so busy that it was late itself, that tells nothing, but for a long run, which is for a quiet one.
func inTime(t *testing.T, what string, got, most, late time.Duration) {
	t.Helper()
	switch {
	case got <= most:
	case long() || !raceEnabled && late < most/4:
		t.Errorf("%s: %v, want at most %v; the machine was %v late itself", what, got, most, late)
	default:
		t.Logf("%s: %v, more than %v, on a machine that was %v late itself", what, got, most, late)
	}
}

// TestServerUnderWaterTorture: 1,500 names a second (every day 300, with the race detector 100) of zones whose servers are dead or slow leave cached names as quick as they are, and fresh names of other
// zones are answered.
func TestServerUnderWaterTorture(t *testing.T) {
	a := startAttacked(t, "")
	flood, others := sized(300, 1500), 50
	if raceEnabled {
		flood, others = 100, 10
	}
	dead, slow := a.newCrowd(flood*4/5, "r%.dead.wild"), a.newCrowd(flood/5, "r%.slow.wild")
	cached, signed, plain := a.newCrowd(4*others, "www.good.wild"), a.newCrowd(others, "n%.good.wild"), a.newCrowd(others, "n%.kind.wild")
	late := together(t, time.Duration(sized(2, 30))*time.Second, dead, slow, cached, signed, plain)
	packets := len(a.tree.Queries("@5,@6"))
	t.Logf("%d names of dead servers made %d packets there; %d of slow ones, of which %d were answered", dead.sent, packets, slow.sent, slow.right.Load())
	t.Logf("99 of 100 cached names within %v, fresh ones within %v (signed) and %v", cached.p99(), signed.p99(), plain.p99())
	for _, c := range []*crowd{cached, signed, plain} {
		if int(c.right.Load()) < fewest(c.sent) {
			t.Errorf("%d of %d names were answered beside the flood", c.right.Load(), c.sent)
		}
	}
	for _, c := range []*crowd{dead, slow} { // a well-formed question gets a reply
		if lost := c.sent - int(c.answered.Load()); lost > 0 {
			t.Errorf("%d of %d names of the flood got no reply at all", lost, c.sent)
		}
	}
	const unheard = 256 // attempts under way at each of the two servers until it is known that nobody is there
	if packets > 2*(unheard+dead.sent) {
		t.Errorf("%d names made %d packets to dead servers", dead.sent, packets)
	}
	inTime(t, "99 of 100 cached names", cached.p99(), cachedLate, late)
	a.answersNow("www.good.wild", "192.0.2.1")
}

// TestServerBesideKeyTraps: zones whose keys, signatures and hashes are made to cost much cost no more than a bounded part of a processor for each query,
// and others do not feel them. How late cached names come is told as a ratio to the same names without an attack, a moment before.
func TestServerBesideKeyTraps(t *testing.T) {
	a := startAttacked(t, "")
	rate, most := sized(20, 200), time.Duration(sized(500, 10_000))*time.Millisecond
	for _, c := range []struct{ what, format string }{{"keys", "r%.trap.wild"}, {"signatures", "r%.sigs.wild"}, {"hashes", "a.b.c.d.e.f.g.h.i.j.k.r%.hashes.wild"}} {
		trap, alone := a.newCrowd(rate, c.format), a.newCrowd(100, "www.good.wild")
		together(t, most/2, alone)
		signatures, hashes, cpu := a.metric("cenote_resolver_signatures_total"), a.metric("cenote_resolver_hashes_total"), a.cpu()
		together(t, most, trap)
		each := (a.cpu() - cpu) / time.Duration(trap.sent)
		signatures, hashes = a.metric("cenote_resolver_signatures_total")-signatures, a.metric("cenote_resolver_hashes_total")-hashes
		t.Logf("%s: %v of processors, %.1f signatures and %.1f blocks hashed for each of %d queries", c.what, each, signatures/float64(trap.sent), hashes/float64(trap.sent), trap.sent)
		if signatures > dnssec.SignaturesMax*float64(trap.sent) || hashes > dnssec.HashesMax*float64(trap.sent) {
			t.Errorf("%s: %v signatures and %v blocks hashed for %d queries", c.what, signatures, hashes, trap.sent)
		}
		if each > hostileCost && !raceEnabled {
			t.Errorf("%s: %v of processors for a query, want at most %v", c.what, each, hostileCost)
		}
		for _, times := range []int{1, 2} {
			a.besideTraps(rate*times, strings.ReplaceAll(c.format, "%", "x"+strconv.Itoa(times)+"%"), "n%."+strconv.Itoa(times)+c.what+".good.wild", most, alone.p99())
		}
	}
	t.Logf("%.0f checks went on in the place of costly zones, %.0f were given up", a.metric("cenote_resolver_slowed_validations_total"), a.metric(`cenote_resolver_shed_total{bound="validations"}`))
}

// besideTraps asks for names of a trap at a rate, and beside it for names of others.
func (a *attacked) besideTraps(rate int, trapped, fresh string, most, alone time.Duration) {
	a.t.Helper()
	trap, others, cached := a.newCrowd(rate, trapped), a.newCrowd(50, fresh), a.newCrowd(100, "www.good.wild")
	late := together(a.t, most, trap, others, cached)
	a.t.Logf("beside %d/s of %s 99 of 100 cached names within %v, %.1f times as long as alone (%v), fresh ones within %v", rate, trapped, cached.p99(),
		float64(cached.p99())/float64(alone), alone, others.p99())
	for _, o := range []*crowd{others, cached} {
		if int(o.right.Load()) < fewest(o.sent) {
			a.t.Errorf("%s: %d of %d names were answered beside it", trapped, o.right.Load(), o.sent)
		}
	}
	inTime(a.t, "99 of 100 cached names", cached.p99(), cachedLate, late)
}

// TestServerBoundsOneQuery: whatever a zone leads to, one query of a client makes a bounded number of packets, with the name servers on the way that rules look at.
func TestServerBoundsOneQuery(t *testing.T) {
	a := startAttacked(t, hostile())
	for _, c := range []struct {
		what, name string
		harm, most int // packets to the victim, and to all
	}{
		{"NXNS", "www.nxns.evil.wild", 10, 100},
		{"NXNS with names of many labels", "www.far.evil.wild", 10, 100},
		{"aliases into zones whose servers have no addresses (CAMP)", "a.b.c.sub.e0.wild", 0, 100},
		{"a circle of aliases", "l.evil.wild", 0, 40},
		{"a circle of DNAME records", "x.d.evil.wild", 0, 40},
		{"names that grow", "x.g.evil.wild", 0, 40},
		{"servers that need each other", "www.c1.evil.wild", 0, 40},
	} {
		before, harmed := a.tree.Total(), len(a.tree.Queries("@8,@9"))
		m := new(dns.Msg).SetQuestion(dns.Fqdn(c.name), dns.TypeA)
		client := dns.Client{Timeout: within}
		r, _, err := client.Exchange(m, a.server.String())
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		all, harm := a.tree.Total()-before, len(a.tree.Queries("@8,@9"))-harmed
		t.Logf("%s: %s after %d packets, %d of them to the victim", c.what, dns.RcodeToString[r.Rcode], all, harm)
		if all > c.most || harm > c.harm {
			t.Errorf("%s: %d packets, %d of them to the victim, want at most %d and %d", c.what, all, harm, c.most, c.harm)
		}
	}
	a.answersNow("after.good.wild", "192.0.2.1")
	a.answersNow("www.victim.wild", "192.0.2.4")
}
