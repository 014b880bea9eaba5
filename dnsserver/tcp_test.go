package dnsserver_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cenote/dnsserver"
	"cenote/policy"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// TestRepliesOutOfOrder (M12): a query that waits does not hold up those behind it on its connection (RFC 7766 section 6.2.1.1).
func TestRepliesOutOfOrder(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startLive(t, dnsserver.Config{Resolver: heldNames(release)})
	conn := s.dial("tcp")
	both := append(packQuestion(t, conn, 1, "held.example"), packQuestion(t, conn, 2, "localhost")...)
	if _, err := conn.Write(both); err != nil {
		t.Fatal(err)
	}
	isTruth(t, getReply(t, conn), 2)
	close(release)
	isTruth(t, getReply(t, conn), 1)
}

// TestManyQueriesOnOneConnection (M12): there is no last query.
func TestManyQueriesOnOneConnection(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("tcp")
	const queries = 1000
	go func() {
		for id := range uint16(queries) {
			conn.Write(packQuestion(t, conn, id, fmt.Sprintf("n%d.example", id)))
		}
	}()
	seen := map[uint16]bool{}
	for range queries {
		r := getReply(t, conn)
		isTruth(t, r, r.Id)
		seen[r.Id] = true
	}
	if len(seen) != queries {
		t.Errorf("%d different replies, want %d", len(seen), queries)
	}
}

// TestQueryInPieces: a message may come an octet at a time, its length too.
func TestQueryInPieces(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("tcp")
	for _, octet := range packQuestion(t, conn, 3, "localhost") {
		if _, err := conn.Write([]byte{octet}); err != nil {
			t.Fatal(err)
		}
	}
	isTruth(t, getReply(t, conn), 3)
}

// TestHalfClose: a client that has said all still gets its replies.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startLive(t, dnsserver.Config{Resolver: heldNames(release)})
	conn := s.dial("tcp").(*net.TCPConn)
	putQuery(t, conn, 1, "held.example")
	conn.CloseWrite()
	waitFor(t, "the query waits", func() bool { return s.Waiting() == 1 })
	close(release)
	isTruth(t, getReply(t, conn), 1)
	isClosed(t, conn)
}

// TestPipelineBound: a connection has no more queries worked on than Bounds.Pipeline; the rest wait unread.
func TestPipelineBound(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var under, most atomic.Int64
	counting := fakeNetwork(func(ctx context.Context, name string) (*dns.Msg, error) {
		n := under.Add(1)
		defer under.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		return heldNames(release)(ctx, name)
	})
	s := startLive(t, dnsserver.Config{Resolver: counting, Bounds: dnsserver.Bounds{Pipeline: 3}})
	conn := s.dial("tcp")
	for id := range uint16(20) {
		putQuery(t, conn, id, fmt.Sprintf("held%d.example", id))
	}
	waitFor(t, "three queries are worked on", func() bool { return under.Load() == 3 })
	other := s.dial("tcp")
	isTruth(t, askFor(t, other, 1, "localhost"), 1)
	close(release)
	for range 20 {
		getReply(t, conn)
	}
	if got := most.Load(); got != 3 {
		t.Errorf("%d queries of one connection were worked on at once, want 3", got)
	}
}

