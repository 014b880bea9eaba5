package main

import (
	"encoding/base64"
	"path/filepath"
	"testing"

	"cenote/config"
	"cenote/dnstest"
	"cenote/zone"
)

// TestReadAgainIsTheSame holds that a zone which a configuration has taken by a key and by TLS is taken as before when all of it is read again, so that a reload
// has nobody asked, and another way with another secret.
func TestReadAgainIsTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dnstest.WriteCertificate(t, "hub.test", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	files := map[string]string{
		"secret": base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")),
		"cenote.yaml": `
state: state
keys: [{name: transfer.test, secret_file: secret}]
zones: [{name: example, primaries: [{address: 192.0.2.1, key: transfer.test, tls: hub.test, ca_file: cert.pem, pins: ['47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=']}]}]
`,
	}
	writeAll(t, dir, files)
	read := func() *zone.Secondary {
		t.Helper()
		c, _, err := config.Load(filepath.Join(dir, "cenote.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		keys, err := signingKeys(c)
		if err != nil {
			t.Fatal(err)
		}
		all, err := followedZones(c, keys)
		if err != nil {
			t.Fatal(err)
		}
		return &all[0]
	}
	before := read()
	if len(before.Primaries[0].Pins) != 1 || before.Primaries[0].TLS == nil || before.Primaries[0].Key == nil {
		t.Fatalf("%+v", before.Primaries)
	}
	if !read().IsAs(before) {
		t.Error("the same configuration takes the zone another way")
	}
	writeAll(t, dir, map[string]string{"secret": base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdeX"))})
	if read().IsAs(before) {
		t.Error("with another secret the zone is taken as before")
	}
}
