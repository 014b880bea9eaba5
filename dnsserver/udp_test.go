package dnsserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// TestRepliesLeaveFromTheAddressAsked asks addresses that the machine has beside the first: on sockets bound to them, and on sockets bound
// to all. Clients take a reply from nowhere else.
func TestRepliesLeaveFromTheAddressAsked(t *testing.T) {
	t.Parallel()
	listen := func(addrs ...string) (all []dnsserver.Listen) {
		for _, a := range addrs {
			all = append(all, dnsserver.Listen{Addr: netip.MustParseAddrPort(a), UDP: true, TCP: true})
		}
		return all
	}
	for _, tc := range []struct {
		name   string
		listen []dnsserver.Listen
		asked  []string
	}{
		{"one IPv4 address", listen("127.0.0.2:0"), []string{"127.0.0.2"}},
		{"one IPv6 address", listen("[::1]:0"), []string{"::1"}},
		{"all of IPv4", listen("0.0.0.0:0"), []string{"127.0.0.1", "127.0.0.2"}},
		{"all of both", listen("[::]:0"), []string{"127.0.0.2", "::1"}},
	} {
		for _, loop := range []string{"batching", "portable"} {
			if loop == "portable" && tc.listen[0].Addr.Addr() == netip.IPv6Unspecified() {
				continue // where that loop is used, each IP version has a socket of its own
			}
			t.Run(tc.name+"/"+loop, func(t *testing.T) {
				s := startLive(t, dnsserver.Config{Listen: tc.listen}, func(s *dnsserver.Server) {
					if loop == "portable" {
						s.UsePortable()
					}
				})
				for _, network := range []string{"udp", "tcp"} {
					for _, asked := range tc.asked {
						conn := dialTo(t, network, netip.AddrPortFrom(netip.MustParseAddr(asked), s.addr(network).Port()))
						isTruth(t, askFor(t, conn, 1, "waits.example"), 1)
						isTruth(t, askFor(t, conn, 2, "localhost"), 2)
					}
				}
			})
		}
	}
}

// TestBothIPVersionsOnOnePort: with 0.0.0.0 and :: listed, each has its own socket.
func TestBothIPVersionsOnOnePort(t *testing.T) {
	t.Parallel()
	s, port := listensAtBoth(t)
	if got := len(s.Addrs()); got != 4 {
		t.Fatalf("Addrs() = %v, want UDP and TCP for each", s.Addrs())
	}
	for _, asked := range []string{"127.0.0.2", "::1"} {
		for _, network := range []string{"udp", "tcp"} {
			isTruth(t, askFor(t, dialTo(t, network, netip.AddrPortFrom(netip.MustParseAddr(asked), port)), 7, "localhost"), 7)
		}
	}
}

// listensAtBoth starts a server that has a port of all addresses of both IP versions, a socket for each.
func listensAtBoth(t *testing.T) (s *live, port uint16) {
	t.Helper()
	var err error
	for range 100 { // somebody else may be given the port in between
		probe := openLive(t, dnsserver.Config{Listen: []dnsserver.Listen{{Addr: netip.MustParseAddrPort("[::]:0"), UDP: true, TCP: true}}})
		port = probe.Addrs()[0].Addr.Port()
		probe.Close()
		var server *dnsserver.Server
		if server, err = tryLive(t, dnsserver.Config{Listen: []dnsserver.Listen{
			{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), port), UDP: true, TCP: true},
			{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), port), UDP: true, TCP: true},
		}}); err == nil {
			return runLive(t, server), port
		}
	}
	t.Fatal(err)
	return nil, 0
}

// TestKernelThatSpreadsByItself: where the kernel is too old for our filter, or a sandbox refuses it, all workers serve all the same, and the
// log says so once for all addresses.
func TestKernelThatSpreadsByItself(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := dnsserver.Config{Bounds: dnsserver.Bounds{Workers: 4}, Log: slog.New(slog.NewTextHandler(&log, nil)), Listen: []dnsserver.Listen{
		{Addr: netip.MustParseAddrPort("127.0.0.1:0"), UDP: true}, {Addr: netip.MustParseAddrPort("127.0.0.2:0"), UDP: true}}}
	dnsserver.RefuseSpread(&c, syscall.ENOPROTOOPT)
	s := startLive(t, c)
	for _, l := range s.Addrs() {
		for port := range uint16(20) { // each from a port of its own, so that the kernel's hash has something to choose by
			isTruth(t, askFor(t, dialTo(t, "udp", l.Addr), port, "localhost"), port)
		}
	}
	s.stop()
	s.ended()
	if got := strings.Count(log.String(), "level=WARN msg=\"the kernel spreads queries over the workers by address and port"); got != 1 || !strings.Contains(log.String(), "protocol not available") {
		t.Errorf("the log says it %d times, want once, with the kernel's reason:\n%s", got, &log)
	}
}

