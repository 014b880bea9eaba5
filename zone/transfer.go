package zone

import (
	"bytes"
	"encoding/binary"
	"errors"

	"cenote/dnsname"
	"cenote/wire"
)

// transferSize is about how long the messages of a transfer are, in octets: compression reaches no further (RFC 1035 section 4.1.4).
const transferSize = 1 << 14

// errRecordLarge is that a record fits into no message with its question.
var errRecordLarge = errors.New("a record is too large for a message")

// Transfer is what a secondary is sent: a zone whole (AXFR, RFC 5936), what has changed since the version that it has (IXFR, RFC 1995), or that nothing has.
// It never changes.
type Transfer struct {
	zone    *Zone
	steps   []*Step // of an IXFR
	current bool    // nothing has changed: the SOA record alone
}

// Whole is the zone for a secondary that has none.
func (s *Served) Whole() *Transfer { return &Transfer{zone: s.Zone} }

// Since is what a secondary lacks that has a version of the zone. If the history does not reach back so far, or is larger than the zone, it is the zone whole.
func (s *Served) Since(serial uint32) *Transfer {
	if serial == s.Zone.serial || isBefore(s.Zone.serial, serial) {
		return &Transfer{zone: s.Zone, current: true}
	}
	steps, ok := s.History.Since(serial)
	size := 0
	for _, step := range steps {
		size += len(step.data)
	}
	if !ok || size > len(s.Zone.data) {
		return s.Whole()
	}
	return &Transfer{zone: s.Zone, steps: steps}
}

// Current reports whether the secondary has the present version.
func (t *Transfer) Current() bool { return t.current }

// Whole reports whether the zone is sent whole.
func (t *Transfer) Whole() bool { return !t.current && t.steps == nil }

// Serial is the one that the secondary has afterwards.
func (t *Transfer) Serial() uint32 { return t.zone.serial }

// Send writes the messages, one after the other, into buf, and hands each to send, which keeps nothing of it. question is that of the request, whose id and
// flags to be repeated the head has. reserve octets of each message are left free. An error of send ends it.
func (t *Transfer) Send(buf []byte, id, flags uint16, question []byte, reserve int, send func(msg []byte) error) error {
	w := transferWriter{question: question, limit: transferSize, most: wire.MessageMax - reserve, send: send, buf: buf[:0]}
	w.id, w.flags = id, flags|wire.FlagQR|wire.FlagAA
	w.begin()
	if err := t.write(&w); err != nil {
		return err
	}
	return w.flush()
}

func (t *Transfer) write(w *transferWriter) error {
	z := t.zone
	apex, soa := []byte(z.apex), z.soa.first()
	if err := w.record(apex, wire.TypeSOA, z.soa.ttl, soa); err != nil || t.current {
		return err
	}
	if err := t.writeData(w); err != nil {
		return err
	}
	return w.record(apex, wire.TypeSOA, z.soa.ttl, soa)
}

// writeData writes what stands between the first and the last SOA record.
func (t *Transfer) writeData(w *transferWriter) error {
	if t.steps == nil {
		return w.zone(t.zone)
	}
	for _, s := range t.steps {
		for rest := s.data; len(rest) > 0; {
			owner, r, more, err := cutPacked(rest)
			if err != nil {
				return err
			}
			if err := w.record(owner, r.Type, r.TTL, r.Data); err != nil {
				return err
			}
			rest = more
		}
	}
	return nil
}

// transferWriter writes records into messages. Names are compressed against the apex, the owner before and the name in the data before: in canonical order
// that finds nearly all there is to find.
type transferWriter struct {
	question []byte
	id       uint16
	flags    uint16
	limit    int // of a message with more than one record
	most     int // of one with a single record
	send     func([]byte) error

	buf    []byte
	count  int
	owner  knownName
	target knownName
}

// knownName is a name that stands in the message.
type knownName struct {
	name   [dnsname.WireMax]byte
	size   int
	labels int
	at     [dnsname.LabelsMax + 1]uint8  // where each label lies in name
	off    [dnsname.LabelsMax + 1]uint16 // and in the message; 0: too far behind
}

