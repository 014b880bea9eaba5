package main

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestPinnedPrimary takes a zone from another Cenote by the pin of its key alone, and none from one with another key, whose pin is told.
func TestPinnedPrimary(t *testing.T) {
	t.Parallel()
	from, dir := startTLSServer(t, ""), t.TempDir()
	text, err := os.ReadFile(from.cert)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	pin := base64.StdEncoding.EncodeToString(sum[:])
	taken := func(pins string) *running {
		return startServer(t, dir, fmt.Sprintf(`
state: %s/state%d
listen: [{address: 127.0.0.1:0}]
upstreams: ['127.0.0.1:9']
zones: [{name: example, primaries: [{address: '127.0.0.1:%d', pins: [%s]}]}]
`, dir, len(pins), from.port, pins))
	}
	other := "'" + strings.Repeat("A", 43) + "='"
	s := taken(other + ", '" + pin + "'")
	s.wait("taken", func() bool { return serialOf(s.addr()) == from.zone.serial })
	s = taken(other)
	s.wait("refused", func() bool { return strings.Contains(s.zones.Status()[0].Fault, "its key is not pinned: "+pin) })
}
