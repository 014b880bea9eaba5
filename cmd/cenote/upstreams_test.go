package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cenote/dnstest"

	"github.com/miekg/dns"
)

// theWorld is what the upstreams of these tests answer from.
var theWorld = `
	example.         3600 SOA ns.example. host.example. 1 3600 600 86400 60
	known.example.   3600 A 192.0.2.1
	*.up.example.    3600 A 192.0.2.2
	*.slow.example.  3600 A 192.0.2.3
` + strings.Repeat("big.example. 3600 TXT \""+strings.Repeat("x", 200)+"\"\n", 100)

// startBehind runs a server that forwards to upstreams and sinkholes malware.example. resolver is that section of its file.
func startBehind(t *testing.T, resolver string, upstreams ...*dnstest.Server) *running {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "feed.domains"), []byte("malware.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for _, up := range upstreams {
		fmt.Fprintf(&list, "  - %s\n", up.Addr())
	}
	return startServer(t, dir, fmt.Sprintf(`state: %s/state
listen: [{address: 127.0.0.1:0}]
upstreams:
%sresolver: %s
feeds: [{name: blocklist, path: feed.domains}]
policy:
  sinkhole: {ipv4: [192.0.2.53]}
  zones: [{name: block, feeds: [blocklist]}]
`, dir, list.String(), resolver))
}

// ask asks the server and returns its reply as scenarios show it: there must be one.
func (r *running) ask(network, name string, qtype uint16) (*dns.Msg, string) {
	r.t.Helper()
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false)
	client := dns.Client{Net: network, Timeout: time.Minute, UDPSize: dns.MaxMsgSize}
	reply, _, err := client.Exchange(q, r.addr().String())
	if err != nil {
		r.t.Errorf("%s by %s: %v", name, network, err)
		return new(dns.Msg), err.Error()
	}
	return reply, show(reply)
}

// wantAnswer asks for an address.
func (r *running) wantAnswer(name, want string) {
	r.t.Helper()
	reply, got := r.ask("udp", name, dns.TypeA)
	if reply.Truncated { // as what comes late is to whoever may be somebody else
		_, got = r.ask("tcp", name, dns.TypeA)
	}
	if !strings.HasPrefix(got, "NOERROR") || !strings.Contains(got, " A "+want+"\n") {
		r.t.Errorf("%s: got %q, want %s", name, got, want)
	}
}

// wantWell holds the server against what no upstream may change: listed names are sinkholed, and no fault of our own was met.
func (r *running) wantWell() {
	r.t.Helper()
	r.wantAnswer("malware.example", "192.0.2.53")
	if s := r.resolver.Stats(); s.Bugs != 0 {
		r.t.Errorf("the resolver met %d faults of its own", s.Bugs)
	}
}

func TestUpstreamThatFlaps(t *testing.T) {
	t.Parallel()
	up := dnstest.Start(t, theWorld)
	r := startBehind(t, "{timeout: 4s, total: 4s, probe: {first: 100ms, longest: 200ms}}", up)
	r.wantAnswer("known.example", "192.0.2.1")
	for round := range 6 {
		up.Close()
		if _, got := r.ask("udp", fmt.Sprintf("down%d.up.example", round), dns.TypeA); !strings.HasPrefix(got, "SERVFAIL") || !strings.Contains(got, "EDE 23") {
			t.Errorf("while the upstream is gone: got %q, want SERVFAIL with EDE 23", got)
		}
		r.wantAnswer("known.example", "192.0.2.1")
		r.wantWell()
		up.Reopen(t)
		r.wantAnswer(fmt.Sprintf("back%d.up.example", round), "192.0.2.2")
	}
	r.wait("up again", func() bool { return r.resolver.Status()[0].Up })
	r.wait("left alone", func() bool { return r.resolver.Stats().Sockets == 0 })
}

func TestOneOfTwoUpstreamsFlaps(t *testing.T) {
	t.Parallel()
	flapping, steady := dnstest.Start(t, theWorld), dnstest.Start(t, theWorld)
	r := startBehind(t, "{timeout: 300ms, total: 4s, probe: {first: 100ms, longest: 200ms}}", flapping, steady)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for i := range 300 { // one that is lost with the upstream it went to is asked of the other
			r.wantAnswer(fmt.Sprintf("n%d.up.example", i), "192.0.2.2")
		}
	}()
	for flapping.Total() == 0 { // so that it is known, and preferred now and then
		time.Sleep(time.Millisecond)
	}
	for flaps := 0; ; flaps++ {
		select {
		case <-asked:
			if flaps < 2 {
				t.Errorf("the upstream went away %d times: the test shows nothing", flaps)
			}
			r.wantWell()
			return
		default:
			flapping.Close()
			flapping.Reopen(t)
		}
	}
}

