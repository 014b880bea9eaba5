package zone_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/dnstest"
	"cenote/zone"
)

// certify makes a certificate for a name that vouches for itself, in two files.
func certify(t *testing.T, name, cert, key string) *x509.CertPool {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, cert, string(text))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// TestTransferByTLSJudge takes a zone from named by TLS (RFC 9103), signed beside, and from nobody whose certificate is not as it should be.
func TestTransferByTLSJudge(t *testing.T) {
	named, plain, secure, dir := program(t, "named"), dnstest.FreePort(t), dnstest.FreePort(t), t.TempDir()
	roots := certify(t, "primary.example", filepath.Join(dir, "cert"), filepath.Join(dir, "key"))
	pin, other := pinOf(t, filepath.Join(dir, "cert")), zone.Pin{1, 2, 3}
	others := certify(t, "primary.example", filepath.Join(dir, "cert2"), filepath.Join(dir, "key2"))
	write(t, filepath.Join(dir, "zone"), "$TTL 300\n@ SOA ns host 7 3600 600 86400 120\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.80\n")
	write(t, filepath.Join(dir, "named.conf"), fmt.Sprintf(`key "key.example" { algorithm hmac-sha256; secret %[4]q; };
tls own { cert-file %[5]q; key-file %[6]q; };
controls { };
options { directory %[1]q; pid-file none; session-keyfile none; listen-on port %[2]d { 127.0.0.1; }; listen-on port %[3]d tls own { 127.0.0.1; }; listen-on-v6 { none; };
 recursion no; notify no; dnssec-validation no; };
zone "example" { type primary; file "zone"; allow-transfer port %[3]d transport tls { key "key.example"; }; };
`, dir, plain.Port(), secure.Port(), secretText(), filepath.Join(dir, "cert"), filepath.Join(dir, "key")))
	startPeer(t, plain, named, "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf"))
	apex := dnsname.MustParse("example")
	for _, tc := range []struct {
		name string
		addr netip.AddrPort
		tls  *tls.Config
		pins []zone.Pin
		want string // of the error
	}{
		{"as it should be", secure, &tls.Config{ServerName: "primary.example", RootCAs: roots}, nil, ""},
		{"for another name", secure, &tls.Config{ServerName: "other.example", RootCAs: roots}, nil, "not other.example"},
		{"vouched for by nobody", secure, &tls.Config{ServerName: "primary.example", RootCAs: others}, nil, "certificate signed by unknown authority"},
		{"a key that is pinned", secure, &tls.Config{}, []zone.Pin{other, pin}, ""},
		{"a key that is pinned, for its name", secure, &tls.Config{ServerName: "primary.example", RootCAs: roots}, []zone.Pin{pin}, ""},
		{"a key that is not pinned", secure, &tls.Config{}, []zone.Pin{other}, "its key is not pinned: " + pin.String()},
		{"a key that is not pinned, for its name", secure, &tls.Config{ServerName: "primary.example", RootCAs: roots}, []zone.Pin{other}, "its key is not pinned"},
		{"a key that is pinned, for another name", secure, &tls.Config{ServerName: "other.example", RootCAs: roots}, []zone.Pin{pin}, "not other.example"},
		{"a key that is pinned, vouched for by nobody", secure, &tls.Config{ServerName: "primary.example", RootCAs: others}, []zone.Pin{pin}, "certificate signed by unknown authority"},
		{"no TLS here", secure, nil, nil, "ended it before it was whole"},
		{"the zone is for those who come by TLS", plain, nil, nil, "REFUSED"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.tls != nil {
				tc.tls.MinVersion, tc.tls.NextProtos = tls.VersionTLS13, []string{"dot"}
			}
			k, err := zone.NewKeeper(zone.KeeperConfig{Sources: []zone.Source{{Name: apex, Origin: "primary"}}, Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			all := zone.NewSecondaries(k, []zone.Secondary{{Name: apex, Primaries: []zone.Primary{{Addr: tc.addr, Key: &transferKey, TLS: tc.tls, Pins: tc.pins}}, Bounds: transferBounds}})
			for range 5 { // a loaded machine may need longer than TLS may take
				if err = all.Look(t.Context(), apex); !errors.Is(err, context.DeadlineExceeded) {
					break
				}
			}
			switch {
			case tc.want == "" && (err != nil || k.Status()[0].Serial != 7):
				t.Errorf("%v, %+v", err, k.Status()[0])
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// pinOf is the pin of the certificate in a file, as openssl tells it.
func pinOf(t *testing.T, file string) zone.Pin {
	t.Helper()
	openssl := program(t, "openssl")
	out, err := exec.Command("/bin/sh", "-c", openssl+" x509 -in "+file+" -pubkey -noout | "+openssl+" pkey -pubin -outform der | "+openssl+" dgst -sha256 -binary | "+openssl+" base64").Output()
	if err != nil {
		t.Fatal(err)
	}
	pin, err := zone.ParsePin(strings.TrimSpace(string(out)))
	if err != nil || pin.String() != strings.TrimSpace(string(out)) {
		t.Fatal(err, pin)
	}
	return pin
}

// TestPinsAreRead holds that what is no pin is refused.
func TestPinsAreRead(t *testing.T) {
	for _, text := range []string{"", "AAAA", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF==", "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", strings.Repeat("A", 88)} {
		if pin, err := zone.ParsePin(text); err == nil {
			t.Errorf("%q is %v", text, pin)
		}
	}
}
