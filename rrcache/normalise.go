package rrcache

import (
	"cmp"
	"encoding/binary"
	"slices"

	"cenote/dnsname"
	"cenote/wire"
)

// Refusal is a reason for which Put did not keep a message.
type Refusal uint8

// The reasons. refusedNot is none.
const (
	refusedNot       Refusal = iota
	RefusedMalformed         // cut, counts that lie, a record that cannot be walked, a key that is no name
	RefusedQuestion          // not a response, or to another question
	RefusedTruncated         // TC is set: the rest is missing
	RefusedOversized         // longer than MessageMax
	RefusedRcode             // neither NOERROR, NXDOMAIN nor SERVFAIL
	RefusedNoSOA             // a negative answer without SOA says nothing about how long it holds (RFC 2308 section 5)
	RefusedTTL               // a TTL of 0: for the one who asked alone
	RefusedHeld              // a failure, while an answer is there that can be given stale
	refusals
)

// String names the reason for metrics and logs.
func (r Refusal) String() string {
	switch r {
	case refusedNot:
		return "none"
	case RefusedMalformed:
		return "malformed"
	case RefusedQuestion:
		return "question"
	case RefusedTruncated:
		return "truncated"
	case RefusedOversized:
		return "oversized"
	case RefusedRcode:
		return "rcode"
	case RefusedNoSOA:
		return "no_soa"
	case RefusedTTL:
		return "ttl_zero"
	case RefusedHeld:
		return "held"
	case refusals:
	}
	return "unknown"
}

// builder makes a record out of a message, outside any lock. Its buffers are used again.
type builder struct {
	record    record
	spare     []byte
	offsets   []uint16 // where the TTLs lie in the message
	counts    [3]int   // records kept of each section
	end       int      // where the last one ends
	answerEnd int      // where the last one of the answer section ends
	answers   bool     // the answer section has a record of the type that was asked for
	soa       int      // where the first SOA of the authority section has its TTL, 0 for none
	soaTTL    uint32   // the smaller of its TTL and its MINIMUM
}

// build fills b.record with msg in normal form, or says why it must not be kept.
func (b *builder) build(c *Config, k *Key, tag uint32, msg []byte, now int64) Refusal {
	if why := checkHead(k, msg); why != refusedNot {
		return why
	}
	if why := b.survey(k, msg); why != refusedNot {
		return why
	}
	failure := wire.Rcode(msg) == wire.RcodeServFail
	if failure {
		b.keepAliases(k)
	}
	if b.end > c.MessageMax {
		return RefusedOversized
	}
	b.assemble(k, tag, msg, now)
	switch {
	case failure:
		b.record[4] = flagFailure
		return b.clamp(1, seconds(c.FailureTTL), 0)
	case wire.Rcode(msg) == wire.RcodeNXDomain || !b.answers:
		return b.finishNegative(c)
	}
	return b.finishPositive(c)
}

// keepAliases leaves of a failure the answer section alone, if that is aliases: they lead to where there is no answer.
func (b *builder) keepAliases(k *Key) {
	n := b.counts[wire.SectionAnswer]
	b.offsets, b.counts, b.end = b.offsets[:n], [3]int{n}, b.answerEnd
	if n == 0 || b.answers {
		b.offsets, b.counts, b.end = b.offsets[:0], [3]int{}, wire.HeaderLen+len(k.Name)+4
	}
}

// checkHead looks at all that comes before the records.
func checkHead(k *Key, msg []byte) Refusal {
	n := len(k.Name)
	switch {
	case !k.valid() || len(msg) < wire.HeaderLen+n+4 || len(msg) > wire.MessageMax:
		return RefusedMalformed
	case wire.Flags(msg)&wire.FlagQR == 0 || wire.Opcode(msg) != wire.OpcodeQuery || wire.Count(msg, 0) != 1:
		return RefusedQuestion
	case wire.Flags(msg)&wire.FlagTC != 0:
		return RefusedTruncated
	}
	switch wire.Rcode(msg) {
	case wire.RcodeSuccess, wire.RcodeNXDomain, wire.RcodeServFail:
	default:
		return RefusedRcode
	}
	question := msg[wire.HeaderLen:]
	size, _, err := dnsname.Check(question)
	if err != nil {
		return RefusedMalformed
	}
	var name [dnsname.WireMax]byte
	dnsname.Lower(name[:size], question[:size])
	if string(name[:size]) != string(k.Name) ||
		binary.BigEndian.Uint16(question[n:]) != k.Type || binary.BigEndian.Uint16(question[n+2:]) != k.Class {
		return RefusedQuestion
	}
	return refusedNot
}

// survey walks the records and their owner names; names in RDATA are the business of the one who puts the message. It stops before the
// first OPT or TSIG of the additional section: they are the message's own, not the answer's, and what a server put behind them can be
// done without; to take them out of the middle would break compressed names.
func (b *builder) survey(k *Key, msg []byte) Refusal {
	w, err := wire.Records(msg)
	if err != nil {
		return RefusedMalformed
	}
	*b = builder{record: b.record, spare: b.spare, offsets: b.offsets[:0], end: w.Offset()}
	var name [dnsname.WireMax]byte
	for w.Next() {
		if w.Type == wire.TypeOPT || w.Type == wire.TypeTSIG {
			if w.Section != wire.SectionAdditional || w.Type == wire.TypeOPT && w.TTL>>24 != 0 {
				return RefusedRcode // the upper bits of the response code: not one of those that are kept
			}
			return refusedNot
		}
		if _, _, err := wire.AppendName(name[:0], msg, w.NameOff); err != nil || b.unsteady(msg, w.NameOff) {
			return RefusedMalformed
		}
		b.note(k, &w)
	}
	if w.Err != nil {
		return RefusedMalformed
	}
	return refusedNot
}

