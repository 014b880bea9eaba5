package dnstest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// Ports of FreePort: below those that kernels give to whoever names none (RFC 6335 section 6 begins them at 49152, Linux at 32768), so that
// nobody is given one of them by chance between FreePort and its use.
const (
	portMin = 10240
	portMax = 32767
)

// FreePort returns a port of 127.0.0.1 that nobody uses, by UDP or TCP, for a program that must be told its port. It does not keep it.
func FreePort(t testing.TB) netip.AddrPort {
	t.Helper()
	var err error
	for range portTries {
		addr := somePort()
		if err = isFree(addr); err == nil {
			return addr
		}
	}
	t.Fatalf("no free port: %v", err)
	return netip.AddrPort{}
}

// portTries is how many ports are tried.
const portTries = 1000

// somePort is a port of 127.0.0.1 that nobody is given by chance.
func somePort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(portMin+rand.IntN(portMax-portMin+1)))
}

// isFree returns why the port cannot be had, or nil.
func isFree(addr netip.AddrPort) error {
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	defer udp.Close()
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	return tcp.Close()
}
