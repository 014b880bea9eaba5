package resolver_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnssec"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// rooted is a resolver that looks for names in a tree of zones.
type rooted struct {
	*resolver.Resolver
	tree  *dnstest.Tree
	hints []resolver.Hint
	cache *rrcache.Cache
	// config is what it was started with, or what trusting made of that.
	config resolver.Config
}

// slowMachine is the time for what is to succeed, however slow the machine is.
var slowMachine = resolver.Timeouts{Attempt: 20 * time.Second, Total: time.Minute}

// startRooted starts a resolver that looks for names in a tree.
func startRooted(t *testing.T, text string, change ...func(*resolver.Config)) *rooted {
	t.Helper()
	tree := dnstest.StartTree(t, text)
	hints, err := resolver.ReadHints(strings.NewReader(tree.RootHints()), "hints")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
	if err != nil {
		t.Fatal(err)
	}
	config := resolver.Config{Cache: cache, Timeouts: slowMachine, Recursion: &resolver.Recursion{Hints: hints, Port: tree.Port(), Never: []netip.Prefix{}, NoIPv6: true}}
	for _, c := range change {
		c(&config)
	}
	return startOver(t, tree, hints, config)
}

// startOver starts a resolver over a tree.
func startOver(t *testing.T, tree *dnstest.Tree, hints []resolver.Hint, config resolver.Config) *rooted {
	t.Helper()
	r, err := resolver.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return &rooted{r, tree, hints, config.Cache, config}
}

// ask asks for a name and returns the reply in a short form: the code, then the records of answer and authority by section.
func (r *rooted) ask(t *testing.T, name, rtype string, flags ...string) string {
	t.Helper()
	k := &rrcache.Key{Name: []byte(dnsname.MustParse(name).Canonical()), Type: dns.StringToType[rtype], Class: dns.ClassINET}
	for _, f := range flags {
		k.DO = k.DO || f == "do"
		k.CD = k.CD || f == "cd"
	}
	got, err := r.Resolve(context.Background(), k, nil)
	if err != nil {
		return "error: " + err.Error()
	}
	var m dns.Msg
	if err := m.Unpack(got.Msg); err != nil {
		t.Fatal(err)
	}
	out := dns.RcodeToString[m.Rcode]
	if m.AuthenticatedData {
		out += " AD"
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			out += "\n" + strings.ReplaceAll(rr.String(), "\t", " ")
		}
	}
	return out
}

const smallInternet = `
	zone .               server a.root.test @1
	zone test            server ns.nic.test @2
	zone example.test    server ns1.example.test @3, ns2.example.test @4
	    www              A     192.0.2.1
	    alias            CNAME www
	    away             CNAME www.other.test.
	    deep.er.name     A     192.0.2.5
	    old              DNAME new.example.test.
	    x.new            A     192.0.2.6
	zone other.test      server ns.elsewhere.test @5
	    www              A     192.0.2.7
	zone elsewhere.test  server ns.elsewhere.test @5
`

func TestRecursionFindsNames(t *testing.T) {
	r := startRooted(t, smallInternet)
	for _, c := range []struct{ name, rtype, want string }{
		{"www.example.test", "A", "192.0.2.1"},
		{"alias.example.test", "A", "192.0.2.1"},
		{"away.example.test", "A", "192.0.2.7"},
		{"deep.er.name.example.test", "A", "192.0.2.5"},
		{"x.old.example.test", "A", "192.0.2.6"},
		{"none.example.test", "A", "NXDOMAIN"},
		{"www.example.test", "TXT", "SOA"},
		{"er.name.example.test", "A", "SOA"},
		{"example.nowhere", "A", "NXDOMAIN"},
		{".", "NS", "a.root.test."},
	} {
		begun := time.Now()
		if got := r.ask(t, c.name, c.rtype); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %s, want %s", c.name, c.rtype, got, c.want)
		}
		t.Log(c.name, time.Since(begun))
	}
}

// trusting starts a resolver that validates from the root of the tree.
func trusting(t *testing.T, text string, change ...func(*resolver.Config)) *rooted {
	t.Helper()
	r := startRooted(t, text, change...)
	anchors, err := dnssec.ParseAnchors("anchors", []byte(r.tree.Anchors()))
	if err != nil {
		t.Fatal(err)
	}
	config := resolver.Config{Timeouts: slowMachine, Recursion: &resolver.Recursion{Hints: r.hints, Port: r.tree.Port(), Never: []netip.Prefix{}, NoIPv6: true, Anchors: anchors}}
	for _, c := range change {
		c(&config)
	}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	r.config = config
	return r
}

