package policy

import (
	"bytes"
	"net/netip"

	"cenote/wire"
)

// Withholds reports whether the client of a query would not be told of an address if it asked for it: whether a rule that decides, and does not let
// through, lists the name that has it, canonical, or the address. It is for what stands beside an answer: rules look at the answer section alone
// (RPZ draft section 4.3), and nobody gets a listed address past them in another. nat64 is as in Answer.
func (p *Policy) Withholds(r *Request, name []byte, addr netip.Addr, nat64 netip.Prefix) bool {
	behind, _ := wire.EmbeddedIPv4(nat64, addr)
	if p.index == nil || !p.listsName(name) && !p.addresses.any(TriggerIP, addr) && !p.addresses.any(TriggerIP, behind) {
		return false // as nearly always, and without allocation
	}
	asked := *r
	asked.Name, asked.Type, asked.DO = bytes.Clone(name), typeOf(addr), false
	d := p.CheckQuery(&asked)
	if !d.Matched() || d.Pending {
		only := [...]netip.Addr{addr}
		d = p.CheckAnswer(&asked, &Answer{Addrs: only[:], NAT64: nat64}, d)
	}
	return d.Matched() && d.Winner.Action != ActionPassthru
}
