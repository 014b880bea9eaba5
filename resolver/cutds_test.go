package resolver_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cenote/dnstest"
	"cenote/resolver"

	"github.com/miekg/dns"
)

// TestDelegationSignerEndsWithItsTTL: DS records that came with a delegation are asked for anew when their own TTL is over, though the delegation goes on.
func TestDelegationSignerEndsWithItsTTL(t *testing.T) {
	text := func(ttl, words string) string {
		return `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		    example.test.    86400 NS ns.example.test.
		    ns.example.test. 86400 A @3
		zone example.test    server ns.example.test @3 ` + words + `
		    a                60 A     192.0.2.1
		    b                60 A     192.0.2.2
	`
	}
	var offset atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	r := trusting(t, text("", "sign"), func(c *resolver.Config) { c.Now = now })
	r.tree.SetClock(now)
	if got := r.ask(t, "a.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Fatal(got)
	}
	if err := r.tree.Update(text("", "sign alg=15")); err != nil { // all keys are others
		t.Fatal(err)
	}
	offset.Store(int64(2 * time.Hour))
	if got := r.ask(t, "b.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Errorf("after the keys were changed and their TTL was over: %s", got)
	}
}

// TestDelegationSignerIsAskedForWhereItIsWrong: DS records that came with a delegation and do not stand up are asked for once more: the server that sent them may
// be the only one of its zone whose signatures are too old.
func TestDelegationSignerIsAskedForWhereItIsWrong(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    www              A     192.0.2.1
	`)
	r.tree.Hook("@2", func(q dnstest.Query, right *dns.Msg) *dns.Msg {
		for _, rr := range right.Ns {
			if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == dns.TypeDS {
				sig.Expiration = sig.Inception + 1
			}
		}
		return right
	})
	if got := r.ask(t, "www.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Error(got)
	}
}

// TestDelegationsAreReadByMany: questions at the same time check what one delegation brought.
func TestDelegationsAreReadByMany(t *testing.T) {
	r := trusting(t, `
		zone .               server a.root.test @1 sign
		zone test            server ns.nic.test @2 sign
		zone example.test    server ns.example.test @3 sign
		    *                A     192.0.2.1
		! @3 example.test delay=20ms type=DNSKEY
	`)
	r.ask(t, "www.example.test", "A", "cd", "do")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if got := r.ask(t, fmt.Sprintf("n%d.example.test", i), "A"); !strings.HasPrefix(got, "NOERROR AD") {
				t.Error(got)
			}
		})
	}
	all.Wait()
}

// TestQuestionsWithoutSignaturesLearnDS: what a referral says of DS is learnt by a question that is not validated, too, and is not asked for by the next.
func TestQuestionsWithoutSignaturesLearnDS(t *testing.T) {
	r := trusting(t, signedInternet)
	r.ask(t, "www.example.test", "A", "cd")
	if got := r.ask(t, "deep.er.name.example.test", "A"); !strings.HasPrefix(got, "NOERROR AD") {
		t.Error(got)
	}
	for _, zone := range []string{"test", "example.test"} {
		if n := r.tree.Asked(zone, dns.TypeDS); n > 0 {
			t.Errorf("DS of %s was asked for %d times, and had come with the referral", zone, n)
		}
	}
}
