package resolver_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cenote/resolver"
)

// TestOutageAboveKeepsStaleAnswers: where it cannot be found out whether a zone is signed, since nobody above it can be reached, an answer that stood up before
// is served past its time. It is no verdict about what the zone says now.
func TestOutageAboveKeepsStaleAnswers(t *testing.T) {
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		    example.test.    86400 NS ns.example.test.
		    ns.example.test. 86400 A @3
		zone example.test    server ns.example.test @3 sign
		    www              60 A  192.0.2.1
	`, func(c *resolver.Config) { c.Now = now })
	r.tree.SetClock(now)
	if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Fatal(got)
	}
	r.tree.Kill("@1")
	r.tree.Kill("@2")
	offset.Store(int64(2 * time.Hour))
	for range 2 {
		if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "192.0.2.1") {
			t.Error(got)
		}
	}
}

// TestOutageIsNoVerdict: that the keys of a zone could not be had while its servers were away is not held against it once they are back.
func TestOutageIsNoVerdict(t *testing.T) {
	clock := newClock()
	r := trusting(t, signedInternet+"! @7 * type=DNSKEY drop\n", func(c *resolver.Config) {
		c.Now, c.Timeouts.Attempt, c.Timeouts.Total = clock.now, 20*time.Millisecond, 400*time.Millisecond
	})
	r.tree.SetClock(clock.now)
	if got := r.ask(t, "ok.bad.test", "A"); !strings.HasPrefix(got, "error") {
		t.Fatal(got)
	}
	if err := r.tree.Mend(); err != nil {
		t.Fatal(err)
	}
	r.config.Timeouts = slowMachine // for what is to succeed
	if err := r.Update(r.config); err != nil {
		t.Fatal(err)
	}
	clock.advance(3 * time.Second)
	if got := r.ask(t, "ok.bad.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Errorf("three seconds after an outage: %s", got)
	}
}
