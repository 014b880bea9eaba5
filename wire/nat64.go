package wire

import "net/netip"

// EmbeddedIPv4 returns the IPv4 address that an IPv6 address stands for behind a prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052 section 2.2); false if it
// is not below the prefix, or the prefix is none. The octet of bits 64 to 71 is passed over.
func EmbeddedIPv4(p netip.Prefix, six netip.Addr) (netip.Addr, bool) {
	if !p.IsValid() || p.Bits() > 96 || !six.Is6() || !p.Contains(six) {
		return netip.Addr{}, false
	}
	from := six.As16()
	var four [4]byte
	at := p.Bits() / 8
	for i := range four {
		if at == 8 {
			at++
		}
		four[i] = from[at]
		at++
	}
	return netip.AddrFrom4(four), true
}
