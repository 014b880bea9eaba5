package resolver_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// hurried makes servers that do not answer cost little time, and asks for addresses of both families.
func hurried(c *resolver.Config) {
	c.Timeouts.Attempt = 40 * time.Millisecond
	c.Recursion.NoIPv6 = false
}

// lines repeats a line of a tree with numbers in it.
func lines(n int, format string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)) + "\n")
	}
	return b.String()
}

// world is a tree with a zone that does no harm and one that may; below are records of the zone above both.
func world(below, evil string) string {
	return `
		zone .               server a.root.test @1 SIGN
		zone test            server ns.nic.test @2 SIGN
		` + below + `
		zone victim.test     server ns1.victim.test @5, ns2.victim.test @6 SIGN
		    www              A     192.0.2.1
		zone evil.test       server ns.evil.test @7 SIGN
		    www              A     192.0.2.66
		` + evil
}

// signed has all zones of a text signed that may be, and plain none.
func signed(text string) string { return strings.ReplaceAll(text, "SIGN", "sign") }
func plain(text string) string  { return strings.ReplaceAll(text, "SIGN", "") }

// attacks make one question of a client cost as much as their zones can.
var attacks = []struct {
	name   string
	text   string
	ask    string
	hook   func(tree *dnstest.Tree)
	victim string // whose packets are counted apart
	harm   int    // the most that it may get
	most   int    // the most that all servers may get
}{
	{name: "NXNS", text: world("", nxns), ask: "a.sub.evil.test", victim: "@5,@6", harm: 10, most: 40},
	{name: "NXNS with names of many labels", text: world("", lines(20, "sub NS a.b.c.d.e.f.n%d.victim.test.")), ask: "a.sub.evil.test", victim: "@5,@6", harm: 10, most: 40},
	{name: "NXNS on a victim that does not answer", text: world("", nxns+"! @5,@6 * drop"), ask: "a.sub.evil.test", victim: "@5,@6", harm: 10, most: 40},
	{name: "NXNS on a victim that refuses", text: world("", nxns+"! @5,@6 * rcode=SERVFAIL"), ask: "a.sub.evil.test", victim: "@5,@6", harm: 10, most: 40},
	{name: "NXNS on a victim with truncated replies", text: world("", nxns+"! @5,@6 * truncate"), ask: "a.sub.evil.test", victim: "@5,@6", harm: 10, most: 40},
	{
		name: "NXNS in two steps",
		text: world("", lines(13, "sub NS n.s%d.evil.test.")+each(13, func(i int) string { return lines(13, fmt.Sprintf("s%d NS m%%d.s%d.victim.test.", i, i)) })),
		ask:  "a.sub.evil.test", victim: "@5,@6", harm: 10, most: 60,
	},
	{
		name: "delegations to a victim without an answer",
		text: world("", lines(13, "sub NS n.s%d.evil.test.")+each(13, func(i int) string { return fmt.Sprintf("s%d NS ns.s%d\nns.s%d A @5\n", i, i, i) })),
		ask:  "a.sub.evil.test", victim: "@5", harm: 10, most: 60,
	},
	{
		name: "aliases into zones, the last without addresses",
		text: world("", each(10, func(i int) string {
			return fmt.Sprintf("zone e%d.test server ns.e%d.test @7 SIGN\na.b.c.d.e.f CNAME a.b.c.d.e.f.e%d.test.\n", i, i, i+1)
		})+"zone e10.test server ns.e10.test @7\n"+lines(13, "f NS n%d.victim.test.")),
		ask: "a.b.c.d.e.f.e0.test", victim: "@5,@6", harm: 10, most: 100,
	},
	{
		name: "aliases whose zones each have glueless servers",
		text: world("", each(15, func(i int) string {
			return fmt.Sprintf("zone e%d.test server ns.e%d.test @7 SIGN\n", i, i) + lines(11, fmt.Sprintf("sub NS x.y.z.n%%d.e%d.test.", i+20)) +
				fmt.Sprintf("sub NS good.e%d.test.\ngood A @8\nzone sub.e%d.test server good.e%d.test @8 SIGN\na.b.c CNAME a.b.c.sub.e%d.test.\n", i, i, i, i+1)
		})),
		ask: "a.b.c.sub.e0.test", victim: "@5", most: 100,
	},
	{
		name: "signatures that are wrong, at every server",
		text: world("", "zone sig.test server ns1.sig.test @8, ns2.sig.test @9, ns3.sig.test @10 SIGN\na.b.c.d A 192.0.2.3\n! sign sig.test bad-sig\n"),
		ask:  "a.b.c.d.sig.test", victim: "@5", most: 40,
	},
	{name: "loop of aliases", text: world("", "l CNAME m.evil.test.\nm CNAME l.evil.test.\n"), ask: "l.evil.test", victim: "@5", most: 40},
	{
		name: "loop of aliases between zones",
		text: world("", "l CNAME l.other.test.\nzone other.test server ns.other.test @8 SIGN\nl CNAME l.evil.test.\n"), ask: "l.evil.test", victim: "@5", most: 40,
	},
	{name: "aliases without end", text: world("", "zone other.test server ns.other.test @8\n"), ask: "a.x.evil.test", victim: "@5", most: 40, hook: endlessAliases},
	{name: "loop of DNAME records", text: world("", "d DNAME e.evil.test.\ne DNAME d.evil.test.\n"), ask: "x.d.evil.test", victim: "@5", most: 40},
	{name: "DNAME records that let the name grow", text: world("", "d DNAME a.a.a.a.a.a.a.a.a.a.d.evil.test.\n"), ask: "x.d.evil.test", victim: "@5", most: 40},
	{name: "servers of two zones that need each other", text: world("one NS ns.two.test.\ntwo NS ns.one.test.\n", ""), ask: "www.one.test", victim: "@5", most: 40},
	{
		name: "servers of many zones that need each other",
		text: world(each(12, func(i int) string { return lines(12, fmt.Sprintf("c%d NS ns%%d.c%%d.test.", i)) }), ""), ask: "www.c0.test", victim: "@5", most: 60,
	},
	{
		name: "a new zone at every label", text: world("", ""), ask: strings.Repeat("a.b.c.d.e.f.g.h.", 12) + "evil.test", victim: "@5", most: 60, hook: endlessZones,
	},
	{name: "servers that are dead", text: world("", lines(6, "dead NS d%d.dead\nd%d.dead A @5")+"! @5 * drop"), ask: "www.dead.evil.test", victim: "@5", harm: 10, most: 40},
	{
		name: "servers at many addresses where nobody is", text: world("", each(13, func(i int) string {
			return fmt.Sprintf("dead NS d%d.dead\n", i) + lines(6, fmt.Sprintf("d%d.dead A @1%d%%d", i, i%10))
		})), ask: "www.dead.evil.test", victim: "@5", most: 40,
	},
}

