package dnsserver

import (
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reusePortWorks: SO_REUSEPORT spreads datagrams over the sockets that share a port.
const reusePortWorks = true

// dualStackWorks: one socket can serve both IP versions and tell which address was asked.
const dualStackWorks = true

// setUDPOptions sets the options of a UDP socket before it is bound.
func setUDPOptions(raw syscall.RawConn, v6, wildcard, shared bool, buffer int) (err error) {
	ctlErr := raw.Control(func(fd uintptr) { err = setUDPOptionsFD(int(fd), v6, wildcard, shared, buffer) })
	return errors.Join(ctlErr, err)
}

func setUDPOptionsFD(fd int, v6, wildcard, shared bool, buffer int) error {
	setBuffers(fd, buffer)
	// Fragments are easier to forge than whole datagrams, so none are sent and none are made on the way: IPv4 replies say that they are not to
	// be (RFC 9715 section 3.1), and a forged "fragmentation needed" changes nothing, for the path MTU is not asked; replies are small enough.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	if v6 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	}
	if shared {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
		}
	}
	switch {
	case wildcard && v6: // on a socket for both, IPv4 addresses come mapped into IPv6 in the same kind of message
		return os.NewSyscallError("setsockopt IPV6_RECVPKTINFO", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
	case wildcard:
		return os.NewSyscallError("setsockopt IP_PKTINFO", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	}
	return nil
}

// setTCPOptions sets the options of a TCP listener, which its connections inherit.
func setTCPOptions(_, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, tcpSendBuffer)
	})
}

// setBuffer sizes a socket buffer: past the machine's limit if we may, else up to it.
func setBuffer(fd, force, plain, octets int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, octets) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, octets)
	}
}

// setBuffers sizes the buffers of a UDP socket. What waits in a buffer that shrinks stays there.
func setBuffers(fd, octets int) {
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, octets)
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, octets)
}

// resize changes the buffers of a socket that is served. One that is closed meanwhile needs none.
func (s *udpSocket) resize(octets int) {
	_ = s.raw.Control(func(fd uintptr) { setBuffers(int(fd), octets) })
}

// receiveBuffer returns the octets that the kernel gives a socket, which may be fewer than asked for. The kernel doubles what it is told,
// for its own use.
func (s *udpSocket) receiveBuffer() (octets int) {
	s.raw.Control(func(fd uintptr) { octets, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	return octets / 2
}

// Loads from there give what the kernel knows: SKF_AD_OFF + SKF_AD_CPU and SKF_AD_OFF + SKF_AD_RANDOM in linux/filter.h.
const (
	loadCPU    = 1<<32 - 0x1000 + 36
	loadRandom = 1<<32 - 0x1000 + 56
)

// spreadUDP has the kernel give each datagram to a random socket of the group, or to that of the core on which it came in. By default it goes
// by the hash of addresses and ports, and then one forwarder with one source port keeps one worker busy and the others idle.
func spreadUDP(sockets []*udpSocket, byCore bool) (err error) {
	load := uint32(loadRandom)
	if byCore {
		load = loadCPU
	}
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: load},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(len(sockets))},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	ctlErr := sockets[0].raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &fprog)
	})
	return errors.Join(ctlErr, os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF", err))
}

// dropped returns how many datagrams the kernel threw away because the receive buffer was full.
func (s *udpSocket) dropped() (n uint32) {
	const dropsIndex = 8 // SK_MEMINFO_DROPS in linux/sock_diag.h
	var info [dropsIndex + 1]uint32
	s.raw.Control(func(fd uintptr) {
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			n = info[dropsIndex]
		}
	})
	return n
}
