package dnsserver_test

import (
	"testing"

	"cenote/dnsserver"
)

// The vectors of the function's authors: key 00 01 … 0f, messages 00, 00 01, 00 01 02 and so on.
func TestSipHash(t *testing.T) {
	var key [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	msg := make([]byte, 0, 64)
	for i := range 64 {
		msg = append(msg, byte(i))
	}
	for _, tc := range []struct {
		octets int
		want   uint64
	}{{0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd}, {7, 0xab0200f58b01d137}, {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572}} {
		if got := dnsserver.SipHash24(&key, msg[:tc.octets]); got != tc.want {
			t.Errorf("hash of %d octets = %016x, want %016x", tc.octets, got, tc.want)
		}
	}
}