// unsteady reports whether a name that was read without fault has a part elsewhere that changes while the message is kept, the header or a TTL, or
// that is no earlier name since it reaches into this one's record.
func (b *builder) unsteady(msg []byte, off int) bool {
	for at, elsewhere := off, false; ; {
		c, next := msg[at], at+1+int(msg[at])
		if c >= 0xc0 {
			next = at + 2
		}
		if elsewhere && (at < wire.HeaderLen || next > off || b.readsTTL(at, next)) {
			return true
		}
		if c == 0 {
			return false
		}
		if at = next; c >= 0xc0 {
			at, elsewhere = int(binary.BigEndian.Uint16(msg[next-2:])&0x3fff), true
		}
	}
}

// readsTTL reports whether one of the octets from off up to end is of a TTL that was noted.
func (b *builder) readsTTL(off, end int) bool {
	i, _ := slices.BinarySearchFunc(b.offsets, off, func(ttl uint16, off int) int { return cmp.Compare(int(ttl)+4, off+1) })
	return i < len(b.offsets) && int(b.offsets[i]) < end
}

// note takes down what matters of a record.
func (b *builder) note(k *Key, w *wire.Walker) {
	b.counts[w.Section]++
	b.offsets = append(b.offsets, uint16(w.TTLOff))
	b.end = w.Offset()
	if w.Section == wire.SectionAnswer {
		b.answerEnd = b.end
	}
	switch {
	case w.Section == wire.SectionAnswer && (w.Type == k.Type || k.Type == wire.TypeANY):
		b.answers = true
	case w.Section == wire.SectionAuthority && w.Type == wire.TypeSOA && b.soa == 0 && w.DataLen >= 22:
		data := w.RData()
		minimum := binary.BigEndian.Uint32(data[len(data)-4:])
		b.soa, b.soaTTL = w.TTLOff, min(clean(w.TTL), clean(minimum))
	}
}

// clean reads a TTL: with the highest bit set it counts as 0 (RFC 2181 section 8).
func clean(ttl uint32) uint32 {
	if ttl>>31 != 0 {
		return 0
	}
	return ttl
}

// assemble writes the record, all but its TTLs, flags and version.
func (b *builder) assemble(k *Key, tag uint32, msg []byte, now int64) {
	start := recordHeader + 2*len(b.offsets)
	size := (start + b.end + recordAlign - 1) &^ (recordAlign - 1)
	if cap(b.record) < size {
		b.record = make(record, size)
	}
	r := b.record[:size]
	b.record = r
	clear(r[:recordHeader])
	clear(r[start+b.end:])
	r.setSize(uint32(size))
	r[5], r[6], r[7] = k.flags(), uint8(k.Group), uint8(len(k.Name))
	binary.LittleEndian.PutUint32(r[8:], tag)
	binary.LittleEndian.PutUint64(r[16:], uint64(now))
	binary.LittleEndian.PutUint16(r[32:], uint16(b.end))
	binary.LittleEndian.PutUint16(r[34:], uint16(len(b.offsets)))
	for i, off := range b.offsets {
		binary.LittleEndian.PutUint16(r[recordHeader+2*i:], off)
	}
	copy(r[start:], msg[:b.end])
	normaliseHead(r.message(), k, b.counts)
}

// normaliseHead makes header and question those of any answer to k. The name keeps its length, so that names compressed against it hold.
func normaliseHead(m []byte, k *Key, counts [3]int) {
	wire.SetID(m, 0)
	wire.SetFlags(m, wire.Flags(m)&(wire.FlagAD|15)|wire.FlagQR|wire.FlagRA)
	for i, n := range counts {
		wire.SetCount(m, i+1, n)
	}
	copy(m[wire.HeaderLen:], k.Name)
}

// finishPositive clamps the TTLs. The answer lives as long as the first of its records.
func (b *builder) finishPositive(c *Config) Refusal {
	return b.clamp(seconds(c.TTLMin), seconds(c.TTLMax), seconds(c.TTLMax))
}

// finishNegative clamps the TTLs, those behind the answer section to what the SOA allows (RFC 2308 section 5).
func (b *builder) finishNegative(c *Config) Refusal {
	if b.soa == 0 {
		return RefusedNoSOA
	}
	floor, ceiling := seconds(max(c.TTLMin, c.NegativeTTLMin)), seconds(c.TTLMax)
	return b.clamp(floor, ceiling, min(max(b.soaTTL, floor), seconds(c.NegativeTTLMax), ceiling))
}

// clamp sets every TTL between floor and ceiling, those behind the answer section to at most proof as well.
func (b *builder) clamp(floor, ceiling, proof uint32) Refusal {
	m, smallest := b.record.message(), ceiling
	for i, off := range b.offsets {
		ttl := min(max(clean(binary.BigEndian.Uint32(m[off:])), floor), ceiling)
		if i >= b.counts[wire.SectionAnswer] {
			ttl = min(ttl, proof)
		}
		binary.BigEndian.PutUint32(m[off:], ttl)
		smallest = min(smallest, ttl)
	}
	return b.setTTL(smallest)
}

// setTTL sets for how long the record is fresh.
func (b *builder) setTTL(ttl uint32) Refusal {
	if ttl == 0 {
		return RefusedTTL
	}
	binary.LittleEndian.PutUint32(b.record[24:], ttl)
	return refusedNot
}