// TestConnectionsThatDoNotRead (M2 in the list that traps_test.go names): fifty clients ask for large answers and read none. They must not
// keep goroutines, nor memory, nor places among the queries that wait. What is unsent never passes a bound; the last clients may stay below it,
// and then the time for writing ends them.
func TestConnectionsThatDoNotRead(t *testing.T) {
	t.Parallel()
	const clients = 50
	for _, tc := range []struct {
		name   string
		bounds dnsserver.Bounds
		unsent [2]int64
		most   int64
	}{
		{"one reply takes too long", dnsserver.Bounds{Write: 50 * time.Millisecond, Pipeline: 1}, [2]int64{1 << 30, 1 << 30}, 1 << 30},
		{"one leaves too much unread", dnsserver.Bounds{Write: 5 * time.Second}, [2]int64{256 << 10, 1 << 30}, clients * 2 * 256 << 10},
		{"all leave too much unread", dnsserver.Bounds{Write: 5 * time.Second}, [2]int64{1 << 30, 8 << 20}, 12 << 20}, // each client may find room at the same moment
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startLive(t, dnsserver.Config{Resolver: packLarge(t), Bounds: tc.bounds},
				func(s *dnsserver.Server) { s.SetUnsent(tc.unsent[0], tc.unsent[1]) })
			var asking sync.WaitGroup
			for range clients {
				conn := s.dial("tcp").(*net.TCPConn)
				conn.SetReadBuffer(4096)
				asking.Go(func() { askUntilClosed(t, conn) })
			}
			var most int64
			waitFor(t, "all connections have ended", func() bool {
				got := s.TCPCounts()
				most = max(most, got.Unsent)
				return got.Readers == clients && got.Open == 0 && got.Unsent == 0 && s.Waiting() == 0
			})
			asking.Wait()
			if most > tc.most {
				t.Errorf("%d octets were unsent, want %d at most", most, tc.most)
			}
			isTruth(t, askFor(t, s.dial("tcp"), 1, "localhost"), 1)
		})
	}
}

// large answers every name with some 50,000 octets, packed once.
type large []byte

func packLarge(t *testing.T) large {
	t.Helper()
	m := new(dns.Msg).SetQuestion("large.example.", dns.TypeA)
	m.Response, m.Compress = true, true
	for i := range 200 {
		m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: "large.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60},
			Txt: []string{fmt.Sprint(i), strings.Repeat("x", 250)}})
	}
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func (l large) Resolve(context.Context, *rrcache.Key, []byte) (dnsserver.Resolved, error) {
	return dnsserver.Resolved{Msg: l, EDE: policy.EDENone}, nil
}

func (l large) Prefetch(*rrcache.Key) {}

func askUntilClosed(t *testing.T, conn net.Conn) {
	for query := packQuestion(t, conn, 1, "large.example"); ; {
		if _, err := conn.Write(query); err != nil {
			return
		}
	}
}

// TestMemoryOfIdleConnections (M12): a length prefix is a promise, no reason to allocate.
func TestMemoryOfIdleConnections(t *testing.T) {
	const conns = 400
	settings := dnsserver.DefaultSettings()
	s := startLive(t, dnsserver.Config{Settings: settings})
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	all := make([]net.Conn, conns)
	for i := range all {
		all[i] = s.dial("tcp")
	}
	waitFor(t, "all are accepted", func() bool { return s.TCPCounts().Open == conns })
	before := memory()
	for _, conn := range all {
		if _, err := conn.Write([]byte{0xff, 0xff}); err != nil {
			t.Fatal(err)
		}
	}
	isTruth(t, askFor(t, s.dial("tcp"), 1, "localhost"), 1)
	if grown := int64(memory()-before) / conns; grown > 1024 {
		t.Errorf("two octets made each connection grow by %d octets, want no more than 1024", grown)
	}
}

// TestLargeQuery: a query larger than a connection's own room is read all the same.
func TestLargeQuery(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("tcp")
	q := new(dns.Msg).SetQuestion("localhost.", dns.TypeA)
	q.Extra = []dns.RR{&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232}, Option: []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 60000)}}}}
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	message := append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
	if _, err := conn.Write(append(message, packQuestion(t, conn, 8, "localhost")...)); err != nil {
		t.Fatal(err)
	}
	isTruth(t, getReply(t, conn), q.Id)
	isTruth(t, getReply(t, conn), 8)
}

// TestTimesOfAConnection: idle connections end, and so do those that send a query too slowly, however steadily.
func TestTimesOfAConnection(t *testing.T) {
	t.Parallel()
	const short = 30 * time.Millisecond
	for _, tc := range []struct {
		name   string
		bounds dnsserver.Bounds
		use    func(s *live, conn net.Conn)
	}{
		{"idle", dnsserver.Bounds{Idle: short, Read: time.Hour}, func(*live, net.Conn) {}},
		{"idle after a query", dnsserver.Bounds{Idle: time.Hour, Read: time.Hour}, func(s *live, conn net.Conn) {
			isTruth(t, askFor(t, conn, 1, "localhost"), 1)
			s.SetBounds(dnsserver.Bounds{Idle: short, Read: time.Hour}) // the time that runs already stays
			isTruth(t, askFor(t, conn, 2, "localhost"), 2)
		}},
		{"dripping", dnsserver.Bounds{Idle: time.Hour, Read: short}, func(_ *live, conn net.Conn) {
			go func() {
				for octet := []byte{0xff}; ; time.Sleep(5 * time.Millisecond) {
					if _, err := conn.Write(octet); err != nil {
						return
					}
				}
			}()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startLive(t, dnsserver.Config{Bounds: tc.bounds})
			conn := s.dial("tcp")
			tc.use(s, conn)
			isClosed(t, conn)
			if got := s.TCPCounts(); got.TimedOut != 1 {
				t.Errorf("counted %+v, want one timed out", got)
			}
		})
	}
}