// begin begins a message with the question, against which the apex is compressed. RFC 5936 section 2.2.1 lets it stand in every message.
func (w *transferWriter) begin() {
	w.buf = append(w.buf[:0], 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	w.buf = append(w.buf, w.question...)
	wire.SetID(w.buf, w.id)
	wire.SetFlags(w.buf, w.flags)
	k := &w.owner
	k.size = len(w.question) - 4
	dnsname.Lower(k.name[:k.size], w.question[:k.size])
	k.labels = dnsname.Offsets(k.name[:k.size], &k.at)
	for i := range k.labels {
		k.off[i] = wire.HeaderLen + uint16(k.at[i])
	}
	w.target.size, w.target.labels, w.count = 0, 0, 0
}

// flush sends the message.
func (w *transferWriter) flush() error {
	wire.SetCount(w.buf, 1, w.count)
	return w.send(w.buf)
}

// zone writes all records but the SOA record.
func (w *transferWriter) zone(z *Zone) error {
	var owner [dnsname.WireMax]byte
	for n := node(0); int(n) < len(z.data); {
		name := z.appendOwner(owner[:0], n)
		sets := z.sets(n)
		for sets.next() {
			if err := w.set(name, &sets.set); err != nil {
				return err
			}
		}
		n = node(sets.at)
	}
	return nil
}

func (w *transferWriter) set(owner []byte, s *set) error {
	rest := s.records
	for i := range s.count + s.sigs {
		var data []byte
		data, rest = cutRecord(rest)
		rtype := s.rtype
		if i >= s.count {
			rtype = wire.TypeRRSIG
		} else if rtype == wire.TypeSOA {
			continue
		}
		if err := w.record(owner, rtype, s.ttl, data); err != nil {
			return err
		}
	}
	return nil
}

// record writes a record into the message, or sends that and writes it into the next.
func (w *transferWriter) record(owner []byte, rtype uint16, ttl uint32, data []byte) error {
	if w.count > 0 && len(w.buf)+len(owner)+10+len(data) > w.limit {
		if err := w.flush(); err != nil {
			return err
		}
		w.begin()
	}
	w.name(owner, &w.owner, &w.target, &w.owner)
	w.buf = append(w.buf, byte(rtype>>8), byte(rtype), 0, wire.ClassIN, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), 0, 0)
	start := len(w.buf)
	w.data(rtype, data)
	binary.BigEndian.PutUint16(w.buf[start-2:], uint16(len(w.buf)-start))
	if w.count++; len(w.buf) > w.most {
		return errRecordLarge
	}
	return nil
}

// data writes the data of a record, with the names in it compressed where others can read that (RFC 3597 section 4).
func (w *transferWriter) data(rtype uint16, data []byte) {
	fixed, names := compressible(rtype)
	if names == 0 || len(data) < fixed {
		w.buf = append(w.buf, data...)
		return
	}
	w.buf = append(w.buf, data[:fixed]...)
	rest := data[fixed:]
	for range names {
		n, _, err := dnsname.Check(rest)
		if err != nil {
			break
		}
		w.name(rest[:n], &w.target, &w.owner, &w.target)
		rest = rest[n:]
	}
	w.buf = append(w.buf, rest...)
}

// name writes a name, its end as a pointer to the same labels of one of two known names, and notes it in place of another.
func (w *transferWriter) name(name []byte, a, b, into *knownName) {
	var at [dnsname.LabelsMax + 1]uint8
	labels := dnsname.Offsets(name, &at)
	known, common := a, a.common(name, &at, labels)
	if common < labels {
		if n := b.common(name, &at, labels); n > common {
			known, common = b, n
		}
	}
	own := labels - common
	pointer := uint16(0)
	if common > 0 {
		pointer = known.off[known.labels-common]
	}
	var off [dnsname.LabelsMax + 1]uint16
	for i := range common {
		off[own+i] = known.off[known.labels-common+i]
	}
	for i := range own {
		if here := len(w.buf) + int(at[i]); here < 1<<14 {
			off[i] = uint16(here)
		}
	}
	if common == 0 {
		w.buf = append(w.buf, name...)
	} else {
		w.buf = append(w.buf, name[:at[own]]...)
		w.buf = append(w.buf, 0xc0|byte(pointer>>8), byte(pointer))
	}
	into.size, into.labels = copy(into.name[:], name), labels
	copy(into.at[:labels], at[:labels])
	copy(into.off[:labels], off[:labels])
}

// common is how many labels at the end of a name are those of k, octet by octet, and within reach.
func (k *knownName) common(name []byte, at *[dnsname.LabelsMax + 1]uint8, labels int) int {
	n := 0
	for n < labels && n < k.labels {
		i, j := at[labels-n-1], k.at[k.labels-n-1]
		size := 1 + int(name[i])
		if k.off[k.labels-n-1] == 0 || k.name[j] != name[i] || !bytes.Equal(k.name[j:int(j)+size], name[i:int(i)+size]) {
			break
		}
		n++
	}
	return n
}

// Ready reports whether the zone has a state that can be served.
func (s *Served) Ready() bool { return !s.Zone.absent }

// SOA writes the answer that has the SOA record alone into buf, which has room for it.
func (s *Served) SOA(buf, question []byte) (msg []byte) {
	t := Transfer{zone: s.Zone, current: true}
	_ = t.Send(buf[:0], 0, 0, question, 0, func(m []byte) error { msg = m; return nil }) // one record of limited size
	return msg
}
