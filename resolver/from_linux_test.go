package resolver_test

import (
	"net/netip"
	"strings"
	"testing"

	"cenote/resolver"
)

// TestQueriesLeaveFromTheAddressThatIsSet, by UDP and by TCP, and from the one that the system picks where none is set.
func TestQueriesLeaveFromTheAddressThatIsSet(t *testing.T) {
	const text = `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		    www              A     192.0.2.1
		! @2 www.test truncate
	`
	for _, from := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.9.9.9")} {
		r := startRooted(t, text, func(c *resolver.Config) { c.Recursion.From4 = from })
		if got := r.ask(t, "www.test", "A"); !strings.Contains(got, "192.0.2.1") {
			t.Errorf("from %v: got %s", from, got)
		}
		want, tcp := from, false
		if !want.IsValid() {
			want = netip.MustParseAddr("127.0.0.1")
		}
		for _, q := range r.tree.Queries("*") {
			if tcp = tcp || q.TCP; q.Client.Addr().Unmap() != want && from.IsValid() {
				t.Errorf("a query left from %v, want %v", q.Client, want)
			}
		}
		if !tcp {
			t.Errorf("from %v: nothing was asked by TCP", from)
		}
	}
}