// TestWorkersShareOnePort: the queries of one client with one port reach every worker.
func TestWorkersShareOnePort(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{Bounds: dnsserver.Bounds{Workers: 4}})
	if s.UDPWorkers() != 4 {
		t.Skipf("%d UDP sockets: this system has no shared ports", s.UDPWorkers())
	}
	conn := s.dial("udp")
	for i := range uint16(200) {
		isTruth(t, askFor(t, conn, i, "localhost"), i)
	}
	for i, n := range s.UDPReceived() {
		if n < 10 {
			t.Errorf("worker %d received %d of 200 queries, all of them %v; want about 50 each", i, n, s.UDPReceived())
		}
	}
}

// TestPortInUseIsToldAtOnce: shared ports must not let two servers share one address unnoticed.
func TestPortInUseIsToldAtOnce(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(strconv.Itoa(workers)+" workers", func(t *testing.T) {
			first := startLive(t, dnsserver.Config{Bounds: dnsserver.Bounds{Workers: workers}})
			c := dnsserver.Config{Listen: []dnsserver.Listen{{Addr: first.addr("udp"), UDP: true}}, Bounds: dnsserver.Bounds{Workers: workers}}
			second, err := tryLive(t, c)
			if err == nil {
				second.Close()
				t.Fatal("a second server could bind the same address")
			}
		})
	}
}

// TestCutDatagramIsMalformed: what is too large for the room must not pass for the whole message that its beginning may be.
func TestCutDatagramIsMalformed(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("udp")
	whole := packQuestion(t, conn, 9, "localhost")
	if _, err := conn.Write(append(whole, make([]byte, 6000)...)); err != nil {
		t.Fatal(err)
	}
	if r := getReply(t, conn); r.Id != 9 || r.Rcode != dns.RcodeFormatError {
		t.Errorf("got id %d, %s, want 9, FORMERR", r.Id, dns.RcodeToString[r.Rcode])
	}
	isTruth(t, askFor(t, conn, 10, "localhost"), 10)
	if got := s.countsOfSent(t, 2); got.Cut != 1 || got.Received != 2 || got.Sent != 2 {
		t.Errorf("counted %+v, want 1 cut of 2 received, 2 sent", got)
	}
}

// TestSmallDatagrams sends what no client sends; the server must answer the next query all the same (the header alone with QDCOUNT=1
// ends servers that take a count for a question).
func TestSmallDatagrams(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("udp")
	for _, datagram := range [][]byte{{}, {0}, make([]byte, 11), {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63}, make([]byte, 4000)} {
		if _, err := conn.Write(datagram); err != nil {
			t.Fatal(err)
		}
	}
	putQuery(t, conn, 77, "localhost")
	for {
		if r := getReply(t, conn); r.Id == 77 {
			isTruth(t, r, 77)
			return
		}
	}
}

// TestPanicCostsOneQuery: a fault of our own is caught, counted, and answered with SERVFAIL.
func TestPanicCostsOneQuery(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	s := startLive(t, dnsserver.Config{Policy: func() *policy.Policy {
		if broken.Load() {
			panic("a fault of our own")
		}
		return nil
	}})
	conn := s.dial("udp")
	isTruth(t, askFor(t, conn, 1, "localhost"), 1)
	broken.Store(true)
	if r := askFor(t, conn, 2, "localhost"); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %s, want SERVFAIL", dns.RcodeToString[r.Rcode])
	}
	broken.Store(false)
	isTruth(t, askFor(t, conn, 3, "localhost"), 3)
	if got := s.Bugs(); got != 1 {
		t.Errorf("Bugs() = %d, want 1", got)
	}
}

