package zone_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/dnsname"
	"cenote/zone"
)

// TestStateOfSigningRefuses wants clear words for what is no state of signing.
func TestStateOfSigningRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"no key", `{"keys": [null]}`, "key 1 is none"},
		{"no role", `{"keys": [{"algorithm": 13}]}`, `role ""`},
		{"another role", `{"keys": [{"role": "owner"}]}`, `role "owner"`},
		{"another shape", `[]`, "cannot unmarshal"},
		{"a tag that is none", `{"keys": [{"role": "csk", "tag": 65536}]}`, "cannot unmarshal"},
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "example"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "example", "state.json"), tc.text)
		if _, err := zone.NewSigned(dnsname.MustParse("example"), dir, zone.Signing{}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// FuzzKeys reads the state of signing and the file of a key: what is taken can sign at any time, and what is not is an error.
func FuzzKeys(f *testing.F) {
	for _, way := range ways() {
		dir := f.TempDir()
		s := beginSigning(f, "example", dir, way)
		sign(f, s, load(f, "example", sample), nil, now)
		state, err := os.ReadFile(filepath.Join(dir, "example", "state.json"))
		if err != nil {
			f.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "example", "*.private"))
		for _, path := range files {
			private, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(state), string(private), now.Unix())
		}
	}
	f.Add(`{"keys": [null]}`, "", int64(0))
	f.Add(fmt.Sprintf(`{"keys": [{"role": "zsk", "algorithm": 15, "tag": 1, "publish": %q}]}`, "0001-01-01T00:00:00Z"), "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\nPrivateKey: AAAA\n", int64(1<<40))
	f.Fuzz(func(t *testing.T, state, private string, at int64) {
		_, _ = zone.ReadKeys([]byte(state), []byte(private), dnsname.MustParse("example"), time.Unix(at, 0))
	})
}
