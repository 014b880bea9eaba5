package dnstest

import (
	"net"
	"net/netip"
	"testing"
)

func TestFreePort(t *testing.T) {
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
