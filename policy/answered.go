package policy

import (
	"encoding/binary"
	"net/netip"

	"cenote/dnsname"
	"cenote/wire"
)

// SVCB parameters that hold addresses (RFC 9460 section 14.3.2).
const (
	hintIPv4 = 4
	hintIPv6 = 6
)

// answerAddresses walks over the addresses in the answer section of a message: those of A and AAAA records, and the hints of SVCB and HTTPS records.
type answerAddresses struct {
	msg     []byte
	records wire.Walker
	fault   error
	params  []byte // of the SVCB record that records stands at
	hints   []byte // addresses of one parameter that have not been returned
	size    int    // of each of them
	addr    netip.Addr
}

func addressesIn(msg []byte) answerAddresses {
	a := answerAddresses{msg: msg}
	a.records, a.fault = wire.Records(msg)
	return a
}

// next moves to the next address; it returns false after the last.
func (a *answerAddresses) next() bool {
	for {
		if len(a.hints) >= a.size && a.size > 0 {
			a.addr, _ = netip.AddrFromSlice(a.hints[:a.size])
			a.hints = a.hints[a.size:]
			return true
		}
		if a.size = 0; a.nextParam() {
			continue
		}
		if a.fault != nil || !a.records.Next() || a.records.Section != wire.SectionAnswer {
			return false
		}
		a.take()
	}
}

// take reads the record that records stands at.
func (a *answerAddresses) take() {
	data := a.records.RData()
	switch {
	case a.records.Class != wire.ClassIN:
	case a.records.Type == wire.TypeA && len(data) == 4, a.records.Type == wire.TypeAAAA && len(data) == 16:
		a.hints, a.size = data, len(data)
	case wire.IsSVCB(a.records.Type):
		a.params = svcParams(a.msg, &a.records)
	}
}

// nextParam moves to the next parameter that holds addresses, if there is one.
func (a *answerAddresses) nextParam() bool {
	for len(a.params) >= 4 {
		key, n := binary.BigEndian.Uint16(a.params), int(binary.BigEndian.Uint16(a.params[2:]))
		if len(a.params) < 4+n {
			break
		}
		value := a.params[4 : 4+n]
		a.params = a.params[4+n:]
		switch key {
		case hintIPv4:
			a.hints, a.size = value, 4
			return true
		case hintIPv6:
			a.hints, a.size = value, 16
			return true
		}
	}
	a.params = nil
	return false
}

// svcParams returns the parameters of a SVCB or HTTPS record.
func svcParams(msg []byte, r *wire.Walker) []byte {
	end := r.DataOff + r.DataLen
	if r.DataLen < 2 {
		return nil
	}
	off, err := wire.SkipName(msg, r.DataOff+2)
	if err != nil || off > end {
		return nil
	}
	return msg[off:end]
}

// answered notes the rules that list addresses of the answer: those that the stage's name has, or if it is the last of the chain all of them,
// since nobody can tell which of them a client takes.
func (s *stage) answered(answer *Answer, last bool) {
	for a := addressesIn(answer.Msg); a.next(); {
		if last || s.owns(answer.Msg, &a.records) {
			behind, _ := wire.EmbeddedIPv4(answer.NAT64, a.addr)
			s.policy.addresses.find(&s.ips, TriggerIP, a.addr)
			s.policy.addresses.find(&s.ips, TriggerIP, behind)
		}
	}
	if last {
		for _, addr := range answer.Addrs {
			behind, _ := wire.EmbeddedIPv4(answer.NAT64, addr)
			s.policy.addresses.find(&s.ips, TriggerIP, addr)
			s.policy.addresses.find(&s.ips, TriggerIP, behind)
		}
	}
	s.ips.settle()
}

// owns reports whether a record is one of the stage's name.
func (s *stage) owns(msg []byte, r *wire.Walker) bool {
	var room [dnsname.WireMax]byte
	owner, _, err := wire.AppendName(room[:0], msg, r.NameOff)
	dnsname.Lower(owner, owner)
	return err == nil && string(owner) == string(s.name())
}

// appendSVCTarget appends the name that a SVCB or HTTPS record leads to, canonical; nothing if the record is another one.
func appendSVCTarget(dst, msg []byte, r *wire.Walker) []byte {
	if !wire.IsSVCB(r.Type) || r.DataLen < 3 {
		return dst
	}
	target, end, err := wire.AppendName(dst, msg, r.DataOff+2)
	if err != nil || end > r.DataOff+r.DataLen {
		return dst
	}
	dnsname.Lower(target[len(dst):], target[len(dst):])
	return target
}

// listsAnyOf reports whether a rule lists an address of the answer.
func (p *Policy) listsAnyOf(answer *Answer) bool {
	if !p.addresses.has(TriggerIP) {
		return false
	}
	for a := addressesIn(answer.Msg); a.next(); {
		behind, _ := wire.EmbeddedIPv4(answer.NAT64, a.addr)
		if p.addresses.any(TriggerIP, a.addr) || p.addresses.any(TriggerIP, behind) {
			return true
		}
	}
	return len(answer.Addrs) > 0
}

// typeOf is the type of the records that hold an address.
func typeOf(addr netip.Addr) uint16 {
	if addr.Is4() {
		return wire.TypeA
	}
	return wire.TypeAAAA
}
