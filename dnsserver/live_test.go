package dnsserver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnsserver"
	"cenote/policy"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// patience is how long a test waits for what must happen, on the slowest of machines.
const patience = 30 * time.Second

// network is a Resolver made from a function.
type fakeNetwork func(ctx context.Context, name string) (*dns.Msg, error)

func (f fakeNetwork) Resolve(ctx context.Context, key *rrcache.Key, _ []byte) (dnsserver.Resolved, error) {
	name := dns.Fqdn(dnsname.Name(key.Name).String())
	msg, err := f(ctx, name)
	if err != nil {
		return dnsserver.Resolved{}, err
	}
	msg.Question = []dns.Question{{Name: name, Qtype: key.Type, Qclass: key.Class}}
	msg.Response, msg.RecursionAvailable = true, true
	wire, err := msg.Pack()
	return dnsserver.Resolved{Msg: wire, EDE: policy.EDENone}, err
}

func (f fakeNetwork) Prefetch(*rrcache.Key) {}

// truth answers every name with 192.0.2.1 at once.
func truthNow(_ context.Context, name string) (*dns.Msg, error) {
	return &dns.Msg{Answer: []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(192, 0, 2, 1)}}}, nil
}

// held answers as truth does, but names that begin with "held" only once release is closed, or with an error at the end of their time.
func heldNames(release <-chan struct{}) fakeNetwork {
	return func(ctx context.Context, name string) (*dns.Msg, error) {
		if name[:4] == "held" {
			select {
			case <-release:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return truthNow(ctx, name)
	}
}

// live is a server that serves.
type live struct {
	*dnsserver.Server
	t    testing.TB
	stop context.CancelFunc
	done chan error
}

// start serves until the test ends. The zero Config is completed: 127.0.0.1, UDP and TCP, one worker, the truth.
func startLive(t testing.TB, c dnsserver.Config, before ...func(*dnsserver.Server)) *live {
	t.Helper()
	server := openLive(t, c)
	for _, f := range before {
		f(server)
	}
	return runLive(t, server)
}

// runLive serves with a server until the test ends.
func runLive(t testing.TB, server *dnsserver.Server) *live {
	t.Helper()
	s := &live{Server: server, t: t, done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		s.ended()
	})
	return s
}

func openLive(t testing.TB, c dnsserver.Config) *dnsserver.Server {
	t.Helper()
	s, err := tryLive(t, c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s
}

func tryLive(t testing.TB, c dnsserver.Config) (*dnsserver.Server, error) {
	t.Helper()
	if c.Listen == nil {
		c.Listen = []dnsserver.Listen{{Addr: netip.MustParseAddrPort("127.0.0.1:0"), UDP: true, TCP: true}}
	}
	if c.Policy == nil {
		c.Policy = func() *policy.Policy { return nil }
	}
	if c.Resolver == nil {
		c.Resolver = fakeNetwork(truthNow)
	}
	if c.Settings.Access.Allow == nil {
		c.Settings = dnsserver.DefaultSettings()
	}
	if c.Bounds.Workers == 0 {
		c.Bounds.Workers = 1
	}
	if c.Cache == nil {
		c.Cache = newCache(t)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return dnsserver.New(c)
}

func newCache(t testing.TB) *rrcache.Cache {
	t.Helper()
	cache, err := rrcache.New(rrcache.Config{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// ended waits until Run has returned. It may be called again.
func (s *live) ended() {
	s.t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("Run returned %v", err)
		}
		s.done <- nil
	case <-time.After(2 * patience):
		s.t.Fatal("Run did not return")
	}
}

// addr is the first UDP or TCP address.
func (s *live) addr(network string) netip.AddrPort {
	for _, l := range s.Addrs() {
		if l.UDP && network[:3] == "udp" || l.TCP && network[:3] == "tcp" {
			return l.Addr
		}
	}
	s.t.Fatalf("the server does not listen on %s", network)
	return netip.AddrPort{}
}

// dial connects to the server. UDP sockets are connected too, so that a reply from another address than the one asked never arrives.
func (s *live) dial(network string) net.Conn {
	s.t.Helper()
	return dialTo(s.t, network, s.addr(network))
}

// dialFrom connects over TCP from an address of the loopback network.
func (s *live) dialFrom(addr string) net.Conn {
	s.t.Helper()
	conn, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.ParseIP(addr)}, net.TCPAddrFromAddrPort(s.addr("tcp")))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * patience))
	return conn
}

