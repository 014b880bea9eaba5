package tsig

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"time"

	"cenote/dnsname"
	"cenote/wire"
)

// Sizes of a record's parts in octets.
const (
	timeLen     = 6                           // a time of 48 bits
	dataFixed   = timeLen + 2 + 2 + 2 + 2 + 2 // RDATA without algorithm, MAC and other data
	recordFixed = 10 + dataFixed              // a record without owner name, algorithm, MAC and other data
)

// Fudge is by how much the clocks of two servers may differ, as this one sends it (RFC 8945 section 10).
const Fudge = 300 * time.Second

// Signature is what the TSIG record of a message says. Before it is verified none of it may be believed.
type Signature struct {
	Key   *Key          // by which it is signed; nil where that is not known
	Name  dnsname.Name  // of the key, canonical
	MAC   []byte        // a part of the message
	Time  time.Time     // at which it was signed, in whole seconds
	Fudge time.Duration // by how much that may differ
	Code  uint16        // in a reply, the fault of the request: CodeSignature, CodeKey, CodeTime or CodeTruncation
	Len   int           // of the message without the record, whose header has one additional record more

	algorithm dnsname.Name // canonical
	id        uint16       // of the message as it was signed
	other     []byte       // a part of the message
}

// ServerTime is the clock of a server that says CodeTime. ok is false where it does not say one.
func (s *Signature) ServerTime() (at time.Time, ok bool) {
	if s.Code != CodeTime || len(s.other) != timeLen {
		return time.Time{}, false
	}
	return timeAt(s.other), true
}

// Skew is by how much the clock of the server that says CodeTime is ahead of the signature's; ok as of ServerTime.
func (s *Signature) Skew() (ahead time.Duration, ok bool) {
	at, ok := s.ServerTime()
	if !ok {
		return 0, false
	}
	return at.Sub(s.Time), true
}

// Clone is s without any part of the message.
func (s *Signature) Clone() Signature {
	out := *s
	out.MAC, out.other = bytes.Clone(s.MAC), bytes.Clone(s.other)
	return out
}

// Sum stands for what was signed of msg, whose signature was found right. Who sends a message again that somebody else has signed can change what no signature
// is of, such as its id, and not this.
func (s *Signature) Sum(msg []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	s.digestSigned(h, msg)
	s.digestVariables(h)
	h.Sum(sum[:0])
	return sum
}

// read reads the TSIG record of msg, which must be the last of all and end the message (RFC 8945 section 5.1).
func read(msg []byte) (Signature, Fault) {
	w, err := wire.Records(msg)
	if err != nil {
		return Signature{}, FaultFormat
	}
	var s Signature
	found := false
	for w.Next() {
		switch {
		case found:
			return Signature{}, FaultFormat
		case w.Type != wire.TypeTSIG:
			continue
		case w.Section != wire.SectionAdditional || w.Class != wire.ClassANY || w.TTL != 0 || !s.parse(msg, &w):
			return Signature{}, FaultFormat
		}
		found = true
	}
	switch {
	case w.Err != nil:
		return Signature{}, FaultFormat
	case !found:
		return Signature{}, FaultAbsent
	case w.Offset() != len(msg):
		return Signature{}, FaultFormat
	}
	return s, FaultNone
}

// parse reads the record that w stands at.
func (s *Signature) parse(msg []byte, w *wire.Walker) bool {
	var buf [dnsname.WireMax]byte
	owner, _, err := wire.AppendName(buf[:0], msg, w.NameOff)
	if err != nil {
		return false
	}
	data := w.RData()
	algorithm, err := dnsname.FromWire(data)
	if err != nil {
		return false
	}
	data = data[len(algorithm):]
	if len(data) < dataFixed {
		return false
	}
	*s = Signature{Name: dnsname.Name(owner).Canonical(), algorithm: algorithm.Canonical(), Len: w.NameOff, Time: timeAt(data),
		Fudge: time.Duration(binary.BigEndian.Uint16(data[timeLen:])) * time.Second}
	n := int(binary.BigEndian.Uint16(data[timeLen+2:]))
	if len(data) < dataFixed+n {
		return false
	}
	s.MAC, data = data[timeLen+4:timeLen+4+n], data[timeLen+4+n:]
	s.id, s.Code, s.other = binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:]), data[6:]
	return int(binary.BigEndian.Uint16(data[4:])) == len(s.other)
}

// timeAt reads a time of 48 bits.
func timeAt(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint16(b))<<32|int64(binary.BigEndian.Uint32(b[2:])), 0)
}

func appendTime(dst []byte, t time.Time) []byte {
	seconds := max(t.Unix(), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(seconds>>32))
	return binary.BigEndian.AppendUint32(dst, uint32(seconds))
}

// appendRecord appends the record to msg and counts it in the header.
func (s *Signature) appendRecord(msg []byte) []byte {
	data := make([]byte, 0, len(s.algorithm)+dataFixed+len(s.MAC)+len(s.other))
	data = s.appendTimers(append(data, s.algorithm...))
	data = binary.BigEndian.AppendUint16(data, uint16(len(s.MAC)))
	data = append(data, s.MAC...)
	data = binary.BigEndian.AppendUint16(data, s.id)
	data = s.appendCode(data)
	wire.SetCount(msg, 3, wire.Count(msg, 3)+1)
	return wire.AppendRecord(msg, []byte(s.Name), wire.TypeTSIG, wire.ClassANY, 0, data)
}

func (s *Signature) appendTimers(dst []byte) []byte {
	return binary.BigEndian.AppendUint16(appendTime(dst, s.Time), uint16(s.Fudge/time.Second))
}

func (s *Signature) appendCode(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, s.Code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s.other)))
	return append(dst, s.other...)
}

// The parts of what is signed (RFC 8945 section 4.3). All of them write into h, which never fails.

// digestMAC is the MAC of the request, or of the message before, with its length.
func digestMAC(h hash.Hash, mac []byte) {
	var n [2]byte
	binary.BigEndian.PutUint16(n[:], uint16(len(mac)))
	h.Write(n[:])
	h.Write(mac)
}

// digestSigned is a message that had a TSIG record, as it was before: with its own id, and without the record.
func (s *Signature) digestSigned(h hash.Hash, msg []byte) {
	header := [wire.HeaderLen]byte(msg)
	wire.SetID(header[:], s.id)
	wire.SetCount(header[:], 3, wire.Count(header[:], 3)-1)
	h.Write(header[:])
	h.Write(msg[wire.HeaderLen:s.Len])
}

// digestVariables is the whole record but for its MAC and the id.
func (s *Signature) digestVariables(h hash.Hash) {
	b := make([]byte, 0, len(s.Name)+len(s.algorithm)+recordFixed+len(s.other))
	b = append(b, s.Name...)
	b = binary.BigEndian.AppendUint16(b, wire.ClassANY)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = s.appendTimers(append(b, s.algorithm...))
	h.Write(s.appendCode(b))
}

// digestTimers is what is signed of the record from the second message of a stream on.
func (s *Signature) digestTimers(h hash.Hash) {
	var b [timeLen + 2]byte
	h.Write(s.appendTimers(b[:0]))
}
