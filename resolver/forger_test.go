package resolver_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"cenote/dnstest"
	"cenote/resolver"
)

// forger is an upstream that does whatever its functions say. Each gets a query and the right reply to it, which has one A record, and
// sends what it likes. A nil function stays silent.
type forger struct {
	addr netip.AddrPort
	udp  func(query, reply *dns.Msg, send func(*dns.Msg))
	raw  func(socket *net.UDPConn, peer netip.AddrPort, reply *dns.Msg) // instead of udp
	tcp  func(query, reply *dns.Msg, send func(*dns.Msg))
}

// answer sends the right reply.
func answer(_, reply *dns.Msg, send func(*dns.Msg)) { send(reply) }

func rightReply(query *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(query)
	m.RecursionAvailable = true
	rr, _ := dns.NewRR(query.Question[0].Name + " 300 IN A 192.0.2.1")
	m.Answer = []dns.RR{rr}
	m.SetEdns0(1232, query.IsEdns0() != nil && query.IsEdns0().Do())
	return m
}

func packed(t testing.TB, m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		t.Errorf("packing: %v", err)
	}
	return b
}

// serve starts the forger, which ends with the test.
func (f *forger) serve(t testing.TB) netip.AddrPort {
	t.Helper()
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(dnstest.FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	f.addr = udp.LocalAddr().(*net.UDPAddr).AddrPort()
	var running sync.WaitGroup
	t.Cleanup(func() { udp.Close(); running.Wait() })
	running.Go(func() { f.serveUDP(t, udp) })
	if f.tcp == nil {
		return f.addr
	}
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(f.addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	running.Go(func() { f.serveTCP(t, tcp) })
	return f.addr
}

func (f *forger) serveUDP(t testing.TB, socket *net.UDPConn) {
	buf := make([]byte, 4096)
	for {
		n, peer, err := socket.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		query := new(dns.Msg)
		if query.Unpack(buf[:n]) != nil {
			t.Errorf("query does not parse: %x", buf[:n])
			continue
		}
		if f.raw != nil {
			f.raw(socket, peer, rightReply(query))
		} else if f.udp != nil {
			f.udp(query, rightReply(query), func(m *dns.Msg) { socket.WriteToUDPAddrPort(packed(t, m), peer) })
		}
	}
}

// serveTCP answers one query a connection.
func (f *forger) serveTCP(t testing.TB, listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err == nil {
			msg, query := make([]byte, binary.BigEndian.Uint16(size[:])), new(dns.Msg)
			io.ReadFull(conn, msg)
			if query.Unpack(msg) == nil {
				f.tcp(query, rightReply(query), func(m *dns.Msg) {
					b := packed(t, m)
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...))
				})
			}
		}
		conn.Close()
	}
}

func TestReplyFromAnotherPortIsNotSeen(t *testing.T) {
	other, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	forger := &forger{raw: func(socket *net.UDPConn, peer netip.AddrPort, reply *dns.Msg) {
		forged := reply.Copy()
		forged.Answer[0].(*dns.A).A = net.IPv4(198, 51, 100, 66)
		other.WriteToUDPAddrPort(packed(t, forged), peer)
		socket.WriteToUDPAddrPort(packed(t, reply), peer)
	}}
	f := start(t, nil, forger.serve(t))
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
}

const longName = "a-long-name-so-that-random-case-cannot-be-all-lower.example"

func TestForgerWhoDoesNotKnowTheCaseIsFoundOut(t *testing.T) {
	forger := &forger{
		udp: func(_, reply *dns.Msg, send func(*dns.Msg)) {
			forged := reply.Copy()
			forged.Question[0].Name = strings.ToLower(forged.Question[0].Name)
			forged.Answer[0].(*dns.A).A = net.IPv4(198, 51, 100, 66)
			send(forged)
		},
		tcp: answer,
	}
	f := start(t, nil, forger.serve(t))
	f.want(longName, dns.TypeA, "NOERROR A:192.0.2.1")
	if !f.Status()[0].KeepsCase {
		t.Error("the forger made us believe that the upstream does not keep the case")
	}
}

func TestUpstreamThatFoldsCaseAndHasNoTCP(t *testing.T) {
	forger := &forger{udp: func(_, reply *dns.Msg, send func(*dns.Msg)) {
		reply.Question[0].Name = strings.ToLower(reply.Question[0].Name)
		send(reply)
	}}
	f := start(t, nil, forger.serve(t))
	f.want(longName, dns.TypeA, "NOERROR A:192.0.2.1")
	if f.Status()[0].KeepsCase {
		t.Error("the upstream is believed to keep the case")
	}
}

func TestQuestionsThatFailAreNoProofAgainstEDNS(t *testing.T) {
	forger := &forger{udp: func(query, reply *dns.Msg, send func(*dns.Msg)) {
		if strings.HasPrefix(strings.ToLower(query.Question[0].Name), "odd") { // refused whether it has an OPT record or not
			reply.Rcode, reply.Answer, reply.Extra = dns.RcodeFormatError, nil, nil
		}
		send(reply)
	}}
	f := start(t, nil, forger.serve(t))
	for i := range 6 {
		f.wantError(fmt.Sprintf("odd%d.example", i), resolver.ErrFailed, 22)
	}
	if !f.Status()[0].EDNS {
		t.Error("six questions that the upstream does not like made us believe that it does not understand EDNS")
	}
}

