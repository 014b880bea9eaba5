package resolver_test

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// twoSources is a tree in which a zone has servers of the world (@3), which are asked from the root down, and another one (@9), which a forward or a stub may name.
const twoSources = `
	zone .               server a.root.test @1
	zone test            server ns.nic.test @2
	    corp             NS    ns.corp
	    ns.corp          A     @3
	zone corp.test       server ns.corp.test @3
	    www              A     192.0.2.1
	zone corp.test       server inner.corp.test @9
	    www              A     192.0.2.10
`

const saysWorld, saysInner = "NOERROR\nwww.corp.test. 300 IN A 192.0.2.1", "NOERROR\nwww.corp.test. 300 IN A 192.0.2.10"

// sourced is the configuration of a tree of twoSources with a forward or a stub of corp.test to @9; "" for neither.
func (r *rooted) sourced(how string) resolver.Config {
	config := r.config
	own := *config.Recursion
	own.Forwards, own.Stubs = nil, nil
	config.Recursion = &own
	zone, at := dnsname.MustParse("corp.test").Canonical(), r.tree.Addr("@9")
	switch how {
	case "forward":
		own.Forwards = []resolver.Forward{{Zone: zone, Upstreams: []resolver.Upstream{{Addr: at}}}}
	case "stub":
		own.Stubs = []resolver.Stub{{Zone: zone, Servers: []netip.AddrPort{at}}}
	}
	return config
}

func (r *rooted) change(t *testing.T, how string) {
	t.Helper()
	if err := r.Update(r.sourced(how)); err != nil {
		t.Fatal(err)
	}
}

// TestAnswerUnderWayIsOfItsOwnSource: a question that began before a change of the sources gets its answer, which is given to nobody who asks afterwards.
func TestAnswerUnderWayIsOfItsOwnSource(t *testing.T) {
	for _, c := range []struct{ name, before, after, server, first, then string }{
		{"forward that goes", "forward", "", "@9", saysInner, saysWorld},
		{"forward that comes", "", "forward", "@3", saysWorld, saysInner},
		{"stub that goes", "stub", "", "@9", saysInner, saysWorld},
		{"stub that comes", "", "stub", "@3", saysWorld, saysInner},
		{"forward that becomes a stub", "forward", "stub", "@9", saysInner, saysInner},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startRooted(t, twoSources)
			r.change(t, c.before)
			asked, answer := make(chan struct{}), make(chan struct{})
			var once sync.Once
			r.tree.Hook(c.server, func(q dnstest.Query, m *dns.Msg) *dns.Msg {
				if strings.EqualFold(q.Name, "www.corp.test.") {
					once.Do(func() {
						close(asked)
						<-answer
					})
				}
				return m
			})
			got := make(chan string)
			go func() { got <- r.ask(t, "www.corp.test", "A") }()
			<-asked
			r.change(t, c.after)
			close(answer)
			if first := <-got; first != c.first && first != c.then {
				t.Errorf("the question under way got %s, want %s", first, c.first)
			}
			for range 2 {
				if then := r.ask(t, "www.corp.test", "A"); then != c.then {
					t.Errorf("then got %s, want %s", then, c.then)
				}
			}
			for _, k := range r.cache.Kept(dnsname.MustParse("www.corp.test"), 0, time.Now().UnixNano()) {
				if want := r.cache.Source(k.Name, k.Type); k.Group != want {
					t.Errorf("an answer of group %d is kept, want %d alone", k.Group, want)
				}
			}
		})
	}
}

// TestPrefetchAsksWhoIsToBeAskedNow: what waits to be asked ahead while the sources change is asked of the new ones.
func TestPrefetchAsksWhoIsToBeAskedNow(t *testing.T) {
	r := startRooted(t, twoSources)
	r.change(t, "forward")
	k := &rrcache.Key{Name: []byte(dnsname.MustParse("www.corp.test").Canonical()), Type: dns.TypeA, Class: dns.ClassINET}
	if _, err := r.Resolve(context.Background(), k, nil); err != nil || k.Group == 0 {
		t.Fatalf("group %d, %v", k.Group, err)
	}
	r.change(t, "")
	r.Prefetch(k) // as one that met the answer a moment before
	deadline := time.Now().Add(20 * time.Second)
	for len(r.cache.Kept(dnsname.Name(k.Name), 0, time.Now().UnixNano())) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nothing came of it")
		}
		time.Sleep(time.Millisecond)
	}
	if kept := r.cache.Kept(dnsname.Name(k.Name), 0, time.Now().UnixNano()); len(kept) != 1 || kept[0].Group != 0 {
		t.Errorf("kept: %+v, want one of recursion", kept)
	}
	if got := r.ask(t, "www.corp.test", "A"); got != saysWorld {
		t.Errorf("got %s, want %s", got, saysWorld)
	}
}

