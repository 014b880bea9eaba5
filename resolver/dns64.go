package resolver

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"cenote/dnsname"
	"cenote/wire"
)

// checkDNS64 checks the prefix that IPv4 addresses are put behind (RFC 6052 section 2.2).
func checkDNS64(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return nil
	case !p.Addr().Is6() || p != p.Masked():
		return fmt.Errorf("DNS64 prefix %v: want an IPv6 prefix", p)
	}
	switch p.Bits() {
	case 32, 40, 48, 56, 64:
	case 96:
		if p.Addr().As16()[8] != 0 {
			return fmt.Errorf("DNS64 prefix %v: its bits 64 to 71 are not 0 (RFC 6052 section 2.2)", p)
		}
	default:
		return fmt.Errorf("DNS64 prefix %v: want a length of 32, 40, 48, 56, 64 or 96", p)
	}
	return nil
}

// embed puts an IPv4 address behind a prefix. The octet of bits 64 to 71 stays 0.
func embed(p netip.Prefix, four []byte) []byte {
	six := p.Addr().As16()
	at := p.Bits() / 8
	for _, c := range four {
		if at == 8 {
			at++
		}
		six[at] = c
		at++
	}
	return six[:]
}

// translates reports whether IPv6 addresses are made for who asks (RFC 6147 section 5.5: not for those who check signatures themselves).
func (it *iteration) translates(rtype uint16) bool {
	q := &it.f.q
	return it.s.config.Recursion.DNS64.IsValid() && q.qtype == rtype && q.class == wire.ClassIN && !q.cd
}

// translate makes IPv6 addresses of the IPv4 addresses of a name that has no others (RFC 6147 section 5.1). Without those all stays as it is.
func (it *iteration) translate(m *assembly, name dnsname.Name) error {
	q := it.f.q
	q.name, q.qtype, q.do = string(name), wire.TypeA, false
	msg, err := it.sub(q, it.f.depth, it.f.aliases)
	if errors.Is(err, errWork) || errors.Is(err, ErrBusy) {
		return err
	}
	if err != nil {
		return nil // the answer that there are none is as good as ever
	}
	got, err := readResponse(msg, q.class)
	if err != nil {
		return err
	}
	four := got.find(wire.SectionAnswer, name, wire.TypeA)
	if four == nil {
		return nil
	}
	six := &rrset{name: name, rtype: wire.TypeAAAA, section: wire.SectionAnswer, ttl: min(four.ttl, m.negativeTTL()), made: true}
	for _, data := range four.rdata {
		six.rdata = append(six.rdata, embed(it.s.config.Recursion.DNS64, data))
	}
	m.sets[wire.SectionAnswer] = append(m.sets[wire.SectionAnswer], six)
	// RFC 6147 section 3: AD where the proof that there are no IPv6 addresses and the IPv4 addresses both stand up to validation.
	m.sets[wire.SectionAuthority], m.secure = nil, m.secure && wire.Flags(msg)&wire.FlagAD != 0
	return nil
}

// negativeTTL is how long it holds that there are no IPv6 addresses.
func (m *assembly) negativeTTL() uint32 {
	ttl := uint32(600) // RFC 6147 section 5.1.7, where nobody says
	for _, s := range m.sets[wire.SectionAuthority] {
		if s.rtype == wire.TypeSOA {
			ttl = min(s.ttl, soaMinimum(s))
		}
	}
	return ttl
}

// reverse64 is the alias of a reverse name of an address that was made: the name of the IPv4 address behind it (RFC 6147 section 5.3.1).
func (it *iteration) reverse64(name dnsname.Name) *finding {
	six, ok := reverseAddr(name)
	if !ok || !it.translates(wire.TypePTR) {
		return nil
	}
	four, ok := wire.EmbeddedIPv4(it.s.config.Recursion.DNS64, six)
	if !ok {
		return nil
	}
	b := four.As4()
	target := dnsname.MustParse(fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", b[3], b[2], b[1], b[0]))
	alias := &rrset{name: name, rtype: wire.TypeCNAME, section: wire.SectionAnswer, ttl: 600, rdata: [][]byte{[]byte(target)}, made: true}
	return &finding{kind: kindAlias, answer: []*rrset{alias}, target: target, sure: true}
}

const reverseZone = "\x03ip6\x04arpa\x00"

// reverseAddr reads a reverse name of an IPv6 address (RFC 3596 section 2.5).
func reverseAddr(name dnsname.Name) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(string(name), reverseZone)
	if !ok || len(digits) != 64 {
		return netip.Addr{}, false
	}
	var six [16]byte
	for i := range 32 {
		v := strings.IndexByte("0123456789abcdef", digits[2*i+1])
		if digits[2*i] != 1 || v < 0 {
			return netip.Addr{}, false
		}
		six[15-i/2] |= byte(v) << (4 * (i % 2))
	}
	return netip.AddrFrom16(six), true
}
