package dnsserver

import (
	"net/netip"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// withhold takes the names whose addresses the policy keeps from the client out of the additional section of the source's message, which is in the buffer
// as it is. Nothing there is asked for, so that it is no match; and nobody is harmed where it is missing but who would go to such an address. Signatures
// of what is left out go with it.
func (m *writer) withhold(q *Query) {
	names, from := m.withheld(q)
	if len(names) == 0 {
		return
	}
	m.buf, m.counts[wire.SectionAdditional] = m.buf[:from], 0
	records, err := wire.Records(q.source.msg)
	for err == nil && records.Next() {
		if records.Section != wire.SectionAdditional {
			continue
		}
		owner, _, nameErr := wire.AppendName(m.owner[:0], q.source.msg, records.NameOff) // whole: what it points to may be gone
		data, dataErr := wire.AppendData(m.scratch[:0], q.source.msg, records.Type, records.DataOff, records.Offset())
		if nameErr != nil || dataErr != nil || slices.Contains(names, canonical(owner)) {
			continue
		}
		if at := q.source.msg[records.NameOff:]; len(at) > 1 && at[0]&0xc0 == 0xc0 && int(at[0]&0x3f)<<8|int(at[1]) < from {
			owner = at[:2] // it points to what stays where it is, so that what is left needs no more room than before
		}
		if len(m.buf)+len(owner)+10+len(data) > m.limit {
			continue
		}
		m.record(wire.SectionAdditional, owner, records.Type, records.Class, records.TTL, data)
	}
}

// withheld returns the names that are to be left out, canonical, and where the additional section begins.
func (m *writer) withheld(q *Query) (names []string, from int) {
	records, err := wire.Records(q.source.msg)
	for err == nil && records.Next() {
		if records.Section != wire.SectionAdditional {
			continue
		}
		if from == 0 {
			from = records.NameOff
		}
		addr, ok := addressOf(&records)
		if !ok {
			continue
		}
		owner, _, err := wire.AppendName(m.owner[:0], q.source.msg, records.NameOff)
		if err != nil {
			continue
		}
		dnsname.Lower(owner, owner)
		if !slices.Contains(names, string(owner)) && q.policy.Withholds(&q.request, owner, addr, q.settings.NAT64) {
			names = append(names, string(owner))
		}
	}
	return names, from
}

// addressOf returns the address that a record holds, if it holds one.
func addressOf(r *wire.Walker) (netip.Addr, bool) {
	data := r.RData()
	if r.Class != wire.ClassIN || !(r.Type == wire.TypeA && len(data) == 4 || r.Type == wire.TypeAAAA && len(data) == 16) {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(data)
}

func canonical(name []byte) string {
	lower := make([]byte, len(name))
	dnsname.Lower(lower, name)
	return string(lower)
}