func TestFloodOfForgedRepliesLeadsToTCP(t *testing.T) {
	forger := &forger{
		udp: func(_, reply *dns.Msg, send func(*dns.Msg)) {
			for range 20 {
				forged := reply.Copy()
				forged.Id ^= 0x5555
				send(forged)
			}
		},
		tcp: answer,
	}
	f := start(t, nil, forger.serve(t))
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	if s := f.Status()[0]; s.Counts.NearMisses != 8 || s.Counts.TCP != 1 || !s.Up {
		t.Errorf("status %+v, want 8 near misses, 1 attempt by TCP, up", s)
	}
}

func withEDE(m *dns.Msg, rcode int, code uint16) *dns.Msg {
	m.Rcode, m.Answer = rcode, nil
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: code})
	return m
}

func TestBogusTakesTheStaleAnswerAway(t *testing.T) {
	var bogus atomic.Bool
	validating := &forger{udp: func(_, reply *dns.Msg, send func(*dns.Msg)) {
		if bogus.Load() {
			withEDE(reply, dns.RcodeServerFailure, dns.ExtendedErrorCodeDNSBogus)
		}
		send(reply)
	}}
	f := start(t, nil, validating.serve(t))
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	bogus.Store(true)
	f.advance(301 * time.Second)
	f.wantError("www.example", resolver.ErrFailed, dns.ExtendedErrorCodeDNSBogus)
	f.want("www.example", dns.TypeA, "SERVFAIL EDE13")
}

func TestBogusIsNotAskedForElsewhere(t *testing.T) {
	var mu sync.Mutex
	asked := [2]map[string]bool{{}, {}}
	note := func(i int, query *dns.Msg) {
		mu.Lock()
		defer mu.Unlock()
		asked[i][strings.ToLower(query.Question[0].Name)] = true
	}
	validating := &forger{udp: func(query, reply *dns.Msg, send func(*dns.Msg)) {
		note(0, query)
		send(withEDE(reply, dns.RcodeServerFailure, dns.ExtendedErrorCodeDNSBogus))
	}}
	careless := &forger{udp: func(query, reply *dns.Msg, send func(*dns.Msg)) { note(1, query); send(reply) }}
	f := start(t, nil, validating.serve(t), careless.serve(t))
	for i := range 40 {
		f.resolve(keyOf(fmt.Sprintf("n%d.example", i), dns.TypeA))
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked[0]) == 0 {
		t.Error("the validating upstream was never asked: the test shows nothing")
	}
	for name := range asked[0] {
		if asked[1][name] {
			t.Errorf("%s was bogus at one upstream and was asked of the other", name)
		}
	}
}

func TestExtendedErrorOfTheUpstreamIsPassedOn(t *testing.T) {
	forger := &forger{udp: func(query, reply *dns.Msg, send func(*dns.Msg)) {
		if strings.HasPrefix(strings.ToLower(query.Question[0].Name), "good.") {
			reply.IsEdns0().Option = append(reply.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeForgedAnswer})
			send(reply)
			return
		}
		send(withEDE(reply, dns.RcodeServerFailure, dns.ExtendedErrorCodeNoReachableAuthority))
	}}
	f := start(t, nil, forger.serve(t))
	f.want("good.example", dns.TypeA, "NOERROR EDE4 A:192.0.2.1")
	f.wantError("bad.example", resolver.ErrFailed, dns.ExtendedErrorCodeNoReachableAuthority)
}

func TestADBitNeedsTrust(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		forger := &forger{udp: func(_, reply *dns.Msg, send func(*dns.Msg)) { reply.AuthenticatedData = true; send(reply) }}
		f := start(t, func(c *resolver.Config) { c.Upstreams[0].Trusted = trusted }, forger.serve(t))
		for _, from := range []string{"upstream", "cache"} {
			result, err := f.Resolve(context.Background(), keyOf("www.example", dns.TypeA), nil)
			if err != nil {
				t.Fatal(err)
			}
			m := new(dns.Msg)
			if err := m.Unpack(result.Msg); err != nil || m.AuthenticatedData != trusted {
				t.Errorf("trusted %v, from the %s: AD %v (%v)", trusted, from, m.AuthenticatedData, err)
			}
		}
	}
}

func TestEarlierAttemptGoesOn(t *testing.T) {
	release := make(chan struct{})
	first, second := true, sync.OnceFunc(func() { close(release) })
	forger := &forger{udp: func(_, reply *dns.Msg, send func(*dns.Msg)) {
		if first { // the reply to the first query comes once the second has arrived
			first = false
			go func() { <-release; send(reply) }()
			return
		}
		second()
	}}
	f := start(t, func(c *resolver.Config) { c.Timeouts.Attempt, c.Bounds.Tries = 300*time.Millisecond, 8 }, forger.serve(t))
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
}
