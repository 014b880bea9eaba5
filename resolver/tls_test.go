package resolver_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// tlsFront takes queries by TLS and hands them to a server by TCP.
type tlsFront struct {
	addr    netip.AddrPort
	roots   *x509.CertPool
	lengths atomic.Int64 // of the last query
	conns   atomic.Int64
}

// startTLSFront starts one whose certificate is for name.
func startTLSFront(t *testing.T, name string, behind netip.AddrPort) *tlsFront {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	f := &tlsFront{roots: x509.NewCertPool()}
	f.roots.AddCert(cert)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().(*net.TCPAddr).AddrPort()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.accept(l, behind)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return f
}

func (f *tlsFront) accept(l net.Listener, behind netip.AddrPort) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		f.conns.Add(1)
		go f.serve(conn, behind)
	}
}

func (f *tlsFront) serve(conn net.Conn, behind netip.AddrPort) {
	defer conn.Close()
	back, err := net.Dial("tcp", behind.String())
	if err != nil {
		return
	}
	defer back.Close()
	in, out := bufio.NewReader(conn), bufio.NewReader(back)
	for {
		n, err := pass(in, back)
		if err != nil {
			return
		}
		f.lengths.Store(int64(n))
		if _, err := pass(out, conn); err != nil {
			return
		}
	}
}

// pass hands on one message with its length before it.
func pass(from io.Reader, to io.Writer) (int, error) {
	var size [2]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return 0, err
	}
	msg := make([]byte, 2+int(binary.BigEndian.Uint16(size[:])))
	copy(msg, size[:])
	if _, err := io.ReadFull(from, msg[2:]); err != nil {
		return 0, err
	}
	_, err := to.Write(msg)
	return len(msg) - 2, err
}

func TestUpstreamByTLS(t *testing.T) {
	behind := dnstest.Start(t, internet)
	front := startTLSFront(t, "dns.example", behind.Addr())
	with := func(name string, roots *x509.CertPool) *fixture {
		return start(t, func(c *resolver.Config) {
			c.Upstreams = []resolver.Upstream{{Addr: front.addr, TLS: name}}
			c.Roots = roots
		})
	}
	f := with("dns.example", front.roots)
	f.want("www.example", dns.TypeA, "NOERROR A:192.0.2.1")
	f.want("alias.example", dns.TypeA, "NOERROR CNAME:www.example. A:192.0.2.1")
	if n := front.lengths.Load(); n%128 != 0 || n == 0 {
		t.Errorf("a query of %d octets: its length tells of the name", n)
	}
	if n := front.conns.Load(); n != 1 {
		t.Errorf("%d connections for two questions, one after the other", n)
	}
	for _, q := range behind.Queries() {
		if !q.TCP {
			t.Error("a query went in the clear")
		}
	}
	before := len(behind.Queries())
	for what, f := range map[string]*fixture{"another name": with("other.example", front.roots), "an unknown authority": with("dns.example", x509.NewCertPool())} {
		if _, err := f.resolve(keyOf("www.example", dns.TypeA)); !errors.Is(err, resolver.ErrFailed) {
			t.Errorf("%s: %v, want no answer", what, err)
		}
	}
	if n := len(behind.Queries()); n != before {
		t.Errorf("%d queries got through to a server that is not who it should be", n-before)
	}
}
