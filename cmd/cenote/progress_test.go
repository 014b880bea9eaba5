package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// shared is a text that one writes and another reads.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the text.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String is the text so far.
func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestProgressOfTransfers holds that whoever waits for a transfer is told how far it is, and that nobody is afterwards.
func TestProgressOfTransfers(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{}) // until the end of the zone is sent
	let := sync.OnceFunc(func() { close(held) })
	primary := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { giveSlowly(w, q, held) })}
	go func() { _ = primary.ActivateAndServe() }()
	t.Cleanup(func() { let(); _ = primary.Shutdown() })
	dir := t.TempDir()
	s := startServer(t, dir, fmt.Sprintf(`
state: %s/state
listen: [{address: 127.0.0.1:0}]
upstreams: ['127.0.0.1:9']
zones: [{name: example, primaries: ['%v']}]
`, dir, l.Addr()))
	config := []string{"--config", filepath.Join(dir, "cenote.yaml")}
	ask := func(args ...string) string {
		var out, faults shared
		if status := runContext(context.Background(), append(args, config...), streams{strings.NewReader(""), &out, &faults}); status != 0 {
			t.Fatalf("%v: %s", args, faults.String())
		}
		return out.String()
	}
	s.wait("under way", func() bool {
		return strings.Contains(ask("zones"), "example: 2 records (0.0 MiB) of serial 7 so far from "+l.Addr().String())
	})
	if text := ask("zones", "--json"); !strings.Contains(text, `"records": 2`) {
		t.Errorf("no records in\n%s", text)
	}
	var out, told shared
	ended := make(chan int, 1)
	go func() {
		ended <- runContext(context.Background(), append([]string{"transfer", "example"}, config...), streams{strings.NewReader(""), &out, &told})
	}()
	s.wait("told by the command that waits", func() bool {
		return strings.Contains(told.String(), "example: 2 records (0.0 MiB) of serial 7 so far from ")
	})
	let()
	if status := <-ended; status != 0 || !strings.Contains(out.String(), "served") {
		t.Errorf("%d\n%s\n%s", status, out.String(), told.String())
	}
	if text := ask("zones", "--json"); strings.Contains(text, `"transfer"`) {
		t.Errorf("nothing is under way any more:\n%s", text)
	}
}

// giveSlowly answers questions about example as a primary that holds the end of the zone back.
func giveSlowly(w dns.ResponseWriter, q *dns.Msg, held <-chan struct{}) {
	records := []string{"example. 60 SOA ns host 7 7200 3600 1209600 60", "example. 60 NS ns.example.", "ns.example. 60 A 192.0.2.1"}
	send := func(lines ...string) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Authoritative = true
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	}
	if q.Question[0].Qtype == dns.TypeSOA {
		send(records[0])
		return
	}
	send(records[:2]...)
	<-held
	send(records[2], records[0])
}
