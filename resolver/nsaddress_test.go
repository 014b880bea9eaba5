package resolver_test

import (
	"net/netip"
	"strings"
	"testing"

	"cenote/resolver"
)

// TestServerAddressThatIsNotCached: the address of a name server counts for the question that it was looked for, though its TTL is 0 and no cache keeps it.
func TestServerAddressThatIsNotCached(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone other           server ns.nic.other @3
		zone example.test    server ns.far.other @4
		    www              A     192.0.2.1
		zone far.other       server ns1.far.other @5
		    ns               0 A   @4
	`)
	if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "192.0.2.1") {
		t.Error(got)
	}
}

// TestGlueThatCannotBeAskedIsNotAll: where the addresses that a parent gives may not be asked, or are of a family that is not, others are looked for.
func TestGlueThatCannotBeAskedIsNotAll(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		    example.test.    NS    ns.far.test.
		    ns.far.test.     A     192.0.2.53
		zone example.test    server ns.far.test @4
		    www              A     192.0.2.1
		zone far.test        server ns1.far.test @5
		    ns               A     @4
	`, func(c *resolver.Config) { c.Recursion.Never = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "192.0.2.1") {
		t.Error(got)
	}
}