// TestRoomForWaiting: beyond Bounds.Waiting a query gets SERVFAIL at once, and names that need no network go on.
func TestRoomForWaiting(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startLive(t, dnsserver.Config{Resolver: heldNames(release), Bounds: dnsserver.Bounds{Waiting: 3}})
	conn := s.dial("udp")
	for id := range uint16(3) {
		putQuery(t, conn, id, fmt.Sprintf("held%d.example", id))
	}
	waitFor(t, "three queries wait", func() bool { return s.Waiting() == 3 })
	if r := askFor(t, conn, 3, "held3.example"); r.Id != 3 || r.Rcode != dns.RcodeServerFailure {
		t.Errorf("over the bound: got id %d, %s, want 3, SERVFAIL", r.Id, dns.RcodeToString[r.Rcode])
	}
	isTruth(t, askFor(t, conn, 4, "localhost"), 4)
	close(release)
	seen := map[uint16]bool{}
	for range 3 {
		r := getReply(t, conn)
		isTruth(t, r, r.Id)
		seen[r.Id] = true
	}
	if len(seen) != 3 {
		t.Errorf("replies to %v, want to 0, 1 and 2", seen)
	}
	if full, greedy := s.TurnedAway(); full != 1 || greedy != 0 {
		t.Errorf("TurnedAway() = %d, %d, want 1, 0", full, greedy)
	}
	waitFor(t, "the room is empty again", func() bool { return s.Waiting() == 0 })
}

// TestOneClientCannotFillTheRoom: beyond its share a client network is turned away while others still get in.
func TestOneClientCannotFillTheRoom(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	settings := dnsserver.DefaultSettings()
	settings.Rates.Exempt = nil
	s := startLive(t, dnsserver.Config{Resolver: heldNames(release), Settings: settings, Bounds: dnsserver.Bounds{Waiting: 400}})
	greedy := s.dial("udp")
	for id := range uint16(101) {
		putQuery(t, greedy, id, fmt.Sprintf("held%d.example", id))
	}
	if r := getReply(t, greedy); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("over the share: got %s, want SERVFAIL", dns.RcodeToString[r.Rcode])
	}
	other, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)}, net.UDPAddrFromAddrPort(s.addr("udp")))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	putQuery(t, other, 500, "held500.example")
	waitFor(t, "another client's query waits", func() bool { return s.Waiting() == 101 })
	if full, share := s.TurnedAway(); full != 0 || share != 1 {
		t.Errorf("TurnedAway() = %d, %d, want 0, 1", full, share)
	}
}

// TestShutdownAnswersWhatCame: queries that lie in the kernel's buffer when the server is told to stop are answered, and those that wait
// for the network are waited for.
func TestShutdownAnswersWhatCame(t *testing.T) {
	t.Parallel()
	for _, loop := range []string{"batching", "portable"} {
		t.Run(loop, func(t *testing.T) {
			release := make(chan struct{})
			s := startLive(t, dnsserver.Config{Resolver: heldNames(release)}, func(s *dnsserver.Server) {
				if loop == "portable" {
					s.UsePortable()
				}
			})
			conn := s.dial("udp")
			putQuery(t, conn, 1, "held.example")
			waitFor(t, "the query waits", func() bool { return s.Waiting() == 1 })
			s.stop()
			close(release)
			isTruth(t, getReply(t, conn), 1)
			s.ended()
		})
	}
	t.Run("still in the kernel", func(t *testing.T) {
		server := openLive(t, dnsserver.Config{})
		conn := dialTo(t, "udp", server.Addrs()[0].Addr)
		const queries = 200
		for id := range uint16(queries) {
			putQuery(t, conn, id, "localhost")
		}
		stopped, cancel := context.WithCancel(context.Background())
		cancel()
		if err := server.Run(stopped); err != nil {
			t.Fatalf("Run: %v", err)
		}
		for id := range uint16(queries) {
			isTruth(t, getReply(t, conn), id)
		}
	})
}

// TestShutdownDoesNotWaitForever: queries whose upstreams never answer are answered from what there is when Bounds.Shutdown is over.
func TestShutdownDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	never := fakeNetwork(func(ctx context.Context, _ string) (*dns.Msg, error) {
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	s := startLive(t, dnsserver.Config{Resolver: never, Bounds: dnsserver.Bounds{Shutdown: 10 * time.Millisecond}})
	conn := s.dial("udp")
	putQuery(t, conn, 1, "www.example")
	waitFor(t, "the query waits", func() bool { return s.Waiting() == 1 })
	s.stop()
	if r := getReply(t, conn); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %s, want SERVFAIL", dns.RcodeToString[r.Rcode])
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the query ended with %v, want to be cancelled before its own time was over", err)
	}
	s.ended()
}

// TestKernelDropsAreCounted: what a full receive buffer loses shows.
func TestKernelDropsAreCounted(t *testing.T) {
	t.Parallel()
	server := openLive(t, dnsserver.Config{Bounds: dnsserver.Bounds{ReceiveBuffer: 4096}})
	defer server.Close()
	conn := dialTo(t, "udp", server.Addrs()[0].Addr)
	for id := range uint16(200) {
		putQuery(t, conn, id, "localhost")
	}
	if got := server.UDPCounts().KernelDrops; got == 0 || got >= 200 {
		t.Errorf("%d of 200 queries were dropped, want some but not all", got)
	}
}

