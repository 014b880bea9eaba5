package resolver

import (
	"net"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ignorePathMTU makes a socket deaf to forged reports of a small path MTU, with which others can make queries and replies come in
// fragments, whose content is easier to forge. A kernel that does not know the option goes without.
func ignorePathMTU(network, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		if strings.HasSuffix(network, "6") {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
		} else {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
		}
	})
}

// udpTurns are the system calls of a socket, made without those that Go's methods make besides. None of them waits: where the socket has
// nothing to read, the goroutine parks in Go's network poller.
type udpTurns struct {
	raw   syscall.RawConn
	query []byte // to be sent
	buf   []byte // to be read into
	n     int
	call  string // the last one, and how it ended
	errno syscall.Errno
	v4    unix.RawSockaddrInet4
	v6    unix.RawSockaddrInet6
	addr  unsafe.Pointer // v4 or v6
	size  uintptr

	// Values of methods, made once.
	turn    func(fd uintptr) bool
	connect func(fd uintptr)
	empty   func(fd uintptr)
}

func (t *udpTurns) prepare(conn *net.UDPConn) (err error) {
	t.raw, err = conn.SyscallConn()
	t.turn, t.connect, t.empty = t.sendOrRead, t.connectTo, t.readNothing
	return err
}

// ask sends a query, if there is one, and reads the next packet.
func (s *udpSocket) ask(query, buf []byte) (n int, err error) {
	s.query, s.buf = query, buf
	if err := s.raw.Read(s.turn); err != nil {
		return 0, err
	}
	if s.errno != 0 {
		return 0, s.failed("read", s.call, s.errno)
	}
	return s.n, nil
}

// unsent returns the query if ask ended before it was sent.
func (t *udpTurns) unsent() []byte { return t.query }

// sendOrRead sends the query, and then waits for the reply before it looks for one; it reports whether there is anything to wait for. That the
// query goes out in here is what makes it safe not to look: the poller knows by now that somebody waits.
func (t *udpTurns) sendOrRead(fd uintptr) (done bool) {
	if len(t.query) > 0 {
		t.call = "sendto"
		_, _, t.errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&t.query[0])), uintptr(len(t.query)), 0, 0, 0)
		t.query = nil
		return t.errno != 0
	}
	t.call = "recvfrom"
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&t.buf[0])), uintptr(len(t.buf)), unix.MSG_DONTWAIT, 0, 0)
	t.n, t.errno = int(n), errno
	return errno != unix.EAGAIN && errno != unix.EINTR
}

// reconnect connects a socket without a port to its server, by which it gets one.
func (s *udpSocket) reconnect() error {
	to, port := s.to, s.to.Port()
	if to.Addr().Is6() {
		s.v6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(port), Addr: to.Addr().As16()}
		s.addr, s.size = unsafe.Pointer(&s.v6), unix.SizeofSockaddrInet6
	} else {
		s.v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(port), Addr: to.Addr().As4()}
		s.addr, s.size = unsafe.Pointer(&s.v4), unix.SizeofSockaddrInet4
	}
	return s.connectNow()
}

func networkOrder(port uint16) (out uint16) {
	b := (*[2]byte)(unsafe.Pointer(&out))
	b[0], b[1] = byte(port>>8), byte(port)
	return out
}

// disconnect takes the port away from the socket, and reports whether nothing is left in it of what came for its query.
func (s *udpSocket) disconnect() bool {
	s.v4 = unix.RawSockaddrInet4{Family: unix.AF_UNSPEC}
	s.addr, s.size = unsafe.Pointer(&s.v4), unix.SizeofSockaddrInet4
	if s.connectNow() != nil {
		return false
	}
	err := s.raw.Control(s.empty)
	return err == nil && s.errno == unix.EAGAIN
}

func (s *udpSocket) connectNow() error {
	if err := s.raw.Control(s.connect); err != nil {
		return err
	}
	if s.errno != 0 {
		return s.errno
	}
	return nil
}

func (t *udpTurns) connectTo(fd uintptr) {
	_, _, t.errno = unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(t.addr), t.size)
}

func (t *udpTurns) readNothing(fd uintptr) {
	var octet [1]byte
	_, _, t.errno = unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&octet[0])), 1, unix.MSG_DONTWAIT, 0, 0)
}