const signedInternet = `
	zone .               server a.root.test @1 sign
	zone test            server ns.nic.test @2 sign nsec3 optout
	zone example.test    server ns1.example.test @3, ns2.example.test @4 sign alg=15
	    www              A     192.0.2.1
	    alias            CNAME www
	    away             CNAME www.other.test.
	    out              CNAME www.plain.test.
	    deep.er.name     A     192.0.2.5
	    *.wild           A     192.0.2.8
	    old              DNAME new.example.test.
	    x.new            A     192.0.2.6
	zone other.test      server ns.elsewhere.test @5 sign nsec3
	    www              A     192.0.2.7
	    *.wild           A     192.0.2.9
	zone elsewhere.test  server ns.elsewhere.test @5
	zone plain.test      server ns.plain.test @6
	    www              A     192.0.2.10
	zone bad.test        server ns.bad.test @7 sign
	    www              A     192.0.2.11
	    ok               A     192.0.2.12
	! sign www.bad.test expired
`

func TestRecursionValidates(t *testing.T) {
	r := trusting(t, signedInternet)
	for _, c := range []struct{ name, rtype, want string }{
		{"www.example.test", "A", "NOERROR AD\nwww"},
		{"alias.example.test", "A", "NOERROR AD\nalias"},
		{"away.example.test", "A", "NOERROR AD\naway"},
		{"out.example.test", "A", "NOERROR\nout"},
		{"deep.er.name.example.test", "A", "NOERROR AD\ndeep"},
		{"a.wild.example.test", "A", "NOERROR AD\na.wild"},
		{"a.b.wild.other.test", "A", "NOERROR AD\na.b.wild"},
		{"x.old.example.test", "A", "NOERROR AD\nold"},
		{"none.example.test", "A", "NXDOMAIN AD"},
		{"none.other.test", "A", "NXDOMAIN AD"},
		{"none.test", "A", "NXDOMAIN\n"},
		{"www.example.test", "TXT", "NOERROR AD\nexample.test"},
		{"er.name.example.test", "A", "NOERROR AD\nexample.test"},
		{"www.other.test", "TXT", "NOERROR AD\nother.test"},
		{"example.nowhere", "A", "NXDOMAIN AD"},
		{"www.plain.test", "A", "NOERROR\nwww"},
		{"none.plain.test", "A", "NXDOMAIN\nplain"},
		{"plain.test", "DS", "NOERROR\ntest"},
		{"example.test", "DS", "NOERROR AD\nexample.test"},
		{"example.test", "DNSKEY", "NOERROR AD\nexample.test"},
		{"www.bad.test", "A", "error"},
		{"ok.bad.test", "A", "NOERROR AD\nok"},
		{".", "NS", "NOERROR AD\n"},
	} {
		before := r.tree.Total()
		got := r.ask(t, c.name, c.rtype)
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s: got %s, want %s", c.name, c.rtype, got, c.want)
		}
		t.Log(c.name, c.rtype, r.tree.Total()-before, "queries", strings.SplitN(got, "\n", 2)[0])
	}
}

// TestDenialsAreUsedForOtherNames: what a signed zone has proved not to be there is not asked for again under another name.
func TestDenialsAreUsedForOtherNames(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    alpha            A     192.0.2.1
		    omega            A     192.0.2.2
		zone hashed.test     server ns.hashed.test @4 sign nsec3
		    www              A     192.0.2.3
		zone optout.test     server ns.optout.test @5 sign nsec3 optout
		    www              A     192.0.2.4
	`)
	for _, c := range []struct {
		first, second string
		rtype         string
		want          string
		asked         int
	}{
		{"beta.example.test", "gamma.example.test", "A", "NXDOMAIN AD", 0},
		{"beta.example.test", "deep.below.delta.example.test", "A", "NXDOMAIN AD", 0},
		{"omega.example.test", "omega.example.test", "TXT", "NOERROR AD", 1},
		{"zeta.example.test", "omega.example.test", "A", "NOERROR AD\nomega", 1},
		{"x.hashed.test", "x.hashed.test", "MX", "NXDOMAIN AD", 0},
		{"x.optout.test", "y.optout.test", "A", "NXDOMAIN\n", 1},
	} {
		r.ask(t, c.first, "A")
		before := r.tree.Total()
		got := r.ask(t, c.second, c.rtype, "do")
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s after %s: got %s, want %s", c.second, c.first, got, c.want)
		}
		if n := r.tree.Total() - before; n != c.asked {
			t.Errorf("%s after %s: %d queries, want %d", c.second, c.first, n, c.asked)
		}
	}
}

// TestPathHasTheServersOfTheDelegation: a zone that tells nobody its name servers is found by those that its parent names.
func TestPathHasTheServersOfTheDelegation(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone hidden.test     server ns.bulletproof.test @3
		    www              A     192.0.2.1
		zone bulletproof.test server ns.bulletproof.test @3
		! @3 hidden.test empty type=NS
	`)
	if got := r.ask(t, "www.hidden.test", "A"); !strings.Contains(got, "192.0.2.1") {
		t.Fatal(got)
	}
	got := r.Path(context.Background(), []byte(dnsname.MustParse("www.hidden.test")), resolver.PathOptions{MinDots: 1, WaitNames: true})
	if len(got.Servers) != 1 || dnsname.Name(got.Servers[0].Name).String() != "ns.bulletproof.test" {
		t.Errorf("got %v, want the server that test names", got)
	}
}

