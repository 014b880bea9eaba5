package sighting

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// LossReason says why matches are missing from the ledger.
type LossReason uint8

// The reasons of a Loss.
const (
	LossRing    LossReason = iota // a producer's ring was full; counted by client prefix and family
	LossTable                     // the ring was full, and so was the table that counts in its stead
	LossDisk                      // the journal could not be written for so long that its queue was full
	LossBacklog                   // too many pairs waited for the day file
	LossDamage                    // a file was damaged; Count is 0, since nobody knows how much was in it
)

// String names the reason as metrics and listings do.
func (r LossReason) String() string {
	switch r {
	case LossRing:
		return "ring"
	case LossTable:
		return "table"
	case LossDisk:
		return "disk"
	case LossBacklog:
		return "backlog"
	case LossDamage:
		return "damage"
	}
	return "unknown"
}

// Loss is an interval in which matches were counted but not recorded one by one. It is never much longer than a minute, but
// for the reason damage.
type Loss struct {
	From   time.Time    `json:"from"`   // time of the first match
	Until  time.Time    `json:"until"`  // and of the last
	Reason string       `json:"reason"` // ring, table, disk, backlog, damage
	Count  uint64       `json:"count"`
	Client netip.Prefix `json:"client,omitzero"` // the part of the network, where it is known
	Zone   string       `json:"zone,omitempty"`
	Feed   string       `json:"feed,omitempty"`
	Family string       `json:"family,omitempty"`
}

// loss is a Loss inside the ledger.
type loss struct {
	lossKey
	count    uint64
	from, to int64 // microseconds since the epoch
}

// lossKey is what losses of one minute are counted by.
type lossKey struct {
	minute uint32 // since the epoch
	reason LossReason
	rule   uint32       // number in the ruleBook; 0 if unknown
	client netip.Prefix // the zero Prefix if unknown
}

// lossesMax bounds how many kinds of loss are told apart at a time; above it they are counted without client and rule.
const lossesMax = 4096

// losses counts what was lost since it was last emptied. It is not safe for concurrent use.
type losses struct {
	m map[lossKey]*loss
}

func newLosses() *losses { return &losses{m: map[lossKey]*loss{}} }

// add counts n events between from and to, in nanoseconds since the epoch; the minute of k is found from them.
func (l *losses) add(k lossKey, n uint64, from, to int64) {
	k.minute = uint32(max(from, 0) / int64(time.Minute))
	l.merge(&loss{lossKey: k, count: n, from: from / 1000, to: to / 1000})
}

func (l *losses) merge(o *loss) {
	have := l.m[o.lossKey]
	if have == nil && len(l.m) >= lossesMax {
		coarse := *o
		coarse.rule, coarse.client = 0, netip.Prefix{}
		o, have = &coarse, l.m[coarse.lossKey]
	}
	if have == nil {
		fresh := *o
		l.m[o.lossKey] = &fresh
		return
	}
	have.count += o.count
	have.from, have.to = min(have.from, o.from), max(have.to, o.to)
}

func (l *losses) reset() { clear(l.m) }

func (l *loss) export(r *rule) Loss {
	return Loss{
		From: time.UnixMicro(l.from).UTC(), Until: time.UnixMicro(l.to).UTC(), Reason: l.reason.String(), Count: l.count,
		Client: l.client, Zone: r.zone, Feed: r.feed, Family: r.family,
	}
}

func (l *loss) day() uint32 { return l.minute / (60 * hoursPerDay) }

// appendLoss writes l without its rule, which the container keeps in its own way.
func appendLoss(dst []byte, l *loss) []byte {
	dst = binary.BigEndian.AppendUint32(dst, l.minute)
	dst = append(dst, byte(l.reason))
	dst = appendUvarint(dst, l.count)
	dst = appendUvarint(dst, uint64(max(l.from, 0)))
	dst = appendUvarint(dst, uint64(max(l.to, 0)))
	if !l.client.IsValid() {
		return append(dst, 0)
	}
	a := l.client.Addr().AsSlice()
	return append(append(dst, byte(len(a)), byte(l.client.Bits())), a...)
}

func (d *decoder) loss() (l loss) {
	if b := d.octets(4); b != nil {
		l.minute = binary.BigEndian.Uint32(b)
	}
	l.reason, l.count = LossReason(d.octet()), d.uint64()
	l.from, l.to = int64(d.uint64()&(1<<63-1)), int64(d.uint64()&(1<<63-1))
	if n := int(d.octet()); n > 0 {
		bits := int(d.octet())
		a, ok := netip.AddrFromSlice(d.octets(n))
		l.client = netip.PrefixFrom(a, bits)
		d.bad = d.bad || !ok || !l.client.IsValid()
	}
	return l
}

// prefixOf is the part of the network under which the losses of a client are counted.
func prefixOf(client *[16]byte) netip.Prefix {
	bits := spillBits6
	if is4In6(client) {
		bits = spillBits4
	}
	p, err := clientAddr(client).Prefix(bits)
	if err != nil {
		return netip.Prefix{} // not reached: both lengths fit their families
	}
	return p
}

// clientAddr is the one form in which the ledger shows a client: IPv4 addresses as such.
func clientAddr(client *[16]byte) netip.Addr { return netip.AddrFrom16(*client).Unmap() }