// nxns is a delegation to many servers whose names lie in another zone (CVE-2020-12662).
var nxns = lines(20, "sub NS n%d.victim.test.")

// endlessAliases leads from each name to a new one of the other zone.
func endlessAliases(tree *dnstest.Tree) {
	var n atomic.Int64
	to := func(zone string) dnstest.Hook {
		return func(q dnstest.Query, right *dns.Msg) *dns.Msg {
			if q.Type != dns.TypeA || strings.Count(q.Name, ".") < 4 {
				return right
			}
			rr, _ := dns.NewRR(fmt.Sprintf("%s 300 CNAME a.x%d.%s", q.Name, n.Add(1), zone))
			right.Rcode, right.Answer, right.Ns, right.Authoritative = 0, []dns.RR{rr}, nil, true
			return right
		}
	}
	tree.Hook("@7", to("other.test."))
	tree.Hook("@8", to("evil.test."))
}

// endlessZones refers to a new zone whatever is asked.
func endlessZones(tree *dnstest.Tree) {
	tree.Hook("@7", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		ns, _ := dns.NewRR(q.Name + " 300 NS ns." + q.Name)
		a, _ := dns.NewRR("ns." + q.Name + " 300 A " + tree.Addr("@7").Addr().String())
		right.Rcode, right.Answer, right.Ns, right.Authoritative = 0, nil, []dns.RR{ns}, false
		right.Extra = append(right.Extra, a)
		return right
	})
}

// each joins what a function makes for each number.
func each(n int, line func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
	}
	return b.String()
}

// packets counts the queries that servers got, and forgets none.
func (r *rooted) packets(servers string) int { return len(r.tree.Queries(servers)) }