// watched is a connection that notes the read deadlines it is given.
type watched struct {
	net.Conn
	mu        sync.Mutex
	deadlines []time.Time // guarded by mu
	before    func()      // called before each is set; nil: nothing
}

func (c *watched) SetReadDeadline(at time.Time) error {
	if c.before != nil {
		c.before()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadlines = append(c.deadlines, at)
	return c.Conn.SetReadDeadline(at)
}

// seen returns how many deadlines there were, and the last.
func (c *watched) seen() (n int, last time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n = len(c.deadlines); n > 0 {
		last = c.deadlines[n-1]
	}
	return n, last
}

// watchedListener gives out watched connections.
type watchedListener struct {
	net.Listener
	conns chan *watched
}

func (l *watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := &watched{Conn: conn}
	l.conns <- w
	return w, nil
}

// dialWatched connects to s, and returns the server's end too.
func dialWatched(t *testing.T, s *live) (net.Conn, *watched) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, done := &watchedListener{inner, make(chan *watched, 1)}, make(chan struct{})
	go func() {
		defer close(done)
		s.Accept(context.Background(), l)
	}()
	t.Cleanup(func() {
		inner.Close()
		<-done
	})
	conn := dialTo(t, "tcp", inner.Addr().(*net.TCPAddr).AddrPort())
	return conn, <-l.conns
}

// TestIdleTimeBeginsAfterTheLastReply: a connection that waits for us is not idle.
func TestIdleTimeBeginsAfterTheLastReply(t *testing.T) {
	t.Parallel()
	t.Run("it begins anew", func(t *testing.T) {
		release := make(chan struct{})
		s := startLive(t, dnsserver.Config{Resolver: heldNames(release), Bounds: dnsserver.Bounds{Idle: time.Hour}})
		conn, server := dialWatched(t, s)
		putQuery(t, conn, 1, "held.example")
		waitFor(t, "the server reads again", func() bool { n, _ := server.seen(); return s.Waiting() == 1 && n == 2 })
		released := time.Now()
		close(release)
		isTruth(t, getReply(t, conn), 1)
		waitFor(t, "an hour from the reply on", func() bool { _, last := server.seen(); return !last.Before(released.Add(time.Hour)) })
	})
	t.Run("it does not end meanwhile", func(t *testing.T) {
		release := make(chan struct{})
		s := startLive(t, dnsserver.Config{Resolver: heldNames(release), Bounds: dnsserver.Bounds{Idle: time.Hour}})
		conn, server := dialWatched(t, s)
		isTruth(t, askFor(t, conn, 1, "localhost"), 1)
		waitFor(t, "the server reads again", func() bool { n, _ := server.seen(); return n == 2 })
		s.SetBounds(dnsserver.Bounds{Idle: time.Millisecond})
		putQuery(t, conn, 2, "held.example")
		waitFor(t, "the idle time is over, again and again", func() bool { n, _ := server.seen(); return n > 6 })
		close(release)
		isTruth(t, getReply(t, conn), 2)
		isClosed(t, conn)
	})
}

