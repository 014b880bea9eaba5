package dnsserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// certificatePoll is how often files of certificates are looked at. Files that have changed are read when they have stayed as they are from one look to the
// next.
const certificatePoll = time.Second

// alpnDoT is what clients say that they speak (RFC 7858, RFC 9103 section 7.1). One that says something else only is no client of DNS, and is turned away.
const alpnDoT = "dot"

// TLSFiles are the files, as PEM, of a certificate with those that vouch for it, and of its private key.
type TLSFiles struct{ Cert, Key string }

// Load reads the two.
func (f TLSFiles) Load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate %s with the key %s: %w", f.Cert, f.Key, err)
	}
	return &pair, nil
}

// certificate is that of a listener. It follows its files, and keeps the last good one.
type certificate struct {
	files    TLSFiles
	log      *slog.Logger
	failures *atomic.Uint64
	current  atomic.Pointer[tls.Certificate]

	mu     sync.Mutex
	loaded [2]fileState // guarded by mu: of the files that were read last, good or bad
	seen   [2]fileState // guarded by mu: by the last look
}

// fileState is by what a change of a file is seen. The zero value is that of one that is not there.
type fileState struct {
	size    int64
	changed time.Time
}

func (f TLSFiles) state() (out [2]fileState) {
	for i, path := range []string{f.Cert, f.Key} {
		if info, err := os.Stat(path); err == nil {
			out[i] = fileState{info.Size(), info.ModTime()}
		}
	}
	return out
}

// newCertificate reads a certificate, without which there is nothing to serve.
func newCertificate(files TLSFiles, failures *atomic.Uint64, log *slog.Logger) (*certificate, error) {
	c := &certificate{files: files, log: log, failures: failures}
	return c, c.load()
}

// load reads the files. After an error the last good certificate is served.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loaded = c.files.state()
	c.seen = c.loaded
	pair, err := c.files.Load()
	if err != nil {
		c.failures.Add(1)
		return err
	}
	c.current.Store(pair)
	if left := time.Until(pair.Leaf.NotAfter); left <= 0 {
		c.log.Warn("the certificate of a listener has expired: clients that check it will not come", "file", c.files.Cert, "expired", pair.Leaf.NotAfter)
	}
	c.log.Info("certificate loaded", "file", c.files.Cert, "subject", pair.Leaf.Subject.String(), "expires", pair.Leaf.NotAfter)
	return nil
}

// look reads files that have changed and come to rest.
func (c *certificate) look() {
	now := c.files.state()
	c.mu.Lock()
	due := now == c.seen && now != c.loaded
	c.seen = now
	c.mu.Unlock()
	if !due {
		return
	}
	if err := c.load(); err != nil {
		c.log.Error("certificate not loaded; the one before is served", "err", err)
	}
}

// config is how connections with the certificate are made. Session tickets are sealed with keys that change each day.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{alpnDoT},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// followCertificates looks at files until ctx ends.
func (s *Server) followCertificates(ctx context.Context) {
	if len(s.certificates()) == 0 {
		return
	}
	tick := time.NewTicker(certificatePoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, c := range s.certificates() {
				c.look()
			}
		}
	}
}

// openCertificates reads those of the listeners that have one.
func (s *Server) openCertificates() (err error) {
	for i, l := range s.core.config.Listen {
		if l.TLS == nil {
			continue
		}
		e := s.endpoints[i]
		e.files = l.TLS
		if e.certificate, err = newCertificate(*l.TLS, &s.tcp.badFiles, s.core.log); err != nil {
			return fmt.Errorf("listening on %v by TLS: %w", l.Addr, err)
		}
	}
	return nil
}

// certificates are those of all listeners.
func (s *Server) certificates() (out []*certificate) {
	for _, e := range s.endpoints {
		if e.certificate != nil {
			out = append(out, e.certificate)
		}
	}
	return out
}

// ReloadCertificates reads the certificates of all listeners again. Of those that an error tells of the last good one is served.
func (s *Server) ReloadCertificates() error {
	var all []error
	for _, c := range s.certificates() {
		all = append(all, c.load())
	}
	return errors.Join(all...)
}

// certificateExpiry is when the first certificate expires, in seconds since the epoch; 0 if there is none.
func (s *Server) certificateExpiry() (first int64) {
	for _, c := range s.certificates() {
		if at := c.current.Load().Leaf.NotAfter.Unix(); first == 0 || at < first {
			first = at
		}
	}
	return first
}
