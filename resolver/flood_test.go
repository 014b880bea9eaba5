package resolver_test

import (
	"net/netip"
	"testing"
	"time"

	"cenote/dnstest"
)

// Who knows the port and forges the server's address, but not the id, is found out: the question goes by TCP. None of what he sends is believed, and
// the server is thought no worse of.
func TestFloodOfForgedRepliesFromRoot(t *testing.T) {
	r := startRooted(t, smallInternet)
	r.ask(t, "www.elsewhere.test", "A") // who serves what is known
	before := r.Stats()
	r.tree.Break("@3,@4", "*", dnstest.Fault{WrongID: true, Copies: 40, ThenRight: true, Times: 1})
	if got := r.ask(t, "www.example.test", "A"); got != "NOERROR\nwww.example.test. 300 IN A 192.0.2.1" {
		t.Errorf("got %s", got)
	}
	after := r.Stats()
	if after.Floods-before.Floods != 1 || after.NearMisses-before.NearMisses != 8 {
		t.Errorf("%d near misses, %d floods: want 8, and 1", after.NearMisses-before.NearMisses, after.Floods-before.Floods)
	}
}

// A flood must not have a server left alone that has no TCP: whoever forges its address could otherwise take it from all.
func TestFloodDoesNotShameTheServer(t *testing.T) {
	r := startRooted(t, smallInternet+"! @3,@4 * notcp\n")
	r.ask(t, "www.example.test", "TXT")
	known := []netip.AddrPort{r.tree.Addr("@3"), r.tree.Addr("@4")}
	var before []time.Duration
	for _, addr := range known {
		_, rtt, _ := r.Authority(addr, "example.test")
		before = append(before, rtt)
	}
	r.tree.Break("@3,@4", "*", dnstest.Fault{WrongID: true, Copies: 40})
	for _, name := range []string{"a.example.test", "b.example.test", "c.example.test", "d.example.test", "e.example.test", "f.example.test"} {
		r.ask(t, name, "A")
	}
	for i, addr := range known {
		if misses, rtt, lame := r.Authority(addr, "example.test"); misses > 0 || rtt != before[i] || lame {
			t.Errorf("%v: %d misses, round trip %v and %v before, lame %v", addr, misses, rtt, before[i], lame)
		}
	}
	r.tree.Mend()
	if got := r.ask(t, "www.example.test", "A"); got != "NOERROR\nwww.example.test. 300 IN A 192.0.2.1" {
		t.Errorf("once the flood is over: got %s", got)
	}
}
