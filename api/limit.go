package api

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// limitListener lets at most n connections be open at once; further ones wait in the kernel's queue.
func limitListener(l net.Listener, n int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, n), done: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

// Accept waits for a place, then for a connection, which gives the place back when it is closed.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotConn{Conn: conn, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close ends those that wait in Accept too.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type slotConn struct {
	net.Conn
	release func()
}

// Close closes the connection and gives its place to another; a second call gives none.
func (c *slotConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// boundWrites ends a connection whose client does not take an answer within limit of its first octet. It is no http.Server.WriteTimeout: that
// counts from the request, and a reload may work for minutes before it answers.
func boundWrites(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&boundedWriter{ResponseWriter: w, limit: limit}, r)
	})
}

type boundedWriter struct {
	http.ResponseWriter
	limit time.Duration
	begun bool
}

func (w *boundedWriter) begin() {
	if !w.begun {
		w.begun = true
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.limit)) // a connection of net/http has deadlines
	}
}

// WriteHeader makes boundedWriter an http.ResponseWriter, with Write and the embedded Header.
func (w *boundedWriter) WriteHeader(status int) {
	w.begin()
	w.ResponseWriter.WriteHeader(status)
}

// Write passes octets on.
func (w *boundedWriter) Write(b []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(b)
}

// requireToken lets only requests with the bearer token through, apart from the two that a load balancer asks.
func requireToken(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/readyz" {
			next.ServeHTTP(w, r)
			return
		}
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="cenote"`)
			fail(w, http.StatusUnauthorized, "this address needs the api token as a bearer token")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// requireLocalHost refuses requests whose Host is a name other than localhost, so that a web page cannot reach a loopback address
// through a name that it has pointed there (DNS rebinding), and refuses what a browser sends on behalf of another site.
func requireLocalHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "localhost" {
			fail(w, http.StatusForbidden, "ask by address or as localhost, not by another name")
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
			fail(w, http.StatusForbidden, "requests from other sites are refused")
			return
		}
		next.ServeHTTP(w, r)
	})
}