// TestTimeOfAQueryBehindAFullPipeline: the time to send a query does not run while the server does not read.
func TestTimeOfAQueryBehindAFullPipeline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startLive(t, dnsserver.Config{Resolver: heldNames(release), Bounds: dnsserver.Bounds{Pipeline: 1, Read: time.Hour, Idle: 2 * time.Hour}})
	conn, server := dialWatched(t, s)
	next := packQuestion(t, conn, 2, "localhost")
	if _, err := conn.Write(append(packQuestion(t, conn, 1, "held.example"), next[:9]...)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the pipeline is full", func() bool { return s.Waiting() == 1 })
	n, _ := server.seen()
	released := time.Now()
	close(release)
	isTruth(t, getReply(t, conn), 1)
	waitFor(t, "the server reads again", func() bool { got, _ := server.seen(); return got > n })
	if _, last := server.seen(); last.Before(released.Add(time.Hour)) {
		t.Errorf("the rest of the query must be there %v before an hour has passed since the pipeline had room", released.Add(time.Hour).Sub(last))
	}
	if _, err := conn.Write(next[9:]); err != nil {
		t.Fatal(err)
	}
	isTruth(t, getReply(t, conn), 2)
}

// TestLastReplyWhileStopping: a connection whose last reply leaves while the server is told to stop does not stay for its idle time.
func TestLastReplyWhileStopping(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	defer client.Close()
	defer server.Close()
	conn := &watched{Conn: server}
	stop, finish := dnsserver.LastReply(conn)
	stopped := false
	conn.before = func() { // between the look at what the server was told and the deadline
		if !stopped {
			stopped = true
			stop()
		}
	}
	finish()
	if _, last := conn.seen(); last.After(time.Now()) {
		t.Errorf("the server is to stop, and still reads until %v", last)
	}
}

// TestMessageShorterThanAHeader ends the connection: it is not DNS, and what follows would be read as lengths.
func TestMessageShorterThanAHeader(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("tcp")
	conn.Write([]byte("\x00\x05hello"))
	isClosed(t, conn)
	if got := s.TCPCounts().Garbled; got != 1 {
		t.Errorf("Garbled = %d, want 1", got)
	}
}

// TestConnectionBounds (M12): connections are bounded, for the server and for each client network.
func TestConnectionBounds(t *testing.T) {
	t.Parallel()
	strict := dnsserver.DefaultSettings()
	strict.Rates.Exempt = nil
	t.Run("of the server, all busy", func(t *testing.T) {
		release := make(chan struct{})
		s := startLive(t, dnsserver.Config{Resolver: heldNames(release), Bounds: dnsserver.Bounds{Connections: 4}})
		var busy [4]net.Conn
		for i := range busy {
			busy[i] = s.dial("tcp")
			putQuery(t, busy[i], uint16(i), "held.example")
		}
		waitFor(t, "all have a query in work", func() bool { return s.Waiting() == 4 })
		isClosed(t, s.dial("tcp"))
		close(release)
		for i, conn := range busy {
			isTruth(t, getReply(t, conn), uint16(i))
		}
		if got := s.TCPCounts(); got.Full != 1 || got.Accepted != 4 {
			t.Errorf("counted %+v, want 4 accepted, 1 turned away", got)
		}
	})
	t.Run("of the server, some idle", func(t *testing.T) {
		s := startLive(t, dnsserver.Config{Bounds: dnsserver.Bounds{Connections: 4}})
		var all [6]net.Conn
		for i := range all {
			all[i] = s.dial("tcp")
			isTruth(t, askFor(t, all[i], 1, "localhost"), 1)
			waitFor(t, "it is idle", func() bool { return s.TCPIdle() == min(i+1, 4) })
		}
		isClosed(t, all[0])
		isClosed(t, all[1])
		for _, conn := range all[2:] {
			isTruth(t, askFor(t, conn, 2, "localhost"), 2)
		}
		if got := s.TCPCounts(); got.Open != 4 || got.Accepted != 6 || got.TimedOut != 2 || got.Full != 0 {
			t.Errorf("counted %+v, want 4 open of 6 accepted, 2 ended for them", got)
		}
	})
	t.Run("of a client network", func(t *testing.T) {
		s := startLive(t, dnsserver.Config{Settings: strict, Bounds: dnsserver.Bounds{PerClient: 2}})
		first := s.dialFrom("127.0.0.5")
		isTruth(t, askFor(t, first, 1, "localhost"), 1)
		isTruth(t, askFor(t, s.dialFrom("127.0.0.5"), 1, "localhost"), 1)
		isClosed(t, s.dialFrom("127.0.0.5"))
		isTruth(t, askFor(t, s.dialFrom("127.0.0.6"), 1, "localhost"), 1)
		first.Close()
		waitFor(t, "a place is free again", func() bool { return s.TCPCounts().Open == 2 })
		isTruth(t, askFor(t, s.dialFrom("127.0.0.5"), 1, "localhost"), 1)
		if got := s.TCPCounts().Greedy; got != 1 {
			t.Errorf("Greedy = %d, want 1", got)
		}
	})
}