// TestDumpIsOfTheSourcesOfItsTime: answers that are loaded belong to the source of their name now, whatever its number was; what a source said that is asked no more is not
// in a dump, and a dump or a load that a change meets ends there.
func TestDumpIsOfTheSourcesOfItsTime(t *testing.T) {
	r := startRooted(t, twoSources)
	for _, how := range []string{"stub", "", "forward"} { // so that the number of the forward is not the first
		r.change(t, how)
	}
	r.ask(t, "www.corp.test", "A")
	r.ask(t, "ns.nic.test", "A")
	var dump bytes.Buffer
	if _, err := r.cache.Dump(&dump, time.Now().UnixNano(), func() {}); err != nil {
		t.Fatal(err)
	}
	again := startOverTree(t, r, "forward")
	got, err := again.cache.Load(bytes.NewReader(dump.Bytes()), time.Now().UnixNano(), func() {})
	if err != nil || got.Kept < 2 || got.Refused > 0 {
		t.Fatalf("loaded %+v, %v", got, err)
	}
	before := len(r.tree.Queries("*"))
	if got := again.ask(t, "www.corp.test", "A"); got != saysInner || len(r.tree.Queries("*")) != before {
		t.Errorf("got %s with %d queries, want %s from the dump", got, len(r.tree.Queries("*"))-before, saysInner)
	}

	stubbed := startOverTree(t, r, "stub")
	if got, err := stubbed.cache.Load(bytes.NewReader(dump.Bytes()), time.Now().UnixNano(), func() {}); err != nil || got.Kept == 0 || got.Others == 0 {
		t.Errorf("under a stub in place of the forward: loaded %+v, %v", got, err)
	}
	if kept := stubbed.cache.Kept(dnsname.MustParse("www.corp.test"), 0, time.Now().UnixNano()); len(kept) > 0 {
		t.Errorf("what the forward said is there: %+v", kept)
	}

	changed := func() { again.change(t, "") }
	if _, err := again.cache.Load(bytes.NewReader(dump.Bytes()), time.Now().UnixNano(), func() {}); err != nil {
		t.Fatal(err)
	}
	if _, err := again.cache.Dump(new(bytes.Buffer), time.Now().UnixNano(), sync.OnceFunc(changed)); err == nil {
		t.Error("a dump goes on over a change of the sources")
	}
	if got := again.ask(t, "www.corp.test", "A"); got != saysWorld {
		t.Errorf("got %s, want %s", got, saysWorld)
	}
}

// startOverTree starts another resolver over the tree of r.
func startOverTree(t *testing.T, r *rooted, how string) *rooted {
	t.Helper()
	cache, err := rrcache.New(rrcache.Config{Bytes: rrcache.BytesMin})
	if err != nil {
		t.Fatal(err)
	}
	config := r.sourced(how)
	config.Cache = cache
	return startOver(t, r.tree, r.hints, config)
}

// TestCacheHasTheBasisInForce: what answers depend on changes for the cache when the resolver goes by it, and not before, be it that upstreams are asked or not.
func TestCacheHasTheBasisInForce(t *testing.T) {
	for _, recursion := range []*resolver.Recursion{nil, {Hints: []resolver.Hint{{Name: dnsname.MustParse("a.test"), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}} {
		cache, err := rrcache.New(rrcache.Config{Bytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		config := resolver.Config{Cache: cache, Recursion: recursion, Basis: "before"}
		r, err := resolver.New(config)
		if err != nil {
			t.Fatal(err)
		}
		if got := cache.Sources().Basis(); got != "before" {
			t.Errorf("at first the basis is %q, want before", got)
		}
		if config.Basis = "after"; r.Update(config) != nil || cache.Sources().Basis() != "after" {
			t.Errorf("then the basis is %q, want after", cache.Sources().Basis())
		}
	}
}
