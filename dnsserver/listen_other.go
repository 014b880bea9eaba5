//go:build !linux

package dnsserver

import "syscall"

// reusePortWorks: elsewhere than on Linux, sockets that share a port do not share its datagrams, or not evenly. One is used.
const reusePortWorks = false

// dualStackWorks: see openEndpoint.
const dualStackWorks = false

// setUDPOptions leaves the options of the socket as they are: what the portable loop needs it sets by itself.
func setUDPOptions(syscall.RawConn, bool, bool, bool, int) error { return nil }

// setTCPOptions leaves the options as they are.
func setTCPOptions(string, string, syscall.RawConn) error { return nil }

// newUDPRunner makes the loop that this system is served with.
func newUDPRunner(l udpLoop) udpRunner { return newUDPPortable(l) }

func spreadUDP([]*udpSocket, bool) error { return nil }

// resize leaves the buffers as the system has them.
func (s *udpSocket) resize(int) {}

// receiveBuffer is not known here.
func (s *udpSocket) receiveBuffer() int { return 0 }

// dropped is not known here.
func (s *udpSocket) dropped() uint32 { return 0 }
