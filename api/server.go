package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of the HTTP face.
const (
	bodyMax         = 1 << 20          // octets of a request's body
	headerMax       = 16 << 10         // octets of a request's header
	headerTimeout   = 5 * time.Second  // to read a request's header
	idleTimeout     = 60 * time.Second // of a kept connection
	writeTimeout    = 60 * time.Second // from the first octet of an answer to its last
	shutdownTimeout = 3 * time.Second  // for requests under way at the end
	connectionsMax  = 64               // at once, for each listener
)

// Config says where to listen and whom to ask.
type Config struct {
	// Socket is the path of the Unix socket for the command line; "" for none. Example: /run/cenote/cenote.sock.
	Socket string
	// SocketMode is the permission of the socket. Default 0600. Example: 0660.
	SocketMode fs.FileMode
	// HTTP is the address for metrics, health and JSON; the zero value for none. Example: 127.0.0.1:5380.
	HTTP netip.AddrPort
	// Token, if set, must come as "Authorization: Bearer TOKEN" with every HTTP request but /healthz and /readyz. The Unix socket needs none:
	// its file mode is its guard.
	Token string
	// Version is what /v1/version tells.
	Version string
	// Rooms are the parts that know the facts.
	Rooms Rooms
	// Metrics is what /metrics shows.
	Metrics prometheus.Gatherer
	// Log receives one line for each event, none for each request.
	Log *slog.Logger
}

// Server serves the API until its context ends.
type Server struct {
	config    Config
	token     atomic.Pointer[string] // that HTTP clients must send; "" for none
	listeners []net.Listener
	servers   []*http.Server
}

// New opens the listeners. An old socket file that nobody listens on is replaced; one in use is an error.
func New(c Config) (*Server, error) {
	s := &Server{config: c}
	s.token.Store(&c.Token)
	if c.Socket != "" {
		l, err := listenUnix(c.Socket, cmp.Or(c.SocketMode, socketMode))
		if err != nil {
			return nil, fmt.Errorf("opening the control socket: %w", err)
		}
		s.add(l, s.controls())
	}
	if c.HTTP.IsValid() {
		l, err := net.Listen("tcp", c.HTTP.String())
		if err != nil {
			s.close()
			return nil, fmt.Errorf("opening the HTTP address: %w", err)
		}
		s.add(l, s.guarded())
	}
	return s, nil
}

// HTTPAddr returns the address that HTTP listens on, or nil.
func (s *Server) HTTPAddr() net.Addr {
	for _, l := range s.listeners {
		if l.Addr().Network() == "tcp" {
			return l.Addr()
		}
	}
	return nil
}

// Run serves until ctx ends, then gives requests under way a moment to finish.
func (s *Server) Run(ctx context.Context) error {
	ended := make(chan error, len(s.servers))
	for i, srv := range s.servers {
		go func() { ended <- srv.Serve(s.listeners[i]) }()
	}
	var failed error
	left := len(s.servers)
	select {
	case <-ctx.Done():
	case failed = <-ended:
		left--
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	for _, srv := range s.servers {
		if srv.Shutdown(stop) != nil {
			_ = srv.Close() // what did not finish in time is cut off
		}
	}
	for ; left > 0; left-- {
		<-ended
	}
	if errors.Is(failed, http.ErrServerClosed) {
		return nil
	}
	return failed
}

// guarded is what a TCP address serves: with a token whoever has it may ask from anywhere, without one only this host.
func (s *Server) guarded() http.Handler {
	routes := s.routes()
	local := requireLocalHost(routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token := *s.token.Load(); token != "" {
			requireToken(token, routes).ServeHTTP(w, r)
			return
		}
		local.ServeHTTP(w, r)
	})
}

// SetGuards changes what guards the two faces while they serve: the permission of the socket, zero for the default, and the token. An address that
// other hosts reach keeps the token it has if the new one is empty.
func (s *Server) SetGuards(mode fs.FileMode, token string) error {
	if s.config.Socket != "" {
		if err := os.Chmod(s.config.Socket, cmp.Or(mode, socketMode)); err != nil {
			return fmt.Errorf("changing the permission of the control socket: %w", err)
		}
	}
	if token != "" || !s.reachable() {
		s.token.Store(&token)
	}
	return nil
}

// reachable reports whether other hosts can reach the HTTP address.
func (s *Server) reachable() bool {
	return s.config.HTTP.IsValid() && !s.config.HTTP.Addr().IsLoopback()
}

// socketMode is the permission of the socket unless another is wanted.
const socketMode fs.FileMode = 0o600

func (s *Server) add(l net.Listener, handler http.Handler) {
	s.listeners = append(s.listeners, limitListener(l, connectionsMax))
	s.servers = append(s.servers, &http.Server{
		Handler:           boundBodies(boundWrites(writeTimeout, handler)),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       idleTimeout,
		IdleTimeout:       idleTimeout,
		ConnContext:       withPeer,
		MaxHeaderBytes:    headerMax,
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	})
}

func (s *Server) close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// removeStale removes a socket file that a killed server left behind.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return fmt.Errorf("%s is in the way and is not a socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("another server listens on %s; stop it or set another api.socket", path)
	}
	return os.Remove(path)
}
