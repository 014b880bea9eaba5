package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/api"
	"cenote/blocklist"
	"cenote/dnstest"

	"github.com/miekg/dns"
)

// memoryMax is how much more memory the server may take while a list server does its worst; listMax is how large a list may be.
var memoryMax, listMax = hostileBounds()

func hostileBounds() (memory uint64, list int) {
	if raceEnabled { // which makes slow work of many octets
		return 64 << 20, 8 << 20
	}
	return 128 << 20, 64 << 20
}

// TestHostileListServer runs the whole server with a list of listMax octets at most from a server that does its worst: listed names are answered with the sinkhole
// all the time, memory stays within its bound, the operator sees each fault, and a good list is taken again.
func TestHostileListServer(t *testing.T) {
	var handle atomic.Pointer[http.HandlerFunc]
	does := func(f http.HandlerFunc) { handle.Store(&f) }
	lists := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*handle.Load())(w, r) }))
	lists.Config.ErrorLog = log.New(io.Discard, "", 0)
	lists.Start()
	t.Cleanup(lists.Close)
	good := func(more string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "listed.example\nsecond.example\n"+more)
		}
	}
	does(good(""))
	within := func(timeout string) string {
		return fmt.Sprintf(`
state: state
listen: [{address: 127.0.0.1:0}]
compile: {poll: 100ms, debounce: 20ms}
feeds:
  - {name: threats, url: "%s/pathkey0/threats.domains", allow_private: [127.0.0.1], timeout: %s, limits: {size: %dMiB}}
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [threats]}]}
`, lists.URL, timeout, listMax>>20)
	}
	dir := t.TempDir()
	s := startServer(t, dir, within("5m"))
	s.sinkholes("listed.example.")
	before := memoryInUse()
	for name, tc := range hostileLists(t) {
		does(tc.handle)
		if name == "drip" { // which alone is to come to its time, on the slowest of machines
			writeAll(t, dir, map[string]string{"cenote.yaml": within("1s")})
		}
		worst := watchMemory(t, func() {
			answer, err := s.Reload(t.Context(), api.ReloadRequest{Feeds: []string{"threats"}})
			if err != nil || len(answer.Feeds) != 1 || answer.Feeds[0].Failure == nil || !strings.Contains(answer.Feeds[0].Failure.Text, tc.says) {
				t.Errorf("%s: reload: %+v, %v; want %q", name, answer.Feeds, err, tc.says)
			}
		})
		s.sinkholes("listed.example.")
		if worst > before+memoryMax {
			t.Errorf("%s: memory grew from %d to %d octets", name, before, worst)
		}
		status := s.FeedStatus().Feeds[0]
		asJSON, err := json.Marshal(status)
		if err != nil || status.State != blocklist.FeedKept || !strings.Contains(status.Error, tc.says) || strings.Contains(string(asJSON), "pathkey0") {
			t.Errorf("%s: status %s, want kept, %q and no key", name, asJSON, tc.says)
		}
		does(good(name + ".example\n"))
		writeAll(t, dir, map[string]string{"cenote.yaml": within("5m")})
		if answer, err := s.Reload(t.Context(), api.ReloadRequest{Feeds: []string{"threats"}}); err != nil || len(answer.Feeds) != 1 || answer.Feeds[0].Failure != nil {
			t.Errorf("%s: when it is good again: %+v, %v", name, answer.Feeds, err)
		}
		s.sinkholes(name + ".example.")
	}
}

// sinkholes asks for a name and wants the sinkhole.
func (r *running) sinkholes(name string) {
	r.t.Helper()
	if reply, text := r.ask("udp", name, dns.TypeA); reply == nil || !strings.Contains(text, "192.0.2.53") {
		r.t.Errorf("%s is answered %q, want the sinkhole", name, text)
	}
}

type hostileList struct {
	handle http.HandlerFunc
	says   string
}

// hostileLists are the ways of a list server to do harm.
func hostileLists(t *testing.T) map[string]hostileList {
	t.Helper()
	var bomb bytes.Buffer
	z, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(z, zeros{}, int64(2*memoryMax)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	tooLarge := fmt.Sprintf("larger than the limit of %d octets", listMax)
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	return map[string]hostileList{
		"endless": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, zeros{}) }, tooLarge},
		"bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, tooLarge},
		"list-bomb": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bomb.Bytes()) }, "it is not text"},
		"drip":      {drip, "it is not done after 1s"},
		"metadata":  {redirect("http://169.254.169.254/latest/meta-data/"), "169.254.169.254 is a link-local address"},
		"loopback":  {redirect("http://127.0.0.2:80/"), "127.0.0.2 is a loopback address"},
		"length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, "listed.example\n")
		}, "the connection ended before the list did"},
		"page":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!DOCTYPE html>") }, "it is a web page"},
		"fault": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "the server answers 502 Bad Gateway"},
	}
}

