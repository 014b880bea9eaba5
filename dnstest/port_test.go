package dnstest

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
)

func TestFreePort(t *testing.T) {
	if got := fmt.Sprintf("%d-%d", portMin, portMax); got != PeerPorts {
		t.Errorf("peers are told to leave %s alone, want %s", PeerPorts, got)
	}
	addr := FreePort(t)
	if addr.Port() < portMin || addr.Port() > portMax || addr.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("got %v, want a port of 127.0.0.1 from %d to %d", addr, portMin, portMax)
	}
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatalf("the port cannot be used: %v", err)
	}
	if isFree(addr) == nil {
		t.Error("a port that is used by UDP is called free")
	}
	udp.Close()
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatalf("the port cannot be used: %v", err)
	}
	defer tcp.Close()
	if isFree(addr) == nil {
		t.Error("a port that is used by TCP is called free")
	}
}

// TestPortsOfServersAreTheirOwn holds that no test is given the port of a server, also while that is closed.
func TestPortsOfServersAreTheirOwn(t *testing.T) {
	s := Start(t, "www.example. 300 A 192.0.2.1")
	s.Close()
	if place, err := takePlace(s.Addr().Port()); err == nil {
		place.Close()
		t.Error("another test may have the port of a server that is closed")
	}
}

// TestFreePortIsOnesOwn holds that a port is given once until the test ends that has it.
func TestFreePortIsOnesOwn(t *testing.T) {
	var port uint16
	t.Run("has it", func(t *testing.T) {
		port = FreePort(t).Port()
		if place, err := takePlace(port); err == nil {
			place.Close()
			t.Error("another test may have the port")
		}
	})
	place, err := takePlace(port)
	if err != nil {
		t.Fatalf("the test has ended, and nobody may have its port: %v", err)
	}
	place.Close()
}
