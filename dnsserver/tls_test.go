package dnsserver_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnsserver"
	"cenote/dnstest"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// writePair writes a certificate for a name, and its key, and returns who vouches for it.
func writePair(t *testing.T, files dnsserver.TLSFiles, name string) *x509.CertPool {
	t.Helper()
	return dnstest.WriteCertificate(t, name, files.Cert, files.Key)
}

// startTLS starts a server that serves TLS alone.
func startTLS(t *testing.T, bounds dnsserver.Bounds) (*live, dnsserver.TLSFiles, *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	files := dnsserver.TLSFiles{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	roots := writePair(t, files, "dns.example")
	s := startLive(t, dnsserver.Config{
		Cache: cacheOf(t, "cached.example"), Bounds: bounds, Listen: []dnsserver.Listen{{Addr: netip.MustParseAddrPort("127.0.0.1:0"), TCP: true, TLS: &files}},
	})
	return s, files, roots
}

// askTLS asks one question, and returns why there is no answer.
func askTLS(s *live, config *tls.Config) error {
	config.ServerName = "dns.example"
	m := new(dns.Msg).SetQuestion("cached.example.", dns.TypeA)
	client := dns.Client{Net: "tcp-tls", Timeout: patience, TLSConfig: config}
	_, _, err := client.Exchange(m, s.addr("tcp").String())
	return err
}

// TestTLS holds who is let in by TLS.
func TestTLS(t *testing.T) {
	s, _, roots := startTLS(t, dnsserver.Bounds{})
	for name, tc := range map[string]struct {
		config *tls.Config
		fails  bool
	}{
		"a client that says it speaks DNS":   {&tls.Config{NextProtos: []string{"dot"}}, false},
		"one that says nothing":              {&tls.Config{}, false},
		"one of TLS 1.2":                     {&tls.Config{MaxVersion: tls.VersionTLS12}, false},
		"one of TLS 1.1":                     {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, true},
		"one that says it speaks HTTP alone": {&tls.Config{NextProtos: []string{"h2"}}, true},
	} {
		tc.config.RootCAs = roots
		if err := askTLS(s, tc.config); (err != nil) != tc.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.figure("cenote_dnsserver_tls_handshakes_total", "done"); n != 3 {
		t.Errorf("%v handshakes were done, want 3", n)
	}
}

// TestCertificateIsFollowed holds that another certificate is served when its files have changed, and the last good one while they are wrong.
func TestCertificateIsFollowed(t *testing.T) {
	s, files, first := startTLS(t, dnsserver.Bounds{})
	must(t, os.WriteFile(files.Key, []byte("no key\n"), 0o600))
	await(t, func() bool { return s.figure("cenote_dnsserver_certificate_failures_total", "") == 1 })
	must(t, askTLS(s, &tls.Config{RootCAs: first}))
	second := writePair(t, files, "dns.example")
	await(t, func() bool { return askTLS(s, &tls.Config{RootCAs: second}) == nil })
	if askTLS(s, &tls.Config{RootCAs: first}) == nil {
		t.Error("the first is served yet")
	}
	if at := s.figure("cenote_dnsserver_certificate_expiry_timestamp_seconds", ""); at < float64(time.Now().Unix()) {
		t.Errorf("it expires at %v", at)
	}
	must(t, os.WriteFile(files.Cert, nil, 0o600))
	if s.ReloadCertificates() == nil {
		t.Error("an empty file is a certificate")
	}
	must(t, askTLS(s, &tls.Config{RootCAs: second}))
}

// TestSlowHandshakeEnds holds that a connection on which no handshake comes, or no DNS, ends.
func TestSlowHandshakeEnds(t *testing.T) {
	s, _, roots := startTLS(t, dnsserver.Bounds{Read: 200 * time.Millisecond, Idle: 200 * time.Millisecond})
	silent := s.dial("tcp")
	must(t, silent.SetReadDeadline(time.Now().Add(patience)))
	if n, err := silent.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%d octets, %v; want the end", n, err)
	}
	await(t, func() bool { return s.figure("cenote_dnsserver_tls_handshakes_total", "timeout") == 1 })
	_, err := s.dial("tcp").Write([]byte("\x00\x1d in the clear, and no handshake"))
	must(t, err)
	await(t, func() bool { return s.figure("cenote_dnsserver_tls_handshakes_total", "failed") == 1 })
	idle := tls.Client(s.dial("tcp"), &tls.Config{RootCAs: roots, ServerName: "dns.example"})
	must(t, idle.Handshake())
	must(t, idle.SetReadDeadline(time.Now().Add(patience)))
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle connection: %v; want the end", err)
	}
}

// TestHandshakesAreBounded holds that of connections whose handshakes do not come on a bounded number are kept, that the next one is ended at once, and that there is room as soon as
// one of them has ended.
func TestHandshakesAreBounded(t *testing.T) {
	s, _, roots := startTLS(t, dnsserver.Bounds{PerClient: 2 * dnsserver.HandshakesMax, Read: patience})
	held := make([]net.Conn, dnsserver.HandshakesMax)
	for i := range held {
		held[i] = s.dial("tcp")
	}
	await(t, func() bool { return s.TCPCounts().Open == dnsserver.HandshakesMax })
	await(t, func() bool { return s.Handshaking() == dnsserver.HandshakesMax })
	beyond := s.dial("tcp")
	must(t, beyond.SetReadDeadline(time.Now().Add(patience)))
	if n, err := beyond.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("one connection too many: %d octets, %v; want the end", n, err)
	}
	if n := s.figure("cenote_dnsserver_tls_handshakes_total", "full"); n != 1 {
		t.Errorf("%v connections were ended for want of room, want 1", n)
	}
	must(t, held[0].Close())
	await(t, func() bool { return askTLS(s, &tls.Config{RootCAs: roots}) == nil })
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// TestRepliesArePadded holds that a reply to a padded query is of a length that tells little, encrypted alone, and signed, too (RFC 7830, RFC 8467).
func TestRepliesArePadded(t *testing.T) {
	s, _, roots := startTLS(t, dnsserver.Bounds{})
	conn := tls.Client(s.dial("tcp"), &tls.Config{RootCAs: roots, ServerName: "dns.example"})
	for _, padded := range []bool{true, false} {
		for _, name := range []string{"cached.example.", "a-name-of-which-nothing-is-known-here.cached.example."} {
			m := new(dns.Msg).SetQuestion(name, dns.TypeA).SetEdns0(1232, false)
			if padded {
				opt := m.IsEdns0()
				opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, 20)})
			}
			framed := &dns.Conn{Conn: conn}
			must(t, framed.WriteMsg(m))
			reply, err := framed.ReadMsgHeader(nil)
			must(t, err)
			r := new(dns.Msg)
			must(t, r.Unpack(reply))
			if got := len(reply)%468 == 0; got != padded {
				t.Errorf("%s, padded %v: a reply of %d octets", name, padded, len(reply))
			}
			if got := strings.Contains(r.IsEdns0().String(), "PADDING"); got != padded {
				t.Errorf("%s, padded %v: %v", name, padded, r.IsEdns0())
			}
		}
	}
}

// await waits for what comes soon.
func await(t *testing.T, soon func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !soon(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}

// figure is a metric of the server, of the label value if there is one.
func (s *live) figure(name, label string) float64 {
	s.t.Helper()
	r := prometheus.NewRegistry()
	must(s.t, r.Register(s.Collector()))
	families, err := r.Gather()
	must(s.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	s.t.Fatalf("no metric %s %s", name, label)
	return 0
}