// TestUpdateForgetsWhatOthersSaid: what the servers of a zone said is not served once others are to be asked.
func TestUpdateForgetsWhatOthersSaid(t *testing.T) {
	r := startRooted(t, smallInternet+`
		zone inside.test     server ns.inside.test @6
		    www              A     192.0.2.66
	`)
	other := dnstest.Start(t, "inside.test. 300 SOA ns.inside.test. h.inside.test. 1 3600 600 86400 60\nwww.inside.test. 300 A 192.0.2.77")
	if got := r.ask(t, "www.inside.test", "A"); !strings.Contains(got, "192.0.2.66") {
		t.Fatal(got)
	}
	config := resolver.Config{Timeouts: slowMachine, Recursion: &resolver.Recursion{
		Hints: r.hints, Port: r.tree.Port(), Never: []netip.Prefix{}, NoIPv6: true,
		Forwards: []resolver.Forward{{Zone: dnsname.MustParse("inside.test"), Upstreams: []resolver.Upstream{{Addr: other.Addr()}}}},
	}}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "www.inside.test", "A"); !strings.Contains(got, "192.0.2.77") {
		t.Errorf("forwarded: %s", got)
	}
	before := r.tree.Total()
	if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "192.0.2.1") {
		t.Errorf("elsewhere: %s", got)
	}
	if r.tree.Total() == before {
		t.Error("the tree was not asked")
	}
	config.Recursion = &resolver.Recursion{
		Hints: r.hints, Port: r.tree.Port(), Never: []netip.Prefix{}, NoIPv6: true,
		Stubs: []resolver.Stub{{Zone: dnsname.MustParse("inside.test"), Servers: []netip.AddrPort{r.tree.Addr("@6")}}},
	}
	if err := r.Update(config); err != nil {
		t.Fatal(err)
	}
	if got := r.ask(t, "www.inside.test", "A"); !strings.Contains(got, "192.0.2.66") {
		t.Errorf("as a stub: %s", got)
	}
}

// TestUpdateIsFinalForQuestionsUnderWay: what a question finds that began before others were to be asked is not kept.
func TestUpdateIsFinalForQuestionsUnderWay(t *testing.T) {
	r := startRooted(t, smallInternet+`
		zone inside.test     server ns.inside.test @6
		    www              A     192.0.2.66
		! @6 www.inside.test delay=300ms
	`)
	other := dnstest.Start(t, "inside.test. 300 SOA ns.inside.test. h.inside.test. 1 3600 600 86400 60\nwww.inside.test. 300 A 192.0.2.77")
	first := make(chan string)
	go func() { first <- r.ask(t, "www.inside.test", "A") }()
	eventually(t, "the server of the zone is asked", func() bool { return r.tree.Asked("www.inside.test", dns.TypeA) > 0 })
	if err := r.Update(resolver.Config{Timeouts: slowMachine, Recursion: &resolver.Recursion{
		Hints: r.hints, Port: r.tree.Port(), Never: []netip.Prefix{}, NoIPv6: true,
		Forwards: []resolver.Forward{{Zone: dnsname.MustParse("inside.test"), Upstreams: []resolver.Upstream{{Addr: other.Addr()}}}},
	}}); err != nil {
		t.Fatal(err)
	}
	if got := <-first; !strings.Contains(got, "192.0.2.66") {
		t.Errorf("the question under way: %s", got)
	}
	if got := r.ask(t, "www.inside.test", "A"); !strings.Contains(got, "192.0.2.77") {
		t.Errorf("the next question: %s", got)
	}
}
