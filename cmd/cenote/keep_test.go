package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cenote/config"
	"cenote/dnsname"
	"cenote/rrcache"

	"github.com/miekg/dns"
)

// loaded reads a configuration.
func loaded(t *testing.T, text string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cacheOnly is a server that has a cache, and nothing else.
func cacheOnly(t *testing.T, state, text string) *server {
	t.Helper()
	c := loaded(t, "state: "+state+"\n"+text)
	s := &server{options: options{log: slog.New(slog.DiscardHandler)}}
	s.config.Store(c)
	if err := s.openCache(c); err != nil {
		t.Fatal(err)
	}
	if err := s.openResolver(c); err != nil {
		t.Fatal(err)
	}
	return s
}

const keeping = "cache: {keep: true, size: 1MiB}\nupstreams: [192.0.2.53]\n"

// putAnswer puts an answer into the cache.
func putAnswer(t *testing.T, s *server) {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.example.", dns.TypeA)
	m.Response = true
	rr, err := dns.NewRR("www.example. 300 IN A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	m.Answer = []dns.RR{rr}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	key := rrcache.Key{Name: []byte(dnsname.MustParse("www.example")), Type: dns.TypeA, Class: dns.ClassINET}
	if !s.cache.Put(&key, packet, time.Now().UnixNano()) {
		t.Fatal("the answer is not put")
	}
}

// TestKeptAnswersThatCannotBeRead are passed over: damaged ones, those of an older form, and those of other upstreams. Whatever it is, the file goes.
func TestKeptAnswersThatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		harm   func([]byte) []byte
		config string
		kept   int
	}{
		{"whole", func(b []byte) []byte { return b }, keeping, 1},
		{"damaged", func(b []byte) []byte { b[len(b)-30] ^= 1; return b }, keeping, 0},
		{"cut", func(b []byte) []byte { return b[:len(b)/2] }, keeping, 0},
		{"older", func(b []byte) []byte { return []byte(strings.Replace(string(b), "-2\n", "-1\n", 1)) }, keeping, 0},
		{"empty", func([]byte) []byte { return nil }, keeping, 0},
		{"of another upstream", func(b []byte) []byte { return b }, strings.Replace(keeping, ".53", ".54", 1), 0},
	} {
		state := t.TempDir()
		before := cacheOnly(t, state, keeping)
		putAnswer(t, before)
		before.keeper.save()
		path := before.keeper.path
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, c.harm(text), 0o600); err != nil {
			t.Fatal(err)
		}
		after := cacheOnly(t, state, c.config)
		after.keeper.load(t.Context())
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: the file is still there: %v", c.name, err)
		}
		if got := after.cache.Stats().Entries; got != c.kept {
			t.Errorf("%s: %d answers are kept, want %d", c.name, got, c.kept)
		}
	}
}

// TestStopWhileAnswersAreRead leaves the file as it is: what was not read is in it alone.
func TestStopWhileAnswersAreRead(t *testing.T) {
	state := t.TempDir()
	before := cacheOnly(t, state, keeping)
	putAnswer(t, before)
	before.keeper.save()
	after := cacheOnly(t, state, keeping)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	after.keeper.load(ctx)
	after.keeper.save()
	last := cacheOnly(t, state, keeping)
	last.keeper.load(t.Context())
	if a, b := after.cache.Stats().Entries, last.cache.Stats().Entries; a != 0 || b != 1 {
		t.Errorf("%d answers are read by whom is stopped, and %d by the next; want 0 and 1", a, b)
	}
}

// TestKeepingIsOffByDefault: answers say what clients asked for, and are written down only where somebody wants it.
func TestKeepingIsOffByDefault(t *testing.T) {
	s := cacheOnly(t, t.TempDir(), strings.Replace(keeping, "keep: true, ", "", 1))
	putAnswer(t, s)
	s.keeper.save()
	if _, err := os.Stat(s.keeper.path); !os.IsNotExist(err) {
		t.Errorf("the answers are kept: %v", err)
	}
}

// TestFlushTakesWhatWasKept: neither the file nor what is still to be read of it brings back what was flushed.
func TestFlushTakesWhatWasKept(t *testing.T) {
	s := cacheOnly(t, t.TempDir(), keeping)
	putAnswer(t, s)
	s.keeper.save()
	stopped := false
	s.keeper.begin(func() { stopped = true })
	s.keeper.forget()
	if _, err := os.Stat(s.keeper.path); !stopped || !os.IsNotExist(err) {
		t.Errorf("reading is stopped: %v, the file: %v", stopped, err)
	}
}

// basisOf is that of a configuration and the files that it names.
func basisOf(t *testing.T, text string) string {
	t.Helper()
	asking, err := resolverConfig(loaded(t, "state: /tmp\n"+text), nil, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return asking.Basis
}

// TestBasisTellsApart what answers come from; what says nothing about that changes nothing.
func TestBasisTellsApart(t *testing.T) {
	load := func(text string) string { return basisOf(t, text) }
	plain := load("upstreams: [192.0.2.1]\n")
	if plain != load("upstreams: [192.0.2.1]\ncache: {size: 2MiB}\nlisten: [127.0.0.1:5399]\n") {
		t.Error("another size of the cache is another basis")
	}
	if load("upstreams: [192.0.2.1, 192.0.2.2]\n") != load("upstreams: [192.0.2.2, 192.0.2.1]\n") {
		t.Error("another order of the upstreams is another basis")
	}
	root := load("recursion: {enabled: true}\n")
	for _, own := range []string{"forward: [{name: a.example, upstreams: [192.0.2.3]}]", "stub: [{name: a.example, servers: [192.0.2.3]}]", "validation: {negative_anchors: [{name: a.example}]}", "minimise: false", "ipv6: false"} {
		if load("recursion: {enabled: true, "+own+"}\n") != root {
			t.Errorf("%s changes the basis of all names", own)
		}
	}
	seen := map[string]string{plain: "plain"}
	for _, text := range []string{
		"upstreams: [192.0.2.2]\n", "upstreams: [{address: 192.0.2.1, trusted: true}]\n", "recursion: {enabled: true}\n",
		"recursion: {enabled: true, validation: {enabled: false}}\n", "recursion: {enabled: true, port: 5353}\n",
	} {
		if same, ok := seen[load(text)]; ok {
			t.Errorf("%q has the same basis as %q", text, same)
		}
		seen[load(text)] = text
	}
}

// TestBasisIsWhatFilesSay: other servers of the root, or other trust anchors, in the same file are another basis; the same ones in another file are not.
func TestBasisIsWhatFilesSay(t *testing.T) {
	for _, c := range []struct{ key, before, after string }{
		{"root_hints: %s", ". 3600 NS a.example.\na.example. 3600 A 192.0.2.1\n", ". 3600 NS a.example.\na.example. 3600 A 192.0.2.2\n"},
		{"validation: {trust_anchors: %s}", ". DS 1 13 2 " + strings.Repeat("00", 32), ". DS 1 13 2 " + strings.Repeat("01", 32)},
	} {
		dir := t.TempDir()
		write := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return basisOf(t, "recursion: {enabled: true, "+fmt.Sprintf(c.key, path)+"}\n")
		}
		first := write("one", c.before)
		if write("two", c.before) != first {
			t.Errorf(c.key+": the basis is another one", "the same in another file")
		}
		if write("one", "; a comment\n"+c.before) != first {
			t.Errorf(c.key+": the basis is another one", "the same with a comment")
		}
		if write("one", c.after) == first {
			t.Errorf(c.key+": the basis is the same", "another text in the same file")
		}
	}
}