// drip gives an octet now and then, without end.
func drip(w http.ResponseWriter, r *http.Request) {
	for {
		_, err := io.WriteString(w, "l")
		if err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// zeros is an endless source.
type zeros struct{}

// Read gives as much as is wanted.
func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// memoryInUse is what Go has from the system and has not given back.
func memoryInUse() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// watchMemory is the most memory in use while work is done.
func watchMemory(t *testing.T, work func()) (most uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			most = max(most, memoryInUse())
			time.Sleep(2 * time.Millisecond)
		}
	}()
	work()
	cancel()
	<-ended
	return most
}

// TestCheckAsksNoServer: check looks at how a list is to be fetched, and asks nobody for it; nor does compile.
func TestCheckAsksNoServer(t *testing.T) {
	var asked atomic.Int64
	lists := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(lists.Close)
	dir := t.TempDir()
	writeAll(t, dir, map[string]string{
		"good": "Auth-Key: HEADERSECRET\n", "bad": "HEADERSECRET\n",
		"cenote.yaml": fmt.Sprintf(`
state: state
listen: [{address: 127.0.0.1:0}]
feeds:
  - {name: sound, url: "%[1]s/URLSECRET/a.domains", allow_private: [127.0.0.1], auth_header_file: good}
  - {name: unsound, url: "%[1]s/URLSECRET/b.domains", allow_private: [127.0.0.1], auth_header_file: bad}
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [sound, unsound]}]}
`, lists.URL)})
	command := func(args ...string) string {
		var out bytes.Buffer
		args = append(args, "--config", filepath.Join(dir, "cenote.yaml"))
		if code := runContext(t.Context(), args, streams{strings.NewReader(""), &out, &out}); code != 1 {
			t.Errorf("%v: exit status %d, want 1", args, code)
		}
		return out.String()
	}
	text := command("check")
	for _, want := range []string{
		"sound: " + lists.URL + "/…/a.domains is fetched by the server, and there is no list of it here yet\n",
		"unsound: auth_header_file: " + filepath.Join(dir, "bad") + ": it does not hold one line",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	var answer struct {
		Feeds []struct {
			Name, Unfetched, Error string
			Report                 *blocklist.Report
		}
	}
	asJSON := command("check", "--json")
	if err := json.Unmarshal([]byte(asJSON), &answer); err != nil || len(answer.Feeds) != 2 || answer.Feeds[0].Unfetched != lists.URL+"/…/a.domains" || answer.Feeds[0].Report != nil {
		t.Errorf("as JSON: %v in\n%s", err, asJSON)
	}
	compiled := command("compile", "--output", filepath.Join(dir, "x.index"))
	if !strings.Contains(compiled, "/…/a.domains: it has not been fetched yet") {
		t.Errorf("compile says:\n%s", compiled)
	}
	if all := text + asJSON + compiled; strings.Contains(all, "SECRET") || asked.Load() > 0 {
		t.Errorf("the server was asked %d times, or a key is shown:\n%s", asked.Load(), all)
	}
}

// TestStartWithoutItsLists: a first start whose list server is away is ready all the same, and the operator sees why nothing is listed.
func TestStartWithoutItsLists(t *testing.T) {
	away := dnstest.FreePort(t)
	s := startServer(t, t.TempDir(), fmt.Sprintf(`
state: state
listen: [{address: 127.0.0.1:0}]
feeds: [{name: threats, url: "http://%s/threats.domains", allow_private: [127.0.0.1]}]
policy: {sinkhole: {ipv4: [192.0.2.53]}, zones: [{name: block, feeds: [threats]}]}
`, away))
	status := s.FeedStatus().Feeds[0]
	if status.State != blocklist.FeedFailed || !strings.Contains(status.Error, "connection refused") || status.Fetch.Failures == 0 ||
		time.Until(status.Fetch.NextAttempt) > time.Minute {
		t.Errorf("status %+v, fetch %+v; want failed, to be tried again soon", status, status.Fetch)
	}
}