// TestReceiveBufferChangesWhileServing: sockets that are there get the buffers that are asked for, smaller and larger, and what waited is answered.
func TestReceiveBufferChangesWhileServing(t *testing.T) {
	t.Parallel()
	bounds := func(octets int) dnsserver.Bounds { return dnsserver.Bounds{Workers: 2, ReceiveBuffer: octets} }
	server := openLive(t, dnsserver.Config{Bounds: bounds(64 << 10)})
	defer server.Close()
	conn := dialTo(t, "udp", server.Addrs()[0].Addr)
	for id := range uint16(20) {
		putQuery(t, conn, id, "localhost")
	}
	for _, want := range []int{96 << 10, 8 << 10, 80 << 10} { // all of them what an unprivileged process may ask for
		server.SetBounds(bounds(want))
		got := server.ReceiveBuffers()
		for _, octets := range got {
			if octets != want {
				t.Errorf("buffers of %d octets, want each %d", got, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	for range 20 {
		getReply(t, conn)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	server.SetBounds(bounds(64 << 10)) // closed sockets: nothing to do
}

// TestDatagramFromPortZero: there is nowhere to send one, and the rest of the batch must not suffer.
func TestDatagramFromPortZero(t *testing.T) {
	t.Parallel()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_UDP)
	if err != nil {
		if os.Getenv("CENOTE_STRICT") == "1" {
			t.Fatalf("no raw sockets here: %v", err)
		}
		t.Skipf("no raw sockets here: %v", err)
	}
	defer syscall.Close(fd)
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("udp")
	query := packQuestion(t, conn, 5, "localhost")
	port := s.addr("udp").Port()
	length := 8 + len(query)
	datagram := append([]byte{0, 0, byte(port >> 8), byte(port), byte(length >> 8), byte(length), 0, 0}, query...)
	if err := syscall.Sendto(fd, datagram, 0, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	isTruth(t, askFor(t, conn, 6, "localhost"), 6)
	if got := s.countsOfSent(t, 1); got.Received != 2 || got.Sent != 1 || got.Failed != 0 {
		t.Errorf("counted %+v, want 2 received, 1 sent, none failed", got)
	}
}

// countsOfSent returns what is counted once as many datagrams are counted as sent: that is done after they are sent, so a client may hold its reply before.
func (s *live) countsOfSent(t testing.TB, sent uint64) dnsserver.UDPCounts {
	t.Helper()
	waitFor(t, "the datagrams that were sent are counted", func() bool { return s.UDPCounts().Sent >= sent })
	return s.UDPCounts()
}

// flood asks one question many times, 16 at a time, without allocating.
func flood(t testing.TB, conn net.Conn, name string, queries int) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(time.Minute + time.Duration(queries)*100*time.Microsecond))
	query := packQuestion(t, conn, 1, name)
	var reply [512]byte
	for done := 0; done < queries; done += 16 {
		for range 16 {
			if _, err := conn.Write(query); err != nil {
				t.Fatal(err)
			}
		}
		for range 16 {
			if _, err := conn.Read(reply[:]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// BenchmarkServerUDP is the whole server and a client in one process, over loopback, 16 queries under way: for its allocations, and to
// compare one commit with another. The rate of a server by itself is measured by go run ./bench.
func BenchmarkServerUDP(b *testing.B) {
	for _, name := range []string{"localhost", "cached.example"} {
		b.Run(name, func(b *testing.B) {
			s := startLive(b, dnsserver.Config{Cache: cacheOf(b, "cached.example")})
			conn := s.dial("udp")
			flood(b, conn, name, 1000)
			b.ReportAllocs()
			b.ResetTimer()
			flood(b, conn, name, b.N)
		})
	}
}

// cacheOf returns a cache that holds the truth about a name.
func cacheOf(t testing.TB, name string) *rrcache.Cache {
	t.Helper()
	cache := newCache(t)
	key := &rrcache.Key{Name: []byte(dnsname.MustParse(name)), Type: dns.TypeA, Class: dns.ClassINET}
	found, err := fakeNetwork(truthNow).Resolve(context.Background(), key, nil)
	if err != nil || !cache.Put(key, found.Msg, time.Now().UnixNano()) {
		t.Fatalf("%s did not get into the cache: %v", name, err)
	}
	return cache
}