func dialTo(t testing.TB, network string, addr netip.AddrPort) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(2 * patience))
	return conn
}

// question packs a question with RD set and, over TCP, its length.
func packQuestion(t testing.TB, conn net.Conn, id uint16, name string) []byte {
	t.Helper()
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	q.Id = id
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, udp := conn.(*net.UDPConn); udp {
		return wire
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(wire))), wire...)
}

func putQuery(t testing.TB, conn net.Conn, id uint16, name string) {
	t.Helper()
	if _, err := conn.Write(packQuestion(t, conn, id, name)); err != nil {
		t.Fatalf("asking %s: %v", name, err)
	}
}

// get reads one reply.
func getReply(t testing.TB, conn net.Conn) *dns.Msg {
	t.Helper()
	r, err := tryReply(conn)
	if err != nil {
		t.Fatalf("reading a reply from %v: %v", conn.RemoteAddr(), err)
	}
	return r
}

func tryReply(conn net.Conn) (*dns.Msg, error) {
	buf := make([]byte, dns.MaxMsgSize)
	n, err := len(buf), error(nil)
	if _, udp := conn.(*net.UDPConn); udp {
		n, err = conn.Read(buf)
	} else if _, err = io.ReadFull(conn, buf[:2]); err == nil {
		n, err = io.ReadFull(conn, buf[:binary.BigEndian.Uint16(buf)])
	}
	if err != nil {
		return nil, err
	}
	r := new(dns.Msg)
	return r, r.Unpack(buf[:n])
}

func askFor(t testing.TB, conn net.Conn, id uint16, name string) *dns.Msg {
	t.Helper()
	putQuery(t, conn, id, name)
	return getReply(t, conn)
}

// isTruth checks that r is the reply to question id with the answer of truth.
func isTruth(t testing.TB, r *dns.Msg, id uint16) {
	t.Helper()
	if r.Id != id || r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 {
		t.Errorf("got id %d, %s, %v\nwant id %d, NOERROR, one address", r.Id, dns.RcodeToString[r.Rcode], r.Answer, id)
	}
}

// wait polls until ok returns true.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// isClosed waits for the server to end a connection without another reply.
func isClosed(t testing.TB, conn net.Conn) {
	t.Helper()
	var one [1]byte
	_, err := conn.Read(one[:])
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the connection is open; read returned %v", err)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection is still open")
	}
}

// TestClock: queries come at the time of the server's own clock, by UDP and by TCP. An hour of it takes an answer of the cache past its time.
func TestClock(t *testing.T) {
	var hours atomic.Int64
	now := func() time.Time {
		return time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC).Add(time.Duration(hours.Load()) * time.Hour)
	}
	cache := newCache(t)
	key := rrcache.Key{Name: []byte("\x03www\x07example\x00"), Type: dns.TypeA, Class: dns.ClassINET}
	m := query("www.example", dns.TypeA)
	m.Response, m.Answer = true, []dns.RR{mustRR("www.example. 300 A 192.0.2.9")}
	cache.Put(&key, must1(m.Pack()), now().UnixNano())
	s := startLive(t, dnsserver.Config{Cache: cache, Now: now})
	for hour, want := range []string{"192.0.2.9", "192.0.2.1"} {
		hours.Store(int64(hour))
		for _, network := range []string{"udp", "tcp"} {
			r, _, err := (&dns.Client{Net: network, Timeout: patience}).Exchange(query("www.example", dns.TypeA), s.addr(network).String())
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Answer[0].(*dns.A).A.String(); got != want {
				t.Errorf("%s, after %d hours: got %s, want %s", network, hour, got, want)
			}
		}
	}
}
