package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/resolver"
	"cenote/rrcache"
	"cenote/wire"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// internet is what most upstreams in these tests answer from.
const internet = `
	.                  3600 SOA a.root.example. host.example. 1 3600 600 86400 60
	example.           3600 SOA ns.example. host.example. 1 3600 600 86400 60
	www.example.        300 A     192.0.2.1
	www.example.        300 AAAA  2001:db8::1
	alias.example.      300 CNAME www.example.
	zero.example.         0 A     192.0.2.3
	brief.example.        1 A     192.0.2.4
`

// fixture is a resolver that runs, its cache, and a clock that a test can move.
type fixture struct {
	*resolver.Resolver
	t     testing.TB
	cache *rrcache.Cache
	ahead atomic.Int64 // of the clock, in ns
}

func (f *fixture) now() time.Time { return time.Now().Add(time.Duration(f.ahead.Load())) }

// advance moves the clock that the cache is read by.
func (f *fixture) advance(d time.Duration) { f.ahead.Add(int64(d)) }

// start runs a resolver until the test ends. edit may change its config.
func start(t testing.TB, edit func(*resolver.Config), upstreams ...netip.AddrPort) *fixture {
	t.Helper()
	cache, err := rrcache.New(rrcache.Config{Bytes: 1 << 20, FailureTTL: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, cache: cache}
	config := f.config(edit, upstreams...)
	if f.Resolver, err = resolver.New(config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
		if s := f.Stats(); s.Outstanding != 0 || s.Sockets != 0 {
			t.Errorf("after Run: %d questions and %d sockets are left", s.Outstanding, s.Sockets)
		}
	})
	return f
}

func (f *fixture) config(edit func(*resolver.Config), upstreams ...netip.AddrPort) resolver.Config {
	config := resolver.Config{Cache: f.cache, Now: f.now, Timeouts: slowMachine}
	for _, addr := range upstreams {
		config.Upstreams = append(config.Upstreams, resolver.Upstream{Addr: addr})
	}
	if edit != nil {
		edit(&config)
	}
	return config
}

func keyOf(name string, qtype uint16) *rrcache.Key {
	return &rrcache.Key{Name: []byte(dnsname.MustParse(name).Canonical()), Type: qtype, Class: wire.ClassIN}
}

// resolve asks and returns what came as text: the rcode and the records, "stale" if so, and the EDE or error.
func (f *fixture) resolve(k *rrcache.Key) (string, error) {
	f.t.Helper()
	result, err := f.Resolve(context.Background(), k, make([]byte, 1232))
	if err != nil {
		return "", err
	}
	m := new(dns.Msg)
	if err := m.Unpack(result.Msg); err != nil {
		f.t.Errorf("what Resolve gave does not parse: %v", err)
		return "", err
	}
	var words []string
	if result.Stale {
		words = append(words, "stale")
	}
	if words = append(words, dns.RcodeToString[m.Rcode]); result.EDE != resolver.EDENone {
		words = append(words, fmt.Sprintf("EDE%d", result.EDE))
	}
	for _, rr := range append(m.Answer, m.Ns...) {
		data := strings.TrimPrefix(rr.String(), rr.Header().String())
		words = append(words, dns.TypeToString[rr.Header().Rrtype]+":"+strings.Fields(data)[0])
	}
	return strings.Join(words, " "), nil
}

// want asks and compares.
func (f *fixture) want(name string, qtype uint16, want string) {
	f.t.Helper()
	if got, err := f.resolve(keyOf(name, qtype)); err != nil || got != want {
		f.t.Errorf("%s: got %q (%v), want %q", name, got, err, want)
	}
}

// wantError asks and compares the error and its extended code.
func (f *fixture) wantError(name string, want error, ede uint16) {
	f.t.Helper()
	got, err := f.resolve(keyOf(name, dns.TypeA))
	var e *resolver.Error
	if !errors.Is(err, want) || !errors.As(err, &e) || e.EDE() != ede {
		f.t.Errorf("%s: got %q, %v, want %v with EDE %d", name, got, err, want, ede)
	}
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if so() {
			return
		}
	}
	t.Fatalf("after 30 s still not: %s", what)
}

// impatient makes a resolver ask again soon, and go on all the same.
func impatient(c *resolver.Config) { c.Timeouts.Attempt = 50 * time.Millisecond }

// hopeless makes it give up soon. What is to succeed has no place under it.
func hopeless(c *resolver.Config) {
	c.Timeouts.Attempt, c.Timeouts.Total, c.Bounds.Tries = 20*time.Millisecond, 100*time.Millisecond, 2
}

// asked is how often the one upstream was asked for the address of a name, once all that was sent to it has come: whoever gives up soon is done before.
func (f *fixture) asked(up *dnstest.Server, name string) int {
	f.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); uint64(up.Total()) < f.Status()[0].Counts.Queries && time.Now().Before(deadline); { // one whose time was over may not have gone out
		time.Sleep(time.Millisecond)
	}
	return up.Asked(name, dns.TypeA)
}

// update changes the config while the resolver runs.
func (f *fixture) update(edit func(*resolver.Config), upstreams ...netip.AddrPort) {
	f.t.Helper()
	if err := f.Update(f.config(edit, upstreams...)); err != nil {
		f.t.Fatal(err)
	}
}

