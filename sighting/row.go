package sighting

import (
	"encoding/binary"
	"fmt"

	"cenote/dnsname"
)

// samplesMax is how many samples a row keeps: the earliest ones of its hour.
const samplesMax = 8

// row is one (client, indicator, hour) in the form in which journals, blocks and queries pass it on. Which indicator the
// number stands for, the container says.
type row struct {
	client    [16]byte // IPv4 as IPv4-mapped IPv6
	hour      uint32   // since the epoch
	indicator uint32
	tally
	last     uint32 // microseconds in the hour
	lastPort uint16
	kept     int
	samples  [samplesMax]sample // kept of them, by time; the first one is the first sighting of the hour
}

// tally counts the events of a row, and how many of them had a property.
type tally struct {
	count    uint32
	enforced uint32 // the rule decided the answer
	verified uint32 // the source address could not be forged
	stale    uint32 // the answer came from the cache after its time
}

func (t *tally) add(o tally) {
	t.count += o.count
	t.enforced += o.enforced
	t.verified += o.verified
	t.stale += o.stale
}

// sample is one event of a row. prefix is what the name that matched has in front of the listed name, in wire form
// without a root byte; it belongs to whoever filled the row.
type sample struct {
	at        uint32 // microseconds in the hour
	port      uint16
	qtype     uint16
	transport uint8
	stage     uint8
	flags     EventFlags
	prefix    []byte
}

// addSample keeps s if it is among the earliest samplesMax.
func (r *row) addSample(s *sample) {
	i := r.kept
	for i > 0 && r.samples[i-1].at > s.at {
		i--
	}
	if i == samplesMax {
		return
	}
	if r.kept < samplesMax {
		r.kept++
	}
	copy(r.samples[i+1:r.kept], r.samples[i:])
	r.samples[i] = *s
}

// merge adds o, which has the same client and hour, to r.
func (r *row) merge(o *row) {
	r.tally.add(o.tally)
	if o.last > r.last || o.last == r.last && o.lastPort > r.lastPort {
		r.last, r.lastPort = o.last, o.lastPort
	}
	for i := range o.kept {
		r.addSample(&o.samples[i])
	}
}

// errRow is why a row that was read back cannot be one that was written.
var errRow = fmt.Errorf("%w: a value cannot be read", ErrDamaged)

// The first octet of an encoded row.
const (
	rowIPv4    = 1 << iota // the client is written in four octets
	rowTallies             // enforced, verified and stale differ from the usual: all enforced, none verified, none stale
	rowMany                // count, last and further samples follow; otherwise the row is one event
)

// appendRow writes r without its hour, which the container keeps.
func appendRow(dst []byte, r *row) []byte {
	var form byte
	if is4In6(&r.client) {
		form |= rowIPv4
	}
	if r.tally != (tally{count: r.count, enforced: r.count}) {
		form |= rowTallies
	}
	if r.count != 1 || r.kept != 1 {
		form |= rowMany
	}
	dst = append(dst, form)
	if form&rowIPv4 != 0 {
		dst = append(dst, r.client[12:]...)
	} else {
		dst = append(dst, r.client[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(r.indicator))
	if form&rowMany != 0 {
		dst = appendMany(dst, r)
	}
	if form&rowTallies != 0 {
		dst = binary.AppendUvarint(dst, uint64(r.enforced))
		dst = binary.AppendUvarint(dst, uint64(r.verified))
		dst = binary.AppendUvarint(dst, uint64(r.stale))
	}
	at := uint32(0)
	for i := range r.kept {
		dst = appendSample(dst, &r.samples[i], at)
		at = r.samples[i].at
	}
	return dst
}

func appendMany(dst []byte, r *row) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.count))
	dst = binary.AppendUvarint(dst, uint64(r.last))
	dst = binary.BigEndian.AppendUint16(dst, r.lastPort)
	return append(dst, byte(r.kept))
}

// appendSample writes s; its time as the distance from the sample before it.
func appendSample(dst []byte, s *sample, before uint32) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.at-before))
	dst = binary.BigEndian.AppendUint16(dst, s.port)
	dst = binary.AppendUvarint(dst, uint64(s.qtype))
	dst = append(dst, s.transport, s.stage, byte(s.flags), byte(len(s.prefix)))
	return append(dst, s.prefix...)
}

// readRow reads what appendRow wrote. The prefixes of the samples are slices of b.
func readRow(b []byte, r *row) (rest []byte, err error) {
	d := decoder{b: b}
	form := d.octet()
	if form&rowIPv4 != 0 {
		r.client = [16]byte{10: 0xff, 11: 0xff}
		copy(r.client[12:], d.octets(4))
	} else {
		copy(r.client[:], d.octets(16))
	}
	r.indicator = d.uint32()
	r.count, r.kept = 1, 1
	if form&rowMany != 0 {
		r.count, r.last, r.lastPort, r.kept = d.uint32(), d.uint32(), d.uint16(), int(d.octet())
	}
	r.enforced, r.verified, r.stale = r.count, 0, 0
	if form&rowTallies != 0 {
		r.enforced, r.verified, r.stale = d.uint32(), d.uint32(), d.uint32()
	}
	if d.bad || r.kept > samplesMax || r.kept == 0 {
		return nil, errRow
	}
	at := uint32(0)
	for i := range r.kept {
		at = readSample(&d, &r.samples[i], at)
	}
	if form&rowMany == 0 {
		r.last, r.lastPort = r.samples[0].at, r.samples[0].port
	}
	if d.bad || !r.plausible(form) {
		return nil, errRow
	}
	return d.b, nil
}

func readSample(d *decoder, s *sample, before uint32) uint32 {
	s.at = before + d.uint32()
	s.port = d.uint16()
	s.qtype = uint16(d.uint32())
	s.transport, s.stage, s.flags = d.octet(), d.octet(), EventFlags(d.octet())
	s.prefix = d.octets(int(d.octet()))
	d.bad = d.bad || s.at < before || len(s.prefix) > 0 && !wholeLabels(s.prefix)
	return s.at
}

// plausible refuses rows that no table could have made, so that a damaged file cannot bring nonsense into a report.
func (r *row) plausible(form byte) bool {
	if uint64(r.last) >= hourMicros || r.samples[r.kept-1].at > r.last {
		return false
	}
	if form&rowIPv4 == 0 && is4In6(&r.client) {
		return false
	}
	return r.count > 0 && uint32(r.kept) <= r.count && max(r.enforced, r.verified, r.stale) <= r.count
}

// wholeLabels reports whether b is a row of labels without a root byte.
func wholeLabels(b []byte) bool {
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || n > dnsname.LabelMax || 1+n > len(b) {
			return false
		}
		b = b[1+n:]
	}
	return true
}

// decoder takes values off the front of b. After the first that does not fit, bad is set and all others are zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) octets(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) octet() byte {
	if d.bad || len(d.b) == 0 {
		d.bad = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) uint16() uint16 {
	if v := d.octets(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 {
	v := d.uint64()
	if v > 1<<32-1 {
		d.bad = true
		return 0
	}
	return uint32(v)
}

// text reads what appendText wrote.
func (d *decoder) text() string { return string(d.octets(int(min(d.uint64(), 1<<31-1)))) }

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}
