package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cenote/config"
	"cenote/dnstest"

	"github.com/miekg/dns"
)

// keeping is the configuration of a server that keeps its answers, and asks an upstream.
func keeping(upstream *dnstest.Server) string {
	return quiet + "\ncache: {keep: true}\nupstreams: [{address: " + upstream.Addr().String() + "}]\n"
}

// TestKeptAnswersThatCannotBeRead are passed over: damaged ones, those of an older form, and those of other upstreams. The server starts as ever.
func TestKeptAnswersThatCannotBeRead(t *testing.T) {
	up, other := dnstest.Start(t, "www.example. 300 IN A 192.0.2.1\n"), dnstest.Start(t, "www.example. 300 IN A 192.0.2.2\n")
	for _, c := range []struct {
		name   string
		harm   func([]byte) []byte
		config string
		kept   int
	}{
		{"whole", func(b []byte) []byte { return b }, keeping(up), 1},
		{"damaged", func(b []byte) []byte { b[len(b)-30] ^= 1; return b }, keeping(up), 0},
		{"cut", func(b []byte) []byte { return b[:len(b)/2] }, keeping(up), 0},
		{"older", func(b []byte) []byte { return []byte(strings.Replace(string(b), "-1\n", "-0\n", 1)) }, keeping(up), 0},
		{"empty", func([]byte) []byte { return nil }, keeping(up), 0},
		{"of another upstream", func(b []byte) []byte { return b }, keeping(other), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := startServer(t, dir, keeping(up))
			r.ask("udp", "www.example.", dns.TypeA)
			path := r.keeper.path
			r.stop()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.harm(text), 0o600); err != nil {
				t.Fatal(err)
			}
			after := startServer(t, dir, c.config)
			after.wait("the file is read", func() bool { _, err := os.Stat(path); return os.IsNotExist(err) })
			if got := after.cache.Stats().Entries; got != c.kept {
				t.Errorf("%d answers are kept, want %d", got, c.kept)
			}
		})
	}
}

// TestKeepingIsOffByDefault: answers say what clients asked for, and are written down only where somebody wants it.
func TestKeepingIsOffByDefault(t *testing.T) {
	up := dnstest.Start(t, "www.example. 300 IN A 192.0.2.1\n")
	dir := t.TempDir()
	r := startServer(t, dir, strings.Replace(keeping(up), "cache: {keep: true}", "", 1))
	r.ask("udp", "www.example.", dns.TypeA)
	r.stop()
	if _, err := os.Stat(r.keeper.path); !os.IsNotExist(err) {
		t.Errorf("the answers are kept: %v", err)
	}
}

// TestFlushTakesWhatWasKept: neither the file nor what is still to be read of it brings back what was flushed.
func TestFlushTakesWhatWasKept(t *testing.T) {
	up := dnstest.Start(t, "www.example. 300 IN A 192.0.2.1\n")
	r := startServer(t, t.TempDir(), keeping(up))
	stopped := false
	r.keeper.begin(func() { stopped = true })
	if err := os.MkdirAll(filepath.Dir(r.keeper.path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.keeper.path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.keeper.forget()
	if _, err := os.Stat(r.keeper.path); !stopped || !os.IsNotExist(err) {
		t.Errorf("reading is stopped: %v, the file: %v", stopped, err)
	}
}

// TestSourceTellsApart what answers come from; what says nothing about that changes nothing.
func TestSourceTellsApart(t *testing.T) {
	load := func(text string) string {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte("state: /tmp\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := config.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return source(c)
	}
	plain := load("upstreams: [192.0.2.1]\n")
	if plain != load("upstreams: [192.0.2.1]\ncache: {size: 2MiB}\nlisten: [127.0.0.1:5399]\n") {
		t.Error("another size of the cache is another source")
	}
	seen := map[string]string{plain: "plain"}
	for _, text := range []string{
		"upstreams: [192.0.2.2]\n", "upstreams: [{address: 192.0.2.1, trusted: true}]\n", "recursion: {enabled: true}\n",
		"recursion: {enabled: true, validation: {enabled: false}}\n", "recursion: {enabled: true, forward: [{name: a.example, upstreams: [192.0.2.3]}]}\n",
		"recursion: {enabled: true, validation: {negative_anchors: [{name: a.example}]}}\n",
	} {
		if same, ok := seen[load(text)]; ok {
			t.Errorf("%q is the same source as %q", text, same)
		}
		seen[load(text)] = text
	}
}