// only makes settings whose access list has one address.
func only(addr string) dnsserver.Settings {
	s := dnsserver.DefaultSettings()
	s.Access.Allow = []netip.Prefix{netip.MustParsePrefix(addr + "/32")}
	return s
}

func isRefused(t *testing.T, r *dns.Msg, id uint16) {
	t.Helper()
	if r.Id != id || r.Rcode != dns.RcodeRefused {
		t.Errorf("got id %d, %s, want id %d, REFUSED", r.Id, dns.RcodeToString[r.Rcode], id)
	}
}

// TestOutsidersTakeNoPlace: connections from outside the access list are refused in a small room of their own, and however many there are and
// whatever they do, those who may ask find the same places as without them.
func TestOutsidersTakeNoPlace(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{Settings: only("127.0.0.5"), Bounds: dnsserver.Bounds{Connections: 1, PerClient: 1, Read: time.Hour}})
	var outside [dnsserver.OutsidersMax]net.Conn
	for i := range outside {
		outside[i] = s.dialFrom("127.0.0.6")
		isRefused(t, askFor(t, outside[i], 1, "localhost"), 1)
		if _, err := outside[i].Write([]byte{0}); err != nil { // the connection is in use
			t.Fatal(err)
		}
	}
	isClosed(t, s.dialFrom("127.0.0.6"))
	waitFor(t, "no connection is idle", func() bool { return s.TCPIdle() == 0 })
	isTruth(t, askFor(t, s.dialFrom("127.0.0.5"), 2, "localhost"), 2)
	if got := s.TCPCounts(); got.Open != dnsserver.OutsidersMax+1 || got.Outside != 1 || got.Full != 0 || got.Greedy != 0 || got.TimedOut != 0 {
		t.Errorf("counted %+v, want all but one outsider and the client connected", got)
	}
	outside[0].Close()
	waitFor(t, "an outsider left", func() bool { return s.TCPCounts().Open == dnsserver.OutsidersMax })
	isRefused(t, askFor(t, s.dialFrom("127.0.0.6"), 3, "localhost"), 3)
}

// TestOutsidersLoseNobodysIdleConnection: an idle connection gives way to a client, never to an outsider, nor does an outsider's give way.
func TestOutsidersLoseNobodysIdleConnection(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{Settings: only("127.0.0.5"), Bounds: dnsserver.Bounds{Connections: 1, Read: time.Hour, Idle: time.Hour}})
	outside := s.dialFrom("127.0.0.6")
	isRefused(t, askFor(t, outside, 1, "localhost"), 1)
	first := s.dialFrom("127.0.0.5")
	isTruth(t, askFor(t, first, 2, "localhost"), 2)
	isRefused(t, askFor(t, s.dialFrom("127.0.0.6"), 3, "localhost"), 3)
	isTruth(t, askFor(t, first, 4, "localhost"), 4)
	waitFor(t, "all are idle", func() bool { return s.TCPIdle() == 3 })
	isTruth(t, askFor(t, s.dialFrom("127.0.0.5"), 5, "localhost"), 5)
	isClosed(t, first)
	isRefused(t, askFor(t, outside, 6, "localhost"), 6)
}

// TestOutsidersStayShortly: the connection of an outsider ends in the time that one query may take, whatever it does.
func TestOutsidersStayShortly(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{Settings: only("127.0.0.5"), Bounds: dnsserver.Bounds{Read: 50 * time.Millisecond, Idle: time.Hour}})
	idle, chatty := s.dialFrom("127.0.0.6"), s.dialFrom("127.0.0.6")
	isClosed(t, idle)
	for id := uint16(0); ; id++ {
		if _, err := chatty.Write(packQuestion(t, chatty, id, "localhost")); err != nil {
			break
		}
		if r, err := tryReply(chatty); err != nil {
			break
		} else {
			isRefused(t, r, id)
		}
	}
	waitFor(t, "both have ended", func() bool { return s.TCPCounts().Open == 0 })
}