func TestAnswersAreCached(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	for range 2 {
		f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
		f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
		f.want("www.example", dns.TypeMX, "NOERROR SOA:ns.example.")
		f.want("absent.example", dns.TypeA, "NXDOMAIN SOA:ns.example.")
	}
	for _, name := range []string{"www.example", "alias.example", "absent.example"} {
		if n := up.Asked(name, dns.TypeA); n != 1 {
			t.Errorf("%s was asked for %d times, want 1", name, n)
		}
	}
	f.advance(61 * time.Second)
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.want("absent.example", dns.TypeA, "NXDOMAIN SOA:ns.example.")
	if n := up.Asked("absent.example", dns.TypeA); n != 2 {
		t.Errorf("a negative answer was asked for %d times after its SOA's minimum, want 2", n)
	}
	if n := up.Asked("www.example", dns.TypeA); n != 1 {
		t.Errorf("www.example was asked for %d times within its TTL, want 1", n)
	}
}

func TestFlagsOfTheQueryFollowTheKey(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	k := keyOf("www.example", dns.TypeA)
	k.DO, k.CD = true, true
	f.resolve(k)
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeTXT} {
		f.resolve(keyOf("www.example", qtype))
	}
	got := up.Queries()
	if len(got) != 5 || !got[0].DO || !got[0].CD || got[1].DO || got[1].CD || !got[0].RD || got[0].UDPMax != 1232 {
		t.Errorf("queries were %+v, want five with RD and 1232, the first with DO and CD", got)
	}
	if !slices.ContainsFunc(got, func(q dnstest.Query) bool { return q.ID != got[0].ID || q.Client != got[0].Client }) { // two may have by chance
		t.Errorf("all queries had the same id and port: %+v", got)
	}
}

func TestAnswerWithoutTTLServesAllWhoWaited(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	k := keyOf("zero.example", dns.TypeA)
	for range 2 {
		if got, err := f.resolve(k); err != nil || got != "NOERROR A:192.0.2.3" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if n := up.Asked("zero.example", dns.TypeA); n != 2 {
		t.Errorf("asked for %d times, want 2", n)
	}
}

func TestSecondUpstreamIsAsked(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault dnstest.Fault
		edit  func(*resolver.Config)
	}{
		{"first is silent", dnstest.Fault{Drop: true}, impatient},
		{"first says SERVFAIL", dnstest.Fault{Rcode: dns.RcodeServerFailure}, nil},
		{"first says REFUSED", dnstest.Fault{Rcode: dns.RcodeRefused}, nil},
		{"first says FORMERR", dnstest.Fault{Rcode: dns.RcodeFormatError}, nil},
		{"first answers another question", dnstest.Fault{WrongQuestion: true}, impatient},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first, second := dnstest.Start(t, internet), dnstest.Start(t, internet)
			first.Break("www.example", tc.fault)
			f := start(t, tc.edit, first.Addr(), second.Addr())
			f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
			if n := second.Asked("www.example", dns.TypeA); n < 1 || n > 1 && tc.edit == nil {
				t.Errorf("the second upstream was asked %d times, want 1", n)
			}
		})
	}
}

func TestTruncatedReplyIsAskedForByTCP(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("*", dnstest.Fault{Truncate: true})
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.want("www.example", dns.TypeAAAA, "NOERROR AAAA:2001:db8::1")
	var tcp []netip.AddrPort
	for _, q := range up.Queries() {
		if q.TCP {
			tcp = append(tcp, q.Client)
		}
	}
	if len(tcp) != 2 || tcp[0] != tcp[1] {
		t.Errorf("TCP queries came from %v, want two from one connection", tcp)
	}
}

func TestConnectionThatTheServerClosedIsReplaced(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("*", dnstest.Fault{Truncate: true})
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	up.Mend()
	up.Break("alias.example", dnstest.Fault{Truncate: true, Times: 1})
	up.Break("alias.example", dnstest.Fault{Close: true, Times: 1})
	f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
	if n := f.Status()[0].Counts.TCP; n != 2 {
		t.Errorf("%d attempts by TCP, want 2", n)
	}
}

// TestConnectionsToAnUpstreamThatVanished: a machine that went away without a word, or lost its state, answers nothing on connections from before.
// One of them is tried, for no longer than an attempt is waited for; then the others go unasked and a fresh one has the answer.
func TestConnectionsToAnUpstreamThatVanished(t *testing.T) {
	for name, vanished := range map[string]dnstest.Fault{"silent": {Drop: true, Times: 1}, "closed": {Close: true, Times: 1}} {
		t.Run(name, func(t *testing.T) {
			up := dnstest.Start(t, internet)
			const before = 5
			udp, tcp := make(chan struct{}), make(chan struct{})
			up.Break("*", dnstest.Fault{Truncate: true, Hold: udp, Times: before})
			up.Break("*", dnstest.Fault{Hold: tcp})
			f := start(t, func(c *resolver.Config) { c.Bounds.Tries = 1 }, up.Addr())
			var all sync.WaitGroup
			for i := range before {
				all.Go(func() { f.want(fmt.Sprintf("n%d.example", i), dns.TypeA, "NXDOMAIN SOA:ns.example.") })
			}
			eventually(t, "all are asked by UDP", func() bool { return up.Total() == before })
			close(udp)
			eventually(t, "all are asked by TCP, a connection each", func() bool { return up.Total() == 2*before })
			close(tcp)
			all.Wait()
			if open, idle := f.Connections(0); open != before || idle != before {
				t.Fatalf("%d connections are open, %d of them idle, want %d", open, idle, before)
			}
			up.Mend()
			up.Break("alias.example", dnstest.Fault{Truncate: true, Times: 1})
			up.Break("alias.example", vanished)
			f.update(func(c *resolver.Config) { c.Timeouts.Attempt, c.Bounds.Tries = 3*time.Second, 1 }, up.Addr())
			f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
			if n := up.Asked("alias.example", dns.TypeA); n != 3 {
				t.Errorf("asked %d times, want 3: by UDP, on a connection from before, and on a fresh one", n)
			}
			if open, idle := f.Connections(0); open != 1 || idle != 1 {
				t.Errorf("%d connections are open, %d of them idle, want the fresh one alone", open, idle)
			}
		})
	}
}

