package resolver_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestServersThatRefuseAreNotPreferred: servers where nobody listens are told apart at once. They are neither the quickest for that, nor do they use up the
// tries of a question, however many they are.
func TestServersThatRefuseAreNotPreferred(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone test            server ns.nic.test @2
		zone example.test    server n1.example.test @3, n2.example.test @4, n3.example.test @5, n4.example.test @6, n5.example.test @7, n6.example.test @8
		    *                A     192.0.2.1
		! @3 * delay=10ms
		! @4,@5,@6,@7,@8 * dead
	`)
	for i := range 20 {
		if got := r.ask(t, fmt.Sprintf("n%d.x.example.test", i), "A"); !strings.Contains(got, "192.0.2.1") {
			t.Errorf("question %d: %s", i, got)
		}
	}
}

// TestFailureNamesTheNetwork: where all servers refuse, that is what is told, and remembered.
func TestFailureNamesTheNetwork(t *testing.T) {
	r := startRooted(t, `
		zone .               server a.root.test @1
		zone example.test    server n1.example.test @3
		! @3 * dead
	`)
	if got := r.ask(t, "www.example.test", "A"); !strings.Contains(got, "cannot be reached") {
		t.Error(got)
	}
	if got := r.ask(t, "www.example.test", "A"); got != "SERVFAIL" {
		t.Errorf("at once again: %s", got)
	}
}