// TestOutsidersWhoGetNoReply: where outsiders are to hear nothing they get no connection.
func TestOutsidersWhoGetNoReply(t *testing.T) {
	t.Parallel()
	settings := only("127.0.0.5")
	settings.Access.Drop = true
	s := startLive(t, dnsserver.Config{Settings: settings, Bounds: dnsserver.Bounds{Read: time.Hour, Idle: time.Hour}})
	isClosed(t, s.dialFrom("127.0.0.6"))
	isTruth(t, askFor(t, s.dialFrom("127.0.0.5"), 1, "localhost"), 1)
	if got := s.TCPCounts(); got.Outside != 1 || got.Accepted != 1 {
		t.Errorf("counted %+v, want one accepted and one outsider", got)
	}
}

// TestAccessListChangesUnderConnections: who may no longer ask is told so, and gives the place back; who may ask now gets one.
func TestAccessListChangesUnderConnections(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startLive(t, dnsserver.Config{Settings: only("127.0.0.5"), Resolver: heldNames(release),
		Bounds: dnsserver.Bounds{Connections: 1, PerClient: 1, Read: time.Hour, Idle: time.Hour}})
	before, after := s.dialFrom("127.0.0.5"), s.dialFrom("127.0.0.6")
	isTruth(t, askFor(t, before, 1, "localhost"), 1)
	isRefused(t, askFor(t, after, 2, "localhost"), 2)
	putQuery(t, before, 3, "held.example") // keeps the only place
	waitFor(t, "the query waits", func() bool { return s.Waiting() == 1 })
	if err := s.Apply(only("127.0.0.6")); err != nil {
		t.Fatal(err)
	}
	isRefused(t, askFor(t, before, 4, "localhost"), 4)
	close(release)
	isTruth(t, getReply(t, before), 3) // it was let in
	isClosed(t, before)
	isTruth(t, askFor(t, after, 5, "localhost"), 5)
	waitFor(t, "the place is free", func() bool { return s.TCPCounts().Open == 1 })
	isTruth(t, askFor(t, s.dialFrom("127.0.0.6"), 6, "localhost"), 6)
}

// scarce is a listener that finds no file descriptors a few times, then one connection, and then is closed.
type scarce struct {
	net.Listener
	left  atomic.Int64
	errno syscall.Errno
}

func (l *scarce) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: l.errno}
	}
	return l.Listener.Accept()
}

// TestAcceptWithoutFileDescriptors (M12): the server rests and goes on. So it does after what went wrong with the connection and not with
// the listener: accept(2) passes errors of the network on.
func TestAcceptWithoutFileDescriptors(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EPROTO, syscall.EHOSTUNREACH,
		syscall.ENETDOWN, syscall.ENOPROTOOPT, syscall.EPERM, syscall.ETIMEDOUT} {
		t.Run(errno.Error(), func(t *testing.T) {
			s := startLive(t, dnsserver.Config{})
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l := &scarce{Listener: inner, errno: errno}
			l.left.Store(3)
			done := make(chan error, 1)
			go func() { done <- s.Accept(context.Background(), l) }()
			conn := dialTo(t, "tcp", inner.Addr().(*net.TCPAddr).AddrPort())
			isTruth(t, askFor(t, conn, 1, "localhost"), 1)
			inner.Close()
			if err := <-done; err != nil {
				t.Errorf("Accept returned %v, want nil after the listener was closed", err)
			}
			short := errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ENOMEM
			if got := s.TCPCounts(); got.AcceptFailed+got.AcceptLost != 3 || short != (got.AcceptFailed == 3) {
				t.Errorf("counted %+v, want three for want of descriptors or memory: %v", got, short)
			}
		})
	}
}

// TestListenerFailsForGood: Run ends with the error, and all it started with it.
func TestListenerFailsForGood(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	broken := &scarce{errno: syscall.EINVAL}
	broken.left.Store(1)
	if err := s.Accept(context.Background(), broken); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Accept = %v, want EINVAL", err)
	}
}

