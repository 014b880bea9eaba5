package wire_test

import (
	"net/netip"
	"testing"

	"cenote/wire"
)

// TestEmbeddedIPv4: the addresses of RFC 6052 section 2.4.
func TestEmbeddedIPv4(t *testing.T) {
	for prefix, six := range map[string]string{
		"2001:db8::/32": "2001:db8:c000:221::", "2001:db8:100::/40": "2001:db8:1c0:2:21::", "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::", "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
		"2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33", "64:ff9b::/96": "64:ff9b::c000:221",
	} {
		got, ok := wire.EmbeddedIPv4(netip.MustParsePrefix(prefix), netip.MustParseAddr(six))
		if !ok || got.String() != "192.0.2.33" {
			t.Errorf("%s in %s: got %v, want 192.0.2.33", six, prefix, got)
		}
	}
	if got, ok := wire.EmbeddedIPv4(netip.Prefix{}, netip.MustParseAddr("::1")); ok {
		t.Errorf("no prefix: got %v", got)
	}
}
