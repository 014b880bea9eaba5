package resolver_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestChainsAreBoundedOverTheCache: a chain of aliases grows no longer by asking for its end first, step by step. A longer one would lead past what the policy
// looks at.
func TestChainsAreBoundedOverTheCache(t *testing.T) {
	var zones [2]strings.Builder
	for i := range 20 {
		fmt.Fprintf(&zones[i%2], "    c%d CNAME c%d.%c.test.\n", i, i+1, 'a'+(i+1)%2)
	}
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone a.test          server ns.a.test @3
		c20                  A 192.0.2.1
`+zones[0].String()+`
		zone b.test          server ns.b.test @4
`+zones[1].String())
	for i := 19; i >= 0; i-- {
		got := r.ask(t, fmt.Sprintf("c%d.%c.test", i, 'a'+i%2), "A")
		switch n := strings.Count(got, "CNAME"); {
		case n > 11:
			t.Fatalf("from c%d: %d aliases, want 11 at most", i, n)
		case n != 20-i && 20-i <= 11:
			t.Errorf("from c%d: %s", i, got)
		}
	}
}
