package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/config"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := write(t, "cenote.yaml", base+"state: state\n")
	c, warnings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	for _, tc := range []struct {
		key       string
		got, want config.Path
	}{
		{"state", c.State, config.Path(filepath.Join(dir, "state"))},
		{"api.socket", c.API.Socket, config.Path(filepath.Join(dir, "state", "cenote.sock"))},
		{"query_log.path", c.QueryLog.Path, config.Path(filepath.Join(dir, "state", "querylog", "queries.jsonl"))},
		{"feeds[0].path", c.Feeds[0].Path, config.Path(filepath.Join(dir, "malware.hosts"))},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.key, tc.got, tc.want)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].String(), "cannot be read now") {
		t.Errorf("got warnings %v, want one of the feed that is not there", warnings)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	for name, path := range map[string]string{"missing": "/nonexistent/cenote.yaml", "directory": t.TempDir()} {
		if _, _, err := config.Load(path); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestStateDirectory(t *testing.T) {
	for name, tc := range map[string]struct {
		env  map[string]string
		root bool
		want config.Path // "" for an error
	}{
		"systemd":          {map[string]string{"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}, false, "/var/lib/x"},
		"systemd as root":  {map[string]string{"STATE_DIRECTORY": "/var/lib/x"}, true, "/var/lib/x"},
		"root":             {map[string]string{"HOME": "/root"}, true, "/var/lib/cenote"},
		"desktop":          {map[string]string{"XDG_STATE_HOME": "/home/u/state", "HOME": "/home/u"}, false, "/home/u/state/cenote"},
		"home":             {map[string]string{"HOME": "/home/u"}, false, "/home/u/.local/state/cenote"},
		"relative desktop": {map[string]string{"XDG_STATE_HOME": "state", "HOME": "/home/u"}, false, "/home/u/.local/state/cenote"},
		"nowhere":          {nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := config.StateDir(func(key string) string { return tc.env[key] }, tc.root)
			if got != tc.want || (err != nil) != (tc.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestDefault(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/state")
	c, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Listen {
		if !l.Address.Addr().IsLoopback() || l.Address.Port() != 5354 || !l.UDP || !l.TCP {
			t.Errorf("got listener %+v, want loopback port 5354 with UDP and TCP", l)
		}
	}
	if !c.API.HTTP.Addr().IsLoopback() {
		t.Errorf("got HTTP on %v, want loopback", c.API.HTTP)
	}
	if got, want := c.Feeds[0].Path, config.Path("/state/feeds/starter.domains"); got != want {
		t.Errorf("got feed %s, want %s", got, want)
	}
	if len(c.Policy.Zones[0].Sinkhole.IPv4) == 0 || len(c.Policy.Zones[0].Sinkhole.IPv6) == 0 {
		t.Errorf("got zone %+v, want sinkhole addresses of both families", c.Policy.Zones[0])
	}
}

func TestStarterIsOurs(t *testing.T) {
	names := 0
	for line := range strings.Lines(string(config.Starter())) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		names++
		if !strings.HasSuffix(line, ".example") {
			t.Errorf("the starter feed lists %q, which is nobody's to try", line)
		}
	}
	if names == 0 {
		t.Error("the starter feed is empty")
	}
}

func TestSecrets(t *testing.T) {
	good := "# shared\n000102030405060708090a0b0c0d0e0f\n\nF00102030405060708090a0b0c0d0e0f # old\n"
	got, err := config.Cookies{SecretFile: config.Path(write(t, "s", good))}.Read()
	if err != nil || len(got) != 2 || got[0][15] != 0x0f || got[1][0] != 0xf0 {
		t.Errorf("got %x, %v, want two secrets", got, err)
	}
	if got, err := (config.Cookies{}).Read(); err != nil || got != nil {
		t.Errorf("without a file: got %x, %v, want none", got, err)
	}
	for name, text := range map[string]string{"short": "0001", "long": strings.Repeat("0", 34), "empty": "\n", "no hex": strings.Repeat("x", 32)} {
		if _, err := (config.Cookies{SecretFile: config.Path(write(t, "s", text))}).Read(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := (config.Cookies{SecretFile: "/nonexistent"}).Read(); err == nil {
		t.Error("missing file: got no error")
	}
}

func TestToken(t *testing.T) {
	if got, err := (config.API{TokenFile: config.Path(write(t, "t", "0123456789abcdef\n"))}).Token(); err != nil || got != "0123456789abcdef" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := (config.API{}).Token(); err != nil || got != "" {
		t.Errorf("without a file: got %q, %v, want none", got, err)
	}
	for name, text := range map[string]string{"short": "abc", "empty": "", "two words": "0123456789 abcdefghij"} {
		if _, err := (config.API{TokenFile: config.Path(write(t, "t", text))}).Token(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestFilesThatCannotBeUsed holds that a secret or a list that the server could not start with is a fault at its key, and that all of them are
// told together, also beside other faults, but not where the path itself could not be read.
func TestFilesThatCannotBeUsed(t *testing.T) {
	short := write(t, "token", "short")
	path := write(t, "cenote.yaml", base+"state: s\ncookies: {secret_file: none}\napi: {token_file: "+short+"}\ncompile: {suffix_list: none}\n")
	_, _, err := config.Load(path)
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatalf("got %v, want faults", err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d: %s | %s", f.Line, f.Text, f.Hint))
	}
	comparePart(t, got, []string{
		"10: cookies.secret_file: open " + filepath.Join(filepath.Dir(path), "none"), "11: api.token_file: " + short + " does not hold one word",
		"12: compile.suffix_list: open ",
	})

	path = write(t, "cenote.yaml", base+"state: s\ncookies: {secret_file: none}\napi: {token_file: [x]}\nlog: {level: warning}\nfeds: []\n")
	_, _, err = config.Load(path)
	faults, _ = errors.AsType[config.Faults](err)
	got = nil
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d: %s: %s", f.Line, f.Key, f.Text))
	}
	comparePart(t, got, []string{"10: cookies.secret_file: ", "11: api.token_file: ", "12: log.level: unknown word", "13: feds: unknown key"})
}

// TestServersThatNobodyVouchesFor holds that a file with certificates, or with servers and keys of the root, which the server could not start with is a fault at its
// key, and that those which nobody would read are none.
func TestServersThatNobodyVouchesFor(t *testing.T) {
	text := write(t, "ca.pem", "no certificate")
	faults := func(text string) (got []string) {
		t.Helper()
		_, _, err := config.Load(write(t, "cenote.yaml", text))
		faults, _ := errors.AsType[config.Faults](err)
		for _, f := range faults {
			got = append(got, fmt.Sprintf("%d: %s | %s", f.Line, f.Text, f.Hint))
		}
		return got
	}
	comparePart(t, faults(`
state: s
upstreams: [192.0.2.53]
resolver: {ca_file: none.pem}
zones:
  - name: corp.example
    primaries:
      - 192.0.2.1
      - {address: 192.0.2.2, tls: hub.example, ca_file: none.pem}
feeds: [{name: f, zone: rpz.example, primaries: [{address: 192.0.2.2, tls: hub.example, ca_file: `+text+`}]}]
recursion: {enabled: false, root_hints: none, validation: {trust_anchors: none}}
`), []string{
		"4: resolver.ca_file: open ", "9: zones[0].primaries[1].ca_file: open ",
		"10: feeds[0].primaries[0].ca_file: " + text + " holds no certificate as PEM | name the file with the certificate of whoever signed that of the server",
	})
	comparePart(t, faults("state: s\nrecursion:\n  enabled: true\n  root_hints: none\n  validation: {trust_anchors: none}\n"), []string{
		"4: recursion.root_hints: open ", "5: recursion.validation.trust_anchors: open ",
	})
	comparePart(t, faults("state: s\nrecursion:\n  enabled: true\n  validation: {enabled: false, trust_anchors: none}\n"), nil)
}

func TestSecretsForEverybody(t *testing.T) {
	token := write(t, "token", "0123456789abcdef")
	if err := os.Chmod(token, 0o644); err != nil {
		t.Fatal(err)
	}
	path := write(t, "cenote.yaml", base+"state: s\napi: {token_file: "+token+"}\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "malware.hosts"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := config.Load(path)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].Text, "can be read by everybody") {
		t.Errorf("got %v, %v, want a warning of the token", warnings, err)
	}
}
