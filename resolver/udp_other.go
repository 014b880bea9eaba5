//go:build !linux

package resolver

import (
	"errors"
	"net"
	"syscall"
)

// ignorePathMTU does nothing where the kernel has no such option.
func ignorePathMTU(string, string, syscall.RawConn) error { return nil }

// udpTurns has nothing to add to Go's own methods.
type udpTurns struct{}

func (udpTurns) prepare(*net.UDPConn) error { return nil }

// ask sends a query, if there is one, and reads the next packet.
func (s *udpSocket) ask(query, buf []byte) (n int, err error) {
	if len(query) > 0 {
		if _, err := s.conn.Write(query); err != nil {
			return 0, err
		}
	}
	return s.conn.Read(buf)
}

// unsent returns no query: ask sends it whatever the time.
func (*udpSocket) unsent() []byte { return nil }

// disconnect reports that the socket cannot be used again: its port is its own.
func (*udpSocket) disconnect() bool { return false }

func (*udpSocket) reconnect() error { return errors.ErrUnsupported }