// TestUpstreamWithoutTCP: a machine that answers by UDP is there, so what it sends by TCP alone cannot be had, now or by trying again.
func TestUpstreamWithoutTCP(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("www.example", dnstest.Fault{Truncate: true, Times: 1})
	up.Break("www.example", dnstest.Fault{Close: true, Times: 1})
	f := start(t, nil, up.Addr())
	f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
	f.wantError("www.example", resolver.ErrFailed, 22)
	if n := up.Asked("www.example", dns.TypeA); n != 2 {
		t.Errorf("asked %d times, want 2: once by UDP, once by TCP", n)
	}
	f.want("www.example", dns.TypeA, "SERVFAIL EDE13")
	if s := f.Status()[0]; s.Counts.Unreachable != 1 || s.Counts.Probes != 0 {
		t.Errorf("status %+v, want one attempt in vain and no suspicion", s)
	}
}

func TestForgedRepliesAreIgnored(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault dnstest.Fault
	}{
		{"wrong id", dnstest.Fault{WrongID: true, ThenRight: true}},
		{"wrong question", dnstest.Fault{WrongQuestion: true, ThenRight: true}},
		{"three octets", dnstest.Fault{Junk: true, ThenRight: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up := dnstest.Start(t, internet)
			up.Break("www.example", tc.fault)
			f := start(t, nil, up.Addr())
			f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
			if n := up.Asked("www.example", dns.TypeA); n != 1 {
				t.Errorf("asked %d times, want 1: a forged packet ended the exchange", n)
			}
			if s := f.Status()[0]; s.Counts.NearMisses != 1 || !s.Up {
				t.Errorf("status %+v, want one near miss and up", s)
			}
		})
	}
}

func TestUpstreamThatFoldsCaseIsFoundOutAndRemembered(t *testing.T) {
	up := dnstest.Start(t, internet+"\na-long-name-so-that-random-case-cannot-be-all-lower.example. 300 A 192.0.2.7")
	up.Break("*", dnstest.Fault{LowerCase: true})
	f := start(t, nil, up.Addr())
	f.want("a-long-name-so-that-random-case-cannot-be-all-lower.example", dns.TypeA, "NOERROR A:192.0.2.7")
	if q := up.Queries(); len(q) != 2 || q[0].TCP || !q[1].TCP || q[0].Name == strings.ToLower(q[0].Name) {
		t.Errorf("queries were %+v, want one in mixed case by UDP and one by TCP", q)
	}
	if f.Status()[0].KeepsCase {
		t.Error("the upstream is believed to keep the case")
	}
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	if q := up.Queries(); len(q) != 3 || q[2].TCP || q[2].Name != "www.example." {
		t.Errorf("queries were %+v, want one more, in lower case by UDP", q)
	}
	up.Mend()
	f.advance(11 * time.Minute)
	f.want("a-long-name-so-that-random-case-cannot-be-all-lower.example", dns.TypeA, "NOERROR A:192.0.2.7")
	if q := up.Queries(); len(q) != 4 || q[3].Name == strings.ToLower(q[3].Name) || !f.Status()[0].KeepsCase {
		t.Errorf("after ten minutes the last of %+v should be in mixed case", q)
	}
}

func TestUpstreamWithoutEDNS(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("*", dnstest.Fault{NoEDNS: true})
	f := start(t, nil, up.Addr())
	for i := range 5 {
		f.want(fmt.Sprintf("n%d.example", i), dns.TypeA, "NXDOMAIN SOA:ns.example.")
	}
	with := 0
	for _, q := range up.Queries() {
		if q.EDNS {
			with++
		}
	}
	if with != 3 || f.Status()[0].EDNS {
		t.Errorf("%d queries with EDNS, want 3 before it is believed", with)
	}
}

func TestManyWaitForOneQuery(t *testing.T) {
	up := dnstest.Start(t, internet)
	hold := make(chan struct{})
	up.Break("www.example", dnstest.Fault{Hold: hold})
	f := start(t, nil, up.Addr())
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1") })
	}
	eventually(t, "99 wait for the first", func() bool { return f.Stats().Joined == 99 })
	close(hold)
	all.Wait()
	if n := up.Asked("www.example", dns.TypeA); n != 1 {
		t.Errorf("asked %d times for 100 callers, want 1", n)
	}
}

func TestBoundsTurnCallersAway(t *testing.T) {
	up := dnstest.Start(t, internet)
	hold := make(chan struct{})
	up.Break("*", dnstest.Fault{Hold: hold})
	f := start(t, func(c *resolver.Config) { c.Bounds.Outstanding, c.Bounds.Waiters = 1, 2 }, up.Addr())
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1") })
	}
	eventually(t, "two wait", func() bool { return f.Stats().Joined == 1 })
	f.wantError("www.example", resolver.ErrBusy, 14)
	f.wantError("alias.example", resolver.ErrBusy, 14)
	if s := f.Stats(); s.Shed != 2 {
		t.Errorf("%d turned away, want 2", s.Shed)
	}
	close(hold)
	all.Wait()
}

func TestCallerLeavesTheFetchGoesOn(t *testing.T) {
	up := dnstest.Start(t, internet)
	hold := make(chan struct{})
	up.Break("www.example", dnstest.Fault{Hold: hold})
	f := start(t, nil, up.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := f.Resolve(ctx, keyOf("www.example", dns.TypeA), nil)
		left <- err
	}()
	eventually(t, "the question is under way", func() bool { return up.Asked("www.example", dns.TypeA) == 1 })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("Resolve = %v, want the caller's error", err)
	}
	close(hold)
	eventually(t, "the answer is in the cache", func() bool {
		return f.cache.Peek(keyOf("www.example", dns.TypeA), f.now().UnixNano(), make([]byte, 512)).State == rrcache.Fresh
	})
}

