package dnsserver

import (
	"bytes"

	"cenote/dnsname"
	"cenote/querylog"
	"cenote/wire"
)

// deniedCompactly reports whether what the world says is that there is no such name, in the way of zones that say of each name that it is there and in a record of it that it is not, and
// the client knows that way: then it is told the code, too (RFC 9824 section 5.1). The record counts where it was proved (AD), and so for nobody who sets CD; and an NSEC3 record, which
// such zones do not have, would have to be looked for by its hash: it leaves the code as it is.
func (q *Query) deniedCompactly() bool {
	s := &q.source
	if !q.msg.OPT.CO || !q.msg.OPT.DO || s.kind == querylog.SourceZone || s.kind == querylog.SourceLocal {
		return false
	}
	return wire.Rcode(s.msg) == wire.RcodeSuccess && wire.Flags(s.msg)&wire.FlagAD != 0 && saysNoName(s.msg, q.name[:len(q.request.Name)])
}

// saysNoName reports whether a message denies the canonical name that it is about, or the one that its aliases lead to, by a record of that name.
func saysNoName(msg, name []byte) bool {
	var last, room [dnsname.WireMax]byte
	end := last[:copy(last[:], name)]
	w, err := wire.Records(msg)
	for err == nil && w.Next() {
		switch {
		case w.Section == wire.SectionAnswer && w.Type == wire.TypeCNAME:
			target, _, err := wire.AppendName(last[:0], msg, w.DataOff)
			if err != nil {
				return false
			}
			dnsname.Lower(target, target)
			end = target
		case w.Section == wire.SectionAnswer && w.Type != wire.TypeDNAME && w.Type != wire.TypeRRSIG:
			return false
		case w.Section == wire.SectionAuthority && w.Type == wire.TypeNSEC:
			owner, _, err := wire.AppendName(room[:0], msg, w.NameOff)
			if err != nil {
				return false
			}
			dnsname.Lower(owner, owner)
			if data := w.RData(); bytes.Equal(owner, end) {
				next, _, err := dnsname.Check(data)
				return err == nil && wire.DeniesName(data[next:])
			}
		}
	}
	return false
}