// TestShutdownOfConnections: what was read is answered, idle connections end at once.
func TestShutdownOfConnections(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startLive(t, dnsserver.Config{Resolver: heldNames(release)})
	idle, busy := s.dial("tcp"), s.dial("tcp")
	isTruth(t, askFor(t, idle, 1, "localhost"), 1)
	putQuery(t, busy, 2, "held.example")
	waitFor(t, "the query waits", func() bool { return s.Waiting() == 1 })
	s.stop()
	isClosed(t, idle)
	close(release)
	isTruth(t, getReply(t, busy), 2)
	isClosed(t, busy)
	s.ended()
}

// TestSettingsAreAppliedToRunningServer: open connections obey too.
func TestSettingsAreAppliedToRunningServer(t *testing.T) {
	t.Parallel()
	s := startLive(t, dnsserver.Config{})
	conn := s.dial("tcp")
	isTruth(t, askFor(t, conn, 1, "localhost"), 1)
	settings := dnsserver.DefaultSettings()
	settings.Access.Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	if err := s.Apply(settings); err != nil {
		t.Fatal(err)
	}
	if r := askFor(t, conn, 2, "localhost"); r.Rcode != dns.RcodeRefused {
		t.Errorf("after Apply: got %s, want REFUSED", dns.RcodeToString[r.Rcode])
	}
}

// pieces is a connection that gives what it holds in reads of given sizes.
type pieces struct {
	net.Conn
	data  []byte
	sizes []byte
	next  int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	size := len(p.data)
	if len(p.sizes) > 0 {
		size = 1 + int(p.sizes[p.next%len(p.sizes)])
		p.next++
	}
	n := copy(b, p.data[:min(size, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// FuzzStream cuts a stream that comes in arbitrary pieces into messages, and compares with the plain way to do so.
func FuzzStream(f *testing.F) {
	message := func(n int) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(n)), make([]byte, n)...) }
	f.Add(message(30), []byte{0})
	f.Add(append(message(1022), message(1030)...), []byte{255, 1})
	f.Add(append(message(12), message(4)...), []byte{})
	f.Add(append(message(5000), message(40)...), []byte{200})
	f.Add([]byte{0xff, 0xff, 1, 2}, []byte{0})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		var want [][]byte
		for rest := data; len(rest) >= 2; {
			n := int(binary.BigEndian.Uint16(rest))
			if n < 12 || len(rest) < 2+n {
				break
			}
			want = append(want, rest[2:2+n])
			rest = rest[2+n:]
		}
		got, room := dnsserver.ReadMessages(&pieces{data: data, sizes: sizes})
		if len(got) != len(want) {
			t.Fatalf("%d messages, want %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("message %d is %x, want %x", i, got[i], want[i])
			}
		}
		if room > max(1024, 2*len(data)) {
			t.Errorf("%d octets of room were taken for %d that came", room, len(data))
		}
	})
}

// TestBoundsChangeWhileServing: new bounds hold for what comes next, and nobody who was let in is sent away for them.
func TestBoundsChangeWhileServing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := startLive(t, dnsserver.Config{Resolver: heldNames(release), Bounds: dnsserver.Bounds{Connections: 8, Waiting: 1}})
	first, second := s.dial("tcp"), s.dial("tcp")
	if _, err := first.Write(packQuestion(t, first, 1, "held.example")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "one query waits", func() bool { return s.Waiting() == 1 })
	if r := askFor(t, second, 2, "held2.example"); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("beyond one waiting query: %v, want SERVFAIL", dns.RcodeToString[r.Rcode])
	}

	s.SetBounds(dnsserver.Bounds{Connections: 1, Waiting: 2})
	if _, err := second.Write(packQuestion(t, second, 3, "held3.example")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "two queries wait", func() bool { return s.Waiting() == 2 })
	isClosed(t, s.dial("tcp")) // one connection is the most now, and neither of the two is idle
	close(release)
	isTruth(t, getReply(t, first), 1)
	isTruth(t, getReply(t, second), 3)
	waitFor(t, "both are idle", func() bool { return s.TCPIdle() == 2 })
	isTruth(t, askFor(t, s.dial("tcp"), 4, "localhost"), 4)
	waitFor(t, "one is left", func() bool { return s.TCPCounts().Open == 1 })
}