func TestTotalTimeIsBounded(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("*", dnstest.Fault{Drop: true})
	f := start(t, hopeless, up.Addr())
	f.wantError("www.example", resolver.ErrTimeout, 22)
	n := f.asked(up, "www.example")
	if n > 2 {
		t.Errorf("asked %d times, want at most 2", n)
	}
	f.want("www.example", dns.TypeA, "SERVFAIL EDE13")
	if again := f.asked(up, "www.example"); again != n {
		t.Errorf("asked %d times, want still %d: the failure is to be remembered", again, n)
	}
	f.advance(5100 * time.Millisecond)
	up.Mend()
	f.update(nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
}

func TestLostQueriesAreSentAgain(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("www.example", dnstest.Fault{Drop: true, Times: 2})
	f := start(t, func(c *resolver.Config) { impatient(c); c.Bounds.Tries = 3 }, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	if n := up.Asked("www.example", dns.TypeA); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
}

func TestNoUpstream(t *testing.T) {
	f := start(t, nil)
	f.wantError("www.example", resolver.ErrNoUpstreams, 23)
	up := dnstest.Start(t, internet)
	f.update(nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.want("www.example", dns.TypeAAAA, "NOERROR AAAA:2001:db8::1")
}

func TestNobodyListens(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Close()
	f := start(t, nil, up.Addr())
	f.wantError("www.example", resolver.ErrFailed, 23)
}

func TestGroupsHaveTheirOwnUpstreams(t *testing.T) {
	here, there := dnstest.Start(t, internet), dnstest.Start(t, "www.example. 300 A 192.0.2.99")
	f := start(t, func(c *resolver.Config) { c.Upstreams[1].Group = 3 }, here.Addr(), there.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	k := keyOf("www.example", dns.TypeA)
	k.Group = 3
	if got, err := f.resolve(k); got != "NOERROR A:192.0.2.99" {
		t.Errorf("group 3: got %q, %v", got, err)
	}
	k.Group = 4
	if _, err := f.resolve(k); !errors.Is(err, resolver.ErrNoUpstreams) {
		t.Errorf("group 4: got %v, want %v", err, resolver.ErrNoUpstreams)
	}
}

func TestTransfersAreNotForwarded(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	for _, qtype := range []uint16{dns.TypeAXFR, dns.TypeIXFR, dns.TypeOPT, dns.TypeTSIG, dns.TypeTKEY} {
		if _, err := f.resolve(keyOf("example", qtype)); !errors.Is(err, resolver.ErrType) {
			t.Errorf("type %d: %v, want %v", qtype, err, resolver.ErrType)
		}
	}
	if n := len(up.Queries()); n != 0 {
		t.Errorf("%d queries were sent, want none", n)
	}
}

func TestStaleAnswerWhileUpstreamsAreDead(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.want("absent.example", dns.TypeA, "NXDOMAIN SOA:ns.example.")
	f.advance(301 * time.Second)
	up.Break("*", dnstest.Fault{Drop: true})
	f.update(hopeless, up.Addr())
	f.want("www.example", dns.TypeA, "stale NOERROR EDE3 A:192.0.2.1")
	f.want("absent.example", dns.TypeA, "stale NXDOMAIN EDE19 SOA:ns.example.")
	before := f.asked(up, "www.example")
	f.want("www.example", dns.TypeA, "stale NOERROR EDE3 A:192.0.2.1")
	if n := f.asked(up, "www.example"); n != before {
		t.Errorf("asked %d more times, want none: the answer is held", n-before)
	}
	up.Mend()
	f.update(nil, up.Addr())
	f.advance(31 * time.Second)
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
}

// TestStaleAnswerAtOnce: without patience a caller gets the stale answer, and the next one what was fetched meanwhile.
func TestStaleAnswerAtOnce(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, func(c *resolver.Config) { c.Timeouts.Stale = -1 }, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.advance(301 * time.Second)
	f.want("www.example", dns.TypeA, "stale NOERROR EDE3 A:192.0.2.1")
	eventually(t, "the fetch behind it renews the answer", func() bool {
		return f.cache.Peek(keyOf("www.example", dns.TypeA), f.now().UnixNano(), make([]byte, 512)).State == rrcache.Fresh
	})
}

// TestStaleAnswerWithoutSignatures: who asks for signatures gets an answer past its time that has none, if that is all there is, and it is held.
func TestStaleAnswerWithoutSignatures(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.advance(301 * time.Second)
	up.Break("*", dnstest.Fault{Drop: true})
	f.update(hopeless, up.Addr())
	asked := 0
	for range 2 {
		k := keyOf("www.example", dns.TypeA)
		k.DO = true
		result, err := f.Resolve(context.Background(), k, nil)
		if err != nil || !result.Stale {
			t.Fatalf("got %+v, %v, want the stale answer", result, err)
		}
		if asked > 0 && f.asked(up, "www.example") != asked {
			t.Error("the network was asked again for an answer that is held")
		}
		asked = f.asked(up, "www.example")
	}
}

func TestStaleAnswerWhenPatienceEnds(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, func(c *resolver.Config) { c.Timeouts.Stale = 30 * time.Millisecond }, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.advance(301 * time.Second)
	hold := make(chan struct{})
	up.Break("www.example", dnstest.Fault{Hold: hold})
	f.want("www.example", dns.TypeA, "stale NOERROR EDE3 A:192.0.2.1")
	close(hold)
	eventually(t, "the fetch that went on renews the answer", func() bool {
		return f.cache.Peek(keyOf("www.example", dns.TypeA), f.now().UnixNano(), make([]byte, 512)).State == rrcache.Fresh
	})
	if s := f.Stats(); s.Stale != 1 {
		t.Errorf("%d stale answers counted, want 1", s.Stale)
	}
}

func TestStaleAnswerWhenTheCallerLeaves(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.advance(301 * time.Second)
	up.Break("www.example", dnstest.Fault{Drop: true, Times: 1})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if result, err := f.Resolve(ctx, keyOf("www.example", dns.TypeA), nil); err != nil || !result.Stale {
		t.Errorf("got %+v, %v, want the stale answer", result, err)
	}
}

func TestPrefetch(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.advance(299 * time.Second)
	f.Prefetch(keyOf("www.example", dns.TypeA))
	eventually(t, "the answer is renewed", func() bool {
		return f.cache.Peek(keyOf("www.example", dns.TypeA), f.now().UnixNano(), make([]byte, 512)).TTL > 200
	})
	if s := f.Stats(); s.Prefetches != 1 || s.PrefetchesShed != 0 {
		t.Errorf("stats %+v, want one prefetch", s)
	}
}

func TestPrefetchNeverWaits(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("*", dnstest.Fault{Drop: true})
	f := start(t, func(c *resolver.Config) { c.Bounds.Prefetches, c.Bounds.PrefetchQueue = 1, 2 }, up.Addr())
	for i := range 10 {
		f.Prefetch(keyOf(fmt.Sprintf("n%d.example", i), dns.TypeA))
	}
	if s := f.Stats(); s.Prefetches+s.PrefetchesShed != 10 || s.PrefetchesShed < 7 {
		t.Errorf("stats %+v, want at least 7 of 10 turned away", s)
	}
}

// TestPrefetchBoundsChange: an Update that gives more room lets what waits go at once, and one that gives less loses nothing that waits.
func TestPrefetchBoundsChange(t *testing.T) {
	up := dnstest.Start(t, internet)
	hold := make(chan struct{})
	up.Break("*", dnstest.Fault{Hold: hold})
	bounds := func(atATime, queue int) func(*resolver.Config) {
		return func(c *resolver.Config) {
			c.Bounds.Prefetches, c.Bounds.PrefetchQueue = atATime, queue
			c.Timeouts.Attempt, c.Timeouts.Total = time.Minute, 2*time.Minute
		}
	}
	f := start(t, bounds(1, 4), up.Addr())
	next := 0
	fetch := func(n int) {
		for range n {
			f.Prefetch(keyOf(fmt.Sprintf("n%d.example", next), dns.TypeA))
			next++
		}
	}
	underWay := func(want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d questions are asked ahead", want), func() bool { return f.Stats().Outstanding == want })
	}
	shed := func(want uint64) {
		t.Helper()
		if s := f.Stats(); s.PrefetchesShed != want || s.Prefetches != uint64(next)-want {
			t.Errorf("of %d questions %d were queued and %d turned away, want %d turned away", next, s.Prefetches, s.PrefetchesShed, want)
		}
	}
	fetch(1)
	underWay(1)
	fetch(5)
	shed(1) // one is asked, four wait
	eventually(t, "the four are seen", f.SeenAhead)
	f.update(bounds(3, 4), up.Addr())
	underWay(3)
	fetch(3)
	shed(2) // two waited, so that there was room for two
	f.update(bounds(1, 1), up.Addr())
	fetch(1)
	shed(3) // four wait, three more than may
	close(hold)
	eventually(t, "all that waited is asked", func() bool {
		asked := 0
		for i := range next {
			asked += min(up.Asked(fmt.Sprintf("n%d.example", i), dns.TypeA), 1)
		}
		return asked == next-3 && f.Stats().Outstanding == 0
	})
	fetch(1)
	shed(3) // there is room again
}

func TestUpstreamGoesDownAndComesBack(t *testing.T) {
	for _, tc := range []struct {
		name    string
		fault   dnstest.Fault
		attempt time.Duration
	}{
		{"silent", dnstest.Fault{Drop: true}, time.Second}, // a probe may take twice that, however slow the machine is
		{"refuses everything", dnstest.Fault{Rcode: dns.RcodeRefused}, 20 * time.Second},
		{"reaches nobody", dnstest.Fault{Rcode: dns.RcodeServerFailure}, 20 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sick, well := dnstest.Start(t, internet), dnstest.Start(t, internet)
			sick.Break("*", tc.fault)
			f := start(t, func(c *resolver.Config) {
				c.Timeouts.Attempt = tc.attempt
				c.Timeouts.ProbeMin, c.Timeouts.ProbeMax = 50*time.Millisecond, 50*time.Millisecond
			}, sick.Addr(), well.Addr())
			n := 0
			ask := func() {
				n++
				f.want(fmt.Sprintf("n%d.example", n), dns.TypeA, "NXDOMAIN SOA:ns.example.")
			}
			eventually(t, "the sick one is down", func() bool { ask(); f.advance(time.Second); return !f.Status()[0].Up })
			if !f.Status()[1].Up {
				t.Error("the well one is down too")
			}
			before := len(sick.Queries())
			for range 20 {
				ask()
			}
			for _, q := range sick.Queries()[before:] {
				if q.Name != "." {
					t.Errorf("%s was asked of an upstream that is down", q.Name)
				}
			}
			sick.Mend()
			eventually(t, "it is back", func() bool { return f.Status()[0].Up })
		})
	}
}

// TestOnlyUpstreamRestarts: while nobody listens the question is put again and again, and one that was given up is asked anew by the next
// caller; that an upstream could not be reached says nothing about a name.
func TestOnlyUpstreamRestarts(t *testing.T) {
	up := dnstest.Start(t, internet)
	now := time.Now()
	f := start(t, func(c *resolver.Config) {
		c.Bounds.Tries, c.Now = 16, func() time.Time { return now } // however slow the machine is
	}, up.Addr())
	f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
	up.Close()
	var asking sync.WaitGroup
	asking.Go(func() { f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1") })
	eventually(t, "the question was put twice in vain", func() bool { return f.Status()[0].Counts.Unreachable >= 2 })
	up.Reopen(t)
	asking.Wait()
}

func TestUnreachableUpstreamIsNoFaultOfTheName(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	up.Close()
	f.Suspect(0)
	eventually(t, "it is down", func() bool { return !f.Status()[0].Up })
	for range 2 {
		f.wantError("www.example", resolver.ErrFailed, 23)
	}
	up.Reopen(t)
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	if !f.Status()[0].Up {
		t.Error("the upstream answered and is still said to be down")
	}
}

// TestDeadUpstreamIsNotWaitedFor: what has been gone for long fails at once, without further tries.
func TestDeadUpstreamIsNotWaitedFor(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	up.Close()
	f.advance(2 * time.Second)
	f.Suspect(0)
	eventually(t, "it is down", func() bool { return !f.Status()[0].Up })
	f.advance(time.Minute)
	before := f.Status()[0].Counts.Unreachable
	f.wantError("alias.example", resolver.ErrFailed, 23)
	if n := f.Status()[0].Counts.Unreachable - before; n != 1 {
		t.Errorf("tried %d times, want once", n)
	}
}

// TestUpstreamThatIsDownIsNotFlooded: with no other left it is tried, at a rate that does it no harm; what is over that fails.
func TestUpstreamThatIsDownIsNotFlooded(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("*", dnstest.Fault{Rcode: dns.RcodeRefused})
	now := time.Now()
	f := start(t, func(c *resolver.Config) {
		c.Timeouts.Attempt, c.Bounds.Tries, c.Now = 20*time.Millisecond, 1, func() time.Time { return now } // one second of trials
	}, up.Addr())
	f.Suspect(0)
	eventually(t, "it is down", func() bool { return !f.Status()[0].Up })
	for i := range 200 {
		if _, err := f.resolve(keyOf(fmt.Sprintf("n%d.example", i), dns.TypeA)); !errors.Is(err, resolver.ErrFailed) {
			t.Fatalf("question %d: %v, want %v", i, err, resolver.ErrFailed)
		}
	}
	tried := 0
	for _, q := range up.Queries() {
		if !isProbe(q) {
			tried++
		}
	}
	if tried < 1 || tried > resolver.TrialsMax {
		t.Errorf("tried %d times within a second, want 1 to %d", tried, resolver.TrialsMax)
	}
	if shed := f.Status()[0].Counts.Shed; shed == 0 {
		t.Error("nothing was counted as turned away")
	}
}

// TestUpstreamThatIsDownIsTriedByAFew: one that was believed to be down has an answer for all who ask at once, since those who were turned away
// wait until it has answered the others.
func TestUpstreamThatIsDownIsTriedByAFew(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break(".", dnstest.Fault{Rcode: dns.RcodeRefused})
	hold := make(chan struct{})
	up.Break("*", dnstest.Fault{Hold: hold})
	now := time.Now()
	f := start(t, func(c *resolver.Config) { c.Now = func() time.Time { return now } }, up.Addr()) // one second of trials
	f.Suspect(0)
	eventually(t, "it is down", func() bool { return !f.Status()[0].Up })
	var all sync.WaitGroup
	for i := range 3 * resolver.TrialsMax {
		all.Go(func() { f.want(fmt.Sprintf("m%d.example", i), dns.TypeA, "NXDOMAIN SOA:ns.example.") })
	}
	eventually(t, "the others are turned away", func() bool { return f.Status()[0].Counts.Shed >= 2*resolver.TrialsMax })
	if n := f.Status()[0].UnderWay; n != resolver.TrialsMax {
		t.Errorf("%d questions are under way, want %d", n, resolver.TrialsMax)
	}
	close(hold)
	all.Wait()
}

// TestReplyCountsForMoreThanSilence: an upstream that cannot be reached does not hold up the failure that another one reported.
func TestReplyCountsForMoreThanSilence(t *testing.T) {
	gone, refuses := dnstest.Start(t, internet), dnstest.Start(t, internet)
	refuses.Break("www.example", dnstest.Fault{Rcode: dns.RcodeRefused})
	f := start(t, nil, gone.Addr())
	f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
	gone.Close()
	f.update(nil, gone.Addr(), refuses.Addr())
	f.wantError("www.example", resolver.ErrFailed, 22)
	if n := f.Status()[0].Counts.Unreachable; n != 1 {
		t.Errorf("the one that is gone was tried %d times, want once", n)
	}
	f.want("www.example", dns.TypeA, "SERVFAIL EDE13") // remembered: it is the name's
}

func TestSocketsAreBounded(t *testing.T) {
	up := dnstest.Start(t, internet)
	hold := make(chan struct{})
	up.Break("www.example", dnstest.Fault{Hold: hold})
	f := start(t, func(c *resolver.Config) { c.Bounds.Sockets = 1 }, up.Addr())
	var asking sync.WaitGroup
	asking.Go(func() { f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1") })
	eventually(t, "the socket is taken", func() bool { return up.Asked("www.example", dns.TypeA) == 1 })
	f.wantError("alias.example", resolver.ErrBusy, 14)
	if s := f.Stats(); s.SocketsShed != 1 {
		t.Errorf("%d queries turned away, want 1", s.SocketsShed)
	}
	close(hold)
	asking.Wait()
	f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
}

func TestAttemptsAtOneUpstreamAreBounded(t *testing.T) {
	up := dnstest.Start(t, internet)
	hold := make(chan struct{})
	up.Break("www.example", dnstest.Fault{Hold: hold})
	f := start(t, func(c *resolver.Config) { c.Bounds.PerUpstream = 1 }, up.Addr())
	var asking sync.WaitGroup
	asking.Go(func() { f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1") })
	eventually(t, "the place is taken", func() bool { return up.Asked("www.example", dns.TypeA) == 1 })
	f.wantError("alias.example", resolver.ErrBusy, 14)
	if s := f.Status()[0]; s.Counts.Shed != 1 || s.UnderWay != 1 {
		t.Errorf("status %+v, want one attempt under way and one turned away", s)
	}
	close(hold)
	asking.Wait()
}

func TestDeadNamesDoNotTakeAnUpstreamDown(t *testing.T) {
	up := dnstest.Start(t, internet+"\n*.dead.example. 300 A 192.0.2.9")
	f := start(t, func(c *resolver.Config) {
		c.Timeouts.Attempt, c.Timeouts.Total, c.Bounds.Tries = time.Second, time.Second, 1
	}, up.Addr())
	for i := range 3 {
		name := fmt.Sprintf("n%d.dead.example", i)
		up.Break(name, dnstest.Fault{Drop: true})
		f.wantError(name, resolver.ErrTimeout, 22)
		f.advance(2 * time.Second)
	}
	eventually(t, "the suspicion led to a probe", func() bool { return f.Status()[0].Counts.Probes > 0 && !f.Suspected(0) })
	if s := f.Status()[0]; !s.Up {
		t.Errorf("status %+v, want up: it answers probes", s)
	}
}

func TestNamesThatFailDoNotTakeAnUpstreamDown(t *testing.T) {
	up := dnstest.Start(t, internet+"\n*.broken.example. 300 A 192.0.2.9")
	f := start(t, nil, up.Addr())
	for i := range 20 {
		name := fmt.Sprintf("n%d.broken.example", i)
		up.Break(name, dnstest.Fault{Rcode: dns.RcodeServerFailure})
		f.wantError(name, resolver.ErrFailed, 22)
		f.advance(2 * time.Second)
	}
	eventually(t, "the suspicion led to a probe", func() bool { return f.Status()[0].Counts.Probes > 0 })
	if s := f.Status()[0]; !s.Up || s.Counts.ServFail != 20 {
		t.Errorf("status %+v, want up, since it answers probes, and 20 failures", s)
	}
}

// isProbe reports whether a query is one for the name servers of the root.
func isProbe(q dnstest.Query) bool { return q.Name == "." && q.Type == dns.TypeNS }

func TestProbeThatIsLostWhileOthersAreAnswered(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	hold := make(chan struct{})
	up.Break(".", dnstest.Fault{Hold: hold, Rcode: dns.RcodeRefused})
	up.Break("broken.example", dnstest.Fault{Rcode: dns.RcodeServerFailure})
	f.wantError("broken.example", resolver.ErrFailed, 22)
	eventually(t, "it is probed", func() bool { return slices.ContainsFunc(up.Queries(), isProbe) })
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	close(hold)
	eventually(t, "the probe has failed", func() bool { return !f.Suspected(0) })
	if s := f.Status()[0]; !s.Up {
		t.Errorf("status %+v, want up: it answered a client while it was probed", s)
	}
}

func TestOwnFaultsDoNotTakeAnUpstreamDown(t *testing.T) {
	up := dnstest.Start(t, internet)
	hold := make(chan struct{})
	up.Break("www.example", dnstest.Fault{Hold: hold})
	f := start(t, func(c *resolver.Config) { c.Bounds.Sockets = 1 }, up.Addr())
	var asking sync.WaitGroup
	asking.Go(func() { f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1") })
	eventually(t, "the socket is taken", func() bool { return up.Asked("www.example", dns.TypeA) == 1 })
	f.Suspect(0)
	eventually(t, "the probe found no socket", func() bool { return f.Stats().SocketsShed == 1 && !f.Suspected(0) })
	if s := f.Status()[0]; !s.Up {
		t.Errorf("status %+v, want up: the fault was ours", s)
	}
	close(hold)
	asking.Wait()
}

func TestErrorsOfSockets(t *testing.T) {
	f := start(t, nil)
	for _, tc := range []struct {
		err error
		own bool
	}{
		{syscall.EMFILE, true}, {syscall.ENFILE, true}, {syscall.ENOBUFS, true}, {syscall.EAGAIN, true},
		{syscall.ECONNREFUSED, false}, {syscall.ENETUNREACH, false}, {syscall.EHOSTUNREACH, false}, {syscall.EADDRNOTAVAIL, false},
	} {
		err := &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", tc.err)}
		if got := errors.Is(f.Network(err), resolver.ErrBusy); got != tc.own {
			t.Errorf("%v: our own fault %v, want %v", tc.err, got, tc.own)
		}
	}
	if n := f.Stats().SocketsShed; n != 4 {
		t.Errorf("%d sockets counted as turned away, want 4", n)
	}
}

// below reports whether a function of the resolver is among the callers.
func below(function string) bool { return strings.Contains(string(debug.Stack()), "."+function+"(") }

func TestFaultOfOurOwnStopsNothing(t *testing.T) {
	for _, where := range []string{"(*search).attempt", "(*Resolver).land", "(*Resolver).askRoot"} {
		t.Run(where, func(t *testing.T) {
			up := dnstest.Start(t, internet)
			var times atomic.Int64
			f := start(t, func(c *resolver.Config) {
				now := c.Now
				c.Now = func() time.Time {
					if below(where) && times.Add(1) == 1 {
						panic("a fault that the test makes")
					}
					return now()
				}
			}, up.Addr())
			f.Suspect(0)
			eventually(t, "the probe has ended", func() bool { return !f.Suspected(0) })
			f.resolve(keyOf("www.example", dns.TypeA))
			f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
			if s := f.Stats(); s.Bugs != 1 || !f.Status()[0].Up {
				t.Errorf("stats %+v, up %v, want 1 fault of our own and the upstream up", s, f.Status()[0].Up)
			}
		})
	}
}

func TestReplyLongerThanOurBufferIsAskedForByTCP(t *testing.T) {
	for _, pad := range []int{1500, 5000} {
		up := dnstest.Start(t, internet)
		up.Break("www.example", dnstest.Fault{Pad: pad})
		f := start(t, nil, up.Addr())
		f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
		tcp := uint64(0)
		if pad > 4096 {
			tcp = 1
		}
		if s := f.Status()[0]; s.Counts.TCP != tcp || s.Counts.Truncated != tcp || s.Counts.Rejected != 0 {
			t.Errorf("%d octets more: status %+v, want %d by TCP", pad, s, tcp)
		}
	}
}

func TestAnswerThatCannotBeKeptTakesTheStaleOneAway(t *testing.T) {
	up := dnstest.Start(t, internet)
	f := start(t, nil, up.Addr())
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.advance(301 * time.Second)
	if err := up.SetText("www.example. 0 A 192.0.2.66"); err != nil {
		t.Fatal(err)
	}
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.66")
	up.Break("*", dnstest.Fault{Rcode: dns.RcodeServerFailure})
	f.wantError("www.example", resolver.ErrFailed, 22)
}

func TestUpdateLeavesQuestionsUnderWayAlone(t *testing.T) {
	old, next := dnstest.Start(t, internet), dnstest.Start(t, internet)
	hold := make(chan struct{})
	old.Break("www.example", dnstest.Fault{Hold: hold})
	f := start(t, nil, old.Addr())
	var asking sync.WaitGroup
	asking.Go(func() { f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1") })
	eventually(t, "the old one is asked", func() bool { return old.Asked("www.example", dns.TypeA) == 1 })
	f.update(nil, next.Addr())
	f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
	if next.Asked("alias.example", dns.TypeA) != 1 {
		t.Error("after the update the new upstream was not asked")
	}
	close(hold)
	asking.Wait()
	if next.Asked("www.example", dns.TypeA) != 0 {
		t.Error("the question under way was asked again")
	}
	bad := f.config(nil, next.Addr())
	bad.Bounds.Tries = 99
	if err := f.Update(bad); err == nil {
		t.Error("Update took 99 tries")
	}
	f.want("www.example", dns.TypeAAAA, "NOERROR AAAA:2001:db8::1")
}

func TestUpdatesUnderLoadLoseNothing(t *testing.T) {
	up := []*dnstest.Server{dnstest.Start(t, internet), dnstest.Start(t, internet)}
	f := start(t, nil, up[0].Addr())
	bothAsked := func() bool { return up[0].Total() > 0 && up[1].Total() > 0 }
	var callers sync.WaitGroup
	for g := range 8 {
		callers.Go(func() {
			for i := 0; i < 40 || i < 4000 && !bothAsked(); i++ { // the updates may get no turn for a while
				f.want(fmt.Sprintf("n%d-%d.example", g, i), dns.TypeA, "NXDOMAIN SOA:ns.example.")
			}
		})
	}
	ended := make(chan struct{})
	go func() { callers.Wait(); close(ended) }()
	for i := 0; ; i++ {
		select {
		case <-ended:
			if !bothAsked() {
				t.Error("one of the upstreams was never asked: the test shows nothing")
			}
			return
		default:
			f.update(nil, up[i%2].Addr())
		}
	}
}

func TestStoppedResolver(t *testing.T) {
	up := dnstest.Start(t, internet)
	up.Break("*", dnstest.Fault{Drop: true})
	cache, err := rrcache.New(rrcache.Config{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	r, err := resolver.New(resolver.Config{Cache: cache, Upstreams: []resolver.Upstream{{Addr: up.Addr()}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	asked := make(chan error)
	go func() {
		_, err := r.Resolve(context.Background(), keyOf("www.example", dns.TypeA), nil)
		asked <- err
	}()
	eventually(t, "the question is under way", func() bool { return up.Asked("www.example", dns.TypeA) > 0 })
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := <-asked; !errors.Is(err, resolver.ErrClosed) {
		t.Errorf("the question under way ended with %v, want %v", err, resolver.ErrClosed)
	}
	if _, err := r.Resolve(context.Background(), keyOf("www.example", dns.TypeA), nil); !errors.Is(err, resolver.ErrClosed) {
		t.Errorf("Resolve after Run = %v, want %v", err, resolver.ErrClosed)
	}
}

func TestConfigIsChecked(t *testing.T) {
	cache, err := rrcache.New(rrcache.Config{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	up := resolver.Upstream{Addr: netip.MustParseAddrPort("192.0.2.53:53")}
	for name, config := range map[string]resolver.Config{
		"no cache":        {},
		"no port":         {Cache: cache, Upstreams: []resolver.Upstream{{Addr: netip.MustParseAddrPort("192.0.2.53:0")}}},
		"no address":      {Cache: cache, Upstreams: []resolver.Upstream{{}}},
		"wildcard":        {Cache: cache, Upstreams: []resolver.Upstream{{Addr: netip.MustParseAddrPort("0.0.0.0:53")}}},
		"twice":           {Cache: cache, Upstreams: []resolver.Upstream{up, up}},
		"too many tries":  {Cache: cache, Bounds: resolver.Bounds{Tries: 17}},
		"negative bound":  {Cache: cache, Bounds: resolver.Bounds{Sockets: -1}},
		"attempt > total": {Cache: cache, Timeouts: resolver.Timeouts{Attempt: time.Minute}},
	} {
		if _, err := resolver.New(config); err == nil {
			t.Errorf("%s: New took %+v", name, config)
		}
	}
}
