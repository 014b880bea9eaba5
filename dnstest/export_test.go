package dnstest

import "testing"

// StartTreeAt starts a tree at a port, for servers that ask at no other.
func StartTreeAt(tb testing.TB, text string, port uint16) (*Tree, error) {
	return startTree(tb, text, func() uint16 { return port })
}
