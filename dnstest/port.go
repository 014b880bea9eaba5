package dnstest

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// Ports of FreePort: below those that kernels give to whoever names none (RFC 6335 section 6 begins them at 49152, Linux at 32768), so that
// nobody is given one of them by chance between FreePort and its use. Peers that choose the ports of their questions themselves are to be told to
// leave these alone: PeerPorts.
const (
	portMin = 10240
	portMax = 32767
)

// PeerPorts is the range from which FreePort takes its ports, as unbound writes it after outgoing-port-avoid.
const PeerPorts = "10240-32767"

// FreePort returns a port of 127.0.0.1 that nobody uses, by UDP or TCP, for a program that must be told its port. It leaves the port free, and gives
// it to no other test of the machine until this one ends.
func FreePort(t testing.TB) netip.AddrPort {
	t.Helper()
	var err error
	for range portTries {
		addr := somePort()
		var place io.Closer
		if place, err = takePlace(addr.Port()); err != nil {
			continue
		}
		if err = isFree(addr); err == nil {
			t.Cleanup(func() { place.Close() })
			return addr
		}
		place.Close()
	}
	t.Fatalf("no free port: %v", err)
	return netip.AddrPort{}
}

// placeAddr is an address at whose ports tests of all processes agree whose port is whose. It is in no block of a Tree.
var placeAddr = netip.AddrFrom4([4]byte{127, 0, 255, 254})

// takePlace takes a port of 127.0.0.1 for FreePort or a Server, or returns why another has it. The system frees it at the end of the process at the
// latest. Where loopback has one address alone, nothing is held.
func takePlace(port uint16) (io.Closer, error) {
	place, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(placeAddr, port)))
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	return place, nil
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