func TestRepliesThatLie(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		fault   dnstest.Fault
		tcp     bool // the answer comes by TCP
		ignored int  // packets that are counted as not the reply
	}{
		{"wrong id", dnstest.Fault{WrongID: true, ThenRight: true}, false, 1},
		{"wrong question", dnstest.Fault{WrongQuestion: true, ThenRight: true}, false, 1},
		{"three octets", dnstest.Fault{Junk: true, ThenRight: true}, false, 1},
		{"some wrong ids", dnstest.Fault{WrongID: true, Copies: 7, ThenRight: true}, false, 7},
		{"truncated", dnstest.Fault{Truncate: true}, true, 0},
		{"longer than asked for", dnstest.Fault{Pad: 2000}, false, 0},
		{"longer than anybody may send", dnstest.Fault{Pad: 9000}, true, 0},
		{"another letter case", dnstest.Fault{LowerCase: true}, true, 0},
		{"no EDNS", dnstest.Fault{NoEDNS: true}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			up := dnstest.Start(t, theWorld)
			up.Break("*", tc.fault)
			r := startBehind(t, "{timeout: 4s, total: 4s}", up)
			r.wantAnswer("a-long-name-so-that-random-case-cannot-be-all-lower.up.example", "192.0.2.2")
			c := r.resolver.Status()[0].Counts
			if c.TCP > 0 != tc.tcp || c.NearMisses != uint64(tc.ignored) || c.Timeouts != 0 {
				t.Errorf("counts %+v, want TCP %v and %d ignored packets", c, tc.tcp, tc.ignored)
			}
			if _, got := r.ask("udp", "absent.example", dns.TypeA); !strings.HasPrefix(got, "NXDOMAIN") {
				t.Errorf("a name that is not there: got %q, want NXDOMAIN", got)
			}
			r.wantWell()
		})
	}
}

func TestFloodOfForgedReplies(t *testing.T) {
	t.Parallel()
	up := dnstest.Start(t, theWorld)
	const copies, questions = 300, 20
	r := startBehind(t, "{timeout: 4s, total: 4s}", up)
	for i := range questions {
		name := fmt.Sprintf("n%d.up.example", i)
		up.Break(name, dnstest.Fault{WrongID: true, Copies: copies, Times: 1})
		r.wantAnswer(name, "192.0.2.2")
	}
	s := r.resolver.Status()[0]
	if s.Counts.TCP != questions || s.Counts.NearMisses != 8*questions || !s.Up {
		t.Errorf("status %+v, want each question asked by TCP after 8 forgeries, and the upstream up: it is not to blame", s)
	}
	r.wantWell()
}

func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	r := startBehind(t, "{timeout: 4s, total: 4s}", dnstest.Start(t, theWorld))
	if reply, _ := r.ask("udp", "big.example", dns.TypeTXT); !reply.Truncated {
		t.Errorf("20 KB by UDP: got %d records, want TC", len(reply.Answer))
	}
	if reply, _ := r.ask("tcp", "big.example", dns.TypeTXT); reply.Truncated || len(reply.Answer) != 100 {
		t.Errorf("20 KB by TCP: got %d records, want 100", len(reply.Answer))
	}
	r.wantWell()
}

// askedByTCP reports whether an upstream was asked for a name by TCP.
func askedByTCP(up *dnstest.Server, name string) bool {
	for _, q := range up.Queries() {
		if q.TCP && strings.EqualFold(q.Name, dns.Fqdn(name)) {
			return true
		}
	}
	return false
}

// TestReplyThatNeverEnds has an upstream that sends its replies by TCP octet by octet.
func TestReplyThatNeverEnds(t *testing.T) {
	t.Parallel()
	up := dnstest.Start(t, theWorld)
	r := startBehind(t, "{timeout: 3s, total: 3s, tries: 1, limits: {connections: 2}}", up)
	const slow = 8
	var asking sync.WaitGroup
	for i := range slow {
		name := fmt.Sprintf("n%d.slow.example", i)
		up.Break(name, dnstest.Fault{Truncate: true, Trickle: true})
		asking.Go(func() {
			if _, got := r.ask("udp", name, dns.TypeA); !strings.HasPrefix(got, "SERVFAIL") {
				t.Errorf("%s: got %q, want SERVFAIL", name, got)
			}
		})
	}
	r.wait("asked by TCP", func() bool {
		for i := range slow {
			if askedByTCP(up, fmt.Sprintf("n%d.slow.example", i)) {
				return true
			}
		}
		return false
	})
	r.wantAnswer("quick.up.example", "192.0.2.2")
	asking.Wait()
	clients := map[string]bool{}
	for _, q := range up.Queries() {
		if q.TCP {
			clients[q.Client.String()] = true
		}
	}
	if len(clients) > 2 {
		t.Errorf("%d connections were opened, want at most 2", len(clients))
	}
	r.wantWell()
}

func TestReplyThatNeverEndsAndAnotherUpstream(t *testing.T) {
	t.Parallel()
	slow, well := dnstest.Start(t, theWorld), dnstest.Start(t, theWorld)
	slow.Break("*", dnstest.Fault{Truncate: true, Trickle: true})
	r := startBehind(t, "{timeout: 100ms, total: 4s}", slow, well)
	for i := range 5 {
		r.wantAnswer(fmt.Sprintf("n%d.up.example", i), "192.0.2.2")
	}
	if well.Total() == 0 {
		t.Error("the upstream that is well was never asked")
	}
	r.wait("left alone", func() bool { return r.resolver.Stats().Sockets == 0 && r.resolver.Status()[0].UnderWay == 0 })
	r.wantWell()
}
