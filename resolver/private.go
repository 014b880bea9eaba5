package resolver

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Private says which addresses the world may not give for its names: a name of a stranger that leads to a machine of ours has browsers within
// reach of it do what the stranger's page says (DNS rebinding). Zones that are forwarded, and stubs, may have them.
type Private struct {
	// Addresses are the networks. Default PrivateAddresses.
	Addresses []netip.Prefix
	// Allow are names at and below which they may be.
	Allow []dnsname.Name
}

// PrivateAddresses are networks that mean another machine in each network, or none: RFC 1918, 4193, 6598 (not the part of operators), 3927, 4291.
func PrivateAddresses() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range []string{"0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
		"::/127", "fc00::/7", "fe80::/10", "fec0::/10"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

// holds reports whether an address is private. One of IPv4 in the form of IPv6 has no business in an answer.
func (p *Private) holds(a netip.Addr) bool {
	return a.Is4In6() || slices.ContainsFunc(p.Addresses, func(n netip.Prefix) bool { return n.Contains(a) })
}

func (p *Private) allows(name dnsname.Name) bool {
	return slices.ContainsFunc(p.Allow, func(n dnsname.Name) bool { return atOrBelow(name, n) })
}

// edeBlocked says that something was left out of an answer by the operator's wish (RFC 8914 section 4.16).
const edeBlocked = 15

// privateTTL is how long the denial is given of what was left out.
const privateTTL = 60

// withoutPrivate takes private addresses out of what the world said, and the signatures that do not hold any more. Where nothing is left it denies
// the type.
func (it *iteration) withoutPrivate(m *assembly, got *outcome) {
	p := it.s.config.Recursion.Private
	if p == nil || got.zone == nil || got.zone.own {
		return
	}
	kept, took := got.found.answer[:0:0], false
	for _, s := range got.found.answer {
		left := p.without(s)
		took = took || left != s
		if len(left.rdata) > 0 {
			kept = append(kept, left)
		}
	}
	if !took {
		return
	}
	it.r.counts.private.Add(1)
	m.secure, m.ede = false, edeBlocked
	f := *got.found
	if f.answer = kept; len(kept) == 0 {
		f.kind, f.soa, f.proofs = kindNoData, madeSOA(got.zone.zone), nil
	}
	got.found = &f
}

// without returns a set without its private addresses; the set itself if it has none.
func (p *Private) without(s *rrset) *rrset {
	private := func(data []byte) bool {
		switch s.rtype {
		case wire.TypeA, wire.TypeAAAA:
			a, ok := netip.AddrFromSlice(data)
			return ok && p.holds(a)
		case typeSVCB, typeHTTPS:
			return slices.ContainsFunc(hintsOf(data), p.holds)
		}
		return false
	}
	if !slices.ContainsFunc(s.rdata, private) || p.allows(s.name) {
		return s
	}
	left := *s
	left.sigs, left.rdata = nil, slices.DeleteFunc(slices.Clone(s.rdata), private)
	return &left
}

// Types whose records may have addresses beside a name (RFC 9460), and the keys of those.
const (
	typeSVCB  = 64
	typeHTTPS = 65
	keyIPv4   = 4
	keyIPv6   = 6
)

// hintsOf returns the addresses in the data of a SVCB or HTTPS record, as far as it can be read.
func hintsOf(data []byte) (hints []netip.Addr) {
	if len(data) < 3 {
		return nil
	}
	n, _, err := dnsname.Check(data[2:])
	if err != nil {
		return nil
	}
	for data = data[2+n:]; len(data) >= 4; {
		key, size := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		if data = data[4:]; size > len(data) {
			break
		}
		width := map[uint16]int{keyIPv4: 4, keyIPv6: 16}[key]
		for value := data[:size]; width > 0 && len(value) >= width; value = value[width:] {
			a, _ := netip.AddrFromSlice(value[:width])
			hints = append(hints, a)
		}
		data = data[size:]
	}
	return hints
}

// madeSOA is the SOA record of a denial that we make for a zone.
func madeSOA(zone dnsname.Name) *rrset {
	data := append([]byte(zone), 0)
	for _, n := range []uint32{1, 3600, 600, 86400, privateTTL} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return &rrset{name: zone, rtype: wire.TypeSOA, section: wire.SectionAuthority, ttl: privateTTL, rdata: [][]byte{data}, made: true}
}
