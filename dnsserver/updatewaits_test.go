package dnsserver_test

import (
	"testing"

	"cenote/dnsname"
	"cenote/dnsserver"
)

// TestUpdatesOfOneKeyLeaveRoom holds that a key which sends as many updates as it can leaves places for those of others, and that all places are given back.
func TestUpdatesOfOneKeyLeaveRoom(t *testing.T) {
	w := new(dnsserver.UpdateWaits)
	fill := func(key dnsname.Name) (n int) {
		for n < 2*dnsserver.UpdatesMax && w.Enter(key) {
			n++
		}
		return n
	}
	keys := []dnsname.Name{dnsname.MustParse("a.key"), dnsname.MustParse("b.key"), dnsname.MustParse("c.key")}
	taken := 0
	for i, want := range []int{dnsserver.UpdatesMax / 2, dnsserver.UpdatesMax / 4, dnsserver.UpdatesMax / 8} {
		if n := fill(keys[i]); n != want {
			t.Errorf("key %d has %d places, want %d", i, n, want)
		} else {
			taken += n
		}
	}
	for i, n := range []int{dnsserver.UpdatesMax / 2, dnsserver.UpdatesMax / 4, dnsserver.UpdatesMax / 8} {
		for range n {
			w.Leave(keys[i])
		}
	}
	if n := fill(keys[2]); n != dnsserver.UpdatesMax/2 {
		t.Errorf("afterwards a key has %d places, want %d", n, dnsserver.UpdatesMax/2)
	}
}