func TestOneQuestionCostsLittle(t *testing.T) {
	for _, c := range attacks {
		for way, text := range map[string]string{"": plain(c.text), ", signed": signed(c.text)} {
			if way != "" && !strings.Contains(c.text, "SIGN") {
				continue
			}
			t.Run(c.name+way, func(t *testing.T) {
				t.Parallel()
				start := startRooted
				if way != "" {
					start = trusting
				}
				r := start(t, text, hurried)
				if c.hook != nil {
					c.hook(r.tree)
				}
				begun := time.Now()
				k := &rrcache.Key{Name: []byte(dnsname.MustParse(c.ask).Canonical()), Type: dns.TypeA, Class: dns.ClassINET}
				result, err := r.Resolve(context.Background(), k, nil)
				got := fmt.Sprint(err)
				if !slices.Contains([]uint16{resolver.EDENone, 0, 6, 9, 10, 22, 23}, result.EDE) || err != nil && result.EDE == resolver.EDENone {
					t.Errorf("extended error %d: %s", result.EDE, got)
				}
				took, harm, all := time.Since(begun), r.packets(c.victim), int(r.Stats().Sent)
				again := r.ask(t, c.ask, "A")
				more := int(r.Stats().Sent) - all
				t.Logf("%d packets, %d of them to the victim; %d when asked again; %v; extended error %d; %.70q then %.20q", all, harm, more, took, result.EDE, got, again)
				if harm > c.harm || all > c.most {
					t.Errorf("%d packets, %d of them to the victim: want at most %d, and %d", all, harm, c.most, c.harm)
				}
				if more > 0 {
					t.Errorf("asked again at once it cost %d packets", more)
				}
			})
		}
	}
}

// Who has used up the budget of a question asks last for the name of somebody else. Those who ask for that afterwards must not feel it.
func TestSpentBudgetFailsNobodyElse(t *testing.T) {
	const packetsMax = 16
	text := world("", "") + each(packetsMax, func(i int) string {
		return fmt.Sprintf("zone e%d.test server ns.e%d.test @7\na CNAME www.b%d.test.\nzone b%d.test server ns.b%d.test @8 SIGN\nwww A 192.0.2.9\n", i, i, i, i, i)
	})
	r := trusting(t, signed(text))
	config, failed := r.config, 0
	for packets := 1; packets < packetsMax; packets++ {
		bounded := *config.Recursion
		bounded.Bounds.Packets = packets
		if err := r.Update(resolver.Config{Timeouts: slowMachine, Recursion: &bounded}); err != nil {
			t.Fatal(err)
		}
		if got := r.ask(t, fmt.Sprintf("a.e%d.test", packets), "A"); strings.HasPrefix(got, "error") {
			failed++
		}
		if err := r.Update(config); err != nil {
			t.Fatal(err)
		}
		if got := r.ask(t, fmt.Sprintf("www.b%d.test", packets), "A"); !strings.HasPrefix(got, "NOERROR AD") {
			t.Errorf("after a question that ran out of %d packets: %s", packets, got)
		}
	}
	if failed == 0 {
		t.Error("no question ran out of packets: the test shows nothing")
	}
}

// Many ask at once for names whose zones need each other. All get an answer, and nobody waits for himself (TsuNAME).
func TestManyAskInCircles(t *testing.T) {
	r := startRooted(t, plain(world(each(12, func(i int) string {
		return fmt.Sprintf("c%d NS ns.c%d.test.\nc%d NS ns.c%d.test.\n", i, (i+1)%12, i, (i+5)%12)
	}), "")), hurried)
	begun := time.Now()
	var asking sync.WaitGroup
	for i := range 240 {
		asking.Go(func() {
			if got := r.ask(t, fmt.Sprintf("www%d.c%d.test", i/24, i%12), "A"); !strings.HasPrefix(got, "error") && got != "SERVFAIL" {
				t.Errorf("got %s", got)
			}
		})
	}
	asking.Wait()
	t.Logf("%d packets for 240 questions in %v", r.Stats().Sent, time.Since(begun))
	if n := r.Stats().Sent; n > 240*10 {
		t.Errorf("%d packets", n)
	}
	if n := r.Stats().Outstanding; n != 0 {
		t.Errorf("%d questions are still under way", n)
	}
}

// All that one query of a client leads to, the name servers on the way to each of its names too, has the packets of one question. What runs out of
// them is asked anew by the next.
func TestOneQueryHasOneBudget(t *testing.T) {
	r := startRooted(t, plain(world("", each(40, func(i int) string {
		return fmt.Sprintf("zone z%d.test server ns.z%d.test @8\nwww A 192.0.2.1\na.b.c.d.e.f.g.h.i A 192.0.2.1\n", i, i)
	}))), func(c *resolver.Config) { c.Recursion.Bounds.Packets = 30 })
	ctx := r.OneQuery(context.Background(), netip.Prefix{})
	for i := range 40 {
		name := []byte(dnsname.MustParse(fmt.Sprintf("a.b.c.d.e.f.g.h.i.z%d.test", i)).Canonical())
		r.Path(ctx, name, resolver.PathOptions{MinDots: 1, WaitNames: true})
	}
	if n := r.Stats().Sent; n > 30 {
		t.Errorf("%d packets for one query", n)
	}
	for i := range 40 {
		if got := r.ask(t, fmt.Sprintf("z%d.test", i), "NS"); !strings.Contains(got, "ns.z") {
			t.Errorf("z%d.test after a query that ran out of packets: got %s", i, got)
		}
	}
}
