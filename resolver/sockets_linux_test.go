package resolver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"cenote/resolver"
	"cenote/rrcache"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// TestEachQueryHasAPortOfItsOwn: one socket serves queries that follow one another, each time with another port.
func TestEachQueryHasAPortOfItsOwn(t *testing.T) {
	const queries = 200
	for _, at := range []string{"127.0.0.1", "::1"} {
		t.Run(at, func(t *testing.T) {
			needAddress(t, at)
			var mu sync.Mutex
			ports, least, most := map[uint16]bool{}, uint16(0xffff), uint16(0)
			server := wildcard(t, at, func(from netip.AddrPort) {
				mu.Lock()
				defer mu.Unlock()
				ports[from.Port()] = true
				least, most = min(least, from.Port()), max(most, from.Port())
			})
			f := start(t, nil, server)
			for i := range queries {
				f.want(fmt.Sprintf("n%d.example", i), dns.TypeA, "NOERROR A:192.0.2.1")
			}
			if n := f.Stats().Sockets; n != 1 {
				t.Errorf("%d sockets are open, want the one that all queries were sent from", n)
			}
			mu.Lock()
			defer mu.Unlock()
			// The kernel has 28,232 ports to choose from: hardly one comes twice, and they lie all over them.
			if len(ports) < queries*9/10 || most-least < 20_000 {
				t.Errorf("%d queries came from %d ports between %d and %d", queries, len(ports), least, most)
			}
		})
	}
}

// needAddress skips a test where the machine lacks an address.
func needAddress(t *testing.T, at string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", net.JoinHostPort(at, "0"))
	if err == nil {
		conn.Close()
		return
	}
	if os.Getenv("CENOTE_STRICT") == "1" {
		t.Fatalf("the test needs the address %s: %v", at, err)
	}
	t.Skipf("the test needs the address %s: %v", at, err)
}

// connected is a socket of a resolver, connected to a server of ours.
func connected(t *testing.T, f *fixture) (*resolver.Socket, *net.UDPConn) {
	t.Helper()
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	s, err := f.Connect(server.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	return s, server
}

// portOf asks the kernel for the port of a socket, 0 for none.
func portOf(t *testing.T, s *resolver.Socket) (port int) {
	t.Helper()
	raw, err := s.Raw()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if at, err := unix.Getsockname(int(fd)); err == nil {
			port = at.(*unix.SockaddrInet4).Port
		}
	})
	return port
}

// TestWhatIsLeftInASocketClosesIt: what came for one query does not meet the next.
func TestWhatIsLeftInASocketClosesIt(t *testing.T) {
	for packets, want := range map[int]int{1: 1, 2: 0} {
		f := start(t, nil)
		s, server := connected(t, f)
		for range packets {
			if _, err := server.WriteToUDP([]byte("reply"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: portOf(t, s)}); err != nil {
				t.Fatal(err)
			}
		}
		buf := make([]byte, 16)
		// What has come before anybody waits for it is announced no more: a query to be sent makes the poller look again.
		if n, err := s.Ask([]byte("query"), buf); err != nil || string(buf[:n]) != "reply" {
			t.Fatalf("got %q, %v", buf[:n], err)
		}
		s.Disconnect()
		if n := f.Stats().Sockets; n != want {
			t.Errorf("of %d packets one was read: %d sockets wait for the next query, want %d", packets, n, want)
		}
	}
}

// TestSocketThatWaitsHasNoPort: nobody can send to it.
func TestSocketThatWaitsHasNoPort(t *testing.T) {
	f := start(t, nil)
	s, _ := connected(t, f)
	if portOf(t, s) == 0 {
		t.Error("a connected socket has no port")
	}
	s.Disconnect()
	if port := portOf(t, s); port != 0 || f.Stats().Sockets != 1 {
		t.Errorf("a socket that waits has port %d, and %d are open", port, f.Stats().Sockets)
	}
}

// TestSocketsIgnorePathMTU: also after they were connected anew.
func TestSocketsIgnorePathMTU(t *testing.T) {
	f := start(t, nil)
	for range 2 {
		s, _ := connected(t, f)
		raw, err := s.Raw()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if v, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER); err != nil || v != unix.IP_PMTUDISC_OMIT {
				t.Errorf("IP_MTU_DISCOVER is %d, %v", v, err)
			}
		})
		s.Disconnect()
	}
	if n := f.Stats().Sockets; n != 1 {
		t.Errorf("%d sockets, want one that was used twice", n)
	}
}

// TestSocketsThatNobodyNeedsAreClosed: those that were needed since the last sweep stay.
func TestSocketsThatNobodyNeedsAreClosed(t *testing.T) {
	f := start(t, func(c *resolver.Config) { c.Bounds.Sockets = 3 })
	f.SweepSockets()
	var all []*resolver.Socket
	for range 3 {
		s, _ := connected(t, f)
		all = append(all, s)
	}
	for _, s := range all {
		s.Disconnect()
	}
	needAddress(t, "::1")
	six, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer six.Close()
	other, err := f.Connect(six.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatalf("the sockets of IPv4 that wait leave no room for one of IPv6: %v", err)
	}
	other.Disconnect()
	if n := f.Stats().Sockets; n != 3 {
		t.Errorf("%d sockets are open, want 3", n)
	}
	eventually(t, "two sweeps later none is open", func() bool { f.SweepSockets(); return f.Stats().Sockets == 0 })
}

// TestEndInterruptsAWait: whoever waits for a reply when the resolver ends is told at once.
func TestEndInterruptsAWait(t *testing.T) {
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	cache, err := rrcache.New(rrcache.Config{Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, cache: cache}
	if f.Resolver, err = resolver.New(f.config(func(c *resolver.Config) { c.Timeouts.Attempt, c.Timeouts.Total = 10*time.Minute, 20*time.Minute }, silent.LocalAddr().(*net.UDPAddr).AddrPort())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, asked := make(chan error, 1), make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	go func() {
		_, err := f.Resolve(context.Background(), keyOf("www.example", dns.TypeA), nil)
		asked <- err
	}()
	if _, err := silent.Read(make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, from := range []chan error{asked, ended} {
		select {
		case <-from:
		case <-time.After(30 * time.Second):
			t.Fatal("after 30 s somebody still waits for a reply")
		}
	}
}
