package dnsserver

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"cenote/policy"
)

// handshakesMax is how many handshakes of TLS are under way at once; a connection that comes beyond it is ended. Each has Bounds.Read from the first octet to
// the last, so that whoever only holds a place, or makes the server compute, leaves room for the others.
const handshakesMax = 256

// tlsCounters count what became of handshakes.
type tlsCounters struct {
	handshaking atomic.Int64 // under way
	done        atomic.Uint64
	failed      atomic.Uint64 // what came was no handshake that could be answered
	slow        atomic.Uint64 // it was not over in time
	full        atomic.Uint64 // ended at once: handshakesMax are under way
	badFiles    atomic.Uint64 // certificates that were read and not taken
}

// encrypt has a new connection speak TLS (RFC 7858). Beneath it stays as it is: c.raw is what is closed where nothing may wait.
func (c *tcpConn) encrypt(config *tls.Config) {
	c.conn, c.transport = tls.Server(c.raw, config), policy.TransportTLS
}

// handshake brings the encryption about, where there is any, and reports whether the connection may go on.
func (c *tcpConn) handshake() bool {
	encrypted, ok := c.conn.(*tls.Conn)
	if !ok {
		return true
	}
	t := &c.server.tlsCounters
	defer t.handshaking.Add(-1)
	if t.handshaking.Add(1) > handshakesMax {
		t.full.Add(1)
		return false
	}
	c.raw.SetDeadline(time.Now().Add(c.server.core.bounds.Load().Read))
	if c.stopping.Load() { // after the deadline is set: stop sets its own after it says so
		return false
	}
	if err := encrypted.Handshake(); err != nil {
		if isTimeout(err) {
			t.slow.Add(1)
		} else {
			t.failed.Add(1)
		}
		return false
	}
	t.done.Add(1)
	state := encrypted.ConnectionState()
	c.weak = state.Version < tls.VersionTLS13 || state.NegotiatedProtocol != alpnDoT
	return true
}

// isTimeout reports whether an error is that of a deadline.
func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
